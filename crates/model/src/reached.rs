//! Where a guest is reached: which of its addresses mean it, which of them are believed, and which come
//! first. Commands and doors ask here, so that no two of them go to different places.
//!
//! What is kept for a guest, nobody else is let have: the firewall of a NIC lets nothing else through. What
//! the agent in a guest says is the guest's word: it may name another's address, so that whoever goes there
//! meets another, and it knows addresses that lead nowhere from outside.

use crate::{
    names::DeviceName,
    network::{AddressSource, GuestAddress},
    vm::Vm,
};
use std::{cmp::Reverse, net::IpAddr};

impl Vm {
    /// The guest's addresses that mean it to others, each once, the best first: those that are believed
    /// before those that are not ([`Vm::believes`]), by how they are known, on NICs before other
    /// interfaces, and IPv4 before IPv6.
    pub fn reached_at(&self) -> Vec<&GuestAddress> {
        let all = self.addresses.iter().filter(|known| means_one_guest(known.address));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|known| {
            let is_last = (!self.believes(known), Reverse(known.source), known.nic.is_none());
            (is_last, known.address.is_ipv6())
        });
        // Two may know of one address.
        let mut seen = Vec::with_capacity(all.len());
        all.retain(|known| {
            let is_new = !seen.contains(&known.address);
            seen.push(known.address);
            is_new
        });
        all
    }

    /// Whether one of its addresses may be taken for the guest's by whoever sends something there. The
    /// agent's word is, only where there is nothing else to know: on a NIC of a network of this host that
    /// keeps no address for it.
    pub fn believes(&self, known: &GuestAddress) -> bool {
        let is_open = || known.nic.as_ref().is_some_and(|nic| self.takes_what_it_likes(nic));
        known.source.is_kept() || is_open()
    }

    /// Whether the guest has taken this address up, as far as anybody can tell.
    pub fn has_taken_up(&self, address: IpAddr) -> bool {
        let mut known = self.addresses.iter().filter(|known| known.address == address);
        known.any(|known| known.source != AddressSource::Reservation)
    }

    /// Whether the NIC is on a network of this host that leaves it to guests which addresses they take.
    fn takes_what_it_likes(&self, nic: &DeviceName) -> bool {
        let on_it = |known: &&GuestAddress| known.nic.as_ref() == Some(nic);
        if self.addresses.iter().filter(on_it).any(|known| known.source.is_kept()) {
            return false;
        }
        // A machine keeps what it was built with, whatever its spec says by now.
        if let Some(machine) = &self.incarnation {
            let mut plugs = machine.plugs.iter().filter(|plug| plug.nic == *nic);
            return plugs.any(|plug| plug.addresses.is_empty());
        }
        let Some(spec) = &self.spec else { return false };
        let given = spec.assigned.addresses.get(nic.as_str());
        let mut nics = spec.config.nics.iter().filter(|other| other.name == *nic);
        given.is_none_or(Vec::is_empty) && nics.any(|nic| nic.network.network().is_some())
    }
}

impl AddressSource {
    /// Whether it was Innkeeper that gave the guest the address, rather than the guest who says that it
    /// has it.
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Reservation | Self::Lease)
    }
}

