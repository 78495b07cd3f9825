//! Who has which address, hardware address and port of the host: each goes to one NIC at a time.
//!
//! A part of what the accountant gives out, who is told how many addresses each VM has, and asked whether its
//! project may have so many. It is built anew from specs, incarnations and networks when
//! the engine begins, so nothing here is stored; what a plan takes stands in its journal.

use super::book::{Book, Taking, check_private};
use crate::perform::accountant::Accountant;
use innkeeper_model::{
    Code, DeviceName, Network, NetworkId, ProjectName, Refusal, SmallMap, Subnet, VmId, VmName,
    config::{MacAddress, Nic, PublishedPort},
    network::{Holder, Reservation},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
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

/// Why a NIC or a network cannot have what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Another has it.
    Taken {
        claim: Claim,
        by: Holder,
        /// What it was asked for in, where that is known.
        field: Option<String>,
    },
    /// It can be nobody's, or there is none left.
    Refused(Refusal),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Denied {
    /// For a caller, who knows VMs by their names.
    pub(crate) fn refusal(self, name: impl FnOnce(VmId) -> Option<VmName>) -> Refusal {
        match self {
            Self::Taken { claim, by, field } => taken(&claim, &whose(&by, name), field),
            Self::Refused(refusal) => refusal,
        }
    }
}

/// All claims of a host. Clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    book: Arc<Mutex<Book>>,
    /// Told under the book's lock, so that it never knows of fewer or more addresses than there are.
    accountant: Arc<Accountant>,
}

