use super::{super::book::is_of_vm, *};
use innkeeper_model::{
    Refusal, Revision, SubnetConfig, SubnetId, Timestamp,
    network::{NetworkConfig, Reservation},
};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
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
    claims.take(vm, &wishes, &[]).map_err(told)
}

/// As a caller is told who knows no VM by name.
fn told(denied: Denied) -> Refusal {
    denied.refusal(|_| None)
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
        ("[::1]:8080:80", "127.0.0.1:8080:80", false),
        ("[::1]:8080:80", "8080:80", true),
    ] {
        let network = network_of(&[]);
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

// Against a model.

const VMS: usize = 4;

/// One thing that is done to the book.
#[derive(Debug, Clone)]
enum Done {
    /// A VM takes for so many NICs; `None` is any address, and a number that one.
    Take(usize, Vec<Option<u8>>),
    /// A VM is left with what it had after the last but so many.
    Settle(usize, prop::sample::Index),
    /// A VM takes what some VM had chosen at some time.
    TakeChosen(usize, prop::sample::Index),
    /// The network keeps these.
    Put(Vec<u8>),
    /// The network is to keep these.
    Keep(Vec<u8>),
}

fn done() -> impl Strategy<Value = Done> {
    let last = || 0..16u8;
    let asked = prop_oneof![3 => Just(None), 1 => last().prop_map(Some)];
    prop_oneof![
        4 => (0..VMS, prop::collection::vec(asked, 0..3)).prop_map(|(vm, nics)| Done::Take(vm, nics)),
        3 => (0..VMS, any::<prop::sample::Index>()).prop_map(|(vm, at)| Done::Settle(vm, at)),
        2 => (0..VMS, any::<prop::sample::Index>()).prop_map(|(vm, at)| Done::TakeChosen(vm, at)),
        1 => prop::collection::vec(last(), 0..3).prop_map(Done::Put),
        1 => prop::collection::vec(last(), 0..3).prop_map(Done::Keep),
    ]
}

/// Who has what, written down once more and otherwise.
#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    /// Each claim with the VM and NIC that have it.
    held: Vec<(usize, NicClaim)>,
    /// Addresses of the network, gateway excluded.
    kept: std::collections::BTreeSet<IpAddr>,
}

impl Model {
    fn can_have(&self, vm: usize, claim: &NicClaim) -> bool {
        let is_kept =
            matches!(claim.claim, Claim::Address(address) if self.kept.contains(&address));
        let mut others = self.held.iter().filter(|(_, held)| held.claim == claim.claim);
        let is_mine = others.clone().any(|(other, _)| *other == vm);
        others.all(|(other, _)| *other == vm) && (is_mine || !is_kept)
    }

    /// Whether one of so many NICs that a VM will have can have it.
    fn can_take(&self, vm: usize, claim: &NicClaim, nics: usize) -> bool {
        let stays = |nic: &DeviceName| (0..nics).any(|index| nic.as_str() == format!("nic{index}"));
        let mut siblings = self.held.iter().filter(|(other, held)| {
            *other == vm && held.claim == claim.claim && held.nic != claim.nic
        });
        siblings.all(|(_, held)| !stays(&held.nic)) && self.can_have(vm, claim)
    }

    fn give(&mut self, vm: usize, claim: &NicClaim) {
        let one = (vm, claim.clone());
        if !self.held.contains(&one) {
            self.held.push(one);
        }
    }

    fn of(&self, vm: usize) -> Vec<NicClaim> {
        self.held.iter().filter(|(other, _)| *other == vm).map(|(_, claim)| claim.clone()).collect()
    }
}

