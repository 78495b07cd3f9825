//! Who has which address.

use innkeeper_model::{VmId, VmName};
use innkeeper_view::View;
use std::net::{IpAddr, Ipv4Addr};

/// The VM that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub vm: VmId,
    /// Its name.
    pub name: VmName,
}

/// Who has an address.
pub trait Peers: Send + Sync {
    /// The VM whose guest cannot but have this address.
    fn find(&self, address: Ipv4Addr) -> Option<Peer>;
}

impl Peers for View {
    /// The VM whose machine was given the address when it was made, or when the NIC was plugged in: its
    /// firewall's rules are of the same. No two have one.
    fn find(&self, address: Ipv4Addr) -> Option<Peer> {
        let address = IpAddr::V4(address);
        let snapshot = self.snapshot();
        let mut machines = snapshot.vms.values();
        let vm = machines.find(|vm| {
            let plugs = vm.incarnation.iter().flat_map(|machine| &machine.plugs);
            plugs.into_iter().any(|plug| plug.addresses.contains(&address))
        })?;
        Some(Peer { vm: vm.id, name: vm.name.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Api;
    use innkeeper_model::{GuestAddress, network::AddressSource};
    use innkeeper_view::Update;
    use serde_json::json;
    use std::sync::Arc;

    #[tokio::test]
    async fn an_address_is_of_the_machine_that_was_given_it_and_not_of_a_guest_that_says_so() {
        let (api, ids) = Api::with(&["web", "liar"]).await;
        let plug = json!({
            "vm": ids[0], "nic": "net0", "network": VmId::new(), "tap": "innt0",
            "mac": "52:54:00:00:00:01", "addresses": ["10.87.0.2", "fd00::2"], "hostname": "web",
        });
        let machine = json!({
            "schema": 1, "id": VmId::new(), "vm": ids[0], "spec_revision": 1, "boot_id": "b",
            "created": "2026-01-01T00:00:00Z", "driver": "d", "hypervisor_version": "1",
            "machine": "m", "cpu_model": "c", "accelerator": "a", "cpus": 1, "memory": "1MiB",
            "run_folder": "/", "argv": [], "block_nodes": {}, "plugs": [plug],
        });
        let machine = Some(Arc::new(serde_json::from_value(machine).unwrap()));
        let said = ["10.87.0.2", "10.87.0.3"].map(|address| GuestAddress {
            nic: None,
            address: address.parse().unwrap(),
            source: AddressSource::Agent,
        });
        let updates = vec![
            Update::VmAddresses { id: ids[1], addresses: said.into() },
            Update::VmIncarnation { id: ids[0], incarnation: machine },
        ];
        api.post(updates).await;
        let web = Peer { vm: ids[0], name: "web".parse().unwrap() };
        assert_eq!(api.view.find([10, 87, 0, 2].into()), Some(web));
        assert_eq!(api.view.find([10, 87, 0, 3].into()), None);
        let gone = vec![Update::VmIncarnation { id: ids[0], incarnation: None }];
        api.post(gone).await;
        assert_eq!(api.view.find([10, 87, 0, 2].into()), None, "its machine is gone");
    }
}
