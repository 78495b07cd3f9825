//! Whether somebody else has changed a file.

use crate::document::DocumentId;
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What each file was like when it was last read or written here.
#[derive(Debug)]
pub(crate) struct Stamps<I>(Mutex<HashMap<I, Stamp>>);

/// What tells a file from another of the same name, or from itself with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl<I> Default for Stamps<I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<I: DocumentId> Stamps<I> {
    /// Notes what a document's file is like now, if there is one.
    pub(crate) fn note(&self, id: &I, file: &Path) {
        // Under the lock, so that nobody compares the file with what it was before.
        let mut stamps = self.stamps();
        if let Some(stamp) = stamp(file) {
            stamps.insert(id.clone(), stamp);
        }
    }

    /// Has the file count as another than it was, until it is noted.
    pub(crate) fn doubt(&self, id: I) {
        let other = Stamp { inode: 0, modified: (0, 0), size: 0 };
        self.stamps().insert(id, other);
    }

    /// Forgets what a document's file was like.
    pub(crate) fn forget(&self, id: &I) {
        self.stamps().remove(id);
    }

    /// Whether the file is there and not what it was. One that was never noted is not another.
    pub(crate) fn is_other(&self, id: &I, file: &Path) -> bool {
        let stamps = self.stamps();
        let known = stamps.get(id);
        known.is_some_and(|known| stamp(file).is_some_and(|now| now != *known))
    }

    fn stamps(&self) -> MutexGuard<'_, HashMap<I, Stamp>> {
        // A map of plain values is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let file = fs::symlink_metadata(file).ok()?;
    let modified = (file.mtime(), file.mtime_nsec());
    Some(Stamp { inode: file.ino(), modified, size: file.size() })
}
