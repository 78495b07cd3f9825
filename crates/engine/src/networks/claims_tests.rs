#[path = "claims_model_tests.rs"]
mod against_a_model;

use super::*;
use crate::perform::accountant::Capacity;
use innkeeper_model::{
    Refusal, Revision, SubnetConfig, SubnetId, Timestamp,
    network::{NetworkConfig, Reservation},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network_of(ranges: &[&str]) -> Network {
    let subnet = |range: &&str| Subnet {
        id: SubnetId::new(),
        config: SubnetConfig::new(range.parse().unwrap()),
        reservations: Vec::new(),
    };
    Network {
        id: NetworkId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        config: NetworkConfig::new("lan".parse().unwrap()),
        bridge: "br0".parse().unwrap(),
        subnets: ranges.iter().map(subnet).collect(),
        facts: Default::default(),
    }
}

fn is_of(holder: &Holder, vm: VmId, nic: &DeviceName) -> bool {
    *holder == Holder::Nic { vm, nic: nic.clone() }
}

fn nic_of(nic: serde_json::Value) -> Nic {
    serde_json::from_value(nic).unwrap()
}

fn mac(last: u8) -> MacAddress {
    MacAddress::from_suffix([0, 0, last])
}

/// A book in which this network is.
fn claims_with(network: &Network) -> Claims {
    let claims = Claims::default();
    claims.put_network(network.id, Some(network));
    claims
}

struct Wished {
    nic: Nic,
    mac: MacAddress,
    before: Vec<IpAddr>,
}

fn wished(last: u8, nic: serde_json::Value) -> Wished {
    Wished { nic: nic_of(nic), mac: mac(last), before: Vec::new() }
}

fn lan(last: u8) -> Wished {
    wished(last, json!({ "name": "lan", "network": "lan" }))
}

type Given = (SmallMap<Vec<IpAddr>>, Vec<NicClaim>);

fn take(claims: &Claims, vm: VmId, network: &Network, wished: &[Wished]) -> Result<Given, Refusal> {
    let wishes: Vec<NicWish<'_>> = wished
        .iter()
        .enumerate()
        .map(|(index, Wished { nic, mac, before })| NicWish {
            index,
            nic,
            mac: *mac,
            network,
            before,
        })
        .collect();
    claims.take(vm, &ProjectName::default(), &wishes, &[]).map_err(told)
}

/// As a caller is told who calls VMs by their ids.
fn told(denied: Denied) -> Refusal {
    denied.refusal(|vm| vm.to_string().parse().ok())
}

fn address_of(given: &Given, nic: &str) -> Vec<IpAddr> {
    given.0.get(nic).cloned().unwrap_or_default()
}

#[test]
fn a_nic_gets_one_address_of_each_version_and_the_next_one_others() {
    let network = network_of(&["10.0.0.0/24", "fd00::/64", "10.0.1.0/24"]);
    let claims = claims_with(&network);
    let given =
        |last| address_of(&take(&claims, VmId::new(), &network, &[lan(last)]).unwrap(), "lan");
    assert_eq!(given(1), [ip("10.0.0.2"), ip("fd00::2")], "the gateway's is the first");
    assert_eq!(given(2), [ip("10.0.0.3"), ip("fd00::3")]);
}

#[test]
fn on_a_network_without_subnets_a_nic_has_its_hardware_address_only() {
    let network = network_of(&[]);
    let claims = claims_with(&network);
    let (addresses, taken) = take(&claims, VmId::new(), &network, &[lan(1)]).unwrap();
    assert!(addresses.is_empty());
    let of_network = Claim::Mac { network: network.id, mac: mac(1) };
    assert_eq!(taken, [NicClaim { nic: "lan".parse().unwrap(), claim: of_network }]);
}

#[test]
fn what_cannot_be_given_is_refused_with_its_field_value_and_limit() {
    let network = network_of(&["10.0.0.0/24", "fd00::/64"]);
    let claims = claims_with(&network);
    let asking = |address: &str| {
        let nic = json!({ "name": "lan", "network": "lan", "addresses": [address] });
        take(&claims, VmId::new(), &network, &[wished(1, nic)]).unwrap_err()
    };
    for (asked, limit) in [
        ("10.0.1.5", "10.0.0.0/24, fd00::/64"),
        ("fd01::5", "10.0.0.0/24, fd00::/64"),
        ("10.0.0.0", "10.0.0.0/24"),
        ("10.0.0.1", "10.0.0.0/24"),
        ("10.0.0.255", "10.0.0.0/24"),
        ("fd00::1", "fd00::/64"),
    ] {
        let refusal = asking(asked);
        assert_eq!(refusal.code, Code::InvalidField, "{asked}: {refusal}");
        assert_eq!(refusal.field.as_deref(), Some("nics[0].addresses"), "{asked}");
        assert_eq!(refusal.value.as_deref(), Some(asked), "{asked}");
        assert_eq!(refusal.limit.as_deref(), Some(limit), "{asked}");
        assert!(refusal.message.contains(asked), "{refusal}");
        assert_eq!(claims.holder(ip("10.0.0.2")), None, "nothing is taken");
    }
}

#[test]
fn what_another_has_is_refused_and_whose_it_is_is_said() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let first = VmId::new();
    let nic = json!({
        "name": "wan", "network": "lan", "addresses": ["10.0.0.9"], "publish": ["8080:80"],
    });
    take(&claims, first, &network, &[wished(1, nic)]).unwrap();
    let whose = format!("NIC wan of VM {first}");
    let asked = |last: u8, nic: serde_json::Value| {
        let refusal = take(
            &claims,
            VmId::new(),
            &network,
            &[
                wished(
                    9,
                    json!({
                        "name": "other", "network": "lan",
                    }),
                ),
                wished(last, nic),
            ],
        );
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code, Code::InUse, "{refusal}");
        assert!(refusal.message.contains(&whose), "{refusal}");
        refusal.field.unwrap()
    };
    let nic = |field: &str, value: serde_json::Value| {
        let mut nic = json!({ "name": "lan", "network": "lan" });
        nic[field] = value;
        nic
    };
    assert_eq!(asked(2, nic("addresses", json!(["10.0.0.9"]))), "nics[1].addresses");
    assert_eq!(asked(1, nic("connected", json!(true))), "nics[1].mac");
    assert_eq!(asked(2, nic("publish", json!(["9090:80", "8080:81"]))), "nics[1].publish");
    // Each time the other NIC's were given back.
    assert_eq!(
        claims.holder(ip("10.0.0.9")).map(|holder| is_of(&holder, first, &"wan".parse().unwrap())),
        Some(true)
    );
    let free = (2..255).map(|last| ip(&format!("10.0.0.{last}")));
    assert_eq!(free.filter(|address| claims.holder(*address).is_some()).count(), 1);
    let again = nic("publish", json!(["9090:80"]));
    take(&claims, VmId::new(), &network, &[wished(9, again)]).unwrap();
}

