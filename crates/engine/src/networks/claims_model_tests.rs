//! The book of claims against a model of it, whatever is done to both.

use super::*;
use crate::networks::book::is_of_vm;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

const VMS: usize = 4;

/// One thing that is done to the book.
#[derive(Debug, Clone)]
enum Done {
    /// A VM takes for so many NICs; `None` is any address, and a number that one.
    Take(usize, Vec<Option<u8>>),
    /// A VM is left with what it had after the last but so many.
    Settle(usize, prop::sample::Index),
    /// A VM takes what some VM had chosen at some time.
    TakeChosen(usize, prop::sample::Index),
    /// The network keeps these.
    Put(Vec<u8>),
    /// The network is to keep these.
    Keep(Vec<u8>),
}

fn done() -> impl Strategy<Value = Done> {
    let last = || 0..16u8;
    let asked = prop_oneof![3 => Just(None), 1 => last().prop_map(Some)];
    prop_oneof![
        4 => (0..VMS, prop::collection::vec(asked, 0..3)).prop_map(|(vm, nics)| Done::Take(vm, nics)),
        3 => (0..VMS, any::<prop::sample::Index>()).prop_map(|(vm, at)| Done::Settle(vm, at)),
        2 => (0..VMS, any::<prop::sample::Index>()).prop_map(|(vm, at)| Done::TakeChosen(vm, at)),
        1 => prop::collection::vec(last(), 0..3).prop_map(Done::Put),
        1 => prop::collection::vec(last(), 0..3).prop_map(Done::Keep),
    ]
}

/// Who has what, written down once more and otherwise.
#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    /// Each claim with the VM and NIC that have it.
    held: Vec<(usize, NicClaim)>,
    /// Addresses of the network, gateway excluded.
    kept: std::collections::BTreeSet<IpAddr>,
}

impl Model {
    fn can_have(&self, vm: usize, claim: &NicClaim) -> bool {
        let is_kept =
            matches!(claim.claim, Claim::Address(address) if self.kept.contains(&address));
        let mut others = self.held.iter().filter(|(_, held)| held.claim == claim.claim);
        let is_mine = others.clone().any(|(other, _)| *other == vm);
        others.all(|(other, _)| *other == vm) && (is_mine || !is_kept)
    }

    /// Whether one of so many NICs that a VM will have can have it.
    fn can_take(&self, vm: usize, claim: &NicClaim, nics: usize) -> bool {
        let stays = |nic: &DeviceName| (0..nics).any(|index| nic.as_str() == format!("nic{index}"));
        let mut siblings = self.held.iter().filter(|(other, held)| {
            *other == vm && held.claim == claim.claim && held.nic != claim.nic
        });
        siblings.all(|(_, held)| !stays(&held.nic)) && self.can_have(vm, claim)
    }

    fn give(&mut self, vm: usize, claim: &NicClaim) {
        let one = (vm, claim.clone());
        if !self.held.contains(&one) {
            self.held.push(one);
        }
    }

    fn of(&self, vm: usize) -> Vec<NicClaim> {
        self.held.iter().filter(|(other, _)| *other == vm).map(|(_, claim)| claim.clone()).collect()
    }
}

