//! From specs and networks to what the host has to know of them. Pure.

use super::claims::{Claim, NicClaim, NicWish};
use innkeeper_model::{
    Assigned, Code, Incarnation, Network, NetworkId, NetworkName, ProjectName, Refusal, SmallMap,
    Spec, Vm, VmConfig, VmId, VmName,
    config::{Attachment, MacAddress, Nic, PublishedPort},
    network::Plug,
};
use innkeeper_network::{Desired, tap_name};
use innkeeper_view::Snapshot;
use std::{
    net::{IpAddr, SocketAddrV4},
    sync::Arc,
};

/// Ethernet's own MTU, which guests take without being told (IEEE 802.3).
const ETHERNET_MTU: u32 = 1500;
/// The longest label of a host name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// The NICs of a configuration that want to be on a network.
///
/// # Errors
/// There is no such network: the field, and what to do.
pub(crate) fn wishes<'a>(
    config: &'a VmConfig,
    macs: &SmallMap<MacAddress>,
    before: Option<&'a Assigned>,
    snapshot: &'a Snapshot,
) -> Result<Vec<NicWish<'a>>, Refusal> {
    let mut wishes = Vec::new();
    for (index, nic) in config.nics.iter().enumerate() {
        let Some(name) = nic.network.network() else { continue };
        let network = snapshot.network_named(name).ok_or_else(|| no_network(index, name))?;
        let mac = macs.get(nic.name.as_str()).copied().ok_or_else(|| {
            Refusal::new(Code::Internal, format!("NIC {} was given no hardware address", nic.name))
        })?;
        let had = before.and_then(|before| before.addresses.get(nic.name.as_str()));
        let before = had.map(Vec::as_slice).unwrap_or_default();
        wishes.push(NicWish { index, nic, mac, network: network.value(), before });
    }
    Ok(wishes)
}

/// Refuses a machine whose NICs' networks are not there.
///
/// # Errors
/// The first: its field, and what to do.
pub(crate) fn networks_of(config: &VmConfig, snapshot: &Snapshot) -> Result<(), Refusal> {
    let named = |(index, nic): (usize, &Nic)| {
        let name = nic.network.network().cloned()?;
        snapshot.network_named(&name).is_none().then_some((index, name))
    };
    match config.nics.iter().enumerate().find_map(named) {
        None => Ok(()),
        Some((index, name)) => Err(no_network(index, &name)),
    }
}

fn no_network(index: usize, name: &NetworkName) -> Refusal {
    Refusal::invalid(format!("nics[{index}].network"), name, "is not a network of this host")
        .with_hint(format!(
            "`inn network list` shows them, `inn network create {name}` makes it; without one, take \
             user or none"
        ))
}

/// The connections that a spec's NICs have to networks of the host, in the order of the NICs. One whose
/// network is not there has none.
pub(crate) fn plugs_of(spec: &Spec, snapshot: &Snapshot) -> Vec<Plug> {
    let plug = |nic: &Nic| {
        let network = snapshot.network_named(nic.network.network()?)?;
        let mtu = network.facts.mtu.or(network.config.mtu.map(u32::from)).unwrap_or(ETHERNET_MTU);
        Some(Plug {
            vm: spec.id,
            nic: nic.name.clone(),
            network: network.id,
            tap: tap_name(spec.id, &nic.name),
            mac: *spec.assigned.macs.get(nic.name.as_str())?,
            addresses: spec.assigned.addresses.get(nic.name.as_str()).cloned().unwrap_or_default(),
            publish: nic.publish.clone(),
            rate: nic.rate,
            mtu: u16::try_from(mtu).ok().filter(|mtu| u32::from(*mtu) != ETHERNET_MTU),
            hostname: hostname(&spec.config.name),
        })
    };
    spec.config.nics.iter().filter_map(plug).collect()
}

/// A VM's name as one label of a host name: what DNS does not allow becomes a dash.
fn hostname(name: &VmName) -> String {
    let label: String = name
        .as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(MAX_LABEL)
        .collect();
    label.trim_matches('-').to_owned()
}

/// What a VM has on networks: its machine's connections, and those that its next one will have. A
/// machine keeps what it was built with, whatever its spec says by now.
pub(crate) fn plugs_of_vm(vm: &Vm, snapshot: &Snapshot) -> Vec<Plug> {
    let machine = machine_of(vm).map(|machine| machine.plugs.clone()).unwrap_or_default();
    let next = vm.spec.as_ref().map(|spec| plugs_of(spec, snapshot)).unwrap_or_default();
    let is_new = |plug: &Plug| machine.iter().all(|other| other.tap != plug.tap);
    let next: Vec<Plug> = next.into_iter().filter(is_new).collect();
    machine.into_iter().chain(next).collect()
}

/// What a VM's machine was built from: the one that there is, or the one whose memory is kept.
fn machine_of(vm: &Vm) -> Option<&Incarnation> {
    let kept = vm.memory.as_ref().map(|memory| &memory.incarnation);
    vm.incarnation.as_deref().or(kept)
}

