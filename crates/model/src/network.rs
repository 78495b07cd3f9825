//! Networks, the subnets on them, and who has which address.
//!
//! A network is an Ethernet segment of one host: a bridge that Innkeeper made, or one of the host's
//! that it joined. A subnet is a range of addresses on it, from which each guest gets its own.

use crate::{
    NetworkId, NetworkName, Refusal, Revision, SmallMap, SubnetId, Timestamp, VmId,
    config::MacAddress, names::DeviceName,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};
use utoipa::ToSchema;

/// The least MTU of a network: what IPv4 asks of every link (RFC 791); IPv6 needs 1280 (RFC 8200).
pub const MIN_MTU: u16 = 576;
/// The least MTU of a network with an IPv6 subnet (RFC 8200, section 5).
pub const MIN_MTU_IPV6: u16 = 1280;
/// The greatest MTU: what the kernel's taps take, 65,535 less the Ethernet header's 14 bytes.
pub const MAX_MTU: u16 = 65_521;
/// The VLAN tags that IEEE 802.1Q leaves to its users.
pub const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;
/// The longest name of a host's interface, in bytes (`IFNAMSIZ` less the end mark).
pub const MAX_INTERFACE_NAME: usize = 15;
/// The most subnets of one network.
pub const MAX_SUBNETS: usize = 16;
/// The most findings of one look at the host that a network tells one by one ([`Mended`]).
pub const MAX_MENDED: usize = 8;
/// The most name servers of one subnet.
pub const MAX_DNS: usize = 8;

/// What a person asks of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Its name on this host; `user` and `none` mean something else to a NIC.
    pub name: NetworkName,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Keys and values of the user's own.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: SmallMap<String>,
    /// A bridge of the host to join; it is never changed nor deleted. Default: one that Innkeeper
    /// makes, and removes with the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<InterfaceName>,
    /// Whether guests reach the outside under the host's address. Default: on a bridge that Innkeeper
    /// makes, yes; on one that it joins, no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<bool>,
    /// The 802.1Q tag that guests' frames carry on a joined bridge. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The largest packet, in bytes. Default: the bridge's own, or 1500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Whether its guests are kept from each other. They still reach the gateway and the outside.
    #[serde(default)]
    pub isolated: bool,
}

/// What a person asks of a subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubnetConfig {
    /// Its name in its network. Default: the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NetworkName>,
    /// Its addresses, such as `10.87.0.0/24` or `fd00:87::/64`.
    #[schema(value_type = String, example = "10.87.0.0/24")]
    pub range: IpNet,
    /// The router's address, which is the host's own on a bridge that Innkeeper made. Default: the first
    /// of the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub gateway: Option<IpAddr>,
    /// The name servers that guests are told. Default: the gateway, which asks the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub dns: Vec<IpAddr>,
    /// Whether Innkeeper answers DHCP (and, for IPv6, router solicitations) there. Default: on a bridge that
    /// Innkeeper made, yes; on one that it joined, no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
}

/// A network: what was asked for, what was chosen for it, and what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Which version of the record this is.
    pub revision: Revision,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When its configuration last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
    /// What was asked for.
    pub config: NetworkConfig,
    /// The bridge: the joined one, or the name chosen for Innkeeper's own.
    pub bridge: InterfaceName,
    /// The ranges of addresses on it, in the order they were made.
    pub subnets: Vec<Subnet>,
    /// What there is now. Asked of the host, and not stored.
    #[serde(default)]
    pub facts: NetworkFacts,
}

/// A range of addresses on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// What was asked for.
    pub config: SubnetConfig,
    /// Addresses that are kept for something other than a NIC of a VM, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<Reservation>,
}

/// An address that is kept from guests in general.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Who gets it by DHCP, where somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// What it is kept for, in a few words; the host name of who gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NetworkName>,
}

/// What there is of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkFacts {
    /// Whether its bridge is there and up.
    pub up: bool,
    /// The bridge's MTU in bytes; absent where there is no bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// What answers DHCP and DNS there; absent where nothing has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<DhcpState>,
    /// Addresses that guests have taken up, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<Lease>,
    /// What is wrong, with what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What was last put right, which somebody else had changed; absent while nothing was since the
    /// daemon began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended: Option<Mended>,
}

