//! The tasks that have not ended: their records, their cancellation, and who waits for them.

use crate::{
    accept::{
        legality::{self, Operation},
        submit::Subject,
    },
    journal::Mark,
    turn::queues::{Place, Queues},
};
use innkeeper_model::{
    Code, ProjectName, Refusal, Revision, StepName, Task, TaskId, TaskLogLine, TaskState,
    Timestamp, VmId, VmName, VmState,
    task::{MAX_TASK_LOG, StepState, TaskStep},
};
use innkeeper_view::{Update, View};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One task that has not ended.
pub(crate) struct LiveTask {
    pub(crate) id: TaskId,
    pub(crate) vm: Option<VmId>,
    /// What it does to its VM, where legality asks.
    pub(crate) operation: Option<Operation>,
    pub(crate) cancel: CancellationToken,
    /// Cancelled when a kill of its VM has waited for it: what is not undone by then is left for later.
    pub(crate) put_off: CancellationToken,
    /// Its place in the queues, once it has one.
    place: OnceLock<u64>,
    /// The state that its VM will have after it, as was expected when it was admitted.
    leads_to: OnceLock<VmState>,
    kind: String,
    record: Mutex<Task>,
    ended: watch::Sender<bool>,
    /// What is called at the end.
    at_end: Mutex<Vec<AtEnd>>,
    view: View,
}

/// What is called with a task as it is at its end.
pub type AtEnd = Box<dyn FnOnce(&Task) + Send>;

impl LiveTask {
    pub(crate) fn new(task: Task, operation: Option<Operation>, view: View) -> Arc<Self> {
        Arc::new(Self {
            id: task.id,
            vm: task.vm,
            operation,
            place: OnceLock::new(),
            leads_to: OnceLock::new(),
            kind: task.operation.clone(),
            cancel: CancellationToken::new(),
            put_off: CancellationToken::new(),
            record: Mutex::new(task),
            ended: watch::channel(false).0,
            at_end: Mutex::default(),
            view,
        })
    }

    fn record(&self) -> MutexGuard<'_, Task> {
        // Only assignments happen under the lock.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task as it is now.
    pub(crate) fn snapshot(&self) -> Task {
        self.record().clone()
    }

