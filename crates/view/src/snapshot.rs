//! The snapshot: everything at one revision.

use crate::{lookup::Names, record::Record, uids::Uids};
use imbl::OrdMap;
use innkeeper_model::{
    Host, Image, ImageName, Network, NetworkId, NetworkName, Position, ProjectName, Revision,
    SubnetId, Task, TaskId, Vm, VmId, VmName, network::Subnet,
};
use std::sync::Arc;
use uuid::Uuid;

/// Everything that the view knows, at one revision. It never changes; the next one shares with it
/// all that stayed the same.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// How many changes led to it.
    pub revision: Revision,
    /// The VMs, oldest first.
    pub vms: OrdMap<VmId, Arc<Record<Vm>>>,
    /// The tasks that are not done, and those done last; oldest first.
    pub tasks: OrdMap<TaskId, Arc<Record<Task>>>,
    /// The images, by name.
    pub images: OrdMap<ImageName, Arc<Record<Image>>>,
    /// The networks, oldest first.
    pub networks: OrdMap<NetworkId, Arc<Record<Network>>>,
    /// The host; all zero, at revision zero, until somebody has described it.
    pub host: Arc<Record<Host>>,
    pub(crate) names: Names,
    pub(crate) uids: Uids,
    pub(crate) epoch: Uuid,
}

impl Snapshot {
    pub(crate) fn empty(epoch: Uuid) -> Self {
        Self {
            revision: Revision::default(),
            vms: OrdMap::new(),
            tasks: OrdMap::new(),
            images: OrdMap::new(),
            networks: OrdMap::new(),
            host: Arc::new(Record::new(Arc::new(Host::default()))),
            names: Names::default(),
            uids: Uids::default(),
            epoch,
        }
    }

    /// Where the feed goes on from here.
    pub const fn position(&self) -> Position {
        Position { epoch: self.epoch, sequence: self.revision.0 }
    }

    /// The VM that has this name in this project. Should two have it, which only damaged storage can
    /// bring about, the older one.
    pub fn vm_named(&self, project: &ProjectName, name: &VmName) -> Option<&Arc<Record<Vm>>> {
        let id = self.names.exact(name.as_str(), Some(project)).next()?;
        self.vms.get(&id)
    }

    /// The network that has this name.
    pub fn network_named(&self, name: &NetworkName) -> Option<&Arc<Record<Network>>> {
        // A host has a handful of them.
        self.networks.values().find(|network| network.config.name == *name)
    }

    /// The subnet that has this id, and the network that it is on.
    pub fn subnet(&self, id: SubnetId) -> Option<(&Arc<Record<Network>>, &Subnet)> {
        self.subnets().find(|(_, subnet)| subnet.id == id)
    }

    /// All subnets, each with the network that it is on: by network, in the order they were made.
    pub fn subnets(&self) -> impl Iterator<Item = (&Arc<Record<Network>>, &Subnet)> {
        self.networks
            .values()
            .flat_map(|network| network.subnets.iter().map(move |subnet| (network, subnet)))
    }
}
