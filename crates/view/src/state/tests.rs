use super::*;
use crate::test_data::{
    facts, network, network_id, reservation, resets, second, spec, subnet, task, task_id, vm_id,
    wish,
};
use innkeeper_model::{
    Foreign, GuestAddress, GuestSystem, MachineState, Secret, TaskState,
    config::CloudInit,
    host::{Hypervisor, Manager, Safeguard},
    network::{AddressSource, DhcpState},
};
use serde_json::json;

/// A state, and what it told the feed last.
struct Subjected {
    state: State,
    entries: Vec<Entry>,
}

fn state() -> Subjected {
    Subjected { state: State::new(Uuid::nil(), 2), entries: Vec::new() }
}

impl Subjected {
    fn apply(&mut self, update: Update) -> serde_json::Value {
        self.entries.clear();
        self.state.apply(update, second(0), &mut self.entries);
        self.entries
            .iter()
            .map(|entry| {
                let change = entry.to_change();
                json!([change.action, change.id.trim_start_matches(['0', '-'])])
            })
            .collect()
    }

    fn vm(&self, n: u128) -> &Vm {
        &self.state.snapshot.vms[&vm_id(n)]
    }

    fn revision(&self) -> u64 {
        self.state.snapshot.revision.0
    }
}

#[test]
fn each_change_is_a_revision_and_what_changes_nothing_is_none() {
    let mut state = state();
    let update_and_changes = [
        (wish(1, "web"), json!([["create", "1"]])),
        (wish(1, "web"), json!([])),
        (facts(1, MachineState::Running), json!([["modify", "1"]])),
        (facts(1, MachineState::Running), json!([])),
        (Update::VmTask { id: vm_id(1), task: Some(task_id(7)) }, json!([["modify", "1"]])),
        (Update::Task(task(7, TaskState::Running)), json!([["create", "7"]])),
        (Update::Task(task(7, TaskState::Running)), json!([])),
        (Update::TaskForgotten(task_id(7)), json!([["delete", "7"]])),
        (Update::TaskForgotten(task_id(7)), json!([])),
        (Update::VmRemoved(vm_id(1)), json!([["delete", "1"]])),
        (Update::VmRemoved(vm_id(1)), json!([])),
        (facts(1, MachineState::Running), json!([])),
    ];
    for (update, expected) in update_and_changes {
        let before = state.revision();
        let text = format!("{update:?}");
        assert_eq!(state.apply(update), expected, "{text}");
        assert_eq!(state.revision(), before + expected.as_array().unwrap().len() as u64);
        for entry in &state.entries {
            assert_eq!(entry.revision().0, state.revision());
        }
    }
}

#[test]
fn a_record_has_the_revision_of_its_last_change() {
    let mut state = state();
    state.apply(wish(1, "web"));
    state.apply(wish(2, "db"));
    state.apply(resets(1, 1));
    assert_eq!((state.vm(1).revision.0, state.vm(2).revision.0), (3, 2));
}

#[test]
fn the_one_word_follows_the_facts() {
    let mut state = state();
    state.apply(wish(1, "web"));
    assert_eq!(state.vm(1).state, VmState::Stopped);
    state.apply(facts(1, MachineState::Paused));
    assert_eq!(state.vm(1).state, VmState::Paused);
    let [change] = &state.entries[..] else {
        panic!("{:?}", state.entries);
    };
    let mut paths: Vec<_> = change.to_change().changes.into_iter().map(|c| c.path).collect();
    paths.sort();
    assert_eq!(json!(paths), json!([["facts", "machine"], ["state"]]));
}

#[test]
fn a_quarantined_vm_keeps_its_facts_and_its_reason_until_its_spec_can_be_read() {
    let mut state = state();
    state.apply(wish(1, "web"));
    state.apply(facts(1, MachineState::Running));
    state.apply(Update::VmQuarantined {
        id: vm_id(1),
        name: "web".parse().unwrap(),
        project: ProjectName::default(),
        problem: "checksum".into(),
    });
    let problem = |problem: Option<&str>| Update::VmProblem {
        id: vm_id(1),
        problem: problem.map(str::to_owned),
    };
    assert_eq!(state.apply(problem(None)), json!([]));
    let vm = state.vm(1);
    assert_eq!(vm.state, VmState::Quarantined);
    assert_eq!(vm.problem.as_deref(), Some("checksum"));
    assert_eq!((vm.facts.machine, vm.want, &vm.spec), (MachineState::Running, None, &None));
    state.apply(wish(1, "web"));
    assert_eq!((state.vm(1).state, &state.vm(1).problem), (VmState::Running, &None));
    state.apply(problem(Some("a disk too many")));
    state.apply(wish(1, "renamed"));
    assert_eq!(state.vm(1).problem.as_deref(), Some("a disk too many"));
}

