//! Sources: from where a connection comes, as far as callers are told apart before they show anything.

use crate::tcp_peer::uid_of_peer;
use rustix::net::sockopt::socket_peercred;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
};

/// From where somebody calls of whom nothing else is known.
///
/// Whoever is on this host may call from any of its addresses, so what tells them apart is the user that the
/// kernel names. Of another host it is the part of an address that one host has to itself: of an IPv6 address
/// the /64, which is the least that one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A process of this host, which ran as this user when it connected.
    User(u32),
    /// Some process of this host: whose, is not known, for it has closed its end already.
    ThisHost,
    /// Another host, or one that cannot be told from it.
    Host(IpAddr),
}

impl Source {
    /// That of a unix socket's other end.
    pub fn of_unix(socket: impl AsFd) -> Self {
        socket_peercred(socket).map_or(Self::ThisHost, |peer| Self::User(peer.uid.as_raw()))
    }

    /// That of a TCP connection between these two addresses. For one within this host the kernel is asked
    /// whose it is, which takes some 20 µs.
    pub fn of_tcp(local: SocketAddr, peer: SocketAddr) -> Self {
        if !peer.ip().to_canonical().is_loopback() && peer.ip() != local.ip() {
            return Self::of_address(peer.ip());
        }
        uid_of_peer(local, peer).map_or(Self::ThisHost, Self::User)
    }

    /// That of an address of which nothing else is known.
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            own if own.is_loopback() => Self::ThisHost,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Host(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
            }
            v4 => Self::Host(v4),
        }
    }
}

/// `uid:1000`, `this host`, an address, or a network.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::ThisHost => f.write_str("this host"),
            Self::Host(address @ IpAddr::V4(_)) => address.fmt(f),
            Self::Host(network) => write!(f, "{network}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    fn of(address: &str) -> Source {
        Source::of_address(address.parse().unwrap())
    }

    #[test]
    fn another_host_is_its_address_or_its_network() {
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:0:0:7"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        for own in ["127.0.0.1", "127.255.3.4", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(of(own), Source::ThisHost, "{own}");
        }
        assert_eq!(of("2001:db8::1").to_string(), "2001:db8::/64");
    }

    #[test]
    fn who_is_on_this_host_is_a_user_from_whichever_of_its_addresses() {
        let uid = rustix::process::getuid().as_raw();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, peer) = listener.accept().unwrap();
        assert_eq!(Source::of_tcp(here.local_addr().unwrap(), peer), Source::User(uid));
        drop((here, there));
        let (here, _there) = UnixStream::pair().unwrap();
        assert_eq!(Source::of_unix(&here), Source::User(uid));
        let gone = "127.0.0.1:1".parse().unwrap();
        assert_eq!(Source::of_tcp(gone, "127.0.0.2:2".parse().unwrap()), Source::ThisHost);
    }
}
