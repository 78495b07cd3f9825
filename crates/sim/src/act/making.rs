//! Making machines and putting them away, and taking over those of others.

use super::{Outcome, died, is_meant, wrong};
use crate::{
    change::Change,
    machine::{Device, Machine},
    steps::Launch,
    world::World,
};
use innkeeper_model::{Code, Foreign, Incarnation, IncarnationId, Refusal, VmId, network::Plug};
use serde_json::Value;
use std::sync::Arc;

impl World {
    pub(super) fn prepare(&self, vm: VmId, incarnation: IncarnationId) -> Outcome {
        let mut state = self.state();
        if let Some(machine) = state.machine(vm) {
            let message = format!("there is the record of a machine already: {}", machine.id());
            let refusal = Refusal::new(Code::WrongState, message);
            return Err(refusal.with_hint("end it with `inn kill`"));
        }
        self.change(&mut state, vm, Change::Prepared(incarnation));
        Ok(())
    }

    pub(super) fn launch(&self, vm: VmId, launch: Launch) -> Outcome {
        let Launch { mut incarnation, name, reboots_in_place } = launch;
        let mut state = self.state();
        if let Some(machine) = state.machine(vm) {
            return match machine.id() == incarnation.id {
                true if machine.is_alive() => Ok(()),
                true => Err(died()),
                false => Err(Refusal::new(Code::WrongState, "the VM has another machine")),
            };
        }
        let folder = state.host.vms.get(&vm).and_then(|belongings| belongings.run_folder);
        if folder != Some(incarnation.id) {
            let message = "the hypervisor cannot start: its run folder is not there";
            return Err(Refusal::new(Code::HypervisorFailed, message));
        }
        incarnation.process = Some(state.host.next_process(self.now()));
        let incarnation = Arc::new(incarnation);
        self.change(&mut state, vm, Change::Launched { incarnation, name, reboots_in_place });
        Ok(())
    }

    pub(super) fn plug(&self, vm: VmId, incarnation: IncarnationId, device: Device) -> Outcome {
        let mut state = self.state();
        let machine = state.alive(vm, Some(incarnation))?;
        if !machine.devices.contains(&device) {
            self.change(&mut state, vm, Change::Plugged(device));
        }
        Ok(())
    }

    pub(super) fn unplug(&self, vm: VmId, incarnation: IncarnationId, device: Device) {
        let mut state = self.state();
        let machine = state.meant(vm, Some(incarnation));
        if machine.is_some_and(|machine| machine.devices.contains(&device)) {
            self.change(&mut state, vm, Change::Unplugged(device));
        }
    }

    /// Changes what NICs a machine has, and the record of it with them. Done twice, it is done once.
    pub(super) fn rewire(
        &self,
        vm: VmId,
        incarnation: IncarnationId,
        added: Option<Device>,
        removed: Option<Device>,
        plug: Option<&Plug>,
    ) -> Outcome {
        let mut state = self.state();
        let machine = state.alive(vm, Some(incarnation))?;
        let mut record = Incarnation::clone(&machine.incarnation);
        let mut opens = record.opens.as_array().cloned().unwrap_or_default();
        let known = added.as_ref().is_some_and(|added| machine.devices.contains(added));
        let there = removed.clone().filter(|removed| machine.devices.contains(removed));
        for device in added.iter().chain(&removed) {
            opens.retain(|open| *open != device.to_string());
            record.plugs.retain(|plug| plug.nic.as_str() != device.name());
        }
        opens.extend(added.iter().map(|added| Value::String(added.to_string())));
        record.opens = opens.into();
        if let Some(plug) = plug {
            record.plugs.retain(|other| other.nic != plug.nic);
            record.plugs.push(plug.clone());
        }
        if let Some(added) = added.filter(|_| !known) {
            self.change(&mut state, vm, Change::Plugged(added));
        }
        if let Some(removed) = there {
            self.change(&mut state, vm, Change::Unplugged(removed));
        }
        self.change(&mut state, vm, Change::Rewired(Arc::new(record)));
        Ok(())
    }

    /// The same, taken back: in a machine that is gone there is nothing to take back.
    pub(super) fn rewire_unless_gone(
        &self,
        vm: VmId,
        incarnation: IncarnationId,
        added: Option<Device>,
        removed: Option<Device>,
        plug: Option<&Plug>,
    ) -> Outcome {
        let lives = self.is_alive(vm, incarnation);
        if lives { self.rewire(vm, incarnation, added, removed, plug) } else { Ok(()) }
    }

    /// Plugs a NIC's cable in or out.
    pub(super) fn set_link(
        &self,
        vm: VmId,
        incarnation: IncarnationId,
        nic: &Device,
        up: bool,
    ) -> Outcome {
        let mut state = self.state();
        let machine = state.alive(vm, Some(incarnation))?;
        if !machine.devices.contains(nic) {
            let message = format!("the machine has no {nic}");
            return Err(Refusal::new(Code::HypervisorFailed, message));
        }
        if machine.cables_out.contains(nic.name()) == up {
            self.change(&mut state, vm, Change::Cable { nic: nic.name().into(), up });
        }
        Ok(())
    }

    pub(super) fn put_away(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Outcome {
        let mut state = self.state();
        if state.meant(vm, incarnation).is_some_and(Machine::is_alive) {
            return Err(Refusal::new(Code::Internal, "a machine that lives cannot be put away"));
        }
        let meant = |id: Option<IncarnationId>| id.is_some_and(|id| is_meant(incarnation, id));
        let belongings = state.host.vms.get(&vm);
        let folder = belongings.and_then(|belongings| belongings.run_folder);
        let machine = state.machine(vm).map(Machine::id);
        if meant(machine.or(folder)) {
            self.change(&mut state, vm, Change::PutAway);
        } else if machine.is_none() {
            state.tell_of_no_record(vm);
        }
        Ok(())
    }

    /// Forgets what is kept of a deleted VM.
    pub(crate) fn forget(&self, vm: VmId) -> Outcome {
        let mut state = self.state();
        if state.machine(vm).is_some_and(Machine::is_alive) {
            return Err(wrong("it has a machine that lives"));
        }
        // First, so that nobody is told of what is no more.
        state.forget(vm);
        if state.host.vms.contains_key(&vm) {
            self.change(&mut state, vm, Change::Forgotten);
        }
        self.faults.forget(vm);
        Ok(())
    }

    pub(super) fn adopt(&self, vm: VmId, incarnation: Incarnation, foreign: Foreign) -> Outcome {
        let mut state = self.state();
        if let Some(machine) = state.machine(vm) {
            return match machine.id() == incarnation.id {
                true => Ok(()),
                false => Err(wrong("it has another machine")),
            };
        }
        // Taken as it is by now, and only if it is the process that was meant.
        let there = state.host.foreign.get(&foreign.process.pid);
        let there = there.filter(|there| there.process == foreign.process).cloned();
        let Some(there) = there else {
            let process = format!(
                "{} (started at tick {})",
                foreign.process.pid, foreign.process.start_ticks
            );
            return Err(Refusal::not_found("machine with the process", process));
        };
        let (incarnation, foreign) = (Arc::new(incarnation), Box::new(there));
        self.change(&mut state, vm, Change::Adopted { incarnation, foreign });
        Ok(())
    }

    pub(super) fn give_back(&self, vm: VmId, incarnation: IncarnationId) {
        let mut state = self.state();
        if let Some(machine) = state.meant(vm, Some(incarnation)) {
            let change = if machine.is_alive() { Change::GivenBack } else { Change::PutAway };
            self.change(&mut state, vm, change);
        }
    }
}
