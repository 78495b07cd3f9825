//! Which addresses an import may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one on the public internet: global, unicast, and of no special use. What is
/// not (this host, its networks, its cloud's metadata service) is nobody's image server.
///
/// The lists are IANA's special-purpose address registries; what a later registration adds is refused
/// in IPv6, where only `2000::/3` is public at all.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        // This network, private, loopback, and everything from multicast upwards.
        0 | 10 | 127 | 224.. => true,
        // Shared by carriers (100.64.0.0/10), where some clouds have their metadata.
        100 => b & 0xc0 == 64,
        // Link-local, 169.254.169.254 among them.
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => matches!((b, c), (168, _) | (0, 0) | (0, 2) | (88, 99)),
        // Benchmarks (198.18.0.0/15) and documentation.
        198 => b & 0xfe == 18 || (b, c) == (51, 100),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, ..] = address.segments();
    match (a, b) {
        // Addresses that carry an IPv4 address are that address, wherever it is carried: NAT64
        // (64:ff9b::/96) and 6to4. A v4-mapped one is not on any wire, so nobody needs it.
        (0x64, 0xff9b) if address.segments()[2..6] == [0; 4] => is_public_v4(last_four(address)),
        (0x2002, _) => {
            let [b0, b1] = b.to_be_bytes();
            let [c0, c1] = c.to_be_bytes();
            is_public_v4(Ipv4Addr::new(b0, b1, c0, c1))
        }
        // IETF protocols, Teredo among them (2001::/23), documentation (two of them).
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

fn last_four(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn all_others_are_not() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }
}
