//! Frames that a guest could send and should not: each is sent, after it one that is the guest's to send, and
//! whether it arrived is known when that one has.

use crate::{
    guest::Guest,
    namespace::run,
    yard::{named, on_a_host, until},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

/// Who listens, and who sends.
const EAR: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const MOUTH: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const LLDP: u16 = 0x88cc;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const ROUTER_ADVERT: u8 = 134;
const NEIGHBOUR_SOLICIT: u8 = 135;
const NEIGHBOUR_ADVERT: u8 = 136;
const REDIRECT: u8 = 137;

fn framed(kind: u16, content: &[u8]) -> Vec<u8> {
    [&EAR, &MOUTH, &kind.to_be_bytes()[..], content].concat()
}

/// A datagram between these ports, without a sum.
fn udp(from: u16, to: u16) -> Vec<u8> {
    [from, to, 24, 0].map(u16::to_be_bytes).concat().into_iter().chain([0; 16]).collect()
}

fn ip4(from: &str, content: &[u8]) -> Vec<u8> {
    let from: Ipv4Addr = from.parse().unwrap();
    let length = u16::try_from(20 + content.len() + MARK.len()).unwrap().to_be_bytes();
    let head = [0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, UDP, 0, 0];
    let mut head = [&head, &from.octets()[..], &[10, 87, 0, 2]].concat();
    // A bridge may look at this one.
    let words = head.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = !((sum >> 16) + (sum & 0xffff)) as u16;
    head[10..12].copy_from_slice(&sum.to_be_bytes());
    framed(IPV4, &[&head[..], content].concat())
}

fn ip6(from: &str, protocol: u8, content: &[u8]) -> Vec<u8> {
    let (from, to): (Ipv6Addr, Ipv6Addr) = (from.parse().unwrap(), "fd00:87::2".parse().unwrap());
    let length = u16::try_from(content.len() + MARK.len()).unwrap().to_be_bytes();
    let head = [0x60, 0, 0, 0, length[0], length[1], protocol, 255];
    framed(IPV6, &[&head, &from.octets()[..], &to.octets(), content].concat())
}

/// What is said of neighbours and routers (RFC 4861), about this address.
fn icmp6(kind: u8, about: &str) -> Vec<u8> {
    let about: Ipv6Addr = about.parse().unwrap();
    [&[kind, 0, 0, 0, 0x60, 0, 0, 0][..], &about.octets(), &[2, 1], &MOUTH].concat()
}

/// An answer that says who has this address.
fn arp(hardware: [u8; 6], address: &str) -> Vec<u8> {
    let address: Ipv4Addr = address.parse().unwrap();
    let head = [0, 1, 8, 0, 6, 4, 0, 2];
    framed(ARP, &[&head, &hardware[..], &address.octets(), &EAR, &[10, 87, 0, 2]].concat())
}

/// What frames end with, to be known again: a byte that differs, in words that nobody says.
const MARK: &[u8] = b"nobody says this 0";

fn marked(frame: &[u8], number: u8) -> Vec<u8> {
    let mut bytes = [frame, MARK].concat();
    *bytes.last_mut().unwrap() = number;
    bytes
}

/// The number of a frame of ours.
fn number_of(frame: &[u8]) -> Option<u8> {
    let words = &MARK[..MARK.len() - 1];
    let at = frame.windows(words.len()).position(|bytes| bytes == words)?;
    frame.get(at + words.len()).copied()
}

/// Whether a frame arrives.
fn is_heard(ear: &OwnedFd, mouth: &OwnedFd, frame: &[u8]) -> bool {
    rustix::io::write(mouth, &marked(frame, b'?')).unwrap();
    rustix::io::write(mouth, &marked(&ip4("10.87.0.3", &udp(9, 9)), b'.')).unwrap();
    let mut is_there = false;
    let mut buffer = [0; 2048];
    loop {
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        let came = poll(&mut [PollFd::new(ear, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(came, 1, "what is its to say does not arrive");
        let length = rustix::io::read(ear, &mut buffer).unwrap();
        match number_of(&buffer[..length]) {
            Some(b'?') => is_there = true,
            Some(_) => return is_there,
            None => {}
        }
    }
}

#[test]
fn what_is_not_a_guests_to_say_is_heard_by_nobody() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24", "fd00:87::/64"]);
        let plugs = [2, 3].map(|n: u8| {
            yard.add_nic(network, n - 1, &[&format!("10.87.0.{n}"), &format!("fd00:87::{n}")])
        });
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let [honest, liar] =
            [yard.guest(&daemon, &plugs[0]).await, yard.guest(&daemon, &plugs[1]).await];
        honest.take("10.87.0.2/24", "10.87.0.1");
        liar.take("10.87.0.3/24", "10.87.0.1");
        until("their cables are in", || liar.pings("10.87.0.2")).await;
        let [ear, mouth] = [&honest, &liar].map(Guest::wire);
        let bridge = yard.network(network).bridge.clone();
        let addresses = run(&format!("ip -o -6 addr show dev {bridge} scope link"));
        let routers = addresses.split_whitespace().find(|word| word.starts_with("fe80::")).unwrap();
        let routers = routers.split('/').next().unwrap();

        let own = "fe80::5054:ff:fe00:2";
        let its = "fe80::5054:ff:fe00:1";
        // As guests have that do not tell their hardware address.
        let made_up = "fe80::1234";
        let wants = |about| ip6("::", ICMPV6, &icmp6(NEIGHBOUR_SOLICIT, about));
        for (what, frame) in [
            ("its IPv4", ip4("10.87.0.3", &udp(9, 9))),
            ("its IPv6", ip6("fd00:87::3", UDP, &udp(9, 9))),
            ("its link's IPv6", ip6(own, UDP, &udp(9, 9))),
            ("a made-up IPv6 of its link", ip6(made_up, UDP, &udp(9, 9))),
            ("an advertisement of that", ip6(made_up, ICMPV6, &icmp6(NEIGHBOUR_ADVERT, made_up))),
            ("that it wants that", wants(made_up)),
            ("that it wants its IPv6", wants("fd00:87::3")),
            ("that it wants its link's IPv6", wants(own)),
            ("its ARP", arp(MOUTH, "10.87.0.3")),
            (
                "its neighbour advertisement",
                ip6(own, ICMPV6, &icmp6(NEIGHBOUR_ADVERT, "fd00:87::3")),
            ),
        ] {
            assert!(is_heard(&ear, &mouth, &frame), "{what}");
        }
        let advert = |about| ip6("fd00:87::3", ICMPV6, &icmp6(NEIGHBOUR_ADVERT, about));
        let mut hardware = ip4("10.87.0.3", &udp(9, 9));
        hardware[11] = 9;
        let tagged = [&[0, 7][..], &ip4("10.87.0.3", &udp(9, 9))[12..]].concat();
        for (what, frame) in [
            ("another's IPv4", ip4("10.87.0.2", &udp(9, 9))),
            ("nobody's IPv4", ip4("10.87.0.9", &udp(9, 9))),
            ("the router's IPv4", ip4("10.87.0.1", &udp(9, 9))),
            ("the outside's IPv4", ip4("192.0.2.9", &udp(9, 9))),
            ("another's hardware address", hardware),
            ("another's IPv6", ip6("fd00:87::2", UDP, &udp(9, 9))),
            ("nobody's IPv6", ip6("fd00:87::9", UDP, &udp(9, 9))),
            ("another's link's IPv6", ip6(its, UDP, &udp(9, 9))),
            ("the router's IPv6", ip6("fd00:87::1", UDP, &udp(9, 9))),
            ("the router's link's IPv6", ip6(routers, UDP, &udp(9, 9))),
            ("the outside's IPv6", ip6("2001:db8::9", UDP, &udp(9, 9))),
            ("another's ARP", arp(MOUTH, "10.87.0.2")),
            ("the router's ARP", arp(MOUTH, "10.87.0.1")),
            ("another's hardware address in ARP", arp(EAR, "10.87.0.3")),
            ("an advertisement of another", advert("fd00:87::2")),
            ("an advertisement of another's link", advert(its)),
            ("that it wants another's IPv6", wants("fd00:87::2")),
            ("that it wants another's link's IPv6", wants(its)),
            ("that it wants the router's IPv6", wants("fd00:87::1")),
            ("that it wants the router's link's IPv6", wants(routers)),
            ("an advertisement of the router", advert("fd00:87::1")),
            ("an advertisement of the router's link", advert(routers)),
            ("what a router says", ip6(own, ICMPV6, &icmp6(ROUTER_ADVERT, "::"))),
            ("a shorter way", ip6(own, ICMPV6, &icmp6(REDIRECT, own))),
            ("what a DHCP server says", ip4("10.87.0.3", &udp(67, 68))),
            ("what a DHCPv6 server says", ip6(own, UDP, &udp(547, 546))),
            ("what a DHCPv6 server is asked", ip6(own, UDP, &udp(546, 547))),
            ("a VLAN's tag", framed(VLAN, &tagged)),
            ("what is not IP", framed(LLDP, &[0; 46])),
        ] {
            assert!(!is_heard(&ear, &mouth, &frame), "{what}");
        }
    });
}
