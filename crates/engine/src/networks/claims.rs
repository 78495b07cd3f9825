//! Who has which address, hardware address and port of the host: each goes to one NIC at a time.
//!
//! A part of what the accountant gives out. It is built anew from specs, incarnations and networks when
//! the engine begins, so nothing here is stored; what a plan takes stands in its journal.

use innkeeper_model::{
    Code, DeviceName, Network, NetworkId, Refusal, SmallMap, Subnet, SubnetId, VmId,
    config::{MacAddress, Nic, PublishedPort},
    network::{Holder, address_like, u128_of},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One thing that only one NIC can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Claim {
    /// An address; the subnets of a host do not overlap.
    Address(IpAddr),
    /// A hardware address on a network.
    Mac { network: NetworkId, mac: MacAddress },
    /// A port of the host.
    Port(PublishedPort),
}

/// A claim of one NIC of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NicClaim {
    pub(crate) nic: DeviceName,
    pub(crate) claim: Claim,
}

/// A NIC that wants to be on a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NicWish<'a> {
    /// Its place among its VM's, for messages.
    pub(crate) index: usize,
    pub(crate) nic: &'a Nic,
    pub(crate) mac: MacAddress,
    pub(crate) network: &'a Network,
    /// The addresses that it had.
    pub(crate) before: &'a [IpAddr],
}

/// All claims of a host. Clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// Of NICs.
    addresses: HashMap<IpAddr, Holder>,
    /// Of networks themselves: gateways and reservations.
    kept: HashMap<IpAddr, Holder>,
    macs: HashMap<(NetworkId, MacAddress), Holder>,
    /// By port; those of one port differ in protocol or address.
    ports: HashMap<u16, Vec<(PublishedPort, Holder)>>,
    of_vm: HashMap<VmId, Vec<NicClaim>>,
    of_network: HashMap<NetworkId, Vec<IpAddr>>,
    /// Where the search for a free address goes on, so that one that was just given back rests.
    next: HashMap<SubnetId, u128>,
}

