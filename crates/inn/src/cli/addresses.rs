//! Which of a guest's addresses to use.

use innkeeper_model::{GuestAddress, Vm, network::AddressSource};
use std::{cmp::Reverse, net::IpAddr};

/// Which IP version is meant, where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// The guest's addresses that others reach, best first: on one of its NICs before those of interfaces
/// that only the guest knows (a bridge of containers, say), what is known better before what is only
/// kept for it, and IPv4 before IPv6.
pub(super) fn reachable(vm: &Vm, version: Option<Version>) -> Vec<&GuestAddress> {
    let is_meant = |known: &&GuestAddress| match version {
        None => true,
        Some(version) => known.address.is_ipv6() == (version == Version::V6),
    };
    let all = vm.addresses.iter().filter(|known| is_reachable(known.address));
    let mut all: Vec<_> = all.filter(is_meant).collect();
    all.sort_by_key(|known| (known.nic.is_none(), Reverse(known.source), known.address.is_ipv6()));
    // Two may know of one address.
    let mut seen = Vec::new();
    all.retain(|known| {
        let is_new = !seen.contains(&known.address);
        seen.push(known.address);
        is_new
    });
    all
}

/// The best of them.
pub(super) fn best(vm: &Vm, version: Option<Version>) -> Option<&GuestAddress> {
    reachable(vm, version).into_iter().next()
}

/// Whether the guest has taken this address up, as far as anybody can tell.
pub(super) fn is_taken_up(known: &GuestAddress) -> bool {
    known.source != AddressSource::Reservation
}

/// Whether it means this guest to others on its network.
fn is_reachable(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return false;
    }
    match address {
        IpAddr::V4(address) => !address.is_link_local(),
        // One of these means something on one link only, which the address does not name.
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vm(addresses: serde_json::Value) -> Vm {
        let id = innkeeper_model::VmId::new();
        serde_json::from_value(json!({
            "id": id, "name": "web", "project": "default", "state": "running", "revision": 1,
            "facts": {"machine": "running"}, "addresses": addresses,
        }))
        .unwrap()
    }

    fn check(version: Option<Version>, expected: &[&str]) {
        let vm = vm(json!([
            {"address": "127.0.0.1", "source": "agent"},
            {"address": "172.17.0.1", "source": "agent"},
            {"nic": "nic0", "address": "fe80::1", "source": "agent"},
            {"nic": "nic0", "address": "10.0.0.2", "source": "reservation"},
            {"nic": "nic0", "address": "fd00::2", "source": "agent"},
            {"nic": "nic0", "address": "10.0.0.2", "source": "agent"},
            {"nic": "nic1", "address": "10.1.0.2", "source": "lease"},
        ]));
        let found: Vec<_> =
            reachable(&vm, version).iter().map(|known| known.address.to_string()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_best_address_comes_first_and_those_of_one_link_only_not_at_all() {
        check(None, &["10.0.0.2", "fd00::2", "10.1.0.2", "172.17.0.1"]);
        check(Some(Version::V6), &["fd00::2"]);
        check(Some(Version::V4), &["10.0.0.2", "10.1.0.2", "172.17.0.1"]);
    }
}
