//! Putting away a machine whose guest has ended by itself, or whose process has died.

use super::{AfterCrash, Context, Plan};
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{Refusal, Want};

/// Puts away a machine that ended by itself. `stopped`: it is wanted off from then on, as if its owner
/// had stopped it.
pub(crate) fn put_away(context: &Context, stopped: bool) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.converges = true;
    plan.no_way_back();
    plan.driver(context.driver_flow(Operation::PutAway)?);
    plan.own(context.release());
    if stopped {
        plan.own(context.note_want(Want::Stopped));
    }
    if context.has_crashed() {
        context.hook(&mut plan, HookEvent::OnCrash, "crash");
    }
    context.hook(&mut plan, HookEvent::PostStop, "ended");
    Ok(plan)
}