/// What one look at the host found to be other than it should be, and put right: of this network, or of
/// the host and so of every network on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mended {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was found and done, each in a sentence; at most eight, and how many more there were. No
    /// guest is named in it.
    pub what: Vec<String>,
}

/// Whether guests of a network are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DhcpState {
    /// Yes.
    Running,
    /// Not now; it is being started again.
    Down,
}

/// An address that a guest has taken up by DHCP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Who has it; absent for a DHCPv6 client, which shows another identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mac: Option<MacAddress>,
    /// The name it gave itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Until when it holds; absent for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
}

/// An address of a guest, as far as Innkeeper knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct GuestAddress {
    /// The NIC; absent for an address that only the guest's agent told, on an interface that is no NIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<DeviceName>,
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// How it is known.
    pub source: AddressSource,
}

/// How an address is known; the later the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// The guest's agent says so, and may say anything.
    Agent,
    /// It is kept for the guest, which may not have taken it up.
    Reservation,
    /// The guest took it up by DHCP.
    Lease,
}

/// A NIC's connection to a network: all that the host has to know of it. It stands in the incarnation of
/// a machine that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plug {
    /// The VM.
    pub vm: VmId,
    /// Its NIC.
    pub nic: DeviceName,
    /// The network.
    pub network: NetworkId,
    /// The host's end of the cable.
    pub tap: InterfaceName,
    /// The one hardware address that its guest may send from.
    pub mac: MacAddress,
    /// The addresses that its guest may send from, and gets by DHCP; at most one of each IP version.
    /// Only on a network without subnets may a guest take what it likes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// Ports of the host that lead to ports of the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub publish: Vec<crate::config::PublishedPort>,
    /// How much may go through.
    #[serde(default, skip_serializing_if = "crate::config::RateLimit::is_none")]
    pub rate: crate::config::RateLimit,
    /// The largest packet, in bytes, that the guest is told; absent for Ethernet's own, 1500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// What the guest is called in DHCP and DNS: a host name without dots.
    pub hostname: String,
}

/// Who holds an address or a published port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A NIC of a VM.
    Nic {
        /// The VM.
        vm: VmId,
        /// Its NIC.
        nic: DeviceName,
    },
    /// The network itself: its gateway, or the ends of a range that no guest can have.
    Network,
    /// A reservation of the subnet.
    Reservation,
}

/// The name of an interface of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
pub struct InterfaceName(Box<str>);

/// Why a text is no name of an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an interface's name: 1 to {MAX_INTERFACE_NAME} of the characters a-z A-Z 0-9 . _ - \
     are allowed, and the first must be a letter or a digit"
)]
pub struct NotAnInterface(String);

impl InterfaceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for InterfaceName {
    type Err = NotAnInterface;

    fn from_str(text: &str) -> Result<Self, NotAnInterface> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = (1..=MAX_INTERFACE_NAME).contains(&text.len());
        if fits && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal)
        {
            return Ok(Self(text.into()));
        }
        Err(NotAnInterface(text.chars().take(MAX_INTERFACE_NAME + 1).collect()))
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = NotAnInterface;

    fn try_from(text: String) -> Result<Self, NotAnInterface> {
        text.parse()
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> String {
        name.0.into()
    }
}

impl NetworkConfig {
    /// The network with this name and every other field at its default.
    pub fn new(name: NetworkName) -> Self {
        Self {
            name,
            description: String::new(),
            labels: SmallMap::default(),
            bridge: None,
            nat: None,
            vlan: None,
            mtu: None,
            isolated: false,
        }
    }

    /// Whether Innkeeper makes the bridge.
    pub const fn is_made(&self) -> bool {
        self.bridge.is_none()
    }

    /// Whether guests reach the outside under the host's address.
    pub fn has_nat(&self) -> bool {
        self.nat.unwrap_or(self.is_made())
    }

