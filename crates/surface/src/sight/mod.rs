//! Sight: which VMs and tasks there are for a caller.
//!
//! Whoever is bound to a project is answered as if there were no VMs and tasks but that project's: what is
//! another's is not found, is in no list, no count and no stream, and its name is not taken. All surfaces ask
//! the same thing here. Their routes read [`Seen`] in place of a snapshot, so that a route that was forgotten
//! has nothing to show, rather than too much; for a caller who sees everything it is that snapshot, and costs
//! nothing.
//!
//! Networks, images and their files are everybody's; what they say of somebody's VM is left out ([`hidden`]).
//! Not here: what a caller may do with what it sees, which is `auth`'s table.

mod hidden;
#[cfg(test)]
mod tests;
mod told;
mod wishes;

use crate::Operations;
use innkeeper_auth::{Principal, Scope};
use innkeeper_model::{Position, ProjectName, Revision, Task, TaskId, Vm, VmId};
use innkeeper_view::{Lookup, Record, Snapshot};
use std::sync::Arc;

pub use told::Told;

/// Which VMs and tasks there are for a caller. Bound to nothing, it is copied without an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The only project that there is; all, where absent.
    own: Option<ProjectName>,
}

impl From<&Principal> for Sight {
    fn from(principal: &Principal) -> Self {
        let own = match &principal.scope {
            Scope::Everything => None,
            Scope::Project(own) => Some(own.clone()),
        };
        Self { own }
    }
}

impl Sight {
    /// That of somebody who is bound to no project.
    pub const fn of_everything() -> Self {
        Self { own: None }
    }

    /// Whether nothing is hidden from it.
    pub const fn is_everything(&self) -> bool {
        self.own.is_none()
    }

    /// The project that it is bound to.
    pub const fn project(&self) -> Option<&ProjectName> {
        self.own.as_ref()
    }

    /// Whether what is of this project is there.
    pub fn sees(&self, project: &ProjectName) -> bool {
        self.own.as_ref().is_none_or(|own| own == project)
    }

    /// Whether a VM is there.
    pub fn sees_vm(&self, vm: &Vm) -> bool {
        self.sees(&vm.project)
    }

    /// Whether a task is there. Of what was never a project's VM, such as an image's, no project's people are
    /// told.
    pub fn sees_task(&self, task: &Task) -> bool {
        self.is_everything() || task.project.as_ref().is_some_and(|project| self.sees(project))
    }

    /// A task that is there, of before this daemon's start too. One that is another's takes as long to be missed
    /// as one that nobody knows.
    pub async fn task(&self, operations: &dyn Operations, id: TaskId) -> Option<Task> {
        let task = operations.task(id).await?;
        if self.sees_task(&task) {
            return Some(task);
        }
        // What nobody knows was looked for in the history, too.
        operations.task(TaskId::new()).await;
        None
    }

    /// What of a snapshot is there.
    pub fn of(&self, snapshot: Arc<Snapshot>) -> Seen {
        Seen { sight: self.clone(), snapshot }
    }
}

/// What there is of a snapshot for a caller.
#[derive(Debug, Clone)]
pub struct Seen {
    sight: Sight,
    snapshot: Arc<Snapshot>,
}

impl Seen {
    /// Whose sight it is.
    pub const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// How many changes led to it, whosever they were.
    pub fn revision(&self) -> Revision {
        self.snapshot.revision
    }

    /// Where the feed goes on from here.
    pub fn position(&self) -> Position {
        self.snapshot.position()
    }

    /// All of it, for what is nobody's: networks, images and the host. Its VMs and tasks are everybody's.
    pub const fn whole(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The VM with this id.
    pub fn vm(&self, id: VmId) -> Option<&Arc<Record<Vm>>> {
        self.snapshot.vms.get(&id).filter(|vm| self.sight.sees_vm(vm))
    }

    /// The VM that a text means, as [`Snapshot::find_vm`] finds it; with a project, there are no VMs of others.
    pub fn find_vm(&self, text: &str, project: Option<&ProjectName>) -> Lookup {
        match (&self.sight.own, project) {
            (None, project) => self.snapshot.find_vm(text, project),
            (Some(own), None) => self.snapshot.find_vm(text, Some(own)),
            (Some(own), Some(named)) if own == named => self.snapshot.find_vm(text, Some(own)),
            (Some(_), Some(_)) => Lookup::None,
        }
    }

    /// The VMs, oldest first.
    pub fn vms(&self) -> impl Iterator<Item = &Arc<Record<Vm>>> {
        self.snapshot.vms.values().filter(|vm| self.sight.sees_vm(vm))
    }

    /// The task with this id, if it is among those that the view has.
    pub fn task(&self, id: TaskId) -> Option<&Arc<Record<Task>>> {
        self.snapshot.tasks.get(&id).filter(|task| self.sight.sees_task(task))
    }
}
