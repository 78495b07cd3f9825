//! The book of who has what, and what it takes to be written into it: nothing here waits or is locked.

use super::claims::{Claim, Denied, NicClaim, NicWish};
use innkeeper_model::{
    Code, DeviceName, Network, NetworkId, Refusal, Subnet, SubnetId, VmId,
    config::{MacAddress, Nic, PublishedPort},
    network::{Holder, address_like, u128_of},
};
use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
};

/// Who has what.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Of NICs.
    pub(super) addresses: HashMap<IpAddr, Holder>,
    /// Of networks themselves: gateways and reservations.
    pub(super) kept: HashMap<IpAddr, Holder>,
    pub(super) macs: HashMap<(NetworkId, MacAddress), Holder>,
    /// Whom networks keep addresses for.
    pub(super) kept_macs: HashMap<NetworkId, HashSet<MacAddress>>,
    /// By port; those of one port differ in protocol or address.
    ports: HashMap<u16, Vec<(PublishedPort, Holder)>>,
    pub(super) of_vm: HashMap<VmId, Vec<NicClaim>>,
    pub(super) of_network: HashMap<NetworkId, Vec<IpAddr>>,
    /// Where the search for a free address goes on, so that one that was just given back rests.
    pub(super) next: HashMap<SubnetId, u128>,
}

/// What one VM is taking.
pub(super) struct Taking<'a> {
    pub(super) vm: VmId,
    /// The NICs that it will have.
    pub(super) stay: HashSet<&'a DeviceName>,
    /// What it took, and whether it had that not before.
    pub(super) taken: Vec<(NicClaim, bool)>,
}

impl Taking<'_> {
    fn take(
        &mut self,
        book: &mut Book,
        nic: &Nic,
        claim: Claim,
        field: impl FnOnce() -> String,
    ) -> Result<(), Denied> {
        let claim = NicClaim { nic: nic.name.clone(), claim };
        if let Some(sibling) = self.sibling(book, &claim) {
            let by = Holder::Nic { vm: self.vm, nic: sibling.clone() };
            return Err(Denied::Taken { claim: claim.claim, by, field: Some(field()) });
        }
        let is_new = book.put(self.vm, claim.clone()).map_err(|denied| match denied {
            Denied::Taken { claim, by, .. } => Denied::Taken { claim, by, field: Some(field()) },
            denied @ Denied::Refused(_) => denied,
        })?;
        self.taken.push((claim, is_new));
        Ok(())
    }

    /// Another NIC that the VM will have, which has this already: two that it will have are two, whichever
    /// of them was there first.
    fn sibling<'a>(&self, book: &'a Book, claim: &NicClaim) -> Option<&'a DeviceName> {
        let of_vm = book.of_vm.get(&self.vm).into_iter().flatten();
        let mut others =
            of_vm.filter(|held| held.nic != claim.nic && self.stay.contains(&held.nic));
        others.find(|held| held.claim.meets(&claim.claim)).map(|held| &held.nic)
    }

    /// Whether no other NIC that the VM will have has this address.
    fn is_free_of_siblings(&self, book: &Book, nic: &Nic, address: IpAddr) -> bool {
        let claim = NicClaim { nic: nic.name.clone(), claim: Claim::Address(address) };
        self.sibling(book, &claim).is_none()
    }
}

impl Claim {
    /// Whether only one of the two can be had.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Port(one), Self::Port(other)) => meet(one, other),
            _ => self == other,
        }
    }
}

impl Book {
    pub(super) fn holder(&self, address: &IpAddr) -> Option<&Holder> {
        self.addresses.get(address).or_else(|| self.kept.get(address))
    }

    /// How many addresses a VM has.
    pub(super) fn addresses_of(&self, vm: VmId) -> u64 {
        let held = self.of_vm.get(&vm).map(Vec::as_slice).unwrap_or_default();
        let is_first = |(at, one): &(usize, &NicClaim)| {
            // Two of its NICs can have one: that of its machine, and that of its next.
            matches!(one.claim, Claim::Address(_))
                && held[..*at].iter().all(|other| other.claim != one.claim)
        };
        held.iter().enumerate().filter(is_first).count() as u64
    }

    pub(super) fn hold(&mut self, vm: VmId, claims: &[NicClaim]) -> Result<(), Denied> {
        let mut held = Ok(());
        for claim in claims {
            // The others are taken, whichever is not.
            held = held.and(self.put(vm, claim.clone()).map(drop));
        }
        held
    }

