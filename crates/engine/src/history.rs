//! The tasks that have ended, on their way from the journal to the embedded database.
//!
//! The database may be lost without losing a VM, so nobody waits for it: tasks are put into it in
//! the background, many at once, and stay in the journal until they are.

use crate::hands::blocking;
use innkeeper_model::{Refusal, Task, Timestamp};
use innkeeper_store::{TaskHistory, journal::Held};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tracing::warn;

/// How many tasks are put at once at most.
const BATCH: usize = 4096;
/// How long a task may wait for others.
const GATHER: Duration = Duration::from_millis(250);
/// After how many tasks old ones are looked for.
const PRUNE_EVERY: usize = 10_000;

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

/// Takes ended tasks.
#[derive(Debug, Clone)]
pub(crate) struct History {
    database: Arc<TaskHistory>,
    to: mpsc::UnboundedSender<EndedTask>,
}

impl History {
    /// A history that keeps this much. Runs until all its clones are gone.
    pub(crate) fn start(database: TaskHistory, keep: Remembered) -> Self {
        let database = Arc::new(database);
        let (to, from) = mpsc::unbounded_channel();
        tokio::spawn(run(database.clone(), from, keep));
        Self { database, to }
    }

    /// Remembers a task.
    pub(crate) fn put(&self, task: Task, held: Option<Held>) {
        // Nobody takes them any more when the engine ends, and the journal has them then.
        let _ = self.to.send((task, held));
    }

    pub(crate) fn database(&self) -> Arc<TaskHistory> {
        self.database.clone()
    }
}

async fn run(
    database: Arc<TaskHistory>,
    mut from: mpsc::UnboundedReceiver<EndedTask>,
    keep: Remembered,
) {
    let mut since_pruned = PRUNE_EVERY;
    let mut batch = Vec::new();
    while from.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(more) = from.try_recv()
            {
                batch.push(more);
            }
        }
        let (tasks, held): (Vec<Task>, Vec<Option<Held>>) = batch.drain(..).unzip();
        since_pruned += tasks.len();
        let prune = since_pruned >= PRUNE_EVERY;
        if let Err(error) = keep_in(database.clone(), tasks, prune.then_some(keep)).await {
            warn!(%error, "ended tasks are not remembered beyond this daemon");
        }
        if prune {
            since_pruned = 0;
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
