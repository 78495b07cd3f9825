//! Stop: the guest is asked to power itself off.

use super::{AfterCrash, Context, Plan};
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{Refusal, Want};
use std::time::Duration;

/// Asks the guest to power itself off. If it does not, the VM is left as it was; once it has, the rest
/// is seen through.
pub(crate) fn stop(context: &Context, timeout: Duration) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.converges = true;
    context.hook(&mut plan, HookEvent::PreStop, "stop");
    plan.own(context.note_want(Want::Stopped));
    let mut flow = context.driver_flow(Operation::Stop { timeout })?.into_iter();
    // A driver's first part of it is the asking and the waiting.
    plan.driver(flow.by_ref().take(1).collect());
    plan.no_way_back();
    plan.driver(flow.collect());
    plan.own(context.release());
    context.hook(&mut plan, HookEvent::PostStop, "stop");
    Ok(plan)
}
