//! Changes of many files, made together: what waits for the disk once instead of a thousand times.

use crate::{
    atomic::{WriteFailed, sync_folder, temporary_name, write_unsynced},
    document::DocumentId,
    documents::StoreFailed,
    harm, rejected,
    stamps::Stamps,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What a file is to hold; `None` if it is to go. Two changes are the same if they are one object.
pub(crate) type Change = Arc<Option<Vec<u8>>>;

/// How many files are open at once.
const MAX_OPEN: usize = 256;
/// How many syncs wait at once. The file system takes what waits at the same time in one go.
const SYNCERS: usize = 4;

/// Changes that wait, the last one of each document.
#[derive(Debug)]
pub(crate) struct WriteBehind<I>(Mutex<BTreeMap<I, Change>>);

/// A change on its way.
struct Prepared<'a, I> {
    id: I,
    change: &'a Change,
    /// The new file, not in its place yet.
    new: Option<(PathBuf, File)>,
}

impl<I> Default for WriteBehind<I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<I: DocumentId> WriteBehind<I> {
    /// Adds a change, in place of one that waits.
    pub(crate) fn put(&self, id: I, change: Change) {
        self.changes().insert(id, change);
    }

    /// Drops a change that something newer has overtaken. Once this has returned it is in its place,
    /// or will never be.
    pub(crate) fn forget(&self, id: &I) {
        self.changes().remove(id);
    }

    /// The change that waits.
    pub(crate) fn get(&self, id: &I) -> Option<Change> {
        self.changes().get(id).cloned()
    }

    /// Makes the changes that wait now, in files of this folder.
    pub(crate) fn sync(
        &self,
        folder: &Path,
        stamps: &Stamps<I>,
        file: impl Fn(&I) -> PathBuf,
    ) -> Result<(), StoreFailed> {
        let waiting: Vec<(I, Change)> =
            self.changes().iter().map(|(id, change)| (id.clone(), Arc::clone(change))).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let mut made = Vec::new();
        let mut failed = None;
        for some in waiting.chunks(MAX_OPEN) {
            for (prepared, result) in prepare(folder, some) {
                let (id, file) = (prepared.id.clone(), file(&prepared.id));
                match result.and_then(|()| self.put_in_place(&prepared, stamps, &file)) {
                    Ok(()) => made.push((id, Arc::clone(prepared.change))),
                    Err(error) => drop(failed.get_or_insert((file, error))),
                }
            }
        }
        let in_folder = |source| StoreFailed::Folder { folder: folder.into(), source };
        sync_folder(folder).map_err(in_folder)?;
        let mut changes = self.changes();
        for (id, change) in made {
            if changes.get(&id).is_some_and(|now| Arc::ptr_eq(now, &change)) {
                changes.remove(&id);
            }
        }
        match failed {
            Some((path, source)) => Err(WriteFailed { path, source }.into()),
            None => Ok(()),
        }
    }

    /// Under the lock, so that what was forgotten meanwhile does not take the place of what is newer.
    fn put_in_place(
        &self,
        prepared: &Prepared<'_, I>,
        stamps: &Stamps<I>,
        file: &Path,
    ) -> io::Result<()> {
        let Prepared { id, change, new } = prepared;
        let changes = self.changes();
        if !changes.get(id).is_some_and(|now| Arc::ptr_eq(now, change)) {
            return Ok(());
        }
        match new {
            Some((new, _)) => {
                fs::rename(new, file)?;
                stamps.note(id, file);
                Ok(())
            }
            None => {
                stamps.forget(id);
                rejected::remove(file)?;
                match harm::remove_file(file) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    other => other,
                }
            }
        }
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<I, Change>> {
        // A map of whole changes is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Drop for Prepared<'_, I> {
    fn drop(&mut self) {
        if let Some((new, _)) = &self.new {
            // Most often it has its place, and is not there any more.
            drop(harm::remove_file(new));
        }
    }
}

/// Writes the new files, then syncs them.
fn prepare<'a, I: DocumentId>(
    folder: &Path,
    changes: &'a [(I, Change)],
) -> Vec<(Prepared<'a, I>, io::Result<()>)> {
    let mut all: Vec<_> =
        changes.iter().map(|(id, change)| write(folder, id.clone(), change)).collect();
    thread::scope(|scope| {
        for some in all.chunks_mut(changes.len().div_ceil(SYNCERS)) {
            scope.spawn(|| some.iter_mut().for_each(sync));
        }
    });
    all
}

fn write<'a, I>(folder: &Path, id: I, change: &'a Change) -> (Prepared<'a, I>, io::Result<()>) {
    let mut prepared = Prepared { id, change, new: None };
    let Some(bytes) = &**change else { return (prepared, Ok(())) };
    let new = folder.join(temporary_name());
    let written = write_unsynced(&new, bytes, 0o600)
        .inspect_err(|_| drop(harm::remove_file(&new)))
        .map(|file| prepared.new = Some((new, file)));
    (prepared, written)
}

fn sync<I>((prepared, result): &mut (Prepared<'_, I>, io::Result<()>)) {
    if let (Some((_, file)), Ok(())) = (&prepared.new, &result) {
        *result = file.sync_data();
    }
}
