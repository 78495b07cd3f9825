//! The commands that Innkeeper sends, each with the type of its answer.
//!
//! Written here rather than generated from QEMU's schema: it is a dozen commands, and a schema of
//! one release refuses the words of the next.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A command of QMP.
pub(crate) trait Command: Serialize {
    /// Its name on the wire.
    const NAME: &'static str;
    /// What QEMU answers.
    type Answer: DeserializeOwned + Send + 'static;
}

/// The answer of commands that have none.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

macro_rules! command {
    ($(#[$doc:meta])* $name:ident = $wire:literal -> $answer:ty $({ $($field:ident: $kind:ty),* $(,)? })?) => {
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub(crate) struct $name { $($(pub(crate) $field: $kind),*)? }

        impl Command for $name {
            const NAME: &'static str = $wire;
            type Answer = $answer;
        }
    };
}

command! {
    /// Leaves the negotiation mode that every connection begins in.
    Capabilities = "qmp_capabilities" -> Nothing
}
command! {
    /// Asks what the machine is doing.
    QueryStatus = "query-status" -> Status
}
command! {
    /// Lets the CPUs run.
    Cont = "cont" -> Nothing
}
command! {
    /// Holds the CPUs.
    Stop = "stop" -> Nothing
}
command! {
    /// Presses the power button. The answer says nothing about what the guest does with it.
    SystemPowerdown = "system_powerdown" -> Nothing
}
command! {
    /// Presses the reset button. The answer comes before the reset.
    SystemReset = "system_reset" -> Nothing
}
command! {
    /// Ends QEMU.
    Quit = "quit" -> Nothing
}
command! {
    /// Takes what a ring buffer holds; what was read is gone from it.
    RingbufRead = "ringbuf-read" -> String { device: &'static str, size: u64, format: &'static str }
}

/// What a machine is doing, in QEMU's words.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    /// `running`, `paused`, `prelaunch`, `shutdown`, `guest-panicked` and more.
    pub(crate) status: String,
}
