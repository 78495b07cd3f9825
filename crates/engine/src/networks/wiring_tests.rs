use super::*;
use innkeeper_model::{
    IncarnationId, Revision, Subnet, SubnetConfig, SubnetId, Timestamp, Want, network::NetworkFacts,
};
use innkeeper_view::{Update, View, ViewOptions};
use serde_json::{Value, json};

fn network_of(name: &str, range: &str) -> Network {
    Network {
        id: NetworkId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        config: innkeeper_model::NetworkConfig::new(name.parse().unwrap()),
        bridge: "br0".parse().unwrap(),
        subnets: vec![Subnet {
            id: SubnetId::new(),
            config: SubnetConfig::new(range.parse().unwrap()),
            reservations: Vec::new(),
        }],
        facts: NetworkFacts::default(),
    }
}

/// A VM with these NICs, and an address for each that is to have one.
fn spec_of(id: VmId, nics: Value, addresses: Value) -> Arc<Spec> {
    let config: VmConfig =
        serde_json::from_value(json!({ "name": "Web.1", "nics": nics })).unwrap();
    let mac = |(index, nic): (usize, &innkeeper_model::config::Nic)| {
        let last = u8::try_from(index).unwrap();
        (nic.name.to_string(), MacAddress::from_suffix([0, 0, last]).to_string())
    };
    let macs: std::collections::BTreeMap<_, _> = config.nics.iter().enumerate().map(mac).collect();
    let assigned = json!({
        "machine": "m", "cpu_model": "c", "devices": {}, "ports": 1,
        "macs": macs, "addresses": addresses,
    });
    Arc::new(Spec {
        id,
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config,
        assigned: serde_json::from_value(assigned).unwrap(),
    })
}

fn machine_with(vm: VmId, plugs: Vec<Plug>) -> Arc<Incarnation> {
    let machine = json!({
        "schema": 1, "id": IncarnationId::new(), "vm": vm, "spec_revision": 1,
        "boot_id": "boot", "created": "2026-01-01T00:00:00Z", "driver": "sim",
        "hypervisor_version": "1", "machine": "sim-1.0", "cpu_model": "sim", "accelerator": "none",
        "cpus": 1, "memory": "512MiB", "run_folder": "/run", "argv": [], "opens": [],
        "block_nodes": {},
    });
    let machine: Incarnation = serde_json::from_value(machine).unwrap();
    Arc::new(Incarnation { plugs, ..machine })
}

