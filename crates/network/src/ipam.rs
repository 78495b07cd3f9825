//! Choosing addresses: pure functions of a subnet and of who has what there.
//!
//! Who has what is the engine's to keep: a map from each address that is taken to its [`Holder`]. The
//! gateway and the ends of a range need not be in it.

use innkeeper_model::{
    Code, Refusal, SubnetConfig,
    network::{Holder, address_like, u128_of},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// Who has which address, of any number of subnets.
pub type Taken = BTreeMap<IpAddr, Holder>;

/// The lowest free address after another one, and if there is none the lowest of all. Asked for with
/// the address that was given last, it comes back to one that was released as late as it can, and looks at
/// no address twice until the range has been gone through: 10,000 choices cost as many steps.
///
/// # Errors
/// [`Code::OutOfCapacity`]: the range is full.
pub fn choose(
    config: &SubnetConfig,
    taken: &Taken,
    after: Option<IpAddr>,
) -> Result<IpAddr, Refusal> {
    let range = config.range;
    let number = |address| u128_of(address);
    let (first, last) = (number(range.network()), number(range.broadcast()));
    let begin = after
        .filter(|after| range.contains(after))
        .map_or(first, |after| number(after).saturating_add(1));
    let free = free_in(config, taken, begin, last).or_else(|| {
        let before = begin.checked_sub(1)?;
        free_in(config, taken, first, before)
    });
    free.ok_or_else(|| {
        let what = config.label();
        Refusal::new(Code::OutOfCapacity, format!("subnet {what} has no free address"))
            .with_limit(range)
            .with_hint("release one, or add NICs to a network with a wider range")
    })
}

/// The lowest free address between two, both included. Steps over those that are taken in their order,
/// so that it costs as many steps as addresses without a gap are taken.
fn free_in(config: &SubnetConfig, taken: &Taken, from: u128, to: u128) -> Option<IpAddr> {
    if from > to {
        return None;
    }
    let address = |number| address_like(config.range.addr(), number);
    let mut candidate = from;
    let mut held = taken.range(address(from)..=address(to)).map(|(held, _)| u128_of(*held));
    let mut next_held = held.next();
    while candidate <= to {
        if next_held == Some(candidate) {
            next_held = held.next();
        } else if config.can_be_given(address(candidate)) {
            return Some(address(candidate));
        }
        candidate = candidate.checked_add(1)?;
    }
    None
}

/// Checks an address that somebody asks for.
///
/// # Errors
/// It is out of the range, one of its ends or its gateway ([`Code::InvalidField`]), or taken by somebody
/// else ([`Code::InUse`]). The field is `address`; a caller that knows it better renames it.
pub fn check(
    config: &SubnetConfig,
    taken: &Taken,
    address: IpAddr,
    holder: &Holder,
) -> Result<(), Refusal> {
    if !config.can_be_given(address) {
        let problem = match address {
            address if !config.range.contains(&address) => "is not of the subnet",
            address if address == config.gateway() => "is the subnet's gateway",
            _ => "is an end of the subnet's range, which no guest can have",
        };
        return Err(Refusal::invalid("address", address, problem).with_limit(config.range));
    }
    match taken.get(&address) {
        Some(other) if other != holder => {
            let message = format!("{address} is taken by {}", in_words(other));
            let refusal = Refusal { value: Some(address.to_string()), ..in_use(message) };
            Err(refusal.at("address").with_hint("leave the address out to be given a free one"))
        }
        _ => Ok(()),
    }
}

/// The first of these ranges that has an address in common with another.
pub fn overlap<'a>(
    range: &IpNet,
    others: impl IntoIterator<Item = &'a IpNet>,
) -> Option<&'a IpNet> {
    others.into_iter().find(|other| overlaps(range, other))
}

