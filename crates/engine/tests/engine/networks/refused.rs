//! What is refused, with its field, and changes nothing.

use super::{ip, network_create, network_delete, network_edit, on_lan, reserve, subnet_create};
use crate::support::{Bench, START, as_told, create};
use innkeeper_engine::{NetworkRequest, NicChange, Request, ReservationWish};
use innkeeper_model::{Code, NetworkId, SubnetId};
use innkeeper_network::{Call, PaperNetworks};
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn what_the_host_cannot_do_is_refused_before_anything_is_done() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let host = bench.setup.networks.clone();
    let before = bench.network_record(lan);
    for (call, request) in [
        (Call::CheckNetwork, network_create(json!({ "name": "wan" }), &[])),
        (Call::CheckSubnet, network_create(json!({ "name": "wan" }), &["10.1.0.0/24"])),
        (Call::CheckSubnet, subnet_create(lan, json!({ "range": "10.1.0.0/24" }))),
        (Call::CheckNetwork, network_edit(lan, json!({ "name": "lan", "mtu": 9000 }))),
    ] {
        host.fail_next(call, as_told());
        assert_eq!(bench.refused(request).await, as_told());
    }
    assert_eq!(bench.snapshot().networks.len(), 1);
    assert_eq!(bench.network_record(lan), before);
    // What did not change is not asked about.
    let asked = |bench: &Bench| {
        let calls = bench.setup.networks.calls().into_iter();
        calls.filter(|call| matches!(call, Call::CheckNetwork | Call::CheckSubnet)).count()
    };
    let before = asked(&bench);
    bench.must(reserve(bench.subnet(lan), &[], 1)).await;
    assert_eq!(asked(&bench), before);

    let mut publishes = on_lan("web");
    publishes["nics"][0]["publish"] = json!(["8080:80"]);
    host.fail_next(Call::CheckPublished, as_told());
    let refused = bench.refused(create(publishes)).await;
    assert_eq!(refused.field.as_deref(), Some("nics[0].publish"));
    assert!(bench.vms().is_empty());
    bench.is_wired().await;
}

#[tokio::test]
async fn a_daemon_without_networks_serves_the_rest_and_says_why() {
    let networks = Arc::new(PaperNetworks::without_root());
    let setup = crate::support::Setup { networks, ..Default::default() };
    let bench = Bench::with(setup).await;
    let refused = bench.refused(network_create(json!({ "name": "lan" }), &[])).await;
    assert_eq!(refused.code, Code::Unsupported);
    assert!(refused.hint.unwrap().contains("network: user"));
    bench.started("web").await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_is_refused_what_it_cannot_have_on_its_network() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    bench.must(reserve(bench.subnet(lan), &[ip("10.0.0.5")], 0)).await;
    let mut first = on_lan("first");
    first["nics"][0]["publish"] = json!(["127.0.0.1:8080:80"]);
    first["nics"][0]["mac"] = json!("52:54:00:00:00:07");
    let first = bench.create_of(first).await;
    let nic = |field: &str, value: Value| {
        let mut config = on_lan("second");
        config["nics"][0][field] = value;
        config
    };
    for (config, code, field, value, says) in [
        (nic("network", json!("wan")), Code::InvalidField, "network", "wan", "is not a network"),
        (
            nic("addresses", json!(["10.0.1.2"])),
            Code::InvalidField,
            "addresses",
            "10.0.1.2",
            "is outside of the subnets of network lan",
        ),
        (
            nic("addresses", json!(["10.0.0.1"])),
            Code::InvalidField,
            "addresses",
            "10.0.0.1",
            "is not for guests",
        ),
        (
            nic("addresses", json!(["10.0.0.7"])),
            Code::InvalidField,
            "addresses",
            "10.0.0.7",
            "is not for guests",
        ),
        (
            nic("addresses", json!(["10.0.0.2"])),
            Code::InUse,
            "addresses",
            "10.0.0.2",
            "is taken by NIC lan of VM",
        ),
        (
            nic("addresses", json!(["10.0.0.5"])),
            Code::InUse,
            "addresses",
            "10.0.0.5",
            "is taken by a reservation",
        ),
        (
            nic("mac", json!("52:54:00:00:00:07")),
            Code::InUse,
            "mac",
            "52:54:00:00:00:07",
            "is taken by NIC lan of VM",
        ),
        (
            nic("publish", json!(["8080:81"])),
            Code::InUse,
            "publish",
            "8080:81/tcp",
            "port 8080/tcp is taken by NIC lan of VM",
        ),
    ] {
        let refused = bench.refused(create(config)).await;
        assert_eq!(refused.code, code, "{refused}");
        assert_eq!(refused.field, Some(format!("nics[0].{field}")), "{refused}");
        assert_eq!(refused.value.as_deref(), Some(value), "{refused}");
        assert!(refused.message.contains(says), "{refused}");
    }
    // The same by an edit, which takes nothing either.
    let second = bench.create("second").await;
    let mut nics = nic("publish", json!(["8080:81"]));
    let refused = bench.refused(bench.with_nics(second, nics["nics"].take())).await;
    assert_eq!(refused.field.as_deref(), Some("nics[0].publish"));
    bench.is_wired().await;
    bench.must(Request::Delete { vm: first, force: false }).await;
    bench.is_wired().await;
}

