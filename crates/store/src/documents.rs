//! Specs, networks and quotas: one JSON file each, `<id>.json`, readable by its owner only.
//!
//! Owns the folder and the rule that nothing damaged is erased or overwritten unless somebody says so
//! in so many words. What a damaged file means for what it is of is the engine's business.

use crate::{
    atomic::{WriteFailed, is_temporary, sync_folder, write_atomically},
    document::{Document, DocumentId},
    envelope::{self, Damage},
    harm, rejected,
    stamps::Stamps,
    write_behind::{Change, WriteBehind},
};
use innkeeper_model::{Code, Network, Refusal, Spec, StoredQuota};
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

/// What the name of a file ends with, after the id.
const EXTENSION: &str = ".json";
/// How many files make it worth while to read with one more thread.
const FILES_PER_READER: usize = 128;
/// The most threads that read at once: what starts here is a daemon, and its host has guests.
const MAX_READERS: usize = 4;

/// The stored specs of one host's VMs.
pub type SpecStore = Store<Spec>;
/// One stored spec, as it was found.
pub type StoredSpec = Stored<Spec>;
/// The stored networks of one host, without their facts.
pub type NetworkStore = Store<Network>;
/// One stored network, as it was found.
pub type StoredNetwork = Stored<Network>;
/// The quotas that projects of one host have of their own.
pub type QuotaStore = Store<StoredQuota>;

/// The stored documents of one kind. All methods wait for the disk; all may be called from any thread.
/// Two changes of the *same* document at once are the caller's to prevent, as the engine's queues do.
#[derive(Debug)]
pub struct Store<D: Document> {
    folder: PathBuf,
    /// Whose file was damaged when it was last read; it may not be overwritten.
    damaged: Mutex<BTreeSet<D::Id>>,
    /// What each file was like when it was last read or written here.
    stamps: Stamps<D::Id>,
    /// What is to be stored at the next [`Store::sync_all`].
    unsynced: WriteBehind<D::Id>,
}

/// One stored document, as it was found.
#[derive(Debug)]
pub enum Stored<D: Document> {
    /// It is whole.
    Whole(Box<D>),
    /// It is not; the file was left as it is.
    Damaged {
        /// What the file is named for.
        id: D::Id,
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        reason: Damage,
    },
}