    pub(super) fn take_nic(
        &mut self,
        taking: &mut Taking<'_>,
        wish: &NicWish<'_>,
    ) -> Result<Vec<IpAddr>, Denied> {
        let NicWish { index, nic, mac, network, .. } = *wish;
        let at = |field: &str| format!("nics[{index}].{field}");
        taking.take(self, nic, Claim::Mac { network: network.id, mac }, || at("mac"))?;
        for asked in &nic.addresses {
            check_asked(network, *asked, &at("addresses"))?;
        }
        let mut addresses = Vec::new();
        for v6 in [false, true] {
            let asked = nic.addresses.iter().find(|asked| asked.is_ipv6() == v6).copied();
            let chosen = match (asked, network.subnet_of_version(v6)) {
                (Some(asked), _) => Some(asked),
                (None, Some(subnet)) => Some(self.choose(taking, wish, subnet)?),
                (None, None) => None,
            };
            if let Some(address) = chosen {
                taking.take(self, nic, Claim::Address(address), || at("addresses"))?;
                addresses.push(address);
            }
        }
        for port in &nic.publish {
            check_leads_somewhere(*port, network, &addresses, &at("publish"))?;
        }
        self.take_ports(taking, index, nic)?;
        Ok(addresses)
    }

    pub(super) fn take_ports(
        &mut self,
        taking: &mut Taking<'_>,
        index: usize,
        nic: &Nic,
    ) -> Result<(), Denied> {
        for port in &nic.publish {
            taking.take(self, nic, Claim::Port(*port), || format!("nics[{index}].publish"))?;
        }
        Ok(())
    }

    /// What it had on this network, or a free one.
    fn choose(
        &mut self,
        taking: &Taking<'_>,
        wish: &NicWish<'_>,
        subnet: &Subnet,
    ) -> Result<IpAddr, Refusal> {
        let v6 = subnet.config.range.addr().is_ipv6();
        let is_mine = |address: &IpAddr| {
            self.holder(address).is_none_or(|holder| is_of_vm(holder, taking.vm))
                && taking.is_free_of_siblings(self, wish.nic, *address)
        };
        let kept = wish.before.iter().find(|had| {
            had.is_ipv6() == v6
                && wish.network.subnet_with(**had).is_some_and(|of| of.config.can_be_given(**had))
                && is_mine(had)
        });
        let kept = kept.copied().or_else(|| self.promised(taking, wish, subnet));
        kept.map_or_else(|| self.free(subnet, &HashSet::new()), Ok)
    }

    /// What was chosen for a NIC when its task was accepted, or is its machine's.
    fn promised(&self, taking: &Taking<'_>, wish: &NicWish<'_>, subnet: &Subnet) -> Option<IpAddr> {
        let of_vm = self.of_vm.get(&taking.vm)?.iter();
        let of_nic = of_vm.filter(|held| held.nic == wish.nic.name);
        let mut addresses = of_nic.filter_map(|held| match held.claim {
            Claim::Address(address) => Some(address),
            _ => None,
        });
        addresses.find(|address| {
            subnet.config.can_be_given(*address)
                && taking.is_free_of_siblings(self, wish.nic, *address)
        })
    }

