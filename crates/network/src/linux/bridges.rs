//! Bridges and what is plugged into them: made, compared and mended, each call for itself.
//!
//! Everything here blocks for as long as the kernel takes, microseconds to some milliseconds, and belongs to
//! the network namespace of its thread.

use super::{
    links::{Link, LinkChange, is_gone},
    netlink::Netlink,
    sysctls, tap,
};
use crate::names::{bridge_mac, mark_of_bridge, mark_of_tap};
use innkeeper_model::{
    Code, NetworkId, Refusal,
    network::{InterfaceName, MIN_MTU_IPV6, Network, Plug},
    nic::PublishedPort,
};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
};

/// The MTU of a bridge that nobody said anything of.
const DEFAULT_MTU: u32 = 1500;

/// What was found of a bridge, after it was made as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bridge {
    pub(super) mtu: u32,
    pub(super) up: bool,
    /// Whether it is another than before: who had the former one's name has not this one.
    pub(super) is_new: bool,
    /// What had to be done, in words; nothing where all was well.
    pub(super) done: Vec<String>,
}

/// What of the host is on the way from and to a bridge of Innkeeper's, beside its own addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ways {
    /// Whether 127.0.0.0/8 is: for published ports, which the host's own programs reach there. Only the firewall then
    /// keeps guests from the host's loopback.
    pub(super) loopback: bool,
    /// Where guests' requests for metadata are led.
    pub(super) metadata: Option<Ipv4Addr>,
}

impl Ways {
    /// Those of a network with these interfaces.
    pub(super) fn new(metadata: Option<SocketAddrV4>, plugs: &[&Plug]) -> Self {
        let is_of_loopback = |port: &PublishedPort| match port.address {
            Some(IpAddr::V4(address)) => address.is_loopback(),
            Some(IpAddr::V6(_)) => false,
            None => true,
        };
        let loopback = plugs.iter().any(|plug| {
            plug.addresses.iter().any(IpAddr::is_ipv4) && plug.publish.iter().any(is_of_loopback)
        });
        Self { loopback, metadata: metadata.map(|address| *address.ip()) }
    }
}

/// Makes a network's bridge as it should be; one that is joined is only looked at.
///
/// # Errors
/// There is no bridge to join, or what has the name of Innkeeper's is another's.
pub(super) fn ensure(instance: u32, network: &Network, ways: Ways) -> Result<Bridge, Refusal> {
    let mut netlink = Netlink::open()?;
    let name = network.bridge.as_str();
    if !network.config.is_made() {
        let link = joined(&mut netlink, name)?;
        // Whose it is may have made it anew since it was joined.
        can_tag(&link, network.config.vlan)?;
        return Ok(Bridge { mtu: link.mtu, up: link.up, is_new: false, done: Vec::new() });
    }
    let (mut is_new, mut done) = (false, Vec::new());
    let mtu = network.config.mtu.map_or(DEFAULT_MTU, u32::from);
    let link = match netlink.link(name)? {
        Some(link) => link,
        None => {
            netlink
                .create_bridge(name, bridge_mac(network.id), mtu)
                .map_err(|e| unmade(name, e))?;
            is_new = true;
            done.push("its bridge was made".into());
            netlink.link(name)?.ok_or_else(|| gone(name))?
        }
    };
    check_mark(instance, network.id, &link)?;
    set_own(network, &link, ways.loopback);
    let mark = mark_of_bridge(instance, network.id);
    let change = LinkChange {
        up: (!link.up).then_some(true),
        mtu: (link.mtu != mtu).then_some(mtu),
        mac: (link.mac != bridge_mac(network.id)).then_some(bridge_mac(network.id)),
        alias: (link.alias != mark).then_some(&*mark),
        ..Default::default()
    };
    if change.up.is_some() || change.mtu.is_some() || change.mac.is_some() || change.alias.is_some()
    {
        netlink
            .change_link(link.index, change)
            .map_err(|error| refused(&format!("a change of {name}"), &error))?;
        if done.is_empty() {
            done.push("its bridge was set right".into());
        }
    }
    set_addresses(&mut netlink, network, link.index, &mut done)?;
    if let Some(address) = ways.metadata {
        let made = netlink.make_local(link.index, address);
        if made.map_err(|error| refused(&format!("a route to {address}"), &error))? {
            done.push("the metadata service can be reached from its bridge".into());
        }
    }
    Ok(Bridge { mtu, up: true, is_new, done })
}