impl Claims {
    /// None yet.
    pub(crate) fn new(accountant: Arc<Accountant>) -> Self {
        Self { book: Arc::default(), accountant }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change under the lock is whole before anything can panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses the addresses of a VM's NICs, and takes all that they need, or nothing. What the VM has
    /// already it keeps besides, and a NIC that it will have no more leaves what it has to the others: one
    /// that is called otherwise from now on keeps what it is known by. Of NICs on a `private` network of
    /// their hypervisor's, only the published ports are the host's; each comes with its place among its
    /// VM's. The addresses count as the project's from here on.
    ///
    /// # Errors
    /// Something is taken by another, outside of its range, or no address is free: the field, its value
    /// and who has it. Or the project may not have so many addresses.
    pub(crate) fn take(
        &self,
        vm: VmId,
        project: &ProjectName,
        wishes: &[NicWish<'_>],
        private: &[(usize, &Nic)],
    ) -> Result<(SmallMap<Vec<IpAddr>>, Vec<NicClaim>), Denied> {
        let mut book = self.book();
        let nics = wishes.iter().map(|wish| wish.nic).chain(private.iter().map(|(_, nic)| *nic));
        let stay: HashSet<&DeviceName> = nics.map(|nic| &nic.name).collect();
        let mut taking = Taking { vm, stay, taken: Vec::new() };
        let addresses = wishes.iter().map(|wish| {
            let addresses = book.take_nic(&mut taking, wish)?;
            Ok((wish.nic.name.to_string(), addresses))
        });
        let addresses = addresses.collect::<Result<Vec<_>, Denied>>();
        let outcome = addresses.and_then(|addresses| {
            for (index, nic) in private {
                check_private(*index, nic)?;
                book.take_ports(&mut taking, *index, nic)?;
            }
            self.accountant.reserve_addresses(vm, project, book.addresses_of(vm))?;
            Ok(addresses)
        });
        let taken = taking.taken;
        match outcome {
            Ok(addresses) => {
                let given = addresses.into_iter().filter(|(_, given)| !given.is_empty());
                let given = given.collect();
                let claims = taken.iter().map(|(claim, _)| claim.clone()).collect();
                Ok((given, claims))
            }
            Err(denied) => {
                for (claim, is_new) in taken {
                    if is_new {
                        book.give_back(vm, &claim);
                    }
                }
                Err(denied)
            }
        }
    }

    /// Takes what was chosen, once more or after a crash. Done twice, it is taken once.
    ///
    /// # Errors
    /// Another has it; nothing is taken then.
    pub(crate) fn take_chosen(&self, vm: VmId, claims: &[NicClaim]) -> Result<(), Denied> {
        let mut book = self.book();
        let mut taken = Vec::new();
        for claim in claims {
            match book.put(vm, claim.clone()) {
                Ok(true) => taken.push(claim),
                Ok(false) => {}
                Err(denied) => {
                    for claim in taken {
                        book.give_back(vm, claim);
                    }
                    return Err(denied);
                }
            }
        }
        self.accountant.put_addresses(vm, book.addresses_of(vm));
        Ok(())
    }

    /// Leaves a VM with exactly these claims, and says whether that is any or was.
    ///
    /// # Errors
    /// Another has one of them; it is not taken from it, and the others are this VM's.
    pub(crate) fn settle(&self, vm: VmId, claims: &[NicClaim]) -> Result<bool, Denied> {
        let mut book = self.book();
        if claims.is_empty() && !book.of_vm.contains_key(&vm) {
            return Ok(false);
        }
        for old in book.of_vm.get(&vm).cloned().unwrap_or_default() {
            if !claims.contains(&old) {
                book.give_back(vm, &old);
            }
        }
        let held = book.hold(vm, claims);
        self.accountant.put_addresses(vm, book.addresses_of(vm));
        held.map(|()| true)
    }

    /// Notes these claims of a VM besides what it has.
    ///
    /// # Errors
    /// Another has one of them; it is not taken from it, and the others are this VM's.
    pub(crate) fn hold(&self, vm: VmId, claims: &[NicClaim]) -> Result<(), Denied> {
        let mut book = self.book();
        let held = book.hold(vm, claims);
        self.accountant.put_addresses(vm, book.addresses_of(vm));
        held
    }

    /// Whether a VM has anything.
    pub(crate) fn has_any(&self, vm: VmId) -> bool {
        self.book().of_vm.contains_key(&vm)
    }

    /// Who has an address; nobody, where it is free.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<Holder> {
        self.book().holder(&address).cloned()
    }

    /// Which NIC has a hardware address on a network.
    pub(crate) fn mac_holder(&self, network: NetworkId, mac: MacAddress) -> Option<Holder> {
        self.book().macs.get(&(network, mac)).cloned()
    }

    /// Keeps addresses for a network before its record says so, all or none: whoever asks for one, or to be
    /// whom one is kept for, is refused from here on. [`Claims::put_network`] says what is kept in the end.
    ///
    /// # Errors
    /// A NIC has one of them, or is known by the hardware address that one is for.
    pub(crate) fn keep(&self, network: NetworkId, reserved: &[Reservation]) -> Result<(), Denied> {
        let mut book = self.book();
        for Reservation { address, mac, .. } in reserved {
            let of_address = (Claim::Address(*address), book.addresses.get(address));
            let of_mac =
                mac.map(|mac| (Claim::Mac { network, mac }, book.macs.get(&(network, mac))));
            for (claim, holder) in of_mac.into_iter().chain([of_address]) {
                if let Some(by) = holder.cloned() {
                    return Err(Denied::Taken { claim, by, field: None });
                }
            }
        }
        for Reservation { address, mac, .. } in reserved {
            book.kept.entry(*address).or_insert(Holder::Reservation);
            book.of_network.entry(network).or_default().push(*address);
            book.kept_macs.entry(network).or_default().extend(mac);
        }
        Ok(())
    }

    /// Notes what a network itself keeps: gateways, and reservations with whom they are for. `None`: it is
    /// gone.
    pub(crate) fn put_network(&self, id: NetworkId, network: Option<&Network>) {
        let mut book = self.book();
        for address in book.of_network.remove(&id).unwrap_or_default() {
            book.kept.remove(&address);
        }
        book.kept_macs.remove(&id);
        let Some(network) = network else { return };
        let mut kept = Vec::new();
        let mut macs = HashSet::new();
        for subnet in &network.subnets {
            let gateway = (subnet.config.gateway(), Holder::Network);
            let reserved = subnet.reservations.iter();
            let reserved = reserved.map(|reserved| (reserved.address, Holder::Reservation));
            for (address, holder) in reserved.chain([gateway]) {
                book.kept.insert(address, holder);
                kept.push(address);
            }
            macs.extend(subnet.reservations.iter().filter_map(|reserved| reserved.mac));
        }
        book.of_network.insert(id, kept);
        book.kept_macs.insert(id, macs);
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

/// Who has something, for a person; a VM by its name, where the person may know it.
pub(super) fn whose(holder: &Holder, name: impl FnOnce(VmId) -> Option<VmName>) -> String {
    match holder {
        Holder::Nic { vm, nic } => match name(*vm) {
            Some(vm) => format!("NIC {nic} of VM {vm}"),
            None => "another VM".into(),
        },
        Holder::Network => "its network".into(),
        Holder::Reservation => "a reservation of its subnet".into(),
    }
}

fn taken(claim: &Claim, by: &str, field: Option<String>) -> Refusal {
    let (what, value) = match claim {
        Claim::Address(address) => (format!("address {address}"), address.to_string()),
        Claim::Mac { mac, .. } => (format!("hardware address {mac}"), mac.to_string()),
        Claim::Port(port) => (format!("port {}/{}", port.host, port.protocol), port.to_string()),
    };
    let mut refusal = Refusal::new(Code::InUse, format!("{what} is taken by {by}"));
    refusal.field = field;
    refusal.value = Some(value);
    refusal
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