#[test]
fn the_view_forgets_the_texts_of_secrets() {
    let mut spec = spec(1, "web");
    spec.config.cloud_init =
        Some(CloudInit { user_data: Some(Secret::new("hunter2")), ..CloudInit::default() });
    let spec = Arc::new(spec);
    let mut state = state();
    state.apply(Update::VmSpec(Arc::clone(&spec)));
    let seed = state.vm(1).spec.as_ref().unwrap().config.cloud_init.clone().unwrap();
    assert_eq!(seed.user_data.as_ref().unwrap().expose(), None);
    assert_eq!(state.apply(Update::VmSpec(spec)), json!([]), "the same secret is no change");
}

#[test]
fn an_event_is_in_the_feed_and_in_no_record() {
    let mut state = state();
    state.apply(wish(1, "web"));
    let event = HypervisorEvent { name: "RESET".into(), at: None, data: json!({"guest": true}) };
    let report = |n| Update::VmEvent { id: vm_id(n), event: event.clone() };
    assert_eq!(state.apply(report(2)), json!([]));
    assert_eq!(state.apply(report(1)), json!([["event", "1"]]));
    assert_eq!(state.apply(report(1)), json!([["event", "1"]]), "it happened again");
    assert_eq!(state.entries[0].to_change().event, Some(event));
    assert_eq!((state.vm(1).revision.0, state.revision()), (1, 3));
}

#[test]
fn of_the_finished_tasks_the_last_to_end_are_remembered() {
    let mut state = state();
    state.apply(Update::Task(task(1, TaskState::Running)));
    state.apply(Update::Task(task(9, TaskState::Done)));
    state.apply(Update::Task(task(8, TaskState::Failed)));
    let third = state.apply(Update::Task(task(10, TaskState::Done)));
    assert_eq!(third, json!([["create", "a"], ["delete", "8"]]));
    // A finished task that is told again, and one that is forgotten by hand, are counted rightly.
    let mut settled = task(9, TaskState::Done);
    settled.settled_at = Some(Revision(4));
    assert_eq!(state.apply(Update::Task(settled)), json!([["modify", "9"]]));
    state.apply(Update::TaskForgotten(task_id(9)));
    assert_eq!(state.apply(Update::Task(task(11, TaskState::Done))), json!([["create", "b"]]));
    let left: Vec<_> = state.state.snapshot.tasks.keys().copied().collect();
    assert_eq!(left, [1, 10, 11].map(task_id));
}

#[test]
fn the_host_comes_to_be_with_its_first_description() {
    let mut state = state();
    let host = |cpus| Update::Host(Host { name: "h".into(), cpus, ..Host::default() });
    assert_eq!(state.apply(host(2)), json!([["create", "h"]]));
    assert_eq!(state.apply(host(2)), json!([]));
    assert_eq!(state.apply(host(4)), json!([["modify", "h"]]));
}

/// Several learn of it at the same time, and none knows what the others have told.
#[test]
fn what_is_learnt_of_the_host_takes_nothing_back_that_was_learnt_before() {
    let mut state = state();
    state.apply(Update::Host(Host { name: "h".into(), ..Host::default() }));
    let hypervisor = Arc::new(Hypervisor { driver: "sim".into(), ..Hypervisor::default() });
    let guard = |name: &str, active| {
        Update::Safeguard(Safeguard { name: name.into(), active, detail: "as it is".into() })
    };
    let foreign: Vec<Foreign> = serde_json::from_value(json!([{
        "driver": "sim", "process": { "pid": 7, "start_ticks": 8 }, "uid": 0,
    }]))
    .unwrap();
    for update in [
        Update::Hypervisor(hypervisor.clone()),
        guard("uid", true),
        guard("loopback", false),
        Update::Foreign(foreign.clone()),
        Update::Manager(Manager { name: "libvirt".into(), lost: None }),
        guard("uid", false),
    ] {
        assert_eq!(state.apply(update.clone()), json!([["modify", "h"]]));
        assert_eq!(state.apply(update), json!([]), "it is what it was");
    }
    let host = &state.state.snapshot.host;
    assert_eq!((&host.hypervisor, &host.foreign), (&Some((*hypervisor).clone()), &foreign));
    let names: Vec<_> = host.confinement.iter().map(|it| (&*it.name, it.active)).collect();
    assert_eq!(names, [("uid", false), ("loopback", false)]);
    assert_eq!(host.managers.len(), 1);
}

#[test]
fn a_renamed_vm_is_found_by_its_new_name_only() {
    let mut state = state();
    state.apply(wish(1, "web"));
    state.apply(wish(1, "db"));
    let found = |name: &str| {
        let snapshot = &state.state.snapshot;
        snapshot.vm_named(&ProjectName::default(), &name.parse().unwrap()).is_some()
    };
    assert_eq!((found("web"), found("db")), (false, true));
}

