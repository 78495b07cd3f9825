//! The tasks that have ended, on their way from the journal to the embedded database.
//!
//! The database may be lost without losing a VM, so nobody waits for it: tasks are put into it in
//! the background, many at once, and stay in the journal until they are.

use crate::perform::hands::blocking;
use innkeeper_model::{Refusal, Task, TaskId, Timestamp};
use innkeeper_store::{TaskHistory, journal::Held};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tracing::warn;

/// How many tasks are put at once at most.
const BATCH: usize = 4096;
/// How long a task may wait for others.
const GATHER: Duration = Duration::from_millis(250);
/// After how many tasks old ones are looked for.
const PRUNE_EVERY: usize = 10_000;
/// After which time they are, however few have ended since.
const PRUNE_WITHIN: Duration = Duration::from_secs(60 * 60);

/// How long tasks are remembered after they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// At most so many.
    pub count: usize,
    /// At most so long.
    pub age: Duration,
}

/// An ended task, with what keeps it in the journal.
type EndedTask = (Task, Option<Held>);

/// Takes ended tasks. Clones are one history.
#[derive(Debug, Clone)]
pub(crate) struct History(Arc<Mutex<Option<Open>>>);

#[derive(Debug)]
struct Open {
    database: Arc<TaskHistory>,
    to: mpsc::UnboundedSender<EndedTask>,
    worker: JoinHandle<()>,
}

impl History {
    /// A history that keeps this much.
    pub(crate) fn start(database: TaskHistory, keep: Remembered) -> Self {
        let database = Arc::new(database);
        let (to, from) = mpsc::unbounded_channel();
        let worker = tokio::spawn(run(database.clone(), from, keep, PRUNE_WITHIN));
        Self(Arc::new(Mutex::new(Some(Open { database, to, worker }))))
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        // Only an assignment happens under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a task.
    pub(crate) fn put(&self, task: Task, held: Option<Held>) {
        if let Some(open) = &*self.open() {
            // Nobody takes them any more when the engine ends, and the journal has them then.
            let _ = open.to.send((task, held));
        }
    }

    /// A task that was remembered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) async fn get(&self, task: TaskId) -> Result<Option<Task>, Refusal> {
        let database = self.open().as_ref().map(|open| open.database.clone());
        let Some(database) = database else { return Ok(None) };
        blocking(move || Ok(database.get(task)?)).await
    }

    /// Remembers what it was given, and lets go of the database.
    pub(crate) async fn close(&self) {
        let open = self.open().take();
        if let Some(Open { to, worker, .. }) = open {
            drop(to);
            let _ = worker.await;
        }
    }
}

async fn run(
    database: Arc<TaskHistory>,
    mut from: mpsc::UnboundedReceiver<EndedTask>,
    keep: Remembered,
    prune_within: Duration,
) {
    let mut since_pruned = PRUNE_EVERY;
    let mut next_prune = Instant::now() + prune_within;
    let mut batch = Vec::new();
    loop {
        match tokio::time::timeout_at(next_prune, from.recv_many(&mut batch, BATCH)).await {
            Ok(0) => return,
            Ok(BATCH) | Err(_) => {}
            Ok(_) => {
                // Many at once cost little more than one.
                tokio::time::sleep(GATHER).await;
                while batch.len() < BATCH
                    && let Ok(more) = from.try_recv()
                {
                    batch.push(more);
                }
            }
        }
        let (tasks, held): (Vec<Task>, Vec<Option<Held>>) = batch.drain(..).unzip();
        since_pruned += tasks.len();
        let prune = since_pruned >= PRUNE_EVERY || Instant::now() >= next_prune;
        if let Err(error) = keep_in(database.clone(), tasks, prune.then_some(keep)).await {
            warn!(%error, "ended tasks are not remembered beyond this daemon");
        }
        if prune {
            since_pruned = 0;
            next_prune = Instant::now() + prune_within;
        }
        drop(held);
    }
}

async fn keep_in(
    database: Arc<TaskHistory>,
    tasks: Vec<Task>,
    prune: Option<Remembered>,
) -> Result<(), Refusal> {
    blocking(move || {
        database.put(&tasks)?;
        if let Some(Remembered { count, age }) = prune {
            let oldest = Timestamp::now() - jiff::SignedDuration::try_from(age).unwrap_or_default();
            database.prune(count, oldest)?;
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_too_old_is_forgotten_though_nothing_ends() {
        let folder = tempfile::tempdir().unwrap();
        let opened = TaskHistory::open(&folder.path().join("tasks.redb")).unwrap();
        let database = Arc::new(opened.history);
        let old: Task = serde_json::from_str(
            r#"{"id": "0192b4f2-0000-7000-8000-000000000000", "operation": "start", "subject": "web",
                "caller": "", "state": "done", "cancellable": false,
                "created": "2024-10-22T00:00:00Z", "steps": []}"#,
        )
        .unwrap();
        database.put(std::slice::from_ref(&old)).unwrap();
        let (to, from) = mpsc::unbounded_channel();
        let keep = Remembered { count: 10, age: Duration::from_secs(24 * 60 * 60) };
        let worker = tokio::spawn(run(database.clone(), from, keep, Duration::from_millis(5)));
        let forgotten = async {
            while database.get(old.id).unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), forgotten).await.unwrap();
        drop(to);
        worker.await.unwrap();
    }
}
