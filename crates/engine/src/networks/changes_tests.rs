use super::{super::wiring::claims_of_vm, *};
use innkeeper_model::{Spec, VmId, config::MacAddress, network::MIN_MTU};
use innkeeper_view::{Update, View, ViewOptions};
use serde_json::{Value, json};

/// What there is, and who has what of it.
struct Known {
    view: View,
    claims: Claims,
}

impl Known {
    fn new() -> Self {
        let view = View::start(ViewOptions::new(uuid::Uuid::nil()));
        Self { view, claims: Claims::default() }
    }

    async fn tell(&self, update: Update) {
        self.view.barrier(vec![update]).await.unwrap();
    }

    fn change(&self, request: &NetworkRequest) -> Result<NetworkChange, Refusal> {
        change(request, &self.view.snapshot(), &self.claims)
    }

    /// Why it is refused: the code, the field, the value and the limit.
    fn refused(&self, request: &NetworkRequest) -> Refused {
        let refusal = self.change(request).unwrap_err();
        assert!(!refusal.message.is_empty());
        (refusal.code, refusal.field, refusal.value, refusal.limit)
    }

    /// Does it, as far as records go.
    async fn done(&self, request: &NetworkRequest) -> Arc<Network> {
        let network = saved(self.change(request).unwrap());
        self.put(&network).await;
        network
    }

    async fn put(&self, network: &Arc<Network>) {
        self.claims.put_network(network.id, Some(network));
        self.tell(Update::Network(network.clone())).await;
    }

    async fn lan(&self) -> Arc<Network> {
        self.done(&create(json!({ "name": "lan" }), &["10.0.0.0/24"])).await
    }

    /// A VM with a NIC on a network, which has this address.
    async fn vm(&self, name: &str, network: &str, address: &str) -> Arc<Spec> {
        let spec = Arc::new(Spec {
            id: VmId::new(),
            revision: Revision(1),
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            want: innkeeper_model::Want::Stopped,
            draft: false,
            driver: None,
            config: serde_json::from_value(json!({
                "name": name, "nics": [{ "name": "lan", "network": network }],
            }))
            .unwrap(),
            assigned: serde_json::from_value(json!({
                "machine": "m", "cpu_model": "c", "devices": {}, "ports": 1,
                "macs": { "lan": "52:54:00:00:00:01" }, "addresses": { "lan": [address] },
            }))
            .unwrap(),
        });
        self.tell(Update::VmSpec(spec.clone())).await;
        spec
    }
}

type Refused = (Code, Option<String>, Option<String>, Option<String>);

fn refusal(code: Code, field: &str, value: &str, limit: Option<&str>) -> Refused {
    (code, Some(field.into()), Some(value.into()), limit.map(Into::into))
}

fn saved(change: NetworkChange) -> Arc<Network> {
    match change {
        NetworkChange::Save { network, .. } => network,
        other => panic!("{other:?}"),
    }
}

fn config(config: Value) -> Box<NetworkConfig> {
    Box::new(serde_json::from_value(config).unwrap())
}

fn subnet(range: &str) -> SubnetConfig {
    SubnetConfig::new(range.parse().unwrap())
}

fn create(of: Value, ranges: &[&str]) -> NetworkRequest {
    let subnets = ranges.iter().map(|range| subnet(range)).collect();
    NetworkRequest::Create { config: config(of), id: None, subnets }
}

fn create_subnet(network: NetworkId, of: Value) -> NetworkRequest {
    let config = Box::new(serde_json::from_value(of).unwrap());
    NetworkRequest::CreateSubnet { network, config, id: None }
}

fn edit_of(network: NetworkId, of: Value) -> NetworkRequest {
    NetworkRequest::Edit { network, config: config(of), expected: None }
}

fn wish(address: Option<&str>) -> ReservationWish {
    let address = address.map(|address| address.parse().unwrap());
    ReservationWish { address, ..ReservationWish::default() }
}

#[tokio::test]
async fn a_new_network_has_a_bridge_an_id_and_what_was_asked() {
    let known = Known::new();
    let request = with_ids(create(json!({ "name": "lan" }), &["10.0.0.0/24", "fd00::/64"]));
    let NetworkChange::Save { network, before: None } = known.change(&request).unwrap() else {
        panic!("it is new");
    };
    assert_eq!((network.revision, network.subnets.len()), (Revision(1), 2));
    assert_eq!(network.bridge, bridge_name(network.id));
    let again = saved(known.change(&request).unwrap());
    assert_eq!(again.id, network.id, "asked twice, it comes to the same");
    let joined = create(json!({ "name": "wan", "bridge": "br0", "vlan": 7 }), &[]);
    assert_eq!(known.done(&joined).await.bridge.as_str(), "br0");
}

