//! Networks and NICs with the same ids each time, for tests.

use crate::names::{bridge_name, tap_name};
use innkeeper_model::{
    NetworkId, SubnetId, VmId,
    config::MacAddress,
    network::{Network, NetworkConfig, NetworkFacts, Plug, Subnet, SubnetConfig},
};
use std::sync::Arc;
use uuid::Uuid;

/// The network of this number.
pub(crate) fn network(number: u128, config: NetworkConfig, ranges: &[&str]) -> Arc<Network> {
    let id = NetworkId::from_uuid(Uuid::from_u128(number));
    let subnet = |range: &&str| Subnet {
        id: SubnetId::from_uuid(Uuid::from_u128(number)),
        config: SubnetConfig::new(range.parse().unwrap()),
        reservations: Vec::new(),
    };
    Arc::new(Network {
        id,
        revision: Default::default(),
        created: jiff::Timestamp::UNIX_EPOCH,
        updated: jiff::Timestamp::UNIX_EPOCH,
        bridge: config.bridge.clone().unwrap_or_else(|| bridge_name(id)),
        config,
        subnets: ranges.iter().map(subnet).collect(),
        facts: NetworkFacts::default(),
    })
}

/// The NIC of this number on a network.
pub(crate) fn plug(number: u16, network: &Network, addresses: &[&str]) -> Plug {
    let (vm, nic) = (VmId::from_uuid(Uuid::from_u128(number.into())), "net0".parse().unwrap());
    let [high, low] = number.to_be_bytes();
    Plug {
        tap: tap_name(vm, &nic),
        vm,
        nic,
        network: network.id,
        mac: MacAddress::from_suffix([0, high, low]),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        publish: Vec::new(),
        rate: Default::default(),
        mtu: None,
        hostname: format!("guest{number}"),
    }
}