/// The bridge that a network joins.
pub(super) fn joined(netlink: &mut Netlink, name: &str) -> Result<Link, Refusal> {
    let refused = |problem| {
        Refusal::invalid("bridge", name, problem)
            .with_hint("`ip link show type bridge` shows this host's bridges")
    };
    match netlink.link(name)? {
        None => Err(refused("is not there")),
        Some(link) if !link.is_bridge() => Err(refused("is no bridge")),
        Some(link) => Ok(link),
    }
}

/// Refuses a bridge whose ports' VLANs mean nothing: what is plugged into it is in one segment.
pub(super) fn can_tag(bridge: &Link, vlan: Option<u16>) -> Result<(), Refusal> {
    let Some(vlan) = vlan else { return Ok(()) };
    let name = &bridge.name;
    match bridge.vlan_filtering {
        Some(true) => Ok(()),
        Some(false) => {
            let problem = format!("cannot be had: the bridge {name} does not filter by VLAN");
            Err(Refusal::invalid("vlan", vlan, problem).with_hint(format!(
                "`ip link set {name} type bridge vlan_filtering 1` has it do so; look first at \
                 what else is plugged into it"
            )))
        }
        None => {
            let problem = "cannot be had: this kernel has no VLAN filtering on bridges \
                           (CONFIG_BRIDGE_VLAN_FILTERING)";
            let mut refusal = Refusal::invalid("vlan", vlan, problem);
            refusal.code = Code::Unsupported;
            Err(refusal.with_hint(format!(
                "leave vlan out, and join a bridge that is of this VLAN alone: its port is what `ip \
                 link add link eth0 name eth0.{vlan} type vlan id {vlan}` makes of the host's eth0"
            )))
        }
    }
}

/// Settings of a bridge of Innkeeper's own. It is a router: it believes nobody who says that they are one.
fn set_own(network: &Network, link: &Link, loopback: bool) {
    let name = &link.name;
    let settings = [
        ("net.ipv6.conf", "accept_ra", "0"),
        ("net.ipv6.conf", "autoconf", "0"),
        ("net.ipv6.conf", "accept_dad", "0"),
        ("net.ipv4.conf", "route_localnet", if loopback { "1" } else { "0" }),
    ];
    let too_small = network.config.mtu.is_some_and(|mtu| mtu < MIN_MTU_IPV6);
    for (part, key, value) in settings {
        if !(too_small && part == "net.ipv6.conf") {
            sysctls::set_of_own_link(&format!("{part}.{}.{key}", name.replace('.', "/")), value);
        }
    }
}

/// The host is the router of each subnet; other addresses of the bridge, but the link-local ones, were
/// of subnets that are no more.
fn set_addresses(
    netlink: &mut Netlink,
    network: &Network,
    link: u32,
    done: &mut Vec<String>,
) -> Result<(), Refusal> {
    let name = network.bridge.as_str();
    let gateway = |range: IpNet, gateway| IpNet::new(gateway, range.prefix_len());
    let wanted: BTreeSet<IpNet> = network
        .subnets
        .iter()
        .filter_map(|subnet| gateway(subnet.config.range, subnet.config.gateway()).ok())
        .collect();
    let is_own = |address: &IpNet| match address {
        IpNet::V4(_) => true,
        IpNet::V6(address) => !address.addr().is_unicast_link_local(),
    };
    let there: BTreeSet<IpNet> = netlink
        .addresses()?
        .into_iter()
        .filter(|address| address.link == link)
        .map(|address| address.address)
        .filter(is_own)
        .collect();
    for address in wanted.difference(&there) {
        netlink
            .add_address(link, *address)
            .map_err(|error| refused(&format!("the address {address} of {name}"), &error))?;
        done.push(format!("its bridge was given the address {address}"));
    }
    for address in there.difference(&wanted) {
        netlink
            .remove_address(link, *address)
            .map_err(|error| refused(&format!("taking {address} from {name}"), &error))?;
        done.push(format!("the address {address}, of no subnet, was taken from its bridge"));
    }
    Ok(())
}