#[test]
fn two_nics_of_one_vm_do_not_share_either() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let nic = |name: &str| json!({ "name": name, "network": "lan", "addresses": ["10.0.0.9"] });
    let both = [wished(1, nic("a")), wished(2, nic("b"))];
    let refusal = take(&claims, VmId::new(), &network, &both).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("nics[1].addresses"));
    let both = [lan(1), wished(1, json!({ "name": "wan", "network": "lan" }))];
    let refusal = take(&claims, VmId::new(), &network, &both).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("nics[1].mac"));
}

#[test]
fn a_hardware_address_is_one_networks() {
    let (one, other) = (network_of(&["10.0.0.0/24"]), network_of(&["10.0.1.0/24"]));
    let claims = claims_with(&one);
    claims.put_network(other.id, Some(&other));
    take(&claims, VmId::new(), &one, &[lan(1)]).unwrap();
    take(&claims, VmId::new(), &other, &[lan(1)]).unwrap();
}

#[test]
fn ports_meet_by_protocol_number_and_address() {
    for (had, asked, meets) in [
        ("8080:80", "8080:81", true),
        ("8080:80", "8081:80", false),
        ("8080:80/tcp", "8080:80/udp", false),
        ("8080:80", "127.0.0.1:8080:80", true),
        ("127.0.0.1:8080:80", "8080:80", true),
        ("127.0.0.1:8080:80", "127.0.0.2:8080:80", false),
        ("127.0.0.1:8080:80", "127.0.0.1:8080:9", true),
        ("[2001:db8::1]:8080:80", "127.0.0.1:8080:80", false),
        ("[2001:db8::1]:8080:80", "8080:80", true),
    ] {
        let network = network_of(&["10.0.0.0/24", "fd00::/64"]);
        let claims = claims_with(&network);
        let nic = |port: &str| json!({ "name": "lan", "network": "lan", "publish": [port] });
        take(&claims, VmId::new(), &network, &[wished(1, nic(had))]).unwrap();
        let taken = take(&claims, VmId::new(), &network, &[wished(2, nic(asked))]);
        assert_eq!(taken.is_err(), meets, "{had}, then {asked}: {taken:?}");
        let refused = taken.err().and_then(|refusal| refusal.field);
        assert_eq!(refused.as_deref(), meets.then_some("nics[0].publish"));
    }
}

