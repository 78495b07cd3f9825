//! What the tests of this crate have in common: things to put into a view, and a reader of its feed
//! that knows nothing but what it was told.

use crate::{Batch, Delivery, Snapshot, Update};
use innkeeper_model::{
    Action, Change, Facts, FieldChange, MachineState, Network, NetworkConfig, NetworkId,
    ResourceKind, Revision, ShownNetwork, Spec, SubnetConfig, SubnetId, Task, TaskId, TaskState,
    Timestamp, VmConfig, VmId, Want,
    network::{NetworkFacts, Reservation, Subnet},
};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

pub(crate) fn vm_id(n: u128) -> VmId {
    VmId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn task_id(n: u128) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

pub(crate) fn spec(n: u128, name: &str) -> Spec {
    Spec {
        id: vm_id(n),
        revision: Revision(1),
        created: second(0),
        updated: second(0),
        want: Want::Stopped,
        draft: false,
        driver: None,
        config: VmConfig::new(name.parse().unwrap()),
        assigned: Default::default(),
    }
}

pub(crate) fn wish(n: u128, name: &str) -> Update {
    Update::VmSpec(Arc::new(spec(n, name)))
}

pub(crate) fn facts(n: u128, machine: MachineState) -> Update {
    let facts = Facts { machine, ..Facts::default() };
    Update::VmFacts { id: vm_id(n), facts }
}

/// A change of a VM's facts that differs from all with another count.
pub(crate) fn resets(n: u128, resets: u32) -> Update {
    let facts = Facts { resets, ..Facts::default() };
    Update::VmFacts { id: vm_id(n), facts }
}

pub(crate) fn task(n: u128, state: TaskState) -> Task {
    Task {
        id: task_id(n),
        operation: "start".into(),
        vm: None,
        subject: "web".into(),
        caller: "root".into(),
        request_id: None,
        state,
        cancellable: false,
        created: second(0),
        started: None,
        ended: state.is_final().then(|| second(n.try_into().unwrap())),
        steps: Vec::new(),
        percent: None,
        error: None,
        warnings: Vec::new(),
        leftovers: Vec::new(),
        log: Vec::new(),
        resources: Vec::new(),
        taken_up: 0,
        project: None,
        settled_at: None,
        revision: Revision::default(),
    }
}

pub(crate) fn network_id(n: u128) -> NetworkId {
    NetworkId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn network(n: u128, name: &str) -> Network {
    Network {
        id: network_id(n),
        revision: Revision(1),
        created: second(0),
        updated: second(0),
        config: NetworkConfig::new(name.parse().unwrap()),
        bridge: "inn0".parse().unwrap(),
        subnets: Vec::new(),
        facts: NetworkFacts::default(),
    }
}

pub(crate) fn subnet(n: u128, range: &str) -> Subnet {
    let config = SubnetConfig::new(range.parse().unwrap());
    Subnet { id: SubnetId::from_uuid(Uuid::from_u128(n)), config, reservations: Vec::new() }
}

/// The reservation of the n-th address of 10.0.0.0.
pub(crate) fn reservation(n: u32) -> Reservation {
    let address = std::net::Ipv4Addr::from((10 << 24) + n).into();
    Reservation { address, mac: None, name: Some(format!("host-{n}").parse().unwrap()) }
}

/// Applies what [`crate::diff`] found.
pub(crate) fn apply_changes(document: &mut Value, changes: &[FieldChange]) {
    for FieldChange { path, new, .. } in changes {
        let Some((last, parents)) = path.split_last() else {
            *document = new.clone().unwrap();
            continue;
        };
        let parent = parents.iter().fold(&mut *document, |at, key| match at {
            Value::Array(elements) => &mut elements[key.parse::<usize>().unwrap()],
            object => &mut object[key],
        });
        match (parent, new) {
            (Value::Object(members), Some(new)) => {
                members.insert(last.clone(), new.clone());
            }
            (Value::Object(members), None) => {
                members.remove(last).unwrap();
            }
            (Value::Array(elements), Some(new)) => {
                let index: usize = last.parse().unwrap();
                elements.splice(index..elements.len().min(index + 1), [new.clone()]);
            }
            (Value::Array(elements), None) => {
                assert_eq!(last.parse::<usize>().unwrap() + 1, elements.len());
                elements.pop();
            }
            (leaf, _) => panic!("{path:?} leads through {leaf}"),
        }
    }
}

/// All that a reader knows: each thing by its kind and id, as JSON.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Picture(BTreeMap<(ResourceKind, String), Value>);

impl Picture {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut picture = Self::default();
        for (id, vm) in &snapshot.vms {
            picture.put(ResourceKind::Vm, id, &**vm.value());
        }
        for (id, task) in &snapshot.tasks {
            picture.put(ResourceKind::Task, id, &**task.value());
        }
        for (name, image) in &snapshot.images {
            picture.put(ResourceKind::Image, name, &**image.value());
        }
        for (id, network) in &snapshot.networks {
            picture.put(ResourceKind::Network, id, &ShownNetwork::from(&***network));
        }
        if snapshot.host.revision > Revision::default() {
            picture.put(ResourceKind::Host, &snapshot.host.name, &**snapshot.host.value());
        }
        picture
    }

    fn put(&mut self, kind: ResourceKind, id: impl ToString, value: &impl Serialize) {
        let value = serde_json::to_value(value).unwrap();
        self.0.insert((kind, id.to_string()), value);
    }

    pub(crate) fn take(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Changes(batch) => self.take_batch(batch),
            Delivery::Gap(snapshot) => *self = Self::of(snapshot),
        }
    }

    pub(crate) fn take_batch(&mut self, batch: &Batch) {
        batch.changes().for_each(|change| self.take_change(change));
    }

    fn take_change(&mut self, change: Change) {
        let key = (change.kind, change.id.clone());
        match change.action {
            Action::Create => {
                let before = self.0.insert(key, change.object.unwrap());
                assert_eq!(before, None, "created twice");
            }
            Action::Modify => {
                assert_ne!(change.changes, [], "a modification of nothing");
                let object = self.0.get_mut(&key).expect("modified before it was created");
                apply_changes(object, &change.changes);
                if change.kind != ResourceKind::Network {
                    object["revision"] = change.revision.0.into();
                }
            }
            Action::Delete => {
                self.0.remove(&key).expect("deleted before it was created");
            }
            Action::Event => assert!(self.0.contains_key(&key), "of an unknown VM"),
        }
    }
}