/// Whether an address means one guest to others on its network.
fn means_one_guest(address: IpAddr) -> bool {
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
    use serde_json::{Value, json};

    /// A VM with a NIC on each of these networks: `nic0`, `nic1`, …
    fn vm(networks: &[&str], addresses: Value) -> Vm {
        let nic = |(index, network)| json!({"name": format!("nic{index}"), "network": network});
        let nics: Vec<Value> = networks.iter().enumerate().map(nic).collect();
        let id = crate::VmId::new();
        serde_json::from_value(json!({
            "id": id, "name": "web", "project": "default", "state": "running", "revision": 1,
            "facts": {"machine": "running"}, "addresses": addresses,
            "spec": {
                "schema": 1, "id": id, "revision": 1, "want": "running",
                "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
                "config": {"name": "web", "cpus": 1, "memory": "1MiB", "nics": nics},
                "assigned": {"machine": "m", "cpu_model": "c", "devices": {}, "ports": 1},
            },
        }))
        .unwrap()
    }

    /// What is believed of it, and then what is not.
    #[track_caller]
    fn check(vm: &Vm, believed: &[&str], hearsay: &[&str]) {
        let (told, doubted): (Vec<_>, Vec<_>) =
            vm.reached_at().into_iter().partition(|known| vm.believes(known));
        let text = |known: &[&GuestAddress]| -> Vec<String> {
            known.iter().map(|known| known.address.to_string()).collect()
        };
        assert_eq!((text(&told), text(&doubted)), (text_of(believed), text_of(hearsay)));
        let all: Vec<_> = vm.reached_at().iter().map(|known| known.address.to_string()).collect();
        assert_eq!(all, [believed, hearsay].concat(), "what is believed comes first");
    }

    fn text_of(addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_guest_has_taken_up_comes_before_what_is_kept_and_that_before_its_own_word() {
        let vm = vm(
            &["lan", "dmz", "bridged"],
            json!([
                {"nic": "nic2", "address": "192.168.1.9", "source": "agent"},
                {"nic": "nic2", "address": "2001:db8::9", "source": "agent"},
                {"nic": "nic0", "address": "10.0.0.2", "source": "reservation"},
                {"nic": "nic1", "address": "fd00::2", "source": "lease"},
                {"nic": "nic1", "address": "10.1.0.2", "source": "lease"},
            ]),
        );
        check(&vm, &["10.1.0.2", "fd00::2", "10.0.0.2", "192.168.1.9", "2001:db8::9"], &[]);
    }

    #[test]
    fn a_guest_is_not_believed_about_a_nic_that_has_its_address() {
        for source in ["lease", "reservation"] {
            let vm = vm(
                &["lan"],
                json!([
                    {"nic": "nic0", "address": "10.0.0.9", "source": "agent"},
                    {"nic": "nic0", "address": "10.0.0.2", "source": "agent"},
                    {"nic": "nic0", "address": "fd00::9", "source": "agent"},
                    {"nic": "nic0", "address": "10.0.0.2", "source": source},
                ]),
            );
            check(&vm, &["10.0.0.2"], &["10.0.0.9", "fd00::9"]);
        }
    }

    #[test]
    fn nor_about_what_nobody_reaches_it_by() {
        let vm = vm(
            &["user", "none", "lan"],
            json!([
                {"nic": "nic0", "address": "10.0.2.15", "source": "agent"},
                {"nic": "nic1", "address": "10.9.0.1", "source": "agent"},
                {"nic": "gone", "address": "10.9.0.2", "source": "agent"},
                {"address": "172.17.0.1", "source": "agent"},
                {"nic": "nic2", "address": "10.87.0.2", "source": "lease"},
            ]),
        );
        check(&vm, &["10.87.0.2"], &["10.0.2.15", "10.9.0.1", "10.9.0.2", "172.17.0.1"]);
    }

    #[test]
    fn a_running_machine_is_on_the_networks_that_it_was_built_with() {
        let mut vm =
            vm(&["bridged"], json!([{"nic": "nic0", "address": "10.0.0.9", "source": "agent"}]));
        check(&vm, &["10.0.0.9"], &[]);
        let mut built_with = |plugs: Value| {
            let machine = json!({
                "schema": 1, "id": crate::VmId::new(), "vm": vm.id, "spec_revision": 1,
                "boot_id": "b", "created": "2026-01-01T00:00:00Z", "driver": "d",
                "hypervisor_version": "1", "machine": "m", "cpu_model": "c", "accelerator": "a",
                "cpus": 1, "memory": "1MiB", "run_folder": "/", "argv": [], "block_nodes": {},
                "plugs": plugs,
            });
            vm.incarnation = Some(serde_json::from_value(machine).unwrap());
            vm.believes(&vm.addresses[0])
        };
        let plug = |addresses: &[&str]| {
            json!([{
                "vm": crate::VmId::new(), "nic": "nic0", "network": crate::VmId::new(),
                "tap": "innt0", "mac": "52:54:00:00:00:01", "addresses": addresses,
                "hostname": "web",
            }])
        };
        assert!(built_with(plug(&[])));
        assert!(!built_with(plug(&["10.0.0.2"])), "it has one, which is not seen yet");
        assert!(
            !built_with(json!([])),
            "it was on user, and will be on a network at its next start"
        );
    }

    #[test]
    fn addresses_that_mean_no_one_guest_are_left_out() {
        let vm = vm(
            &["bridged"],
            json!([
                {"nic": "nic0", "address": "127.0.0.1", "source": "agent"},
                {"nic": "nic0", "address": "0.0.0.0", "source": "agent"},
                {"nic": "nic0", "address": "224.0.0.1", "source": "agent"},
                {"nic": "nic0", "address": "169.254.1.1", "source": "agent"},
                {"nic": "nic0", "address": "fe80::1", "source": "agent"},
                {"nic": "nic0", "address": "::1", "source": "agent"},
            ]),
        );
        check(&vm, &[], &[]);
    }

    #[test]
    fn what_is_kept_is_taken_up_when_the_guest_says_so_too() {
        let vm = vm(
            &["lan"],
            json!([
                {"nic": "nic0", "address": "10.0.0.2", "source": "reservation"},
                {"nic": "nic0", "address": "fd00::2", "source": "reservation"},
                {"nic": "nic0", "address": "10.0.0.2", "source": "agent"},
            ]),
        );
        check(&vm, &["10.0.0.2", "fd00::2"], &[]);
        assert!(vm.has_taken_up("10.0.0.2".parse().unwrap()));
        assert!(!vm.has_taken_up("fd00::2".parse().unwrap()));
    }
}
