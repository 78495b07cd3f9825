//! What is owed: what a task could not take back, or could not finish past its point of no return.
//!
//! Its end has been told, with what was left. It stays on record and is tried again: by and by, and at
//! once before anything else is done to its VM, so that nothing is built on what is half done. What
//! only ends or holds a machine does not wait for that.

use crate::{
    accept::legality::{MachineVerb, Operation},
    engine::Engine,
    perform::{Ended, deed::Deed},
    plan::steps::{OwnStep, PlanStep},
    turn::{live::LiveTask, queues::Resource},
};
use innkeeper_model::{Code, NetworkId, Refusal, TaskId, Timestamp, VmId};
use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};
use tracing::{debug, info};

/// How long after a failure it is tried again at first, and at most.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a turn is waited for before it is left to the next try.
const PATIENCE: Duration = Duration::from_secs(1);

/// All that is owed, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Owing {
    deeds: Mutex<BTreeMap<TaskId, Arc<Deed>>>,
    some: Notify,
    /// A kill waits for its turn.
    kill: Notify,
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

    /// Whether anything is owed of a VM.
    pub(crate) fn is_owed_of(&self, vm: VmId) -> bool {
        self.deeds().values().any(|deed| deed.task.vm == Some(vm))
    }

    /// Has what is being tried of a VM give way to a kill of it.
    pub(crate) fn give_way(&self) {
        self.kill.notify_waiters();
    }

    /// Keeps what is owed of a deed.
    pub(crate) fn insert(&self, deed: Arc<Deed>) {
        self.deeds().insert(deed.task.id, deed);
        self.some.notify_one();
    }
}

impl Engine {
    /// Keeps what is owed of a deed that has ended, and shows it with its VM.
    pub(crate) fn owe(&self, deed: Arc<Deed>) {
        if let Some(id) = deed.task.vm {
            let left = deed.task.snapshot().leftovers.join("; ");
            self.tell_problem(id, Some(left));
        }
        self.shared.owing.insert(deed);
    }

