//! Calls of the host that fail: what was done is undone, and what cannot be is listed and done later.

use super::{Gate, network_create, network_delete, network_edit, on_lan, reserve, subnet_create};
use crate::support::{Bench, LONG, START, STOP, as_told, create};
use async_trait::async_trait;
use innkeeper_engine::{Point, Request, Witness};
use innkeeper_model::{Refusal, Task, TaskState};
use innkeeper_network::{Call, PaperNetworks};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// Has the host's next call fail when a point is passed.
struct Fault {
    host: Arc<PaperNetworks>,
    at: Mutex<Option<(&'static str, Vec<Call>)>>,
}

impl Fault {
    fn at(&self, point: &'static str, calls: &[Call]) {
        *self.at.lock().unwrap() = Some((point, calls.to_vec()));
    }
}

#[async_trait]
impl Witness for Fault {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        let calls = self.at.lock().unwrap().take_if(|(at, _)| *at == point.to_string());
        for call in calls.into_iter().flat_map(|(_, calls)| calls) {
            self.host.fail_next(call, as_told());
        }
        Ok(())
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }
}

async fn bench() -> (Bench, Arc<Fault>) {
    let setup = crate::support::Setup::default();
    let fault = Arc::new(Fault { host: setup.networks.clone(), at: Mutex::default() });
    (Bench::witnessed(setup, Some(fault.clone())).await, fault)
}

fn failed(task: &Task) {
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert_eq!(task.error.as_ref().unwrap().message, as_told().message);
}

/// Waits until nothing is owed any more, having tried.
async fn settled(bench: &Bench) {
    bench.engine.settle_now().await;
    bench.until_so("settled", || bench.engine.diagnose().owed.is_empty()).await;
}

#[tokio::test]
async fn a_network_that_cannot_be_wired_was_never_there() {
    let (bench, fault) = bench().await;
    fault.at("network-create/wire-network/after-journal", &[Call::Apply]);
    let task = bench.run(network_create(json!({ "name": "lan" }), &["10.0.0.0/29"])).await;
    failed(&task);
    assert!(task.leftovers.is_empty(), "{task:?}");
    bench.has_no_networks().await;
    assert!(bench.setup.networks.calls().contains(&Call::Release));
    bench.lan().await;
    bench.is_wired().await;
}

