//! The wishes, between the journal and their files.
//!
//! A changed spec is written down in the journal, which takes many at once, and its file follows
//! shortly after, together with others. Should the daemon end in between, the next one writes the
//! files from the journal. Where the journal takes nothing, the file is written at once.

use crate::{
    journal::{Entry, Recorder, unfinished::LastWish},
    perform::hands::blocking,
};
use innkeeper_model::{Refusal, Spec, VmId};
use innkeeper_store::{
    SpecStore, StoredSpec,
    journal::{Durability, Held},
};
use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tracing::warn;

/// How long a file waits for others to be written with it, at least and, where the disk is slow, at most.
const GATHER: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(2);
/// How long it waits for the end of a burst at most. Of a spec that changes again only the last is written
/// then, and none of a VM that comes and goes: a burst of ten thousand made and deleted takes seconds, and
/// two fifths of its CPU went into making files that soon were removed.
const BURST_ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How many wishes between two looks are a burst, and how often is looked whether it is over: longer than a
/// disk that is synced all the time makes everybody wait now and then, which ends no burst.
const BURST: u64 = 16;
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// How many times as long as it took to write files the next ones wait.
const REST: u32 = 4;
/// How long files that could not be written are left before they are tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The wishes. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Wishes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    specs: Arc<SpecStore>,
    recorder: Recorder,
    /// What is in the journal and not in its file.
    unwritten: Mutex<BTreeMap<VmId, Unwritten>>,
    some: Notify,
    /// The number of the last wish.
    last: AtomicU64,
    /// Why files were not written when it was last tried.
    problem: Mutex<Option<String>>,
}

#[derive(Debug, Clone)]
struct Unwritten {
    number: u64,
    /// `None`: the file is to go.
    spec: Option<Arc<Spec>>,
    /// What keeps it in the journal; nothing, where that took nothing either.
    held: Option<Held>,
}

impl Unwritten {
    fn entry(&self, vm: VmId) -> Entry {
        let number = self.number;
        match self.spec.clone() {
            Some(spec) => Entry::Wish { number, spec },
            None => Entry::NoWish { number, vm },
        }
    }
}

impl Wishes {
    /// The wishes, numbered from after `last`.
    pub(crate) fn new(specs: Arc<SpecStore>, recorder: Recorder, last: u64) -> Self {
        Self(Arc::new(Shared {
            specs,
            recorder,
            unwritten: Mutex::default(),
            some: Notify::new(),
            last: AtomicU64::new(last),
            problem: Mutex::default(),
        }))
    }

