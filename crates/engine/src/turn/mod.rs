//! A task's turn: from its place in the queue, through its plan, to its end.

pub(crate) mod live;
pub(crate) mod planning;
pub(crate) mod queues;

use crate::{
    accept::{
        legality::{self, MachineVerb, Operation},
        request::Accepted,
        reservations::Reservation,
        work::Work,
    },
    engine::{Engine, stopping},
    journal::Entry,
    perform::{Ended, Outcome, deed::Deed, panics::caught},
    plan::Plan,
    turn::{live::LiveTask, queues::Place},
};
use innkeeper_model::{Code, Refusal, Revision, TaskState};
use innkeeper_store::journal::{Durability, Held};
use innkeeper_view::Update;
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{Instrument, info, info_span, warn};

/// What a task holds until its end can be seen: its place in the queues, what it was promised, and the
/// record that it was accepted.
type Holds = (Place, Option<Reservation>, Option<Held>);

impl Engine {
    pub(crate) async fn begin(
        &self,
        task: Arc<LiveTask>,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let place = self.shared.queues.enter(work.resources());
        task.takes(&place);
        self.begin_at(task, place, work, reservation).await
    }

    /// As [`Self::begin`], at a place that it has taken.
    pub(crate) async fn begin_at(
        &self,
        task: Arc<LiveTask>,
        place: Place,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let record = task.snapshot();
        let accepted = Entry::Accepted { task: Box::new(record.clone()) };
        // What cannot be written down is told when its turn comes.
        let recorded = self.shared.recorder.write(task.vm, &accepted, Durability::Written);
        let (id, vm) = (record.id, record.vm);
        // Told before it can begin, or its beginning would be overwritten by its being queued.
        self.view().post(Update::Task(record));
        let engine = self.clone();
        let span = info_span!("task", id = %id, operation = work.name());
        let (tell, is_recorded) = oneshot::channel();
        // From here on it is done, whether the caller waits or not.
        tokio::spawn(
            async move {
                let held = recorded.await.ok();
                let _nobody_waits = tell.send(());
                engine.see_through(task, work, (place, reservation, held)).await;
            }
            .instrument(span),
        );
        let revision = self.view().barrier(Vec::new()).await.map_err(|_| stopping())?;
        // Whoever is told of a task finds it after the daemon's death, too.
        is_recorded.await.map_err(|_| stopping())?;
        Ok(Accepted { task: id, vm, network: None, revision })
    }

