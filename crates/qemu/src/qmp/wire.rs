//! The lines of QMP, as data.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A line from QEMU. Which of the three kinds it is shows in the fields that are there.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "QMP", borrow)]
    pub(super) greeting: Option<&'a RawValue>,
    pub(super) id: Option<u64>,
    #[serde(rename = "return", borrow)]
    pub(super) returned: Option<&'a RawValue>,
    pub(super) error: Option<ErrorReply>,
    pub(super) event: Option<String>,
    #[serde(default)]
    pub(super) data: Value,
    pub(super) timestamp: Option<EventTime>,
}

/// QEMU's own words for a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ErrorReply {
    /// The class; nearly always `GenericError`.
    pub(crate) class: String,
    /// The sentence.
    pub(crate) desc: String,
}

/// When an event happened, on the host's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct EventTime {
    pub(crate) seconds: i64,
    pub(crate) microseconds: i64,
}

/// Something that QEMU reported by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) time: EventTime,
}

impl Event {
    /// A text field of the event's data.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.data.get(field)?.as_str()
    }

    /// When it happened, in milliseconds.
    pub(crate) fn milliseconds(&self) -> i64 {
        self.time.seconds.saturating_mul(1000).saturating_add(self.time.microseconds / 1000)
    }
}
