//! Notes: what is known of a VM and nobody could be asked for once this daemon has ended: since when
//! it is as it is, how its last machine ended, why it was left alone, how large its disks were.
//!
//! A note is written down in the journal whenever it would say something new: before the end of what was
//! done to the VM, so that whoever is told of that end finds the VM as it was after the daemon's death,
//! too; and of what happens by itself in the background, one write behind the view. A lost one costs what
//! it says and nothing else. The newest of each VM is kept. What a note says of a machine holds in the
//! host's boot that it is of, and is never taken for what is: that is asked, and the note only completes
//! the answer (`noticed`).

use crate::{
    engine::Engine,
    journal::{Entry, Recorder},
    reconcile::noticed::Before,
    turn::live::LiveTask,
};
use innkeeper_model::{
    DiskFacts, EndReason, Facts, GuestAddress, GuestSystem, IncarnationId, MachineState, Refusal,
    Revision, Timestamp, Vm, VmId, network::AddressSource,
};
use innkeeper_store::journal::{Durability, Held};
use innkeeper_view::{Snapshot, Update};
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
    /// What the agent in its guest told, which may not tell it again for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guest: Option<Arc<GuestSystem>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<GuestAddress>,
}

impl Note {
    /// What a VM begins as, before it is known what runs. What ran in this boot has not answered yet;
    /// what ran in another has ended with it, and if nobody knows how, then as its hypervisor did.
    pub(crate) fn updates(&self, boot_id: &str) -> Vec<Update> {
        let id = self.vm;
        let was_on = self.facts.machine != MachineState::Absent;
        let is_of_this_boot = self.boot_id.as_deref() == Some(boot_id);
        let facts = match (was_on, is_of_this_boot) {
            (false, _) => self.facts.clone(),
            (true, true) => Facts { machine: MachineState::Unresponsive, ..self.facts.clone() },
            (true, false) => ended_with_the_host(&self.facts),
        };
        let mut updates = vec![Update::VmFacts { id, facts }];
        if self.dumped.is_some() {
            updates.push(Update::VmDumped { id, dumped: self.dumped });
        }
        if !self.disks.is_empty() {
            updates.push(Update::VmDisks { id, disks: self.disks.clone() });
        }
        if is_of_this_boot && was_on && (self.guest.is_some() || !self.addresses.is_empty()) {
            let (guest, addresses) = (self.guest.clone(), self.addresses.clone());
            updates.push(Update::VmGuest { id, guest, addresses });
        }
        if is_of_this_boot && self.problem.is_some() {
            updates.push(Update::VmProblem { id, problem: self.problem.clone() });
        }
        updates
    }
}

/// What is known of a machine that was there when its host went down. That is seen only now.
fn ended_with_the_host(before: &Facts) -> Facts {
    // One that never ran has not ended.
    let ran = before.machine != MachineState::Created;
    let died = || ran.then_some(EndReason::HypervisorDied { status: None });
    let last_end = before.last_end.clone().or_else(died);
    Facts { last_end, since: Some(Timestamp::now()), ..Facts::default() }
}

/// The notes of all VMs, and what goes into the next ones.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    kept: HashMap<VmId, Kept>,
    /// What the engine has found wrong with VMs.
    problems: HashMap<VmId, String>,
    /// Those that nobody has looked after since the host was booted.
    waiting: HashSet<VmId>,
    /// What was noted of machines in this boot, until it is known what runs.
    before: HashMap<VmId, Before>,
}