#[tokio::test]
async fn what_is_wrong_in_itself_is_refused_with_field_value_and_limit() {
    let known = Known::new();
    let invalid = |field, value, limit| refusal(Code::InvalidField, field, value, limit);
    for (of, expected) in [
        (json!({ "name": "user" }), invalid("name", "user", None)),
        (
            json!({ "name": "lan", "bridge": "br0", "vlan": 4095 }),
            invalid("vlan", "4095", Some("1 to 4094")),
        ),
        (
            json!({ "name": "lan", "bridge": "br0", "vlan": 0 }),
            invalid("vlan", "0", Some("1 to 4094")),
        ),
        (json!({ "name": "lan", "vlan": 7 }), invalid("vlan", "7", None)),
        (json!({ "name": "lan", "mtu": 575 }), invalid("mtu", "575", Some("576 to 65521 bytes"))),
    ] {
        assert_eq!(known.refused(&create(of.clone(), &[])), expected, "{of}");
        let lan = known.done(&create(json!({ "name": "other" }), &[])).await;
        assert_eq!(known.refused(&edit_of(lan.id, of.clone())), expected, "{of}");
        known.tell(Update::NetworkRemoved(lan.id)).await;
    }
    let lan = known.lan().await;
    for (of, expected) in [
        (json!({ "range": "10.1.0.0/31" }), invalid("range", "10.1.0.0/31", Some("/8 to /30"))),
        (json!({ "range": "10.1.0.5/24" }), invalid("range", "10.1.0.5/24", None)),
        (json!({ "range": "127.0.0.0/24" }), invalid("range", "127.0.0.0/24", None)),
        (
            json!({ "range": "10.1.0.0/24", "gateway": "10.2.0.1" }),
            invalid("gateway", "10.2.0.1", Some("10.1.0.0/24")),
        ),
        (
            json!({ "range": "10.1.0.0/24", "gateway": "10.1.0.255" }),
            invalid("gateway", "10.1.0.255", Some("10.1.0.0/24")),
        ),
        (
            json!({ "range": "10.1.0.0/24", "dns": ["fd00::1"] }),
            invalid("dns", "fd00::1", Some("10.1.0.0/24")),
        ),
    ] {
        assert_eq!(known.refused(&create_subnet(lan.id, of.clone())), expected, "{of}");
    }
}

#[tokio::test]
async fn ranges_that_overlap_are_refused_wherever_they_are() {
    let known = Known::new();
    let lan = known.done(&create(json!({ "name": "lan" }), &["10.0.0.0/24", "fd00::/64"])).await;
    let other = known.done(&create(json!({ "name": "other" }), &[])).await;
    for (range, theirs) in [
        ("10.0.0.0/24", Some("10.0.0.0/24")),
        ("10.0.0.128/25", Some("10.0.0.0/24")),
        ("10.0.0.0/16", Some("10.0.0.0/24")),
        ("10.0.1.0/24", None),
        ("fd00::/64", Some("fd00::/64")),
        ("fd00:0:0:1::/64", None),
    ] {
        for network in [lan.id, other.id] {
            let request = create_subnet(network, json!({ "range": range }));
            match theirs {
                Some(theirs) => {
                    let expected = refusal(Code::InUse, "range", range, Some(theirs));
                    assert_eq!(known.refused(&request), expected);
                    let message = known.change(&request).unwrap_err().message;
                    assert!(message.contains("network lan"), "{message}");
                }
                None => drop(known.change(&request).unwrap()),
            }
        }
    }
    // Two of one request.
    let both = create(json!({ "name": "third" }), &["10.9.0.0/24", "10.9.0.0/16"]);
    assert_eq!(
        known.refused(&both),
        refusal(Code::InUse, "subnets[1].range", "10.9.0.0/16", Some("10.9.0.0/24"))
    );
}

