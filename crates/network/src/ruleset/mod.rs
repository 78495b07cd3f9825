//! The firewall of all networks, as one text for `nft`: a pure function of what is desired.
//!
//! Two tables of the daemon's own, replaced in one transaction:
//!
//! - of the family `bridge`, what a guest may send: frames from its own hardware address, packets from
//!   its own addresses, and nothing that only a router or a DHCP server says; no more than its rate.
//! - of the family `inet`, for bridges that Innkeeper made and for published ports: address translation,
//!   what is routed, and what of the host guests reach: DHCP, DNS, ping, and the metadata service.
//!
//! Who a guest is, is looked up by its tap's name in sets, so that a thousand guests cost one look and a
//! tap needs no rule of its own. All frames that did not come by a tap of these networks pass the first
//! rule; what is routed between other links passes the first rule of its chain.

mod chains;
mod text;

pub(crate) use text::{Addition, Ruleset};

use crate::{host::Desired, metadata::METADATA_ASKED};
use chains::{
    AS_A_ROUTER_OR_SERVER, FILTER, FROM_A_GUEST, FROM_THE_HOST_ITSELF, OF_A_TAP, PUBLISHED,
    TRANSLATION,
};
use innkeeper_model::{
    NetworkId,
    network::{Network, Plug},
    nic::{Protocol, PublishedPort},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr, SocketAddrV4},
};
use text::joined;

/// The name of both tables.
pub(crate) fn table_name(instance: u32) -> String {
    format!("innkeeper_networks_{instance}")
}

/// The text that removes both tables.
pub(crate) fn removal(instance: u32) -> String {
    let table = table_name(instance);
    ["bridge", "inet"]
        .map(|family| format!("table {family} {table}\ndelete table {family} {table}\n"))
        .concat()
}

/// The text that puts what is desired in place of what there is.
pub(crate) fn ruleset(instance: u32, desired: &Desired) -> Ruleset {
    let table = table_name(instance);
    let facts = Sorted::from(desired);
    let mut text = Ruleset::default();
    text.words(&removal(instance));
    // Though nobody is on them yet: the first NIC is then as quickly in force as any other.
    if !desired.networks.is_empty() {
        text.words(&format!("table bridge {table} {{\n"));
        facts.write_bridge_table(&mut text);
        text.words("}\n");
    }
    if facts.needs_routing() {
        let metadata = desired.metadata.filter(|_| !facts.bridges.is_empty());
        text.words(&format!("table inet {table} {{\n"));
        facts.write_inet_table(&mut text, metadata);
        text.words("}\n");
    }
    text
}

/// The link-local address that the kernel gives a link with this hardware address (RFC 4291, appendix A).
pub(crate) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

/// What is desired, as elements of sets. Sets of the same text have each element once, so that a fault
/// in the records of one guest cannot have the kernel refuse the rules of all.
#[derive(Debug, Default)]
struct Sorted {
    taps: BTreeSet<String>,
    /// Taps of networks without subnets, whose guests take what addresses they like.
    free: BTreeSet<String>,
    macs: BTreeSet<String>,
    /// As in `macs`, but written as numbers, for a field of packets that nft has no name for.
    clients: BTreeSet<String>,
    sources4: BTreeSet<String>,
    sources6: BTreeSet<String>,
    /// As in `sources6`, but written as numbers, for fields of packets that nft has no name for.
    announced6: BTreeSet<String>,
    /// Each guest's address of its link that follows from its hardware address.
    derived6: BTreeSet<Ipv6Addr>,
    routers4: BTreeSet<String>,
    routers6: BTreeSet<Ipv6Addr>,
    /// The most bytes a second that each tap may send.
    rates: BTreeMap<String, u64>,
    /// Bridges that Innkeeper made.
    bridges: BTreeSet<String>,
    /// Those, and the joined ones that addresses are translated for.
    inside: BTreeSet<String>,
    /// Bridges that are routed without translation.
    routed: BTreeSet<String>,
    /// Bridges whose guests reach each other.
    within: BTreeSet<String>,
    own4: BTreeSet<String>,
    own6: BTreeSet<String>,
    translated4: BTreeSet<String>,
    translated6: BTreeSet<String>,
    /// Guests on joined bridges that ports are published to: their way back is not by this host unless
    /// it speaks for them.
    elsewhere4: BTreeSet<String>,
    elsewhere6: BTreeSet<String>,
    published: Published,
}

/// Published ports, from what of the host to what of a guest; those of one address of the host apart.
#[derive(Debug, Default)]
struct Published {
    any4: BTreeMap<String, String>,
    any6: BTreeMap<String, String>,
    one4: BTreeMap<String, String>,
    one6: BTreeMap<String, String>,
}

