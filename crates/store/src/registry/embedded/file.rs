//! The file: what is in it, and how it is changed.

use super::writer::Stored;
use crate::{
    redb_file::{self, ABOUT, Open},
    registry::{
        failed::RegistryFailed,
        record,
        snapshot::{Damaged, Snapshot},
    },
};
use arc_swap::ArcSwap;
use innkeeper_model::Revision;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Records by the text of their key: the revision of their last change, and their bytes.
const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
/// What was damaged and has been replaced, by its key and revision: kept for a person to look at.
const REPLACED: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("replaced");
const REVISION_KEY: &str = "revision";
/// The version of the tables that this binary writes, and the only one that it reads.
const SCHEMA: u64 = 1;

/// How much of the file is kept in memory, in bytes: all of it is in the snapshot already.
const CACHE: usize = 8 << 20;

/// The file of a registry.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    open: Arc<dyn Open>,
    /// `None` before it is loaded and after a failure.
    database: Option<Database>,
}

impl File {
    pub(super) fn new(path: &Path, open: Arc<dyn Open>) -> Self {
        Self { path: path.into(), open, database: None }
    }

    /// Opens it and reads all that is in it.
    pub(super) fn load(&mut self) -> Result<Snapshot, RegistryFailed> {
        let failed =
            |error| RegistryFailed::Open { file: self.path.clone(), source: Arc::new(error) };
        let opened = redb_file::open(&self.path, &*self.open, CACHE, "the registry", check_schema);
        let database = opened.map_err(failed)?;
        let snapshot = redb_file::caught(|| read(&database)).map_err(failed)?;
        self.database = Some(database);
        Ok(snapshot)
    }

    /// Opens it again after a failure; what is in it is then what is shown.
    pub(super) fn is_open_or_opens(
        &mut self,
        shown: &ArcSwap<Snapshot>,
    ) -> Result<(), RegistryFailed> {
        if self.database.is_none() {
            shown.store(Arc::new(self.load()?));
        }
        Ok(())
    }

    /// Stores changes, all of them or none, and waits for the disk; `before` is what is stored now,
    /// and `revision` the one that they reach. After a failure what is in the file is shown.
    pub(super) fn write(
        &mut self,
        before: &Snapshot,
        revision: Revision,
        changes: &[(Revision, &Stored)],
        shown: &ArcSwap<Snapshot>,
    ) -> Result<(), RegistryFailed> {
        let Some(database) = self.database.take() else { return Err(RegistryFailed::Closed) };
        let mut committing = false;
        let written = redb_file::caught(|| {
            let write = database.begin_write()?;
            {
                let mut records = write.open_table(RECORDS)?;
                let mut replaced = write.open_table(REPLACED)?;
                for (revision, Stored { key, bytes }) in changes {
                    let path = key.to_string();
                    if let Some(damaged) = before.damage_of(*key) {
                        keep(&records, &mut replaced, damaged)?;
                    }
                    match bytes {
                        Some(bytes) => drop(records.insert(&*path, (revision.0, &**bytes))?),
                        None => drop(records.remove(&*path)?),
                    }
                }
                write.open_table(ABOUT)?.insert(REVISION_KEY, revision.0)?;
            }
            committing = true;
            Ok(write.commit()?)
        });
        let Err(error) = written else {
            self.database = Some(database);
            return Ok(());
        };
        // After a failure redb wants to be opened anew. What is damaged can make it panic once more.
        drop(redb_file::caught(|| {
            drop(database);
            Ok(())
        }));
        let loaded = self.is_open_or_opens(shown);
        let source = Arc::new(error);
        match loaded {
            Ok(()) if shown.load().revision() >= revision => Ok(()),
            Err(_) if committing => Err(RegistryFailed::OutcomeUnknown { source }),
            Ok(()) | Err(_) => Err(RegistryFailed::Write { source }),
        }
    }
}

/// Makes the tables in a new database; refuses one that is another's, or of another version.
fn check_schema(database: &Database) -> Result<(), redb::Error> {
    redb_file::check_schema(database, SCHEMA, |database| {
        let write = database.begin_write()?;
        write.open_table(RECORDS)?;
        write.open_table(REPLACED)?;
        Ok(write)
    })
}

fn read(database: &Database) -> Result<Snapshot, redb::Error> {
    let read = database.begin_read()?;
    let mut snapshot = Snapshot::default();
    let records = read.open_table(RECORDS)?;
    let mut missing = records.len()?;
    for entry in records.iter()? {
        let (path, value) = entry?;
        missing = missing.wrapping_sub(1);
        let (path, (revision, bytes)) = (path.value(), value.value());
        let revision = Revision(revision);
        match record::read(path, bytes) {
            Ok(record) => snapshot.insert(revision, record),
            Err(reason) => {
                let (path, reason) = (path.to_owned(), Arc::new(reason));
                snapshot.insert_damaged(Damaged { path, revision, reason });
            }
        }
    }
    if missing != 0 {
        // A page between the table's root and its records is not what was written.
        return Err(redb::Error::Corrupted("records are missing".into()));
    }
    let reached = read.open_table(ABOUT)?.get(REVISION_KEY)?.map_or(0, |reached| reached.value());
    snapshot.reach(Revision(reached));
    Ok(snapshot)
}

/// Keeps the bytes of something damaged that is about to be replaced.
fn keep(
    records: &redb::Table<'_, &'static str, (u64, &'static [u8])>,
    replaced: &mut redb::Table<'_, (&'static str, u64), &'static [u8]>,
    damaged: &Damaged,
) -> Result<(), redb::Error> {
    let Some(value) = records.get(&*damaged.path)? else { return Ok(()) };
    let (revision, bytes) = value.value();
    if revision == damaged.revision.0 {
        tracing::warn!(
            key = damaged.path,
            "a damaged record is replaced; its bytes are kept apart"
        );
        replaced.insert((&*damaged.path, revision), bytes)?;
    }
    Ok(())
}
