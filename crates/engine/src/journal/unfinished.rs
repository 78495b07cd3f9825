//! What the journal says of before: which operations had not ended, which wishes had not reached their
//! files, and which tasks had ended. Pure: from records to that.

use crate::{
    journal::{
        Begun, Entry, Mark, SCHEMA, Way,
        notes::Note,
        unreadable::{Unreadable, is_given_up},
    },
    plan::{AfterCrash, Plan},
};
use innkeeper_driver::Crash;
use innkeeper_model::{Code, Refusal, Spec, Task, TaskId, TaskState, VmId};
use innkeeper_store::journal::{Damage, Found, Held};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// An operation that had not ended, or of which something is owed.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) begun: Begun,
    pub(crate) held: Held,
}

/// A wish that may not have reached its file.
#[derive(Debug)]
pub(crate) struct LastWish {
    pub(crate) number: u64,
    /// `None`: there is none any more.
    pub(crate) spec: Option<Arc<Spec>>,
    /// Keeps it on record.
    pub(crate) held: Held,
}

/// What is on record.
#[derive(Debug, Default)]
pub(crate) struct OnRecord {
    /// The oldest first.
    pub(crate) unfinished: BTreeMap<TaskId, Unfinished>,
    /// Accepted, and never begun.
    accepted: BTreeMap<TaskId, (Task, Held)>,
    /// Those of them of which steps are on record: how they began cannot be read.
    unclear: HashSet<TaskId>,
    pub(crate) wishes: BTreeMap<VmId, LastWish>,
    pub(crate) last_wish: u64,
    pub(crate) ended: Vec<(Task, Held)>,
    /// The newest of each VM.
    pub(crate) notes: HashMap<VmId, (Note, Held)>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Reads records in the order in which they were written, and what was damaged among them.
pub(crate) fn read(records: Vec<Found>, damage: Vec<Damage>) -> OnRecord {
    let mut on_record = OnRecord::default();
    for Found { about, bytes, held } in records {
        let vm = (about != Uuid::nil()).then(|| VmId::from_uuid(about));
        match serde_json::from_slice::<Entry>(&bytes) {
            Ok(entry) => on_record.add(entry, held),
            Err(error) => {
                let reason = format!("a record of it is not understood: {error}");
                on_record.unreadable.push(Unreadable::newer(vm, None, &reason, held));
            }
        }
    }
    on_record.unreadable.extend(damage.into_iter().map(Unreadable::from));
    on_record.end_what_never_began();
    on_record
}

impl OnRecord {
    /// What waited for its turn when the daemon ended has ended with it. That it began may be what is
    /// unreadable.
    fn end_what_never_began(&mut self) {
        let unread: HashSet<VmId> = self.unreadable.iter().filter_map(|one| one.vm).collect();
        let is_unclear = |task: &Task| task.vm.is_some_and(|vm| unread.contains(&vm));
        for (mut task, held) in std::mem::take(&mut self.accepted).into_values() {
            task.error = Some(if self.unclear.contains(&task.id) || is_unclear(&task) {
                let message = "the daemon ended, and the record of it cannot be read: what was done of it is \
                               not known";
                Refusal::new(Code::OutcomeUnknown, message).with_hint("look at the VM")
            } else {
                let message = "the daemon ended before its turn came, and nothing of it was done";
                Refusal::new(Code::ShuttingDown, message).with_hint("ask again")
            });
            task.state = TaskState::Failed;
            task.cancellable = false;
            task.ended = Some(task.created);
            self.ended.push((task, held));
        }
    }