#[tokio::test]
async fn a_network_has_only_so_many_subnets() {
    let known = Known::new();
    let ranges: Vec<String> = (0..=MAX_SUBNETS).map(|n| format!("10.{n}.0.0/24")).collect();
    let all: Vec<&str> = ranges.iter().map(String::as_str).collect();
    let expected = refusal(Code::InvalidField, "subnets", "16", Some("16"));
    assert_eq!(known.refused(&create(json!({ "name": "lan" }), &all)), expected);
    let lan = known.done(&create(json!({ "name": "lan" }), &all[1..])).await;
    assert_eq!(known.refused(&create_subnet(lan.id, json!({ "range": all[0] }))), expected);
}

#[tokio::test]
async fn names_ids_and_bridges_are_had_once() {
    let known = Known::new();
    let lan = known.lan().await;
    let taken = |field, value: &str| refusal(Code::NameTaken, field, value, None);
    assert_eq!(known.refused(&create(json!({ "name": "lan" }), &[])), taken("name", "lan"));
    let other = known.done(&create(json!({ "name": "other", "bridge": "br0" }), &[])).await;
    assert_eq!(known.refused(&edit_of(lan.id, json!({ "name": "other" }))), taken("name", "other"));
    let request = NetworkRequest::Create {
        config: config(json!({ "name": "third" })),
        id: Some(lan.id),
        subnets: Vec::new(),
    };
    assert_eq!(known.refused(&request), taken("id", &lan.id.to_string()));
    let request = NetworkRequest::CreateSubnet {
        network: other.id,
        config: Box::new(subnet("10.5.0.0/24")),
        id: Some(lan.subnets[0].id),
    };
    assert_eq!(known.refused(&request), taken("id", &lan.subnets[0].id.to_string()));
    known.done(&create_subnet(lan.id, json!({ "range": "10.6.0.0/24", "name": "six" }))).await;
    let request = create_subnet(lan.id, json!({ "range": "10.7.0.0/24", "name": "six" }));
    assert_eq!(known.refused(&request), taken("name", "six"));

    let in_use = |bridge: &str| refusal(Code::InUse, "bridge", bridge, None);
    for (of, expected) in [
        (json!({ "name": "a", "bridge": "br0" }), Some(in_use("br0"))),
        (json!({ "name": "a", "bridge": "br0", "vlan": 7 }), None),
        (json!({ "name": "a", "bridge": lan.bridge }), Some(in_use(lan.bridge.as_str()))),
        (
            json!({ "name": "a", "bridge": lan.bridge, "vlan": 7 }),
            Some(in_use(lan.bridge.as_str())),
        ),
    ] {
        let request = create(of.clone(), &[]);
        assert_eq!(known.change(&request).err().map(|_| known.refused(&request)), expected, "{of}");
    }
}

#[tokio::test]
async fn what_guests_are_plugged_into_does_not_change_under_them() {
    let known = Known::new();
    let wan = known.done(&create(json!({ "name": "wan", "bridge": "br0", "vlan": 7 }), &[])).await;
    let stays = |field, value| refusal(Code::InvalidField, field, value, None);
    for (of, expected) in [
        (json!({ "name": "wan", "bridge": "br1", "vlan": 7 }), stays("bridge", "br1")),
        (json!({ "name": "wan", "bridge": "br0", "vlan": 8 }), stays("vlan", "8")),
        (json!({ "name": "wan", "bridge": "br0" }), stays("vlan", "")),
        (json!({ "name": "wan" }), stays("bridge", "")),
    ] {
        assert_eq!(known.refused(&edit_of(wan.id, of.clone())), expected, "{of}");
    }
    let six = known.done(&create(json!({ "name": "six" }), &["fd00::/64"])).await;
    let expected = refusal(Code::InvalidField, "mtu", "1279", Some("1280"));
    assert_eq!(known.refused(&edit_of(six.id, json!({ "name": "six", "mtu": 1279 }))), expected);
    let narrow = known.done(&create(json!({ "name": "narrow", "mtu": MIN_MTU }), &[])).await;
    let (code, field, value, limit) =
        known.refused(&create_subnet(narrow.id, json!({ "range": "fd01::/64" })));
    assert_eq!(code, Code::InvalidField);
    assert_eq!((field.as_deref(), value.as_deref()), (Some("mtu"), Some("576")));
    assert_eq!(limit.as_deref(), Some("1280"));
}

