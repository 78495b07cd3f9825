//! The host's links, as the kernel tells of them, and what Innkeeper changes of its own.
//!
//! Every function is one or two messages, and blocks for some microseconds; making or removing a link
//! waits for the kernel's one lock of them, milliseconds at worst.

use super::netlink::{Ask, Netlink, Request, attribute, text, u32_at};
use ipnet::IpNet;
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_VLAN_PROTOCOL: u16 = 8;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;

const IFF_UP: u32 = 1;
const AF_BRIDGE: u8 = 7;

/// A link of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    pub(crate) mac: Vec<u8>,
    /// The index of the bridge that it is plugged into; 0 for none.
    pub(crate) master: u32,
    pub(crate) alias: String,
    /// Such as `bridge` or `veth`; empty for hardware.
    pub(crate) kind: String,
    /// Of a bridge: whether it filters by VLAN; absent where the kernel cannot.
    pub(crate) vlan_filtering: Option<bool>,
    /// Of a bridge's port: whether it is kept from other such ports.
    pub(crate) isolated: bool,
}

impl Link {
    pub(crate) fn is_bridge(&self) -> bool {
        self.kind == "bridge"
    }
}

/// What a link is to be like; what is absent stays.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LinkChange<'a> {
    pub(crate) up: Option<bool>,
    pub(crate) mtu: Option<u32>,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) master: Option<u32>,
    pub(crate) alias: Option<&'a str>,
    /// Whether it gives itself no address of IPv6, for a port that is none of the host's.
    pub(crate) no_own_address: bool,
}

/// A route of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) range: IpNet,
    /// The index of the link that it leads to.
    pub(crate) link: u32,
}

/// An address of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) address: IpNet,
    pub(crate) link: u32,
}

/// Every address of this host that another one can reach it by.
///
/// # Errors
/// The kernel does not say.
pub fn addresses_of_this_host() -> io::Result<Vec<IpAddr>> {
    let all = Netlink::open()?.addresses()?.into_iter().map(|found| found.address.addr());
    // Those of one link are several hosts', and written with the link.
    let is_of_one_link = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    Ok(all.filter(|address| !is_of_one_link(address)).collect())
}