#[test]
fn a_port_is_published_to_an_address_or_not_at_all() {
    for (ranges, port, leads) in [
        (&[][..], "8080:80", false),
        (&["10.0.0.0/24"], "8080:80", true),
        (&["10.0.0.0/24"], "127.0.0.1:8080:80", true),
        (&["10.0.0.0/24"], "[2001:db8::1]:8080:80", false),
        (&["fd00::/64"], "8080:80", true),
        (&["fd00::/64"], "127.0.0.1:8080:80", false),
        (&["fd00::/64", "10.0.0.0/24"], "127.0.0.1:8080:80", true),
    ] {
        let network = network_of(ranges);
        let claims = claims_with(&network);
        let vm = VmId::new();
        let nic = json!({ "name": "lan", "network": "lan", "publish": [port] });
        let taken = take(&claims, vm, &network, &[wished(1, nic)]);
        assert_eq!(taken.is_ok(), leads, "{ranges:?} {port}: {taken:?}");
        let Err(refusal) = taken else { continue };
        assert_eq!(refusal.code, Code::InvalidField);
        assert_eq!(refusal.field.as_deref(), Some("nics[0].publish"));
        assert!(refusal.value.unwrap().starts_with(port), "with its protocol");
        assert!(refusal.hint.unwrap().contains("--network lan"));
        assert!(!claims.has_any(vm), "nothing is taken");
    }
}

#[test]
fn the_addresses_of_a_vm_are_counted_as_its_projects() {
    let network = network_of(&["10.0.0.0/24", "fd00::/64"]);
    let (accountant, project) = (Arc::new(Accountant::default()), ProjectName::default());
    let claims = Claims::new(accountant.clone());
    claims.put_network(network.id, Some(&network));
    let used = || accountant.project(&project).used.addresses;
    let (one, other) = (VmId::new(), VmId::new());
    let (_, of_one) = take(&claims, one, &network, &[lan(1)]).unwrap();
    take(&claims, other, &network, &[lan(2), wished(3, json!({ "name": "b", "network": "lan" }))])
        .unwrap();
    assert_eq!(used(), 6, "one of each version for each NIC");
    claims.settle(other, &[]).unwrap();
    assert_eq!(used(), 2);
    // Another NIC of the VM's has what the first had, as after it was given another name.
    let renamed = |claim: &NicClaim| NicClaim { nic: "new".parse().unwrap(), ..claim.clone() };
    let renamed: Vec<NicClaim> = of_one.iter().map(renamed).collect();
    claims.hold(one, &renamed).unwrap();
    claims.take_chosen(one, &renamed).unwrap();
    assert_eq!(used(), 2, "an address is one, however many NICs have it");
    claims.settle(one, &[]).unwrap();
    assert_eq!(accountant.usage(), Default::default());
}

#[test]
fn who_may_have_no_more_addresses_takes_nothing() {
    let network = network_of(&["10.0.0.0/24"]);
    let quota = innkeeper_model::Quota { addresses: Some(1), ..Default::default() };
    let capacity = Capacity { default_quota: quota, ..Capacity::default() };
    let claims = Claims::new(Arc::new(Accountant::new(capacity)));
    claims.put_network(network.id, Some(&network));
    let (vm, nics) = (VmId::new(), [lan(1), wished(2, json!({ "name": "b", "network": "lan" }))]);
    let refusal = take(&claims, vm, &network, &nics).unwrap_err();
    assert_eq!(refusal.code, Code::OutOfCapacity);
    assert_eq!(refusal.field.as_deref(), Some("addresses"));
    assert!(!claims.has_any(vm));
    take(&claims, vm, &network, &nics[..1]).unwrap();
    take(&claims, VmId::new(), &network, &nics[1..]).unwrap_err();
    // Once more what it has is no more.
    take(&claims, vm, &network, &nics[..1]).unwrap();
}