/// Removes a network's bridge, if Innkeeper made it.
///
/// # Errors
/// Something is plugged into it.
pub(super) fn remove(instance: u32, network: &Network) -> Result<(), Refusal> {
    if !network.config.is_made() {
        return Ok(());
    }
    let mut netlink = Netlink::open()?;
    let Some(link) = netlink.link(network.bridge.as_str())? else { return Ok(()) };
    check_mark(instance, network.id, &link)?;
    remove_link(&mut netlink, &link)
}

/// Removes a link of Innkeeper's, on record.
pub(super) fn remove_link(netlink: &mut Netlink, link: &Link) -> Result<(), Refusal> {
    let outcome = netlink.remove_link(link.index);
    tracing::info!(target: "innkeeper::harm", link = link.name, alias = link.alias, ?outcome, "removed");
    outcome?;
    Ok(())
}

/// Refuses while something is plugged into a network: one of its taps, and on a bridge of Innkeeper's own
/// anything.
pub(super) fn check_unplugged(network: &Network, taps: &[InterfaceName]) -> Result<(), Refusal> {
    let links = Netlink::open()?.links()?;
    let name = network.bridge.as_str();
    let bridge = links.iter().find(|link| link.name == name).map_or(0, |bridge| bridge.index);
    let is_port = |link: &Link| network.config.is_made() && bridge != 0 && link.master == bridge;
    let is_tap = |link: &Link| taps.iter().any(|tap| tap.as_str() == link.name);
    let Some(port) = links.iter().find(|link| is_port(link) || is_tap(link)) else { return Ok(()) };
    let what = match port.alias.split_once(":vm:") {
        None => format!("the link {}", port.name),
        Some((_, vm)) => format!("the VM {}", vm.replace(':', ", its NIC ")),
    };
    let message = format!("{what} is plugged into the network {}", network.config.name);
    Err(Refusal::new(Code::InUse, message).with_hint("unplug it first"))
}

/// Refuses a bridge that has the name of Innkeeper's, and is another's.
fn check_mark(instance: u32, network: NetworkId, link: &Link) -> Result<(), Refusal> {
    // It has none between being made and being marked.
    if link.is_bridge()
        && (link.alias.is_empty() || link.alias == mark_of_bridge(instance, network))
    {
        return Ok(());
    }
    let message = format!("the link {} is in the way: it is not Innkeeper's bridge", link.name);
    Err(Refusal::new(Code::Leftovers, message)
        .with_hint(format!("`ip -d link show {}` shows whose it is", link.name)))
}

/// Makes a guest's tap and plugs it in. On an error it goes with its descriptor.
pub(super) fn open_tap(instance: u32, plug: &Plug, network: &Network) -> Result<OwnedFd, Refusal> {
    let name = plug.tap.as_str();
    let mut netlink = Netlink::open()?;
    let bridge = netlink.link(network.bridge.as_str())?.filter(Link::is_bridge);
    let bridge = bridge.ok_or_else(|| gone(network.bridge.as_str()))?;
    let fd = tap::create(name).map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY) => Refusal::new(Code::InUse, format!("the tap {name} is open already"))
            .with_hint("its VM may still run"),
        Some(libc::ENOENT) => Refusal::new(Code::Unsupported, "this host has no /dev/net/tun")
            .with_hint("`modprobe tun` makes it, where the kernel has it"),
        _ => Refusal::from(error),
    })?;
    let link = netlink.link(name)?.ok_or_else(|| gone(name))?;
    plug_in(&mut netlink, instance, plug, network, &bridge, link.index)?;
    Ok(fd)
}

/// Plugs a tap that is open into a network's bridge, whichever it was in.
pub(super) fn replug(instance: u32, plug: &Plug, network: &Network) -> Result<(), Refusal> {
    let name = plug.tap.as_str();
    let mut netlink = Netlink::open()?;
    let bridge = netlink.link(network.bridge.as_str())?.filter(Link::is_bridge);
    let bridge = bridge.ok_or_else(|| gone(network.bridge.as_str()))?;
    let link = netlink.link(name)?.ok_or_else(|| Refusal::not_found("tap", name))?;
    if link.master == bridge.index {
        // Two networks may join one bridge, each with its VLAN, and a port that stays keeps that of the first.
        // It is off before it is out: what comes from a tap that is in no bridge, the host takes for its own.
        let off = LinkChange { up: Some(false), ..Default::default() };
        let out = LinkChange { master: Some(0), ..Default::default() };
        for change in [off, out] {
            netlink.change_link(link.index, change).map_err(|error| {
                refused(&format!("taking {name} out of {}", bridge.name), &error)
            })?;
        }
    }
    plug_in(&mut netlink, instance, plug, network, &bridge, link.index)
}

