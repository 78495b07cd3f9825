//! Pinging, since not every machine has a program for it.

use anyhow::{bail, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto,
        socket_with,
    },
};
use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

/// From one request to the next, in nanoseconds.
const EVERY_NS: i64 = 5_000_000;
/// The type of a request, and that of an answer (RFC 792).
const REQUEST: u8 = 8;
const ANSWER: u8 = 0;
/// What tells our own from others'.
const IDENTIFIER: [u8; 2] = [0x49, 0x4b];

/// Pings until there is an answer, and says when it came; in the network of the thread that asks.
///
/// # Errors
/// Only root may; or nobody answers in this time.
pub(crate) fn answered(host: Ipv4Addr, at_most: Duration) -> anyhow::Result<Instant> {
    // One of its own, which has no late answer to an earlier question.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(ipproto::ICMP))?;
    let end = Instant::now() + at_most;
    for number in 0..u16::MAX {
        ensure!(Instant::now() < end, "{host} does not answer within {at_most:?}");
        // Nobody may be there yet.
        let address = SocketAddrV4::new(host, 0);
        let _unreachable = sendto(&socket, &request(number), SendFlags::empty(), &address);
        let next = Timespec { tv_sec: 0, tv_nsec: EVERY_NS };
        while poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&next))? > 0 {
            let mut packet = [0; 256];
            let Ok((length, _)) = recv(&socket, &mut packet, RecvFlags::empty()) else { break };
            if is_answer(&packet[..length], host) {
                return Ok(Instant::now());
            }
        }
    }
    bail!("{host} does not answer")
}

fn request(number: u16) -> [u8; 8] {
    let [high, low] = number.to_be_bytes();
    let mut message = [REQUEST, 0, 0, 0, IDENTIFIER[0], IDENTIFIER[1], high, low];
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

/// Whether this packet, its IP header first, is an answer of this host's to us.
fn is_answer(packet: &[u8], host: Ipv4Addr) -> bool {
    let Some(header) = packet.first().map(|first| usize::from(first & 0xf) * 4) else {
        return false;
    };
    packet.get(12..16) == Some(&host.octets())
        && packet.get(header) == Some(&ANSWER)
        && packet.get(header + 4..header + 6) == Some(&IDENTIFIER)
}

/// The internet's checksum (RFC 1071), of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_checks_and_an_answer_is_known() {
        assert_eq!(checksum(&request(7)), 0);
        let host = Ipv4Addr::new(10, 0, 0, 2);
        let mut packet = [0; 28];
        packet[0] = 0x45;
        packet[12..16].copy_from_slice(&host.octets());
        packet[20..].copy_from_slice(&request(7));
        assert!(!is_answer(&packet, host), "our own");
        packet[20] = ANSWER;
        assert!(is_answer(&packet, host));
        assert!(!is_answer(&packet, Ipv4Addr::LOCALHOST));
        assert!(!is_answer(&packet[..22], host) && !is_answer(&[], host));
    }
}
