//! Does a plan, step by step, and takes back what was done when a step fails or the task is
//! cancelled.
//!
//! *Fail* is what a step does; *cancel* is what somebody asks for; *undo* is what follows both: the
//! steps that were begun are taken back in reverse. Past its point of no return a plan is only gone
//! forward. Whatever then cannot be taken back or finished is *owed*: it is named in the task, and
//! tried again (`owed`).

pub(crate) mod accountant;
pub(crate) mod bounds;
pub(crate) mod deed;
mod finding_out;
pub(crate) mod hands;
pub(crate) mod importing;
pub(crate) mod kept_disks;
pub(crate) mod panics;
pub(crate) mod witness;

use crate::{
    journal::{Mark, Way},
    neighbours::drivers::Drivers,
    perform::{
        deed::Deed,
        hands::{Hands, progress_of, step_progress_of},
        panics::caught,
        witness::{Site, Witness},
    },
    plan::steps::{OwnStep, PlanStep},
};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use innkeeper_driver::{Crash, Driver, Flow, Probed, Step, StepContext, StepError};
use innkeeper_model::{Code, Refusal, VmId, task::StepState};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, debug_span, warn};

/// How long hypervisors have in all to take back their steps of one plan: what has been cancelled ends in
/// half a minute, whether they answer or not. What they have not done by then is owed.
const DRIVERS_TAKE_BACK_WITHIN: Duration = Duration::from_secs(25);

/// Performs plans.
pub(crate) struct Performer {
    pub(crate) hands: Hands,
    pub(crate) drivers: Drivers,
    pub(crate) witness: Option<Arc<dyn Witness>>,
}

/// How a plan ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// What could not be taken back or finished.
    pub(crate) leftovers: Vec<String>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Cancelled,
    Failed(Refusal),
    /// It cannot go on by itself: a step of it is another version's.
    Interrupted(Refusal),
}

impl Performer {
    /// Does a plan from where it stands, the way that it goes.
    pub(crate) async fn go(&self, deed: &Deed) -> Ended {
        if deed.way() == Way::Back {
            let leftovers = self.back(deed).await;
            let why = "the daemon ended while it was done, and what it had done was undone";
            return Ended {
                outcome: Outcome::Failed(Refusal::new(Code::Cancelled, why)),
                leftovers,
            };
        }
        let Err(error) = self.forward(deed).await else {
            return Ended { outcome: Outcome::Done, leftovers: Vec::new() };
        };
        let outcome = match error {
            StepError::Cancelled => Outcome::Cancelled,
            // Storage says by a refusal, too, that it was cancelled.
            StepError::Failed(refusal) if refusal.code == Code::Cancelled => Outcome::Cancelled,
            StepError::Failed(refusal) => Outcome::Failed(*refusal),
        };
        if deed.way() == Way::OnlyForward {
            let why = match &outcome {
                Outcome::Failed(refusal) => refusal.message.clone(),
                _ => "it was stopped".into(),
            };
            let open = deed.open_steps();
            let owed = |path: String| format!("{path} is still to be done: {why}");
            return Ended { outcome, leftovers: open.into_iter().map(owed).collect() };
        }
        // It is decided, written down or not.
        let _ = deed.turn(Way::Back).await;
        let leftovers = self.back(deed).await;
        Ended { outcome, leftovers }
    }

    async fn forward(&self, deed: &Deed) -> Result<(), StepError> {
        let mut numbered = 0;
        for (index, part) in deed.plan.flow.iter().enumerate() {
            let first = numbered;
            numbered += part.steps().len();
            let passed = deed.way() == Way::OnlyForward;
            if passed && deed.plan.no_return.is_some_and(|no_return| index < no_return) {
                continue;
            }
            if !passed && deed.task.cancel.is_cancelled() {
                return Err(StepError::Cancelled);
            }
            if !passed && deed.plan.no_return == Some(index) {
                // Nobody's cancel is accepted any more, and then one that was is looked for.
                deed.task.update(|task| task.cancellable = false);
                if deed.task.cancel.is_cancelled() {
                    return Err(StepError::Cancelled);
                }
                deed.turn(Way::OnlyForward).await?;
            }
            let cancelled = match deed.way() {
                Way::OnlyForward => CancellationToken::new(),
                _ => deed.task.cancel.child_token(),
            };
            match part {
                Flow::Step(step) => self.step(deed, first, step, &cancelled).await?,
                Flow::Together { steps, .. } => {
                    self.together(deed, first, steps, &cancelled).await?;
                }
            }
        }
        Ok(())
    }

