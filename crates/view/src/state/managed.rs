//! VMs whose machines another manager has.
//!
//! Two may hold such a VM: its manager, who says what it is ([`Vm::managed`]), and, once it was adopted,
//! Innkeeper, with a spec. It is there for as long as one of them holds it.

use super::{Applying, new_vm};
use innkeeper_model::{
    Facts, MachineState, Managed, NeighbourMachine, ProjectName, Timestamp, Vm, VmId,
};
use std::sync::Arc;

impl Applying<'_> {
    /// Its manager says what it is.
    pub(super) fn see_managed(&mut self, by: ProjectName, machine: NeighbourMachine) {
        let known = self.state.snapshot.vms.get(&machine.id);
        let mut vm = match known {
            Some(record) => Vm::clone(record),
            None => new_vm(machine.id, machine.label(), by.clone()),
        };
        if known.is_some() && !is_of(&vm, &by) {
            let what = "a machine has the id of a VM that is not its manager's, and is not shown";
            return tracing::warn!(vm = %vm.id, %by, what);
        }
        see(&mut vm, by, machine, self.time);
        self.put_vm(vm);
    }

    /// Its manager has it no more.
    pub(super) fn lose_managed(&mut self, id: VmId, problem: String) {
        match self.state.snapshot.vms.get(&id) {
            Some(vm) if vm.is_foreign() => self.take_vm(id),
            _ => self.edit_vm(id, |vm| is_gone(vm, problem)),
        }
    }
}

/// Whether a manager may say what a known VM is: it did before, or the VM was adopted from it.
fn is_of(vm: &Vm, by: &ProjectName) -> bool {
    match (&vm.spec, &vm.managed) {
        (Some(spec), _) => spec.driver.as_deref() == Some(by.as_str()),
        (None, Some(managed)) => managed.by == by.as_str(),
        // Quarantined; whether it was adopted is not known.
        (None, None) => vm.project == *by,
    }
}

/// Takes over what a manager says.
fn see(vm: &mut Vm, by: ProjectName, machine: NeighbourMachine, time: Timestamp) {
    let first = vm.managed.is_none();
    if vm.spec.is_some() && first {
        // That it was not seen, or was gone.
        vm.problem = None;
    }
    if vm.is_foreign() {
        vm.name = machine.label();
    }
    vm.facts = Facts {
        machine: machine.machine,
        last_end: machine.last_end.or_else(|| vm.facts.last_end.take()),
        // How long it was so before it was first seen, nobody knows.
        since: match vm.facts.machine == machine.machine || first {
            true => vm.facts.since.filter(|_| !first),
            false => Some(time),
        },
        resets: 0,
    };
    let managed = Managed { by: by.into(), as_of: None, lost: None, machine: machine.is };
    vm.managed = Some(Arc::new(managed));
}

/// Its manager cannot be asked. What was told stays.
pub(super) fn lose(vm: &mut Vm, at: Timestamp, reason: String) {
    match &mut vm.managed {
        Some(managed) => {
            let managed = Arc::make_mut(managed);
            managed.as_of.get_or_insert(at);
            managed.lost = Some(reason);
        }
        None if vm.spec.is_some() => vm.problem = Some(reason),
        None => {}
    }
}

/// It was adopted, and its manager has not said yet what it is.
pub(super) fn not_seen_yet(vm: &mut Vm, driver: &str) {
    vm.facts = Facts { machine: MachineState::Unresponsive, ..Facts::default() };
    vm.problem = Some(format!("{driver} has not been asked yet how it is"));
}

/// It was adopted, and its manager does not have it any more. Of another VM, that says nothing.
fn is_gone(vm: &mut Vm, problem: String) {
    if vm.manager().is_none() {
        return;
    }
    vm.managed = None;
    vm.facts = Facts { last_end: vm.facts.last_end.take(), ..Facts::default() };
    vm.problem = Some(problem);
}

/// Innkeeper does not hold it any more; its manager does.
pub(super) fn is_theirs_again(vm: &mut Vm) {
    let Some(managed) = vm.managed.clone() else { return };
    (vm.spec, vm.want, vm.problem, vm.interrupted, vm.task) = (None, None, None, None, None);
    let machine = NeighbourMachine {
        id: vm.id,
        machine: vm.facts.machine,
        last_end: None,
        is: managed.machine.clone(),
    };
    vm.name = machine.label();
}

#[cfg(test)]
#[path = "managed_tests.rs"]
mod tests;
