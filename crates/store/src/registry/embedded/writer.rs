//! The one thread that changes the registry.

use super::{super::key::Key, file::File};
use crate::registry::{
    failed::{CommitFailed, RegistryFailed},
    snapshot::Snapshot,
    transaction::Transaction,
};
use arc_swap::ArcSwap;
use innkeeper_model::Revision;
use std::sync::{Arc, mpsc::Receiver};
use tokio::sync::oneshot;

/// The most transactions that are written together: a batch that grows without end would be
/// answered at its end.
const MAX_BATCH: usize = 1024;

/// A transaction on its way.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) transaction: Transaction,
    /// What its writes store, one for each.
    pub(super) stored: Vec<Stored>,
    pub(super) answer: oneshot::Sender<Result<Revision, CommitFailed>>,
}

/// What is stored under a key from a revision on; nothing, if there are no bytes.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: Key,
    pub(super) bytes: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    shown: Arc<ArcSwap<Snapshot>>,
}

impl Writer {
    pub(super) fn new(file: File, shown: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { file, shown }
    }

    /// Commits until nobody can ask any more.
    pub(super) fn run(mut self, commits: &Receiver<Commit>) {
        while let Ok(first) = commits.recv() {
            let rest = commits.try_iter().take(MAX_BATCH - 1);
            self.commit(std::iter::once(first).chain(rest).collect());
        }
    }

    fn commit(&mut self, batch: Vec<Commit>) {
        let written = self.file.is_open_or_opens(&self.shown).and_then(|()| self.write(&batch));
        match written {
            Ok((after, judged)) => {
                self.shown.store(Arc::new(after));
                answer(batch, judged);
            }
            Err(failed) => {
                tracing::error!(%failed, "the registry was not changed");
                let judged = batch.iter().map(|_| Err(failed.clone().into())).collect();
                answer(batch, judged);
            }
        }
    }

    /// Judges a batch, one after the other, and writes what holds.
    fn write(&mut self, batch: &[Commit]) -> Result<(Snapshot, Vec<Judged>), RegistryFailed> {
        let before = self.shown.load_full();
        let mut after = Snapshot::clone(&before);
        let mut judged = Vec::with_capacity(batch.len());
        let mut changes = Vec::with_capacity(batch.len());
        for commit in batch {
            let Transaction { conditions, writes } = &commit.transaction;
            let broken = conditions.iter().find(|condition| !condition.holds(&after));
            judged.push(match broken {
                Some(broken) => Err(CommitFailed::Conflict(*broken)),
                None => {
                    let revision = after.apply(writes);
                    changes.extend(commit.stored.iter().map(|stored| (revision, stored)));
                    Ok(revision)
                }
            });
        }
        if after.revision() > before.revision() {
            self.file.write(&before, after.revision(), &changes, &self.shown)?;
        }
        Ok((after, judged))
    }
}

type Judged = Result<Revision, CommitFailed>;

fn answer(batch: Vec<Commit>, judged: Vec<Judged>) {
    for (commit, judged) in batch.into_iter().zip(judged) {
        // Whoever does not wait any more does not want to know.
        drop(commit.answer.send(judged));
    }
}
