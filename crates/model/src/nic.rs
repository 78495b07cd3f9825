//! A VM's network interfaces, as a person describes them.

use crate::{
    config::{at_most, in_range},
    names::{DeviceName, NetworkName, NotAName},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};
use utoipa::ToSchema;

/// The most ports of the host that lead to one interface.
pub const MAX_PUBLISHED: usize = 64;
/// The least rate, in kilobits a second: below it a full frame waits longer than TCP does.
pub const MIN_RATE: u32 = 64;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The interface's name in this VM.
    pub name: DeviceName,
    /// What it is connected to.
    #[serde(default)]
    #[schema(value_type = String, example = "default", default = "user")]
    pub network: Attachment,
    /// Its hardware address. Default: one that Innkeeper chooses, and keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// The addresses that its guest gets on a network with subnets, at most one of each IP version. Default:
    /// one of each subnet, which Innkeeper chooses, and keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// Ports of the host that lead to ports of the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, example = json!(["8080:80/tcp"]))]
    pub publish: Vec<PublishedPort>,
    /// How much may go through. Default: as much as there is.
    #[serde(default, skip_serializing_if = "RateLimit::is_none")]
    pub rate: RateLimit,
    /// Whether its cable is plugged in.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub connected: bool,
}

/// What a network interface is connected to: `user`, `none`, or the name of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Attachment {
    /// A private network made by the hypervisor process: the guest reaches the outside, nobody
    /// reaches the guest, and the guest does not reach its host's loopback.
    #[default]
    User,
    /// Nothing: the interface is there, its cable is not.
    None,
    /// A network of this host.
    Network(NetworkName),
}

impl Attachment {
    /// The network's name, where it is one.
    pub const fn network(&self) -> Option<&NetworkName> {
        match self {
            Self::Network(name) => Some(name),
            Self::User | Self::None => None,
        }
    }
}

impl FromStr for Attachment {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        Ok(match text {
            "user" => Self::User,
            "none" => Self::None,
            name => Self::Network(name.parse()?),
        })
    }
}

impl TryFrom<String> for Attachment {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<Attachment> for String {
    fn from(attachment: Attachment) -> String {
        attachment.to_string()
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.pad("user"),
            Self::None => f.pad("none"),
            Self::Network(name) => name.fmt(f),
        }
    }
}

/// A port of the host that leads to one of the guest, written `8080:80`, `127.0.0.1:8080:80` or
/// `5353:53/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishedPort {
    /// The protocol.
    pub protocol: Protocol,
    /// The address of the host; absent for all of them.
    pub address: Option<IpAddr>,
    /// The port of the host.
    pub host: u16,
    /// The port of the guest.
    pub guest: u16,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Why a text is no published port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a published port: write HOST-PORT:GUEST-PORT such as 8080:80, if need be with an \
     address of the host before it (127.0.0.1:8080:80, [2001:db8::1]:8080:80) and /udp after it"
)]
pub struct NotAPublishedPort(String);

impl FromStr for PublishedPort {
    type Err = NotAPublishedPort;

    fn from_str(text: &str) -> Result<Self, NotAPublishedPort> {
        let unreadable = || NotAPublishedPort(text.chars().take(64).collect());
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err(unreadable()),
        };
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (rest, guest) = ports.rsplit_once(':').ok_or_else(unreadable)?;
        let (address, host) = match rest.rsplit_once(':') {
            None => (None, rest),
            Some((address, host)) => {
                let bare = address.trim_start_matches('[').trim_end_matches(']');
                (Some(bare.parse().map_err(|_| unreadable())?), host)
            }
        };
        let (host, guest) = port(host).zip(port(guest)).ok_or_else(unreadable)?;
        Ok(Self { protocol, address, host, guest })
    }
}

impl TryFrom<String> for PublishedPort {
    type Error = NotAPublishedPort;

    fn try_from(text: String) -> Result<Self, NotAPublishedPort> {
        text.parse()
    }
}

impl From<PublishedPort> for String {
    fn from(port: PublishedPort) -> String {
        port.to_string()
    }
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        write!(f, "{}:{}/{}", self.host, self.guest, self.protocol)
    }
}

/// How much may go through an interface, in kilobits (1,000 bits) a second; absent is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Towards the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_kbit: Option<u32>,
    /// From the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_kbit: Option<u32>,
}

impl RateLimit {
    /// Whether there is no limit.
    pub const fn is_none(&self) -> bool {
        self.in_kbit.is_none() && self.out_kbit.is_none()
    }
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}

impl Nic {
    /// An interface with this name and every other field at its default.
    pub fn new(name: DeviceName) -> Self {
        Self {
            name,
            network: Attachment::default(),
            mac: None,
            addresses: Vec::new(),
            publish: Vec::new(),
            rate: RateLimit::default(),
            connected: true,
        }
    }