#[test]
fn a_network_keeps_its_facts_and_its_own_revision() {
    let mut state = state();
    let wish = |revision, mtu| {
        let mut network = network(1, "lan");
        network.revision = Revision(revision);
        network.config.mtu = mtu;
        // What comes with a wish is no fact.
        network.facts.problem = Some("made up".into());
        Update::Network(Arc::new(network))
    };
    let facts = |up| Update::NetworkFacts {
        id: network_id(1),
        facts: NetworkFacts { up, dhcp: Some(DhcpState::Running), ..NetworkFacts::default() },
    };
    assert_eq!(state.apply(facts(true)), json!([]), "of an unknown network");
    assert_eq!(state.apply(wish(1, None)), json!([["create", "1"]]));
    assert_eq!(state.apply(wish(1, None)), json!([]));
    assert_eq!(state.apply(facts(true)), json!([["modify", "1"]]));
    assert_eq!(state.apply(facts(true)), json!([]));
    assert_eq!(state.apply(wish(2, Some(9000))), json!([["modify", "1"]]));
    let paths: Vec<_> =
        state.entries[0].to_change().changes.into_iter().map(|c| c.path.join(".")).collect();
    assert_eq!(paths, ["config.mtu", "revision"]);
    let network = &state.state.snapshot.networks[&network_id(1)];
    assert_eq!((network.revision, network.facts.up), (Revision(2), true));
    assert_eq!(network.facts.problem, None);
    assert_eq!(state.apply(Update::NetworkRemoved(network_id(1))), json!([["delete", "1"]]));
    assert_eq!(state.entries[0].to_change().name.as_deref(), Some("lan"));
    assert_eq!(state.apply(Update::NetworkRemoved(network_id(1))), json!([]));
}

#[test]
fn ten_thousand_reservations_are_a_number_in_the_feed_and_weigh_nothing_there() {
    let mut state = state();
    let mut weights = Vec::new();
    for (revision, reserved) in [(1, 0), (2, 10_000), (3, 9_999)] {
        let mut network = network(1, "lan");
        network.revision = Revision(revision);
        network.subnets = vec![subnet(7, "10.0.0.0/16")];
        network.subnets[0].reservations = (0..reserved).map(reservation).collect();
        state.apply(Update::Network(Arc::new(network)));
        weights.push(state.entries[0].weight());
    }
    let change = state.entries[0].to_change();
    assert_eq!(
        json!(change.changes),
        json!([
            {"path": ["revision"], "old": 2, "new": 3},
            {"path": ["subnets", "0", "reserved"], "old": 10_000, "new": 9_999},
        ])
    );
    assert!(weights.iter().all(|weight| *weight < 2000), "{weights:?}");
    let network = &state.state.snapshot.networks[&network_id(1)];
    assert_eq!(network.subnets[0].reservations.len(), 9_999);
}

#[test]
fn what_an_agent_told_stays_while_other_addresses_change_and_goes_with_the_machine() {
    let mut state = state();
    state.apply(wish(1, "web"));
    let address =
        |last, source| GuestAddress { nic: None, address: [10, 0, 0, last].into(), source };
    let kept = |last| Update::VmAddresses {
        id: vm_id(1),
        addresses: vec![address(last, AddressSource::Lease)],
    };
    let told = || Update::VmGuest {
        id: vm_id(1),
        guest: Some(Arc::new(GuestSystem { os: Some("x".into()), ..GuestSystem::default() })),
        addresses: vec![address(9, AddressSource::Agent)],
    };
    let last = |state: &Subjected| -> Vec<String> {
        state.vm(1).addresses.iter().map(|known| known.address.to_string()).collect()
    };
    assert_eq!(state.apply(told()), json!([]), "it has no machine");
    state.apply(facts(1, MachineState::Running));
    state.apply(told());
    state.apply(kept(1));
    state.apply(kept(2));
    assert_eq!(last(&state), ["10.0.0.2", "10.0.0.9"]);
    assert_eq!(state.apply(told()), json!([]), "nothing new");
    state.apply(facts(1, MachineState::Absent));
    assert_eq!(last(&state), ["10.0.0.2"]);
    assert!(state.vm(1).guest.is_none());
}

#[test]
fn the_addresses_of_a_guest_are_part_of_its_vm() {
    let mut state = state();
    let told = |last| Update::VmAddresses {
        id: vm_id(1),
        addresses: vec![GuestAddress {
            nic: Some("net0".parse().unwrap()),
            address: [10, 0, 0, last].into(),
            source: AddressSource::Reservation,
        }],
    };
    assert_eq!(state.apply(told(2)), json!([]), "of an unknown VM");
    state.apply(wish(1, "web"));
    let bare = state.entries[0].weight();
    assert_eq!(state.apply(told(2)), json!([["modify", "1"]]));
    assert_eq!(state.apply(told(2)), json!([]));
    assert_eq!(state.vm(1).addresses.len(), 1);
    assert_eq!(state.apply(told(3)), json!([["modify", "1"]]));
    assert!(state.entries[0].weight() > bare + size_of::<GuestAddress>());
    let change = state.entries[0].to_change();
    assert_eq!(change.changes[0].path, ["addresses", "0", "address"]);
}