fn last_of(last: u8) -> IpAddr {
    ip(&format!("10.0.0.{last}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_no_address_has_two_holders(all in prop::collection::vec(done(), 1..40)) {
        let mut network = network_of(&["10.0.0.0/28"]);
        let claims = claims_with(&network);
        let vms: [VmId; VMS] = std::array::from_fn(|_| VmId::new());
        let mut model = Model::default();
        let mut chosen: Vec<Vec<NicClaim>> = vec![Vec::new()];
        for one in all {
            let before = model.clone();
            match &one {
                Done::Take(vm, nics) => {
                    let wished: Vec<Wished> = nics.iter().enumerate().map(|(index, asked)| {
                        let asked: Vec<String> =
                            asked.iter().map(|last| last_of(*last).to_string()).collect();
                        let name = format!("nic{index}");
                        let nic = json!({ "name": name, "network": "lan", "addresses": asked });
                        wished(u8::try_from(vm * 8 + index).unwrap(), nic)
                    }).collect();
                    match take(&claims, vms[*vm], &network, &wished) {
                        Ok((addresses, taken)) => {
                            for claim in &taken {
                                prop_assert!(before.can_take(*vm, claim, nics.len()), "{one:?} of {before:?} got {claim:?}");
                                model.give(*vm, claim);
                            }
                            prop_assert_eq!(addresses.iter().count(), nics.len());
                            for (name, given) in addresses.iter() {
                                prop_assert_eq!(given.len(), 1);
                                prop_assert!(network.subnets[0].config.can_be_given(given[0]));
                                let claim = NicClaim { nic: name.parse().unwrap(), claim: Claim::Address(given[0]) };
                                prop_assert!(taken.contains(&claim));
                            }
                            chosen.push(taken);
                        }
                        Err(refusal) => {
                            let can_all = wished.iter().zip(nics).all(|(wished, asked)| {
                                let claim = |claim| NicClaim { nic: wished.nic.name.clone(), claim };
                                let mac = Claim::Mac { network: network.id, mac: wished.mac };
                                let can = |of| before.can_take(*vm, &claim(of), nics.len());
                                can(mac) && asked.is_none_or(|last| {
                                    network.subnets[0].config.can_be_given(last_of(last))
                                        && can(Claim::Address(last_of(last)))
                                })
                            });
                            let is_full = refusal.code == Code::OutOfCapacity;
                            let twice = nics.len() == 2 && nics[1].is_some();
                            prop_assert!(!can_all || is_full || twice, "{one:?} of {before:?}: {refusal}");
                        }
                    }
                }
                Done::Settle(vm, at) => {
                    let wanted = at.get(&chosen).clone();
                    let outcome = claims.settle(vms[*vm], &wanted);
                    model.held.retain(|(other, held)| other != vm || wanted.contains(held));
                    let mut all_had = true;
                    for claim in &wanted {
                        if model.can_have(*vm, claim) {
                            model.give(*vm, claim);
                        } else {
                            all_had = false;
                        }
                    }
                    prop_assert_eq!(outcome.is_ok(), all_had);
                }
                Done::TakeChosen(vm, at) => {
                    let wanted = at.get(&chosen).clone();
                    let can = wanted.iter().all(|claim| model.can_have(*vm, claim));
                    let outcome = claims.take_chosen(vms[*vm], &wanted);
                    prop_assert_eq!(outcome.is_ok(), can, "{:?} of {:?}", one, before);
                    if can {
                        wanted.iter().for_each(|claim| model.give(*vm, claim));
                    }
                }
                Done::Put(kept) => {
                    network.subnets[0].reservations =
                        kept.iter().map(|last| keeping(last_of(*last), None)).collect();
                    claims.put_network(network.id, Some(&network));
                    model.kept = kept.iter().map(|last| last_of(*last)).collect();
                }
                Done::Keep(kept) => {
                    let reserved: Vec<Reservation> =
                        kept.iter().map(|last| keeping(last_of(*last), None)).collect();
                    let outcome = claims.keep(network.id, &reserved);
                    let held = |address: &IpAddr| model.held.iter().any(|(_, held)| held.claim == Claim::Address(*address));
                    let is_held = kept.iter().any(|last| held(&last_of(*last)));
                    prop_assert_eq!(outcome.is_err(), is_held);
                    if !is_held {
                        model.kept.extend(kept.iter().map(|last| last_of(*last)));
                    }
                }
            }
            agrees(&claims, &model, &vms)?;
        }
    }
}

/// The book says what the model says, of every address of the range and of every VM.
fn agrees(
    claims: &Claims,
    model: &Model,
    vms: &[VmId; VMS],
) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut of_address: BTreeMap<IpAddr, VmId> = BTreeMap::new();
    for (vm, held) in &model.held {
        if let Claim::Address(address) = held.claim {
            let other = of_address.insert(address, vms[*vm]);
            prop_assert!(other.is_none_or(|of| of == vms[*vm]), "{address} has two holders");
        }
    }
    for last in 0..16 {
        let address = last_of(last);
        let of_network = match model.kept.contains(&address) {
            true if last == 1 => Some(Holder::Network),
            true => Some(Holder::Reservation),
            false => (last == 1).then_some(Holder::Network),
        };
        let holder = claims.holder(address);
        match of_address.get(&address) {
            Some(vm) => prop_assert!(holder.is_some_and(|of| is_of_vm(&of, *vm)), "of {address}"),
            None => prop_assert_eq!(holder, of_network, "of {}", address),
        }
    }
    for (index, vm) in vms.iter().enumerate() {
        let (mut of_book, mut of_model) =
            (claims.book().of_vm.get(vm).cloned().unwrap_or_default(), model.of(index));
        let key = |claim: &NicClaim| format!("{claim:?}");
        of_book.sort_by_key(key);
        of_model.sort_by_key(key);
        prop_assert_eq!(of_book, of_model);
    }
    let macs = claims.book().macs.len();
    let of_model = model.held.iter().filter(|(_, held)| matches!(held.claim, Claim::Mac { .. }));
    let of_model: HashSet<Claim> = of_model.map(|(_, held)| held.claim).collect();
    prop_assert_eq!(macs, of_model.len());
    Ok(())
}