#[test]
fn a_full_subnet_says_so_and_gives_again_what_comes_back() {
    let network = network_of(&["10.0.0.0/29"]);
    let claims = claims_with(&network);
    let vms: Vec<VmId> = (1..=5)
        .map(|last| {
            let vm = VmId::new();
            take(&claims, vm, &network, &[lan(last)]).unwrap();
            vm
        })
        .collect();
    let refusal = take(&claims, VmId::new(), &network, &[lan(9)]).unwrap_err();
    assert_eq!(refusal.code, Code::OutOfCapacity);
    assert_eq!(refusal.limit.as_deref(), Some("10.0.0.0/29"));
    assert!(refusal.hint.unwrap().contains("inn subnet create"));
    claims.settle(vms[2], &[]).unwrap();
    let given = take(&claims, VmId::new(), &network, &[lan(9)]).unwrap();
    assert_eq!(address_of(&given, "lan"), [ip("10.0.0.4")]);
}

#[test]
fn an_address_that_was_given_back_rests_before_it_is_given_again() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let vm = VmId::new();
    let first = take(&claims, vm, &network, &[lan(1)]).unwrap();
    claims.settle(vm, &[]).unwrap();
    let second = take(&claims, VmId::new(), &network, &[lan(1)]).unwrap();
    assert_ne!(address_of(&first, "lan"), address_of(&second, "lan"));
}

#[test]
fn a_nic_keeps_what_it_had_for_as_long_as_it_can_have_it() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let having = |before: &str| Wished { before: vec![ip(before)], ..lan(1) };
    for (before, kept) in
        [("10.0.0.77", true), ("10.0.7.77", false), ("10.0.0.1", false), ("fd00::7", false)]
    {
        let vm = VmId::new();
        let given = take(&claims, vm, &network, &[having(before)]).unwrap();
        assert_eq!(address_of(&given, "lan") == [ip(before)], kept, "{before}");
        claims.settle(vm, &[]).unwrap();
    }
    let other = json!({ "name": "lan", "network": "lan", "addresses": ["10.0.0.77"] });
    take(&claims, VmId::new(), &network, &[wished(2, other)]).unwrap();
    let given = take(&claims, VmId::new(), &network, &[having("10.0.0.77")]).unwrap();
    assert_ne!(address_of(&given, "lan"), [ip("10.0.0.77")], "it is another's by now");
}

/// It is asked for when it is accepted, and once more in its turn.
#[test]
fn what_was_promised_is_given_and_not_another() {
    let network = network_of(&["10.0.0.0/30"]);
    let claims = claims_with(&network);
    let vm = VmId::new();
    for _ in 0..2 {
        let given = take(&claims, vm, &network, &[lan(1)]).unwrap();
        assert_eq!(address_of(&given, "lan"), [ip("10.0.0.2")], "there is only this one");
    }
    assert_eq!(claims.book().of_vm[&vm].len(), 2);
}

#[test]
fn what_was_chosen_is_taken_once_however_often_and_all_of_it_or_nothing() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let vm = VmId::new();
    let (_, chosen) = take(&claims, vm, &network, &[lan(1)]).unwrap();
    claims.take_chosen(vm, &chosen).unwrap();
    claims.settle(vm, &[]).unwrap();
    assert_eq!(claims.holder(ip("10.0.0.2")), None);
    claims.take_chosen(vm, &chosen).unwrap();
    assert!(matches!(claims.holder(ip("10.0.0.2")), Some(Holder::Nic { .. })));

    let other = VmId::new();
    let of = |address: &str| NicClaim {
        nic: "lan".parse().unwrap(),
        claim: Claim::Address(ip(address)),
    };
    let both = [of("10.0.0.7"), of("10.0.0.2")];
    let refusal = told(claims.take_chosen(other, &both).unwrap_err());
    assert_eq!((refusal.code, refusal.field), (Code::InUse, None));
    assert_eq!(claims.holder(ip("10.0.0.7")), None);
    assert!(!claims.has_any(other));
}

