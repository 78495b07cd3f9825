//! Does a plan, step by step, and takes back what was done when a step fails or the task is
//! cancelled.
//!
//! *Fail* is what a step does; *cancel* is what somebody asks for; *undo* is what follows both: the
//! steps that were begun are taken back in reverse. A step that cannot be taken back is named in the
//! task, and its leftovers with it.

use crate::{
    live::LiveTask,
    steps::{Hands, OwnStep, PlanStep},
};
use innkeeper_driver::{Driver, StepContext, StepError};
use innkeeper_model::{Code, Refusal, VmId, task::StepState};
use innkeeper_storage::{OnProgress, Progress};
use std::{
    sync::{Arc, Weak},
    time::Instant,
};
use tracing::{Instrument, debug, debug_span, warn};

/// Performs plans.
pub(crate) struct Performer {
    pub(crate) hands: Hands,
    pub(crate) driver: Arc<dyn Driver>,
}

/// How a plan that was not done ended; all of it that could be taken back is.
#[derive(Debug)]
pub(crate) enum Stopped {
    Cancelled,
    Failed(Refusal),
}

impl Performer {
    /// Does a plan. After an error, what was begun has been undone.
    pub(crate) async fn run(&self, task: &Arc<LiveTask>, plan: &[PlanStep]) -> Result<(), Stopped> {
        for (index, step) in plan.iter().enumerate() {
            if task.cancel.is_cancelled() {
                // This one has not begun, so there is nothing of it to take back.
                let stuck = self.undo(task, &plan[..index]).await;
                return Err(stopped(StepError::Cancelled, stuck));
            }
            let began = Instant::now();
            task.step(index, StepState::Running, None);
            let span = debug_span!("step", task = %task.id, name = step.name());
            let outcome = self.perform(task, step).instrument(span).await;
            let took_us = u64::try_from(began.elapsed().as_micros()).ok();
            match outcome {
                Ok(()) => task.step(index, StepState::Done, took_us),
                Err(error) => {
                    task.step(index, StepState::Failed, took_us);
                    let stuck = self.undo(task, &plan[..=index]).await;
                    return Err(stopped(error, stuck));
                }
            }
        }
        Ok(())
    }

    async fn perform(&self, task: &Arc<LiveTask>, step: &PlanStep) -> Result<(), StepError> {
        match step {
            PlanStep::Own(OwnStep::Forget { vm }) => Ok(self.driver.forget(*vm).await?),
            PlanStep::Own(step @ OwnStep::NoteWant { want, .. }) => {
                if let Err(error) = self.hands.perform(step, &progress(task), &task.cancel).await {
                    warn!(task = %task.id, %error, ?want, "what is wanted is not recorded");
                    let want = format!("{want:?}").to_lowercase();
                    let warning = format!("recorded: false; that it is wanted {want}: {error}");
                    task.update(|task| task.warnings.push(warning));
                }
                Ok(())
            }
            PlanStep::Own(step) => self.hands.perform(step, &progress(task), &task.cancel).await,
            PlanStep::Driver(step) => {
                let context = StepContext { cancelled: task.cancel.clone() };
                self.driver.perform(vm_of(task)?, step, &context).await
            }
        }
    }

    /// Takes back these steps, the last first. Returns what could not be taken back.
    async fn undo(&self, task: &Arc<LiveTask>, begun: &[PlanStep]) -> Vec<String> {
        let mut stuck = Vec::new();
        for (index, step) in begun.iter().enumerate().rev() {
            let outcome = match step {
                PlanStep::Own(step) => self.hands.undo(step).await,
                PlanStep::Driver(step) => match vm_of(task) {
                    Ok(vm) => self.driver.undo(vm, step).await,
                    Err(error) => Err(error.into()),
                },
            };
            match outcome {
                Ok(()) => task.undone(index),
                Err(error) => {
                    warn!(task = %task.id, step = step.name(), %error, "cannot be undone");
                    task.step(index, StepState::Stuck, None);
                    stuck.push(format!("{} could not be undone: {error}", step.name()));
                }
            }
        }
        debug!(task = %task.id, steps = begun.len(), stuck = stuck.len(), "undone");
        stuck
    }
}

fn stopped(error: StepError, stuck: Vec<String>) -> Stopped {
    match error {
        StepError::Cancelled if stuck.is_empty() => Stopped::Cancelled,
        StepError::Cancelled => {
            let mut refusal = Refusal::new(Code::Cancelled, "cancelled, and not all of it undone");
            refusal.causes = stuck;
            Stopped::Failed(refusal)
        }
        StepError::Failed(refusal) => {
            // Storage says by a refusal, too, that it was cancelled.
            if refusal.code == Code::Cancelled && stuck.is_empty() {
                return Stopped::Cancelled;
            }
            let mut refusal = *refusal;
            refusal.causes.extend(stuck);
            Stopped::Failed(refusal)
        }
    }
}

fn vm_of(task: &LiveTask) -> Result<VmId, Refusal> {
    task.vm.ok_or_else(|| Refusal::new(Code::Internal, "a driver's step in a task without a VM"))
}

/// Notes progress in the task, whenever another percent is done.
fn progress(task: &Arc<LiveTask>) -> OnProgress {
    let task: Weak<LiveTask> = Arc::downgrade(task);
    Arc::new(move |progress: Progress| {
        let Some(task) = task.upgrade() else { return };
        let Some(total) = progress.total.filter(|total| total.0 > 0) else { return };
        let percent = u8::try_from(progress.done.0.saturating_mul(100) / total.0).unwrap_or(100);
        let percent = Some(percent.min(100));
        if task.snapshot().percent != percent {
            task.update(|record| record.percent = percent);
        }
    })
}
