//! Adopt: a machine that somebody else made becomes a VM's.

use super::{AfterCrash, Context, Plan, create::reserve_disk};
use crate::plan::steps::OwnStep;
use innkeeper_driver::Operation;
use innkeeper_model::{ByteSize, Foreign, Refusal};

/// Stores the draft of a spec, then takes the machine over. Undone, the machine is as it was, and
/// nobody's again.
pub(crate) fn adopt(context: &Context, machine: Foreign) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Back);
    // Its disks are not ours; that there is one VM more counts.
    reserve_disk(&mut plan, &context.spec, ByteSize(0));
    plan.own(OwnStep::SaveSpec { spec: context.spec.clone(), before: None });
    plan.own(context.reserve());
    plan.driver(context.driver_flow(Operation::Adopt { machine: Box::new(machine) })?);
    Ok(plan)
}
