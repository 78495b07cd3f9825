//! Delete.

use super::{AfterCrash, Context, Plan};
use crate::plan::steps::OwnStep;
use innkeeper_driver::Operation;
use innkeeper_model::{MachineState, Refusal, VmId};

/// Ends and puts away what runs, then removes the volumes, and the spec last: as long as anything is
/// left, there is a VM to delete again. `damaged` gives up a spec that cannot be read.
pub(crate) fn delete(context: &Context, damaged: bool) -> Result<Plan, Refusal> {
    let vm = context.spec.id;
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.no_way_back();
    if context.facts.machine != MachineState::Absent {
        plan.driver(context.driver_flow(Operation::Kill)?);
        plan.own(context.release());
    } else if context.has_remains() {
        plan.driver(context.driver_flow(Operation::PutAway)?);
        plan.own(context.release());
    }
    if context.memory.is_some() {
        plan.own(OwnStep::RemoveMemory { vm });
    }
    plan.own(OwnStep::RemoveVolumes { vm });
    plan.own(OwnStep::Forget { vm });
    plan.own(OwnStep::RemoveSpec { vm, damaged });
    Ok(plan)
}

/// Forgets that a VM of another manager's was adopted. Its machine and its disks are not touched.
pub(crate) fn let_go(vm: VmId, damaged: bool) -> Plan {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.no_way_back();
    plan.own(OwnStep::Release { vm });
    plan.own(OwnStep::Forget { vm });
    plan.own(OwnStep::RemoveSpec { vm, damaged });
    plan
}
