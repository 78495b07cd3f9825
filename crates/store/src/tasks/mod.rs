//! The history of tasks: what was done, by whom, and how it ended.
//!
//! It lives in a database of one file, and may be lost without losing a VM: what is yet to be done is
//! in the journal. So nothing here keeps the daemon from starting or working. A file that is no
//! database, or one that is damaged or of a newer version, is moved aside and a new one made, when it
//! is opened or whenever it is found out. After an error of the disk the file is opened again.
//!
//! Each write also stores which pages are free (redb's *quick repair*). It makes a write about a
//! millisecond slower for each gibibyte, and opening after a crash take a millisecond, whatever the
//! size; without it, all pages are read.

mod database;

use crate::redb_file::{self, Open};
use database::TASKS;
use innkeeper_model::{Code, Refusal, Task, TaskId, Timestamp};
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many tasks are removed at once: others want to write too, and this takes some milliseconds.
const PRUNED_AT_ONCE: usize = 1000;

/// The tasks that were remembered. All methods wait for the disk; all may be called from any thread.
#[derive(Debug)]
pub struct TaskHistory {
    file: PathBuf,
    open: Arc<dyn Open>,
    /// `None` after an error; the next to come opens it again.
    database: Mutex<Option<Arc<redb::Database>>>,
}

/// A history that was opened.
#[derive(Debug)]
pub struct OpenedHistory {
    /// The history.
    pub history: TaskHistory,
    /// Why that of before could not be used, and where it is now.
    pub lost: Option<String>,
}

/// Why the history did not do something. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TaskHistoryFailed {
    /// The file cannot be opened, or not be moved aside.
    #[error("cannot open the history of tasks, {}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Box<redb::Error>,
    },
    /// It cannot be read or written.
    #[error("cannot read or write the history of tasks, {}", file.display())]
    Use {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Box<redb::Error>,
    },
}

impl From<TaskHistoryFailed> for Refusal {
    fn from(failed: TaskHistoryFailed) -> Self {
        let message = failed.to_string();
        let (TaskHistoryFailed::Open { source, .. } | TaskHistoryFailed::Use { source, .. }) =
            failed;
        match *source {
            redb::Error::Io(error) => {
                let mut refusal = Self::from(error);
                refusal.message = format!("{message}: {}", refusal.message);
                refusal
            }
            other => Self::new(Code::Internal, message).caused_by(&other),
        }
    }
}

impl TaskHistory {
    /// Opens the history in a file, or makes one (0600). One that cannot be used is moved aside, to
    /// `<file>.damaged-<number>`, and a new one made.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Open`] if the disk does not let it be opened or made.
    pub fn open(file: &Path) -> Result<OpenedHistory, TaskHistoryFailed> {
        Self::open_with(file, Arc::new(redb_file::File))
    }

    fn open_with(file: &Path, open: Arc<dyn Open>) -> Result<OpenedHistory, TaskHistoryFailed> {
        let opened = database::open_or_replace(file, &*open);
        let (database, lost) = opened.map_err(|error| failed_to_open(file, error))?;
        let database = Mutex::new(Some(Arc::new(database)));
        Ok(OpenedHistory { history: Self { file: file.into(), open, database }, lost })
    }

    /// Remembers tasks, each in place of what was remembered under its id; all of them or, if that
    /// fails, none. Once this has returned, a crash does not lose them.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`]; a full disk becomes [`Code::OutOfSpace`].
    pub fn put(&self, tasks: &[Task]) -> Result<(), TaskHistoryFailed> {
        let values: Vec<(u128, Vec<u8>)> =
            tasks.iter().map(|task| (key(task.id), value(task))).collect();
        self.with(|database| {
            let write = database::begin_write(database)?;
            {
                let mut table = write.open_table(TASKS)?;
                for (key, value) in &values {
                    table.insert(key, value.as_slice())?;
                }
            }
            Ok(write.commit()?)
        })
    }

    /// One task.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`].
    pub fn get(&self, id: TaskId) -> Result<Option<Task>, TaskHistoryFailed> {
        self.read(|read| {
            let value = read.open_table(TASKS)?.get(key(id))?;
            Ok(value.and_then(|value| task(key(id), value.value())))
        })
    }

    /// The newest tasks, newest first, and at most so many. What this version cannot read is left out.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`].
    pub fn newest(&self, limit: usize) -> Result<Vec<Task>, TaskHistoryFailed> {
        self.newest_below(u128::MAX, limit)
    }

    /// The newest of the tasks that are older than this one, newest first, and at most so many.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`].
    pub fn before(&self, id: TaskId, limit: usize) -> Result<Vec<Task>, TaskHistoryFailed> {
        self.newest_below(key(id), limit)
    }

    fn newest_below(&self, bound: u128, limit: usize) -> Result<Vec<Task>, TaskHistoryFailed> {
        self.read(|read| {
            let table = read.open_table(TASKS)?;
            let mut tasks = Vec::new();
            for entry in table.range(..bound)?.rev() {
                if tasks.len() == limit {
                    break;
                }
                let (key, value) = entry?;
                tasks.extend(task(key.value(), value.value()));
            }
            Ok(tasks)
        })
    }