    /// Changes the record and tells the view.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Task)) {
        let mut task = self.record();
        change(&mut task);
        // Told under the lock, so that of two changes the later one is told last.
        self.view.post(Update::Task(task.clone()));
    }

    /// The task as it is when it begins, with these steps to do. It has not begun yet.
    pub(crate) fn beginning(&self, steps: &[StepName]) -> Task {
        Task {
            state: TaskState::Running,
            started: Some(Timestamp::now()),
            steps: waiting(steps),
            ..self.snapshot()
        }
    }

    /// Begins, as was written down.
    pub(crate) fn begin(&self, beginning: Task) {
        self.update(|task| {
            task.state = beginning.state;
            task.started = beginning.started;
            task.steps = beginning.steps;
        });
    }

    /// Goes on where an earlier daemon ended.
    pub(crate) fn taken_up(&self, steps: &[StepName], marks: &[Mark], cancellable: bool) {
        self.update(|task| {
            task.state = TaskState::Running;
            task.cancellable = cancellable;
            if task.steps.len() != steps.len() {
                task.steps = waiting(steps);
            }
            for (step, mark) in task.steps.iter_mut().zip(marks) {
                step.state = match mark {
                    Mark::Waiting => StepState::Waiting,
                    Mark::Begun => StepState::Running,
                    Mark::Done => StepState::Done,
                    Mark::Undone => StepState::Undone,
                };
            }
        });
    }

    /// Goes on by a person's word; who waits for its end waits again.
    pub(crate) fn resumed(&self) {
        self.ended.send_replace(false);
        self.update(|task| {
            task.state = TaskState::Running;
            task.error = None;
        });
    }

    /// Notes how far a step has come.
    pub(crate) fn step(&self, index: usize, state: StepState, took_us: Option<u64>) {
        self.update(|task| {
            let Some(step) = task.steps.get_mut(index) else { return };
            step.state = state;
            if state == StepState::Running {
                step.started = Some(Timestamp::now());
            }
            if took_us.is_some() {
                step.took_us = took_us;
            }
        });
    }

    /// Notes that a step was taken back. The one that failed stays marked as the one that did.
    pub(crate) fn undone(&self, index: usize) {
        self.update(|task| match task.steps.get_mut(index) {
            Some(step) if matches!(step.state, StepState::Done | StepState::Running) => {
                step.state = StepState::Undone;
            }
            _ => {}
        });
    }

    /// Whether nothing tells if a step was done.
    pub(crate) fn is_unknown(&self, index: usize) -> bool {
        self.record().steps.get(index).is_some_and(|step| step.state == StepState::Unknown)
    }

    /// Adds a line to the task's log, while there is room.
    pub(crate) fn log(&self, text: String) {
        self.update(|task| {
            if task.log.len() < MAX_TASK_LOG {
                task.log.push(TaskLogLine { at: Timestamp::now(), text });
            }
        });
    }

    /// Tells the caller something, once.
    pub(crate) fn warn_once(&self, warning: String) {
        self.update(|task| {
            if !task.warnings.contains(&warning) {
                task.warnings.push(warning);
            }
        });
    }

    /// Notes how much is done, in percent.
    pub(crate) fn percent(&self, percent: u8) {
        if self.record().percent != Some(percent) {
            self.update(|task| task.percent = Some(percent));
        }
    }

    /// Notes its place in the queues.
    pub(crate) fn takes(&self, place: &Place) {
        let _ = self.place.set(place.number());
    }

    /// Whether its turn has come.
    pub(crate) fn has_begun(&self, queues: &Queues) -> bool {
        self.place.get().is_some_and(|place| queues.has(*place))
    }

    /// What the task does.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether its end has been told.
    pub(crate) fn is_over(&self) -> bool {
        self.record().state.is_final()
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// There is no way back for it any more.
    pub(crate) fn try_cancel(&self) -> Result<(), Refusal> {
        let task = self.record();
        if task.state == TaskState::Interrupted {
            let message = format!("task {} is interrupted: nothing is being done", self.id);
            return Err(Refusal::new(Code::WrongState, message)
                .with_hint("`inn task resume` or `inn task undo` it"));
        }
        if !task.cancellable {
            let message = format!(
                "task {} cannot be cancelled any more: {} is past its point of no return",
                self.id, task.operation
            );
            return Err(
                Refusal::new(Code::WrongState, message).with_hint("`inn task watch` shows its end")
            );
        }
        // Under the lock under which it ceases to be cancellable.
        self.cancel.cancel();
        Ok(())
    }

    /// How it ends, for good. Nobody is told before [`Self::tell_end`].
    pub(crate) fn ending(
        &self,
        state: TaskState,
        error: Option<Refusal>,
        leftovers: Vec<String>,
    ) -> Task {
        let mut task = self.record();
        task.state = state;
        task.error = error;
        task.leftovers = leftovers;
        task.cancellable = false;
        task.ended = Some(Timestamp::now());
        task.clone()
    }

    /// Tells the end, and from which revision on everything that was done can be read; `None` of a view
    /// that has stopped. When this returns, readers can see it. Whoever waits for it is woken by
    /// [`Self::wake`], after what it held has been let go of.
    pub(crate) async fn tell_end(&self, settled_at: Option<Revision>) {
        let ended = {
            let mut task = self.record();
            task.settled_at = settled_at;
            task.clone()
        };
        let mut updates = vec![Update::Task(ended)];
        updates.extend(self.vm.map(|id| Update::VmTask { id, task: None }));
        // A view that has stopped is read by nobody.
        let _ = self.view.barrier(updates).await;
    }

    /// Wakes who waits for the end, and calls who is to be called.
    pub(crate) fn wake(&self) {
        let calls = {
            let mut at_end = self.at_end();
            self.ended.send_replace(true);
            std::mem::take(&mut *at_end)
        };
        if !calls.is_empty() {
            let task = self.record();
            calls.into_iter().for_each(|call| call(&task));
        }
    }

    /// Has this called at the end; now, if that has come.
    pub(crate) fn at_its_end(&self, call: AtEnd) {
        let mut at_end = self.at_end();
        if *self.ended.borrow() {
            drop(at_end);
            call(&self.record());
        } else {
            at_end.push(call);
        }
    }

    fn at_end(&self) -> MutexGuard<'_, Vec<AtEnd>> {
        // A list is whole after any panic.
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        // The sender is part of self, so this ends with the task only.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

impl fmt::Debug for LiveTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveTask")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn waiting(steps: &[StepName]) -> Vec<TaskStep> {
    let waiting = |name: &StepName| TaskStep {
        name: name.clone(),
        state: StepState::Waiting,
        started: None,
        took_us: None,
    };
    steps.iter().map(waiting).collect()
}

