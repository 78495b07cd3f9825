//! Networks in a sweep: those that there are, and what is asked of them.

use crate::daemon::Daemon;
use anyhow::Context;
use innkeeper_engine::{NetworkRequest, NicChange, Request, ReservationWish};
use innkeeper_model::{
    Network, NetworkConfig, NetworkId, SubnetConfig, SubnetId, VmId,
    config::{Nic, RateLimit},
};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

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

/// One NIC more, for a machine that runs.
pub(crate) fn nic_added(vm: VmId) -> Request {
    Request::Nic { vm, change: NicChange::Add(Box::new(nic("spare"))) }
}

pub(crate) fn nic_removed(vm: VmId) -> Request {
    Request::Nic { vm, change: NicChange::Remove(nic("net").name) }
}

/// The NIC on `net` comes to be on `spare`, and keeps its name.
pub(crate) fn nic_moved(daemon: &Daemon, vm: VmId) -> Option<Request> {
    nic_changed(daemon, vm, |nic| nic.network = self::nic("spare").network)
}

/// The NIC on `net` comes to have limits.
pub(crate) fn nic_limited(daemon: &Daemon, vm: VmId) -> Option<Request> {
    nic_changed(daemon, vm, |nic| {
        nic.rate = RateLimit { in_kbit: Some(1000), out_kbit: Some(2000) };
    })
}

/// A port of the host comes to lead to the NIC on `net`.
pub(crate) fn nic_published(daemon: &Daemon, vm: VmId) -> Option<Request> {
    nic_changed(daemon, vm, |nic| nic.publish = vec!["8080:80".parse().expect("it is a port")])
}

fn nic_changed(daemon: &Daemon, vm: VmId, change: impl FnOnce(&mut Nic)) -> Option<Request> {
    let spec = daemon.vm(vm)?.spec?;
    let mut changed = spec.config.nics.iter().find(|nic| nic.name.as_str() == "net")?.clone();
    change(&mut changed);
    Some(set(vm, changed))
}

/// A NIC on its hypervisor's own network, whose cable is in or out.
pub(crate) fn with_cable(connected: bool) -> Nic {
    let nic = json!({ "name": "private", "network": "user", "connected": connected });
    serde_json::from_value(nic).expect("it is a NIC")
}

/// A NIC of the VM's is to be so.
pub(crate) fn set(vm: VmId, nic: Nic) -> Request {
    Request::Nic { vm, change: NicChange::Set(Box::new(nic)) }
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

fn all(daemon: &Daemon) -> Vec<Network> {
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
