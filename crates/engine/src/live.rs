//! The tasks that have not ended: their records, their cancellation, and who waits for them.

use crate::{
    legality::{self, Operation},
    submit::Subject,
};
use innkeeper_model::{
    Refusal, Revision, Task, TaskId, TaskState, Timestamp, VmId, VmName, task::StepState,
    task::TaskStep,
};
use innkeeper_view::{Update, View};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One task that has not ended.
#[derive(Debug)]
pub(crate) struct LiveTask {
    pub(crate) id: TaskId,
    pub(crate) vm: Option<VmId>,
    /// What it does to its VM, where legality asks.
    pub(crate) operation: Option<Operation>,
    pub(crate) cancel: CancellationToken,
    record: Mutex<Task>,
    ended: watch::Sender<bool>,
    view: View,
}

impl LiveTask {
    pub(crate) fn new(task: Task, operation: Option<Operation>, view: View) -> Arc<Self> {
        Arc::new(Self {
            id: task.id,
            vm: task.vm,
            operation,
            cancel: CancellationToken::new(),
            record: Mutex::new(task),
            ended: watch::channel(false).0,
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

    /// Begins, with these steps to do.
    pub(crate) fn begin(&self, steps: Vec<String>) {
        self.update(|task| {
            task.state = TaskState::Running;
            task.started = Some(Timestamp::now());
            let waiting =
                |name| TaskStep { name, state: StepState::Waiting, started: None, took_us: None };
            task.steps = steps.into_iter().map(waiting).collect();
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
            Some(step) if step.state == StepState::Done => step.state = StepState::Undone,
            _ => {}
        });
    }

    /// Ends the task; when this returns, readers can see how. Whoever waits for it is woken by
    /// [`Self::wake`], after what it held has been let go of.
    pub(crate) async fn end(&self, state: TaskState, error: Option<Refusal>) {
        // Everything that the task did is in the view from this revision on.
        let settled = self.view.barrier(Vec::new()).await.unwrap_or(Revision::default());
        let task = {
            let mut task = self.record();
            task.state = state;
            task.error = error;
            task.cancellable = false;
            task.ended = Some(Timestamp::now());
            task.settled_at = Some(settled);
            task.clone()
        };
        let mut updates = vec![Update::Task(task)];
        updates.extend(self.vm.map(|id| Update::VmTask { id, task: None }));
        // A view that has stopped is read by nobody.
        let _ = self.view.barrier(updates).await;
    }

    /// Wakes who waits for the end.
    pub(crate) fn wake(&self) {
        self.ended.send_replace(true);
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        // The sender is part of self, so this ends with the task only.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
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
        let expected = queued
            .filter_map(|before| before.operation)
            .fold(subject.state, |state, before| legality::after(before, state).unwrap_or(state));
        if legality::after(subject.operation, expected).is_none() {
            let Subject { name, state, operation } = subject;
            return Err(legality::refuse(*operation, *state, expected, name));
        }
        tasks.insert(task);
        Ok(())
    }

    /// Adds a task.
    pub(crate) fn insert(&self, task: &Arc<LiveTask>) {
        self.tasks().insert(task);
    }

    /// The name of a VM that a task is making, which is in no snapshot yet.
    pub(crate) fn being_made(&self, vm: VmId) -> Option<VmName> {
        let tasks = self.tasks();
        let first = tasks.by_vm.get(&vm)?.first()?;
        first.snapshot().subject.parse().ok()
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

    pub(crate) fn all(&self) -> Vec<Arc<LiveTask>> {
        self.tasks().by_id.values().cloned().collect()
    }
}
