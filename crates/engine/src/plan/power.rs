//! Start, stop, kill, reboot, reset, pause, resume, and putting away what has ended.

use super::Context;
use crate::steps::{OwnStep, PlanStep};
use innkeeper_driver::Operation;
use innkeeper_model::{EndReason, Refusal, Want, config::Network};
use std::time::Duration;

fn set_want(context: &Context, want: Want) -> PlanStep {
    let before = context.spec.want;
    PlanStep::Own(OwnStep::SetWant { vm: context.spec.id, want, before })
}

/// The note of what was done, where the deed counts: a guest can be stopped, killed and paused on a
/// host whose disk is full.
fn note_want(context: &Context, want: Want) -> PlanStep {
    let before = context.spec.want;
    PlanStep::Own(OwnStep::NoteWant { vm: context.spec.id, want, before })
}

/// Makes the machine and lets it run. What an earlier machine left is put away first.
pub(crate) fn start(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = vec![set_want(context, Want::Running)];
    if context.has_remains() {
        plan.extend(context.driver_steps(Operation::PutAway)?);
    }
    plan.extend(make(context)?);
    Ok(plan)
}

/// The machine's making, from the guard on its network to its first instruction.
fn make(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = Vec::new();
    if context.spec.config.nics.iter().any(|nic| nic.network == Network::User) {
        plan.push(PlanStep::Own(OwnStep::GuardLoopback));
    }
    plan.extend(context.driver_steps(Operation::Start)?);
    Ok(plan)
}

/// Asks the guest to power itself off. If it does not, the VM is left as it was.
pub(crate) fn stop(context: &Context, timeout: Duration) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = vec![note_want(context, Want::Stopped)];
    plan.extend(context.driver_steps(Operation::Stop { timeout })?);
    Ok(plan)
}

/// Ends the machine, then notes that it is wanted stopped: when nothing can be written it has ended
/// all the same.
pub(crate) fn kill(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = context.driver_steps(Operation::Kill)?;
    plan.push(note_want(context, Want::Stopped));
    Ok(plan)
}

/// Ends the machine and makes it anew, from the spec as it is by then.
pub(crate) fn reboot(
    context: &Context,
    timeout: Duration,
    force: bool,
) -> Result<Vec<PlanStep>, Refusal> {
    let end = if force { Operation::Kill } else { Operation::Stop { timeout } };
    let mut plan = context.driver_steps(end)?;
    plan.push(set_want(context, Want::Running));
    plan.extend(make(context)?);
    Ok(plan)
}

/// Presses the reset button.
pub(crate) fn reset(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    context.driver_steps(Operation::Reset)
}

/// Holds the CPUs.
pub(crate) fn pause(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = context.driver_steps(Operation::Pause)?;
    plan.push(note_want(context, Want::Paused));
    Ok(plan)
}

/// Lets the CPUs go on.
pub(crate) fn resume(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = context.driver_steps(Operation::Resume)?;
    plan.push(note_want(context, Want::Running));
    Ok(plan)
}

/// Puts away a machine that ended by itself. A guest that powered itself off is wanted off from then
/// on, as if its owner had stopped it; one that crashed is still wanted.
pub(crate) fn put_away(context: &Context) -> Result<Vec<PlanStep>, Refusal> {
    let mut plan = context.driver_steps(Operation::PutAway)?;
    if context.facts.last_end == Some(EndReason::GuestShutdown) {
        plan.push(note_want(context, Want::Stopped));
    }
    Ok(plan)
}