#[test]
fn settling_leaves_what_is_said_and_takes_nothing_from_others() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let (one, other) = (VmId::new(), VmId::new());
    let (_, of_one) = take(&claims, one, &network, &[lan(1)]).unwrap();
    let (_, of_other) = take(&claims, other, &network, &[lan(2)]).unwrap();
    assert!(!claims.settle(VmId::new(), &[]).unwrap());
    assert!(claims.settle(one, &of_one).unwrap());
    let stolen: Vec<NicClaim> = of_one.iter().chain(&of_other).cloned().collect();
    claims.settle(one, &stolen).unwrap_err();
    let holder = claims.holder(ip("10.0.0.3")).unwrap();
    assert!(is_of(&holder, other, &"lan".parse().unwrap()));
    assert!(claims.settle(one, &[]).unwrap());
    assert_eq!(claims.holder(ip("10.0.0.2")), None);
}

fn keeping(address: IpAddr, mac: Option<MacAddress>) -> Reservation {
    Reservation { address, mac, name: None }
}

fn reserved(network: &mut Network, address: &str) {
    network.subnets[0].reservations.push(keeping(ip(address), None));
}

#[test]
fn whom_an_address_is_kept_for_is_no_nic_and_no_nic_is_whom() {
    let mut network = network_of(&["10.0.0.0/29"]);
    let elsewhere = network_of(&["10.0.1.0/29"]);
    let claims = claims_with(&network);
    claims.put_network(elsewhere.id, Some(&elsewhere));
    let without = network.clone();
    network.subnets[0].reservations.push(keeping(ip("10.0.0.6"), Some(mac(1))));
    claims.put_network(network.id, Some(&network));
    let refusal = take(&claims, VmId::new(), &network, &[lan(1)]).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::InUse, Some("nics[0].mac")));
    assert_eq!(refusal.value, Some(mac(1).to_string()));
    assert!(refusal.message.contains("a reservation"), "{refusal}");
    take(&claims, VmId::new(), &elsewhere, &[lan(1)]).expect("it is another network's");
    claims.put_network(network.id, Some(&without));
    take(&claims, VmId::new(), &network, &[lan(1)]).unwrap();

    let asked = [keeping(ip("10.0.0.5"), None), keeping(ip("10.0.0.6"), Some(mac(1)))];
    let refusal = told(claims.keep(network.id, &asked).unwrap_err());
    assert_eq!((refusal.code, refusal.value), (Code::InUse, Some(mac(1).to_string())));
    assert_eq!(claims.holder(ip("10.0.0.5")), None, "all of them, or none");
    claims.keep(network.id, &[keeping(ip("10.0.0.6"), Some(mac(2)))]).unwrap();
    let refusal = take(&claims, VmId::new(), &network, &[lan(2)]).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("nics[0].mac"));
}

#[test]
fn a_nic_that_is_called_otherwise_keeps_what_it_is_known_by() {
    let network = network_of(&["10.0.0.0/24"]);
    let claims = claims_with(&network);
    let vm = VmId::new();
    let named = |name: &str| {
        let nic = json!({
            "name": name, "network": "lan", "addresses": ["10.0.0.9"], "publish": ["80:80"],
        });
        wished(1, nic)
    };
    let (_, before) = take(&claims, vm, &network, &[named("old")]).unwrap();
    let (_, after) = take(&claims, vm, &network, &[named("new")]).unwrap();
    let of_others = || {
        let other = take(&claims, VmId::new(), &network, &[named("old")]);
        other.unwrap_err().field
    };
    assert_eq!(of_others().as_deref(), Some("nics[0].mac"), "both are this VM's");
    // Whichever is stored in the end has all of it, and nobody else any.
    for kept in [&before, &after] {
        let both: Vec<NicClaim> = before.iter().chain(&after).cloned().collect();
        claims.settle(vm, &both).unwrap();
        claims.settle(vm, kept).unwrap();
        let holder = claims.holder(ip("10.0.0.9")).unwrap();
        assert!(is_of(&holder, vm, &kept[0].nic), "{holder:?}");
        assert_eq!(of_others().as_deref(), Some("nics[0].mac"));
    }
    claims.settle(vm, &[]).unwrap();
    take(&claims, VmId::new(), &network, &[named("old")]).unwrap();
}