    /// Does steps at the same time. When one fails the others are cancelled, and waited for.
    async fn together(
        &self,
        deed: &Deed,
        first: usize,
        steps: &[PlanStep],
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let each = |(offset, step)| self.step(deed, first + offset, step, cancelled);
        let mut running: FuturesUnordered<_> = steps.iter().enumerate().map(each).collect();
        let mut failed = None;
        while let Some(outcome) = running.next().await {
            if let Err(error) = outcome {
                cancelled.cancel();
                // What the others were stopped for is the first failure, not that they were stopped.
                let worse = matches!((&failed, &error), (None | Some(StepError::Cancelled), _));
                if worse {
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Does one step, unless it has been done.
    async fn step(
        &self,
        deed: &Deed,
        index: usize,
        step: &PlanStep,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        if deed.mark(index) == Mark::Done {
            return Ok(());
        }
        let span = debug_span!("step", task = %deed.task.id, name = %deed.paths[index]);
        let began = Instant::now();
        // Boxed, or the type of a whole task is too deep for the compiler.
        let work = self.step_between_points(deed, index, step, cancelled).instrument(span).boxed();
        let outcome = caught(work).await;
        let took_us = u64::try_from(began.elapsed().as_micros()).ok();
        match &outcome {
            Ok(()) => {
                deed.record_step(index, Mark::Done).await;
                deed.task.step(index, StepState::Done, took_us);
            }
            Err(_) => deed.task.step(index, StepState::Failed, took_us),
        }
        outcome
    }

    async fn step_between_points(
        &self,
        deed: &Deed,
        index: usize,
        step: &PlanStep,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        self.pass(deed, index, Site::BeforeJournal).await?;
        if step.crash() == Crash::Once {
            deed.record_beginning(index).await?;
        }
        self.pass(deed, index, Site::AfterJournal).await?;
        if cancelled.is_cancelled() {
            return Err(StepError::Cancelled);
        }
        deed.note(index, Mark::Begun);
        deed.task.step(index, StepState::Running, None);
        let done = self.act_before_witness(deed, index, step, cancelled).await;
        // No abort is possible any more, so a hook can only be heard.
        if let (
            Err(StepError::Failed(refusal)),
            PlanStep::Own(OwnStep::Hook { .. }),
            Way::OnlyForward,
        ) = (&done, step, deed.way())
        {
            deed.task.warn_once(refusal.message.clone());
            refusal.causes.iter().for_each(|line| deed.task.log(line.clone()));
        } else {
            done?;
        }
        self.pass(deed, index, Site::AfterAct).await
    }

    async fn act(
        &self,
        deed: &Deed,
        step: &PlanStep,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        match step {
            PlanStep::Own(OwnStep::Forget { vm }) => self.forget(*vm).await,
            PlanStep::Own(step) => {
                self.hands.perform(step, &deed.task, &progress_of(&deed.task), cancelled).await
            }
            PlanStep::Driver(step) => {
                let vm = vm_of(deed)?;
                let progress = step_progress_of(&deed.task);
                let context = StepContext { cancelled: cancelled.clone(), progress };
                let outcome = self.drivers.of_step(step).perform(vm, step, &context).await;
                if let Err(StepError::Failed(refusal)) = &outcome {
                    self.drivers.note(step, vm, refusal);
                }
                match outcome {
                    Err(error) if step.crash == Crash::Probe => self.despite(vm, step, error).await,
                    outcome => outcome,
                }
            }
            PlanStep::Unknown(step) => Err(unknown(step).into()),
        }
    }

    /// Has the driver of a VM that is being deleted forget it. One that is not here any more kept nothing
    /// here either.
    async fn forget(&self, vm: VmId) -> Result<(), StepError> {
        match self.forgetting(vm) {
            Some(driver) => Ok(driver.forget(vm).await?),
            None => Ok(()),
        }
    }

    /// The driver that may keep something of a VM.
    fn forgetting(&self, vm: VmId) -> Option<Arc<dyn Driver>> {
        match self.hands.view.snapshot().vms.get(&vm) {
            Some(known) => self.drivers.of(known).ok().cloned(),
            None => Some(self.drivers.own().clone()),
        }
    }

    /// A step that failed or was cancelled and can be asked after may have been done all the same: a
    /// guest that went on must not be taken for one that did not.
    async fn despite(&self, vm: VmId, step: &Step, error: StepError) -> Result<(), StepError> {
        match self.drivers.of_step(step).probe(vm, step).await {
            Ok(Probed::Happened) => {
                debug!(step = step.name, %error, "done all the same");
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Takes back what was begun, the last first. Returns what could not be taken back.
    async fn back(&self, deed: &Deed) -> Vec<String> {
        let mut stuck = Vec::new();
        let drivers_until = tokio::time::Instant::now() + DRIVERS_TAKE_BACK_WITHIN;
        for (index, placed) in deed.steps().rev() {
            if !matches!(deed.mark(index), Mark::Begun | Mark::Done) {
                continue;
            }
            // What is begun may go on where nobody waits for it any more: past the time nothing is begun.
            let undone = tokio::select! {
                biased;
                () = is_put_off(deed) => Err(a_kill_goes_first().into()),
                () = tokio::time::sleep_until(drivers_until), if is_driver(placed.step) => {
                    Err(no_answer().into())
                }
                undone = caught(self.undo(deed, index, placed.step)) => undone,
            };
            match undone {
                // It stays on record as begun: whoever takes this up does not know more.
                Ok(()) if deed.task.is_unknown(index) => {}
                Ok(()) if matches!(placed.step, PlanStep::Unknown(_)) => {}
                Ok(()) => {
                    deed.record_step(index, Mark::Undone).await;
                    deed.task.undone(index);
                }
                Err(error) => {
                    let path = &deed.paths[index];
                    warn!(task = %deed.task.id, step = %path, %error, "cannot be undone");
                    deed.task.step(index, StepState::Stuck, None);
                    stuck.push(format!("{path} could not be undone: {error}"));
                }
            }
        }
        if let Err(error) = self.give_back(deed).await {
            stuck.push(format!("what it took of the host is not given back: {error}"));
        }
        debug!(task = %deed.task.id, stuck = stuck.len(), "undone");
        stuck
    }

    /// A machine that could not be ended when its share was to be given back may have ended since.
    async fn give_back(&self, deed: &Deed) -> Result<(), StepError> {
        match deed.task.vm {
            Some(vm) => self.hands.release_unless_used(vm).await,
            None => Ok(()),
        }
    }

    async fn undo(&self, deed: &Deed, index: usize, step: &PlanStep) -> Result<(), StepError> {
        if let Some(witness) = &self.witness {
            witness.undoes(&self.point(deed, index, Site::AfterAct)).await?;
        }
        match step {
            PlanStep::Own(step @ OwnStep::SaveSpec { spec, before: None }) => {
                self.hands.undo(step).await?;
                // There is no such VM any more, and nobody to delete what the driver kept of it.
                Ok(self.drivers.of_spec(spec)?.forget(spec.id).await?)
            }
            PlanStep::Own(OwnStep::ReserveDisk { .. }) if keeps_spec(deed) => {
                let why = "the spec that it is of is to be taken back first";
                Err(Refusal::new(Code::Leftovers, why).into())
            }
            PlanStep::Own(step) => self.hands.undo(step).await,
            PlanStep::Driver(step) => self.drivers.of_step(step).undo(vm_of(deed)?, step).await,
            PlanStep::Unknown(step) => {
                // Only a person has a plan with such a step undone, and knows that it has one.
                deed.task.warn_once(format!("not undone: {}", unknown(step).message));
                if deed.mark(index) == Mark::Begun {
                    deed.task.step(index, StepState::Unknown, None);
                }
                Ok(())
            }
        }
    }
}

fn unknown(step: &Step) -> Refusal {
    let message =
        format!("step {} of version {} is not known to this version", step.name, step.schema);
    Refusal::new(Code::Interrupted, message)
        .with_hint("use the version that wrote it, or `inn task undo` what is known of it")
}

/// Waits until a kill has waited for this. What is owed is tried by turns that give way by themselves.
async fn is_put_off(deed: &Deed) {
    match deed.task.is_over() {
        false => deed.task.put_off.cancelled().await,
        true => std::future::pending().await,
    }
}

/// Whether the spec that a deed stored in another's place could not be taken back yet: its VM is what that says, and
/// its project's.
fn keeps_spec(deed: &Deed) -> bool {
    deed.steps().any(|(index, placed)| {
        matches!(placed.step, PlanStep::Own(OwnStep::SaveSpec { before: Some(_), .. }))
            && matches!(deed.mark(index), Mark::Begun | Mark::Done)
    })
}

fn is_driver(step: &PlanStep) -> bool {
    matches!(step, PlanStep::Driver(_))
}

fn no_answer() -> Refusal {
    let seconds = DRIVERS_TAKE_BACK_WITHIN.as_secs();
    Refusal::new(Code::Timeout, format!("the hypervisor has not done it within {seconds} s"))
        .with_hint("if the VM does not answer, `inn kill VM` ends it")
}

fn a_kill_goes_first() -> Refusal {
    Refusal::new(Code::Cancelled, "a kill of the VM goes first")
}

fn vm_of(deed: &Deed) -> Result<VmId, Refusal> {
    let vm = deed.task.vm;
    vm.ok_or_else(|| Refusal::new(Code::Internal, "a driver's step in a task without a VM"))
}