    /// Goes on with wishes of before that could not be written to their files yet.
    pub(crate) fn take_up(&self, wishes: BTreeMap<VmId, LastWish>) {
        for (vm, LastWish { number, spec, held }) in wishes {
            self.leave(vm, Unwritten { number, spec, held: Some(held) });
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<VmId, Unwritten>> {
        // Only map operations happen under the lock.
        self.0.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_problem(&self, problem: Option<String>) {
        *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// How many files wait to be written, and why those of before could not be.
    pub(crate) fn waiting(&self) -> (usize, Option<String>) {
        let problem = self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.unwritten().len(), problem)
    }

    /// Stores a spec. When this returns, a crash of the daemon does not lose it; a crash of the host
    /// does not once the task's end has been told.
    ///
    /// # Errors
    /// Neither the journal nor the file can be written, or the spec that is stored is damaged.
    pub(crate) async fn save(&self, spec: Arc<Spec>) -> Result<(), Refusal> {
        self.0.specs.refuse_if_damaged(&spec.id)?;
        let number = self.next();
        let entry = Entry::Wish { number, spec: spec.clone() };
        match self.0.recorder.write(Some(spec.id), &entry, Durability::Written).await {
            Ok(held) => {
                self.leave(spec.id, Unwritten { number, spec: Some(spec), held: Some(held) });
                Ok(())
            }
            Err(error) => {
                warn!(vm = %spec.id, %error, "a spec goes past the journal");
                let specs = self.0.specs.clone();
                self.unwritten().remove(&spec.id);
                blocking(move || Ok(specs.save(&spec)?)).await
            }
        }
    }

    /// Keeps a spec that could not be stored in memory, and stores it when that can be done.
    pub(crate) fn keep(&self, spec: Arc<Spec>) {
        let number = self.next();
        self.leave(spec.id, Unwritten { number, spec: Some(spec), held: None });
    }

    /// Forgets a VM's spec; one that is damaged only where it is given up by name.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(crate) async fn remove(&self, vm: VmId, damaged: bool) -> Result<(), Refusal> {
        let specs = self.0.specs.clone();
        if damaged {
            self.unwritten().remove(&vm);
            return blocking(move || Ok(specs.discard_damaged(vm)?)).await;
        }
        specs.refuse_if_damaged(&vm)?;
        let number = self.next();
        let entry = Entry::NoWish { number, vm };
        match self.0.recorder.write(Some(vm), &entry, Durability::Written).await {
            Ok(held) => {
                self.leave(vm, Unwritten { number, spec: None, held: Some(held) });
                Ok(())
            }
            Err(_) => {
                self.unwritten().remove(&vm);
                blocking(move || Ok(specs.remove(vm)?)).await
            }
        }
    }

    /// The stored specs whose files somebody else has changed. One that is about to be written is not
    /// among them: what it says now is about to go. Nor is one of a VM that is busy: it is among those of
    /// a later look, as long as nobody has written it by then. Blocks.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(crate) fn changed_by_hand(
        &self,
        is_busy: impl Fn(VmId) -> bool,
    ) -> Result<Vec<StoredSpec>, Refusal> {
        let mut changed = self.0.specs.changed_by_others(|vm| !is_busy(vm))?;
        changed.retain(|stored| !self.unwritten().contains_key(&stored.id()));
        Ok(changed)
    }

    /// Writes down anew what is this old and has not reached its file, as where that is damaged or its disk
    /// full, so that its segments of the journal can go.
    ///
    /// # Errors
    /// The journal takes nothing; what is old stays.
    pub(crate) async fn renew(&self, oldest: u64) -> Result<(), Refusal> {
        let is_old =
            |wish: &Unwritten| wish.held.as_ref().is_some_and(|held| held.segment() < oldest);
        let mut old = self.unwritten().clone();
        old.retain(|_, wish| is_old(wish));
        for (vm, wish) in old {
            // One that is newer may be on record by now, in front of this: the larger number counts.
            let held =
                self.0.recorder.write(Some(vm), &wish.entry(vm), Durability::Written).await?;
            if let Some(now) = self.unwritten().get_mut(&vm)
                && now.number == wish.number
            {
                now.held = Some(held);
            }
        }
        Ok(())
    }

    /// Has one of those be among the next again: nothing has come of it yet.
    pub(crate) fn look_again(&self, vm: VmId) {
        self.0.specs.look_again(vm);
    }

    /// Keeps what a person wrote into a spec's file beside it. Blocks.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_rejected(&self, written: &Spec) -> Result<(), Refusal> {
        self.0.specs.save_rejected(written)?;
        Ok(())
    }

    /// Where that is.
    pub(crate) fn rejected(&self, vm: VmId) -> PathBuf {
        self.0.specs.rejected(vm)
    }

