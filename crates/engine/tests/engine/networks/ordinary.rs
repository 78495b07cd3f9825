//! What is ordinary: networks come, change and go, and VMs have addresses on them.

use super::{
    ip, network_delete, network_edit, on_lan, release, reserve, subnet_create, subnet_delete,
};
use crate::support::{Bench, RESUME, START, STOP, SUSPEND, create};
use innkeeper_engine::Request;
use innkeeper_model::{
    Code, VmState,
    network::{AddressSource, Lease},
};
use innkeeper_network::Finding;
use innkeeper_view::Snapshot;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn networks_come_change_and_go() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    bench.is_wired().await;
    let record = bench.network_record(lan);
    assert_eq!((record.revision.0, record.subnets.len()), (3, 1), "made, and tried out");
    bench.until("up", |snapshot| snapshot.networks[&lan].facts.up).await;

    bench.must(network_edit(lan, json!({ "name": "lan", "isolated": true, "mtu": 9000 }))).await;
    bench.until("wide", |snapshot| snapshot.networks[&lan].facts.mtu == Some(9000)).await;
    assert!(bench.network_record(lan).config.isolated);
    bench.must(network_edit(lan, json!({ "name": "net" }))).await;
    bench.must(subnet_create(lan, json!({ "range": "fd00::/64" }))).await;
    bench.must(subnet_create(lan, json!({ "range": "10.1.0.0/29" }))).await;
    bench.must(subnet_delete(bench.subnet(lan))).await;
    bench.is_wired().await;
    let ranges: Vec<String> =
        bench.network_record(lan).subnets.iter().map(|one| one.config.range.to_string()).collect();
    assert_eq!(ranges, ["fd00::/64", "10.1.0.0/29"]);
    let bench = bench.restart().await;
    bench.is_wired().await;
    assert_eq!(bench.network_record(lan).config.name.as_str(), "net");

    bench.must(network_delete(lan)).await;
    bench.has_no_networks().await;
    assert!(bench.setup.networks.is_released(lan));
    bench.restart().await.has_no_networks().await;
}

#[tokio::test]
async fn what_a_survey_put_right_is_told_of_each_network_that_it_concerns() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let other = bench.network("other", &[]).await;
    let told = |snapshot: &Snapshot, network| {
        let mended = snapshot.networks[&network].facts.mended.clone();
        mended.map(|mended| mended.what).unwrap_or_default()
    };
    let find = |network, text: &str| {
        let finding = Finding { network, text: text.into(), mended: true };
        bench.setup.networks.find_next(finding);
    };
    bench.engine.survey().await;
    bench.is_wired().await;
    assert!(told(&bench.snapshot(), lan).is_empty(), "nothing was wrong");

    find(None, "the rules were gone");
    find(Some(lan), "a tap was out");
    bench.engine.survey().await;
    bench
        .until("both are told", |s| told(s, lan) == ["the rules were gone", "a tap was out"])
        .await;
    bench.until("the rules are everyone's", |s| told(s, other) == ["the rules were gone"]).await;

    // It stays until there is something newer, and is not told of who has nothing to do with it.
    let before = bench.network_record(lan).facts.mended.clone();
    find(Some(other), "the bridge was down");
    bench.engine.survey().await;
    bench.until("the newer one", |s| told(s, other) == ["the bridge was down"]).await;
    assert_eq!(bench.network_record(lan).facts.mended, before);
}

#[tokio::test]
async fn rules_that_somebody_else_has_changed_are_looked_at_at_once() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let begun = Instant::now();
    for text in ["once", "twice", "thrice"] {
        let finding = Finding { network: None, text: text.into(), mended: true };
        bench.setup.networks.find_next(finding);
        bench.setup.networks.disturb();
        let is_told = |snapshot: &Snapshot| {
            let mended = snapshot.networks[&lan].facts.mended.as_ref();
            mended.is_some_and(|mended| mended.what == [text])
        };
        bench.until(text, is_told).await;
    }
    // By itself it is looked every 30 s, so once in this time.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn addresses_are_kept_for_others_and_given_back() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let subnet = bench.subnet(lan);
    bench.must(reserve(subnet, &[ip("10.0.0.5")], 2)).await;
    let kept = |bench: &Bench| -> Vec<String> {
        let record = bench.network_record(lan);
        record.subnets[0].reservations.iter().map(|kept| kept.address.to_string()).collect()
    };
    assert_eq!(kept(&bench), ["10.0.0.2", "10.0.0.3", "10.0.0.5"]);
    let refused = bench.refused(subnet_delete(subnet)).await;
    assert_eq!(refused.code, Code::InUse);
    let bench = bench.restart().await;
    assert_eq!(kept(&bench).len(), 3);
    let web = bench.create_of(on_lan("web")).await;
    assert_eq!(bench.assigned(web, "lan"), [ip("10.0.0.4")]);
    bench.is_wired().await;
    bench.must(release(subnet, vec![ip("10.0.0.2"), ip("10.0.0.3")])).await;
    assert_eq!(kept(&bench), ["10.0.0.5"]);
    bench.is_wired().await;
}

