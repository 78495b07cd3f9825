//! Adopt: a machine that somebody else made becomes a VM's, or a VM of another manager's is driven here.

use super::{AfterCrash, Context, Plan, create::reserve_disk};
use crate::plan::steps::OwnStep;
use innkeeper_driver::Operation;
use innkeeper_model::{ByteSize, Foreign, Refusal, Spec};
use std::sync::Arc;

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

/// Stores the record that a VM of another manager's is driven by Innkeeper. Its machine is not touched.
pub(crate) fn adopt_managed(spec: Arc<Spec>) -> Plan {
    let mut plan = Plan::new(AfterCrash::Back);
    // Its disks are not ours; that there is one VM more counts.
    reserve_disk(&mut plan, &spec, ByteSize(0));
    plan.own(OwnStep::SaveSpec { spec, before: None });
    plan
}
