//! Whether somebody else has changed a file.

use innkeeper_model::VmId;
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What each file was like when it was last read or written here.
#[derive(Debug, Default)]
pub(crate) struct Stamps(Mutex<HashMap<VmId, Stamp>>);

/// What tells a file from another of the same name, or from itself with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamps {
    /// Notes what a VM's file is like now, if there is one.
    pub(crate) fn note(&self, id: VmId, file: &Path) {
        // Under the lock, so that nobody compares the file with what it was before.
        let mut stamps = self.stamps();
        if let Some(stamp) = stamp(file) {
            stamps.insert(id, stamp);
        }
    }

    /// Forgets what a VM's file was like.
    pub(crate) fn forget(&self, id: VmId) {
        self.stamps().remove(&id);
    }

    /// Whether the file is there and not what it was. One that was never noted is not another.
    pub(crate) fn is_other(&self, id: VmId, file: &Path) -> bool {
        let stamps = self.stamps();
        let known = stamps.get(&id);
        known.is_some_and(|known| stamp(file).is_some_and(|now| now != *known))
    }

    fn stamps(&self) -> MutexGuard<'_, HashMap<VmId, Stamp>> {
        // A map of plain values is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let file = fs::symlink_metadata(file).ok()?;
    let modified = (file.mtime(), file.mtime_nsec());
    Some(Stamp { inode: file.ino(), modified, size: file.size() })
}