    /// Forgets it. Blocks.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget_rejected(&self, vm: VmId) -> Result<(), Refusal> {
        Ok(self.0.specs.remove_rejected(vm)?)
    }

    fn next(&self) -> u64 {
        self.0.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn leave(&self, vm: VmId, unwritten: Unwritten) {
        self.unwritten().insert(vm, unwritten);
        self.0.some.notify_one();
    }

    /// Writes files for as long as the engine lives.
    pub(crate) async fn run(self) {
        let mut gather = *GATHER.start();
        loop {
            self.0.some.notified().await;
            self.gather(gather).await;
            let begun = Instant::now();
            let flushed = self.flush().await;
            gather = (begun.elapsed() * REST).clamp(*GATHER.start(), *GATHER.end());
            match flushed {
                Ok(()) => self.note_problem(None),
                Err(error) => {
                    warn!(%error, "specs are in the journal, and their files not written");
                    self.note_problem(Some(error.to_string()));
                    // A disk does not tell when it takes writes again.
                    tokio::time::sleep(AGAIN_AFTER).await;
                    self.0.some.notify_one();
                }
            }
        }
    }

    /// Waits for more to write, at least this long; where that is a burst of wishes, until it is over.
    async fn gather(&self, at_least: Duration) {
        let begun = Instant::now();
        let mut seen = self.0.last.load(Ordering::Relaxed);
        // Time is what is given: to those whose wishes may share a sync with these.
        tokio::time::sleep(at_least).await;
        while begun.elapsed() < BURST_ENDS_WITHIN {
            let before = std::mem::replace(&mut seen, self.0.last.load(Ordering::Relaxed));
            if seen - before < BURST {
                return;
            }
            // How many come in this time is what is looked at.
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    }

    /// Writes the files of all wishes that are only in the journal.
    ///
    /// # Errors
    /// One could not be written: the first of those, which are still in the journal. The others are
    /// written, unless it is the folder that takes nothing.
    pub(crate) async fn flush(&self) -> Result<(), Refusal> {
        let batch = self.unwritten().clone();
        if batch.is_empty() {
            return Ok(());
        }
        let (specs, wishes) = (self.0.specs.clone(), batch.clone());
        let wishes = wishes.into_iter().map(|(vm, wish)| (vm, wish.spec));
        let failed = blocking(move || write(&specs, wishes)).await?;
        let written: BTreeMap<VmId, u64> = batch
            .into_iter()
            .filter(|(vm, _)| !failed.contains_key(vm))
            .map(|(vm, wish)| (vm, wish.number))
            .collect();
        if !written.is_empty() {
            let wishes = written.iter().map(|(vm, number)| (*vm, *number)).collect();
            // Without this note the next daemon would only write what is there again.
            let _ = self.0.recorder.write(None, &Entry::Kept { wishes }, Durability::Written).await;
        }
        self.unwritten().retain(|vm, now| written.get(vm) != Some(&now.number));
        failed.into_values().next().map_or(Ok(()), Err)
    }
}

/// Writes the files of wishes, and tells which it could not: a file that somebody has damaged keeps no
/// other from being written. Blocks.
///
/// # Errors
/// The folder cannot be written to; whichever were written, none is told to be.
pub(crate) fn write(
    specs: &SpecStore,
    wishes: impl IntoIterator<Item = (VmId, Option<Arc<Spec>>)>,
) -> Result<BTreeMap<VmId, Refusal>, Refusal> {
    let mut failed = BTreeMap::new();
    for (vm, spec) in wishes {
        let left = match &spec {
            Some(spec) => specs.save_unsynced(spec),
            None => specs.remove_unsynced(vm),
        };
        if let Err(error) = left {
            failed.insert(vm, error.into());
        }
    }
    specs.sync_all()?;
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::unfinished::tests::spec;

    #[test]
    fn a_damaged_file_keeps_no_other_from_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let specs = SpecStore::open(folder.path()).unwrap();
        let mut ids = [VmId::new(), VmId::new()];
        ids.sort();
        let [damaged, whole] = ids;
        std::fs::write(specs.file(&damaged), "{").unwrap();
        assert_eq!(specs.load().unwrap().len(), 1);
        let wishes = ids.map(|vm| (vm, Some(spec(vm, 1))));
        let failed = write(&specs, wishes).unwrap();
        assert_eq!(failed.into_keys().collect::<Vec<_>>(), [damaged]);
        assert!(matches!(specs.load_one(whole), Some(StoredSpec::Whole(_))));
        assert!(specs.file(&whole).exists());
        assert_eq!(std::fs::read(specs.file(&damaged)).unwrap(), b"{");
    }
}
