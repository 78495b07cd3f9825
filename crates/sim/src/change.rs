//! What can happen in a world, as it is written down. Replaying these makes the world again.

use crate::{
    belongings::Belongings,
    guest::Guest,
    machine::{Device, Due},
    memory::Memory,
};
use innkeeper_model::{EndReason, Foreign, Incarnation, IncarnationId, ProcessIdentity, VmId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something that happened on the simulated host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The host booted: nothing of before is left but logs. Also what a file begins with.
    Boot {
        /// The boot's id.
        boot_id: String,
        /// The next process' id.
        next_pid: u32,
    },
    /// Something of a VM changed.
    Vm(VmId, Change),
    /// Somebody else made a machine.
    Foreign(Box<Foreign>),
    /// A machine of somebody else's is gone.
    ForeignGone(ProcessIdentity),
    /// All there is of a VM; what a file that was written anew consists of.
    Whole(VmId, Box<Belongings>),
}

/// Something that happened to what there is of a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// A run folder was made for a launch.
    Prepared(IncarnationId),
    /// A machine was launched.
    Launched {
        /// The record of it, with its process.
        incarnation: Arc<Incarnation>,
        /// The VM's name.
        name: Box<str>,
        /// Whether a reboot of the guest leaves it running.
        reboots_in_place: bool,
    },
    /// A device was plugged.
    Plugged(Device),
    /// It was unplugged.
    Unplugged(Device),
    /// The cable of a NIC was plugged in or out.
    Cable {
        /// The NIC's name.
        nic: Box<str>,
        /// Whether it is in.
        up: bool,
    },
    /// What its record says of its NICs became another.
    Rewired(Arc<Incarnation>),
    /// Its memory was loaded from a file.
    Loaded(Memory),
    /// Its CPUs run.
    Continued,
    /// Its CPUs are held.
    Paused,
    /// It was reset in place.
    Reset {
        /// Whether its guest did it.
        by_guest: bool,
    },
    /// Its guest ended.
    Ended(EndReason),
    /// Its process is gone.
    Died {
        /// Why, unless its guest had ended before.
        reason: EndReason,
        /// Whether it was told to quit.
        politely: bool,
    },
    /// Its process was stopped, and answers nothing.
    Held,
    /// It goes on.
    Released,
    /// It was noticed that it does not answer.
    FoundSilent,
    /// The record of it was put away, and the run folder.
    PutAway,
    /// A machine of somebody else's became this VM's.
    Adopted {
        /// The record that it has from now on.
        incarnation: Arc<Incarnation>,
        /// What it was.
        foreign: Box<Foreign>,
    },
    /// It is somebody else's again.
    GivenBack,
    /// Something will happen.
    Intends(Due),
    /// Its guest hangs.
    Hung,
    /// Its guest was told something to remember.
    Remembered(Box<str>),
    /// Its guest wrote to its serial line.
    Wrote(Box<str>),
    /// From now on its guest behaves so.
    Behaves(Guest),
    /// The VM was deleted.
    Forgotten,
}