impl From<&Desired> for Sorted {
    fn from(desired: &Desired) -> Self {
        let mut sorted = Self::default();
        for network in &desired.networks {
            sorted.add_network(network);
        }
        let networks: BTreeMap<NetworkId, &Network> =
            desired.networks.iter().map(|network| (network.id, &**network)).collect();
        for plug in &desired.nics {
            if let Some(network) = networks.get(&plug.network) {
                sorted.add_plug(plug, network);
            }
        }
        sorted
    }
}

impl Sorted {
    fn add_network(&mut self, network: &Network) {
        let bridge = quoted(network.bridge.as_str());
        let (made, nat) = (network.config.is_made(), network.config.has_nat());
        if made {
            let router = link_local(crate::names::bridge_mac(network.id));
            self.routers6.insert(router);
            self.bridges.insert(bridge.clone());
            if !nat {
                self.routed.insert(bridge.clone());
            }
            if !network.config.isolated {
                self.within.insert(format!("{bridge} . {bridge}"));
            }
        }
        if made || nat {
            self.inside.insert(bridge);
        }
        for subnet in &network.subnets {
            let range = subnet.config.range;
            let (own, translated) = if range.addr().is_ipv4() {
                (&mut self.own4, &mut self.translated4)
            } else {
                (&mut self.own6, &mut self.translated6)
            };
            if made {
                own.insert(range.to_string());
                match subnet.config.gateway() {
                    IpAddr::V4(gateway) => drop(self.routers4.insert(gateway.to_string())),
                    IpAddr::V6(gateway) => drop(self.routers6.insert(gateway)),
                }
            }
            if nat {
                translated.insert(range.to_string());
            }
        }
    }

    fn add_plug(&mut self, plug: &Plug, network: &Network) {
        let tap = quoted(plug.tap.as_str());
        self.macs.insert(format!("{tap} . {}", plug.mac));
        self.clients.insert(format!("{tap} . 0x{}", plug.mac.to_string().replace(':', "")));
        if network.subnets.is_empty() && plug.addresses.is_empty() {
            self.free.insert(tap.clone());
        }
        let derived = link_local(plug.mac.octets());
        self.derived6.insert(derived);
        self.add_source6(&tap, derived);
        for address in &plug.addresses {
            match address {
                IpAddr::V4(address) => {
                    self.sources4.insert(format!("{tap} . {address}"));
                }
                IpAddr::V6(address) => self.add_source6(&tap, *address),
            }
            for port in &plug.publish {
                self.publish(*port, *address, network);
            }
        }
        if let Some(rate) = plug.rate.out_kbit {
            self.rates.insert(plug.tap.to_string(), u64::from(rate) * 125);
        }
        self.taps.insert(tap);
    }

    fn add_source6(&mut self, tap: &str, address: Ipv6Addr) {
        self.sources6.insert(format!("{tap} . {address}"));
        self.announced6.insert(format!("{tap} . {}", number(address)));
    }

    /// A port of all addresses of the host leads to each address of the guest; a port of one address, to
    /// the guest's of the same IP version.
    fn publish(&mut self, port: PublishedPort, to: IpAddr, network: &Network) {
        if port.address.is_some_and(|address| address.is_ipv4() != to.is_ipv4()) {
            return;
        }
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let key = format!("{protocol} . {}", port.host);
        let published = &mut self.published;
        let (map, key) = match (port.address, to) {
            (None, IpAddr::V4(_)) => (&mut published.any4, key),
            (None, IpAddr::V6(_)) => (&mut published.any6, key),
            (Some(of), IpAddr::V4(_)) => (&mut published.one4, format!("{of} . {key}")),
            (Some(of), IpAddr::V6(_)) => (&mut published.one6, format!("{of} . {key}")),
        };
        map.entry(key).or_insert_with(|| format!("{to} . {}", port.guest));
        if !network.config.is_made() {
            let set = if to.is_ipv4() { &mut self.elsewhere4 } else { &mut self.elsewhere6 };
            set.insert(to.to_string());
        }
    }

    fn needs_routing(&self) -> bool {
        !self.inside.is_empty() || self.published.any()
    }