/// A port that is published to a NIC without an address leads nowhere, whichever way it is asked for.
#[tokio::test]
async fn a_published_port_needs_an_address_to_lead_to() {
    let bench = Bench::new().await;
    bench.lan().await;
    bench.network("bare", &[]).await;
    let published = |name: &str, network: &str| json!({ "name": name, "network": network, "publish": ["8080:80"] });
    let refused_at = async |request: Request, index: usize| {
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::InvalidField, "{refused}");
        assert_eq!(refused.field, Some(format!("nics[{index}].publish")), "{refused}");
        assert_eq!(refused.value.as_deref(), Some("8080:80/tcp"));
        assert!(refused.message.contains("leads nowhere"), "{refused}");
        assert!(refused.hint.unwrap().contains("inn subnet create RANGE --network bare"));
    };
    let nics = json!([published("lan", "bare")]);
    refused_at(create(json!({ "name": "web", "nics": nics })), 0).await;
    assert!(bench.vms().is_empty());
    let vm = bench.create_of(json!({ "name": "web", "nics": [published("lan", "lan")] })).await;
    let before = bench.vm(vm).spec;
    let more = json!([published("lan", "lan"), published("more", "bare")]);
    refused_at(bench.with_nics(vm, more), 1).await;
    let nic = |nic: Value| Box::new(serde_json::from_value(nic).unwrap());
    let add = NicChange::Add(nic(published("more", "bare")));
    refused_at(Request::Nic { vm, change: add }, 1).await;
    let set = NicChange::Set(nic(published("lan", "bare")));
    refused_at(Request::Nic { vm, change: set }, 0).await;
    assert_eq!(bench.vm(vm).spec, before);
    // Of the host's ::1 no answer ever came back, and hypervisors listen for themselves on IPv4 alone.
    for (network, port) in
        [("lan", "[::1]:8080:80"), ("user", "[::1]:8080:80"), ("user", "[2001:db8::1]:8080:80")]
    {
        let nics = json!([{ "name": "net", "network": network, "publish": [port] }]);
        let refused = bench.refused(create(json!({ "name": "six", "nics": nics }))).await;
        assert_eq!(
            (refused.code, refused.field.as_deref()),
            (Code::InvalidField, Some("nics[0].publish"))
        );
        assert!(
            refused.hint.as_deref().is_some_and(|hint| hint.contains("127.0.0.1")),
            "{refused}"
        );
    }
    // Without the port it may go there, and user needs no address.
    let bare = json!({ "name": "lan", "network": "bare" });
    let user = json!({ "name": "more", "network": "user", "publish": ["8081:80"] });
    bench.must(bench.with_nics(vm, json!([bare, user]))).await;
    bench.is_wired().await;
}

/// A bridge of the host's is left as it is, and so lets nothing from 127.0.0.0/8 out to its guests.
#[tokio::test]
async fn a_port_of_the_loopback_is_not_published_on_a_joined_bridge() {
    let bench = Bench::new().await;
    bench.lan().await;
    let office = network_create(json!({ "name": "office", "bridge": "br0" }), &["10.5.0.0/24"]);
    bench.must(office).await;
    let on = |network: &str, port: &str| {
        let nics = json!([{ "name": "net", "network": network, "publish": [port] }]);
        create(json!({ "name": network, "nics": nics }))
    };
    for port in ["127.0.0.1:8080:80/tcp", "127.9.9.9:8080:80/udp"] {
        let refused = bench.refused(on("office", port)).await;
        assert_eq!(refused.code, Code::InvalidField, "{refused}");
        assert_eq!(refused.field.as_deref(), Some("nics[0].publish"));
        assert_eq!(refused.value.as_deref(), Some(port));
        assert!(refused.message.contains("leads nowhere"), "{refused}");
        assert!(refused.hint.is_some_and(|hint| hint.contains("another address")));
    }
    bench.must(on("office", "8080:80")).await;
    bench.must(on("lan", "127.0.0.1:8081:80")).await;
    bench.is_wired().await;
}

