//! A NIC more, less or other: in the spec, and in the machine where that is on.

use super::{AfterCrash, Context, Plan, create::reserve_addresses, start::wire};
use crate::{accept::request::NicChange, networks::claims::NicClaim, plan::steps::OwnStep};
use innkeeper_driver::Operation;
use innkeeper_model::Refusal;

/// Changes a NIC. `before` and `after` differ in the spec and in the connections that follow from it.
///
/// What a guest gets is there before it is plugged in, and what it gives back goes after it has let go.
pub(crate) fn change_nic(
    before: &Context,
    after: &Context,
    change: &NicChange,
    claims: Vec<NicClaim>,
) -> Result<Plan, Refusal> {
    let (vm, nic) = (after.spec.id, change.nic().clone());
    let save = OwnStep::SaveSpec { spec: after.spec.clone(), before: Some(before.spec.clone()) };
    let is_on = before.incarnation.is_some();
    let mut plan = Plan::new(AfterCrash::Back);
    match change {
        NicChange::Add(_) => {
            reserve_addresses(&mut plan, vm, claims);
            plan.own(save);
            if is_on {
                wire(after, &mut plan);
                plan.driver(after.driver_flow(Operation::PlugNic { nic })?);
            }
        }
        NicChange::Remove(_) => {
            if is_on {
                plan.driver(before.driver_flow(Operation::UnplugNic { nic })?);
            }
            plan.own(save);
            if is_on {
                // Whoever comes next does not wait for what this one leaves.
                wire(before, &mut plan);
            }
        }
        NicChange::Set(_) => {
            reserve_addresses(&mut plan, vm, claims);
            plan.own(save);
            if is_on {
                let had = before.spec.config.nics.iter().find(|had| had.name == nic);
                let was_connected = had.is_none_or(|had| had.connected);
                wire(after, &mut plan);
                let operation = Operation::ChangeNic { nic, was_connected };
                plan.driver(after.driver_flow(operation)?);
                // What its record says by then is what the host lets through.
                wire(after, &mut plan);
            }
        }
    }
    Ok(plan)
}
