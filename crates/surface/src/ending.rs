//! Requests that change something, and the end of their tasks.

use crate::Operations;
use innkeeper_engine::{Accepted, Caller, Request};
use innkeeper_model::{Code, Refusal, Revision, Task, TaskId, TaskState};
use innkeeper_view::View;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A task that has ended well, and from when on its effect can be read.
#[derive(Debug, Clone)]
pub struct Done {
    /// What was accepted: its task, and the VM or network that it concerns.
    pub accepted: Accepted,
    /// The task at its end.
    pub task: Arc<Task>,
    /// The revision of the view from which on every reader sees what was done. Absent where it was done
    /// and the view ended before it showed it: done, and not yet seen.
    pub seen: Option<Revision>,
}

/// What came of something within the time that its caller waits.
#[derive(Debug, Clone)]
pub enum Performed {
    /// It is done.
    Done(Done),
    /// It takes longer, and goes on.
    GoesOn {
        /// What was accepted.
        accepted: Accepted,
        /// The task as it is.
        task: Arc<Task>,
    },
}

impl Performed {
    /// What is done.
    ///
    /// # Errors
    /// It goes on ([`Code::Timeout`]).
    pub fn done(self) -> Result<Done, Refusal> {
        match self {
            Self::Done(done) => Ok(done),
            Self::GoesOn { task, .. } => {
                let message = format!("{} takes longer, and goes on", task.operation);
                Err(Refusal::new(Code::Timeout, message)
                    .with_hint(format!("see `inn task show {}`", task.id)))
            }
        }
    }
}

/// Does something to its end, whether or not its caller waits for that. Whoever hangs up has what they asked for dropped
/// wherever it waits, and its last step would be to put on record what was done: what goes on without them takes that
/// along.
///
/// # Errors
/// As the work; or it panicked, and nobody knows how far it had come.
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|panic| {
        Err(Refusal::new(Code::Internal, "nobody knows what was changed").caused_by(&panic))
    })
}

/// Has something done, and waits for its end, at most so long or until the daemon stops. When it is
/// done, all reads and streams of this daemon show it. Dropping the future leaves the task to go on.
///
/// # Errors
/// It was refused, and nothing was changed; or it failed or was cancelled, with the task's own error.
pub async fn perform(
    operations: &dyn Operations,
    view: &View,
    stopping: &CancellationToken,
    (caller, request): (&Caller, Request),
    at_most: Duration,
) -> Result<Performed, Refusal> {
    let accepted = operations.submit(caller, request).await?;
    let ended = task_at_end(operations, view, stopping, accepted.task, at_most).await;
    let Some(task) = ended else {
        return Err(Refusal::not_found("task", accepted.task)
            .with_hint("ended tasks are forgotten after a time that the configuration says"));
    };
    match task.state {
        TaskState::Done => {
            let seen = task.settled_at.map(|settled| settled.max(accepted.revision));
            Ok(Performed::Done(Done { accepted, task, seen }))
        }
        TaskState::Queued | TaskState::Running => Ok(Performed::GoesOn { accepted, task }),
        TaskState::Failed | TaskState::Cancelled | TaskState::Interrupted => Err(failure(&task)),
    }
}

/// Why a task did not succeed.
fn failure(task: &Task) -> Refusal {
    task.error.clone().unwrap_or_else(|| {
        let (code, how) = match task.state {
            TaskState::Cancelled => (Code::Cancelled, "was cancelled"),
            TaskState::Interrupted => (Code::Interrupted, "stopped halfway"),
            _ => (Code::Internal, "failed without a reason"),
        };
        Refusal::new(code, format!("{} {how}", task.operation))
            .with_hint(format!("see `inn task show {}`", task.id))
    })
}

/// The task as it is when it has ended, or after so long, or when the daemon stops; `None` for one that
/// is not known, or not any more. Dropping the future changes nothing.
pub async fn task_at_end(
    operations: &dyn Operations,
    view: &View,
    stopping: &CancellationToken,
    id: TaskId,
    at_most: Duration,
) -> Option<Arc<Task>> {
    let now = || {
        let snapshot = view.snapshot();
        snapshot.tasks.get(&id).map(|record| Arc::clone(record.value()))
    };
    let Some(current) = now() else {
        // The view has what goes on and what ended last; the rest is in the history.
        return operations.task(id).await.map(Arc::new);
    };
    // Readers are told that a task has ended a moment before all that it did is there to be read.
    let is_seen = current.state.is_final() && current.settled_at.is_some();
    if at_most.is_zero() || is_seen {
        return Some(current);
    }
    let waited = tokio::select! {
        task = operations.wait(id, at_most) => task.map(Arc::new),
        () = stopping.cancelled() => None,
    };
    waited.or_else(now)
}