    /// Does a task from its place in the queue to its end. When the daemon ends, it is left where it
    /// stands, on record, for the next one.
    async fn see_through(&self, task: Arc<LiveTask>, work: Work, holds: Holds) {
        let whole = self.take_turn(&task, work, holds);
        tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => {}
            () = whole => {}
        }
    }

    async fn take_turn(&self, task: &Arc<LiveTask>, work: Work, mut holds: Holds) {
        let granted = tokio::select! {
            biased;
            () = task.cancel.cancelled() => false,
            () = holds.0.granted() => true,
        };
        let begun = if granted { self.make_deed(task, &work).await } else { Ok(None) };
        match begun {
            Ok(Some(deed)) => {
                let deed = Arc::new(deed);
                let ended = self.shared.performer.go(&deed).await;
                self.finish(&deed, ended).await;
            }
            Ok(None) => self.finish_unbegun(task, Outcome::Cancelled).await,
            Err(refusal) => self.finish_unbegun(task, Outcome::Failed(refusal)).await,
        }
        self.let_go(task, holds);
    }

    /// Plans the work and writes the plan down.
    async fn make_deed(&self, task: &Arc<LiveTask>, work: &Work) -> Result<Option<Deed>, Refusal> {
        let mine = task.vm.map(|id| Update::VmTask { id, task: Some(task.id) });
        // What was told before this turn began is in the snapshot that it is planned from.
        self.view().barrier(mine.into_iter().collect()).await.map_err(|_| stopping())?;
        let plan = tokio::select! {
            biased;
            () = task.cancel.cancelled() => return Ok(None),
            plan = caught(self.plan_when_settled(task, work)) => plan?,
        };
        let boot_id = self.shared.boot_id.clone();
        let deed = Deed::new(task.clone(), plan, work.resources(), boot_id);
        let beginning = task.beginning(&deed.paths);
        let written = deed.write_down(&self.shared.recorder, beginning.clone()).await;
        if let Err(error) = &written
            && !deed.plan.converges
        {
            return Err(error.clone());
        }
        // Not before: what is said to be done is taken up by the next daemon.
        task.begin(beginning);
        if let Err(error) = written {
            warn!(%error, "goes on without being written down");
            task.warn_once(format!("recorded: false; {error}"));
        }
        Ok(Some(deed))
    }

    /// Clears what is owed, then plans. Either may wait for a machine that does not answer; dropping the
    /// future leaves what is owed as far as it is, for later.
    async fn plan_when_settled(&self, task: &LiveTask, work: &Work) -> Result<Plan, Refusal> {
        if let Some(vm) = task.vm {
            self.settle_before(task, vm).await?;
        }
        if let Work::Network { network, .. } = work {
            self.settle_before_network(*network).await?;
        }
        self.plan(task.operation, work).await
    }

    /// Tells the end of a task of which nothing was begun.
    async fn finish_unbegun(&self, task: &Arc<LiveTask>, outcome: Outcome) {
        let (state, error) = end_of(outcome);
        let record = task.ending(state, error, Vec::new());
        let entry = Entry::Ended { task: Box::new(record.clone()) };
        let write =
            async { self.shared.recorder.write(task.vm, &entry, Durability::Written).await.ok() };
        let (held, settled_at) = self.record_behind_note(task, write).await;
        self.shared.history.put(record, held);
        task.tell_end(settled_at).await;
    }

    /// Keeps what is owed of a deed, and writes down and tells how it ended.
    pub(crate) async fn finish(&self, deed: &Arc<Deed>, ended: Ended) {
        let task = &deed.task;
        let Ended { outcome, leftovers } = ended;
        if let Outcome::Interrupted(refusal) = outcome {
            return self.interrupt(deed, refusal).await;
        }
        let owed = !leftovers.is_empty();
        let (state, error) = end_of(outcome);
        if deed.changes_disks() {
            self.look_at_disks_of_task(task).await;
        }
        info!(?state, owed, "ended");
        // Nobody waits for this one, so what keeps it from being done is shown with the VM.
        let put_away = Operation::Machine(MachineVerb::PutAway);
        let trouble = (task.operation == Some(put_away)).then(|| {
            let left_off = task.vm.and_then(|vm| self.shared.left_off.take(vm));
            let stays = |error| format!("what is left of its machine stays: {error}");
            error.as_ref().map(stays).or(left_off)
        });
        let made = matches!(task.operation, Some(Operation::Machine(verb)) if verb.makes());
        // What was wrong with a machine of before is past when there is a new one.
        let trouble = trouble.or((made && state == TaskState::Done).then_some(None));
        let edited = task.operation == Some(Operation::Edit) && state == TaskState::Done;
        let mends = edited && task.vm.is_some_and(|vm| self.is_refused_by_hand(vm));
        let trouble = trouble.or(mends.then_some(None));
        let record = task.ending(state, error, leftovers);
        // Before the note, which is to say it.
        if owed {
            self.owe(deed.clone());
        }
        if let (Some(id), Some(problem)) = (task.vm, trouble) {
            self.tell_problem(id, problem);
        }
        let write = deed.record_end(record, owed);
        let (held, settled_at) = self.record_behind_note(task, write).await;
        // Written down, its warnings are all there.
        self.shared.history.put(task.snapshot(), held);
        task.tell_end(settled_at).await;
    }

    /// Has the end of a task written down, and in front of it a note of what its VM is by now: whoever is
    /// told of the end finds both after the daemon's death. Returns what keeps the end, and the revision
    /// from which on readers see all that was done; `None` of a view that has stopped.
    async fn record_behind_note(
        &self,
        task: &LiveTask,
        write_end: impl Future<Output = Option<Held>>,
    ) -> (Option<Held>, Option<Revision>) {
        let settled_at = self.view().barrier(Vec::new()).await.ok();
        let noted = task.vm.map(|vm| self.note_as_it_is(vm));
        let held = write_end.await;
        if let Some(noted) = noted {
            noted.await;
        }
        (held, settled_at)
    }

    /// Lets the next one begin, now that readers can see the end. Who waits is woken after all of it,
    /// so that what they ask for next is not refused for the sake of this task.
    pub(crate) fn let_go(&self, task: &Arc<LiveTask>, holds: Holds) {
        self.shared.live.remove(task);
        if let Some(vm) = task.vm {
            self.settle_claims(vm);
        }
        drop(holds);
        task.wake();
        if let Some(vm) = task.vm {
            self.shared.agents.mark(vm);
            // Facts that came while it was busy were left to it.
            self.shared.noticed.mark(vm);
        }
    }
}

fn end_of(outcome: Outcome) -> (TaskState, Option<Refusal>) {
    match outcome {
        Outcome::Done => (TaskState::Done, None),
        Outcome::Cancelled => {
            let refusal = Refusal::new(Code::Cancelled, "the task was cancelled");
            (TaskState::Cancelled, Some(refusal))
        }
        Outcome::Failed(refusal) => {
            warn!(error = %refusal, causes = ?refusal.causes, "failed");
            (TaskState::Failed, Some(refusal))
        }
        Outcome::Interrupted(refusal) => (TaskState::Interrupted, Some(refusal)),
    }
}

impl Engine {
    /// Asks the table once more, with the state that the VM has now that its turn has come.
    pub(crate) fn still_legal(
        &self,
        operation: Option<Operation>,
        vm: innkeeper_model::VmId,
    ) -> Result<Arc<innkeeper_view::Record<innkeeper_model::Vm>>, Refusal> {
        let record = self.vm(vm)?;
        match operation {
            Some(operation) if legality::after(operation, record.state).is_none() => {
                Err(legality::refuse(operation, record.state, record.state, &record.name))
            }
            _ => Ok(record),
        }
    }
}
