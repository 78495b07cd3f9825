//! Restore: a machine is made with the memory that a suspend has kept.

use super::{
    AfterCrash, Context, Plan,
    start::{check_disks, guard, wire},
};
use crate::plan::steps::{OwnStep, PlanStep};
use innkeeper_driver::{Flow, Operation, Step};
use innkeeper_hooks::HookEvent;
use innkeeper_model::{Code, Refusal, Want};

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
    let Parts { before, making, loading, go_on } = Parts::of(context.driver_flow(operation)?);
    plan.driver(before);
    // Nothing of a damaged image is loaded: it is read through before, while the last of what makes the
    // machine is done, and is then in the host's memory.
    let making = making.into_iter().flat_map(|part| part.map(PlanStep::Driver).into_steps());
    let verify = OwnStep::VerifyMemory { vm, image: image.clone() };
    let steps = making.chain([PlanStep::Own(verify)]).collect();
    plan.flow.push(Flow::Together { name: "make".into(), steps });
    plan.driver(loading);
    check_disks(context, &mut plan);
    plan.own(OwnStep::SpendMemory { vm, image });
    // Whether its guest went on can be asked: only if it did not is the memory given back.
    plan.driver(go_on.into_iter().collect());
    plan.no_way_back();
    plan.own(OwnStep::RemoveMemory { vm });
    context.hook(&mut plan, HookEvent::PostResume, "resume");
    Ok(plan)
}

/// What a driver does for it.
struct Parts {
    before: Vec<Flow<Step>>,
    /// The last before anything of the memory is read.
    making: Option<Flow<Step>>,
    /// The loading, and what sets right after it what the memory has brought along.
    loading: Vec<Flow<Step>>,
    go_on: Option<Flow<Step>>,
}

impl Parts {
    fn of(mut flow: Vec<Flow<Step>>) -> Self {
        let go_on = flow.pop();
        let loads = |part: &Flow<Step>| part.steps().iter().any(Step::loads_memory);
        let first = flow.iter().position(loads).unwrap_or(flow.len());
        let loading = flow.split_off(first);
        let making = flow.pop();
        Self { before: flow, making, loading, go_on }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_driver::Crash;

    /// QEMU plugs cables out between the two, since the memory says how they were.
    #[test]
    fn what_comes_after_the_loading_is_not_taken_for_it() {
        let step = |name: &str| Flow::Step(Step::new(name, 1, Crash::Once, &()));
        let names =
            ["qemu/prepare", "qemu/launch", "qemu/load-memory", "qemu/set-link", "qemu/continue"];
        let parts = Parts::of(names.map(step).into());
        let shown = |flow: &[Flow<Step>]| {
            flow.iter()
                .flat_map(|part| part.steps())
                .map(|step| step.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&parts.before), ["qemu/prepare"]);
        assert_eq!(shown(parts.making.as_slice()), ["qemu/launch"]);
        assert_eq!(shown(&parts.loading), ["qemu/load-memory", "qemu/set-link"]);
        assert_eq!(shown(parts.go_on.as_slice()), ["qemu/continue"]);
    }
}