/// All that there should be on the host, where `metadata` is what guests' metadata service listens on.
pub(crate) fn desired(snapshot: &Snapshot, metadata: Option<SocketAddrV4>) -> Desired {
    // What there is says nothing of what there should be.
    let networks: Vec<Arc<Network>> =
        snapshot.networks.keys().filter_map(|id| network(snapshot, *id).ok()).collect();
    let nics = match networks.is_empty() {
        true => Vec::new(),
        false => snapshot.vms.values().flat_map(|vm| plugs_of_vm(vm, snapshot)).collect(),
    };
    let metadata = metadata.filter(|_| !networks.is_empty());
    Desired { networks, nics, metadata }
}

/// What a VM holds of the host's addresses and ports: its machine's, and its spec's.
pub(crate) fn claims_of_vm(vm: &Vm, snapshot: &Snapshot) -> Vec<NicClaim> {
    let mut claims: Vec<NicClaim> = Vec::new();
    let machine = machine_of(vm).into_iter().flat_map(|machine| machine.plugs.iter().cloned());
    let next = vm.spec.iter().flat_map(|spec| plugs_of(spec, snapshot));
    for plug in machine.chain(next) {
        for claim in claims_of(&plug) {
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
    }
    for (_, nic) in vm.spec.iter().flat_map(|spec| private_nics(&spec.config)) {
        let port =
            |port: &PublishedPort| NicClaim { nic: nic.name.clone(), claim: Claim::Port(*port) };
        claims.extend(nic.publish.iter().map(port));
    }
    claims
}

/// The NICs on a private network of their hypervisor's, each with its place.
pub(crate) fn private_nics(config: &VmConfig) -> impl Iterator<Item = (usize, &Nic)> {
    config.nics.iter().enumerate().filter(|(_, nic)| nic.network == Attachment::User)
}

/// What a connection to a network takes of the host.
pub(crate) fn claims_of(plug: &Plug) -> impl Iterator<Item = NicClaim> {
    let mac = Claim::Mac { network: plug.network, mac: plug.mac };
    let addresses = plug.addresses.iter().copied().map(Claim::Address);
    let ports = plug.publish.iter().copied().map(Claim::Port);
    let claims = std::iter::once(mac).chain(addresses).chain(ports);
    claims.map(|claim| NicClaim { nic: plug.nic.clone(), claim })
}

/// The VMs with a NIC on a network, by their specs or by their machines; so many at most.
pub(crate) fn users(network: &Network, snapshot: &Snapshot, at_most: usize) -> Vec<VmName> {
    let uses = |vm: &&Arc<innkeeper_view::Record<Vm>>| {
        let wants = vm.spec.as_ref().is_some_and(|spec| {
            let nics = spec.config.nics.iter();
            nics.filter_map(|nic| nic.network.network()).any(|name| *name == network.config.name)
        });
        wants || has_plug(vm, network.id)
    };
    snapshot.vms.values().filter(uses).take(at_most).map(|vm| vm.name.clone()).collect()
}

fn has_plug(vm: &Vm, network: NetworkId) -> bool {
    machine_of(vm).is_some_and(|machine| machine.plugs.iter().any(|plug| plug.network == network))
}

/// The VMs that have addresses which a test picks out; so many at most.
pub(crate) fn holders(
    snapshot: &Snapshot,
    at_most: usize,
    is_meant: impl Fn(&IpAddr) -> bool,
) -> Vec<VmId> {
    let of_machine = |vm: &Vm| -> Vec<IpAddr> {
        let plugs = machine_of(vm).into_iter().flat_map(|machine| machine.plugs.iter());
        plugs.flat_map(|plug| plug.addresses.iter().copied()).collect()
    };
    let of_spec = |vm: &Vm| -> Vec<IpAddr> {
        let assigned = vm.spec.iter().flat_map(|spec| spec.assigned.addresses.iter());
        assigned.flat_map(|(_, addresses)| addresses.iter().copied()).collect()
    };
    let meant = |vm: &&Arc<innkeeper_view::Record<Vm>>| {
        of_machine(vm).iter().chain(&of_spec(vm)).any(&is_meant)
    };
    snapshot.vms.values().filter(meant).take(at_most).map(|vm| vm.id).collect()
}

/// What a VM is called, by this view.
pub(crate) fn name_in(snapshot: &Snapshot) -> impl Fn(VmId) -> Option<VmName> {
    |vm| snapshot.vms.get(&vm).map(|vm| vm.name.clone())
}

/// The same, where it is of this project: what is another's is not said to be whose.
pub(crate) fn name_within(
    snapshot: &Snapshot,
    project: Option<&ProjectName>,
) -> impl Fn(VmId) -> Option<VmName> {
    move |vm| {
        let vm = snapshot.vms.get(&vm).filter(|vm| Some(&vm.project) == project);
        vm.map(|vm| vm.name.clone())
    }
}

/// The record of the network with this id, without what is asked of the host.
pub(crate) fn network(snapshot: &Snapshot, id: NetworkId) -> Result<Arc<Network>, Refusal> {
    let found = snapshot.networks.get(&id).ok_or_else(|| Refusal::not_found("network", id))?;
    Ok(Arc::new(Network { facts: Default::default(), ..Network::clone(found.value()) }))
}

#[cfg(test)]
#[path = "wiring_tests.rs"]
mod tests;