    fn add(&mut self, entry: Entry, held: Held) {
        match entry {
            Entry::Accepted { task } => drop(self.accepted.insert(task.id, (*task, held))),
            Entry::Begun(begun) if begun.schema > SCHEMA => {
                self.accepted.remove(&begun.task.id);
                let reason = format!("task {} was begun by a newer version", begun.task.id);
                let (vm, task) = (begun.task.vm, Some(begun.task.id));
                self.unreadable.push(Unreadable::newer(vm, task, &reason, held));
            }
            Entry::Begun(mut begun) => {
                self.accepted.remove(&begun.task.id);
                begun.marks.resize(steps_of(&begun.plan), Mark::default());
                self.unfinished.insert(begun.task.id, Unfinished { begun: *begun, held });
            }
            Entry::Step { task, step, mark } => {
                let Some(unfinished) = self.unfinished.get_mut(&task) else {
                    self.unclear.insert(task);
                    return;
                };
                if let Some(known) = unfinished.begun.marks.get_mut(step) {
                    *known = mark;
                }
            }
            Entry::Way { task, way } => {
                if let Some(unfinished) = self.unfinished.get_mut(&task) {
                    unfinished.begun.way = way;
                }
            }
            Entry::Owed { task } => {
                if let Some(unfinished) = self.unfinished.get_mut(&task.id) {
                    unfinished.begun.owed = true;
                    unfinished.begun.task = Task::clone(&task);
                }
                self.ended.push((*task, held));
            }
            Entry::Ended { task } => {
                self.accepted.remove(&task.id);
                self.unfinished.remove(&task.id);
                self.unreadable.retain(|one| one.task != Some(task.id));
                if let Some(vm) = task.vm.filter(|_| is_given_up(&task)) {
                    self.give_up(vm);
                }
                self.ended.push((*task, held));
            }
            Entry::Wish { number, spec } => {
                self.wish(spec.id, LastWish { number, spec: Some(spec), held });
            }
            Entry::NoWish { number, vm } => self.wish(vm, LastWish { number, spec: None, held }),
            Entry::Kept { wishes } => {
                let kept: HashMap<VmId, u64> = wishes.into_iter().collect();
                // A newer one in the file makes an older one past, be the newer one's record lost.
                self.wishes.retain(|vm, wish| kept.get(vm).is_none_or(|kept| *kept < wish.number));
            }
            Entry::Noted { note } => {
                drop(self.notes.insert(note.vm, (Arc::unwrap_or_clone(note), held)));
            }
        }
    }
}

impl OnRecord {
    /// The newest counts: one that was written down anew may stand behind one that is newer.
    fn wish(&mut self, vm: VmId, wish: LastWish) {
        self.last_wish = self.last_wish.max(wish.number);
        if self.wishes.get(&vm).is_none_or(|known| known.number <= wish.number) {
            self.wishes.insert(vm, wish);
        }
    }

    /// What was said of a VM before it was deleted is past.
    fn give_up(&mut self, vm: VmId) {
        self.unreadable.retain(|one| one.vm != Some(vm));
        self.unfinished.retain(|_, one| one.begun.task.vm != Some(vm));
        self.wishes.retain(|of, wish| *of != vm || wish.spec.is_none());
    }
}

impl Unfinished {
    /// Notes that the daemon ended somewhere in it, and decides which way it goes from there. What it was in
    /// the middle of may have been begun, and after a crash of the host (`same_boot` is false) so may all of
    /// it: the last marks can be lost.
    pub(crate) fn note_crash(&mut self, same_boot: bool) {
        let Begun { plan, marks, way, .. } = &mut self.begun;
        if *way == Way::Forward && plan.after_crash == AfterCrash::Back {
            *way = Way::Back;
        }
        let mut open_part = None;
        for (placed, mark) in plan.steps().zip(marks.iter_mut()) {
            if *mark != Mark::Waiting {
                continue;
            }
            let in_it = *open_part.get_or_insert(placed.part) == placed.part;
            // That one begins which must not be repeated is always written down first.
            let told_if_begun = placed.step.crash() == Crash::Once;
            if (in_it || !same_boot) && !told_if_begun {
                *mark = Mark::Begun;
            }
        }
    }
}

fn steps_of(plan: &Plan) -> usize {
    plan.steps().count()
}

#[cfg(test)]
#[path = "unfinished_tests.rs"]
pub(crate) mod tests;
