//! The ports that a network's dnsmasq needs, and which other program has one of them.

use super::ports::{self, Dhcp};
use innkeeper_model::{
    Code, Refusal,
    network::{Network, SubnetConfig},
    nic::Protocol,
};

/// What keeps the network's dnsmasq from answering on one of these subnets, on which it does not yet: another
/// program has a port that it needs. Servers of other networks share theirs, and have DNS on their own gateways.
pub(super) fn in_the_way<'a>(
    network: &Network,
    subnets: impl IntoIterator<Item = &'a SubnetConfig>,
) -> Option<Refusal> {
    subnets.into_iter().find_map(|subnet| {
        let dhcp = Dhcp::of(subnet.range.addr());
        if dhcp.is_taken() {
            let holder = ports::holder(Protocol::Udp, None, dhcp.port());
            let holder = holder.unwrap_or_else(|| "another program".into());
            return Some(taken(&holder, dhcp.port(), Protocol::Udp, dhcp.name()));
        }
        // Whoever joined somebody's network is not its name server.
        let protocols = network.config.is_made().then_some([Protocol::Udp, Protocol::Tcp]);
        protocols.into_iter().flatten().find_map(|protocol| {
            let holder = ports::holder(protocol, Some(subnet.gateway()), 53)?;
            Some(taken(&holder, 53, protocol, "DNS"))
        })
    })
}

fn taken(holder: &str, port: u16, protocol: Protocol, service: &str) -> Refusal {
    let message = format!("{holder} has port {port}/{protocol} ({service}) of this host");
    Refusal::new(Code::InUse, message).at("dhcp").with_hint(
        "have it serve its own links alone (dnsmasq: bind-interfaces), end it, or make the subnet with \
         dhcp: false",
    )
}