#[tokio::test]
async fn a_vm_has_its_address_for_as_long_as_there_is_the_vm() {
    let bench = Bench::new().await;
    bench.network("lan", &["10.0.0.0/29", "fd00::/64"]).await;
    let vm = bench.create_of(on_lan("web")).await;
    let its = [ip("10.0.0.2"), ip("fd00::2")];
    assert_eq!(bench.assigned(vm, "lan"), its);
    bench.is_wired().await;
    bench.powers(vm, &[START]).await;
    bench.is_wired().await;
    let plugs = bench.vm(vm).incarnation.unwrap().plugs.clone();
    assert_eq!(plugs[0].addresses, its);
    bench.powers(vm, &[SUSPEND]).await;
    bench.is_wired().await;
    let bench = bench.restart().await;
    bench.is_wired().await;
    bench.powers(vm, &[RESUME]).await;
    bench.must(bench.edited(vm, |config| config.cpus = 2)).await;
    assert_eq!(bench.assigned(vm, "lan"), its);
    let mut ended = bench.end().await;
    ended.reboot_host();
    let bench = ended.begin().await;
    bench.until_state(vm, VmState::Running).await;
    bench.is_wired().await;
    bench.powers(vm, &[STOP]).await;
    let bench = bench.restart().await;
    assert_eq!(bench.assigned(vm, "lan"), its);
    bench.is_wired().await;
    bench.must(Request::Delete { vm, force: false }).await;
    bench.is_wired().await;
    assert!(bench.setup.networks.desired().nics.is_empty());
}

#[tokio::test]
async fn a_vm_gets_what_it_asks_for() {
    let bench = Bench::new().await;
    bench.lan().await;
    let mut config = on_lan("web");
    config["nics"][0]["addresses"] = json!(["10.0.0.6"]);
    config["nics"][0]["mac"] = json!("52:54:00:00:00:07");
    config["nics"][0]["publish"] = json!(["8080:80"]);
    let vm = bench.create_of(config).await;
    assert_eq!(bench.assigned(vm, "lan"), [ip("10.0.0.6")]);
    bench.is_wired().await;
    let told = bench.setup.networks.desired();
    assert_eq!(told.nics[0].mac.to_string(), "52:54:00:00:00:07");
    assert_eq!(told.nics[0].publish, ["8080:80".parse().unwrap()]);
    assert_eq!(told.nics[0].hostname, "web");
}

/// A copy gets its own, publishes nothing, and its original keeps what it has.
#[tokio::test]
async fn a_copy_gets_an_address_of_its_own() {
    let bench = Bench::new().await;
    bench.lan().await;
    let mut config = on_lan("web");
    config["nics"][0]["addresses"] = json!(["10.0.0.6"]);
    config["nics"][0]["publish"] = json!(["8080:80"]);
    let vm = bench.create_of(config).await;
    let accepted =
        bench.submit(Request::Clone { vm, name: "copy".parse().unwrap() }).await.unwrap();
    bench.end_of(&accepted).await;
    let copy = accepted.vm.unwrap();
    assert_eq!(bench.assigned(copy, "lan"), [ip("10.0.0.2")]);
    assert!(bench.vm(copy).spec.unwrap().config.nics[0].publish.is_empty());
    bench.is_wired().await;
    // One that is refused has taken nothing.
    bench.powers(vm, &[START]).await;
    let clone = Request::Clone { vm, name: "third".parse().unwrap() };
    assert_eq!(bench.refused(clone).await.code, Code::WrongState);
    bench.is_wired().await;
}

#[tokio::test]
async fn a_nic_that_comes_has_an_address_and_one_that_goes_gives_it_back() {
    let bench = Bench::new().await;
    bench.lan().await;
    bench.network("wan", &["10.1.0.0/29"]).await;
    let vm = bench.create_of(on_lan("web")).await;
    let both = json!([
        { "name": "lan", "network": "lan" }, { "name": "wan", "network": "wan" },
    ]);
    bench.must(bench.with_nics(vm, both)).await;
    assert_eq!(bench.assigned(vm, "lan"), [ip("10.0.0.2")]);
    assert_eq!(bench.assigned(vm, "wan"), [ip("10.1.0.2")]);
    bench.is_wired().await;
    bench.must(bench.with_nics(vm, json!([{ "name": "lan", "network": "wan" }]))).await;
    assert_eq!(bench.assigned(vm, "lan"), [ip("10.1.0.3")]);
    bench.is_wired().await;
    bench.must(bench.with_nics(vm, json!([]))).await;
    bench.is_wired().await;
    assert!(bench.vm(vm).addresses.is_empty());
}

