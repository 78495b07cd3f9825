//! How much of a subnet is taken, counted when somebody asks.

use innkeeper_model::{
    Network, NetworkId, NetworkName, ShownSubnet, Spec, Subnet, SubnetConfig, network::u128_of,
};
use innkeeper_surface::Seen;
use serde::Serialize;
use std::{collections::HashMap, net::IpAddr};
use utoipa::ToSchema;

/// The greatest number that every reader of JSON reads rightly (RFC 8259, section 6): it stands for
/// itself and for all that are greater, as the addresses of most IPv6 subnets are.
const MANY: u64 = (1 << 53) - 1;

/// A subnet, the network that it is on, and how much of it is taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubnetRecord {
    #[serde(flatten)]
    subnet: ShownSubnet,
    /// The network's id.
    network: NetworkId,
    /// The network's name.
    network_name: NetworkName,
    /// How many addresses guests and reservations can have; 9007199254740991 stands for as many or more.
    size: u64,
    /// How many of them VMs and reservations have; of the VMs, those that the caller sees.
    taken: usize,
}

/// The addresses that the NICs of VMs have, by network.
pub(crate) struct Usages(HashMap<NetworkName, Vec<IpAddr>>);

impl Usages {
    /// One look at each VM that the caller sees, for however many subnets.
    pub(crate) fn of(seen: &Seen) -> Self {
        let mut addresses: HashMap<NetworkName, Vec<IpAddr>> = HashMap::new();
        for vm in seen.vms() {
            let specs = vm.spec.iter().map(|spec| &**spec);
            for (network, given) in specs.flat_map(given) {
                addresses.entry(network.clone()).or_default().extend(given);
            }
        }
        Self(addresses)
    }

    /// The subnet as it is shown.
    pub(crate) fn show(&self, network: &Network, subnet: &Subnet) -> SubnetRecord {
        let given = self.0.get(&network.config.name).into_iter().flatten();
        let of_vms = given.filter(|address| subnet.config.range.contains(*address)).count();
        SubnetRecord {
            subnet: subnet.into(),
            network: network.id,
            network_name: network.config.name.clone(),
            size: size(&subnet.config),
            taken: of_vms + subnet.reservations.len(),
        }
    }
}

/// The addresses that a VM's NICs were given, with the networks that they are of.
fn given(spec: &Spec) -> impl Iterator<Item = (&NetworkName, &[IpAddr])> {
    spec.config.nics.iter().filter_map(|nic| {
        let network = nic.network.network()?;
        let given = spec.assigned.addresses.get(nic.name.as_str())?;
        Some((network, &**given))
    })
}

/// How many addresses can be given: all but the range's own, its router's and, in IPv4, its broadcast
/// address.
fn size(subnet: &SubnetConfig) -> u64 {
    let (first, last) = (subnet.range.network(), subnet.range.broadcast());
    let others = if first.is_ipv4() { 2 } else { 1 };
    let size = (u128_of(last) - u128_of(first)).saturating_sub(others);
    u64::try_from(size).unwrap_or(MANY).min(MANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_what_can_be_given() {
        for (range, expected) in [
            ("10.0.0.0/30", 1),
            ("10.0.0.0/24", 253),
            ("10.0.0.0/8", (1 << 24) - 3),
            ("fd00::/126", 2),
            ("fd00::/64", MANY),
        ] {
            let config = SubnetConfig::new(range.parse().unwrap());
            assert_eq!(size(&config), expected, "{range}");
            if expected < 1000 {
                let hosts = config.range.hosts().chain([config.range.network()]);
                let given: std::collections::BTreeSet<_> =
                    hosts.filter(|host| config.can_be_given(*host)).collect();
                assert_eq!(given.len() as u64, expected, "{range}");
            }
        }
    }
}
