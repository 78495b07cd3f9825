//! What the journal says and nobody can make out, and whom that concerns.
//!
//! A record can be damaged, or of a newer version. Its VM is left alone: shown with the reason, and with
//! what else the journal says of it kept as it is. Where it does not tell which VM that is, it is only shown,
//! and nothing half made is cleared up, since it may be what the record was about.
//!
//! The bytes of damage are set aside (`innkeeper_store::journal`), and moving that file away ends it. A
//! record that is whole holds its place in the journal instead: the version that wrote it goes on from
//! there.

use crate::{
    accept::reservations::Reservations,
    begin::loading::nobodys_name,
    journal::{
        Entry, Recorder,
        unfinished::{OnRecord, Unfinished},
    },
    plan::Plan,
};
use innkeeper_model::{ProjectName, Refusal, Task, TaskId, TaskState, VmId, VmName};
use innkeeper_store::journal::{Damage, Durability, Held};
use innkeeper_view::Update;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::warn;

/// A record that cannot be made out.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) vm: Option<VmId>,
    /// What is wrong with it, and what a person can do.
    pub(crate) reason: String,
    /// The segment of the journal that it is in, where that is damaged.
    pub(crate) damaged: Option<u64>,
    /// The task that it began, where that is known.
    pub(crate) task: Option<TaskId>,
    /// Keeps it, where it is whole.
    _held: Option<Held>,
}

impl Unreadable {
    /// A whole record, of a newer version.
    pub(crate) fn newer(vm: Option<VmId>, task: Option<TaskId>, reason: &str, held: Held) -> Self {
        let or_give_up = vm.map(|vm| format!(", or give the VM up: inn delete --force {vm}"));
        let reason = format!(
            "{reason}; use the version of Innkeeper that wrote it, which goes on from there{}",
            or_give_up.unwrap_or_default()
        );
        Self { vm, reason, damaged: None, task, _held: Some(held) }
    }
}

impl From<Damage> for Unreadable {
    fn from(damage: Damage) -> Self {
        let vm = damage.about.filter(|about| !about.is_nil()).map(VmId::from_uuid);
        let of = vm.map_or_else(|| "the VMs".into(), |vm| format!("VM {vm}"));
        let cure = if damage.is_set_aside() {
            "then stop the daemon, move that file away and start it again"
        } else {
            "make room on the disk, and start the daemon again: it could not be set aside"
        };
        let reason = format!("{damage}; look at {of}, {cure}");
        Self { vm, reason, damaged: Some(damage.segment), task: None, _held: None }
    }
}

/// Leaves alone the VMs of which the journal says something that cannot be made out. Gives back what had not
/// ended of them. `tasks` are those that are remembered.
pub(crate) fn quarantine(
    on_record: &mut OnRecord,
    tasks: &[Task],
    reservations: &Reservations,
    updates: &mut Vec<Update>,
) -> LeftAlone {
    let mut left_alone = BTreeMap::new();
    let mut seen = HashSet::new();
    for Unreadable { vm, reason, .. } in &on_record.unreadable {
        warn!(?vm, reason, "the journal is damaged");
        let Some(id) = vm.filter(|vm| seen.insert(*vm)) else { continue };
        let of_it = |_: &TaskId, one: &mut Unfinished| one.begun.task.vm == Some(id);
        left_alone.extend(on_record.unfinished.extract_if(.., of_it));
        reservations.withhold_uids(uid_of(id, updates));
        let unfinished = left_alone.values().map(|one: &Unfinished| &one.begun.task);
        let ended = on_record.ended.iter().map(|(task, _)| task);
        let known = unfinished.chain(ended).chain(tasks).filter(|task| task.vm == Some(id));
        // Ids are in the order in which they were given.
        let newest = || known.max_by_key(|task| task.id);
        let name = stored(id, updates).or_else(|| named_by(newest()?, id));
        let Some((name, project)) = name else { continue };
        updates.push(Update::VmQuarantined { id, name, project, problem: reason.clone() });
    }
    // Marks of steps may be among what was lost.
    left_alone.values_mut().for_each(|one| one.note_crash(false));
    LeftAlone(Mutex::new(left_alone))
}

/// The user that its machine runs as.
fn uid_of(vm: VmId, updates: &[Update]) -> Option<u32> {
    updates.iter().find_map(|update| match update {
        Update::VmSpec(spec) if spec.id == vm => spec.assigned.uid,
        _ => None,
    })
}

/// What a VM is called by its spec, be that damaged, too.
fn stored(vm: VmId, updates: &[Update]) -> Option<(VmName, ProjectName)> {
    updates.iter().find_map(|update| match update {
        Update::VmSpec(spec) if spec.id == vm => {
            Some((spec.config.name.clone(), spec.config.project.clone()))
        }
        Update::VmQuarantined { id, name, project, .. } if *id == vm => {
            Some((name.clone(), project.clone()))
        }
        _ => None,
    })
}

/// What a VM without a spec is called by the last that was done to it: its spec may be what was lost. None
/// where that was to delete it.
fn named_by(task: &Task, vm: VmId) -> Option<(VmName, ProjectName)> {
    if is_given_up(task) {
        return None;
    }
    let (name, project) = nobodys_name(vm).ok()?;
    Some((task.subject.parse().unwrap_or(name), task.project.clone().unwrap_or(project)))
}

/// Whether there is no such VM any more.
pub(crate) fn is_given_up(task: &Task) -> bool {
    task.operation == "delete" && task.state == TaskState::Done
}

/// What had not ended of VMs that are left alone: it stays on record, and is gone on with by the daemon that
/// finds nothing unreadable of them any more.
#[derive(Debug, Default)]
pub(crate) struct LeftAlone(Mutex<BTreeMap<TaskId, Unfinished>>);

impl LeftAlone {
    fn all(&self) -> MutexGuard<'_, BTreeMap<TaskId, Unfinished>> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn plans(&self) -> Vec<Arc<Plan>> {
        self.all().values().map(|one| one.begun.plan.clone()).collect()
    }

    /// Writes what is this old down anew, so that its segments of the journal can go, and forgets what was of
    /// VMs that are gone.
    ///
    /// # Errors
    /// The journal takes nothing; what is old stays.
    pub(crate) async fn renew(
        &self,
        oldest: u64,
        is_there: impl Fn(VmId) -> bool,
        recorder: &Recorder,
    ) -> Result<(), Refusal> {
        self.all().retain(|_, one| one.begun.task.vm.is_some_and(&is_there));
        let is_old = |one: &&Unfinished| one.held.segment() < oldest;
        let old: Vec<_> = self.all().values().filter(is_old).map(|one| one.begun.clone()).collect();
        for begun in old {
            let task = begun.task.id;
            let entry = Entry::Begun(Box::new(begun));
            let held = recorder.write(None, &entry, Durability::Synced).await?;
            if let Some(one) = self.all().get_mut(&task) {
                one.held = held;
            }
        }
        Ok(())
    }
}