    pub(super) fn free(
        &mut self,
        subnet: &Subnet,
        except: &HashSet<IpAddr>,
    ) -> Result<IpAddr, Refusal> {
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

    /// Notes one claim; says whether the NIC had it not before. Of one VM's NICs several can have the same:
    /// one that its machine has, and one that its next machine will have in its place.
    pub(super) fn put(&mut self, vm: VmId, claim: NicClaim) -> Result<bool, Denied> {
        let of_vm = self.of_vm.get(&vm).into_iter().flatten();
        let (mut is_new, mut is_first) = (true, true);
        for held in of_vm.filter(|held| held.claim == claim.claim) {
            is_first = false;
            is_new &= held.nic != claim.nic;
        }
        if !is_new {
            return Ok(false);
        }
        if is_first {
            if let Some(by) = self.in_the_way(&claim.claim, vm) {
                return Err(Denied::Taken { claim: claim.claim, by, field: None });
            }
            self.note(claim.claim, Holder::Nic { vm, nic: claim.nic.clone() });
        }
        self.of_vm.entry(vm).or_default().push(claim);
        Ok(true)
    }

    fn note(&mut self, claim: Claim, holder: Holder) {
        match claim {
            Claim::Address(address) => drop(self.addresses.insert(address, holder)),
            Claim::Mac { network, mac } => drop(self.macs.insert((network, mac), holder)),
            Claim::Port(port) => self.ports.entry(port.host).or_default().push((port, holder)),
        }
    }

    /// Who else has it.
    fn in_the_way(&self, claim: &Claim, vm: VmId) -> Option<Holder> {
        let other = match claim {
            Claim::Address(address) => self.holder(address),
            Claim::Mac { network, mac } => {
                let kept = self.kept_macs.get(network).is_some_and(|kept| kept.contains(mac));
                let kept = kept.then_some(&Holder::Reservation);
                self.macs.get(&(*network, *mac)).or(kept)
            }
            Claim::Port(port) => {
                let same_port = self.ports.get(&port.host).into_iter().flatten();
                let others = same_port.filter(|(other, _)| meet(port, other));
                let mut holders = others.map(|(_, holder)| holder);
                return holders.find(|by| !is_of_vm(by, vm)).cloned();
            }
        };
        other.filter(|by| !is_of_vm(by, vm)).cloned()
    }

    pub(super) fn give_back(&mut self, vm: VmId, claim: &NicClaim) {
        let Some(of_vm) = self.of_vm.get_mut(&vm) else { return };
        of_vm.retain(|held| held != claim);
        // Another NIC of the VM's may have it as well, which has it alone from now on.
        let heir = of_vm.iter().find(|held| held.claim == claim.claim).map(|held| held.nic.clone());
        if of_vm.is_empty() {
            self.of_vm.remove(&vm);
        }
        match &claim.claim {
            Claim::Address(address) => drop(self.addresses.remove(address)),
            Claim::Mac { network, mac } => drop(self.macs.remove(&(*network, *mac))),
            Claim::Port(port) => {
                if let Some(ports) = self.ports.get_mut(&port.host) {
                    ports.retain(|(held, by)| held != port || !is_of_vm(by, vm));
                    if ports.is_empty() {
                        self.ports.remove(&port.host);
                    }
                }
            }
        }
        if let Some(nic) = heir {
            self.note(claim.claim, Holder::Nic { vm, nic });
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

pub(super) fn is_of_vm(holder: &Holder, vm: VmId) -> bool {
    matches!(holder, Holder::Nic { vm: of, .. } if *of == vm)
}

/// Whether there is an address that what comes in by a published port can be sent to.
fn check_leads_somewhere(
    port: PublishedPort,
    network: &Network,
    addresses: &[IpAddr],
    field: &str,
) -> Result<(), Refusal> {
    if port.address == Some(Ipv6Addr::LOCALHOST.into()) {
        let problem = "leads nowhere: Linux lets no guest on a network answer what comes from ::1";
        let refusal = Refusal::invalid(field, port, problem);
        return Err(refusal.with_hint("publish the port of 127.0.0.1, or of no address for all"));
    }
    let is_of_loopback = matches!(port.address, Some(IpAddr::V4(of)) if of.is_loopback());
    if is_of_loopback && !network.config.is_made() {
        let name = &network.config.name;
        let problem = format!(
            "leads nowhere: network {name} is on a bridge of the host's, which Linux sends nothing to from 127.0.0.0/8"
        );
        let hint = "publish the port of another address of the host, or of none for all others";
        return Err(Refusal::invalid(field, port, problem).with_hint(hint));
    }
    let fits = |address: &IpAddr| port.address.is_none_or(|of| of.is_ipv4() == address.is_ipv4());
    if addresses.iter().any(fits) {
        return Ok(());
    }
    let name = &network.config.name;
    let version = match port.address {
        Some(IpAddr::V4(_)) => "IPv4 ",
        Some(IpAddr::V6(_)) => "IPv6 ",
        None => "",
    };
    let problem = format!(
        "leads nowhere: the NIC has no {version}address of network {name}, which has no subnet for one"
    );
    Err(Refusal::invalid(field, port, problem).with_hint(format!(
        "put a subnet on it with `inn subnet create RANGE --network {name}`, or publish by way of a NIC \
         that has an address, or of one on user"
    )))
}

/// Refuses ports of a NIC on its hypervisor's own network that could not be published: QEMU listens on addresses of
/// IPv4 alone, and would not begin with another.
pub(super) fn check_private(index: usize, nic: &Nic) -> Result<(), Refusal> {
    let is_of_v6 = |port: &&PublishedPort| port.address.is_some_and(|of| of.is_ipv6());
    let Some(port) = nic.publish.iter().find(is_of_v6) else { return Ok(()) };
    let field = format!("nics[{index}].publish");
    let problem = "cannot be had: a guest on user is reached by IPv4 addresses of the host alone";
    let hint = "publish the port of 127.0.0.1, or of no address for all of IPv4";
    Err(Refusal::invalid(field, port, problem).with_hint(hint))
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
