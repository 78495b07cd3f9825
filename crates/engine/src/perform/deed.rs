//! A plan that is being done: how far it is, in memory and on record.

use crate::{
    journal::{Begun, Entry, Mark, Recorder, SCHEMA, Way},
    plan::{
        PlacedStep, Plan,
        steps::{OwnStep, PlanStep},
    },
    turn::{
        live::LiveTask,
        queues::{Hold, Resource},
    },
};
use innkeeper_model::{Refusal, StepName, Task};
use innkeeper_store::journal::{Durability, Held};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// One plan that is being done.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) task: Arc<LiveTask>,
    /// Shared with what is written down of it.
    pub(crate) plan: Arc<Plan>,
    pub(crate) paths: Vec<StepName>,
    resources: Vec<(Resource, Hold)>,
    boot_id: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    way: Way,
    marks: Vec<Mark>,
    /// Where it is written down; nowhere, where nothing could be written.
    record: Option<Record>,
}

/// The first record of an operation, which stays until this goes.
#[derive(Debug)]
struct Record {
    recorder: Recorder,
    held: Held,
}

impl Deed {
    /// A plan of which nothing has been done or written down.
    pub(crate) fn new(
        task: Arc<LiveTask>,
        plan: Plan,
        resources: Vec<(Resource, Hold)>,
        boot_id: String,
    ) -> Self {
        let marks = vec![Mark::default(); plan.steps().count()];
        let plan = Arc::new(plan);
        let state = State { way: Way::default(), marks, record: None };
        Self { task, paths: paths(&plan), plan, resources, boot_id, state: Mutex::new(state) }
    }

    /// One that an earlier daemon had begun, or that is owed.
    pub(crate) fn taken_up(
        task: Arc<LiveTask>,
        begun: Begun,
        recorder: Recorder,
        held: Held,
    ) -> Self {
        let Begun { plan, resources, boot_id, way, mut marks, .. } = begun;
        marks.resize(plan.steps().count(), Mark::default());
        let record = Some(Record { recorder, held });
        let state = State { way, marks, record };
        Self { task, paths: paths(&plan), plan, resources, boot_id, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Only assignments happen under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn way(&self) -> Way {
        self.state().way
    }

    /// How far each step is.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.state().marks.clone()
    }

    pub(crate) fn mark(&self, step: usize) -> Mark {
        self.state().marks.get(step).copied().unwrap_or_default()
    }

    /// Every step with its number.
    pub(crate) fn steps(&self) -> impl DoubleEndedIterator<Item = (usize, PlacedStep<'_>)> {
        let steps: Vec<_> = self.plan.steps().enumerate().collect();
        steps.into_iter()
    }

    /// Whether it does something to a machine, which an end of its host ends.
    pub(crate) fn plan_is_a_machines(&self) -> bool {
        self.plan.steps().any(|placed| matches!(placed.step, PlanStep::Driver(_)))
    }

    /// Whether a VM's disks are others after it.
    pub(crate) fn changes_disks(&self) -> bool {
        let changes = |step: &PlanStep| {
            matches!(
                step,
                PlanStep::Own(
                    OwnStep::CreateVolume { .. }
                        | OwnStep::CloneVolumes { .. }
                        | OwnStep::BringVolumes { .. }
                        | OwnStep::RemoveVolume { .. }
                )
            )
        };
        self.plan.steps().any(|placed| changes(placed.step))
    }

    /// Has what is wanted stay as it was set, should this be undone.
    pub(crate) fn keep_wants(&self) {
        for (index, placed) in self.steps() {
            let sets_want = matches!(
                placed.step,
                PlanStep::Own(OwnStep::SetWant { .. } | OwnStep::NoteWant { .. })
            );
            if sets_want {
                self.note(index, Mark::Waiting);
            }
        }
    }

    /// The steps that are not done, or not undone, whichever way it goes.
    pub(crate) fn open_steps(&self) -> Vec<String> {
        let state = self.state();
        let open = |mark: &Mark| match state.way {
            Way::Forward | Way::OnlyForward => *mark != Mark::Done,
            Way::Back => matches!(mark, Mark::Begun | Mark::Done),
        };
        let paths = self.paths.iter().zip(&state.marks);
        paths.filter(|(_, mark)| open(mark)).map(|(path, _)| path.to_string()).collect()
    }

    /// Writes the whole plan down. From here on a crash does not lose it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn write_down(&self, recorder: &Recorder, task: Task) -> Result<(), Refusal> {
        let entry = Entry::Begun(Box::new(self.as_begun(task)));
        let held = recorder.write(self.task.vm, &entry, Durability::Synced).await?;
        self.state().record = Some(Record { recorder: recorder.clone(), held });
        Ok(())
    }

