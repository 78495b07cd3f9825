//! Kill: the machine is ended at once.

use super::{AfterCrash, Context, Plan};
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{Refusal, Want};

/// Ends the machine, then notes that it is wanted stopped: when nothing can be written it has ended
/// all the same.
pub(crate) fn kill(context: &Context) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.converges = true;
    plan.no_way_back();
    plan.driver(context.driver_flow(Operation::Kill)?);
    plan.own(context.release());
    plan.own(context.note_want(Want::Stopped));
    context.hook(&mut plan, HookEvent::PostStop, "kill");
    Ok(plan)
}