#[test]
fn what_a_network_keeps_no_nic_gets_until_the_record_is_without_it() {
    let mut network = network_of(&["10.0.0.0/29"]);
    let without = network.clone();
    reserved(&mut network, "10.0.0.2");
    let claims = claims_with(&network);
    assert_eq!(claims.holder(ip("10.0.0.1")), Some(Holder::Network));
    assert_eq!(claims.holder(ip("10.0.0.2")), Some(Holder::Reservation));
    let given = take(&claims, VmId::new(), &network, &[lan(1)]).unwrap();
    assert_eq!(address_of(&given, "lan"), [ip("10.0.0.3")]);
    let asked = json!({ "name": "lan", "network": "lan", "addresses": ["10.0.0.2"] });
    let refusal = take(&claims, VmId::new(), &network, &[wished(2, asked.clone())]).unwrap_err();
    assert_eq!(refusal.code, Code::InUse);
    assert!(refusal.message.contains("a reservation"), "{refusal}");
    claims.put_network(network.id, Some(&without));
    take(&claims, VmId::new(), &network, &[wished(2, asked)]).unwrap();
    claims.put_network(network.id, None);
    assert_eq!(claims.holder(ip("10.0.0.1")), None);
}

#[test]
fn what_is_to_be_kept_is_nobody_elses_from_then_on() {
    let network = network_of(&["10.0.0.0/29"]);
    let claims = claims_with(&network);
    take(&claims, VmId::new(), &network, &[lan(1)]).unwrap();
    let all = |all: &[&str]| all.iter().map(|one| keeping(ip(one), None)).collect::<Vec<_>>();
    let refusal = told(claims.keep(network.id, &all(&["10.0.0.4", "10.0.0.2"])).unwrap_err());
    assert_eq!(refusal.code, Code::InUse);
    assert_eq!(claims.holder(ip("10.0.0.4")), None, "all of them, or none");
    claims.keep(network.id, &all(&["10.0.0.3", "10.0.0.4"])).unwrap();
    let given = take(&claims, VmId::new(), &network, &[lan(2)]).unwrap();
    assert_eq!(address_of(&given, "lan"), [ip("10.0.0.5")]);
    // The record that was to have them has not.
    claims.put_network(network.id, Some(&network));
    assert_eq!(claims.holder(ip("10.0.0.3")), None);
    assert_eq!(claims.holder(ip("10.0.0.1")), Some(Holder::Network));
}

/// A NIC and a network that have the same by a damaged record: neither gives it to a third.
#[test]
fn what_two_have_stays_taken_until_both_have_given_it_back() {
    let mut network = network_of(&["10.0.0.0/24"]);
    let without = network.clone();
    let claims = claims_with(&network);
    let vm = VmId::new();
    take(&claims, vm, &network, &[lan(1)]).unwrap();
    reserved(&mut network, "10.0.0.2");
    claims.put_network(network.id, Some(&network));
    assert!(matches!(claims.holder(ip("10.0.0.2")), Some(Holder::Nic { .. })));
    claims.settle(vm, &[]).unwrap();
    assert_eq!(claims.holder(ip("10.0.0.2")), Some(Holder::Reservation));
    claims.put_network(network.id, Some(&without));
    assert_eq!(claims.holder(ip("10.0.0.2")), None);
}

#[test]
fn ten_thousand_addresses_are_chosen_and_given_back_quickly() {
    const COUNT: usize = 10_000;
    let network = network_of(&["10.0.0.0/16"]);
    let claims = claims_with(&network);
    let began = Instant::now();
    let chosen = claims.free(&network.subnets[0], &HashSet::new(), COUNT).unwrap();
    assert_eq!(chosen.iter().collect::<HashSet<_>>().len(), COUNT);
    let mut full = network.clone();
    full.subnets[0].reservations = chosen.iter().map(|address| keeping(*address, None)).collect();
    claims.keep(network.id, &full.subnets[0].reservations).unwrap();
    claims.put_network(network.id, Some(&full));
    assert!(chosen.iter().all(|address| claims.holder(*address) == Some(Holder::Reservation)));
    claims.put_network(network.id, Some(&network));
    assert!(chosen.iter().all(|address| claims.holder(*address).is_none()));
    let vms: Vec<(VmId, Given)> = (0..COUNT)
        .map(|number| {
            let [.., high, low] = number.to_be_bytes();
            let vm = VmId::new();
            let lan = Wished { mac: MacAddress::from_suffix([1, high, low]), ..lan(0) };
            (vm, take(&claims, vm, &network, &[lan]).unwrap())
        })
        .collect();
    let given: HashSet<IpAddr> =
        vms.iter().flat_map(|(_, given)| address_of(given, "lan")).collect();
    assert_eq!(given.len(), COUNT);
    for (vm, _) in &vms {
        claims.settle(*vm, &[]).unwrap();
    }
    // Not a measure: one that looked at every address for each would take minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