fn last_of(last: u8) -> IpAddr {
    ip(&format!("10.0.0.{last}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_no_address_has_two_holders(all in prop::collection::vec(done(), 1..40)) {
        let mut network = network_of(&["10.0.0.0/28"]);
        let claims = claims_with(&network);
        let vms: [VmId; VMS] = std::array::from_fn(|_| VmId::new());
        let mut model = Model::default();
        let mut chosen: Vec<Vec<NicClaim>> = vec![Vec::new()];
        for one in all {
            let before = model.clone();
            match &one {
                Done::Take(vm, nics) => {
                    let wished: Vec<Wished> = nics.iter().enumerate().map(|(index, asked)| {
                        let asked: Vec<String> =
                            asked.iter().map(|last| last_of(*last).to_string()).collect();
                        let name = format!("nic{index}");
                        let nic = json!({ "name": name, "network": "lan", "addresses": asked });
                        wished(u8::try_from(vm * 8 + index).unwrap(), nic)
                    }).collect();
                    match take(&claims, vms[*vm], &network, &wished) {
                        Ok((addresses, taken)) => {
                            for claim in &taken {
                                prop_assert!(before.can_take(*vm, claim, nics.len()), "{one:?} of {before:?} got {claim:?}");
                                model.give(*vm, claim);
                            }
                            prop_assert_eq!(addresses.iter().count(), nics.len());
                            for (name, given) in addresses.iter() {
                                prop_assert_eq!(given.len(), 1);
                                prop_assert!(network.subnets[0].config.can_be_given(given[0]));
                                let claim = NicClaim { nic: name.parse().unwrap(), claim: Claim::Address(given[0]) };
                                prop_assert!(taken.contains(&claim));
                            }
                            chosen.push(taken);
                        }
                        Err(refusal) => {
                            let can_all = wished.iter().zip(nics).all(|(wished, asked)| {
                                let claim = |claim| NicClaim { nic: wished.nic.name.clone(), claim };
                                let mac = Claim::Mac { network: network.id, mac: wished.mac };
                                let can = |of| before.can_take(*vm, &claim(of), nics.len());
                                can(mac) && asked.is_none_or(|last| {
                                    network.subnets[0].config.can_be_given(last_of(last))
                                        && can(Claim::Address(last_of(last)))
                                })
                            });
                            let is_full = refusal.code == Code::OutOfCapacity;
                            let twice = nics.len() == 2 && nics[1].is_some();
                            prop_assert!(!can_all || is_full || twice, "{one:?} of {before:?}: {refusal}");
                        }
                    }
                }
                Done::Settle(vm, at) => {
                    let wanted = at.get(&chosen).clone();
                    let outcome = claims.settle(vms[*vm], &wanted);
                    model.held.retain(|(other, held)| other != vm || wanted.contains(held));
                    let mut all_had = true;
                    for claim in &wanted {
                        if model.can_have(*vm, claim) {
                            model.give(*vm, claim);
                        } else {
                            all_had = false;
                        }
                    }
                    prop_assert_eq!(outcome.is_ok(), all_had);
                }
                Done::TakeChosen(vm, at) => {
                    let wanted = at.get(&chosen).clone();
                    let can = wanted.iter().all(|claim| model.can_have(*vm, claim));
                    let outcome = claims.take_chosen(vms[*vm], &wanted);
                    prop_assert_eq!(outcome.is_ok(), can, "{:?} of {:?}", one, before);
                    if can {
                        wanted.iter().for_each(|claim| model.give(*vm, claim));
                    }
                }
                Done::Put(kept) => {
                    network.subnets[0].reservations =
                        kept.iter().map(|last| keeping(last_of(*last), None)).collect();
                    claims.put_network(network.id, Some(&network));
                    model.kept = kept.iter().map(|last| last_of(*last)).collect();
                }
                Done::Keep(kept) => {
                    let reserved: Vec<Reservation> =
                        kept.iter().map(|last| keeping(last_of(*last), None)).collect();
                    let outcome = claims.keep(network.id, &reserved);
                    let held = |address: &IpAddr| model.held.iter().any(|(_, held)| held.claim == Claim::Address(*address));
                    let is_held = kept.iter().any(|last| held(&last_of(*last)));
                    prop_assert_eq!(outcome.is_err(), is_held);
                    if !is_held {
                        model.kept.extend(kept.iter().map(|last| last_of(*last)));
                    }
                }
            }
            agrees(&claims, &model, &vms)?;
        }
    }
}

/// The book says what the model says, of every address of the range and of every VM.
fn agrees(
    claims: &Claims,
    model: &Model,
    vms: &[VmId; VMS],
) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut of_address: BTreeMap<IpAddr, VmId> = BTreeMap::new();
    for (vm, held) in &model.held {
        if let Claim::Address(address) = held.claim {
            let other = of_address.insert(address, vms[*vm]);
            prop_assert!(other.is_none_or(|of| of == vms[*vm]), "{address} has two holders");
        }
    }
    for last in 0..16 {
        let address = last_of(last);
        let of_network = match model.kept.contains(&address) {
            true if last == 1 => Some(Holder::Network),
            true => Some(Holder::Reservation),
            false => (last == 1).then_some(Holder::Network),
        };
        let holder = claims.holder(address);
        match of_address.get(&address) {
            Some(vm) => prop_assert!(holder.is_some_and(|of| is_of_vm(&of, *vm)), "of {address}"),
            None => prop_assert_eq!(holder, of_network, "of {}", address),
        }
    }
    for (index, vm) in vms.iter().enumerate() {
        let (mut of_book, mut of_model) =
            (claims.book().of_vm.get(vm).cloned().unwrap_or_default(), model.of(index));
        let key = |claim: &NicClaim| format!("{claim:?}");
        of_book.sort_by_key(key);
        of_model.sort_by_key(key);
        prop_assert_eq!(of_book, of_model);
    }
    let macs = claims.book().macs.len();
    let of_model = model.held.iter().filter(|(_, held)| matches!(held.claim, Claim::Mac { .. }));
    let of_model: HashSet<Claim> = of_model.map(|(_, held)| held.claim).collect();
    prop_assert_eq!(macs, of_model.len());
    Ok(())
}
