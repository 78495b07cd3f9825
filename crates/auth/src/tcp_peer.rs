//! Which user has the other end of a TCP connection, where that end is on this host.
//!
//! The kernel is asked by its own protocol for sockets (`sock_diag(7)`), for exactly the one socket
//! whose local address is our peer's and whose peer is we: 20 µs, however many sockets there are. A list
//! of all, as in /proc/net/tcp, would cost more with each of them.

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
    },
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};

/// The header of a message: length, type, flags, sequence number, port (`netlink(7)`).
const HEADER: usize = 16;
/// A question about sockets by family (`SOCK_DIAG_BY_FAMILY`), and the type of its answer.
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const TCP: u8 = 6;
/// Where a socket's state stands in an answer: behind the family (`inet_diag_msg` of `linux/inet_diag.h`).
const STATE: usize = 1;
/// A socket that waits for connections, of which the kernel tells where it finds no other at that port.
const LISTENING: u8 = 10;
/// Where the user stands: family, state, timer and retransmissions (4 bytes), the socket's identity (48), its expiry
/// and two queues (12).
const UID: usize = 4 + 48 + 12;
/// Where its inode stands, which is 0 where no process has it open any more. It is root's then, whoever's it was.
const INODE: usize = UID + 4;

/// The user that opened the socket at the other end of a connection on this host.
///
/// # Errors
/// The other end is not on this host, or closed already: whose it was is forgotten with that, although the kernel
/// still sends what was written.
pub(crate) fn uid_of_peer(local: SocketAddr, peer: SocketAddr) -> io::Result<u32> {
    let (local, peer) = (unmapped(local), unmapped(peer));
    let diag = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&diag, &question(peer, local), SendFlags::empty())?;
    let mut answer = [0; 1024];
    let length = loop {
        match recv(&diag, &mut answer[..], RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            received => break received?.0,
        }
    };
    uid_in(&answer[..length])
}

/// An IPv4 address as one, also where a socket of both families shows it as the other.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The question for one TCP socket: `nlmsghdr` and `inet_diag_req_v2` of `linux/inet_diag.h`.
fn question(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    const ANY_STATE: u32 = u32::MAX;
    const NO_COOKIE: [u8; 8] = [0xff; 8];
    let family = match source.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let mut bytes = vec![0; HEADER];
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    // One byte is enough for the two families there are.
    bytes.extend([family.as_raw().to_ne_bytes()[0], TCP, 0, 0]);
    bytes.extend(ANY_STATE.to_ne_bytes());
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    bytes.extend(octets(source.ip()));
    bytes.extend(octets(destination.ip()));
    // Whichever interface it goes through.
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(NO_COOKIE);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// An address in the room of an IPv6 one; an IPv4 one comes first in it.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            octets
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn uid_in(answer: &[u8]) -> io::Result<u32> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let kind = answer.get(4..6).ok_or_else(invalid)?;
    let number = |at: usize| {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or_else(invalid)
    };
    if kind == BY_FAMILY.to_ne_bytes() {
        let is_listening = answer.get(HEADER + STATE) == Some(&LISTENING);
        if is_listening || number(HEADER + INODE)? == 0 {
            return Err(io::ErrorKind::NotConnected.into());
        }
        return number(HEADER + UID);
    }
    Err(io::Error::from_raw_os_error(-number(HEADER)?.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener, TcpStream};

    fn connected(address: &str) -> Option<(TcpStream, TcpStream)> {
        // Not every host has IPv6.
        let listener = TcpListener::bind(address).ok()?;
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Some((listener.accept().unwrap().0, there))
    }

    #[test]
    fn a_peer_on_this_host_is_the_user_that_opened_the_connection() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let Some((here, _there)) = connected(address) else { continue };
            let uid = uid_of_peer(here.local_addr().unwrap(), here.peer_addr().unwrap());
            assert_eq!(uid.unwrap(), rustix::process::getuid().as_raw(), "{address}");
        }
    }

    #[test]
    fn a_connection_of_another_user_is_theirs() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // A shell's own connection, opened by a user who is nobody.
        let mut other = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups", "bash", "-c"])
            .arg(format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -u 3"))
            .spawn()
            .unwrap();
        let (here, _) = listener.accept().unwrap();
        let uid = uid_of_peer(here.local_addr().unwrap(), here.peer_addr().unwrap());
        drop(here);
        other.wait().unwrap();
        assert_eq!(uid.unwrap(), 65534);
    }

    /// The kernel would say that it is root's.
    #[test]
    fn whose_a_connection_was_that_is_closed_is_not_known() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((here, there)) = connected(address) else { continue };
            let (local, peer) = (here.local_addr().unwrap(), here.peer_addr().unwrap());
            there.shutdown(Shutdown::Write).unwrap();
            let own = rustix::process::getuid().as_raw();
            assert_eq!(uid_of_peer(local, peer).unwrap(), own, "half of it is open");
            drop(there);
            let refused = uid_of_peer(local, peer).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NotConnected, "{address}");
        }
    }

    #[test]
    fn who_waits_at_a_port_is_not_who_connected_from_it() {
        let waiting = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert!(uid_of_peer(nobody, waiting.local_addr().unwrap()).is_err());
    }

    #[test]
    fn who_is_not_there_is_nobody() {
        let local = "127.0.0.1:1".parse().unwrap();
        assert!(uid_of_peer(local, "127.0.0.1:2".parse().unwrap()).is_err());
        assert!(uid_in(&[]).is_err() && uid_in(&[0; 18]).is_err());
    }
}
