//! The lines of QMP, as data.

use innkeeper_model::Timestamp;
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

impl EventTime {
    /// The same as a timestamp; `None` for what no clock shows, or where QEMU could not read its own
    /// (it then writes -1).
    pub(crate) fn timestamp(self) -> Option<Timestamp> {
        let Self { seconds, microseconds } = self;
        if seconds < 0 || !(0..1_000_000).contains(&microseconds) {
            return None;
        }
        let microsecond = seconds.checked_mul(1_000_000)?.checked_add(microseconds)?;
        Timestamp::from_microsecond(microsecond).ok()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_that_a_clock_shows_is_one() {
        let time = |seconds, microseconds| EventTime { seconds, microseconds }.timestamp();
        let expected = "2025-11-21T10:00:00.25Z".parse().unwrap();
        assert_eq!(time(1_763_719_200, 250_000), Some(expected));
        for (seconds, microseconds) in [(-1, -1), (0, 1_000_000), (i64::MAX, 0)] {
            assert_eq!(time(seconds, microseconds), None, "{seconds} {microseconds}");
        }
    }
}