    /// Tries what is owed for as long as the engine lives. One that waits for its turn, or for a machine
    /// that does not answer, delays no other.
    pub(crate) async fn settle_by_and_by(self) {
        let mut trying = JoinSet::new();
        let mut tried = HashSet::new();
        loop {
            self.shared.owing.some.notified().await;
            let mut pause = SHORTEST_PAUSE;
            while !self.shared.owing.deeds().is_empty() {
                // Nobody tells when the cause is gone: it is tried again, less and less often.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                while let Some(Ok(task)) = trying.try_join_next() {
                    tried.remove(&task);
                }
                for deed in self.shared.owing.all() {
                    if tried.insert(deed.task.id) {
                        let engine = self.clone();
                        trying.spawn(async move {
                            engine.settle_in_turn(&deed).await;
                            deed.task.id
                        });
                    }
                }
            }
        }
    }

    /// Tries all that is owed once, each in a turn of its own, and waits for all of them. Dropping the
    /// future leaves what has not been done.
    pub async fn settle_now(&self) {
        let owed = self.shared.owing.all();
        let all = futures_util::future::join_all(owed.iter().map(|deed| self.settle_in_turn(deed)));
        tokio::select! {
            () = self.shared.stopping.cancelled() => {}
            _ = all => {}
        }
    }

    /// Tries what is owed of a VM once, in turns of its own.
    pub(crate) async fn settle_of(&self, vm: VmId) {
        for deed in self.shared.owing.of_vm(vm) {
            self.settle_in_turn(&deed).await;
        }
    }

    /// Tries what is owed of one deed, if its turn comes soon: whoever has the VM may keep it for long, and
    /// what waits for one resource keeps others from the rest. Should its VM be to be killed, it is left as
    /// far as it is, for later: a kill waits for nothing.
    async fn settle_in_turn(&self, deed: &Arc<Deed>) {
        let mut place = self.shared.queues.enter(deed.resources().to_vec());
        if tokio::time::timeout(PATIENCE, place.granted()).await.is_err() {
            return;
        }
        tokio::select! {
            biased;
            () = self.kill_waits(deed.task.vm) => {}
            _ = self.settle(deed) => {}
        }
    }

    /// Waits until a VM is to be killed.
    async fn kill_waits(&self, vm: Option<VmId>) {
        let Some(vm) = vm else { return std::future::pending().await };
        let kill = Some(Operation::Machine(MachineVerb::Kill));
        loop {
            let more = self.shared.owing.kill.notified();
            let mut more = pin!(more);
            // Before the look, so that none comes in between.
            more.as_mut().enable();
            if self.shared.live.of_vm(vm).iter().any(|task| task.operation == kill) {
                return;
            }
            more.await;
        }
    }

    /// Tries what is owed of a VM before something else is done to it. Not before a kill, which is what
    /// frees what waits for a machine that does not answer.
    ///
    /// # Errors
    /// It still cannot be settled, and what is to be done would be built on it.
    pub(crate) async fn settle_before(&self, task: &LiveTask, vm: VmId) -> Result<(), Refusal> {
        if task.operation == Some(Operation::Machine(MachineVerb::Kill)) {
            return Ok(());
        }
        for deed in self.shared.owing.of_vm(vm) {
            if !self.settle(&deed).await && !goes_past(task.operation) {
                return Err(in_the_way(&deed));
            }
        }
        Ok(())
    }

    /// Tries what is owed of networks before something else is done to one.
    ///
    /// # Errors
    /// Something of this network still cannot be settled; or a record of any, which when it comes back may
    /// not fit what is made meanwhile.
    pub(crate) async fn settle_before_network(&self, network: NetworkId) -> Result<(), Refusal> {
        let is_of = |deed: &Deed, meant| deed.resources().iter().any(|(held, _)| *held == meant);
        let saves = |deed: &Deed| {
            let save = |step: &PlanStep| matches!(step, PlanStep::Own(OwnStep::SaveNetwork { .. }));
            deed.steps().any(|(_, placed)| save(placed.step))
        };
        for deed in self.shared.owing.all() {
            if is_of(&deed, Resource::Networks)
                && !self.settle(&deed).await
                && (saves(&deed) || is_of(&deed, Resource::Network(network)))
            {
                return Err(in_the_way(&deed));
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
            self.still_owe(deed, leftovers).await;
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
        if let Some(id) = deed.task.vm {
            self.tell_problem(id, None);
        }
        if deed.changes_disks() {
            self.look_at_disks_of_task(&deed.task).await;
        }
        // Who sees that nothing is owed any more sees what came of it, too.
        let _ = self.view().barrier(Vec::new()).await;
        self.shared.owing.deeds().remove(&deed.task.id);
        if let Some(id) = deed.task.vm {
            self.settle_claims(id);
        }
        true
    }
}

impl Engine {
    /// Tells and records what is owed by now, where that is not what was.
    async fn still_owe(&self, deed: &Deed, leftovers: Vec<String>) {
        if deed.task.snapshot().leftovers == leftovers {
            return;
        }
        deed.task.update(|task| task.leftovers = leftovers);
        let record = deed.task.snapshot();
        let held = deed.record_end(record.clone(), true).await;
        if let Some(id) = deed.task.vm {
            self.tell_problem(id, Some(record.leftovers.join("; ")));
        }
        self.shared.history.put(record, held);
    }
}

fn in_the_way(deed: &Deed) -> Refusal {
    let owed = deed.task.snapshot();
    let message = format!("what {} left behind is in the way", owed.operation);
    let mut refusal = Refusal::new(Code::Leftovers, message)
        .with_hint("mend the cause; `inn diagnose` shows what is left");
    refusal.causes = owed.leftovers;
    refusal
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
