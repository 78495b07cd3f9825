//! What operations that have been accepted and not yet done have already promised: names, ids, user
//! ids. Without them two requests at the same moment could get the same one.

use innkeeper_model::{Code, ProjectName, Refusal, VmId, VmName};
use innkeeper_view::Snapshot;
use std::{
    collections::HashSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is promised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<Promised>>);

#[derive(Debug, Default)]
struct Promised {
    names: HashSet<(ProjectName, VmName)>,
    ids: HashSet<VmId>,
    uids: HashSet<u32>,
    /// The last user id that was promised. The next is looked for behind it, so that neither all that
    /// are taken are looked at each time, nor is one given out again at once.
    last_uid: Option<u32>,
}

/// One operation's promises; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    all: Reservations,
    name: Option<(ProjectName, VmName)>,
    id: Option<VmId>,
    uid: Option<u32>,
}

impl Reservations {
    /// Promises a new VM its id, its name and, where there is a range, a user id.
    ///
    /// # Errors
    /// The id or the name is taken, or no user id is free.
    pub(crate) fn for_new_vm(
        &self,
        snapshot: &Snapshot,
        id: VmId,
        name: (ProjectName, VmName),
        uids: Option<RangeInclusive<u32>>,
    ) -> Result<Reservation, Refusal> {
        let mut promised = self.promised();
        if snapshot.vms.contains_key(&id) || promised.ids.contains(&id) {
            return Err(
                Refusal::new(Code::NameTaken, format!("there is a VM with id {id}")).at("id")
            );
        }
        promised.check_name(snapshot, &name)?;
        let uid = uids.map(|uids| promised.free_uid(snapshot, uids)).transpose()?;
        promised.ids.insert(id);
        promised.names.insert(name.clone());
        promised.uids.extend(uid);
        drop(promised);
        Ok(Reservation { all: self.clone(), name: Some(name), id: Some(id), uid })
    }

    /// Promises a VM another name.
    ///
    /// # Errors
    /// The name is taken.
    pub(crate) fn for_name(
        &self,
        snapshot: &Snapshot,
        name: (ProjectName, VmName),
    ) -> Result<Reservation, Refusal> {
        let mut promised = self.promised();
        promised.check_name(snapshot, &name)?;
        promised.names.insert(name.clone());
        drop(promised);
        Ok(Reservation { all: self.clone(), name: Some(name), id: None, uid: None })
    }

    /// Keeps user ids that are in use where the view does not show it, for as long as this lives.
    pub(crate) fn withhold_uids(&self, uids: impl IntoIterator<Item = u32>) {
        self.promised().uids.extend(uids);
    }

    fn promised(&self) -> MutexGuard<'_, Promised> {
        // Only collection operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promised {
    fn check_name(&self, snapshot: &Snapshot, name: &(ProjectName, VmName)) -> Result<(), Refusal> {
        if snapshot.vm_named(&name.0, &name.1).is_none() && !self.names.contains(name) {
            return Ok(());
        }
        let message = format!("there is a VM named {} in project {}", name.1, name.0);
        Err(Refusal::new(Code::NameTaken, message).at("name"))
    }

    fn free_uid(&mut self, snapshot: &Snapshot, uids: RangeInclusive<u32>) -> Result<u32, Refusal> {
        let behind = self.last_uid.filter(|last| uids.contains(last));
        let behind = behind.map_or(*uids.start(), |last| last.saturating_add(1));
        let mut in_turn = (behind..=*uids.end()).chain(*uids.start()..behind);
        let free = in_turn.find(|uid| !snapshot.has_uid(*uid) && !self.uids.contains(uid));
        self.last_uid = free.or(self.last_uid);
        free.ok_or_else(|| {
            Refusal::new(Code::OutOfCapacity, "every user id for VMs is taken")
                .with_limit(uids.count())
                .with_hint("widen vm_uids in the configuration")
        })
    }
}

impl Reservation {
    /// The user id that was promised.
    pub(crate) const fn uid(&self) -> Option<u32> {
        self.uid
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut promised = self.all.promised();
        if let Some(name) = &self.name {
            promised.names.remove(name);
        }
        if let Some(id) = &self.id {
            promised.ids.remove(id);
        }
        if let Some(uid) = &self.uid {
            promised.uids.remove(uid);
        }
    }
}
