//! What can be seen of a world from outside, by tests and measurements.

use crate::{
    machine::Machine,
    world::{State, World},
};
use innkeeper_model::{Facts, Foreign, Incarnation, MachineState, VmId};
use std::sync::Arc;

/// A machine, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it was built from.
    pub incarnation: Arc<Incarnation>,
    /// What its hypervisor says.
    pub facts: Facts,
    /// Its devices, in the order in which they were plugged: `disk root`, `read-only-disk iso`,
    /// `nic lan`.
    pub devices: Vec<String>,
    /// The names of its NICs whose cables are out, in the order of the alphabet.
    pub cables_out: Vec<String>,
    /// Stands for the contents of its memory: two memories with one digest are one memory.
    pub memory: u64,
    /// How often its guest has booted.
    pub boots: u32,
    /// Whether its CPUs have ever run.
    pub ran: bool,
    /// Whether its process answers.
    pub answers: bool,
}

impl From<&Machine> for Seen {
    fn from(machine: &Machine) -> Self {
        Self {
            incarnation: machine.incarnation.clone(),
            facts: machine.facts(),
            devices: machine.devices.iter().map(ToString::to_string).collect(),
            cables_out: machine.cables_out.iter().map(ToString::to_string).collect(),
            memory: machine.memory.digest(),
            boots: machine.memory.boots,
            ran: machine.ran,
            answers: machine.is_alive() && !machine.held,
        }
    }
}

impl World {
    /// A VM's machine, dead or alive, until it is put away.
    pub fn machine(&self, vm: VmId) -> Option<Seen> {
        self.state().machine(vm).map(Seen::from)
    }

    /// The VMs of which the world has anything, in no order.
    pub fn vms(&self) -> Vec<VmId> {
        self.state().host.vms.keys().copied().collect()
    }

    /// Everything that the world has of a VM, each by a name: `run folder`, `process 1073741824`,
    /// `record`, `disk root`, `tap lan`, and `logs`, which stay until the VM is forgotten.
    pub fn leftovers(&self, vm: VmId) -> Vec<String> {
        let state = self.state();
        let Some(belongings) = state.host.vms.get(&vm) else { return Vec::new() };
        let mut left = Vec::new();
        left.extend(belongings.run_folder.map(|_| "run folder".to_owned()));
        if let Some(machine) = &belongings.machine {
            let process = machine.incarnation.process.filter(|_| machine.is_alive());
            left.extend(process.map(|process| format!("process {}", process.pid)));
            left.push("record".into());
            left.extend(machine.devices.iter().map(|device| match device.is_nic() {
                true => format!("tap {}", device.name()),
                false => format!("disk {}", device.name()),
            }));
        }
        left.extend(belongings.has_logs().then(|| "logs".to_owned()));
        left
    }

    /// The machines that somebody else made, by the order of their processes.
    pub fn foreign(&self) -> Vec<Foreign> {
        self.state().host.foreign.values().cloned().collect()
    }

    /// Waits until a VM's machine is in this state, whoever notices it. Dropping it is harmless.
    pub async fn until(&self, vm: VmId, machine: MachineState) {
        self.wait_for(vm, |host| (host.facts(vm).machine == machine).then_some(())).await;
    }

    /// Whether everything that happened is in the world's file, so that it outlives this process. A
    /// world in memory has none, and lacks nothing.
    pub fn is_written_down(&self) -> bool {
        self.state().ledger_is_complete()
    }
}

impl State {
    pub(crate) fn machine(&self, vm: VmId) -> Option<&Machine> {
        self.host.vms.get(&vm)?.machine.as_deref()
    }
}
