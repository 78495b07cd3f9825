//! Pause and resume: the CPUs are held, and let go.

use super::{AfterCrash, Context, Plan};
use innkeeper_driver::Operation;
use innkeeper_model::{Refusal, Want};

/// Holds the CPUs.
pub(crate) fn pause(context: &Context) -> Result<Plan, Refusal> {
    hold(context, Operation::Pause, Want::Paused)
}

/// Lets the CPUs go on.
pub(crate) fn resume(context: &Context) -> Result<Plan, Refusal> {
    hold(context, Operation::Resume, Want::Running)
}

fn hold(context: &Context, operation: Operation, want: Want) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.converges = true;
    plan.driver(context.driver_flow(operation)?);
    plan.own(context.note_want(want));
    Ok(plan)
}
