//! Where guests' requests for metadata go, and where they are led.
//!
//! The service could be on the host's loopback only if guests' packets to 127.0.0.0/8 were let in on their bridges
//! (`route_localnet`), with nothing but the firewall before the host's other services there. So it has an address of its
//! own, which is local by a route of each bridge: it is on no link, and goes with the last bridge.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Where guests ask for metadata.
pub const METADATA_ASKED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 169, 254), 80);

/// Where a host's daemons answer them, each on a port of its own. Not where guests ask: on a machine of a cloud,
/// that is where the host itself asks. No host gives itself one of these 256 link-local addresses (RFC 3927, 2.1).
pub const METADATA_ANSWERED: Ipv4Addr = Ipv4Addr::new(169, 254, 255, 87);