/// Why the store did not do something. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailed {
    /// The folder cannot be made, listed or cleaned of temporary files.
    #[error("cannot use the folder of what is stored, {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A document cannot be written.
    #[error(transparent)]
    Write(#[from] WriteFailed),
    /// A document's file cannot be removed.
    #[error("cannot remove {}", file.display())]
    Remove {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The stored document is damaged, so it is neither overwritten nor removed.
    #[error("what is stored of {kind} {id} is damaged, and is left alone until a person mends it")]
    Damaged {
        /// What people call such a thing.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Its file.
        file: PathBuf,
    },
}

impl From<StoreFailed> for Refusal {
    fn from(failed: StoreFailed) -> Self {
        let message = failed.to_string();
        match failed {
            StoreFailed::Write(failed) => failed.into(),
            StoreFailed::Damaged { kind, file, .. } => Self::new(Code::Quarantined, message)
                .with_hint(format!("mend {} or delete the {kind}", file.display())),
            StoreFailed::Folder { source, .. } | StoreFailed::Remove { source, .. } => {
                let mut refusal = Self::from(source);
                refusal.message = format!("{message}: {}", refusal.message);
                refusal
            }
        }
    }
}

impl<D: Document> Stored<D> {
    /// What its file is named for.
    pub fn id(&self) -> D::Id {
        match self {
            Self::Whole(document) => document.id(),
            Self::Damaged { id, .. } => id.clone(),
        }
    }
}

impl<D: Document> Store<D> {
    /// Opens the folder, making it (0700) if it is not there, and removes what a crash left of
    /// files that were being written.
    ///
    /// # Errors
    /// [`StoreFailed::Folder`].
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreFailed> {
        let folder = folder.into();
        prepare(&folder)
            .map_err(|source| StoreFailed::Folder { folder: folder.clone(), source })?;
        let (damaged, stamps, unsynced) = Default::default();
        Ok(Self { folder, damaged, stamps, unsynced })
    }

    /// Every stored document, in the order of the ids. Files that are not named for an id are not
    /// the store's; they are logged and left alone.
    ///
    /// # Errors
    /// [`StoreFailed::Folder`] if the folder cannot be listed; a file that cannot be read is a
    /// [`Stored::Damaged`] among the others.
    pub fn load(&self) -> Result<Vec<Stored<D>>, StoreFailed> {
        let ids = self
            .ids()
            .map_err(|source| StoreFailed::Folder { folder: self.folder.clone(), source })?;
        let readers = (ids.len() / FILES_PER_READER).clamp(1, MAX_READERS);
        let chunk = ids.len().div_ceil(readers).max(1);
        Ok(thread::scope(|scope| {
            let readers: Vec<_> = ids
                .chunks(chunk)
                .map(|ids| scope.spawn(|| ids.iter().map(|id| self.read(id.clone())).collect()))
                .collect();
            let join = |reader: thread::ScopedJoinHandle<'_, Vec<Stored<D>>>| {
                reader.join().expect("reading a file does not panic")
            };
            readers.into_iter().flat_map(join).collect()
        }))
    }

    /// One stored document, read again: what tells whether a person has mended it. `None` if
    /// there is no file. What waits for [`sync_all`](Self::sync_all) is as good as stored.
    pub fn load_one(&self, id: D::Id) -> Option<Stored<D>> {
        if let Some(change) = self.unsynced.get(&id) {
            let document =
                change.as_ref().as_ref().and_then(|bytes| envelope::read(id, bytes).ok())?;
            return Some(Stored::Whole(Box::new(document)));
        }
        match self.read(id) {
            Stored::Damaged { id, reason: Damage::Unreadable(error), .. }
                if error.kind() == io::ErrorKind::NotFound =>
            {
                self.damaged().remove(&id);
                None
            }
            stored => Some(stored),
        }
    }

    /// Stores a document, in place of the one it has or as its first. Once this has returned, a crash
    /// does not lose it. Of a spec's secrets only digests are stored, of a network's facts nothing.
    ///
    /// # Errors
    /// [`StoreFailed::Damaged`] if what it would replace was found damaged;
    /// [`StoreFailed::Write`], with the old one still stored.
    pub fn save(&self, document: &D) -> Result<(), StoreFailed> {
        let id = document.id();
        self.refuse_if_damaged(&id)?;
        self.unsynced.forget(&id);
        let file = self.file(&id);
        write_atomically(&file, &envelope::write(document), 0o600)?;
        self.stamps.note(&id, &file);
        Ok(())
    }

    /// Stores a document at the next [`sync_all`](Self::sync_all), which stores a hundred for not much
    /// more than [`save`](Self::save) does one. Until then it is in memory only, and the end of the
    /// daemon loses it: for documents that the journal holds until they are stored. Does not wait.
    ///
    /// # Errors
    /// [`StoreFailed::Damaged`], as for `save`. That the disk is full shows in `sync_all`.
    pub fn save_unsynced(&self, document: &D) -> Result<(), StoreFailed> {
        self.refuse_if_damaged(&document.id())?;
        self.unsynced.put(document.id(), Change::new(Some(envelope::write(document))));
        Ok(())
    }

    /// Forgets a document at the next [`sync_all`](Self::sync_all), and until then as
    /// [`save_unsynced`](Self::save_unsynced) stores one.
    ///
    /// # Errors
    /// [`StoreFailed::Damaged`] if it was found damaged.
    pub fn remove_unsynced(&self, id: D::Id) -> Result<(), StoreFailed> {
        self.refuse_if_damaged(&id)?;
        self.unsynced.put(id, Change::new(None));
        Ok(())
    }

    /// Stores what waits: new files are written beside the old ones and synced, then take their places,
    /// then the folder is synced. A crash of the daemon or the host at any moment leaves of each
    /// document the old one or the new one, whole; once this has returned, the new ones. Nothing else on the
    /// file system is waited for, as the guests' disks would be by `syncfs`. A change that comes while
    /// this works waits for the next.
    ///
    /// # Errors
    /// The first failure. Everything else was done, and what failed waits for the next call.
    pub fn sync_all(&self) -> Result<(), StoreFailed> {
        self.unsynced.sync(&self.folder, &self.stamps, |id| self.file(id))
    }

    /// The documents whose files somebody else has changed since they were last read or written here,
    /// read anew. Files that are gone or new are not among them. What is not `meant` is not looked at,
    /// and is among those of a later call.
    ///
    /// # Errors
    /// [`StoreFailed::Folder`].
    pub fn changed_by_others(
        &self,
        meant: impl Fn(D::Id) -> bool,
    ) -> Result<Vec<Stored<D>>, StoreFailed> {
        let ids = self
            .ids()
            .map_err(|source| StoreFailed::Folder { folder: self.folder.clone(), source })?;
        let changed = |id: &D::Id| meant(id.clone()) && self.stamps.is_other(id, &self.file(id));
        Ok(ids.into_iter().filter(changed).map(|id| self.read(id)).collect())
    }

    /// Has a document be among those of the next [`changed_by_others`](Self::changed_by_others), unless it
    /// is stored or removed before.
    pub fn look_again(&self, id: D::Id) {
        self.stamps.doubt(id);
    }

    /// Keeps a document that is not to be in force in a file beside its own, in place of the one that was
    /// kept so before. It goes with the document, or by [`remove_rejected`](Self::remove_rejected).
    ///
    /// # Errors
    /// [`StoreFailed::Write`].
    pub fn save_rejected(&self, document: &D) -> Result<(), StoreFailed> {
        let file = self.rejected(document.id());
        Ok(write_atomically(&file, &envelope::write(document), 0o600)?)
    }

    /// The file that such a document is kept in.
    pub fn rejected(&self, id: D::Id) -> PathBuf {
        rejected::beside(&self.file(&id))
    }

    /// Forgets what was kept so. That there is nothing is no failure.
    ///
    /// # Errors
    /// [`StoreFailed::Remove`].
    pub fn remove_rejected(&self, id: D::Id) -> Result<(), StoreFailed> {
        let file = self.file(&id);
        rejected::remove(&file).map_err(|source| StoreFailed::Remove { file, source })
    }

    /// Forgets a document. That there is none is no failure, so that a crash can be repeated.
    ///
    /// # Errors
    /// [`StoreFailed::Damaged`] if it was found damaged; [`StoreFailed::Remove`].
    pub fn remove(&self, id: D::Id) -> Result<(), StoreFailed> {
        self.refuse_if_damaged(&id)?;
        self.remove_file(&id)
    }

    /// Forgets a document even though it is damaged: for when a person has said so, and never
    /// otherwise.
    ///
    /// # Errors
    /// [`StoreFailed::Remove`].
    pub fn discard_damaged(&self, id: D::Id) -> Result<(), StoreFailed> {
        self.remove_file(&id)?;
        self.damaged().remove(&id);
        Ok(())
    }

    /// The file that a document is stored in.
    pub fn file(&self, id: &D::Id) -> PathBuf {
        self.folder.join(format!("{id}{EXTENSION}"))
    }

    fn read(&self, id: D::Id) -> Stored<D> {
        let file = self.file(&id);
        self.stamps.note(&id, &file);
        let document = fs::read(&file)
            .map_err(Damage::Unreadable)
            .and_then(|bytes| envelope::read(id.clone(), &bytes));
        match document {
            Ok(document) => {
                self.damaged().remove(&id);
                Stored::Whole(Box::new(document))
            }
            Err(reason) => {
                self.damaged().insert(id.clone());
                Stored::Damaged { id, file, reason }
            }
        }
    }

    fn remove_file(&self, id: &D::Id) -> Result<(), StoreFailed> {
        let file = self.file(id);
        self.unsynced.forget(id);
        self.stamps.forget(id);
        let removed = rejected::remove(&file).and_then(|()| match harm::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.and_then(|()| sync_folder(&self.folder)),
        });
        removed.map_err(|source| StoreFailed::Remove { file, source })
    }

    /// Refuses what would overwrite or remove a file that was found damaged.
    ///
    /// # Errors
    /// [`StoreFailed::Damaged`].
    pub fn refuse_if_damaged(&self, id: &D::Id) -> Result<(), StoreFailed> {
        if self.damaged().contains(id) {
            let (id, file) = (id.to_string(), self.file(id));
            return Err(StoreFailed::Damaged { kind: D::KIND, id, file });
        }
        Ok(())
    }

    fn ids(&self) -> io::Result<Vec<D::Id>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            match name.to_str().and_then(id_of_file) {
                Some(id) => ids.push(id),
                None if name.to_str().is_some_and(rejected::is_one) => {}
                None => tracing::warn!(
                    file = %self.folder.join(&name).display(),
                    "nothing that is stored: its name is not the id of a {}", D::KIND
                ),
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn damaged(&self) -> MutexGuard<'_, BTreeSet<D::Id>> {
        // A set of ids is whole after any panic.
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prepare(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_temporary) {
            harm::remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// The id that a file of this name belongs to. Only its customary spelling counts: a UUID has
/// others, and one document must not have two files.
fn id_of_file<I: DocumentId>(name: &str) -> Option<I> {
    let text = name.strip_suffix(EXTENSION)?;
    let id: I = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
