use super::super::State;
use crate::{
    Snapshot,
    test_data::{facts, second, spec, vm_id, wish},
    update::Update,
};
use innkeeper_model::{
    EndReason, Host, MachineState, ManagedMachine, NeighbourMachine, Vm, VmState,
    host::{Manager, ManagerLost},
};
use std::sync::Arc;
use uuid::Uuid;

struct Seen(State, i64);

impl Seen {
    fn new() -> Self {
        Self(State::new(Uuid::nil(), 2), 0)
    }

    /// Applies something, a second after what came before.
    fn apply(&mut self, update: Update) -> usize {
        let mut entries = Vec::new();
        self.1 += 1;
        self.0.apply(update, second(self.1), &mut entries);
        entries.len()
    }

    fn snapshot(&self) -> &Snapshot {
        self.0.snapshot()
    }

    fn vm(&self, n: u128) -> &Vm {
        &self.snapshot().vms[&vm_id(n)]
    }
}

fn told(n: u128, name: &str, machine: MachineState) -> Update {
    told_by("libvirt", n, name, machine)
}

fn told_by(by: &str, n: u128, name: &str, machine: MachineState) -> Update {
    let is = ManagedMachine { name: name.into(), ..ManagedMachine::default() };
    let machine = NeighbourMachine { id: vm_id(n), machine, last_end: None, is };
    Update::VmManaged { by: by.parse().unwrap(), machine: Box::new(machine) }
}

fn adopted(n: u128, name: &str) -> Update {
    let mut spec = spec(n, name);
    spec.driver = Some("libvirt".into());
    spec.config.project = "libvirt".parse().unwrap();
    Update::VmSpec(Arc::new(spec))
}

fn gone(n: u128) -> Update {
    Update::VmUnmanaged { id: vm_id(n), problem: "it is gone".into() }
}

#[test]
fn managers_are_told_by_themselves_and_who_describes_the_host_forgets_none() {
    let mut seen = Seen::new();
    let manager = |name: &str, lost| Update::Manager(Manager { name: name.into(), lost });
    let at = second(1);
    let loss = ManagerLost { at, reason: "no socket".into(), hint: Some("start it".into()) };
    let described = Host { name: "h".into(), ..Host::default() };
    assert_eq!(seen.apply(manager("libvirt", Some(loss.clone()))), 1);
    assert_eq!(seen.apply(Update::Host(described.clone())), 1);
    assert_eq!(seen.apply(Update::Host(described)), 0, "it is what it was");
    assert_eq!(seen.apply(manager("paper", None)), 1);
    assert_eq!(seen.apply(manager("paper", None)), 0);
    let is_lost = |seen: &Seen| -> Vec<(String, bool)> {
        let managers = seen.snapshot().host.managers.iter();
        managers.map(|known| (known.name.clone(), known.lost.is_some())).collect()
    };
    assert_eq!(is_lost(&seen), [("libvirt".into(), true), ("paper".into(), false)]);
    assert_eq!(seen.snapshot().host.name, "h");
    assert_eq!(seen.apply(manager("libvirt", None)), 1);
    assert_eq!(is_lost(&seen)[0], ("libvirt".into(), false));
    assert_eq!(loss.in_words(), "no socket; start it");
}

fn lost(n: u128) -> Update {
    Update::VmManagerLost { id: vm_id(n), at: second(99), reason: "no socket".into() }
}

#[test]
fn it_comes_changes_and_goes_as_any_other_and_what_is_as_it_was_is_no_change() {
    let mut seen = Seen::new();
    assert_eq!(seen.apply(told(1, "web", MachineState::Running)), 1);
    assert_eq!(seen.vm(1).facts.since, None, "since when it runs, nobody knows");
    assert_eq!(seen.apply(told(1, "web", MachineState::Running)), 0);
    assert_eq!(seen.apply(told(1, "web", MachineState::Paused)), 1);
    assert_eq!((seen.vm(1).state, seen.vm(1).facts.since), (VmState::Paused, Some(second(3))));
    assert_eq!(seen.apply(told(1, "web", MachineState::Paused)), 0);
    assert_eq!(seen.apply(told(1, "other", MachineState::Paused)), 1);
    assert_eq!(seen.vm(1).name.as_str(), "other");
    assert!(seen.vm(1).is_foreign());
    assert_eq!(seen.apply(facts(1, MachineState::Absent)), 0, "no driver's word counts here");
    assert_eq!(seen.apply(gone(1)), 1);
    assert!(seen.snapshot().vms.is_empty());
    assert_eq!(seen.apply(gone(1)), 0);
}