/// What comes of a state by what is queued. What is being done has a state of its own on the way, which
/// says nothing about where it leads.
fn fold<'a>(queued: impl Iterator<Item = &'a Arc<LiveTask>>, state: VmState) -> VmState {
    queued.fold(state, |state, task| {
        let by_table = || task.operation.and_then(|before| legality::after(before, state));
        task.leads_to.get().copied().or_else(by_table).unwrap_or(state)
    })
}

/// All tasks that have not ended, oldest first for each VM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Tasks>>);

#[derive(Debug, Default)]
struct Tasks {
    by_id: HashMap<TaskId, Arc<LiveTask>>,
    by_vm: HashMap<VmId, Vec<Arc<LiveTask>>>,
}

impl Tasks {
    fn insert(&mut self, task: &Arc<LiveTask>) {
        self.by_id.insert(task.id, task.clone());
        if let Some(vm) = task.vm {
            self.by_vm.entry(vm).or_default().push(task.clone());
        }
    }
}

impl Live {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        // Only collection operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a task if what it does is legal after what is already queued for its VM.
    ///
    /// # Errors
    /// It is illegal, then.
    pub(crate) fn admit(&self, task: &Arc<LiveTask>, subject: &Subject) -> Result<(), Refusal> {
        let mut tasks = self.tasks();
        let queued = task.vm.and_then(|vm| tasks.by_vm.get(&vm)).into_iter().flatten();
        let expected = fold(queued, subject.state);
        if let Some(leads_to) = legality::after(subject.operation, expected) {
            let _ = task.leads_to.set(leads_to);
        } else {
            let Subject { name, state, operation, .. } = subject;
            return Err(legality::refuse(*operation, *state, expected, name));
        }
        tasks.insert(task);
        Ok(())
    }

    /// The state that a VM which is in this state now will have after what is queued for it.
    pub(crate) fn expected(&self, vm: VmId, state: VmState) -> VmState {
        let tasks = self.tasks();
        let queued = tasks.by_vm.get(&vm).into_iter().flatten();
        fold(queued, state)
    }

    /// Adds a task.
    pub(crate) fn insert(&self, task: &Arc<LiveTask>) {
        self.tasks().insert(task);
    }

    /// The name and the project of a VM that a task is making, which is in no snapshot yet.
    pub(crate) fn being_made(&self, vm: VmId) -> Option<(VmName, Option<ProjectName>)> {
        let tasks = self.tasks();
        let first = tasks.by_vm.get(&vm)?.first()?.snapshot();
        Some((first.subject.parse().ok()?, first.project))
    }

    pub(crate) fn remove(&self, task: &LiveTask) {
        let mut tasks = self.tasks();
        tasks.by_id.remove(&task.id);
        if let Some(vm) = task.vm
            && let Some(queued) = tasks.by_vm.get_mut(&vm)
        {
            queued.retain(|other| other.id != task.id);
            if queued.is_empty() {
                tasks.by_vm.remove(&vm);
            }
        }
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<Arc<LiveTask>> {
        self.tasks().by_id.get(&id).cloned()
    }

    /// The unfinished tasks of a VM, first the one that is being done.
    pub(crate) fn of_vm(&self, vm: VmId) -> Vec<Arc<LiveTask>> {
        self.tasks().by_vm.get(&vm).cloned().unwrap_or_default()
    }

    /// Whether a VM has unfinished tasks.
    pub(crate) fn has_any(&self, vm: VmId) -> bool {
        self.tasks().by_vm.contains_key(&vm)
    }

    pub(crate) fn all(&self) -> Vec<Arc<LiveTask>> {
        self.tasks().by_id.values().cloned().collect()
    }
}