    /// Writes it down anew if its record is this old, so that the old one can go.
    pub(crate) async fn refresh(&self, oldest: u64) {
        let recorder = {
            let state = self.state();
            state.record.as_ref().filter(|record| record.held.segment() < oldest).map(recorder_of)
        };
        if let Some(recorder) = recorder
            && let Err(error) = self.write_down(&recorder, self.task.snapshot()).await
        {
            warn!(task = %self.task.id, %error, "an old record of a task stays");
        }
    }

    fn as_begun(&self, task: Task) -> Begun {
        let state = self.state();
        Begun {
            schema: SCHEMA,
            task,
            operation: self.task.operation,
            resources: self.resources.clone(),
            plan: self.plan.clone(),
            boot_id: self.boot_id.clone(),
            way: state.way,
            marks: state.marks.clone(),
            owed: self.task.is_over(),
        }
    }

    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    pub(crate) fn resources(&self) -> &[(Resource, Hold)] {
        &self.resources
    }

    fn recorder(&self) -> Option<Recorder> {
        self.state().record.as_ref().map(recorder_of)
    }

    /// Notes how far a step is, in memory only.
    pub(crate) fn note(&self, step: usize, mark: Mark) {
        if let Some(known) = self.state().marks.get_mut(step) {
            *known = mark;
        }
    }

    /// Notes and writes down how far a step is. That it cannot be written is told once, and does not
    /// stop what can be asked or repeated.
    pub(crate) async fn record_step(&self, step: usize, mark: Mark) {
        self.note(step, mark);
        let entry = Entry::Step { task: self.task.id, step, mark };
        self.record(&entry, Durability::Written).await;
    }

    /// Writes down that a step begins which must not be repeated.
    ///
    /// # Errors
    /// It cannot be written; the step must not be begun then.
    pub(crate) async fn record_beginning(&self, step: usize) -> Result<(), Refusal> {
        if let Some(recorder) = self.recorder() {
            let entry = Entry::Step { task: self.task.id, step, mark: Mark::Begun };
            recorder.write(self.task.vm, &entry, Durability::Synced).await?;
        }
        self.note(step, Mark::Begun);
        Ok(())
    }

    /// Goes another way from here on.
    ///
    /// # Errors
    /// That it goes only forward cannot be written; it does not, then. That it goes back is decided
    /// even where it cannot be written.
    pub(crate) async fn turn(&self, way: Way) -> Result<(), Refusal> {
        let entry = Entry::Way { task: self.task.id, way };
        if way == Way::OnlyForward {
            if let Some(recorder) = self.recorder() {
                recorder.write(self.task.vm, &entry, Durability::Synced).await?;
            }
        } else {
            self.record(&entry, Durability::Written).await;
        }
        self.state().way = way;
        Ok(())
    }

    /// Writes the task's end down; what is `owed` stays on record.
    pub(crate) async fn record_end(&self, task: Task, owed: bool) -> Option<Held> {
        let task = Box::new(task);
        let entry = if owed { Entry::Owed { task } } else { Entry::Ended { task } };
        self.record(&entry, Durability::Synced).await
    }

    async fn record(&self, entry: &Entry, durability: Durability) -> Option<Held> {
        let recorder = self.recorder()?;
        match recorder.write(self.task.vm, entry, durability).await {
            Ok(held) => Some(held),
            Err(error) => {
                warn!(task = %self.task.id, %error, "not recorded");
                self.task.warn_once(format!("recorded: false; {error}"));
                None
            }
        }
    }
}

fn paths(plan: &Plan) -> Vec<StepName> {
    plan.paths().into_iter().map(StepName::from).collect()
}

fn recorder_of(record: &Record) -> Recorder {
    record.recorder.clone()
}
