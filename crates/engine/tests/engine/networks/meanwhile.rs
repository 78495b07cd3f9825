//! What happens to networks and VMs at the same time.

use super::{Gate, ip, network_delete, on_lan, release, reserve, subnet_create, subnet_delete};
use crate::support::{Bench, START, create};
use innkeeper_engine::{NetworkRequest, Request, ReservationWish};
use innkeeper_model::{Code, TaskState, VmState};
use serde_json::json;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

async fn held_at(point: &str) -> (Bench, Arc<Gate>) {
    let gate = Gate::at(point);
    let bench = Bench::witnessed(crate::support::Setup::default(), Some(gate.clone())).await;
    (bench, gate)
}

#[tokio::test]
async fn creates_at_once_never_get_the_same_address() {
    let bench = Bench::new().await;
    bench.network("lan", &["10.0.0.0/28"]).await;
    let names: Vec<String> = (0..20).map(|number| format!("vm-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let made = bench.create_at_once(&names).await;
    assert_eq!(made.len(), 13, "as many as there are");
    let given: BTreeSet<IpAddr> = made.iter().flat_map(|vm| bench.assigned(*vm, "lan")).collect();
    assert_eq!(given.len(), 13);
    bench.is_wired().await;
}

/// Two ask at the same moment, from two threads; then two of which one wants an address kept for what has that
/// hardware address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_ask_at_once_for_one_hardware_address_one_gets_it() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let subnet = bench.subnet(lan);
    for round in 0..20 {
        let mac = format!("52:54:00:00:00:{round:02x}");
        let create = |name: &str| {
            let mut asks = on_lan(name);
            asks["nics"][0]["mac"] = json!(mac);
            create(asks)
        };
        let keep = || {
            let wish =
                ReservationWish { mac: Some(mac.parse().unwrap()), ..ReservationWish::default() };
            Request::Network(NetworkRequest::Reserve { subnet, wanted: vec![wish] })
        };
        let other = if round % 2 == 0 { create("other") } else { keep() };
        let both = [create("one"), other].map(|request| {
            let engine = bench.engine.clone();
            tokio::spawn(async move { engine.submit(&crate::support::caller(), request).await })
        });
        let mut had = 0;
        let mut refused = Vec::new();
        for asked in both {
            match asked.await.unwrap() {
                Err(refusal) => refused.push(refusal),
                Ok(accepted) => match bench.end_of(&accepted).await.error {
                    Some(refusal) => refused.push(refusal),
                    None => had += 1,
                },
            }
        }
        assert_eq!((had, refused.len()), (1, 1), "round {round}: {refused:?}");
        assert_eq!(refused[0].code, Code::InUse, "{refused:?}");
        assert_eq!(refused[0].value.as_deref(), Some(mac.as_str()), "{refused:?}");
        for vm in bench.vms() {
            bench.must(Request::Delete { vm: vm.id, force: true }).await;
        }
        let kept = bench.network_record(lan).subnets[0].reservations.clone();
        if let [kept] = &kept[..] {
            bench.must(release(subnet, vec![kept.address])).await;
        }
        bench.is_wired().await;
    }
}

/// A create that was accepted while its network was being deleted.
#[tokio::test]
async fn a_vm_whose_network_goes_before_its_turn_is_not_made() {
    let (bench, gate) = held_at("network-delete/remove-network/before-journal").await;
    let lan = bench.lan().await;
    let deletes = bench.submit(network_delete(lan)).await.unwrap();
    gate.reached().await;
    let creates = bench.submit(create(on_lan("web"))).await.unwrap();
    gate.open();
    assert_eq!(bench.end_of(&deletes).await.state, TaskState::Done);
    let task = bench.end_of(&creates).await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert_eq!(task.error.unwrap().field.as_deref(), Some("nics[0].network"));
    assert!(bench.vms().is_empty());
    bench.has_no_networks().await;
    bench.lan().await;
    bench.is_wired().await;
}

#[tokio::test]
async fn a_vm_whose_subnet_goes_before_its_turn_is_not_made() {
    let (bench, gate) = held_at("subnet-delete/save-network/before-journal").await;
    let lan = bench.lan().await;
    let deletes = bench.submit(subnet_delete(bench.subnet(lan))).await.unwrap();
    gate.reached().await;
    let creates = bench.submit(create(on_lan("web"))).await.unwrap();
    gate.open();
    assert_eq!(bench.end_of(&deletes).await.state, TaskState::Done);
    let task = bench.end_of(&creates).await;
    let refused = task.error.unwrap();
    assert_eq!(refused.field.as_deref(), Some("nics[0].addresses"));
    assert_eq!(refused.value.as_deref(), Some("10.0.0.2"));
    assert!(bench.vms().is_empty());
    bench.must(subnet_create(lan, json!({ "range": "10.0.0.0/29", "gateway": "10.0.0.2" }))).await;
    bench.is_wired().await;
}

/// An edit that was accepted while the network it moves to was replaced by another of that name.
#[tokio::test]
async fn a_nic_does_not_move_to_another_network_than_the_one_that_was_there() {
    let (bench, gate) = held_at("network-delete/remove-network/before-journal").await;
    let lan = bench.lan().await;
    let vm = bench.create("web").await;
    let deletes = bench.submit(network_delete(lan)).await.unwrap();
    gate.reached().await;
    let nics = json!([{ "name": "lan", "network": "lan" }]);
    let edits = bench.submit(bench.with_nics(vm, nics)).await.unwrap();
    gate.open();
    bench.end_of(&deletes).await;
    assert_eq!(bench.end_of(&edits).await.state, TaskState::Failed);
    bench.has_no_networks().await;
    bench.lan().await;
    bench.is_wired().await;
    assert!(bench.vm(vm).spec.unwrap().config.nics.is_empty());
}

/// Between the choice of an address and its being kept a VM can ask for it.
#[tokio::test]
async fn a_vm_and_a_reservation_do_not_get_the_same_address() {
    let (bench, gate) = held_at("subnet-reserve/keep-addresses/after-journal").await;
    let lan = bench.lan().await;
    let its = ip("10.0.0.5");
    let reserves = bench.submit(reserve(bench.subnet(lan), &[its], 1)).await.unwrap();
    gate.reached().await;
    let mut asks = on_lan("web");
    asks["nics"][0]["addresses"] = json!([its]);
    let creates = bench.submit(create(asks)).await.unwrap();
    gate.open();
    let task = bench.end_of(&reserves).await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert_eq!(task.error.unwrap().code, Code::InUse);
    assert!(task.leftovers.is_empty());
    assert_eq!(bench.end_of(&creates).await.state, TaskState::Done);
    assert!(bench.network_record(lan).subnets[0].reservations.is_empty());
    bench.is_wired().await;
}

/// What a task has chosen is its VM's, whatever else is asked of that VM and does not come to pass.
#[tokio::test]
async fn a_cancelled_task_does_not_give_back_what_another_has_chosen() {
    let (bench, gate) = held_at("edit/save-spec/before-journal").await;
    bench.lan().await;
    let vm = bench.create("web").await;
    let nics = json!([{ "name": "lan", "network": "lan", "addresses": ["10.0.0.5"] }]);
    let first = bench.submit(bench.with_nics(vm, nics)).await.unwrap();
    gate.reached().await;
    let second = bench.submit(bench.edited(vm, |config| config.cpus = 2)).await.unwrap();
    bench.cancel(&second).await.unwrap();
    assert_eq!(bench.end_of(&second).await.state, TaskState::Cancelled);
    let mut asks = on_lan("other");
    asks["nics"][0]["addresses"] = json!(["10.0.0.5"]);
    assert_eq!(bench.refused(create(asks)).await.code, Code::InUse);
    gate.open();
    assert_eq!(bench.end_of(&first).await.state, TaskState::Done);
    bench.is_wired().await;
}

/// A daemon that takes up a VM's operation knows what that VM has.
#[tokio::test]
async fn what_a_vm_has_is_known_before_its_operation_is_taken_up() {
    let point = "start/wire-nics/before-journal";
    let (bench, gate) = held_at(point).await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.idle().await;
    let started = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    gate.reached().await;
    let ended = bench.killed().await;
    let gate = Gate::at(point);
    let bench = ended.begin_witnessed(Some(gate.clone())).await;
    gate.reached().await;
    let mut asks = on_lan("other");
    asks["nics"][0]["addresses"] = json!(["10.0.0.2"]);
    assert_eq!(bench.refused(create(asks)).await.code, Code::InUse);
    let others = bench.create_at_once(&["a", "b", "c", "d", "e", "f"]).await;
    assert_eq!(others.len(), 4);
    gate.open();
    bench.end_of(&started).await;
    bench.until_state(vm, VmState::Running).await;
    bench.is_wired().await;
}

/// One that waits for its turn is cancelled: what it took when it was accepted is free.
#[tokio::test]
async fn what_never_had_its_turn_gives_back_what_it_was_promised() {
    let (bench, gate) = held_at("subnet-create/save-network/before-journal").await;
    let lan = bench.lan().await;
    let subnet = bench.submit(subnet_create(lan, json!({ "range": "10.1.0.0/29" }))).await.unwrap();
    gate.reached().await;
    let queued = bench.submit(create(on_lan("web"))).await.unwrap();
    bench.cancel(&queued).await.unwrap();
    assert_eq!(bench.end_of(&queued).await.state, TaskState::Cancelled);
    gate.open();
    bench.end_of(&subnet).await;
    bench.is_wired().await;
}
