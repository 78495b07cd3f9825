//! Pause: the CPUs are held.

use super::{AfterCrash, Context, Plan};
use innkeeper_driver::Operation;
use innkeeper_model::{Refusal, Want};

/// Holds the CPUs.
pub(crate) fn pause(context: &Context) -> Result<Plan, Refusal> {
    hold(context, Operation::Pause, Want::Paused)
}

/// What pause and resume have in common.
pub(super) fn hold(context: &Context, operation: Operation, want: Want) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.converges = true;
    plan.driver(context.driver_flow(operation)?);
    plan.own(context.note_want(want));
    Ok(plan)
}
