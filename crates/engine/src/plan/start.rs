//! Start: the machine is made, and let run.

use super::{AfterCrash, Context, Plan};
use crate::plan::steps::OwnStep;
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{NetworkId, Refusal, Want, config::Attachment};

/// Makes the machine and lets it run. What an earlier machine left is put away first, its memory
/// only where `discard_memory` says so.
pub(crate) fn start(context: &Context, discard_memory: bool) -> Result<Plan, Refusal> {
    if let (Some(problem), false) = (&context.memory_problem, discard_memory) {
        return Err(problem.clone().with_hint(
            "its guest would change the disks under that memory: mend it, or give it up with \
             `inn start --discard-memory`",
        ));
    }
    let has_memory = context.memory.is_some() || context.memory_problem.is_some();
    let mut plan = Plan::new(AfterCrash::Forward);
    if context.has_crashed() {
        context.hook(&mut plan, HookEvent::OnCrash, "restart");
    }
    context.hook(&mut plan, HookEvent::PreStart, "start");
    plan.own(context.set_want(Want::Running));
    if context.has_remains() {
        plan.driver(context.driver_flow(Operation::PutAway)?);
    }
    plan.own(context.reserve());
    if discard_memory && has_memory {
        // Before the guest runs: what it then does to its disks, that memory does not know of.
        plan.own(OwnStep::RemoveMemory { vm: context.spec.id });
    }
    make(context, &mut plan)?;
    context.hook(&mut plan, HookEvent::PostStart, "start");
    Ok(plan)
}

/// The machine's making, from the guard on its network to its first instruction.
pub(super) fn make(context: &Context, plan: &mut Plan) -> Result<(), Refusal> {
    guard(context, plan);
    wire(context, plan);
    let mut flow = context.driver_flow(Operation::Start)?;
    // A driver ends with the letting run.
    let run = flow.pop();
    plan.driver(flow);
    check_disks(context, plan);
    plan.driver(run.into_iter().collect());
    Ok(())
}

/// What was so when it was planned is so when the machine has its disks. One of another manager's has what
/// that gives it.
pub(super) fn check_disks(context: &Context, plan: &mut Plan) {
    let has_host_files = context.spec.config.disks.iter().any(|disk| disk.path.is_some());
    if context.managed.is_none() && has_host_files {
        plan.own(OwnStep::CheckDisks { vm: context.spec.id });
    }
}

/// The networks of its NICs are there, and know them.
pub(super) fn wire(context: &Context, plan: &mut Plan) {
    let mut networks: Vec<NetworkId> = context.plugs.iter().map(|plug| plug.network).collect();
    networks.sort_unstable();
    networks.dedup();
    if !networks.is_empty() {
        plan.own(OwnStep::WireNics { vm: context.spec.id, networks });
    }
}

/// Guests with a way out are kept from this host before they run.
pub(super) fn guard(context: &Context, plan: &mut Plan) {
    if context.spec.config.nics.iter().any(|nic| nic.network == Attachment::User) {
        plan.own(OwnStep::GuardLoopback);
    }
}