#[test]
fn how_it_ended_is_kept_until_it_is_told_again() {
    let mut seen = Seen::new();
    let Update::VmManaged { by, mut machine } = told(1, "web", MachineState::Absent) else {
        unreachable!("that is what it makes")
    };
    machine.last_end = Some(EndReason::GuestPanic);
    seen.apply(Update::VmManaged { by, machine });
    seen.apply(told(1, "web", MachineState::Absent));
    assert_eq!(seen.vm(1).facts.last_end, Some(EndReason::GuestPanic));
}

#[test]
fn while_its_manager_is_away_it_is_of_then() {
    let mut seen = Seen::new();
    seen.apply(told(1, "web", MachineState::Running));
    assert_eq!(seen.apply(lost(1)), 1);
    assert_eq!(seen.apply(lost(1)), 0);
    let managed = seen.vm(1).managed.clone().unwrap();
    assert_eq!((managed.as_of, managed.lost.as_deref()), (Some(second(99)), Some("no socket")));
    assert_eq!(seen.vm(1).state, VmState::Running);
    seen.apply(told(1, "web", MachineState::Running));
    let managed = seen.vm(1).managed.clone().unwrap();
    assert_eq!((managed.as_of, managed.lost.as_deref()), (None, None));
}

#[test]
fn it_is_there_for_as_long_as_somebody_has_it() {
    let mut seen = Seen::new();
    seen.apply(told(1, "web", MachineState::Running));
    seen.apply(adopted(1, "web"));
    assert!(!seen.vm(1).is_foreign());
    assert_eq!(seen.vm(1).state, VmState::Running);
    seen.apply(Update::VmRemoved(vm_id(1)));
    assert!(seen.vm(1).is_foreign());
    assert_eq!((seen.vm(1).state, seen.vm(1).want), (VmState::Running, None));
    seen.apply(adopted(1, "web"));
    seen.apply(gone(1));
    assert_eq!(seen.vm(1).state, VmState::Stopped);
    assert_eq!(seen.vm(1).problem.as_deref(), Some("it is gone"));
    seen.apply(told(1, "web", MachineState::Running));
    assert_eq!((seen.vm(1).state, seen.vm(1).problem.as_deref()), (VmState::Running, None));
    seen.apply(gone(1));
    seen.apply(Update::VmRemoved(vm_id(1)));
    assert!(seen.snapshot().vms.is_empty());
}

#[test]
fn one_that_was_adopted_is_as_nobody_knows_until_its_manager_says() {
    let mut seen = Seen::new();
    seen.apply(adopted(1, "web"));
    assert_eq!(seen.vm(1).state, VmState::Unresponsive);
    seen.apply(lost(1));
    assert_eq!(seen.vm(1).problem.as_deref(), Some("no socket"));
    seen.apply(told(1, "web", MachineState::Absent));
    assert_eq!((seen.vm(1).state, seen.vm(1).problem.as_deref()), (VmState::Stopped, None));
}

#[test]
fn a_damaged_record_of_one_is_quarantined_whatever_its_manager_says() {
    let mut seen = Seen::new();
    seen.apply(Update::VmQuarantined {
        id: vm_id(1),
        name: "web".parse().unwrap(),
        project: "libvirt".parse().unwrap(),
        problem: "torn".into(),
    });
    seen.apply(told(1, "web", MachineState::Running));
    assert_eq!((seen.vm(1).state, seen.vm(1).is_foreign()), (VmState::Quarantined, false));
    seen.apply(Update::VmRemoved(vm_id(1)));
    assert_eq!((seen.vm(1).state, seen.vm(1).is_foreign()), (VmState::Running, true));
}

#[test]
fn nobody_says_what_is_not_theirs() {
    let mut seen = Seen::new();
    seen.apply(wish(1, "own"));
    seen.apply(facts(1, MachineState::Running));
    assert_eq!(seen.apply(told(1, "theirs", MachineState::Absent)), 0);
    assert_eq!(seen.apply(gone(1)), 0);
    assert_eq!(seen.vm(1).state, VmState::Running);
    seen.apply(told(2, "theirs", MachineState::Running));
    assert_eq!(seen.apply(told_by("another", 2, "mine", MachineState::Absent)), 0);
}
