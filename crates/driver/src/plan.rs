//! What a driver is asked to plan, and everything that its plan may depend on.

use innkeeper_model::{
    DeviceName, Facts, Foreign, Incarnation, IncarnationId, MachineFiles, ManagedMachine,
    MemoryImage, Spec, Timestamp, host::Hypervisor, network::Plug,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What can be done to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Make the machine and let it run. The last part of the plan is what lets it run.
    Start,
    /// Ask the guest to power itself off, wait for it, and put the machine away.
    Stop {
        /// How long the guest may take.
        timeout: Duration,
    },
    /// End the machine at once, and put it away.
    Kill,
    /// Put away a machine whose guest has ended, or whose process has died.
    PutAway,
    /// Reset it in place, as its reset button would.
    Reset,
    /// Hold its CPUs.
    Pause,
    /// Let them go on.
    Resume,
    /// Hold the CPUs, and write the memory to a file that is there and empty. The machine stays held: it
    /// is put away by an operation of its own, once the file is known to be whole.
    Suspend {
        /// The file, in storage's folder; opened through storage.
        memory: PathBuf,
    },
    /// Make the machine that a memory image was taken of, with that memory, and let it run. The last
    /// part of the plan is what lets it run, and one before it what loads the memory ([`crate::Step::loads_memory`]).
    Restore {
        /// What is known of the image.
        image: Arc<MemoryImage>,
        /// The file, in storage's folder.
        memory: PathBuf,
    },
    /// Write the memory of a machine whose guest has ended or is held to a file that is there and
    /// empty, as an ELF core. The machine stays as it is.
    Dump {
        /// The file, in storage's folder.
        file: PathBuf,
    },
    /// Plug a NIC of the spec into the machine, which is on.
    PlugNic {
        /// Its name.
        nic: DeviceName,
    },
    /// Take a NIC of the spec out of it, once its guest has let go of it.
    UnplugNic {
        /// Its name.
        nic: DeviceName,
    },
    /// Give a NIC that is plugged in the connection that the spec says by now: its network, its addresses,
    /// its rate, its published ports. Its cable stays in, or out.
    ChangePlug {
        /// Its name.
        nic: DeviceName,
    },
    /// Put the cable of a NIC that is plugged in into it, or take it out, as its guest sees it.
    SetLink {
        /// Its name.
        nic: DeviceName,
        /// Whether it is to be in.
        up: bool,
        /// Whether it was.
        before: bool,
    },
    /// Take a machine over that somebody else made: from now on it has an incarnation.
    Adopt {
        /// The machine, as [`crate::Driver::foreign`] found it.
        machine: Box<Foreign>,
    },
}

/// The identity of a machine that is about to be made.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The new incarnation's id.
    pub incarnation: IncarnationId,
    /// When it is planned.
    pub now: Timestamp,
}

/// All that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanContext<'a> {
    /// The wish.
    pub spec: &'a Spec,
    /// What the running machine was built from.
    pub incarnation: Option<&'a Incarnation>,
    /// What the hypervisor last said.
    pub facts: &'a Facts,
    /// The files that a new machine is made of.
    pub files: &'a MachineFiles,
    /// The connections of a new machine's NICs to networks of this host.
    pub plugs: &'a [Plug],
    /// The hypervisor of this host.
    pub hypervisor: &'a Hypervisor,
    /// The identity of a new machine.
    pub launch: &'a Launch,
    /// What the manager says of it whose machine it is, where that is not Innkeeper.
    pub managed: Option<&'a ManagedMachine>,
}