    /// Checks all that can be known without looking at a host.
    ///
    /// # Errors
    /// The first field that is not allowed, with its value and the limit.
    pub fn validate(&self) -> Result<(), Refusal> {
        if matches!(self.name.as_str(), "user" | "none") {
            let problem = "means something else to a NIC";
            return Err(Refusal::invalid("name", &self.name, problem)
                .with_hint("take another name, such as lan"));
        }
        crate::config::check_labels(&self.description, &self.labels)?;
        if let Some(vlan) = self.vlan {
            if !VLANS.contains(&vlan) {
                let problem = "is no VLAN tag that a network can have";
                return Err(Refusal::invalid("vlan", vlan, problem).with_limit(format!(
                    "{} to {}",
                    VLANS.start(),
                    VLANS.end()
                )));
            }
            if self.is_made() {
                let problem = "needs a bridge of the host to carry it";
                return Err(Refusal::invalid("vlan", vlan, problem).with_hint(
                    "name one with bridge: a bridge of its own is a segment by itself",
                ));
            }
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !(MIN_MTU..=MAX_MTU).contains(mtu)) {
            return Err(Refusal::invalid("mtu", mtu, "is out of range")
                .with_limit(format!("{MIN_MTU} to {MAX_MTU} bytes")));
        }
        Ok(())
    }
}

impl SubnetConfig {
    /// The subnet with this range and every other field at its default.
    pub const fn new(range: IpNet) -> Self {
        Self { name: None, range, gateway: None, dns: Vec::new(), dhcp: None }
    }

    /// Whether Innkeeper answers DHCP there, on a network of this configuration.
    pub fn has_dhcp(&self, network: &NetworkConfig) -> bool {
        self.dhcp.unwrap_or(network.is_made())
    }

    /// The router's address.
    pub fn gateway(&self) -> IpAddr {
        self.gateway.unwrap_or_else(|| {
            let first = u128_of(self.range.network()).saturating_add(1);
            address_like(self.range.addr(), first)
        })
    }

    /// What the subnet is called: its name, or its range.
    pub fn label(&self) -> String {
        self.name.as_ref().map_or_else(|| self.range.to_string(), ToString::to_string)
    }

    /// Whether a guest or a reservation can have this address: it is of the range, and neither one of
    /// its ends where those mean something else, nor the gateway's.
    pub fn can_be_given(&self, address: IpAddr) -> bool {
        self.range.contains(&address)
            && address != self.gateway()
            && address != self.range.network()
            && (address.is_ipv6() || address != self.range.broadcast())
    }

    /// Checks all that can be known without looking at a host.
    ///
    /// # Errors
    /// The first field that is not allowed, with its value and the limit.
    pub fn validate(&self) -> Result<(), Refusal> {
        let range = self.range;
        let widest = match range {
            IpNet::V4(_) => 8..=30,
            // What DHCPv6 and router advertisements work with; the guests' part must be 64 bits for
            // addresses that they make themselves (RFC 4862).
            IpNet::V6(_) => 64..=126,
        };
        if !widest.contains(&range.prefix_len()) {
            let problem = "has a prefix that no subnet of guests can have";
            return Err(Refusal::invalid("range", range, problem).with_limit(format!(
                "/{} to /{}",
                widest.start(),
                widest.end()
            )));
        }
        if range.network() != range.addr() {
            let problem = "has bits after its prefix";
            return Err(Refusal::invalid("range", range, problem)
                .with_hint(format!("write {}", range.trunc())));
        }
        let unusable = match range.addr() {
            IpAddr::V4(first) => {
                first.is_loopback()
                    || first.is_multicast()
                    || first.is_link_local()
                    || first.is_unspecified()
                    || first >= Ipv4Addr::new(240, 0, 0, 0)
            }
            IpAddr::V6(first) => {
                first.is_loopback()
                    || first.is_multicast()
                    || first.is_unicast_link_local()
                    || first.is_unspecified()
            }
        };
        if unusable {
            let problem = "is not a range that guests can have addresses of";
            return Err(Refusal::invalid("range", range, problem)
                .with_hint("take one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fd00::/8"));
        }
        let gateway = self.gateway();
        let is_end =
            gateway == range.network() || (gateway.is_ipv4() && gateway == range.broadcast());
        if !range.contains(&gateway) || is_end {
            let problem = "is not an address of the range that a router can have";
            return Err(Refusal::invalid("gateway", gateway, problem).with_limit(range));
        }
        if self.dns.len() > MAX_DNS {
            let problem = "name servers are too many";
            return Err(Refusal::invalid("dns", self.dns.len(), problem).with_limit(MAX_DNS));
        }
        if let Some(other) = self.dns.iter().find(|dns| dns.is_ipv4() != gateway.is_ipv4()) {
            let problem = "is of the other IP version than the range";
            return Err(Refusal::invalid("dns", other, problem).with_limit(range));
        }
        Ok(())
    }
}

