//! Suspend and restore: a machine's memory goes to a file, and comes back from it.

use super::{
    AfterCrash, Context, Plan,
    start::{guard, wire},
};
use crate::plan::steps::{OwnStep, PlanStep};
use innkeeper_driver::{Flow, Operation};
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

/// Makes the machine with the memory that was kept, and lets it run. Before that the memory is marked
/// as spent: a guest that has gone on must never be taken back to it.
pub(crate) fn restore(context: &Context) -> Result<Plan, Refusal> {
    let vm = context.spec.id;
    let image = context.memory.clone().ok_or_else(|| {
        Refusal::new(Code::WrongState, "no memory of it is kept").with_hint("`inn start` it")
    })?;
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.own(OwnStep::CheckMemory { vm });
    plan.own(context.set_want(Want::Running));
    if context.has_remains() {
        plan.driver(context.driver_flow(Operation::PutAway)?);
    }
    plan.own(context.reserve_for(&image.incarnation));
    guard(context, &mut plan);
    wire(context, &mut plan);
    let operation =
        Operation::Restore { image: image.clone(), memory: context.memory_file.clone() };
    let mut flow = context.driver_flow(operation)?;
    // A driver ends with the loading and the letting go. Nothing of a damaged image is loaded: it is read
    // through before, while the last of what makes the machine is done, and is then in the host's memory.
    let go_on = flow.pop();
    let load = flow.pop();
    let making = flow.pop();
    plan.driver(flow);
    let making = making.into_iter().flat_map(|part| part.map(PlanStep::Driver).into_steps());
    let verify = OwnStep::VerifyMemory { vm, image: image.clone() };
    let steps = making.chain([PlanStep::Own(verify)]).collect();
    plan.flow.push(Flow::Together { name: "make".into(), steps });
    plan.driver(load.into_iter().collect());
    plan.own(OwnStep::SpendMemory { vm, image });
    // Whether its guest went on can be asked: only if it did not is the memory given back.
    plan.driver(go_on.into_iter().collect());
    plan.no_way_back();
    plan.own(OwnStep::RemoveMemory { vm });
    context.hook(&mut plan, HookEvent::PostResume, "resume");
    Ok(plan)
}
