//! Reboot: the machine is ended, and made anew from the spec as it is by then.

use super::{AfterCrash, Context, Plan, start::make};
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{Refusal, Want};
use std::time::Duration;

/// Ends the machine, by asking its guest or at once, and makes it anew. What it took of the host it
/// keeps in between.
pub(crate) fn reboot(context: &Context, timeout: Duration, force: bool) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    let end = if force { Operation::Kill } else { Operation::Stop { timeout } };
    context.hook(&mut plan, HookEvent::PreStop, "reboot");
    plan.own(context.reserve());
    plan.driver(context.driver_flow(end)?);
    plan.own(context.set_want(Want::Running));
    make(context, &mut plan)?;
    context.hook(&mut plan, HookEvent::PostStart, "reboot");
    Ok(plan)
}
