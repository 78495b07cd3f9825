//! Suspend: a machine's memory goes to a file.

use super::{AfterCrash, Context, Plan};
use crate::plan::steps::OwnStep;
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{Code, Refusal, Want};

/// Writes the memory to a file, and ends the machine once the file is known to be whole. Until then the
/// guest can go on as if nothing had happened.
pub(crate) fn suspend(context: &Context) -> Result<Plan, Refusal> {
    let vm = context.spec.id;
    let machine = context.incarnation.clone().ok_or_else(|| {
        Refusal::new(Code::WrongState, "there is no machine whose memory could be kept")
    })?;
    let mut plan = Plan::new(AfterCrash::Back);
    context.hook(&mut plan, HookEvent::PreSuspend, "suspend");
    plan.own(OwnStep::CreateMemory { vm });
    let memory = context.memory_file.clone();
    plan.driver(context.driver_flow(Operation::Suspend { memory })?);
    plan.own(OwnStep::SealMemory { vm, incarnation: machine });
    plan.no_way_back();
    plan.own(context.set_want(Want::Suspended));
    plan.driver(context.driver_flow(Operation::PutAway)?);
    plan.own(context.release());
    Ok(plan)
}
