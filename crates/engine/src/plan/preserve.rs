//! Preserving a guest that has ended: its memory is written to a file, and its machine kept.

use super::{AfterCrash, Context, Plan};
use crate::plan::steps::OwnStep;
use innkeeper_driver::Operation;
use innkeeper_hooks::HookEvent;
use innkeeper_model::Refusal;

/// Writes the guest's memory to a file. The machine stays as it is, for somebody to look at.
pub(crate) fn preserve(context: &Context) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Back);
    plan.own(OwnStep::CreateDump { vm: context.spec.id });
    plan.driver(context.driver_flow(Operation::Dump { file: context.dump_file.clone() })?);
    plan.own(OwnStep::NoteDump { vm: context.spec.id });
    plan.no_way_back();
    if context.has_crashed() {
        context.hook(&mut plan, HookEvent::OnCrash, "preserve");
    }
    Ok(plan)
}
