//! Facts: what the hypervisor says now. Asked for, never stored.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a hypervisor says of one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// Whether it runs.
    pub machine: MachineState,
    /// How the last run ended; present once there was one that a daemon saw end, or found ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<EndReason>,
    /// When the machine's state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// How often the machine was reset in place during this run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resets: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The state of a machine, as its hypervisor has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// There is no machine.
    #[default]
    Absent,
    /// It is being made, and has not executed an instruction.
    Created,
    /// Its CPUs run.
    Running,
    /// Its CPUs are held.
    Paused,
    /// The guest has ended; the machine is kept until it has been asked why.
    Ended,
    /// Its process lives and does not answer.
    Unresponsive,
}

/// Why a machine ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum EndReason {
    /// The guest powered itself off.
    GuestShutdown,
    /// The guest's kernel panicked.
    GuestPanic,
    /// The guest reset itself where its policy does not let it.
    GuestReset,
    /// Innkeeper ended it.
    Killed,
    /// The hypervisor's process ended without a word.
    HypervisorDied {
        /// The exit status or signal, where it could be known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
    },
}
