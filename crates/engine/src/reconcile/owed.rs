//! What is owed: what a task could not take back, or could not finish past its point of no return.
//!
//! Its end has been told, with what was left. It stays on record and is tried again: by and by, and at
//! once before anything else is done to its VM, so that nothing is built on what is half done. What
//! only ends or holds a machine does not wait for that.

use crate::{
    accept::legality::{MachineVerb, Operation},
    engine::Engine,
    perform::{Ended, deed::Deed},
    turn::live::LiveTask,
};
use innkeeper_model::{Code, Refusal, TaskId, Timestamp, VmId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tracing::{debug, info};

/// How long after a failure it is tried again at first, and at most.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// All that is owed, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Owing {
    deeds: Mutex<BTreeMap<TaskId, Arc<Deed>>>,
    some: Notify,
}

impl Owing {
    fn deeds(&self) -> MutexGuard<'_, BTreeMap<TaskId, Arc<Deed>>> {
        // Only map operations happen under the lock.
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Deed>> {
        self.deeds().values().cloned().collect()
    }

    pub(crate) fn get(&self, task: TaskId) -> Option<Arc<Deed>> {
        self.deeds().get(&task).cloned()
    }

    fn of_vm(&self, vm: VmId) -> Vec<Arc<Deed>> {
        self.deeds().values().filter(|deed| deed.task.vm == Some(vm)).cloned().collect()
    }

    /// Keeps what is owed of a deed.
    pub(crate) fn insert(&self, deed: Arc<Deed>) {
        self.deeds().insert(deed.task.id, deed);
        self.some.notify_one();
    }
}

impl Engine {
    /// Keeps what is owed of a deed whose end has been told, and shows it with its VM.
    pub(crate) fn owe(&self, deed: Arc<Deed>) {
        if let Some(id) = deed.task.vm {
            let left = deed.task.snapshot().leftovers.join("; ");
            self.tell_problem(id, Some(left));
        }
        self.shared.owing.insert(deed);
    }

    /// Tries what is owed for as long as the engine lives.
    pub(crate) async fn settle_by_and_by(self) {
        loop {
            self.shared.owing.some.notified().await;
            let mut pause = SHORTEST_PAUSE;
            while !self.shared.owing.deeds().is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                self.settle_now().await;
            }
        }
    }

    /// Tries all that is owed once, each in a turn of its own. Dropping the future leaves what it has not tried.
    pub async fn settle_now(&self) {
        for deed in self.shared.owing.all() {
            let mut place = self.shared.queues.enter(deed.resources().to_vec());
            tokio::select! {
                () = self.shared.stopping.cancelled() => return,
                () = place.granted() => {}
            }
            self.settle(&deed).await;
        }
    }

    /// Tries what is owed of a VM before something else is done to it.
    ///
    /// # Errors
    /// It still cannot be settled, and what is to be done would be built on it.
    pub(crate) async fn settle_before(&self, task: &LiveTask, vm: VmId) -> Result<(), Refusal> {
        for deed in self.shared.owing.of_vm(vm) {
            if !self.settle(&deed).await && !goes_past(task.operation) {
                let owed = deed.task.snapshot();
                let message = format!("what {} left behind is in the way", owed.operation);
                let mut refusal = Refusal::new(Code::Leftovers, message)
                    .with_hint("mend the cause; `inn diagnose` shows what is left");
                refusal.causes = owed.leftovers;
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Tries what is owed of one deed, in whose turn this must be. Returns whether all of it is done.
    async fn settle(&self, deed: &Arc<Deed>) -> bool {
        if self.shared.owing.get(deed.task.id).is_none() {
            // Somebody else was faster.
            return true;
        }
        // What could not be done may be moot by now, or done by others.
        if let Err(error) = self.shared.performer.find_out(deed).await {
            debug!(task = %deed.task.id, %error, "still owed");
            return false;
        }
        let Ended { leftovers, .. } = self.shared.performer.go(deed).await;
        if !leftovers.is_empty() {
            debug!(task = %deed.task.id, ?leftovers, "still owed");
            return false;
        }
        info!(task = %deed.task.id, "what was left of it is cleared");
        deed.task.update(|task| {
            task.leftovers.clear();
            let text = "what was left of it has been cleared".to_owned();
            task.log.push(innkeeper_model::TaskLogLine { at: Timestamp::now(), text });
        });
        let held = deed.record_end(deed.task.snapshot(), false).await;
        self.shared.history.put(deed.task.snapshot(), held);
        self.shared.owing.deeds().remove(&deed.task.id);
        if let Some(id) = deed.task.vm {
            self.tell_problem(id, None);
        }
        true
    }
}

/// What ends or holds a machine does not wait for what is owed.
fn goes_past(operation: Option<Operation>) -> bool {
    use MachineVerb as Verb;
    matches!(
        operation,
        Some(Operation::Machine(
            Verb::Kill
                | Verb::Stop
                | Verb::Pause
                | Verb::Resume
                | Verb::PutAway
                | Verb::PutAwayForGood
        ))
    )
}