#[tokio::test]
async fn an_edit_of_another_revision_than_was_read_is_refused() {
    let known = Known::new();
    let lan = known.lan().await;
    let edit = |expected| NetworkRequest::Edit {
        network: lan.id,
        config: config(json!({ "name": "lan", "isolated": true })),
        expected,
    };
    let NetworkChange::Save { network, before } = known.change(&edit(Some(Revision(1)))).unwrap()
    else {
        panic!("it is saved")
    };
    assert_eq!((network.revision, network.config.isolated), (Revision(2), true));
    assert_eq!(network.subnets, lan.subnets);
    assert_eq!(before.unwrap().revision, Revision(1));
    known.put(&network).await;
    assert_eq!(known.refused(&edit(Some(Revision(1)))).0, Code::RevisionConflict);
}

#[tokio::test]
async fn what_vms_use_stays_and_they_are_named_five_at_most() {
    let known = Known::new();
    let lan = known.lan().await;
    let delete = NetworkRequest::Delete { network: lan.id };
    let delete_subnet = NetworkRequest::DeleteSubnet { subnet: lan.subnets[0].id };
    let rename = edit_of(lan.id, json!({ "name": "new" }));
    let all = [delete, delete_subnet, rename];
    for request in &all {
        known.change(request).unwrap();
    }
    known.vm("web", "lan", "10.0.0.9").await;
    for request in &all {
        let refusal = known.change(request).unwrap_err();
        assert_eq!(refusal.code, Code::InUse);
        assert!(refusal.message.ends_with("is in use by web"), "{refusal}");
        assert!(refusal.hint.is_some());
    }
    for number in 0..7 {
        known.vm(&format!("web-{number}"), "lan", &format!("10.0.0.1{number}")).await;
    }
    for request in &all {
        let message = known.change(request).unwrap_err().message;
        assert_eq!(message.matches("web").count(), 5, "{message}");
    }
    // Not its name: what runs is not in the way of that.
    known.change(&edit_of(lan.id, json!({ "name": "lan", "isolated": true }))).unwrap();
}

#[tokio::test]
async fn a_subnet_with_reservations_stays() {
    let known = Known::new();
    let lan = known.lan().await;
    let reservations = vec![reservation("10.0.0.7")];
    let kept = with_reservations(&lan, lan.subnets[0].id, &reservations, true).unwrap();
    known.put(&Arc::new(kept)).await;
    let refusal =
        known.change(&NetworkRequest::DeleteSubnet { subnet: lan.subnets[0].id }).unwrap_err();
    assert_eq!(refusal.code, Code::InUse);
    assert!(refusal.message.contains("1 reservations"), "{refusal}");
}

fn reservation(address: &str) -> Reservation {
    Reservation { address: address.parse().unwrap(), mac: None, name: None }
}

#[tokio::test]
async fn addresses_are_kept_that_are_free_and_of_the_range() {
    let known = Known::new();
    let lan = known.lan().await;
    let subnet = lan.subnets[0].id;
    let web = known.vm("web", "lan", "10.0.0.9").await;
    let held =
        claims_of_vm(known.view.snapshot().vms.get(&web.id).unwrap(), &known.view.snapshot());
    known.claims.take_chosen(web.id, &held).unwrap();
    let reserve = |wanted: &[Option<&str>]| NetworkRequest::Reserve {
        subnet,
        wanted: wanted.iter().map(|address| wish(*address)).collect(),
    };
    let field = "reservations[1].address";
    for (address, code, limit) in [
        ("10.0.1.1", Code::InvalidField, Some("10.0.0.0/24")),
        ("10.0.0.1", Code::InvalidField, Some("10.0.0.0/24")),
        ("10.0.0.255", Code::InvalidField, Some("10.0.0.0/24")),
        ("fd00::1", Code::InvalidField, Some("10.0.0.0/24")),
        ("10.0.0.5", Code::InvalidField, None),
        ("10.0.0.9", Code::InUse, None),
    ] {
        let request = reserve(&[Some("10.0.0.5"), Some(address)]);
        assert_eq!(known.refused(&request), refusal(code, field, address, limit), "{address}");
    }
    let taken = known.change(&reserve(&[Some("10.0.0.9")])).unwrap_err().message;
    assert!(taken.ends_with("is taken by NIC lan of VM web"), "{taken}");
    let mac: MacAddress = "52:54:00:00:00:01".parse().unwrap();
    let for_nic = NetworkRequest::Reserve {
        subnet,
        wanted: vec![wish(None), ReservationWish { mac: Some(mac), ..wish(Some("10.0.0.5")) }],
    };
    let expected = refusal(Code::InUse, "reservations[1].mac", "52:54:00:00:00:01", None);
    assert_eq!(known.refused(&for_nic), expected);

    let NetworkChange::Reserve { reservations, .. } =
        known.change(&reserve(&[None, Some("10.0.0.2"), None])).unwrap()
    else {
        panic!("it is kept")
    };
    let addresses: Vec<String> = reservations.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.3", "10.0.0.2", "10.0.0.4"]);
    assert_eq!(known.claims.holder("10.0.0.3".parse().unwrap()), None, "nothing is taken yet");
    let again = known.change(&reserve(&[None, Some("10.0.0.2"), None])).unwrap();
    let NetworkChange::Reserve { reservations: again, .. } = again else { panic!("it is kept") };
    assert_eq!(again, reservations, "asked twice, it comes to the same");
    let all: Vec<Option<&str>> = vec![None; 253];
    let full = known.change(&reserve(&all)).unwrap_err();
    assert_eq!((full.code, full.limit.as_deref()), (Code::OutOfCapacity, Some("10.0.0.0/24")));
}