    /// Checks all that can be known without looking at a host.
    pub(crate) fn validate(&self, index: usize) -> Result<(), Refusal> {
        let at = |field: &str| format!("nics[{index}].{field}");
        let versions = |v6: bool| self.addresses.iter().filter(move |a| a.is_ipv6() == v6).count();
        if versions(true) > 1 || versions(false) > 1 {
            let problem = "are too many: a NIC has one of each IP version at most";
            return Err(Refusal::invalid(at("addresses"), self.addresses.len(), problem)
                .with_limit("1 IPv4, 1 IPv6"));
        }
        if let (Some(address), None) = (self.addresses.first(), self.network.network()) {
            let problem = "can only be had on a network of this host";
            return Err(Refusal::invalid(at("addresses"), address, problem)
                .with_hint("name one with network; `inn network list` shows them"));
        }
        at_most(&at("publish"), self.publish.len(), MAX_PUBLISHED)?;
        if let (Some(port), Attachment::None) = (self.publish.first(), &self.network) {
            let problem = "leads nowhere: the interface is connected to nothing";
            return Err(Refusal::invalid(at("publish"), port, problem));
        }
        for (field, rate) in
            [("rate.in_kbit", self.rate.in_kbit), ("rate.out_kbit", self.rate.out_kbit)]
        {
            if let Some(rate) = rate {
                in_range(&at(field), rate, MIN_RATE, u32::MAX)?;
            }
        }
        if let (false, Attachment::User) = (self.rate.is_none(), &self.network) {
            let problem = "can only be limited on a network of this host";
            return Err(Refusal::invalid(at("rate"), "user", problem));
        }
        Ok(())
    }
}

/// An Ethernet hardware address of one interface.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "52:54:00:12:34:56")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// An address in QEMU's customary range, 52:54:00, ending in these three bytes.
    pub const fn from_suffix(suffix: [u8; 3]) -> Self {
        Self([0x52, 0x54, 0x00, suffix[0], suffix[1], suffix[2]])
    }

    /// Its bytes, in the order in which they are written and sent.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Why a text is no interface's hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAMac {
    /// It is not six bytes in hexadecimal with colons.
    #[error("{0:?} is not a MAC address: write six bytes such as 52:54:00:12:34:56")]
    Unreadable(String),
    /// It addresses a group, so no single interface can have it.
    #[error("{0} is a multicast address: the lowest bit of the first byte must be 0")]
    Multicast(String),
}

impl FromStr for MacAddress {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let unreadable = || NotAMac::Unreadable(text.chars().take(32).collect());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(unreadable)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| unreadable())?;
        }
        if parts.next().is_some() || text.contains('+') {
            return Err(unreadable());
        }
        if bytes[0] & 1 == 1 {
            return Err(NotAMac::Multicast(text.into()));
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = NotAMac;

    fn try_from(text: String) -> Result<Self, NotAMac> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn what_the_error_gives_as_examples_can_be_had() {
        let message = "x".parse::<PublishedPort>().unwrap_err().to_string();
        let words = message.split([' ', '(', ')', ',']);
        let examples: Vec<PublishedPort> = words.filter_map(|word| word.parse().ok()).collect();
        assert_eq!(examples.len(), 3, "{message}");
        // Networks refuse ports of ::1.
        assert!(examples.iter().all(|port| port.address != Some(Ipv6Addr::LOCALHOST.into())));
    }

    #[test]
    fn a_published_port_reads_back_as_it_was_written() {
        for (text, written) in [
            ("8080:80", "8080:80/tcp"),
            ("8080:80/tcp", "8080:80/tcp"),
            ("127.0.0.1:5353:53/udp", "127.0.0.1:5353:53/udp"),
            ("[::1]:8080:80", "[::1]:8080:80/tcp"),
        ] {
            let port: PublishedPort = text.parse().unwrap();
            assert_eq!(port.to_string(), written);
            assert_eq!(written.parse::<PublishedPort>().unwrap(), port);
        }
        for text in
            ["", "80", "0:80", "80:0", "80:65536", "a:80", "80:80/sctp", "x:80:80", "80:80/udp/tcp"]
        {
            assert!(text.parse::<PublishedPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_attachment_is_a_word() {
        for (text, attachment) in [("user", Attachment::User), ("none", Attachment::None)] {
            assert_eq!(text.parse::<Attachment>().unwrap(), attachment);
            assert_eq!(serde_json::to_value(&attachment).unwrap(), text);
        }
        let lan: Attachment = serde_json::from_str("\"lan\"").unwrap();
        assert_eq!(lan.network().unwrap().as_str(), "lan");
        assert!("a b".parse::<Attachment>().is_err());
    }

    #[test]
    fn what_an_interface_cannot_have_is_named_by_its_field() {
        let nic = Nic::new("net0".parse().unwrap());
        nic.validate(0).unwrap();
        let field = |nic: &Nic| nic.validate(3).unwrap_err().field.unwrap();
        let on_lan = Nic { network: "lan".parse().unwrap(), ..nic.clone() };
        let two = vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()];
        assert_eq!(field(&Nic { addresses: two.clone(), ..on_lan }), "nics[3].addresses");
        assert_eq!(
            field(&Nic { addresses: two[..1].to_vec(), ..nic.clone() }),
            "nics[3].addresses"
        );
        let rate = RateLimit { in_kbit: Some(1), out_kbit: None };
        assert_eq!(field(&Nic { rate, ..nic.clone() }), "nics[3].rate.in_kbit");
        let publish = vec!["80:80".parse().unwrap()];
        let network = Attachment::None;
        assert_eq!(field(&Nic { publish, network, ..nic }), "nics[3].publish");
    }
}