/// A guest is given one address of a subnet, and its server knows it by its hardware address.
#[tokio::test]
async fn a_hardware_address_has_one_reservation_of_a_subnet() {
    let bench = Bench::new().await;
    let lan = bench.network("lan", &["10.0.0.0/29", "fd00::/64"]).await;
    let [v4, v6] = [0, 1].map(|place| bench.network_record(lan).subnets[place].id);
    let keep = |subnet: SubnetId, macs: &[&str]| {
        let wish = |mac: &&str| ReservationWish {
            mac: Some(mac.parse().unwrap()),
            ..ReservationWish::default()
        };
        let wanted = macs.iter().map(wish).collect();
        Request::Network(NetworkRequest::Reserve { subnet, wanted })
    };
    let [one, other] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];
    let refused_at = async |request: Request, index: usize| {
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::InUse, "{refused}");
        assert_eq!(refused.field, Some(format!("reservations[{index}].mac")), "{refused}");
        assert_eq!(refused.value.as_deref(), Some(one), "{refused}");
    };
    refused_at(keep(v4, &[one, other, one]), 2).await;
    bench.must(keep(v4, &[one])).await;
    refused_at(keep(v4, &[other, one]), 1).await;
    bench.must(keep(v6, &[one])).await;
    bench.must(keep(v4, &[other])).await;
}

#[tokio::test]
async fn a_multicast_hardware_address_is_no_nics() {
    let read = serde_json::from_value::<innkeeper_model::VmConfig>(json!({
        "name": "web", "nics": [{ "name": "lan", "network": "lan", "mac": "01:00:5e:00:00:01" }],
    }));
    assert!(read.unwrap_err().to_string().contains("multicast"));
}

#[tokio::test]
async fn what_is_in_use_stays_and_who_uses_it_is_named() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    bench.create_of(on_lan("web")).await;
    for request in [
        network_delete(lan),
        super::subnet_delete(bench.subnet(lan)),
        network_edit(lan, json!({ "name": "net" })),
    ] {
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::InUse);
        assert!(refused.message.ends_with("is in use by web"), "{refused}");
    }
    for request in [network_delete(NetworkId::new()), super::subnet_delete(SubnetId::new())] {
        assert_eq!(bench.refused(request).await.code, Code::NotFound);
    }
    bench.is_wired().await;
}

/// A record that cannot be read: its network is not there, what is on it says so, and nothing of it is
/// touched. Mended, all is as before.
#[tokio::test]
async fn a_damaged_record_is_left_alone() {
    let bench = Bench::new().await;
    let lan = bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.is_wired().await;
    let mut whole = Vec::new();
    let file = bench.path().join(format!("networks/{lan}.json"));
    let bench = bench
        .restart_with(|_| {
            whole = std::fs::read(&file).unwrap();
            std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        })
        .await;
    bench.quiet().await;
    assert!(bench.snapshot().networks.is_empty());
    assert_eq!(bench.assigned(vm, "lan"), [ip("10.0.0.2")], "it keeps what it had");
    let start = bench.submit(Request::Power { vm, verb: START }).await;
    let refused = match start {
        Ok(accepted) => bench.end_of(&accepted).await.error.expect("it has nothing to be on"),
        Err(refused) => refused,
    };
    assert!(refused.message.contains("lan"), "{refused}");
    let refused = bench.refused(create(on_lan("other"))).await;
    assert_eq!(refused.field.as_deref(), Some("nics[0].network"));
    assert_eq!(bench.refused(network_delete(lan)).await.code, Code::NotFound);
    assert_eq!(std::fs::read(&file).unwrap(), &whole[..whole.len() / 2]);
    let bench = bench.restart_with(|_| std::fs::write(&file, &whole).unwrap()).await;
    bench.is_wired().await;
    assert_eq!(bench.assigned(vm, "lan"), [ip("10.0.0.2")]);
    bench.powers(vm, &[START]).await;
    bench.is_wired().await;
}

/// Whoever asks may be of another project, and so may whoever reads the task.
#[tokio::test]
async fn what_another_project_has_is_taken_and_not_said_to_be_whose() {
    let bench = Bench::new().await;
    bench.lan().await;
    let mut secret = on_lan("secret");
    secret["project"] = json!("rivals");
    secret["nics"][0]["publish"] = json!(["127.0.0.1:8080:80"]);
    secret["nics"][0]["mac"] = json!("52:54:00:00:00:07");
    bench.create_of(secret).await;
    for (field, value, what) in [
        ("addresses", json!(["10.0.0.2"]), "address 10.0.0.2"),
        ("mac", json!("52:54:00:00:00:07"), "hardware address 52:54:00:00:00:07"),
        ("publish", json!(["8080:81"]), "port 8080/tcp"),
    ] {
        let mut config = on_lan("second");
        config["nics"][0][field] = value;
        let refused = bench.refused(create(config)).await;
        assert_eq!(refused.message, format!("{what} is taken by another VM"));
    }
    let made = bench.tasks("create");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].project, Some("rivals".parse().unwrap()), "a task is of its VM's project");
}