impl Network {
    /// The subnets that guests get addresses of, at most one of each IP version: the first.
    pub fn subnet_of_version(&self, v6: bool) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.config.range.addr().is_ipv6() == v6)
    }

    /// The subnet that an address belongs to.
    pub fn subnet_with(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.config.range.contains(&address))
    }
}

/// An address as a number; those of IPv4 in the low 32 bits.
pub fn u128_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The number as an address of the same version as another; cut to what that version can hold.
pub fn address_like(other: IpAddr, number: u128) -> IpAddr {
    match other {
        IpAddr::V4(_) => {
            IpAddr::V4(u32::try_from(number & u128::from(u32::MAX)).unwrap_or(u32::MAX).into())
        }
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(range: &str) -> SubnetConfig {
        SubnetConfig::new(range.parse().unwrap())
    }

    #[test]
    fn ordinary_subnets_are_allowed_and_the_rest_is_named() {
        for range in ["10.87.0.0/24", "192.168.3.0/30", "10.0.0.0/8", "fd00:87::/64"] {
            subnet(range).validate().unwrap();
        }
        for range in [
            "10.0.0.0/31",
            "10.0.0.0/7",
            "10.0.0.1/24",
            "127.0.0.0/24",
            "224.0.0.0/24",
            "169.254.0.0/16",
            "240.0.0.0/24",
            "0.0.0.0/8",
            "fe80::/64",
            "ff00::/64",
            "fd00::/48",
        ] {
            let refusal = subnet(range).validate().unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("range"), "{range}: {refusal}");
        }
    }

    #[test]
    fn a_gateway_is_of_its_range_and_no_guest_gets_it() {
        let mut config = subnet("10.87.0.0/24");
        assert_eq!(config.gateway(), "10.87.0.1".parse::<IpAddr>().unwrap());
        for (address, can) in [
            ("10.87.0.0", false),
            ("10.87.0.1", false),
            ("10.87.0.2", true),
            ("10.87.0.254", true),
            ("10.87.0.255", false),
            ("10.88.0.2", false),
        ] {
            assert_eq!(config.can_be_given(address.parse().unwrap()), can, "{address}");
        }
        for outside in ["10.88.0.1", "10.87.0.0", "10.87.0.255", "fd00::1"] {
            config.gateway = Some(outside.parse().unwrap());
            assert_eq!(config.validate().unwrap_err().field.as_deref(), Some("gateway"));
        }
        let six = subnet("fd00:87::/64");
        assert_eq!(six.gateway(), "fd00:87::1".parse::<IpAddr>().unwrap());
        assert!(six.can_be_given("fd00:87::ffff:ffff:ffff:ffff".parse().unwrap()));
    }

    #[test]
    fn a_network_says_which_field_is_wrong() {
        let named = |name: &str| NetworkConfig::new(name.parse().unwrap());
        named("lan").validate().unwrap();
        assert_eq!(named("user").validate().unwrap_err().field.as_deref(), Some("name"));
        for (vlan, bridge, field) in [
            (0, Some("br0"), Some("vlan")),
            (4095, Some("br0"), Some("vlan")),
            (10, None, Some("vlan")),
            (10, Some("br0"), None),
        ] {
            let config = NetworkConfig {
                vlan: Some(vlan),
                bridge: bridge.map(|bridge| bridge.parse().unwrap()),
                ..named("lan")
            };
            let refused = config.validate().err().and_then(|refusal| refusal.field);
            assert_eq!(refused.as_deref(), field, "{vlan} on {bridge:?}");
        }
        let config = NetworkConfig { mtu: Some(575), ..named("lan") };
        assert_eq!(config.validate().unwrap_err().field.as_deref(), Some("mtu"));
    }

    #[test]
    fn interfaces_have_short_plain_names() {
        assert!("br0".parse::<InterfaceName>().is_ok());
        for name in ["", "a/b", "a b", "-x", "sixteen-letters1", "é"] {
            assert!(name.parse::<InterfaceName>().is_err(), "{name}");
        }
    }
}
