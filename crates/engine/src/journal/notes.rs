//! Notes: what is known of a VM and nobody could be asked for once this daemon has ended: since when
//! it is as it is, how its last machine ended, why it was left alone, how large its disks were.
//!
//! A note is written down in the journal, in the background, whenever it would say something new; it
//! lags behind the view by one write, and a lost one costs what it says and nothing else. The newest of
//! each VM is kept. What a note says of a machine holds in the host's boot that it is of, and is never
//! taken for what is: that is asked, and the note only completes the answer (`noticed`).

use crate::{
    engine::Engine,
    journal::{Entry, Recorder},
    reconcile::noticed::Before,
    turn::live::LiveTask,
};
use innkeeper_model::{DiskFacts, Facts, IncarnationId, MachineState, Timestamp, Vm, VmId};
use innkeeper_store::journal::{Durability, Held};
use innkeeper_view::Update;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::debug;

/// What is noted of one VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) vm: VmId,
    /// The host's boot in which it was last looked after: if it should run, it was started, or left off
    /// for a reason. Nothing where that was never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<IncarnationId>,
    pub(crate) facts: Facts,
    /// What the engine has found wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dumped: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) disks: Vec<DiskFacts>,
}

impl Note {
    /// What a VM begins as, before it is known what runs. What ran in this boot has not answered yet;
    /// what ran in another has ended with it.
    pub(crate) fn updates(&self, boot_id: &str) -> Vec<Update> {
        let id = self.vm;
        let was_on = self.facts.machine != MachineState::Absent;
        let is_of_this_boot = self.boot_id.as_deref() == Some(boot_id);
        let facts = match (was_on, is_of_this_boot) {
            (false, _) => self.facts.clone(),
            (true, true) => Facts { machine: MachineState::Unresponsive, ..self.facts.clone() },
            (true, false) => Facts { last_end: self.facts.last_end.clone(), ..Facts::default() },
        };
        let mut updates = vec![Update::VmFacts { id, facts }];
        if self.dumped.is_some() {
            updates.push(Update::VmDumped { id, dumped: self.dumped });
        }
        if !self.disks.is_empty() {
            updates.push(Update::VmDisks { id, disks: self.disks.clone() });
        }
        if is_of_this_boot && self.problem.is_some() {
            updates.push(Update::VmProblem { id, problem: self.problem.clone() });
        }
        updates
    }
}

/// The notes of all VMs, and what goes into the next ones.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    known: Mutex<Known>,
    /// Held while notes are written, so that an older one is not written behind a newer one.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// What is on record: what it says, as a digest, and what keeps it there.
    kept: HashMap<VmId, (u64, Held)>,
    /// What the engine has found wrong with VMs.
    problems: HashMap<VmId, String>,
    /// Those that nobody has looked after since the host was booted.
    waiting: HashSet<VmId>,
    /// What was noted of machines in this boot, until it is known what runs.
    before: HashMap<VmId, Before>,
}