    /// Forgets the oldest tasks beyond so many, and those accepted before this time; says how many.
    /// Their room is used again; the file does not become smaller.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`]; some may have been forgotten.
    pub fn prune(
        &self,
        max_count: usize,
        older_than: Timestamp,
    ) -> Result<usize, TaskHistoryFailed> {
        let mut pruned = 0;
        loop {
            let now = self.with(|database| {
                let write = database::begin_write(database)?;
                let pruned =
                    prune_some(&mut write.open_table(TASKS)?, max_count, oldest(older_than))?;
                write.commit()?;
                Ok(pruned)
            })?;
            pruned += now;
            if now < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }

    /// How many tasks are remembered.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`].
    pub fn len(&self) -> Result<u64, TaskHistoryFailed> {
        self.read(|read| Ok(read.open_table(TASKS)?.len()?))
    }

    /// Whether no task is remembered.
    ///
    /// # Errors
    /// [`TaskHistoryFailed::Use`].
    pub fn is_empty(&self) -> Result<bool, TaskHistoryFailed> {
        Ok(self.len()? == 0)
    }

    /// What the file takes of the disk, in bytes; zero if it is not there.
    pub fn file_size(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.blocks() * 512)
    }

    fn read<T>(
        &self,
        read: impl Fn(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, TaskHistoryFailed> {
        self.with(|database| read(&database.begin_read()?))
    }

    /// Does something with the database. If it turns out damaged, that is done to a new one.
    fn with<T>(
        &self,
        work: impl Fn(&redb::Database) -> Result<T, redb::Error>,
    ) -> Result<T, TaskHistoryFailed> {
        let mut replaced = false;
        loop {
            let database = self.database()?;
            // A damaged page can make redb panic, as it trusts what it wrote.
            let error = match redb_file::caught(|| work(&database)) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let damaged = redb_file::is_damage(&error);
            self.close(database, damaged && !replaced)?;
            if !damaged || replaced {
                return Err(TaskHistoryFailed::Use {
                    file: self.file.clone(),
                    source: Box::new(error),
                });
            }
            replaced = true;
        }
    }

    fn database(&self) -> Result<Arc<redb::Database>, TaskHistoryFailed> {
        let mut slot = self.slot();
        if let Some(database) = &*slot {
            return Ok(Arc::clone(database));
        }
        let opened = database::open_or_replace(&self.file, &*self.open);
        let (database, lost) = opened.map_err(|error| failed_to_open(&self.file, error))?;
        if let Some(lost) = lost {
            tracing::warn!(lost, "the history of tasks is lost");
        }
        Ok(Arc::clone(slot.insert(Arc::new(database))))
    }

    /// After an error redb wants to be opened anew; a damaged file, not to be opened again.
    fn close(
        &self,
        failed: Arc<redb::Database>,
        move_aside: bool,
    ) -> Result<(), TaskHistoryFailed> {
        let mut slot = self.slot();
        let current = slot.as_ref().is_some_and(|now| Arc::ptr_eq(now, &failed));
        if !current {
            return Ok(());
        }
        *slot = None;
        // What is damaged can make redb panic when it closes the file, too.
        drop(panic::catch_unwind(AssertUnwindSafe(|| drop(failed))));
        if move_aside {
            let aside = database::move_aside(&self.file);
            let aside = aside.map_err(|error| failed_to_open(&self.file, error.into()))?;
            tracing::warn!(aside = %aside.display(), "the history of tasks is damaged, and lost");
        }
        Ok(())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<redb::Database>>> {
        // A handle is there or not after any panic.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed_to_open(file: &Path, error: redb::Error) -> TaskHistoryFailed {
    TaskHistoryFailed::Open { file: file.into(), source: Box::new(error) }
}

/// Ids of tasks begin with the time at which these were accepted, so they sort by it.
fn key(id: TaskId) -> u128 {
    id.as_uuid().as_u128()
}

/// The smallest key of a task that was accepted at this time.
fn oldest(time: Timestamp) -> u128 {
    u128::try_from(time.as_millisecond()).map_or(0, |milliseconds| milliseconds << 80)
}

fn value(task: &Task) -> Vec<u8> {
    serde_json::to_vec(task).expect("a task has no map with keys that are not text")
}

fn task(key: u128, value: &[u8]) -> Option<Task> {
    serde_json::from_slice(value)
        .inspect_err(|error| {
            tracing::warn!(task = %uuid::Uuid::from_u128(key), %error, "a remembered task is not readable");
        })
        .ok()
}

fn prune_some(
    table: &mut redb::Table<'_, u128, &'static [u8]>,
    max_count: usize,
    older_than: u128,
) -> Result<usize, redb::Error> {
    let mut excess = table.len()?.saturating_sub(max_count as u64);
    let mut pruned = 0;
    while pruned < PRUNED_AT_ONCE {
        let Some(oldest) = table.first()?.map(|(key, _)| key.value()) else { break };
        if excess == 0 && oldest >= older_than {
            break;
        }
        table.remove(oldest)?;
        excess = excess.saturating_sub(1);
        pruned += 1;
    }
    Ok(pruned)
}

#[cfg(test)]
mod tests;