/// Makes a tap as it should be, whatever it was.
pub(super) fn plug_in(
    netlink: &mut Netlink,
    instance: u32,
    plug: &Plug,
    network: &Network,
    bridge: &Link,
    tap: u32,
) -> Result<(), Refusal> {
    can_tag(bridge, network.config.vlan)?;
    let name = plug.tap.as_str();
    let refused = |error| refused(&format!("plugging {name} into {}", bridge.name), &error);
    // Off first, whatever it was: the kernel has it in the bridge before its VLAN and its isolation are said.
    let off = LinkChange { up: Some(false), ..Default::default() };
    netlink.change_link(tap, off).map_err(refused)?;
    let change = LinkChange {
        mtu: Some(network.config.mtu.map_or(bridge.mtu, u32::from)),
        mac: Some(tap_mac(plug)),
        master: Some(bridge.index),
        alias: Some(&mark_of_tap(instance, plug.vm, &plug.nic)),
        no_own_address: true,
        ..Default::default()
    };
    netlink.change_link(tap, change).map_err(refused)?;
    if let Some(vlan) = network.config.vlan {
        netlink.set_port_vlan(tap, vlan).map_err(|error| {
            let message = format!("the bridge {} cannot carry the VLAN {vlan}", bridge.name);
            Refusal::new(Code::Unsupported, message).caused_by(&error)
        })?;
    }
    if plug.rate.in_kbit.is_some() {
        netlink.shape(tap, rate_towards(plug)).map_err(unshaped)?;
    }
    // Last, so that nothing passes before all else holds.
    netlink.turn_on_port(tap, network.config.isolated).map_err(refused)
}

/// The hardware address of a tap, which nobody ever sees, but for its bridge: one that has no address of
/// its own takes the lowest of its ports', and a joined one must not change it for a guest's sake.
fn tap_mac(plug: &Plug) -> [u8; 6] {
    let hash = Sha256::digest(plug.tap.as_str().as_bytes());
    [0xfe, hash[0], hash[1], hash[2], hash[3], hash[4]]
}

/// Sets how much may go towards a guest whose tap is there.
pub(super) fn shape(plug: &Plug) -> Result<(), Refusal> {
    let mut netlink = Netlink::open()?;
    let Some(link) = netlink.link(plug.tap.as_str())? else { return Ok(()) };
    match netlink.shape(link.index, rate_towards(plug)) {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome.map_err(unshaped),
    }
}

/// Turns a tap on or off; whether it is there.
pub(super) fn set_up(tap: &InterfaceName, up: bool) -> io::Result<bool> {
    let mut netlink = Netlink::open()?;
    let Some(link) = netlink.link(tap.as_str())? else { return Ok(false) };
    match netlink.change_link(link.index, LinkChange { up: Some(up), ..Default::default() }) {
        Err(error) if is_gone(&error) => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// In bytes a second.
fn rate_towards(plug: &Plug) -> Option<u64> {
    plug.rate.in_kbit.map(|kbit| u64::from(kbit) * 125)
}

/// The kernel said no, in its own words.
fn refused(what: &str, error: &io::Error) -> Refusal {
    Refusal::new(Code::Internal, format!("the kernel refused {what}: {error}"))
}

fn unshaped(error: io::Error) -> Refusal {
    Refusal::new(Code::Unsupported, "this kernel cannot limit what goes towards a guest")
        .with_hint("it needs the queue tbf: `modprobe sch_tbf`")
        .caused_by(&error)
}

fn gone(name: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("the link {name} is not there"))
}

fn unmade(name: &str, error: io::Error) -> Refusal {
    let message = format!("the bridge {name} cannot be made");
    Refusal::new(Code::Unsupported, message)
        .with_hint("this kernel may lack bridges: `modprobe bridge`")
        .caused_by(&error)
}