#[tokio::test]
async fn only_what_is_kept_is_given_back() {
    let known = Known::new();
    let lan = known.lan().await;
    let subnet = lan.subnets[0].id;
    let all = ["10.0.0.5", "10.0.0.6", "10.0.0.7"].map(reservation);
    let kept = Arc::new(with_reservations(&lan, subnet, &all, true).unwrap());
    known.put(&kept).await;
    let release = |addresses: &[&str]| NetworkRequest::Release {
        subnet,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    let refused = known.change(&release(&["10.0.0.5", "10.0.0.8"])).unwrap_err();
    assert_eq!((refused.code, refused.value.as_deref()), (Code::NotFound, Some("10.0.0.8")));
    let NetworkChange::Release { reservations, .. } =
        known.change(&release(&["10.0.0.7", "10.0.0.5"])).unwrap()
    else {
        panic!("it is given back")
    };
    assert_eq!(reservations, [all[0].clone(), all[2].clone()]);
    let after = with_reservations(&kept, subnet, &reservations, false).unwrap();
    assert_eq!(after.subnets[0].reservations, [all[1].clone()]);
    let twice = with_reservations(&after, subnet, &reservations, false).unwrap();
    assert_eq!(twice.subnets, after.subnets);
    assert_eq!(with_reservations(&after, SubnetId::new(), &reservations, true), None);
    let again = with_reservations(&kept, subnet, &all, true).unwrap();
    assert_eq!(again.subnets, kept.subnets, "kept twice, they are there once, in their order");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let known = Known::new();
    let network = NetworkId::new();
    let subnet_id = SubnetId::new();
    for request in [
        edit_of(network, json!({ "name": "lan" })),
        NetworkRequest::Delete { network },
        create_subnet(network, json!({ "range": "10.0.0.0/24" })),
        NetworkRequest::DeleteSubnet { subnet: subnet_id },
        NetworkRequest::Reserve { subnet: subnet_id, wanted: vec![wish(None)] },
        NetworkRequest::Release { subnet: subnet_id, addresses: Vec::new() },
    ] {
        assert_eq!(known.refused(&request).0, Code::NotFound, "{request:?}");
    }
}

#[tokio::test]
async fn a_request_is_about_the_network_that_its_subnet_is_on() {
    let known = Known::new();
    let lan = known.lan().await;
    known.done(&create(json!({ "name": "other" }), &["10.1.0.0/24"])).await;
    let snapshot = known.view.snapshot();
    let subnet_id = lan.subnets[0].id;
    for request in [
        NetworkRequest::DeleteSubnet { subnet: subnet_id },
        NetworkRequest::Reserve { subnet: subnet_id, wanted: Vec::new() },
        NetworkRequest::Release { subnet: subnet_id, addresses: Vec::new() },
        NetworkRequest::Delete { network: lan.id },
    ] {
        assert_eq!(subject(&request, &snapshot), Some(lan.id));
    }
    assert_eq!(subject(&NetworkRequest::DeleteSubnet { subnet: SubnetId::new() }, &snapshot), None);
}
