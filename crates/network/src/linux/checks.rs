//! What only the host can tell about a wish, before anything is done about it.

use super::{bridges, netlink::Netlink, ports, programs, service_ports};
use innkeeper_model::{
    Code, Refusal,
    config::PublishedPort,
    network::{Network, NetworkConfig, SubnetConfig},
};
use ipnet::IpNet;
use tracing::info;

pub(super) fn network(config: &NetworkConfig) -> Result<(), Refusal> {
    programs::nft()?;
    let Some(name) = &config.bridge else { return Ok(()) };
    let bridge = bridges::joined(&mut Netlink::open()?, name.as_str())?;
    if bridge.alias.starts_with("innkeeper:") {
        let problem = "is the bridge of another network of Innkeeper's";
        return Err(Refusal::invalid("bridge", name, problem)
            .with_hint("put the NICs on that network; `inn network list` shows it"));
    }
    if let Some(mtu) = config.mtu.filter(|mtu| u32::from(*mtu) > bridge.mtu) {
        let problem = "is more than the bridge passes on";
        return Err(Refusal::invalid("mtu", mtu, problem).with_limit(bridge.mtu));
    }
    bridges::can_tag(&bridge, config.vlan)
}

/// Whether two ranges have an address in common.
fn overlaps(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

pub(super) fn subnet(network: &Network, config: &SubnetConfig) -> Result<(), Refusal> {
    let mut netlink = Netlink::open()?;
    let bridge = netlink.link(network.bridge.as_str())?.map_or(0, |link| link.index);
    let elsewhere = |link: u32| bridge == 0 || link != bridge;
    let addresses = netlink.addresses()?;
    let on_bridge = addresses.iter().any(|address| {
        address.link == bridge && bridge != 0 && config.range.contains(&address.address.addr())
    });
    let own = addresses
        .iter()
        .filter(|address| elsewhere(address.link))
        .find(|address| overlaps(&address.address.trunc(), &config.range));
    if let Some(own) = own {
        return Err(overlap(&mut netlink, config, &format!("address {}", own.address), own.link));
    }
    let routes = netlink.routes()?;
    let route = routes
        .iter()
        .filter(|route| elsewhere(route.link))
        .find(|route| overlaps(&route.range, &config.range));
    if let Some(route) = route {
        return Err(overlap(
            &mut netlink,
            config,
            &format!("route to {}", route.range),
            route.link,
        ));
    }
    if !config.has_dhcp(&network.config) {
        return Ok(());
    }
    programs::dnsmasq()?;
    if !network.config.is_made() && !on_bridge {
        let problem = "cannot be had: the host has no address of the range on the bridge it joined";
        return Err(Refusal::invalid("dhcp", true, problem)
            .with_hint(format!("give {} an address of {} first", network.bridge, config.range)));
    }
    service_ports::in_the_way(network, [config]).map_or(Ok(()), Err)
}

fn overlap(netlink: &mut Netlink, config: &SubnetConfig, what: &str, link: u32) -> Refusal {
    let links = netlink.links().unwrap_or_default();
    let link = links.iter().find(|other| other.index == link);
    let link = link.map_or(String::new(), |link| format!(" on {}", link.name));
    let problem = format!("overlaps this host's {what}{link}");
    Refusal::invalid("range", config.range, problem)
        .with_hint("take a range that the host does not use; `ip route` shows those that it does")
}

/// Which program has the port is for the log alone: whoever may have a VM may ask for any port, one by one.
pub(super) fn published(port: &PublishedPort) -> Result<(), Refusal> {
    let Some(holder) = ports::holder(port.protocol, port.address, port.host) else { return Ok(()) };
    info!(%port, holder, "a port was to be published that a program of this host has");
    let message = format!("a program of this host has port {}", port.host);
    let mut refusal = Refusal::new(Code::InUse, message).at("publish");
    refusal.value = Some(port.to_string());
    Err(refusal
        .with_hint("publish another port; on the host, `ss -lntup` says which program it is"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn whoever_publishes_a_port_is_not_told_which_program_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let asked: PublishedPort = format!("127.0.0.1:{port}:80").parse().unwrap();
        let refusal = published(&asked).unwrap_err();
        assert_eq!(refusal.message, format!("a program of this host has port {port}"));
        let told = serde_json::to_string(&refusal).unwrap();
        let own_name = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert!(!told.contains(own_name.trim()), "{told}");
        assert!(!told.contains(&format!("pid {}", std::process::id())), "{told}");
        assert!(refusal.hint.unwrap().contains("`ss -lntup`"));
    }
}
