//! The turning points that an operator can have a word in.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A turning point of a VM's life; also the name of the folder of its hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// Before a machine is made.
    PreStart,
    /// After its guest has begun to run.
    PostStart,
    /// Before its guest is asked to end.
    PreStop,
    /// After its machine is gone.
    PostStop,
    /// Before its memory is written to a file.
    PreSuspend,
    /// After a guest runs again from such a file.
    PostResume,
    /// After a guest, or its hypervisor, has crashed.
    OnCrash,
}

impl HookEvent {
    /// All of them, in the order of a VM's life.
    pub const ALL: [Self; 7] = [
        Self::PreStart,
        Self::PostStart,
        Self::PreStop,
        Self::PostStop,
        Self::PreSuspend,
        Self::PostResume,
        Self::OnCrash,
    ];

    /// The event's name, as it is written in JSON and as its folder is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreStart => "pre-start",
            Self::PostStart => "post-start",
            Self::PreStop => "pre-stop",
            Self::PostStop => "post-stop",
            Self::PreSuspend => "pre-suspend",
            Self::PostResume => "post-resume",
            Self::OnCrash => "on-crash",
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event of this name; the events are {}", HookEvent::ALL.map(HookEvent::as_str).join(", "))]
pub struct NotAnEvent;

impl FromStr for HookEvent {
    type Err = NotAnEvent;

    fn from_str(text: &str) -> Result<Self, NotAnEvent> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or(NotAnEvent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_name_is_the_same_everywhere() {
        for event in HookEvent::ALL {
            let name = event.to_string();
            assert_eq!(name.parse(), Ok(event));
            assert_eq!(serde_json::to_value(event).unwrap(), name);
            assert_eq!(serde_json::from_value::<HookEvent>(name.into()).unwrap(), event);
        }
        let unknown = "prestart".parse::<HookEvent>().unwrap_err().to_string();
        assert!(unknown.contains("pre-start, post-start"), "{unknown}");
    }
}
