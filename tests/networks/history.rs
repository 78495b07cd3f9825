//! What happened to addresses, in its order, and whether it may have happened: no address is given twice, and none
//! is lost.
//!
//! The checker is pure. It takes at its word what was said by a daemon that lived to say it; of what was asked for
//! when the daemon was killed it takes what was seen next, whichever way that is. A kill changes nothing else.

use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Who can have addresses: a NIC of a VM, or what they are kept for.
pub(super) type Holder = String;

/// Who has which.
pub(super) type Held = BTreeMap<IpAddr, Holder>;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A subnet is there.
    Made(IpNet),
    /// It is there no more, nor are addresses of it anybody's.
    Unmade(IpNet),
    /// Something is asked for that changes what these have. Until it is said or seen what came of it they may have
    /// what they had or not, and more.
    Asked(Vec<Holder>),
    /// The daemon has said that this is all that a holder has.
    Promised(Holder, BTreeSet<IpAddr>),
    /// The daemon has said that a holder is gone, and what it had is anybody's.
    Returned(Holder),
    /// A guest has taken an address up, by what it says itself or by its lease.
    Given(Holder, IpAddr),
    /// The daemon has said that an address cannot be had, since somebody has it.
    Refused(IpAddr),
    /// The daemon and its servers of DHCP were killed.
    Killed,
    /// All that the daemon shows while nothing is done. Nobody can have an address twice in it, so it is a list.
    Seen(Vec<(IpAddr, Holder)>),
}

/// Why it may not have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// An address is one's, and another's at the same time.
    GivenTwice { address: IpAddr, holders: [Holder; 2] },
    /// An address was somebody's, who did not give it back, and is not any more.
    Lost { address: IpAddr, of: Holder },
    /// An address is nobody's, and yet cannot be had.
    Withheld(IpAddr),
    /// Somebody has an address that nobody gave them.
    NeverPromised { address: IpAddr, to: Holder },
    /// An address that no guest can have: of no subnet, or the router's.
    OfNoSubnet { address: IpAddr, to: Holder },
}

/// How much there was to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) promised: usize,
    pub(super) given: usize,
    pub(super) returned: usize,
    pub(super) killed: usize,
    pub(super) seen: usize,
}

/// Checks a history from its beginning.
///
/// # Errors
/// Its first fault, and at which of the events that is.
pub(super) fn check(history: &[Event]) -> Result<Tally, (usize, Fault)> {
    let mut known = Known::default();
    let mut tally = Tally::default();
    for (at, event) in history.iter().enumerate() {
        known.follow(event).map_err(|fault| (at, fault))?;
        match event {
            Event::Promised(..) => tally.promised += 1,
            Event::Given(..) => tally.given += 1,
            Event::Returned(_) => tally.returned += 1,
            Event::Killed => tally.killed += 1,
            Event::Seen(_) => tally.seen += 1,
            Event::Made(_) | Event::Unmade(_) | Event::Asked(_) | Event::Refused(_) => {}
        }
    }
    Ok(tally)
}

/// What is known after some events.
#[derive(Debug, Clone, Default)]
struct Known {
    subnets: BTreeSet<IpNet>,
    held: Held,
    /// Of whom it is not known what they have.
    in_doubt: BTreeSet<Holder>,
}

impl Known {
    fn follow(&mut self, event: &Event) -> Result<(), Fault> {
        match event {
            Event::Made(subnet) => {
                self.subnets.insert(*subnet);
            }
            Event::Unmade(subnet) => {
                self.subnets.remove(subnet);
                self.held.retain(|address, _| !subnet.contains(address));
            }
            Event::Asked(holders) => self.in_doubt.extend(holders.iter().cloned()),
            Event::Promised(to, addresses) => self.promised(to, addresses)?,
            Event::Returned(from) => {
                self.in_doubt.remove(from);
                self.held.retain(|_, holder| holder != from);
            }
            Event::Given(to, address) => self.given(to, *address)?,
            Event::Refused(address) => {
                if !self.held.contains_key(address) && self.in_doubt.is_empty() {
                    return Err(Fault::Withheld(*address));
                }
            }
            Event::Killed => {}
            Event::Seen(all) => self.seen(all)?,
        }
        Ok(())
    }

    fn promised(&mut self, to: &Holder, addresses: &BTreeSet<IpAddr>) -> Result<(), Fault> {
        if !self.in_doubt.remove(to) {
            self.keeps(to, |address| addresses.contains(&address))?;
        }
        self.held.retain(|_, holder| holder != to);
        for address in addresses {
            self.can_have(to, *address)?;
            self.held.insert(*address, to.clone());
        }
        Ok(())
    }

