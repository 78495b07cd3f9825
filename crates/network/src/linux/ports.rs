//! Which program has a port of the host.

use innkeeper_model::nic::Protocol;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt},
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// A socket that waits for whoever comes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Who has this port of this address of the host, or of any: a program with its pid. `None` if nobody has.
pub(super) fn holder(protocol: Protocol, address: Option<IpAddr>, port: u16) -> Option<String> {
    let found = listeners(protocol).into_iter().find(|listener| {
        let meets = address.is_none_or(|address| {
            listener.address.is_unspecified() && may_serve(listener.address, address)
                || listener.address == address
        });
        listener.port == port && meets
    })?;
    Some(program(found.inode).unwrap_or_else(|| "a program that has ended since".into()))
}

/// The two services that give out addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dhcp {
    V4,
    V6,
}

impl Dhcp {
    /// The one of addresses like this.
    pub(super) const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "DHCP",
            Self::V6 => "DHCPv6",
        }
    }

    /// The port that its servers have.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::V4 => 67,
            Self::V6 => 547,
        }
    }

    /// Whether a server could not have its port: another has it, and shares it with nobody. One that
    /// serves another link alone is in nobody's way.
    pub(super) fn is_taken(self) -> bool {
        let (family, any) = match self {
            Self::V4 => (AddressFamily::INET, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            Self::V6 => (AddressFamily::INET6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        };
        let Ok(socket) = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None) else {
            return false;
        };
        // As dnsmasq binds it.
        let _ = sockopt::set_socket_reuseaddr(&socket, true);
        if self == Self::V6 {
            let _ = sockopt::set_ipv6_v6only(&socket, true);
        }
        bind(&socket, &SocketAddr::new(any, self.port())) == Err(Errno::ADDRINUSE)
    }
}

/// A socket of all addresses of IPv6 takes what comes over IPv4 as well, mostly.
fn may_serve(listener: IpAddr, address: IpAddr) -> bool {
    listener.is_ipv6() || address.is_ipv4()
}

fn listeners(protocol: Protocol) -> Vec<Listener> {
    let names = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    // Of this thread, whose network namespace may be another than its process's.
    let texts = names.map(|name| fs::read_to_string(format!("/proc/thread-self/net/{name}")));
    texts.iter().flatten().flat_map(|text| text.lines().skip(1)).filter_map(parse).collect()
}

/// A line of `/proc/net/tcp` and its like: waiting TCP sockets, and UDP sockets without a peer.
fn parse(line: &str) -> Option<Listener> {
    const LISTEN: &str = "0A";
    const UNCONNECTED: &str = "07";
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    if ![LISTEN, UNCONNECTED].contains(words.get(3)?) {
        return None;
    }
    Some(Listener {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: words.get(9)?.parse().ok()?,
    })
}

/// An address as words of 32 bits, each in the order of this processor.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok();
    let bytes = |at| Some(word(at)?.to_ne_bytes());
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(bytes(0)?))),
        32 => {
            let all = [bytes(0)?, bytes(8)?, bytes(16)?, bytes(24)?].concat();
            Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(all).ok()?)))
        }
        _ => None,
    }
}

/// The program that has the socket of this inode.
fn program(inode: u64) -> Option<String> {
    let link = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let has_it = descriptors
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == &*link));
        if has_it {
            let program = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", program.trim()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn this_program_is_found_by_its_ports() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let pid = format!("(pid {})", std::process::id());
        let (tcp, udp_at) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
        let found = |protocol, address: Option<&str>, port| {
            holder(protocol, address.map(|address| address.parse().unwrap()), port)
        };
        assert!(found(Protocol::Tcp, None, tcp.port()).unwrap().ends_with(&pid));
        assert!(found(Protocol::Tcp, Some("127.0.0.1"), tcp.port()).unwrap().ends_with(&pid));
        assert_eq!(found(Protocol::Tcp, Some("127.0.0.2"), tcp.port()), None);
        assert!(found(Protocol::Udp, Some("::1"), udp_at.port()).unwrap().ends_with(&pid));
    }
}