async fn told(updates: Vec<Update>) -> Arc<Snapshot> {
    let view = View::start(ViewOptions::new(uuid::Uuid::nil()));
    view.barrier(updates).await.unwrap();
    view.snapshot()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Networks `lan` and `wan`, and a VM with a NIC on each, one on none and one of its hypervisor's own.
struct Scene {
    lan: Arc<Network>,
    wan: Arc<Network>,
    spec: Arc<Spec>,
}

impl Scene {
    fn new() -> Self {
        let nics = json!([
            { "name": "a", "network": "lan", "publish": ["8080:80"] },
            { "name": "b", "network": "none" },
            { "name": "c", "network": "wan", "rate": { "in_kbit": 5000 } },
            { "name": "d" },
        ]);
        let addresses = json!({ "a": ["10.0.0.5"], "c": ["10.1.0.5"] });
        Self {
            lan: Arc::new(network_of("lan", "10.0.0.0/24")),
            wan: Arc::new(network_of("wan", "10.1.0.0/24")),
            spec: spec_of(VmId::new(), nics, addresses),
        }
    }

    fn updates(&self) -> Vec<Update> {
        vec![
            Update::Network(self.lan.clone()),
            Update::Network(self.wan.clone()),
            Update::VmSpec(self.spec.clone()),
        ]
    }
}

#[tokio::test]
async fn nics_on_networks_are_connected_and_others_are_not() {
    let scene = Scene::new();
    let snapshot = told(scene.updates()).await;
    let plugs = plugs_of(&scene.spec, &snapshot);
    let seen: Vec<_> = plugs.iter().map(|plug| (plug.nic.as_str(), plug.network)).collect();
    assert_eq!(seen, [("a", scene.lan.id), ("c", scene.wan.id)]);
    let plug = &plugs[0];
    assert_eq!(plug.vm, scene.spec.id);
    assert_eq!(plug.tap, tap_name(scene.spec.id, &"a".parse().unwrap()));
    assert_eq!(plug.addresses, [ip("10.0.0.5")]);
    assert_eq!(plug.publish, ["8080:80".parse().unwrap()]);
    assert_eq!((plug.mtu, plug.hostname.as_str()), (None, "web-1"));
    assert_eq!(plugs[1].rate.in_kbit, Some(5000));
}

#[tokio::test]
async fn a_guest_is_told_an_mtu_that_is_not_ethernets_own() {
    let scene = Scene::new();
    for (asked, found, told_guest) in [
        (None, None, None),
        (Some(1500), None, None),
        (Some(9000), None, Some(9000)),
        (Some(9000), Some(1500), None),
        (None, Some(1400), Some(1400)),
    ] {
        let mut lan = Network::clone(&scene.lan);
        lan.config.mtu = asked;
        let facts = NetworkFacts { mtu: found, ..NetworkFacts::default() };
        let updates = vec![
            Update::Network(Arc::new(lan)),
            Update::NetworkFacts { id: scene.lan.id, facts },
            Update::VmSpec(scene.spec.clone()),
        ];
        let plugs = plugs_of(&scene.spec, &*told(updates).await);
        assert_eq!(plugs[0].mtu, told_guest, "{asked:?} asked, {found:?} found");
    }
}

#[test]
fn a_vms_name_becomes_one_label() {
    for (name, label) in [("web", "web"), ("Web.example.org", "web-example-org"), ("a_b-", "a-b")] {
        assert_eq!(hostname(&name.parse().unwrap()), label);
    }
    assert!(hostname(&"a".repeat(63).parse().unwrap()).len() <= MAX_LABEL);
}

#[tokio::test]
async fn a_nic_on_a_network_that_is_not_there_is_refused_by_its_field() {
    let scene = Scene::new();
    let snapshot = told(vec![Update::Network(scene.lan.clone())]).await;
    let Spec { config, assigned, .. } = &*scene.spec;
    let refusal = wishes(config, &assigned.macs, None, &snapshot).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    assert_eq!(refusal.field.as_deref(), Some("nics[2].network"));
    assert_eq!(refusal.value.as_deref(), Some("wan"));
    assert!(refusal.hint.unwrap().contains("inn network create wan"));

    let snapshot = told(scene.updates()).await;
    let wishes = wishes(config, &assigned.macs, Some(assigned), &snapshot).unwrap();
    let seen: Vec<_> = wishes.iter().map(|wish| (wish.index, wish.network.id)).collect();
    assert_eq!(seen, [(0, scene.lan.id), (2, scene.wan.id)]);
    assert_eq!(wishes[0].before, [ip("10.0.0.5")]);
}

#[tokio::test]
async fn a_machine_keeps_what_it_was_built_with_besides_what_the_next_will_have() {
    let scene = Scene::new();
    let old = plugs_of(&scene.spec, &*told(scene.updates()).await);
    // From then on: another address on lan, none on wan, and a NIC more.
    let nics = json!([{ "name": "a", "network": "lan" }, { "name": "e", "network": "wan" }]);
    let addresses = json!({ "a": ["10.0.0.6"], "e": ["10.1.0.6"] });
    let spec = spec_of(scene.spec.id, nics, addresses);
    let machine = machine_with(spec.id, old.clone());
    let mut updates = scene.updates();
    updates.push(Update::VmSpec(spec.clone()));
    updates.push(Update::VmIncarnation { id: spec.id, incarnation: Some(machine) });
    let snapshot = told(updates).await;
    let vm = &snapshot.vms[&spec.id];

    let wired = plugs_of_vm(vm, &snapshot);
    let seen: Vec<_> = wired.iter().map(|plug| (plug.nic.as_str(), &plug.addresses[..])).collect();
    assert_eq!(
        seen,
        [("a", &[ip("10.0.0.5")][..]), ("c", &[ip("10.1.0.5")][..]), ("e", &[ip("10.1.0.6")][..]),]
    );
    let held: Vec<Claim> = claims_of_vm(vm, &snapshot).into_iter().map(|held| held.claim).collect();
    for address in ["10.0.0.5", "10.1.0.5", "10.0.0.6", "10.1.0.6"] {
        assert!(held.contains(&Claim::Address(ip(address))), "{address} of {held:?}");
    }
    assert!(held.contains(&Claim::Port("8080:80".parse().unwrap())));

    let users = |network: &Network| users(network, &snapshot, 9).len();
    assert_eq!((users(&scene.lan), users(&scene.wan)), (1, 1));
    let holders = |address: &str| holders(&snapshot, 9, |held| *held == ip(address)).len();
    assert_eq!((holders("10.0.0.5"), holders("10.0.0.6"), holders("10.0.0.7")), (1, 1, 0));
    assert_eq!(desired(&snapshot, None).nics.len(), 3);
}

#[tokio::test]
async fn a_network_is_in_use_by_a_machine_whose_spec_has_left_it() {
    let scene = Scene::new();
    let plugs = plugs_of(&scene.spec, &*told(scene.updates()).await);
    let spec = spec_of(scene.spec.id, json!([]), json!({}));
    let mut updates = scene.updates();
    updates.push(Update::VmSpec(spec.clone()));
    let left = told(updates.clone()).await;
    assert!(users(&scene.lan, &left, 9).is_empty());
    let machine = machine_with(spec.id, plugs);
    updates.push(Update::VmIncarnation { id: spec.id, incarnation: Some(machine) });
    let runs = told(updates).await;
    assert_eq!(users(&scene.lan, &runs, 9), ["Web.1".parse().unwrap()]);
    assert_eq!(holders(&runs, 9, |held| *held == ip("10.0.0.5")), [spec.id]);
}

#[tokio::test]
async fn the_host_is_asked_for_all_networks_without_what_was_found_of_them() {
    let scene = Scene::new();
    let mut updates = scene.updates();
    let facts = NetworkFacts { up: true, mtu: Some(1500), ..NetworkFacts::default() };
    updates.push(Update::NetworkFacts { id: scene.lan.id, facts });
    let metadata = Some("169.254.255.87:7101".parse().unwrap());
    let desired = desired(&*told(updates).await, metadata);
    assert_eq!(desired.metadata, metadata);
    assert_eq!(desired.networks.len(), 2);
    assert!(desired.networks.iter().all(|network| network.facts == NetworkFacts::default()));
    assert_eq!(desired.nics.len(), 2);
    // Without a network nothing is connected, and no VM is looked at.
    let none = super::desired(&*told(vec![Update::VmSpec(scene.spec.clone())]).await, metadata);
    assert_eq!(none, Desired::default());
}
