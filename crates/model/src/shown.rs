//! Networks as the feed and the doors show them: like the record, with reservations counted instead of
//! listed.
//!
//! A subnet may keep ten thousand addresses. A megabyte of them in every network that is shown, and in
//! every change of one, would drown the rest; who wants them asks for the subnet's reservations.

use crate::{
    NetworkId, Revision, SubnetId, Timestamp,
    network::{InterfaceName, Network, NetworkConfig, NetworkFacts, Subnet, SubnetConfig},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A network: what was asked for, what was chosen for it, and what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownNetwork {
    /// Its id.
    pub id: NetworkId,
    /// Counts the changes of the record, its facts left out; what `ETag` shows and `If-Match` compares.
    pub revision: Revision,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When its configuration last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
    /// What was asked for.
    pub config: NetworkConfig,
    /// The bridge: the joined one, or the name chosen for Innkeeper's own.
    pub bridge: InterfaceName,
    /// The ranges of addresses on it, in the order they were made.
    pub subnets: Vec<ShownSubnet>,
    /// What there is now.
    #[serde(default)]
    pub facts: NetworkFacts,
}

/// A range of addresses on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownSubnet {
    /// Its id.
    pub id: SubnetId,
    /// What was asked for.
    pub config: SubnetConfig,
    /// How many of its addresses are kept for something other than a NIC of a VM.
    pub reserved: usize,
}

impl From<&Network> for ShownNetwork {
    fn from(network: &Network) -> Self {
        Self {
            id: network.id,
            revision: network.revision,
            created: network.created,
            updated: network.updated,
            config: network.config.clone(),
            bridge: network.bridge.clone(),
            subnets: network.subnets.iter().map(ShownSubnet::from).collect(),
            facts: network.facts.clone(),
        }
    }
}

impl From<&Subnet> for ShownSubnet {
    fn from(subnet: &Subnet) -> Self {
        Self { id: subnet.id, config: subnet.config.clone(), reserved: subnet.reservations.len() }
    }
}
