//! What operations on networks, and on VMs that are on one, come to.

use super::*;
use crate::networks::{
    changes::NetworkChange,
    claims::{Claim, NicClaim},
};
use innkeeper_model::{
    Network, NetworkConfig, NetworkId, Revision, SubnetId,
    config::MacAddress,
    network::{Plug, Reservation},
};

pub(super) fn lan() -> Arc<Network> {
    Arc::new(Network {
        id: NetworkId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        config: NetworkConfig::new("lan".parse().unwrap()),
        bridge: "br0".parse().unwrap(),
        subnets: Vec::new(),
        facts: Default::default(),
    })
}

pub(super) fn claims_on(network: NetworkId) -> Vec<NicClaim> {
    let claim = |claim| NicClaim { nic: "lan".parse().unwrap(), claim };
    let mac = Claim::Mac { network, mac: MacAddress::from_suffix([0, 0, 1]) };
    let port = "8080:80".parse().unwrap();
    [mac, Claim::Address("10.0.0.2".parse().unwrap()), Claim::Port(port)].map(claim).into()
}

/// A VM with its NICs on networks, two of them on one.
fn plugged(context: Context) -> Context {
    let (one, other) = (NetworkId::new(), NetworkId::new());
    let plug = |(nic, network)| plug(&context, nic, network);
    let plugs = [("a", one), ("b", other), ("c", one)].map(plug).into();
    Context { plugs, ..context }
}

/// A NIC's connection, without an address.
pub(super) fn plug(context: &Context, nic: &str, network: NetworkId) -> Plug {
    Plug {
        vm: context.spec.id,
        nic: nic.parse().unwrap(),
        network,
        tap: format!("tap-{nic}").parse().unwrap(),
        mac: MacAddress::from_suffix([0, 0, 1]),
        addresses: Vec::new(),
        publish: Vec::new(),
        rate: Default::default(),
        mtu: None,
        hostname: "web".into(),
    }
}

#[test]
fn networks_print() {
    let (before, network) = (lan(), lan());
    let subnet = SubnetId::new();
    let address = "10.0.0.2".parse().unwrap();
    let reservations = || vec![Reservation { address, mac: None, name: None }];
    let id = network.id;
    let mut printed = Printed::default();
    let mut add = |operation, variant, change| {
        printed.add(operation, variant, change_network(change));
    };
    let save = |before| NetworkChange::Save { network: network.clone(), before };
    add("network-create", "a new one", save(None));
    for edit in ["network-edit", "subnet-create", "subnet-delete"] {
        add(edit, "one that is there", save(Some(before.clone())));
    }
    add("network-delete", "one that is there", NetworkChange::Remove { network: network.clone() });
    let reserve = NetworkChange::Reserve { network: id, subnet, reservations: reservations() };
    add("subnet-reserve", "an address", reserve);
    let release = NetworkChange::Release { network: id, subnet, reservations: reservations() };
    add("subnet-release", "an address", release);
    insta::assert_snapshot!("networks", printed.settled());
}

#[test]
fn vms_on_networks_print() {
    let mut printed = Printed::default();
    let size = ByteSize(1 << 30);
    let claims = || claims_on(NetworkId::new());
    let one_disk = || with(bare(), "disks", json!([{ "name": "root", "size": "1GiB" }]));
    let made = create(spec(one_disk()), None, size, claims(), &hypervisor(false));
    printed.add("create", "with a disk and a NIC on a network", made);
    printed.add(
        "clone",
        "with a NIC on a network",
        clone(VmId::new(), spec(bare()), size, claims()),
    );
    let before = spec(bare());
    let after = Arc::new(Spec { id: before.id, ..Spec::clone(&spec(bare())) });
    let edited = edit(before, after, None, (size, size), claims(), &hypervisor(false));
    printed.add("edit", "with a NIC on a network", edited);
    let made = |context: Context| start(&plugged(context), false).unwrap();
    printed.add("start", "with NICs on two networks", made(off(bare())));
    let user = with(bare(), "nics", json!([{ "name": "wan" }]));
    printed.add("start", "and a NIC that has a way out", made(off(user)));
    let restored = restore(&plugged(suspended(bare()))).unwrap();
    printed.add("resume", "with NICs on two networks", restored);
    let rebooted = reboot(&plugged(on(bare(), MachineState::Running)), TIMEOUT, false).unwrap();
    printed.add("reboot", "with NICs on two networks", rebooted);
    insta::assert_snapshot!("vms_on_networks", printed.settled());
}