/// Whether two ranges have an address in common.
pub fn overlaps(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

fn in_use(message: String) -> Refusal {
    Refusal::new(Code::InUse, message)
}

/// Who has an address, for a person.
fn in_words(holder: &Holder) -> String {
    match holder {
        Holder::Nic { vm, nic } => format!("{nic} of the VM {vm}"),
        Holder::Network => "the network itself".into(),
        Holder::Reservation => "a reservation of the subnet".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::VmId;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn subnet(range: &str) -> SubnetConfig {
        SubnetConfig::new(range.parse().unwrap())
    }

    fn nic(name: &str) -> Holder {
        Holder::Nic { vm: VmId::new(), nic: name.parse().unwrap() }
    }

    #[test]
    fn the_lowest_free_address_is_chosen_and_a_released_one_comes_last() {
        let config = subnet("10.0.0.0/29");
        let mut taken = Taken::new();
        let mut last = None;
        let mut given = Vec::new();
        while let Ok(address) = choose(&config, &taken, last) {
            given.push(address.to_string());
            taken.insert(address, nic("net0"));
            last = Some(address);
            if given.len() == 2 {
                taken.remove(&"10.0.0.2".parse().unwrap());
            }
        }
        let expected = ["2", "3", "4", "5", "6", "2"].map(|end| format!("10.0.0.{end}"));
        assert_eq!(given, expected, "no gateway, no end, and the released one at the end");
        let full = choose(&config, &taken, last).unwrap_err();
        assert_eq!(full.code, Code::OutOfCapacity);
    }

    #[test]
    fn an_address_is_taken_out_of_range_or_free() {
        let config = subnet("10.0.0.0/24");
        let (one, other) = (nic("net0"), nic("net0"));
        let taken = Taken::from([("10.0.0.9".parse().unwrap(), one.clone())]);
        let asked = |address: &str, holder| {
            check(&config, &taken, address.parse().unwrap(), holder).map_err(|refusal| refusal.code)
        };
        assert_eq!(asked("10.0.0.9", &one), Ok(()), "whose it is may ask again");
        assert_eq!(asked("10.0.0.9", &other), Err(Code::InUse));
        assert_eq!(asked("10.0.0.8", &other), Ok(()));
        for address in ["10.0.0.1", "10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"] {
            assert_eq!(asked(address, &other), Err(Code::InvalidField), "{address}");
        }
    }

    #[test]
    fn ten_thousand_of_a_slash_16_are_chosen_in_no_time() {
        let config = subnet("10.87.0.0/16");
        let begun = Instant::now();
        let (mut taken, mut last) = (Taken::new(), None);
        for _ in 0..10_000 {
            let address = choose(&config, &taken, last).unwrap();
            assert!(taken.insert(address, Holder::Reservation).is_none());
            last = Some(address);
        }
        // Some milliseconds; a search from the beginning each time would be tens of seconds.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        let after_restart = choose(&config, &taken, None).unwrap();
        assert_eq!(after_restart, "10.87.39.18".parse::<IpAddr>().unwrap());
    }

    proptest! {
        #[test]
        fn what_is_chosen_can_be_given_and_is_free(
            prefix in 24_u8..=30,
            steps in prop::collection::vec((any::<bool>(), any::<u8>()), 1..200),
        ) {
            let config = subnet(&format!("10.1.2.0/{prefix}"));
            let (mut taken, mut last) = (Taken::new(), None);
            for (give, which) in steps {
                if give {
                    match choose(&config, &taken, last) {
                        Ok(address) => {
                            prop_assert!(config.can_be_given(address));
                            prop_assert!(taken.insert(address, Holder::Reservation).is_none());
                            last = Some(address);
                        }
                        Err(_) => {
                            let room = (1_usize << (32 - prefix)) - 3;
                            prop_assert_eq!(taken.len(), room, "full is full");
                        }
                    }
                } else if let Some(address) = taken.keys().nth(usize::from(which) % (taken.len().max(1))).copied() {
                    taken.remove(&address);
                }
            }
        }
    }

    #[test]
    fn ranges_overlap_when_one_is_in_the_other() {
        let range = |text: &str| text.parse::<IpNet>().unwrap();
        let others = [range("10.0.0.0/24"), range("10.0.1.0/24"), range("fd00::/64")];
        assert_eq!(overlap(&range("10.0.1.128/25"), &others), Some(&others[1]));
        assert_eq!(overlap(&range("10.0.0.0/8"), &others), Some(&others[0]));
        assert_eq!(overlap(&range("10.0.2.0/24"), &others), None);
    }
}
