//! This driver's steps, as data.
//!
//! A step that acts on a machine names the incarnation that it was planned for, so that one that is
//! repeated after a crash, or undone late, cannot reach a newer machine of the same VM.

use crate::machine::Device;
use innkeeper_driver::{Crash, Step, StepError};
use innkeeper_model::{Foreign, Incarnation, IncarnationId, network::Plug};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the steps' shape that this binary writes.
const SCHEMA: u32 = 1;

/// One step of this driver. Where a machine is named by an `Option`, none means whichever there is:
/// who planned the step did not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SimStep {
    /// Make the run folder for a launch.
    Prepare { incarnation: IncarnationId },
    /// Make the machine, with its CPUs held and no device.
    Launch(Box<Launch>),
    /// Plug a disk.
    PlugDisk { incarnation: IncarnationId, disk: Device },
    /// Plug a NIC, and make its tap.
    PlugNic { incarnation: IncarnationId, nic: Device },
    /// Plug a NIC into a machine that has begun; undone, it is taken out.
    AddNic { incarnation: IncarnationId, nic: Device, plug: Option<Box<Plug>> },
    /// Take one out; undone, it is plugged in again.
    RemoveNic { incarnation: IncarnationId, nic: Device, plug: Option<Box<Plug>> },
    /// Give a NIC another connection; undone, the one that it had.
    ChangePlug { incarnation: IncarnationId, plug: Box<Plug>, before: Box<Plug> },
    /// Plug a NIC's cable in or out; undone, it is as it was.
    SetLink { incarnation: IncarnationId, nic: Device, up: bool, before: bool },
    /// Load the machine's memory from a file, before its CPUs run.
    LoadMemory { incarnation: IncarnationId, file: PathBuf },
    /// Let the CPUs run; undone, they are held again where they were.
    Continue { incarnation: Option<IncarnationId>, were_held: bool },
    /// Hold the CPUs; undone, they run again where they did.
    Pause { incarnation: Option<IncarnationId>, ran: bool },
    /// Press the power button until the guest has ended.
    PowerDown { incarnation: Option<IncarnationId>, timeout_ms: u64 },
    /// Press the reset button.
    Reset { incarnation: Option<IncarnationId> },
    /// Write the machine's memory to a file that is there; undone, the file is empty.
    SaveMemory { incarnation: IncarnationId, file: PathBuf },
    /// Write it as an ELF core; undone, the file is empty.
    Dump { incarnation: Option<IncarnationId>, file: PathBuf },
    /// End the machine's process, politely.
    Quit { incarnation: Option<IncarnationId> },
    /// End it at once.
    Kill { incarnation: Option<IncarnationId> },
    /// Remove the record, the run folder and the taps.
    PutAway { incarnation: Option<IncarnationId> },
    /// Take over a machine that somebody else made; undone, it is theirs again, and was not touched.
    Adopt { incarnation: Box<Incarnation>, foreign: Box<Foreign> },
}

/// What a machine is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) incarnation: Incarnation,
    /// The VM's name, for its guest.
    pub(crate) name: Box<str>,
    /// Whether a reboot of the guest leaves it running.
    pub(crate) reboots_in_place: bool,
}

impl SimStep {
    const fn name(&self) -> &'static str {
        match self {
            Self::Prepare { .. } => "sim/prepare",
            Self::Launch(_) => "sim/launch",
            Self::PlugDisk { .. } => "sim/plug-disk",
            Self::PlugNic { .. } => "sim/plug-nic",
            Self::AddNic { .. } => "sim/add-nic",
            Self::RemoveNic { .. } => "sim/remove-nic",
            Self::ChangePlug { .. } => "sim/change-plug",
            Self::SetLink { .. } => "sim/set-link",
            Self::LoadMemory { .. } => "sim/load-memory",
            Self::Continue { .. } => "sim/continue",
            Self::Pause { .. } => "sim/pause",
            Self::PowerDown { .. } => "sim/power-down",
            Self::Reset { .. } => "sim/reset",
            Self::SaveMemory { .. } => "sim/save-memory",
            Self::Dump { .. } => "sim/dump",
            Self::Quit { .. } => "sim/quit",
            Self::Kill { .. } => "sim/kill",
            Self::PutAway { .. } => "sim/put-away",
            Self::Adopt { .. } => "sim/adopt",
        }
    }

    const fn crash(&self) -> Crash {
        match self {
            Self::Launch(_) | Self::Adopt { .. } | Self::Continue { .. } => Crash::Probe,
            // Nothing tells afterwards whether a machine was reset.
            Self::Reset { .. } => Crash::Once,
            _ => Crash::Repeat,
        }
    }

    /// As the engine keeps it.
    pub(crate) fn to_step(&self) -> Step {
        let step = Step::new(self.name(), SCHEMA, self.crash(), self);
        match self {
            Self::PlugDisk { disk: device, .. }
            | Self::PlugNic { nic: device, .. }
            | Self::AddNic { nic: device, .. }
            | Self::RemoveNic { nic: device, .. }
            | Self::SetLink { nic: device, .. } => step.about(device.name()),
            _ => step,
        }
    }

    /// From how the engine keeps it.
    ///
    /// # Errors
    /// It was written by a version that this one does not know.
    pub(crate) fn from_step(step: &Step) -> Result<Self, StepError> {
        step.arguments()
    }
}
