//! Networks in a sweep: those that there are, what is asked of them, and what must hold of them.

use crate::daemon::Daemon;
use anyhow::Context;
use innkeeper_engine::{NetworkRequest, Request, ReservationWish};
use innkeeper_model::{
    Network, NetworkConfig, NetworkId, SubnetConfig, SubnetId, VmId, config::Nic,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

/// What is kept on the network `net`, and given back.
const KEPT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 6));

/// Makes `net`, with an address kept, and `spare`, with none.
pub(crate) async fn prepare(daemon: &Daemon) -> anyhow::Result<()> {
    daemon.must(create("net", "10.1.0.0/29")?).await?;
    daemon.must(create("spare", "10.2.0.0/29")?).await?;
    let subnet = subnet(daemon, "net")?;
    let kept = ReservationWish { address: Some(KEPT), ..ReservationWish::default() };
    daemon.must(Request::Network(NetworkRequest::Reserve { subnet, wanted: vec![kept] })).await?;
    Ok(())
}

/// A NIC on a network, called as that is.
pub(crate) fn nic(network: &str) -> Nic {
    serde_json::from_value(json!({ "name": network, "network": network })).expect("it is a NIC")
}

pub(crate) fn create(name: &str, range: &str) -> anyhow::Result<Request> {
    let config = Box::new(NetworkConfig::new(name.parse()?));
    let subnets = vec![SubnetConfig::new(range.parse()?)];
    Ok(Request::Network(NetworkRequest::Create { config, id: None, subnets }))
}

pub(crate) fn edit(daemon: &Daemon) -> anyhow::Result<Request> {
    let network = find(daemon, "net")?;
    let config = NetworkConfig { isolated: true, ..NetworkConfig::new("net".parse()?) };
    let config = Box::new(config);
    Ok(Request::Network(NetworkRequest::Edit { network, config, expected: None }))
}

pub(crate) const fn delete(network: NetworkId) -> Request {
    Request::Network(NetworkRequest::Delete { network })
}

pub(crate) fn create_subnet(daemon: &Daemon) -> anyhow::Result<Request> {
    let network = find(daemon, "net")?;
    let config = Box::new(SubnetConfig::new("10.3.0.0/29".parse()?));
    Ok(Request::Network(NetworkRequest::CreateSubnet { network, config, id: None }))
}

pub(crate) fn delete_subnet(daemon: &Daemon) -> anyhow::Result<Request> {
    let subnet = subnet(daemon, "spare")?;
    Ok(Request::Network(NetworkRequest::DeleteSubnet { subnet }))
}

pub(crate) fn reserve(daemon: &Daemon) -> anyhow::Result<Request> {
    let (subnet, wanted) = (subnet(daemon, "net")?, vec![ReservationWish::default(); 2]);
    Ok(Request::Network(NetworkRequest::Reserve { subnet, wanted }))
}

pub(crate) fn release(daemon: &Daemon) -> anyhow::Result<Request> {
    let (subnet, addresses) = (subnet(daemon, "net")?, vec![KEPT]);
    Ok(Request::Network(NetworkRequest::Release { subnet, addresses }))
}

/// Moves the VM's NIC from one network to the other.
pub(crate) fn edited(daemon: &Daemon, vm: VmId) -> Option<Request> {
    let mut config = daemon.vm(vm)?.spec?.config.clone();
    config.nics.retain(|known| known.name.as_str() != "net");
    config.nics.push(nic("spare"));
    Some(Request::Edit { vm, config: Box::new(config), expected: None })
}

pub(crate) fn find(daemon: &Daemon, name: &str) -> anyhow::Result<NetworkId> {
    let networks = all(daemon).into_iter();
    let mut named = networks.filter(|network| network.config.name.as_str() == name);
    Ok(named.next().with_context(|| format!("there is no network {name}"))?.id)
}

fn subnet(daemon: &Daemon, name: &str) -> anyhow::Result<SubnetId> {
    let id = find(daemon, name)?;
    let network = all(daemon).into_iter().find(|network| network.id == id);
    network.and_then(|network| Some(network.subnets.first()?.id)).context("it has a subnet")
}

pub(crate) fn all(daemon: &Daemon) -> Vec<Network> {
    let snapshot = daemon.engine.view().snapshot();
    snapshot.networks.values().map(|record| Network::clone(record)).collect()
}

/// Removes all networks, at the end of a trial.
pub(crate) async fn clear(daemon: &Daemon) -> anyhow::Result<()> {
    for network in all(daemon) {
        daemon.must(delete(network.id)).await?;
    }
    Ok(())
}

/// What does not hold of networks: each is stored as it is seen, and each address has one holder.
pub(crate) fn disagreements(daemon: &Daemon) -> Vec<String> {
    let mut found = Vec::new();
    let networks = all(daemon);
    let folder = daemon.folder.join("networks");
    let files: BTreeSet<String> = crate::agreement::names(&folder).into_iter().collect();
    let known: BTreeSet<String> =
        networks.iter().map(|known| format!("{}.json", known.id)).collect();
    if files != known {
        found.push(format!("networks {files:?} are stored, and {known:?} seen"));
    }
    for network in &networks {
        let stored = std::fs::read(folder.join(format!("{}.json", network.id))).unwrap_or_default();
        let stored: Value = serde_json::from_slice(&stored).unwrap_or_default();
        if stored["spec"]["subnets"] != json!(network.subnets) {
            found.push(format!("network {}: {stored} stored", network.config.name));
        }
    }
    let mut holders: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
    let mut note = |address: &IpAddr, holder: String| {
        holders.entry(*address).or_default().insert(holder);
    };
    for subnet in networks.iter().flat_map(|network| &network.subnets) {
        note(&subnet.config.gateway(), "the gateway".into());
        for kept in &subnet.reservations {
            note(&kept.address, "a reservation".into());
        }
    }
    for vm in daemon.vms() {
        let machine = vm.incarnation.iter().flat_map(|machine| &machine.plugs);
        for plug in machine {
            plug.addresses.iter().for_each(|a| note(a, format!("{}/{}", vm.name, plug.nic)));
        }
        let Some(spec) = &vm.spec else { continue };
        for (nic, addresses) in spec.assigned.addresses.iter() {
            addresses.iter().for_each(|a| note(a, format!("{}/{nic}", vm.name)));
        }
        let nics = spec.config.nics.iter().filter(|nic| nic.network.network().is_some());
        let without = |nic: &&Nic| spec.assigned.addresses.get(nic.name.as_str()).is_none();
        for nic in nics.filter(without) {
            found.push(format!("{}/{} has no address", vm.name, nic.name));
        }
    }
    let twice = holders.into_iter().filter(|(_, holders)| holders.len() > 1);
    found.extend(twice.map(|(address, holders)| format!("{address} is of {holders:?}")));
    found
}
