//! The registry of a host by itself: a database in one file, and all of it in memory.
//!
//! Reads take the snapshot that the last commit left, and never wait. One thread commits: all that
//! waits when it is free is judged in the order it came, written together and synced once, then shown
//! to readers, then answered. So sixteen writers wait for the disk about as long as one.
//!
//! After a failure the file is opened and read again, and says what of the last batch is in it. Until
//! it can be opened, reads go on and commits are refused.

mod file;
mod writer;

use super::{
    Registry,
    failed::{CommitFailed, RegistryFailed},
    record::{self, MAX_RECORD},
    snapshot::Snapshot,
    transaction::{Transaction, Write},
};
use crate::redb_file::{self, Open};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use file::File;
use innkeeper_model::Revision;
use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;
use writer::{Commit, Stored, Writer};

/// A registry in one file. When it is dropped, what was asked for is made, and its thread ends; that
/// is waited for.
#[derive(Debug)]
pub struct EmbeddedRegistry {
    shown: Arc<ArcSwap<Snapshot>>,
    commits: Option<Sender<Commit>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedRegistry {
    /// Opens the registry in a file, or makes one (0600), and reads all of it; waits for the disk.
    /// What in it is damaged is in the snapshots, and in the log.
    ///
    /// # Errors
    /// [`RegistryFailed::Open`] if the file cannot be opened or made, or is no registry that this
    /// version knows; it is then left as it is.
    pub fn open(file: &Path) -> Result<Self, RegistryFailed> {
        Self::open_with(file, Arc::new(redb_file::File))
    }

    fn open_with(file: &Path, open: Arc<dyn Open>) -> Result<Self, RegistryFailed> {
        let mut file = File::new(file, open);
        let snapshot = file.load()?;
        for damaged in snapshot.damaged() {
            let (key, reason) = (&damaged.path, &*damaged.reason);
            tracing::error!(key, %reason, "a record of the registry is damaged, and left as it is");
        }
        let shown = Arc::new(ArcSwap::from_pointee(snapshot));
        let (commits, received) = channel();
        let writer = Writer::new(file, Arc::clone(&shown));
        let thread = thread::Builder::new().name("registry-writer".into());
        let thread = thread
            .spawn(move || writer.run(&received))
            .map_err(|error| RegistryFailed::Write { source: Arc::new(error.into()) })?;
        Ok(Self { shown, commits: Some(commits), thread: Some(thread) })
    }
}

#[async_trait]
impl Registry for EmbeddedRegistry {
    async fn snapshot(&self) -> Result<Arc<Snapshot>, RegistryFailed> {
        Ok(self.shown.load_full())
    }

    async fn commit(&self, transaction: Transaction) -> Result<Revision, CommitFailed> {
        let stored = encode(&transaction.writes)?;
        let (answer, answered) = oneshot::channel();
        let commit = Commit { transaction, stored, answer };
        let closed = || CommitFailed::Store(RegistryFailed::Closed);
        let commits = self.commits.as_ref().ok_or_else(closed)?;
        commits.send(commit).map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Drop for EmbeddedRegistry {
    fn drop(&mut self) {
        // Without a sender the writer ends, once it has made what waits.
        self.commits = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the registry's thread has panicked");
        }
    }
}

/// The bytes of what is written, made by those who ask rather than by the one thread.
fn encode(writes: &[Write]) -> Result<Vec<Stored>, CommitFailed> {
    let stored = |write: &Write| match write {
        Write::Put(put) => {
            let (key, bytes) = (put.key(), record::write(put));
            if bytes.len() > MAX_RECORD {
                return Err(CommitFailed::TooLarge { key, size: bytes.len() });
            }
            Ok(Stored { key, bytes: Some(bytes) })
        }
        Write::Remove(key) => Ok(Stored { key: *key, bytes: None }),
    };
    writes.iter().map(stored).collect()
}

#[cfg(test)]
mod tests;
