//! One simulated machine, from its launch until its record is put away.
//!
//! ```text
//!            launched           continued            held
//!   (nothing) ──────▶ Created ───────────▶ Running ◀──────▶ Paused
//!       ▲                │        ended by its guest │         │
//!       │                │                           ▼         │
//!       │                │     the process is gone  Ended      │
//!       │                ▼                           │         │
//!       └─────────────  Dead  ◀──────────────────────┴─────────┘
//!         put away
//! ```
//!
//! Beside its life stands whether its process answers; one that does not is still alive.

use crate::{
    clock::{Moment, timestamp},
    guest::Happening,
    memory::Memory,
};
use innkeeper_model::{EndReason, Facts, Foreign, Incarnation, IncarnationId, MachineState};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

/// How far a machine's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    /// Launched; its guest has not begun.
    Created,
    /// Its CPUs run.
    Running,
    /// Its CPUs are held.
    Paused,
    /// Its guest has ended, its process has not.
    Ended,
    /// Its process has ended; its record is there.
    Dead,
}

/// A machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) incarnation: Arc<Incarnation>,
    /// The VM's name, as its guest knows it.
    pub(crate) name: Box<str>,
    /// Whether a reboot of its guest leaves it running.
    pub(crate) reboots_in_place: bool,
    pub(crate) life: Life,
    /// Its process is held, as by SIGSTOP, and answers nothing.
    pub(crate) held: bool,
    /// It has been noticed that it does not answer.
    pub(crate) silent: bool,
    /// Its CPUs have run.
    pub(crate) ran: bool,
    pub(crate) resets: u32,
    pub(crate) since: Moment,
    pub(crate) last_end: Option<EndReason>,
    pub(crate) devices: Vec<Device>,
    /// The NICs whose cables are out.
    #[serde(default)]
    pub(crate) cables_out: BTreeSet<Box<str>>,
    pub(crate) memory: Memory,
    /// What is about to happen to it.
    pub(crate) due: Vec<Due>,
    /// What it was before it was taken over.
    pub(crate) adopted: Option<Box<Foreign>>,
}

/// Something that will happen to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Due {
    pub(crate) at: Moment,
    pub(crate) what: Doing,
}

/// What will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// Its guest does something; its CPUs must run for it.
    Guest(Happening),
    /// It is noticed that it does not answer.
    IsNoticed,
}

impl Machine {
    /// One that has just been launched.
    pub(crate) fn launched(
        incarnation: Arc<Incarnation>,
        name: Box<str>,
        reboots_in_place: bool,
        at: Moment,
    ) -> Self {
        let memory = Memory::blank(incarnation.id);
        Self {
            incarnation,
            name,
            reboots_in_place,
            life: Life::Created,
            held: false,
            silent: false,
            ran: false,
            resets: 0,
            since: at,
            last_end: None,
            devices: Vec::new(),
            cables_out: BTreeSet::new(),
            memory,
            due: Vec::new(),
            adopted: None,
        }
    }

    /// One that somebody else made, and that runs.
    pub(crate) fn adopted(incarnation: Arc<Incarnation>, foreign: Foreign, at: Moment) -> Self {
        let name = foreign.name.as_deref().unwrap_or("guest").into();
        Self {
            life: Life::Running,
            ran: true,
            adopted: Some(Box::new(foreign)),
            ..Self::launched(incarnation, name, true, at)
        }
    }

    pub(crate) fn id(&self) -> IncarnationId {
        self.incarnation.id
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.life != Life::Dead
    }

    /// Whether its guest executes instructions, and is not lost in them.
    pub(crate) fn executes(&self) -> bool {
        self.life == Life::Running && !self.held && !self.memory.hung
    }

    pub(crate) fn facts(&self) -> Facts {
        let machine = match self.life {
            Life::Dead => MachineState::Absent,
            _ if self.silent => MachineState::Unresponsive,
            Life::Created => MachineState::Created,
            Life::Running => MachineState::Running,
            Life::Paused => MachineState::Paused,
            Life::Ended => MachineState::Ended,
        };
        Facts {
            machine,
            last_end: self.last_end.clone(),
            since: Some(timestamp(self.since)),
            resets: self.resets,
        }
    }

    pub(crate) fn enter(&mut self, life: Life, at: Moment) {
        if self.life != life {
            self.life = life;
            self.since = at;
        }
    }

    /// Whether something that is due can happen now.
    pub(crate) fn lets_happen(&self, what: Doing) -> bool {
        match what {
            Doing::Guest(_) => self.life == Life::Running && !self.held,
            Doing::IsNoticed => self.held && self.is_alive(),
        }
    }
}

/// A device, as far as the world has any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Device {
    /// A disk; closed when the machine's process ends.
    Disk {
        /// Its name.
        name: Box<str>,
        /// Whether the guest may write to it.
        writable: bool,
    },
    /// A NIC with its tap, which stays with the host when the process ends.
    Nic {
        /// Its name.
        name: Box<str>,
    },
}

impl Device {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Disk { name, .. } | Self::Nic { name } => name,
        }
    }

    pub(crate) const fn is_nic(&self) -> bool {
        matches!(self, Self::Nic { .. })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { name, writable: true } => write!(f, "disk {name}"),
            Self::Disk { name, writable: false } => write!(f, "read-only-disk {name}"),
            Self::Nic { name } => write!(f, "nic {name}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = |rest: &str| rest.into();
        match text.split_once(' ') {
            Some(("disk", rest)) => Ok(Self::Disk { name: name(rest), writable: true }),
            Some(("read-only-disk", rest)) => Ok(Self::Disk { name: name(rest), writable: false }),
            Some(("nic", rest)) => Ok(Self::Nic { name: name(rest) }),
            _ => Err(format!("{text:?} is no simulated device")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_back_as_it_was_written() {
        for device in [
            Device::Disk { name: "root".into(), writable: true },
            Device::Disk { name: "cloud-init seed".into(), writable: false },
            Device::Nic { name: "lan".into() },
        ] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert!("floppy a".parse::<Device>().is_err());
    }
}