    fn given(&mut self, to: &Holder, address: IpAddr) -> Result<(), Fault> {
        if self.held.get(&address) == Some(to) {
            return Ok(());
        }
        self.can_have(to, address)?;
        if !self.in_doubt.contains(to) {
            return Err(Fault::NeverPromised { address, to: to.clone() });
        }
        self.held.insert(address, to.clone());
        Ok(())
    }

    fn seen(&mut self, all: &[(IpAddr, Holder)]) -> Result<(), Fault> {
        let mut shown = Held::new();
        for (address, holder) in all {
            if let Some(other) = shown.insert(*address, holder.clone()) {
                return Err(Fault::GivenTwice {
                    address: *address,
                    holders: [other, holder.clone()],
                });
            }
        }
        for (address, holder) in &shown {
            self.can_have(holder, *address)?;
            if self.held.get(address) != Some(holder) && !self.in_doubt.contains(holder) {
                return Err(Fault::NeverPromised { address: *address, to: holder.clone() });
            }
        }
        let sure: BTreeSet<&Holder> =
            self.held.values().filter(|holder| !self.in_doubt.contains(*holder)).collect();
        for holder in sure {
            self.keeps(holder, |address| shown.get(&address) == Some(holder))?;
        }
        self.held = shown;
        self.in_doubt.clear();
        Ok(())
    }

    /// That somebody can have an address: a guest's, and no other's for sure.
    fn can_have(&self, to: &Holder, address: IpAddr) -> Result<(), Fault> {
        if !self.subnets.iter().any(|subnet| is_for_guests(subnet, address)) {
            return Err(Fault::OfNoSubnet { address, to: to.clone() });
        }
        match self.held.get(&address) {
            Some(other) if other != to && !self.in_doubt.contains(other) => {
                Err(Fault::GivenTwice { address, holders: [other.clone(), to.clone()] })
            }
            _ => Ok(()),
        }
    }

    /// That of each address that somebody has this is so.
    fn keeps(&self, of: &Holder, is_kept: impl Fn(IpAddr) -> bool) -> Result<(), Fault> {
        let mut its = self.held.iter().filter(|(_, holder)| *holder == of);
        match its.find(|(address, _)| !is_kept(**address)) {
            Some((address, _)) => Err(Fault::Lost { address: *address, of: of.clone() }),
            None => Ok(()),
        }
    }
}

/// Whether an address is of a subnet, and neither what that begins or ends with nor its router's, the first.
pub(super) fn is_for_guests(subnet: &IpNet, address: IpAddr) -> bool {
    let is_last = address.is_ipv4() && address == subnet.broadcast();
    subnet.contains(&address) && !is_last && address != nth(subnet, 0) && address != nth(subnet, 1)
}

