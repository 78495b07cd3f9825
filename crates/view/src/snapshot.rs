//! The snapshot: everything at one revision.

use crate::{lookup::Names, record::Record, uids::Uids};
use imbl::OrdMap;
use innkeeper_model::{
    Host, Image, ImageName, Position, ProjectName, Revision, Task, TaskId, Vm, VmId, VmName,
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
}
