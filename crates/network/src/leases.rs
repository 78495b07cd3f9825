//! dnsmasq's file of leases: read for the facts, and cleaned of what is no longer so.
//!
//! One lease a line: when it ends in seconds since 1970 (0 is never), the hardware address (for IPv6 the
//! number of the association), the address, the name or `*`, and the client's identifier. A line
//! that begins with `duid` names the server.

use innkeeper_model::{config::MacAddress, network::Lease};
use std::{collections::BTreeMap, net::IpAddr};

/// The leases that hold, of addresses that are somebody's, in the order of their addresses.
pub(crate) fn read(text: &str, owners: &BTreeMap<IpAddr, MacAddress>, now: i64) -> Vec<Lease> {
    let mut leases: Vec<Lease> = text
        .lines()
        .filter_map(|line| Entry::parse(line)?.lease(now))
        .filter(|lease| {
            let owner = owners.get(&lease.address);
            owner.is_some_and(|owner| lease.mac.is_none_or(|mac| mac == *owner))
        })
        .collect();
    leases.sort();
    leases
}

/// The file without leases that keep an address from its new owner: of addresses in `given`, to somebody
/// else than their owner. Absent where there are none. Whose a lease of IPv6 is cannot be seen, so each of a
/// given address goes; whoever still has it is given it again.
pub(crate) fn without_former_owners(
    text: &str,
    given: &BTreeMap<IpAddr, MacAddress>,
) -> Option<String> {
    let is_former = |line: &&str| {
        Entry::parse(line).is_some_and(|entry| {
            let owner = given.get(&entry.address);
            owner.is_some_and(|owner| entry.mac != Some(*owner))
        })
    };
    text.lines().any(|line| is_former(&line)).then(|| {
        text.lines().filter(|line| !is_former(line)).flat_map(|line| [line, "\n"]).collect()
    })
}

struct Entry<'a> {
    expires: i64,
    mac: Option<MacAddress>,
    address: IpAddr,
    name: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let expires = words.next()?.parse().ok()?;
        let mac = words.next()?.parse().ok();
        let address = words.next()?.parse().ok()?;
        Some(Self { expires, mac, address, name: words.next()? })
    }

    fn lease(&self, now: i64) -> Option<Lease> {
        if self.expires != 0 && self.expires <= now {
            return None;
        }
        let until = (self.expires != 0).then_some(self.expires);
        Some(Lease {
            address: self.address,
            mac: self.mac.filter(|_| self.address.is_ipv4()),
            hostname: Some(self.name).filter(|name| *name != "*").map(ToOwned::to_owned),
            expires: until.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
2000000000 52:54:00:00:00:01 10.0.0.2 web 01:52:54:00:00:00:01\n\
2000000000 52:54:00:00:00:02 10.0.0.3 * *\n\
100 52:54:00:00:00:03 10.0.0.4 gone *\n\
0 52:54:00:00:00:09 10.0.0.5 other *\n\
duid 00:01:00:01:2d:00:00:00:52:54:00:00:00:ff\n\
2000000000 1234567 fd00::2 web 00:03:00:01:52:54:00:00:00:01\n\
2000000000 52:54:00";

    fn owners() -> BTreeMap<IpAddr, MacAddress> {
        [("10.0.0.2", 1), ("10.0.0.3", 2), ("10.0.0.4", 3), ("10.0.0.5", 5), ("fd00::2", 1)]
            .map(|(address, end)| (address.parse().unwrap(), MacAddress::from_suffix([0, 0, end])))
            .into()
    }

    #[test]
    fn leases_that_hold_are_read_and_the_rest_is_not() {
        let leases = read(FILE, &owners(), 1000);
        let shown: Vec<_> = leases
            .iter()
            .map(|lease| {
                (lease.address.to_string(), lease.mac.is_some(), lease.hostname.as_deref())
            })
            .collect();
        let expected = [
            ("10.0.0.2".to_owned(), true, Some("web")),
            ("10.0.0.3".to_owned(), true, None),
            ("fd00::2".to_owned(), false, Some("web")),
        ];
        assert_eq!(shown, expected, "one has ended, one is another's, one is cut short");
    }

    #[test]
    fn a_lease_gives_way_to_a_new_owner_and_to_nobody_else() {
        let given = |address: &str, end| {
            [(address.parse().unwrap(), MacAddress::from_suffix([0, 0, end]))].into()
        };
        assert_eq!(without_former_owners(FILE, &given("10.0.0.2", 1)), None);
        let cleaned = without_former_owners(FILE, &given("10.0.0.2", 7)).unwrap();
        assert!(!cleaned.contains("10.0.0.2 ") && cleaned.contains("10.0.0.3 "));
        assert!(cleaned.contains("duid 00:01"), "{cleaned}");
    }
}
