//! What holds of networks whenever nothing is being done: no address has two holders and none is lost,
//! and the host was told what readers see. Written down once more, and otherwise than in the engine.

use super::{release, reserve};
use crate::{agreement::holders, support::Bench};
use innkeeper_model::{
    Network, NetworkId, Vm, VmId,
    config::{MacAddress, PublishedPort},
    network::Plug,
};
use innkeeper_view::Snapshot;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// A NIC on a network, as far as two opinions of it can be compared.
type Connection = (VmId, String, NetworkId, MacAddress, Vec<IpAddr>, Vec<PublishedPort>);

fn connection(plug: &Plug) -> Connection {
    let addresses = plug.addresses.clone();
    (plug.vm, plug.nic.to_string(), plug.network, plug.mac, addresses, plug.publish.clone())
}

/// A VM's connections: those of its machine, and those that only its next one will have.
fn connections(vm: &Vm, snapshot: &Snapshot) -> Vec<Connection> {
    let machine = vm.incarnation.as_deref();
    let machine = machine.or(vm.memory.as_ref().map(|memory| &memory.incarnation));
    let mut all: Vec<Connection> =
        machine.iter().flat_map(|machine| machine.plugs.iter().map(connection)).collect();
    let Some(spec) = &vm.spec else { return all };
    for nic in &spec.config.nics {
        let name = nic.name.to_string();
        let named = |network: &Network| {
            nic.network.network().is_some_and(|name| *name == network.config.name)
        };
        let network = snapshot.networks.values().find(|network| named(network));
        let Some(network) = network else { continue };
        if all.iter().any(|known| known.1 == name) {
            continue;
        }
        let mac = *spec.assigned.macs.get(&name).unwrap();
        let addresses = spec.assigned.addresses.get(&name).cloned().unwrap_or_default();
        all.push((vm.id, name, network.id, mac, addresses, nic.publish.clone()));
    }
    all
}

impl Bench {
    /// Waits until nothing is being done, then looks at everything that has to do with networks.
    pub(crate) async fn is_wired(&self) {
        self.is_sound().await;
        self.has_each_address_once().await;
        self.readers_see_them().await;
        self.none_is_lost().await;
    }

    /// Looks whether no address has two holders, and waits until the host knows who has which.
    pub(crate) async fn has_each_address_once(&self) {
        let snapshot = self.snapshot();
        for (address, holders) in holders(&snapshot) {
            assert_eq!(holders.len(), 1, "{address} is of {holders:?}");
        }
        // Nor had one two at any moment before, by all that the host was ever told.
        assert_eq!(self.setup.networks.given_twice(), None);
        self.each_has_its_own(&snapshot);
        self.host_was_told().await;
    }

    /// Every NIC that is on a network has an address of its first subnet of each version.
    fn each_has_its_own(&self, snapshot: &Snapshot) {
        for vm in snapshot.vms.values() {
            for (_, nic, network, _, addresses, _) in connections(vm, snapshot) {
                let network = snapshot.networks.get(&network);
                let network = network.unwrap_or_else(|| panic!("{}/{nic} is on nothing", vm.name));
                for address in addresses {
                    let subnet = network.subnet_with(address);
                    let can = subnet.is_some_and(|subnet| subnet.config.can_be_given(address));
                    assert!(can, "{}/{nic} has {address} on {network:?}", vm.name);
                }
            }
        }
    }

    async fn host_was_told(&self) {
        let wanted = |snapshot: &Snapshot| -> (BTreeSet<_>, Vec<Connection>) {
            let networks = snapshot.networks.values();
            let networks = networks.map(|network| (network.id, network.revision)).collect();
            let vms = snapshot.vms.values();
            let mut all: Vec<_> = vms.flat_map(|vm| connections(vm, snapshot)).collect();
            all.sort();
            (networks, all)
        };
        let told = || -> (BTreeSet<_>, Vec<Connection>) {
            let desired = self.setup.networks.desired();
            let networks = desired.networks.iter();
            let networks = networks.map(|network| (network.id, network.revision)).collect();
            let mut all: Vec<_> = desired.nics.iter().map(connection).collect();
            all.sort();
            (networks, all)
        };
        let fits = || {
            let wanted = wanted(&self.snapshot());
            wanted == told() || wanted.0.is_empty() && told().0.is_empty()
        };
        let waited = tokio::time::timeout(crate::support::LONG, async {
            while !fits() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
        if waited.await.is_err() {
            panic!("wanted {:?}, and told {:?}", wanted(&self.snapshot()), told());
        }
    }

    async fn readers_see_them(&self) {
        let seen = |vm: &Vm| -> BTreeSet<(String, IpAddr)> {
            let addresses = vm.addresses.iter();
            addresses.map(|seen| (seen.nic.as_ref().unwrap().to_string(), seen.address)).collect()
        };
        let has = |vm: &Vm, snapshot: &Snapshot| -> BTreeSet<(String, IpAddr)> {
            let all = connections(vm, snapshot).into_iter();
            all.flat_map(|(_, nic, _, _, addresses, _)| {
                addresses.into_iter().map(move |address| (nic.clone(), address))
            })
            .collect()
        };
        self.until("seen", |snapshot| {
            snapshot.vms.values().all(|vm| seen(vm) == has(vm, snapshot))
        })
        .await;
    }

    /// Every address that nobody has can be had, and comes back.
    async fn none_is_lost(&self) {
        let snapshot = self.snapshot();
        let held = holders(&snapshot);
        let networks: Vec<Arc<Network>> =
            snapshot.networks.keys().map(|id| self.network_record(*id)).collect();
        for subnet in networks.iter().flat_map(|network| &network.subnets) {
            let range = subnet.config.range;
            if range.addr().is_ipv6() || range.prefix_len() < 24 {
                continue;
            }
            let free = range.hosts().filter(|address| subnet.config.can_be_given(*address));
            let free: Vec<IpAddr> = free.filter(|address| !held.contains_key(address)).collect();
            if !free.is_empty() {
                self.must(reserve(subnet.id, &free, 0)).await;
                self.must(release(subnet.id, free)).await;
            }
        }
    }
}