#[tokio::test]
async fn what_cannot_be_undone_of_a_network_is_listed_and_undone_later() {
    for undoing in [Call::Apply, Call::Release] {
        let (bench, fault) = bench().await;
        fault.at("network-create/wire-network/after-journal", &[Call::Apply, undoing]);
        let task = bench.run(network_create(json!({ "name": "lan" }), &["10.0.0.0/29"])).await;
        failed(&task);
        assert!(task.leftovers[0].starts_with("save-network could not be undone"), "{task:?}");
        assert!(!bench.engine.diagnose().owed.is_empty());
        settled(&bench).await;
        bench.has_no_networks().await;
        bench.until("cleared", |seen| seen.tasks[&task.id].leftovers.is_empty()).await;
        bench.lan().await;
        bench.is_wired().await;
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_wired_is_taken_back() {
    let (bench, fault) = bench().await;
    let lan = bench.lan().await;
    bench.is_wired().await;
    let before = bench.network_record(lan);
    for (at, request) in [
        (
            "network-edit/wire-network/after-journal",
            network_edit(lan, json!({ "name": "lan", "isolated": true })),
        ),
        (
            "subnet-create/wire-network/after-journal",
            subnet_create(lan, json!({ "range": "10.1.0.0/24" })),
        ),
        ("subnet-reserve/wire-network/after-journal", reserve(bench.subnet(lan), &[], 2)),
    ] {
        fault.at(at, &[Call::Apply]);
        let task = bench.run(request).await;
        failed(&task);
        assert!(task.leftovers.is_empty(), "{task:?}");
        let after = bench.network_record(lan);
        assert_eq!((&after.config, &after.subnets), (&before.config, &before.subnets), "{at}");
        bench.is_wired().await;
    }
    let bench = bench.restart().await;
    assert_eq!(bench.network_record(lan).subnets, before.subnets);
    bench.is_wired().await;
}

#[tokio::test]
async fn a_network_that_cannot_be_removed_is_gone_for_readers_and_removed_later() {
    for failing in [Call::Apply, Call::Release] {
        let (bench, fault) = bench().await;
        let lan = bench.lan().await;
        bench.is_wired().await;
        fault.at("network-delete/release-network/after-journal", &[failing]);
        let task = bench.run(network_delete(lan)).await;
        failed(&task);
        assert!(task.leftovers[0].starts_with("release-network is still to be done"), "{task:?}");
        assert!(bench.snapshot().networks.is_empty());
        // The next daemon knows that as well.
        let bench = bench.restart().await;
        assert!(!bench.setup.networks.is_released(lan));
        settled(&bench).await;
        assert!(bench.setup.networks.is_released(lan));
        bench.has_no_networks().await;
    }
}

#[tokio::test]
async fn addresses_that_were_given_back_stay_so_whatever_the_host_does() {
    let (bench, fault) = bench().await;
    let lan = bench.lan().await;
    let subnet = bench.subnet(lan);
    bench.must(reserve(subnet, &[super::ip("10.0.0.5")], 0)).await;
    bench.idle().await;
    fault.at("subnet-release/wire-network/after-journal", &[Call::Apply]);
    let task = bench.run(super::release(subnet, vec![super::ip("10.0.0.5")])).await;
    failed(&task);
    assert!(bench.network_record(lan).subnets[0].reservations.is_empty());
    settled(&bench).await;
    bench.is_wired().await;
}

#[tokio::test]
async fn a_vm_whose_network_cannot_be_wired_does_not_start() {
    let (bench, fault) = bench().await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.is_wired().await;
    fault.at("start/wire-nics/after-journal", &[Call::Apply]);
    failed(&bench.power(vm, START).await);
    bench.is_wired().await;
    bench.powers(vm, &[START, STOP]).await;
    bench.is_wired().await;
}

/// What nobody waits for is done by the next survey.
#[tokio::test]
async fn what_the_host_refused_behind_everybodys_back_is_mended() {
    let (bench, _) = bench().await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.is_wired().await;
    bench.setup.networks.fail_next(Call::Apply, as_told());
    bench.must(Request::Delete { vm, force: false }).await;
    bench
        .until_so("refused", || {
            let applied = bench.setup.networks.calls();
            bench.setup.networks.desired().nics.is_empty() || applied.last() == Some(&Call::Apply)
        })
        .await;
    bench.engine.survey().await;
    bench.is_wired().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_written_changes_nothing() {
    let (bench, _) = bench().await;
    let lan = bench.lan().await;
    bench.is_wired().await;
    let before = bench.network_record(lan);
    let (folder, away) = (bench.path().join("networks"), bench.path().join("away"));
    let subnet = bench.subnet(lan);
    for request in [
        network_create(json!({ "name": "wan" }), &["10.1.0.0/29"]),
        network_edit(lan, json!({ "name": "lan", "isolated": true })),
        reserve(subnet, &[], 2),
    ] {
        std::fs::rename(&folder, &away).unwrap();
        let task = bench.run(request).await;
        assert_eq!(task.state, TaskState::Failed, "{task:?}");
        assert_eq!(bench.snapshot().networks.len(), 1);
        assert_eq!(bench.network_record(lan).subnets, before.subnets);
        assert_eq!(bench.network_record(lan).config, before.config);
        std::fs::rename(&away, &folder).unwrap();
        settled(&bench).await;
        bench.is_wired().await;
    }
}

/// A VM that was to be undone and could not be: what it had comes back when it can.
#[tokio::test]
async fn what_is_owed_of_a_create_gives_its_address_back_in_the_end() {
    let gate = Gate::failing("create/save-spec/after-act", &["save-spec"]);
    let bench = Bench::witnessed(crate::support::Setup::default(), Some(gate.clone())).await;
    bench.lan().await;
    let task = bench.run(create(on_lan("web"))).await;
    failed(&task);
    assert!(!task.leftovers.is_empty(), "{task:?}");
    let other = bench.create_at_once(&["other"]).await;
    bench.quiet().await;
    gate.mended();
    tokio::time::timeout(LONG, settled(&bench)).await.unwrap();
    bench.is_wired().await;
    assert!(bench.vms().iter().all(|vm| vm.name.as_str() != "web"));
    drop(other);
}

/// The same of an edit: what it had before may come back, so nobody else gets it.
#[tokio::test]
async fn what_an_edit_may_give_back_is_nobody_elses() {
    let gate = Gate::failing("edit/save-spec/after-act", &["save-spec"]);
    let bench = Bench::witnessed(crate::support::Setup::default(), Some(gate.clone())).await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    failed(&bench.run(bench.with_nics(vm, json!([]))).await);
    assert!(bench.assigned(vm, "lan").is_empty(), "it is not taken back yet");
    let bench = bench.killed().await.begin_witnessed(Some(gate.clone())).await;
    let mut asks = on_lan("asks");
    asks["nics"][0]["addresses"] = json!(["10.0.0.2"]);
    let asked = bench.submit(create(asks)).await;
    gate.mended();
    settled(&bench).await;
    if let Ok(accepted) = asked {
        bench.end_of(&accepted).await;
    }
    assert_eq!(bench.assigned(vm, "lan"), [super::ip("10.0.0.2")]);
    bench.is_wired().await;
}

/// What could not be undone of one network is not built over by another.
#[tokio::test]
async fn a_range_that_may_come_back_is_not_given_to_another_network() {
    let gate = Gate::failing("subnet-delete/save-network/after-act", &["save-network"]);
    let bench = Bench::witnessed(crate::support::Setup::default(), Some(gate.clone())).await;
    let lan = bench.lan().await;
    failed(&bench.run(super::subnet_delete(bench.subnet(lan))).await);
    let overlaps = || network_create(json!({ "name": "wan" }), &["10.0.0.0/24"]);
    let task = bench.run(overlaps()).await;
    let refused = task.error.unwrap();
    assert_eq!(refused.code, innkeeper_model::Code::Leftovers, "{refused}");
    gate.mended();
    let task = bench.run(overlaps()).await;
    assert_eq!(task.error.unwrap().field.as_deref(), Some("subnets[0].range"));
    bench.is_wired().await;
    assert_eq!(bench.network_record(lan).subnets.len(), 1);
}