/// The address of a subnet that is so many after its first.
pub(super) fn nth(subnet: &IpNet, number: u32) -> IpAddr {
    match subnet.network() {
        IpAddr::V4(first) => Ipv4Addr::from(u32::from(first) + number).into(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first) + u128::from(number)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Those of which addresses are given in the histories that are made up; of each NIC's one of the same number.
    const SUBNETS: [&str; 4] = ["10.87.0.0/24", "10.88.0.0/22", "10.96.0.0/16", "fd00:87::/64"];
    const NICS: u32 = 6;

    /// One thing that a sound daemon does.
    #[derive(Debug, Clone)]
    enum Done {
        /// A NIC comes to be on a subnet of each IP version; `None` where the daemon was killed meanwhile, and
        /// else whether it came.
        Add {
            nic: u32,
            subnet: usize,
            killed: Option<bool>,
        },
        Remove {
            nic: u32,
            killed: Option<bool>,
        },
        /// A NIC's guest asks for what it has.
        Lease {
            nic: u32,
        },
        Kill,
        /// Somebody asks for the address that a NIC of this number would get.
        Ask {
            subnet: usize,
            number: u32,
        },
        Look,
    }

    fn done() -> impl Strategy<Value = Done> {
        let nic = || 0..NICS;
        let subnet = || 0..SUBNETS.len();
        let killed = || prop::option::of(any::<bool>());
        prop_oneof![
            4 => (nic(), subnet(), killed())
                .prop_map(|(nic, subnet, killed)| Done::Add { nic, subnet, killed }),
            2 => (nic(), killed()).prop_map(|(nic, killed)| Done::Remove { nic, killed }),
            2 => nic().prop_map(|nic| Done::Lease { nic }),
            1 => Just(Done::Kill),
            1 => (subnet(), 2..600u32).prop_map(|(subnet, number)| Done::Ask { subnet, number }),
            2 => Just(Done::Look),
        ]
    }

    fn subnets() -> Vec<IpNet> {
        SUBNETS.map(|text| text.parse().unwrap()).into()
    }

    fn named(nic: u32) -> Holder {
        format!("web/nic{nic}")
    }

    /// A daemon that does all as it should, and what is recorded of it.
    struct Sound {
        held: Held,
        history: Vec<Event>,
        /// Where all was seen, and what there was.
        looks: Vec<(usize, Held)>,
    }

    impl Sound {
        fn new() -> Self {
            let history = subnets().into_iter().map(Event::Made).collect();
            let mut sound = Self { held: Held::new(), history, looks: Vec::new() };
            sound.follow(&Done::Add { nic: 0, subnet: 1, killed: None });
            sound.look();
            sound
        }

        fn of(&self, nic: u32) -> BTreeSet<IpAddr> {
            let its = self.held.iter().filter(|(_, holder)| **holder == named(nic));
            its.map(|(address, _)| *address).collect()
        }

        fn look(&mut self) {
            let all = self.held.iter().map(|(address, holder)| (*address, holder.clone()));
            self.history.push(Event::Seen(all.collect()));
            self.looks.push((self.history.len(), self.held.clone()));
        }

        /// Something is asked for and cut short; it came to be or did not.
        fn cut(&mut self, nic: u32, is_done: bool, change: impl FnOnce(&mut Held)) {
            self.history.extend([Event::Asked(vec![named(nic)]), Event::Killed]);
            if is_done {
                change(&mut self.held);
            }
            self.look();
        }

        fn follow(&mut self, done: &Done) {
            match done {
                Done::Add { nic, subnet, killed } if self.of(*nic).is_empty() => {
                    let subnets = subnets();
                    let free = |held: &Held, subnet: &IpNet| {
                        let room = if subnet.prefix_len() == 24 { 253 } else { 1021 };
                        let mut all = (0..room).map(|number| nth(subnet, number * 50 % room + 2));
                        all.find(|address| !held.contains_key(address)).unwrap()
                    };
                    let chosen: BTreeSet<IpAddr> = [*subnet, 3]
                        .map(|subnet| free(&self.held, &subnets[subnet]))
                        .into_iter()
                        .collect();
                    let give = |held: &mut Held| {
                        held.extend(chosen.iter().map(|address| (*address, named(*nic))));
                    };
                    match killed {
                        Some(is_done) => self.cut(*nic, *is_done, give),
                        None => {
                            give(&mut self.held);
                            self.history.push(Event::Promised(named(*nic), chosen.clone()));
                        }
                    }
                }
                Done::Remove { nic, killed } if !self.of(*nic).is_empty() => {
                    let name = named(*nic);
                    let take = |held: &mut Held| held.retain(|_, holder| *holder != name);
                    match killed {
                        Some(is_done) => self.cut(*nic, *is_done, take),
                        None => {
                            take(&mut self.held);
                            self.history.push(Event::Returned(name));
                        }
                    }
                }
                Done::Lease { nic } => {
                    let given = self.of(*nic).into_iter();
                    self.history.extend(given.map(|address| Event::Given(named(*nic), address)));
                }
                Done::Kill => self.history.push(Event::Killed),
                Done::Ask { subnet, number } => {
                    let address = nth(&subnets()[*subnet], *number);
                    if self.held.contains_key(&address) {
                        self.history.push(Event::Refused(address));
                    }
                }
                Done::Look => self.look(),
                Done::Add { .. } | Done::Remove { .. } => {}
            }
        }
    }

    fn sound() -> impl Strategy<Value = Sound> {
        prop::collection::vec(done(), 0..40).prop_map(|all| {
            let mut sound = Sound::new();
            all.iter().for_each(|done| sound.follow(done));
            sound
        })
    }

    impl std::fmt::Debug for Sound {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_list().entries(&self.history).finish()
        }
    }

    /// What a broken daemon would do where nothing is in doubt, and what is wrong with it.
    fn broken(held: &Held, which: prop::sample::Index) -> Vec<(Event, Fault)> {
        let Some((address, holder)) = held.iter().nth(which.index(held.len().max(1))) else {
            return Vec::new();
        };
        let (address, holder, other) = (*address, holder.clone(), Holder::from("other/nic0"));
        let subnet = *subnets().iter().find(|subnet| subnet.contains(&address)).unwrap();
        let mut all = (2..).map(|number| nth(&subnet, number));
        let free = all.find(|address| !held.contains_key(address)).unwrap();
        let twice = Fault::GivenTwice { address, holders: [holder.clone(), other.clone()] };
        let lost = Fault::Lost { address, of: holder.clone() };
        let never = |to: &Holder| Fault::NeverPromised { address: free, to: to.clone() };
        let seen = |held: Held, more: Option<(IpAddr, &Holder)>| {
            let more = more.map(|(address, holder)| (address, holder.clone()));
            Event::Seen(held.into_iter().chain(more).collect())
        };
        let without = || {
            let mut held = held.clone();
            held.remove(&address);
            held
        };
        let outside = |address: &str| {
            let address = address.parse().unwrap();
            let fault = Fault::OfNoSubnet { address, to: other.clone() };
            (Event::Promised(other.clone(), [address].into()), fault)
        };
        vec![
            (Event::Promised(other.clone(), [address].into()), twice.clone()),
            (Event::Given(other.clone(), address), twice.clone()),
            (seen(held.clone(), Some((address, &other))), twice.clone()),
            (seen(without(), Some((address, &other))), twice),
            (Event::Promised(holder.clone(), [free].into()), first_lost(held, &holder)),
            (seen(without(), None), lost),
            (Event::Refused(free), Fault::Withheld(free)),
            (Event::Given(holder.clone(), free), never(&holder)),
            (Event::Given(other.clone(), free), never(&other)),
            (seen(held.clone(), Some((free, &other))), never(&other)),
            outside("10.87.0.0"),
            outside("10.87.0.1"),
            outside("10.87.0.255"),
            outside("10.88.3.255"),
            outside("10.96.255.255"),
            outside("fd00:87::"),
            outside("fd00:87::1"),
            outside("192.0.2.7"),
        ]
    }

    /// The loss that is noticed where all that somebody had is lost.
    fn first_lost(held: &Held, of: &Holder) -> Fault {
        let (address, _) = held.iter().find(|(_, holder)| *holder == of).unwrap();
        Fault::Lost { address: *address, of: of.clone() }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_a_sound_daemon_does_is_in_order(sound in sound()) {
            let tally = check(&sound.history);
            prop_assert!(tally.is_ok(), "{tally:?}");
            let seen = tally.map(|tally| tally.seen);
            prop_assert_eq!(seen, Ok(sound.looks.len()));
        }

        #[test]
        fn each_fault_is_found_where_it_is(
            sound in sound(), look in any::<prop::sample::Index>(), which in any::<prop::sample::Index>()
        ) {
            let (at, held) = look.get(&sound.looks);
            for (event, fault) in broken(held, which) {
                let mut history = sound.history.clone();
                history.insert(*at, event.clone());
                prop_assert_eq!(check(&history), Err((*at, fault)), "{:?}", event);
            }
        }

        #[test]
        fn what_was_cut_short_excuses_nobody_else(sound in sound(), which in any::<prop::sample::Index>()) {
            // Whoever is in doubt may have come to have what is free, or to have lost what it had, but not what
            // is another's.
            let (at, held) = sound.looks.last().unwrap();
            let asked = [Event::Asked(vec!["new/nic0".into()]), Event::Killed];
            for (event, fault) in broken(held, which) {
                let mut history = sound.history[..*at].to_vec();
                history.extend(asked.clone());
                let excused = matches!(fault, Fault::Withheld(_));
                history.push(event.clone());
                let expected = Err((history.len() - 1, fault));
                prop_assert_eq!(check(&history) == expected, !excused, "{:?}", event);
            }
        }
    }

    #[test]
    fn who_was_cut_short_has_what_is_seen_next() {
        let [lan, nic]: [&str; 2] = ["10.87.0.0/24", "web/nic0"];
        let (lan, nic): (IpNet, Holder) = (lan.parse().unwrap(), nic.into());
        let address = nth(&lan, 2);
        let asked = || vec![Event::Made(lan), Event::Asked(vec![nic.clone()]), Event::Killed];
        let after = |events: &[Event]| check(&[&asked()[..], events].concat()).map(|_| ());
        let has_it = Event::Seen(vec![(address, nic.clone())]);
        assert_eq!(after(&[Event::Seen(Vec::new())]), Ok(()));
        assert_eq!(after(&[Event::Given(nic.clone(), address), has_it.clone()]), Ok(()));
        assert_eq!(
            after(&[has_it.clone(), Event::Returned(nic.clone()), Event::Seen(Vec::new())]),
            Ok(())
        );
        // From then on it is sure.
        let lost = Fault::Lost { address, of: nic.clone() };
        assert_eq!(after(&[has_it, Event::Killed, Event::Seen(Vec::new())]), Err((5, lost)));
    }
}
