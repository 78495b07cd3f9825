//! Delete.

use super::Context;
use crate::steps::{OwnStep, PlanStep};
use innkeeper_driver::Operation;
use innkeeper_model::{MachineState, Refusal};

/// Ends and puts away what runs, then removes the volumes, and the spec last: as long as anything is
/// left, there is a VM to delete again. `damaged` gives up a spec that cannot be read.
pub(crate) fn delete(context: &Context, damaged: bool) -> Result<Vec<PlanStep>, Refusal> {
    let vm = context.spec.id;
    let mut plan = Vec::new();
    if context.facts.machine != MachineState::Absent {
        plan.extend(context.driver_steps(Operation::Kill)?);
    } else if context.has_remains() {
        plan.extend(context.driver_steps(Operation::PutAway)?);
    }
    let own = [
        OwnStep::RemoveVolumes { vm },
        OwnStep::Forget { vm },
        OwnStep::RemoveSpec { vm, damaged },
    ];
    plan.extend(own.map(PlanStep::Own));
    Ok(plan)
}