impl Netlink {
    /// The link of this name.
    pub(crate) fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let request = Request::new(RTM_GETLINK, Ask::Plain, &link_header(0, 0, None));
        match self.ask(request.with_text(IFLA_IFNAME, name)) {
            Ok(answers) => Ok(answers.first().map(|body| read_link(body))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every link.
    pub(crate) fn links(&mut self) -> io::Result<Vec<Link>> {
        let answers = self.ask(Request::new(RTM_GETLINK, Ask::Dump, &link_header(0, 0, None)))?;
        Ok(answers.iter().map(|body| read_link(body)).collect())
    }

    /// Makes a bridge that forwards at once: no spanning tree, and no delay before a port is used, which
    /// would be 15 s. Neighbours of IPv6 are found by multicast, so that is not snooped on.
    pub(crate) fn create_bridge(&mut self, name: &str, mac: [u8; 6], mtu: u32) -> io::Result<()> {
        let request = Request::new(RTM_NEWLINK, Ask::Create, &link_header(0, 0, None))
            .with_text(IFLA_IFNAME, name)
            .with(IFLA_ADDRESS, &mac)
            .with_u32(IFLA_MTU, mtu)
            .with_nested(IFLA_LINKINFO, |info| {
                info.with_text(IFLA_INFO_KIND, "bridge").with_nested(IFLA_INFO_DATA, |data| {
                    data.with_u32(IFLA_BR_FORWARD_DELAY, 0)
                        .with_u32(IFLA_BR_STP_STATE, 0)
                        .with(IFLA_BR_MCAST_SNOOPING, &[0])
                })
            });
        self.ask(request).map(drop)
    }

    /// Changes a link, in one go.
    pub(crate) fn change_link(&mut self, index: u32, change: LinkChange<'_>) -> io::Result<()> {
        let header = link_header(0, index, change.up);
        let mut request = Request::new(RTM_NEWLINK, Ask::Plain, &header);
        if let Some(mac) = change.mac {
            request = request.with(IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = change.mtu {
            request = request.with_u32(IFLA_MTU, mtu);
        }
        if let Some(master) = change.master {
            request = request.with_u32(IFLA_MASTER, master);
        }
        if let Some(alias) = change.alias {
            request = request.with(IFLA_IFALIAS, alias.as_bytes());
        }
        if change.no_own_address {
            request = request.with_nested(IFLA_AF_SPEC, |families| {
                families.with_nested(libc::AF_INET6 as u16, |six| {
                    six.with(IFLA_INET6_ADDR_GEN_MODE, &[1])
                })
            });
        }
        self.ask(request).map(drop)
    }

    /// Sets whether a bridge's port is kept from other such ports, and turns it on.
    pub(crate) fn turn_on_port(&mut self, index: u32, isolated: bool) -> io::Result<()> {
        let request = Request::new(RTM_NEWLINK, Ask::Plain, &link_header(0, index, Some(true)))
            .with_nested(IFLA_LINKINFO, |info| {
                info.with_nested(IFLA_INFO_SLAVE_DATA, |data| {
                    data.with(IFLA_BRPORT_ISOLATED, &[u8::from(isolated)])
                })
            });
        self.ask(request).map(drop)
    }

    /// Has a bridge's port carry this VLAN alone: untagged towards the guest, tagged on the bridge.
    pub(crate) fn set_port_vlan(&mut self, index: u32, vlan: u16) -> io::Result<()> {
        const PVID_AND_UNTAGGED: u16 = 2 | 4;
        let info = |flags: u16, vlan: u16| [flags.to_ne_bytes(), vlan.to_ne_bytes()].concat();
        let header = link_header(AF_BRIDGE, index, None);
        let add = Request::new(RTM_SETLINK, Ask::Plain, &header)
            .with_nested(IFLA_AF_SPEC, |spec| {
                spec.with(IFLA_BRIDGE_VLAN_INFO, &info(PVID_AND_UNTAGGED, vlan))
            });
        self.ask(add)?;
        if vlan == 1 {
            return Ok(());
        }
        // What the kernel gives every port by itself.
        let remove = Request::new(RTM_DELLINK, Ask::Plain, &header)
            .with_nested(IFLA_AF_SPEC, |spec| spec.with(IFLA_BRIDGE_VLAN_INFO, &info(0, 1)));
        match self.ask(remove) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Removes a link; whether it was there.
    pub(crate) fn remove_link(&mut self, index: u32) -> io::Result<bool> {
        let request = Request::new(RTM_DELLINK, Ask::Plain, &link_header(0, index, None));
        match self.ask(request) {
            Err(error) if is_gone(&error) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    /// Every address of the host.
    pub(crate) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let answers = self.ask(Request::new(RTM_GETADDR, Ask::Dump, &[0; 8]))?;
        Ok(answers.iter().filter_map(|body| read_address(body)).collect())
    }

    /// Gives a link an address, at once usable.
    pub(crate) fn add_address(&mut self, link: u32, address: IpNet) -> io::Result<()> {
        // Duplicates are not looked for: the address is the router's, and nobody else's.
        const NODAD: u8 = 2;
        let request = address_request(RTM_NEWADDR, Ask::Create, link, address, NODAD);
        match self.ask(request) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Takes an address from a link.
    pub(crate) fn remove_address(&mut self, link: u32, address: IpNet) -> io::Result<()> {
        let request = address_request(RTM_DELADDR, Ask::Plain, link, address, 0);
        match self.ask(request) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Makes an address the host's for as long as a link is there, without its being on that link: what listens on
    /// all addresses of a link does not listen on it. Whether it was not so.
    pub(crate) fn make_local(&mut self, link: u32, address: Ipv4Addr) -> io::Result<bool> {
        const RTA_DST: u16 = 1;
        const RTA_OIF: u16 = 4;
        // IPv4, to 32 bits, in the table `local`, by an administrator, of the scope `host`, of the type `local`.
        let header = [2, 32, 0, 0, 255, 4, 254, 2, 0, 0, 0, 0];
        let request = Request::new(RTM_NEWROUTE, Ask::Append, &header)
            .with(RTA_DST, &address.octets())
            .with_u32(RTA_OIF, link);
        match self.ask(request) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    /// Every route of the main table, but the default ones.
    pub(crate) fn routes(&mut self) -> io::Result<Vec<Route>> {
        let answers = self.ask(Request::new(RTM_GETROUTE, Ask::Dump, &[0; 12]))?;
        Ok(answers.iter().filter_map(|body| read_route(body)).collect())
    }

    /// Lets no more than this through a link, or, absent, all; a short queue before it holds what comes
    /// in a burst. What waits in an earlier queue is lost.
    pub(crate) fn shape(&mut self, link: u32, bytes_a_second: Option<u64>) -> io::Result<()> {
        let Some(rate) = bytes_a_second else {
            let request = Request::new(RTM_DELQDISC, Ask::Plain, &queue_header(link));
            return match self.ask(request) {
                // There is no queue but the kernel's own, which cannot be removed.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => {
                    Ok(())
                }
                outcome => outcome.map(drop),
            };
        };
        let request = Request::new(RTM_NEWQDISC, Ask::Replace, &queue_header(link));
        self.ask(token_bucket(request, rate)).map(drop)
    }
}

/// Whether the kernel says that there is no such link.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODEV)
}

/// `struct ifinfomsg`.
fn link_header(family: u8, index: u32, up: Option<bool>) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if let Some(up) = up {
        header[8..12].copy_from_slice(&(if up { IFF_UP } else { 0 }).to_ne_bytes());
        header[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    }
    header
}

/// `struct tcmsg`, of a link's root.
fn queue_header(link: u32) -> [u8; 20] {
    const TC_H_ROOT: u32 = u32::MAX;
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[12..16].copy_from_slice(&TC_H_ROOT.to_ne_bytes());
    header
}

/// A token bucket filter (`tbf`).
fn token_bucket(request: Request, bytes_a_second: u64) -> Request {
    const TCA_KIND: u16 = 1;
    const TCA_OPTIONS: u16 = 2;
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_RATE64: u16 = 4;
    const TCA_TBF_BURST: u16 = 6;
    /// That packets count as they are, and the kernel needs no table of how long each length takes.
    const LINKLAYER_ETHERNET: u8 = 1;
    // 10 ms at the full rate at once, and some frames in any case; 50 ms of them may wait.
    let burst = u32::try_from((bytes_a_second / 100).max(16 << 10)).unwrap_or(u32::MAX / 2);
    let queue = u32::try_from(bytes_a_second / 20).unwrap_or(u32::MAX / 2).saturating_add(burst);
    // `struct tc_tbf_qopt`: the rate, the peak rate (none), the queue, the bucket, the peak's.
    let mut parameters = [0; 36];
    parameters[1] = LINKLAYER_ETHERNET;
    let rate = u32::try_from(bytes_a_second).unwrap_or(u32::MAX);
    parameters[8..12].copy_from_slice(&rate.to_ne_bytes());
    parameters[24..28].copy_from_slice(&queue.to_ne_bytes());
    request.with_text(TCA_KIND, "tbf").with_nested(TCA_OPTIONS, |options| {
        options
            .with(TCA_TBF_PARMS, &parameters)
            .with(TCA_TBF_RATE64, &bytes_a_second.to_ne_bytes())
            .with_u32(TCA_TBF_BURST, burst)
    })
}

fn read_link(body: &[u8]) -> Link {
    let rest = body.get(16..).unwrap_or_default();
    let info = attribute(rest, IFLA_LINKINFO).unwrap_or_default();
    let data = attribute(info, IFLA_INFO_DATA).unwrap_or_default();
    let kind = attribute(info, IFLA_INFO_KIND).map(text).unwrap_or_default();
    // A kernel that cannot filter says that it does not; what it would go by, it leaves out.
    let can_filter = kind == "bridge" && attribute(data, IFLA_BR_VLAN_PROTOCOL).is_some();
    let filtering = attribute(data, IFLA_BR_VLAN_FILTERING).filter(|_| can_filter);
    let port = attribute(info, IFLA_INFO_SLAVE_DATA).unwrap_or_default();
    let number = |wanted| attribute(rest, wanted).map_or(0, |value| u32_at(value, 0));
    Link {
        index: u32_at(body, 4),
        name: attribute(rest, IFLA_IFNAME).map(text).unwrap_or_default(),
        up: u32_at(body, 8) & IFF_UP != 0,
        mtu: number(IFLA_MTU),
        mac: attribute(rest, IFLA_ADDRESS).unwrap_or_default().to_vec(),
        master: number(IFLA_MASTER),
        alias: attribute(rest, IFLA_IFALIAS).map(text).unwrap_or_default(),
        vlan_filtering: filtering.map(|value| value.first() == Some(&1)),
        isolated: attribute(port, IFLA_BRPORT_ISOLATED).is_some_and(|v| v.first() == Some(&1)),
        kind,
    }
}

fn address_request(message: u16, ask: Ask, link: u32, address: IpNet, flags: u8) -> Request {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_BROADCAST: u16 = 4;
    let (family, bytes) = match address.addr() {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    // `struct ifaddrmsg`.
    let mut header = [0; 8];
    header[0] = family as u8;
    header[1] = address.prefix_len();
    header[2] = if family == libc::AF_INET6 { flags } else { 0 };
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    let request =
        Request::new(message, ask, &header).with(IFA_LOCAL, &bytes).with(IFA_ADDRESS, &bytes);
    match address.broadcast() {
        IpAddr::V4(broadcast) if address.prefix_len() < 31 => {
            request.with(IFA_BROADCAST, &broadcast.octets())
        }
        _ => request,
    }
}

fn read_address(body: &[u8]) -> Option<Address> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let rest = body.get(8..)?;
    let value = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS))?;
    let address = IpNet::new(ip(value)?, *body.get(1)?).ok()?;
    Some(Address { address, link: u32_at(body, 4) })
}

fn read_route(body: &[u8]) -> Option<Route> {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const MAIN_TABLE: u8 = 254;
    let rest = body.get(12..)?;
    if *body.get(4)? != MAIN_TABLE {
        return None;
    }
    // The default route has no destination.
    let destination = ip(attribute(rest, RTA_DST)?)?;
    let link = attribute(rest, RTA_OIF).map_or(0, |value| u32_at(value, 0));
    Some(Route { range: IpNet::new(destination, *body.get(1)?).ok()?, link })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