/// What runs has its address, whatever the spec says by now.
#[tokio::test]
async fn an_address_is_not_given_again_while_a_machine_has_it() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.powers(vm, &[START]).await;
    bench.must(bench.with_nics(vm, json!([]))).await;
    assert!(bench.assigned(vm, "lan").is_empty());
    bench.is_wired().await;
    let bench = bench.restart().await;
    let mut asks = on_lan("asks");
    asks["nics"][0]["addresses"] = json!(["10.0.0.2"]);
    let refused = bench.refused(create(asks.clone())).await;
    assert_eq!(refused.code, Code::InUse);
    assert_eq!(refused.field.as_deref(), Some("nics[0].addresses"));
    let others = bench.create_at_once(&["a", "b", "c", "d", "e"]).await;
    assert_eq!(others.len(), 4, "five are left for four");
    let refused = bench.refused(network_delete(lan)).await;
    assert!(refused.message.contains("web"), "{refused}");
    bench.is_wired().await;
    bench.powers(vm, &[STOP]).await;
    bench.is_wired().await;
    bench.must(create(asks)).await;
    bench.is_wired().await;
}

/// A machine that is made anew is wired as its spec says by then, not as the one that went.
#[tokio::test]
async fn a_reboot_wires_what_the_next_machine_has() {
    let bench = Bench::new().await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.powers(vm, &[START]).await;
    let other = json!([{ "name": "lan", "network": "lan", "addresses": ["10.0.0.6"] }]);
    bench.must(bench.with_nics(vm, other)).await;
    bench.is_wired().await;
    assert_eq!(bench.setup.networks.desired().nics[0].addresses, [ip("10.0.0.2")]);
    let ended = bench.end().await;
    let gate = super::Gate::at("reboot/wire-nics/after-act");
    let bench = ended.begin_witnessed(Some(gate.clone())).await;
    let reboot = Request::Power { vm, verb: crate::support::REBOOT };
    let accepted = bench.submit(reboot).await.unwrap();
    gate.reached().await;
    assert_eq!(bench.setup.networks.desired().nics[0].addresses, [ip("10.0.0.6")]);
    gate.open();
    bench.end_of(&accepted).await;
    bench.is_wired().await;
}

/// The memory that is given up was of a machine with other NICs.
#[tokio::test]
async fn a_machine_that_begins_afresh_has_what_its_spec_has_by_then() {
    let bench = Bench::new().await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.powers(vm, &[START, SUSPEND]).await;
    bench.must(bench.with_nics(vm, json!([{ "name": "new", "network": "lan" }]))).await;
    bench.is_wired().await;
    bench.powers(vm, &[crate::support::START_AFRESH]).await;
    let machine = bench.vm(vm).incarnation.unwrap();
    let nics: Vec<&str> = machine.plugs.iter().map(|plug| plug.nic.as_str()).collect();
    assert_eq!(nics, ["new"]);
    bench.is_wired().await;
}

#[tokio::test]
async fn a_lease_is_seen_while_its_guest_is_on() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    let its = ip("10.0.0.2");
    let seen = |source| vec![(its, source)];
    bench.is_wired().await;
    assert_eq!(bench.seen_addresses(vm), seen(AddressSource::Reservation));
    bench.powers(vm, &[START]).await;
    let lease = serde_json::from_value::<Lease>(json!({
        "address": its, "mac": "52:54:00:00:00:01", "expires": "2030-01-01T00:00:00Z",
    }));
    bench.setup.networks.set_leases(lan, vec![lease.unwrap()]);
    bench
        .until("taken up", |snapshot| snapshot.vms[&vm].addresses[0].source == AddressSource::Lease)
        .await;
    assert_eq!(bench.snapshot().networks[&lan].facts.leases.len(), 1);
    bench.powers(vm, &[STOP]).await;
    bench
        .until("let go", |snapshot| {
            snapshot.vms[&vm].addresses[0].source == AddressSource::Reservation
        })
        .await;
}

#[tokio::test]
async fn a_host_without_networks_is_asked_for_nothing() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.powers(vm, &[START, STOP]).await;
    bench.engine.survey().await;
    bench.is_wired().await;
    assert!(bench.setup.networks.calls().is_empty(), "{:?}", bench.setup.networks.calls());
}
