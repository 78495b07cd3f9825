//! Which user ids VMs have, so that a free one is found without a look at every VM.

use crate::{entry::Transition, snapshot::Snapshot};
use imbl::OrdMap;
use innkeeper_model::Vm;

/// The user ids of VMs, each with how many have it: a VM by its spec and one by its machine may have
/// the same, if storage is damaged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uids(OrdMap<u32, u32>);

/// What a VM has: a machine keeps its user even where its spec cannot be read.
fn of(vm: &Vm) -> [Option<u32>; 2] {
    let of_machine = vm.incarnation.as_ref().and_then(|machine| machine.uid);
    let of_spec = vm.spec.as_ref().and_then(|spec| spec.assigned.uid);
    [of_machine, of_spec]
}

impl Uids {
    /// Takes over what became of a VM.
    pub(crate) fn follow(&mut self, transition: &Transition<Vm>) {
        let (before, after) = match transition {
            Transition::Created(after) => ([None; 2], of(after)),
            Transition::Modified { before, after } => (of(before), of(after)),
            Transition::Deleted(before) => (of(before), [None; 2]),
        };
        if before == after {
            return;
        }
        for uid in after.into_iter().flatten() {
            *self.0.entry(uid).or_default() += 1;
        }
        for uid in before.into_iter().flatten() {
            let left = self.0.get(&uid).map_or(0, |count| count - 1);
            if left == 0 {
                self.0.remove(&uid);
            } else {
                self.0.insert(uid, left);
            }
        }
    }
}

impl Snapshot {
    /// Whether a VM has this user id, by its spec or its machine.
    pub fn has_uid(&self, uid: u32) -> bool {
        self.uids.0.contains_key(&uid)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        state::State,
        test_data::{second, spec, vm_id},
        update::Update,
    };
    use std::sync::Arc;
    use uuid::Uuid;

    fn with_uid(n: u128, uid: Option<u32>) -> Update {
        let mut spec = spec(n, &format!("vm-{n}"));
        spec.assigned.uid = uid;
        Update::VmSpec(Arc::new(spec))
    }

    #[test]
    fn a_uid_is_had_until_the_last_that_has_it_is_gone_or_has_another() {
        let mut state = State::new(Uuid::nil(), 2);
        let mut had = |update| {
            state.apply(update, second(0), &mut Vec::new());
            [7, 8].map(|uid| state.snapshot().has_uid(uid))
        };
        assert_eq!(had(with_uid(1, None)), [false, false]);
        assert_eq!(had(with_uid(1, Some(7))), [true, false]);
        assert_eq!(had(with_uid(2, Some(7))), [true, false]);
        assert_eq!(had(with_uid(2, Some(8))), [true, true]);
        assert_eq!(had(Update::VmRemoved(vm_id(1))), [false, true]);
        assert_eq!(had(Update::VmRemoved(vm_id(2))), [false, false]);
    }

    #[test]
    fn a_machine_keeps_its_uid_when_its_spec_is_lost() {
        let mut state = State::new(Uuid::nil(), 2);
        let machine = serde_json::json!({
            "schema": 1, "id": Uuid::nil(), "vm": vm_id(1), "spec_revision": 1, "driver": "sim",
            "boot_id": "", "created": second(0), "hypervisor_version": "", "machine": "",
            "cpu_model": "", "accelerator": "", "cpus": 1, "memory": "32MiB", "run_folder": "/",
            "argv": [], "block_nodes": {}, "uid": 7,
        });
        let incarnation = serde_json::from_value(machine).unwrap();
        let updates = [
            with_uid(1, Some(8)),
            Update::VmIncarnation { id: vm_id(1), incarnation: Some(Arc::new(incarnation)) },
            Update::VmQuarantined {
                id: vm_id(1),
                name: "vm-1".parse().unwrap(),
                project: Default::default(),
                problem: "lost".into(),
            },
        ];
        for update in updates {
            state.apply(update, second(0), &mut Vec::new());
        }
        assert_eq!([7, 8].map(|uid| state.snapshot().has_uid(uid)), [true, false]);
    }
}