    fn write_bridge_table(&self, text: &mut Ruleset) {
        for (name, kind, elements) in [
            ("taps", "type ifname", &self.taps),
            ("free", "type ifname", &self.free),
            ("macs", "type ifname . ether_addr", &self.macs),
            ("clients", "typeof iifname . @th,288,48", &self.clients),
            ("sources4", "type ifname . ipv4_addr", &self.sources4),
            ("sources6", "type ifname . ipv6_addr", &self.sources6),
            ("announced6", "typeof iifname . @th,64,128", &self.announced6),
            ("derived6", "type ipv6_addr", &texts(&self.derived6)),
            ("derived6_claimed", "typeof @th,64,128", &numbers(&self.derived6)),
        ] {
            text.set("bridge", name, kind, elements.clone());
        }
        for (tap, rate) in &self.rates {
            // A guest's frame may be of 64 KiB, since it leaves it to the host to cut it up.
            let burst = (rate / 20).max(128 << 10);
            text.words(&format!(
                "  limit {tap} {{ rate over {rate} bytes/second burst {burst} bytes\n  }}\n"
            ));
        }
        if !self.rates.is_empty() {
            let limits = self.rates.keys().map(|tap| (quoted(tap), quoted(tap))).collect();
            text.map("bridge", "rates", "type ifname : limit", &limits);
        }
        text.words(AS_A_ROUTER_OR_SERVER);
        let routers = if self.routers6.is_empty() {
            String::new()
        } else {
            let (typed, numbers) =
                (joined(&texts(&self.routers6)), joined(&numbers(&self.routers6)));
            format!(
                "    ip6 saddr {{ {typed} }} drop\n    @th,64,128 {{ {numbers} }} jump not_by_advert\n"
            )
        };
        text.words(&FROM_A_GUEST.replace("@ROUTERS@\n", &routers));
        let limited =
            if self.rates.is_empty() { "" } else { "    limit name iifname map @rates drop\n" };
        text.words(&OF_A_TAP.replace("@LIMITED@\n", limited));
    }

    fn write_inet_table(&self, text: &mut Ruleset, metadata: Option<SocketAddrV4>) {
        for (name, kind, elements) in [
            ("bridges", "type ifname", &self.bridges),
            ("inside", "type ifname", &self.inside),
            ("routed", "type ifname", &self.routed),
            ("within", "type ifname . ifname", &self.within),
            ("routers4", "type ipv4_addr", &self.routers4),
            ("routers6", "type ipv6_addr", &texts(&self.routers6)),
        ] {
            text.set("inet", name, kind, elements.clone());
        }
        for (name, kind, elements) in [
            ("own4", "ipv4_addr", &self.own4),
            ("own6", "ipv6_addr", &self.own6),
            ("translated4", "ipv4_addr", &self.translated4),
            ("translated6", "ipv6_addr", &self.translated6),
            ("elsewhere4", "ipv4_addr", &self.elsewhere4),
            ("elsewhere6", "ipv6_addr", &self.elsewhere6),
        ] {
            let kind = format!("type {kind}; flags interval; auto-merge");
            text.set("inet", name, &kind, elements.clone());
        }
        self.published.write(text);
        let translates = !self.translated4.is_empty() || !self.translated6.is_empty();
        if translates || metadata.is_some() || self.published.any() {
            let (asked, port) = (METADATA_ASKED.ip(), METADATA_ASKED.port());
            let redirect = metadata.map_or_else(String::new, |to| {
                format!("    iifname @bridges ip daddr {asked} tcp dport {port} dnat ip to {to}\n")
            });
            text.words(&TRANSLATION.replace("@METADATA@\n", &redirect));
        }
        if self.published.any() {
            text.words(FROM_THE_HOST_ITSELF);
        }
        // Another daemon's guests are led to the same address, and another port.
        let guests_alone = metadata.map_or_else(String::new, |to| {
            let (address, port) = (to.ip(), to.port());
            format!("    iifname != @bridges ip daddr {address} tcp dport {port} drop\n")
        });
        text.words(&FILTER.replace("@METADATA@\n", &guests_alone));
    }
}

impl Published {
    fn any(&self) -> bool {
        [&self.any4, &self.any6, &self.one4, &self.one6].iter().any(|map| !map.is_empty())
    }

    fn write(&self, text: &mut Ruleset) {
        let port = "inet_proto . inet_service";
        for (name, of, to, elements) in [
            ("published4_of", "ipv4_addr . ", "ipv4_addr", &self.one4),
            ("published6_of", "ipv6_addr . ", "ipv6_addr", &self.one6),
            ("published4", "", "ipv4_addr", &self.any4),
            ("published6", "", "ipv6_addr", &self.any6),
        ] {
            text.map("inet", name, &format!("type {of}{port} : {to} . inet_service"), elements);
        }
        text.words(PUBLISHED);
    }
}

fn texts(addresses: &BTreeSet<Ipv6Addr>) -> BTreeSet<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn numbers(addresses: &BTreeSet<Ipv6Addr>) -> BTreeSet<String> {
    addresses.iter().map(|address| number(*address)).collect()
}

/// An address as nft has a field of 128 bits that it has no type for.
fn number(address: Ipv6Addr) -> String {
    format!("{:#034x}", u128::from(address))
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests;
