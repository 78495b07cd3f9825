//! Why a call to an agent has no answer.

use innkeeper_model::{Code, Refusal};
use std::{io, time::Duration};

/// Why a call to an agent has no answer. Whether it was carried out is known only where it says so.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no channel, or it is in use; nothing was asked.
    #[error("{0}")]
    NoChannel(Refusal),
    /// The channel was closed: the machine has ended.
    #[error("the channel to the guest's agent was closed")]
    Broken(#[source] io::Error),
    /// No reply in time. It may still come; then it is thrown away.
    #[error("the guest's agent did not answer {command} within {} ms", within.as_millis())]
    Silent {
        /// What was asked.
        command: &'static str,
        /// For how long was waited.
        within: Duration,
    },
    /// The agent, or the guest's system, refused; it was not carried out.
    #[error("the guest refused {command}: {description}")]
    Refused {
        /// What was asked.
        command: &'static str,
        /// Whether the agent does not have this call, or not now.
        unknown: bool,
        /// The agent's words, shortened.
        description: String,
    },
    /// More came than such a reply can have.
    #[error("the guest's agent answered {command} with more than {limit} bytes")]
    TooMuch {
        /// What was asked.
        command: &'static str,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// What came is no reply to what was asked.
    #[error("the guest's agent answered {command} with what is no answer to it")]
    Incomprehensible {
        /// What was asked.
        command: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl From<AgentError> for Refusal {
    fn from(error: AgentError) -> Self {
        let (code, hint) = match error {
            AgentError::NoChannel(refusal) => return refusal,
            AgentError::Broken(_) => (Code::WrongState, "the machine has ended; see `inn list`"),
            AgentError::Silent { .. } => (
                Code::Timeout,
                "is the VM running, and qemu-guest-agent running in it? See `inn console VM`",
            ),
            AgentError::Refused { unknown: true, .. } => (
                Code::Unsupported,
                "the agent of this guest does not have it, or its configuration forbids it",
            ),
            // Its words are of a feature that is not supported, whatever is wrong.
            AgentError::Refused { command: super::SET_TIME, .. } => (
                Code::HypervisorFailed,
                "its agent needs /sbin/hwclock for that (on Debian in util-linux-extra), and the guest a \
                 hardware clock",
            ),
            AgentError::Refused { .. } => (Code::HypervisorFailed, "see what the guest says"),
            AgentError::TooMuch { .. } | AgentError::Incomprehensible { .. } => {
                (Code::HypervisorFailed, "what runs as the agent in this guest cannot be relied on")
            }
        };
        Self::new(code, error.to_string()).caused_by(&error).with_hint(hint)
    }
}