impl Notes {
    /// Goes on from the notes of before. `vms` are those that there are.
    pub(crate) fn from(
        notes: HashMap<VmId, (Note, Held)>,
        vms: impl Iterator<Item = VmId>,
        boot_id: &str,
    ) -> Self {
        let mut known = Known { waiting: vms.collect(), ..Known::default() };
        for (vm, (note, held)) in notes {
            // A VM that is there no more, and whose note nobody needs.
            if !known.waiting.contains(&vm) {
                continue;
            }
            known.kept.insert(vm, (digest(&note), held));
            if note.boot_id.as_deref() != Some(boot_id) {
                continue;
            }
            known.waiting.remove(&vm);
            known.problems.extend(note.problem.map(|problem| (vm, problem)));
            known.before.insert(vm, Before { incarnation: note.incarnation, facts: note.facts });
        }
        Self { known: Mutex::new(known), ..Self::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Only map operations happen under the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was noted of machines in this boot. Once.
    pub(crate) fn take_before(&self) -> HashMap<VmId, Before> {
        std::mem::take(&mut self.known().before)
    }

    /// Whether nobody has looked after a VM since the host was booted.
    pub(crate) fn waits_for_its_start(&self, vm: VmId) -> bool {
        self.known().waiting.contains(&vm)
    }

    /// Those VMs have been looked after. Returns the ones that had not been before.
    fn looked_after(&self, vms: impl Fn(VmId) -> bool) -> Vec<VmId> {
        self.known().waiting.extract_if(|vm| vms(*vm)).collect()
    }

    fn set_problem(&self, vm: VmId, problem: Option<String>) {
        let mut known = self.known();
        match problem {
            Some(problem) => drop(known.problems.insert(vm, problem)),
            None => drop(known.problems.remove(&vm)),
        }
    }

    fn note_of(&self, vm: &Vm, boot_id: &str) -> Note {
        let known = self.known();
        Note {
            vm: vm.id,
            boot_id: (!known.waiting.contains(&vm.id)).then(|| boot_id.to_owned()),
            incarnation: vm.incarnation.as_ref().map(|incarnation| incarnation.id),
            facts: vm.facts.clone(),
            problem: known.problems.get(&vm.id).cloned(),
            dumped: vm.dumped,
            disks: vm.disks.clone(),
        }
    }

    /// Whether that is on record already. If not, it is about to be written, and what is on record is not
    /// known until it is.
    fn says(&self, note: &Note) -> bool {
        let mut known = self.known();
        let Some((says, _)) = known.kept.get_mut(&note.vm) else { return false };
        let same = *says == digest(note);
        if !same {
            *says = UNKNOWN;
        }
        same
    }

    fn forget(&self, vm: VmId) {
        let mut known = self.known();
        known.kept.remove(&vm);
        known.problems.remove(&vm);
        known.waiting.remove(&vm);
    }

    /// The VMs whose notes are older than this, which are to be written again.
    pub(crate) fn older_than(&self, oldest: u64) -> Vec<VmId> {
        let mut known = self.known();
        let old = known.kept.iter_mut().filter(|(_, (_, held))| held.segment() < oldest);
        let renewed = |(vm, (says, _)): (&VmId, &mut (u64, Held))| {
            *says = UNKNOWN;
            *vm
        };
        old.map(renewed).collect()
    }
}

/// No digest, or that of a note that is then written once too often.
const UNKNOWN: u64 = 0;

fn digest(note: &Note) -> u64 {
    let mut hasher = DefaultHasher::new();
    let text = serde_json::to_vec(note).unwrap_or_default();
    text.hash(&mut hasher);
    hasher.finish()
}

impl Engine {
    /// Writes notes for as long as the engine lives.
    pub(crate) async fn write_notes(self) {
        // Before, what is shown is only what was noted.
        if self.recovered().await.is_err() {
            return;
        }
        loop {
            let marked = self.shared.noticed.to_note().take().await;
            self.note(marked).await;
        }
    }

    /// Writes the notes of these VMs that would say something new. A VM that something is being done to
    /// is noted after that. What cannot be written is tried again with the next change of it, and when
    /// the engine ends. Dropped halfway, it has written some.
    async fn note(&self, vms: BTreeSet<VmId>) {
        let _writing = self.shared.notes.writing.lock().await;
        // All that was told before the marks were taken is in the view after this.
        if self.view().barrier(Vec::new()).await.is_err() {
            return;
        }
        let snapshot = self.view().snapshot();
        let notes = &self.shared.notes;
        let mut written = Vec::new();
        for id in vms.into_iter().filter(|id| !self.is_busy(*id)) {
            // What another manager has can be asked of it.
            let vm = snapshot.vms.get(&id).filter(|vm| vm.manager().is_none());
            let Some(vm) = vm else {
                notes.forget(id);
                continue;
            };
            let note = notes.note_of(vm, &self.shared.boot_id);
            if !notes.says(&note) {
                written.push((id, digest(&note), write(&self.shared.recorder, note)));
            }
        }
        for (vm, says, written) in written {
            match written.await {
                Ok(held) => drop(notes.known().kept.insert(vm, (says, held))),
                Err(error) => debug!(%vm, %error, "not noted"),
            }
        }
    }

    /// Writes all notes that are to be written, before the engine ends.
    pub(crate) async fn write_last_notes(&self) {
        if !*self.shared.recovered.borrow() {
            return;
        }
        self.note(self.view().snapshot().vms.keys().copied().collect()).await;
    }

    /// Shows what is wrong with a VM, or that it is not any more, and remembers it.
    pub(crate) fn tell_problem(&self, id: VmId, problem: Option<String>) {
        self.shared.notes.set_problem(id, problem.clone());
        self.view().post(Update::VmProblem { id, problem });
        self.shared.noticed.to_note().mark(id);
    }

    /// All VMs have been looked after since the host was booted, but those that something is done to:
    /// they are when that has ended.
    pub(crate) fn all_are_looked_after(&self) {
        let looked_after = self.shared.notes.looked_after(|vm| !self.is_busy(vm));
        self.shared.noticed.to_note().mark_all(looked_after);
    }

    /// The VM of a task that was taken up has been.
    pub(crate) fn is_looked_after(&self, task: &LiveTask) {
        let looked_after = self.shared.notes.looked_after(|vm| task.vm == Some(vm));
        self.shared.noticed.to_note().mark_all(looked_after);
    }
}

fn write(
    recorder: &Recorder,
    note: Note,
) -> impl Future<Output = Result<Held, innkeeper_model::Refusal>> + use<> {
    recorder.write(None, &Entry::Noted { note: Arc::new(note) }, Durability::Written)
}
