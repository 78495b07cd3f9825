//! What drivers tell of by themselves, on its way to the view.
//!
//! Until it is known what runs, facts are held back: a machine that has been found and not yet asked is
//! no news. And a driver that has just begun to watch a machine knows how that is, but not since when,
//! how often it was reset, nor how the guest ended before; that is carried over from what the daemon of
//! before had noted (`notes`), for as long as it is the same machine.

use crate::reconcile::marks::Marks;
use innkeeper_driver::{Found, Observer};
use innkeeper_model::{
    Facts, HypervisorEvent, Incarnation, IncarnationId, MachineState, Timestamp, VmId,
};
use innkeeper_view::{Update, View};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What drivers tell, and what reconciling begins from.
#[derive(Debug, Clone)]
pub struct Noticed {
    view: View,
    to_look_at: Arc<Marks>,
    to_note: Arc<Marks>,
    /// Of those, what failed before is tried at once.
    impatient: Arc<Marks>,
    past: Arc<Mutex<Past>>,
}

/// What was before this daemon.
#[derive(Debug)]
struct Past {
    /// What was told and is held back; `None` from when it is known what runs.
    held_back: Option<HashMap<VmId, Facts>>,
    carried: HashMap<VmId, Carried>,
}

/// What a daemon of before had noted of a machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Before {
    pub(crate) incarnation: Option<IncarnationId>,
    pub(crate) facts: Facts,
}

impl Noticed {
    /// Tells this view.
    pub fn new(view: View) -> Self {
        let past = Past { held_back: Some(HashMap::new()), carried: HashMap::new() };
        let past = Arc::new(Mutex::new(past));
        let (to_look_at, to_note, impatient) = Default::default();
        Self { view, to_look_at, to_note, impatient, past }
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        // Only map operations and posts, which do not wait, happen under the lock.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a VM looked at, and noted.
    pub(crate) fn mark(&self, vm: VmId) {
        self.to_look_at.mark(vm);
        self.to_note.mark(vm);
    }

    /// The same, and what has failed before is not left alone for a while.
    pub(crate) fn mark_at_once(&self, vm: VmId) {
        self.impatient.mark(vm);
        self.mark(vm);
    }

    /// Those that were marked so.
    pub(crate) fn take_impatient(&self) -> BTreeSet<VmId> {
        self.impatient.take_now()
    }

    /// The VMs that are to be noted.
    pub(crate) fn to_note(&self) -> &Arc<Marks> {
        &self.to_note
    }

    /// Waits for VMs that are to be looked at, and takes them.
    pub(crate) async fn take(&self) -> BTreeSet<VmId> {
        self.to_look_at.take().await
    }

    /// Tells what was held back, now that it is known what runs, together with what was noted before.
    /// What was noted to be on and was not found is gone.
    pub(crate) fn found(&self, found: &[Found], before: &HashMap<VmId, Before>) {
        let mut past = self.past();
        let told = past.held_back.take().unwrap_or_default();
        for (vm, before) in before {
            if before.facts.machine != MachineState::Absent && !told.contains_key(vm) {
                self.tell(*vm, gone(&before.facts));
            }
        }
        let machines: HashMap<VmId, IncarnationId> =
            found.iter().map(|found| (found.vm, found.incarnation.id)).collect();
        for (vm, told) in told {
            let machine = machines.get(&vm).copied();
            let same = |before: &&Before| machine.is_some() && before.incarnation == machine;
            let facts = match before.get(&vm).filter(same).zip(machine) {
                Some((before, machine)) => {
                    let (facts, carried) = Carried::of(machine, &before.facts, &told);
                    past.carried.insert(vm, carried);
                    facts
                }
                None => {
                    if before.contains_key(&vm) {
                        // Nor is it that machine's guest of which an agent told.
                        let (guest, addresses) = (None, Vec::new());
                        self.view.post(Update::VmGuest { id: vm, guest, addresses });
                    }
                    told
                }
            };
            self.tell(vm, facts);
        }
    }

    fn tell(&self, vm: VmId, facts: Facts) {
        let look = matches!(facts.machine, MachineState::Ended | MachineState::Absent);
        self.view.post(Update::VmFacts { id: vm, facts });
        self.to_note.mark(vm);
        if look {
            self.to_look_at.mark(vm);
        }
    }
}

/// What is known of a machine that ran and is not there any more.
fn gone(before: &Facts) -> Facts {
    Facts { last_end: before.last_end.clone(), ..Facts::default() }
}

impl Observer for Noticed {
    fn facts(&self, vm: VmId, facts: Facts) {
        // Told under the lock, so that what was held back is not told after what came later.
        let mut past = self.past();
        match &mut past.held_back {
            Some(held_back) => drop(held_back.insert(vm, facts)),
            None => {
                let carried = past.carried.get(&vm);
                self.tell(vm, carried.map_or_else(|| facts.clone(), |it| it.onto(&facts)));
            }
        }
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        let machine = incarnation.as_ref().map(|incarnation| incarnation.id);
        let mut past = self.past();
        if past.carried.get(&vm).is_some_and(|carried| Some(carried.machine) != machine) {
            past.carried.remove(&vm);
        }
        self.view.post(Update::VmIncarnation { id: vm, incarnation });
        self.to_note.mark(vm);
    }

    fn problem(&self, vm: VmId, problem: Option<String>) {
        self.view.post(Update::VmProblem { id: vm, problem });
    }

    fn event(&self, vm: VmId, event: HypervisorEvent) {
        self.view.post(Update::VmEvent { id: vm, event });
    }
}

/// What is known of a machine that its driver, which found it, does not know.
#[derive(Debug, Clone, PartialEq)]
struct Carried {
    machine: IncarnationId,
    /// Since when the driver says that it is as it was found, and since when it is.
    since: (Option<Timestamp>, Option<Timestamp>),
    /// How often it had been reset before the driver began to count.
    resets: u32,
    last_end: Option<innkeeper_model::EndReason>,
}

impl Carried {
    /// What a machine is that was `before` and is found like this; and what is to be remembered of it.
    fn of(machine: IncarnationId, before: &Facts, found: &Facts) -> (Facts, Self) {
        // What is as it was is taken to have been so all the time.
        let unchanged = before.machine == found.machine;
        let since = if unchanged { before.since } else { found.since };
        let last_end = match unchanged {
            true => before.last_end.clone().or_else(|| found.last_end.clone()),
            false => found.last_end.clone().or_else(|| before.last_end.clone()),
        };
        // A hypervisor that counts by itself has counted all.
        let resets = if found.resets >= before.resets { 0 } else { before.resets };
        let carried = Self { machine, since: (found.since, since), resets, last_end };
        let facts = Facts {
            machine: found.machine,
            last_end: carried.last_end.clone(),
            since,
            resets: found.resets + resets,
        };
        (facts, carried)
    }

    /// What its driver tells, with what that does not know.
    fn onto(&self, told: &Facts) -> Facts {
        let (as_told, since) = self.since;
        Facts {
            machine: told.machine,
            last_end: told.last_end.clone().or_else(|| self.last_end.clone()),
            since: if told.since == as_told { since } else { told.since },
            resets: told.resets + self.resets,
        }
    }
}

#[cfg(test)]
#[path = "noticed_tests.rs"]
mod tests;