/// What is on record of one VM.
#[derive(Debug, Default)]
struct Kept {
    /// What the newest note says, as a digest; not known while that is being written.
    says: u64,
    /// The revision of the VM that it is of.
    revision: Revision,
    /// How many have been begun.
    begun: u64,
    /// Which of them is on record, and what keeps it there.
    held: Option<(u64, Held)>,
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
            let note = Arc::new(note);
            let says = digest(&Recorder::encoded(&Entry::Noted { note: note.clone() }));
            known.kept.insert(vm, Kept { says, held: Some((0, held)), ..Kept::default() });
            if note.boot_id.as_deref() != Some(boot_id) {
                continue;
            }
            let Note { incarnation, facts, problem, .. } = Arc::unwrap_or_clone(note);
            known.waiting.remove(&vm);
            known.problems.extend(problem.map(|problem| (vm, problem)));
            known.before.insert(vm, Before { incarnation, facts });
        }
        Self { known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What happens under the lock does not wait, and cannot panic halfway.
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

    /// Gives a note of a VM its place in the journal, unless that would say nothing new, or something newer
    /// has one already. What is returned waits until it is on record; dropped before, it may be or not.
    fn begin<'a>(
        &'a self,
        vm: &Vm,
        boot_id: &str,
        recorder: &Recorder,
    ) -> Option<impl Future<Output = ()> + Send + use<'a>> {
        let mut known = self.known();
        let note = Arc::new(known.note_of(vm, boot_id));
        let bytes = Recorder::encoded(&Entry::Noted { note });
        let (id, says) = (vm.id, digest(&bytes));
        let kept = known.kept.entry(id).or_default();
        if kept.says == says || vm.revision < kept.revision {
            return None;
        }
        kept.begun += 1;
        (kept.says, kept.revision) = (UNKNOWN, vm.revision);
        let number = kept.begun;
        // Under the lock, so that an older one is not written behind a newer one. (A note that is damaged
        // is no reason to leave its VM alone, so the record is about nobody.)
        let written = recorder.write_encoded(None, bytes, Durability::Written);
        Some(async move {
            let written = written.await;
            self.wrote(id, number, says, written);
        })
    }

    fn wrote(&self, vm: VmId, number: u64, says: u64, written: Result<Held, Refusal>) {
        let held = match written {
            Ok(held) => held,
            Err(error) => return debug!(%vm, %error, "not noted"),
        };
        let mut known = self.known();
        // One that was forgotten meanwhile is needed by nobody.
        let Some(kept) = known.kept.get_mut(&vm) else { return };
        if kept.begun == number {
            kept.says = says;
        }
        if kept.held.as_ref().is_none_or(|(newest, _)| *newest < number) {
            kept.held = Some((number, held));
        }
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
        let is_old =
            |kept: &Kept| kept.held.as_ref().is_some_and(|(_, held)| held.segment() < oldest);
        let old = known.kept.iter_mut().filter(|(_, kept)| is_old(kept));
        let renewed = |(vm, kept): (&VmId, &mut Kept)| {
            kept.says = UNKNOWN;
            *vm
        };
        old.map(renewed).collect()
    }
}

impl Known {
    fn note_of(&self, vm: &Vm, boot_id: &str) -> Note {
        Note {
            vm: vm.id,
            boot_id: (!self.waiting.contains(&vm.id)).then(|| boot_id.to_owned()),
            incarnation: vm.incarnation.as_ref().map(|incarnation| incarnation.id),
            facts: vm.facts.clone(),
            problem: self.problems.get(&vm.id).cloned(),
            dumped: vm.dumped,
            disks: vm.disks.clone(),
            guest: vm.guest.clone(),
            addresses: told_by_agent(vm).cloned().collect(),
        }
    }
}

/// Those that nobody but the guest's agent knows.
fn told_by_agent(vm: &Vm) -> impl Iterator<Item = &GuestAddress> {
    vm.addresses.iter().filter(|known| known.source == AddressSource::Agent)
}

/// No digest, or that of a note that is then written once too often.
const UNKNOWN: u64 = 0;

fn digest(note: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    note.hash(&mut hasher);
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
    /// is noted at the end of that. What cannot be written is tried again with the next change of it, and
    /// when the engine ends. Dropped halfway, it has written some.
    async fn note(&self, vms: BTreeSet<VmId>) {
        // All that was told before the marks were taken is in the view after this.
        if self.view().barrier(Vec::new()).await.is_err() {
            return;
        }
        let snapshot = self.view().snapshot();
        let idle = vms.into_iter().filter(|id| !self.is_busy(*id));
        // Each has its place before the first is waited for.
        let begun: Vec<_> = idle.filter_map(|id| self.begin_note(&snapshot, id)).collect();
        for written in begun {
            written.await;
        }
    }

    /// Notes what a VM is by now, in front of whatever is written down after this call; what is returned
    /// waits until that is on record.
    pub(crate) fn note_as_it_is(&self, vm: VmId) -> impl Future<Output = ()> + Send {
        let begun = self.begin_note(&self.view().snapshot(), vm);
        async move {
            if let Some(written) = begun {
                written.await;
            }
        }
    }

    fn begin_note<'a>(
        &'a self,
        snapshot: &Snapshot,
        id: VmId,
    ) -> Option<impl Future<Output = ()> + Send + use<'a>> {
        let notes = &self.shared.notes;
        // What another manager has can be asked of it.
        let vm = snapshot.vms.get(&id).filter(|vm| vm.manager().is_none());
        let Some(vm) = vm else {
            notes.forget(id);
            return None;
        };
        notes.begin(vm, &self.shared.boot_id, &self.shared.recorder)
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