impl Claims {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change under the lock is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses the addresses of a VM's NICs, and takes all that they need, or nothing. What the VM has
    /// already it keeps besides. Of NICs on a `private` network of their hypervisor's, only the published
    /// ports are the host's; each comes with its place among its VM's.
    ///
    /// # Errors
    /// Something is taken by another, outside of its range, or no address is free: the field, its value
    /// and who has it.
    pub(crate) fn take(
        &self,
        vm: VmId,
        wishes: &[NicWish<'_>],
        private: &[(usize, &Nic)],
    ) -> Result<(SmallMap<Vec<IpAddr>>, Vec<NicClaim>), Refusal> {
        let mut book = self.book();
        let mut taken = Vec::new();
        let addresses = wishes.iter().map(|wish| {
            let addresses = book.take_nic(vm, wish, &mut taken)?;
            Ok((wish.nic.name.to_string(), addresses))
        });
        let addresses = addresses.collect::<Result<Vec<_>, Refusal>>();
        let outcome = addresses.and_then(|addresses| {
            for (index, nic) in private {
                book.take_ports(vm, *index, nic, &mut taken)?;
            }
            Ok(addresses)
        });
        match outcome {
            Ok(addresses) => {
                let given = addresses.into_iter().filter(|(_, given)| !given.is_empty());
                let given = given.collect();
                let claims = taken.iter().map(|(claim, _)| claim.clone()).collect();
                Ok((given, claims))
            }
            Err(refusal) => {
                for (claim, is_new) in taken {
                    if is_new {
                        book.give_back(vm, &claim);
                    }
                }
                Err(refusal)
            }
        }
    }

    /// Takes what was chosen, once more or after a crash. Done twice, it is taken once.
    ///
    /// # Errors
    /// Another has it; nothing is taken then.
    pub(crate) fn take_chosen(&self, vm: VmId, claims: &[NicClaim]) -> Result<(), Refusal> {
        let mut book = self.book();
        let mut taken = Vec::new();
        for claim in claims {
            match book.put(vm, claim.clone(), None) {
                Ok(true) => taken.push(claim),
                Ok(false) => {}
                Err(refusal) => {
                    for claim in taken {
                        book.give_back(vm, claim);
                    }
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }

    /// Leaves a VM with exactly these claims, and says whether that is any or was.
    ///
    /// # Errors
    /// Another has one of them; it is not taken from it, and the others are this VM's.
    pub(crate) fn settle(&self, vm: VmId, claims: &[NicClaim]) -> Result<bool, Refusal> {
        let mut book = self.book();
        let any = !claims.is_empty() || book.of_vm.contains_key(&vm);
        for old in book.of_vm.get(&vm).cloned().unwrap_or_default() {
            if !claims.contains(&old) {
                book.give_back(vm, &old);
            }
        }
        book.hold(vm, claims)?;
        Ok(any)
    }

    /// Notes these claims of a VM besides what it has.
    ///
    /// # Errors
    /// Another has one of them; it is not taken from it, and the others are this VM's.
    pub(crate) fn hold(&self, vm: VmId, claims: &[NicClaim]) -> Result<(), Refusal> {
        self.book().hold(vm, claims)
    }

    /// Whether a VM has anything.
    pub(crate) fn has_any(&self, vm: VmId) -> bool {
        self.book().of_vm.contains_key(&vm)
    }

    /// Who has an address; nobody, where it is free.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<Holder> {
        self.book().holder(&address).cloned()
    }

    /// Keeps addresses for a network before its record says so, all or none: whoever asks for one from
    /// here on does not get it. [`Claims::put_network`] says what is kept in the end.
    ///
    /// # Errors
    /// A NIC has one of them.
    pub(crate) fn keep(
        &self,
        network: NetworkId,
        addresses: impl Iterator<Item = IpAddr> + Clone,
    ) -> Result<(), Refusal> {
        let mut book = self.book();
        let of_nic = |address: IpAddr| Some((address, book.addresses.get(&address)?));
        if let Some((address, holder)) = addresses.clone().find_map(of_nic) {
            return Err(taken(&Claim::Address(address), holder, None));
        }
        for address in addresses {
            book.kept.entry(address).or_insert(Holder::Reservation);
            book.of_network.entry(network).or_default().push(address);
        }
        Ok(())
    }

    /// Notes what a network itself keeps: gateways and reservations. `None`: it is gone.
    pub(crate) fn put_network(&self, id: NetworkId, network: Option<&Network>) {
        let mut book = self.book();
        for address in book.of_network.remove(&id).unwrap_or_default() {
            book.kept.remove(&address);
        }
        let Some(network) = network else { return };
        let mut kept = Vec::new();
        for subnet in &network.subnets {
            let gateway = (subnet.config.gateway(), Holder::Network);
            let reserved = subnet.reservations.iter();
            let reserved = reserved.map(|reserved| (reserved.address, Holder::Reservation));
            for (address, holder) in reserved.chain([gateway]) {
                book.kept.insert(address, holder);
                kept.push(address);
            }
        }
        book.of_network.insert(id, kept);
    }

    /// So many free addresses of a subnet, the lowest first from where the last search for a NIC ended.
    /// Nothing is taken, and who asks again gets the same.
    ///
    /// # Errors
    /// There are not so many.
    pub(crate) fn free(
        &self,
        subnet: &Subnet,
        except: &HashSet<IpAddr>,
        count: usize,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let mut book = self.book();
        let mut chosen = except.clone();
        let began = book.next.get(&subnet.id).copied();
        let mut one = || {
            let address = book.free(subnet, &chosen)?;
            chosen.insert(address);
            Ok(address)
        };
        let free = (0..count).map(|_| one()).collect();
        match began {
            Some(next) => drop(book.next.insert(subnet.id, next)),
            None => drop(book.next.remove(&subnet.id)),
        }
        free
    }
}

impl Book {
    fn holder(&self, address: &IpAddr) -> Option<&Holder> {
        self.addresses.get(address).or_else(|| self.kept.get(address))
    }

    fn hold(&mut self, vm: VmId, claims: &[NicClaim]) -> Result<(), Refusal> {
        let mut held = Ok(());
        for claim in claims {
            // The others are taken, whichever is not.
            held = held.and(self.put(vm, claim.clone(), None).map(drop));
        }
        held
    }

    fn take_nic(
        &mut self,
        vm: VmId,
        wish: &NicWish<'_>,
        taken: &mut Vec<(NicClaim, bool)>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let NicWish { index, nic, mac, network, .. } = *wish;
        let at = |field: &str| format!("nics[{index}].{field}");
        let mut put = |book: &mut Self, claim: Claim, field: &str| {
            let claim = NicClaim { nic: nic.name.clone(), claim };
            let is_new = book.put(vm, claim.clone(), Some(at(field)))?;
            taken.push((claim, is_new));
            Ok::<(), Refusal>(())
        };
        put(self, Claim::Mac { network: network.id, mac }, "mac")?;
        for asked in &nic.addresses {
            check_asked(network, *asked, &at("addresses"))?;
        }
        let mut addresses = Vec::new();
        for v6 in [false, true] {
            let asked = nic.addresses.iter().find(|asked| asked.is_ipv6() == v6).copied();
            let chosen = match (asked, network.subnet_of_version(v6)) {
                (Some(asked), _) => Some(asked),
                (None, Some(subnet)) => Some(self.choose(vm, wish, subnet)?),
                (None, None) => None,
            };
            if let Some(address) = chosen {
                put(self, Claim::Address(address), "addresses")?;
                addresses.push(address);
            }
        }
        self.take_ports(vm, index, nic, taken)?;
        Ok(addresses)
    }

    fn take_ports(
        &mut self,
        vm: VmId,
        index: usize,
        nic: &Nic,
        taken: &mut Vec<(NicClaim, bool)>,
    ) -> Result<(), Refusal> {
        for port in &nic.publish {
            let claim = NicClaim { nic: nic.name.clone(), claim: Claim::Port(*port) };
            let is_new = self.put(vm, claim.clone(), Some(format!("nics[{index}].publish")))?;
            taken.push((claim, is_new));
        }
        Ok(())
    }

    /// What it had on this network, or a free one.
    fn choose(&mut self, vm: VmId, wish: &NicWish<'_>, subnet: &Subnet) -> Result<IpAddr, Refusal> {
        let v6 = subnet.config.range.addr().is_ipv6();
        let is_mine = |address: &IpAddr| {
            self.holder(address).is_none_or(|holder| is_of(holder, vm, &wish.nic.name))
        };
        let kept = wish.before.iter().find(|had| {
            had.is_ipv6() == v6
                && wish.network.subnet_with(**had).is_some_and(|of| of.config.can_be_given(**had))
                && is_mine(had)
        });
        let kept = kept.copied().or_else(|| self.promised(vm, wish, subnet));
        kept.map_or_else(|| self.free(subnet, &HashSet::new()), Ok)
    }

    /// What was chosen for a NIC when its task was accepted, or is its machine's.
    fn promised(&self, vm: VmId, wish: &NicWish<'_>, subnet: &Subnet) -> Option<IpAddr> {
        let of_vm = self.of_vm.get(&vm)?.iter();
        let mut of_nic = of_vm.filter(|held| held.nic == wish.nic.name);
        of_nic.find_map(|held| match held.claim {
            Claim::Address(address) => subnet.config.can_be_given(address).then_some(address),
            _ => None,
        })
    }

    fn free(&mut self, subnet: &Subnet, except: &HashSet<IpAddr>) -> Result<IpAddr, Refusal> {
        let config = &subnet.config;
        let (first, last) = (u128_of(config.range.network()), u128_of(config.range.broadcast()));
        let begin = self.next.get(&subnet.id).copied().filter(|next| (first..=last).contains(next));
        let begin = begin.unwrap_or(first);
        let of_number = |number| address_like(config.range.addr(), number);
        let is_free = |address: &IpAddr| {
            config.can_be_given(*address)
                && self.holder(address).is_none()
                && !except.contains(address)
        };
        let found = (begin..=last).chain(first..begin).map(of_number).find(is_free);
        let address = found.ok_or_else(|| {
            let message = format!("every address of subnet {} is taken", config.label());
            Refusal::new(Code::OutOfCapacity, message)
                .with_limit(config.range)
                .with_hint("put another subnet on the network with `inn subnet create`")
        })?;
        self.next.insert(subnet.id, u128_of(address).saturating_add(1));
        Ok(address)
    }

    /// Notes one claim; says whether the VM had it not before.
    fn put(&mut self, vm: VmId, claim: NicClaim, field: Option<String>) -> Result<bool, Refusal> {
        let holder = Holder::Nic { vm, nic: claim.nic.clone() };
        let in_the_way = self.in_the_way(&claim.claim, &holder);
        if let Some(other) = in_the_way {
            return Err(taken(&claim.claim, &other, field));
        }
        let of_vm = self.of_vm.entry(vm).or_default();
        if of_vm.contains(&claim) {
            return Ok(false);
        }
        match claim.claim {
            Claim::Address(address) => drop(self.addresses.insert(address, holder)),
            Claim::Mac { network, mac } => drop(self.macs.insert((network, mac), holder)),
            Claim::Port(port) => self.ports.entry(port.host).or_default().push((port, holder)),
        }
        of_vm.push(claim);
        Ok(true)
    }

    fn in_the_way(&self, claim: &Claim, holder: &Holder) -> Option<Holder> {
        let other = match claim {
            Claim::Address(address) => self.holder(address),
            Claim::Mac { network, mac } => self.macs.get(&(*network, *mac)),
            Claim::Port(port) => {
                let same_port = self.ports.get(&port.host).into_iter().flatten();
                let meets = |(other, _): &&(PublishedPort, Holder)| meet(port, other);
                let others = same_port.filter(meets).map(|(_, holder)| holder);
                return others.into_iter().find(|other| *other != holder).cloned();
            }
        };
        other.filter(|other| *other != holder).cloned()
    }

    fn give_back(&mut self, vm: VmId, claim: &NicClaim) {
        let Some(of_vm) = self.of_vm.get_mut(&vm) else { return };
        of_vm.retain(|held| held != claim);
        if of_vm.is_empty() {
            self.of_vm.remove(&vm);
        }
        match &claim.claim {
            Claim::Address(address) => drop(self.addresses.remove(address)),
            Claim::Mac { network, mac } => drop(self.macs.remove(&(*network, *mac))),
            Claim::Port(port) => {
                let holder = Holder::Nic { vm, nic: claim.nic.clone() };
                if let Some(ports) = self.ports.get_mut(&port.host) {
                    ports.retain(|held| *held != (*port, holder.clone()));
                    if ports.is_empty() {
                        self.ports.remove(&port.host);
                    }
                }
            }
        }
    }
}

/// Whether two published ports cannot be had at once: one protocol and port, and an address in common.
fn meet(one: &PublishedPort, other: &PublishedPort) -> bool {
    let addresses = match (one.address, other.address) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.protocol == other.protocol && one.host == other.host && addresses
}

fn is_of(holder: &Holder, vm: VmId, nic: &DeviceName) -> bool {
    *holder == Holder::Nic { vm, nic: nic.clone() }
}

/// Whether a guest of a network can have the address that was asked for.
fn check_asked(network: &Network, asked: IpAddr, field: &str) -> Result<(), Refusal> {
    let name = &network.config.name;
    let Some(subnet) = network.subnet_with(asked) else {
        let ranges: Vec<String> =
            network.subnets.iter().map(|subnet| subnet.config.range.to_string()).collect();
        let problem = format!("is outside of the subnets of network {name}");
        return Err(Refusal::invalid(field, asked, problem).with_limit(ranges.join(", ")));
    };
    if subnet.config.can_be_given(asked) {
        return Ok(());
    }
    let problem = format!("is not for guests: subnet {} keeps it itself", subnet.config.label());
    Err(Refusal::invalid(field, asked, problem).with_limit(subnet.config.range))
}

fn taken(claim: &Claim, other: &Holder, field: Option<String>) -> Refusal {
    let (what, value) = match claim {
        Claim::Address(address) => (format!("address {address}"), address.to_string()),
        Claim::Mac { mac, .. } => (format!("hardware address {mac}"), mac.to_string()),
        Claim::Port(port) => (format!("port {}/{}", port.host, port.protocol), port.to_string()),
    };
    let whose = match other {
        Holder::Nic { vm, nic } => format!("NIC {nic} of VM {vm}"),
        Holder::Network => "its network".into(),
        Holder::Reservation => "a reservation of its subnet".into(),
    };
    let mut refusal = Refusal::new(Code::InUse, format!("{what} is taken by {whose}"));
    refusal.field = field;
    refusal.value = Some(value);
    refusal
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
