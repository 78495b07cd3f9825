//! A NIC more, less or other: in the spec, and in the machine where that is on.

use super::{AfterCrash, Context, Plan, create::reserve_addresses, start::wire};
use crate::{accept::request::NicChange, networks::claims::NicClaim, plan::steps::OwnStep};
use innkeeper_driver::Operation;
use innkeeper_model::{DeviceName, Refusal, network::Plug};

/// Changes a NIC. `before` and `after` differ in the spec and in the connections that follow from it.
///
/// What a guest gets is there before it is plugged in, and what it gives back goes after it has let go. One that is
/// to be reached at another place sees its cable out and in again, so that it asks for its addresses anew: its lease of
/// the former ones would last for hours, and nobody hears it by those any more.
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
                let was = had.is_none_or(|had| had.connected);
                let now = after.spec.config.nics.iter().any(|has| has.name == nic && has.connected);
                let is_out = is_elsewhere(after, &nic) || (was && !now);
                let set_link = |up, before| {
                    after.driver_flow(Operation::SetLink { nic: nic.clone(), up, before })
                };
                if is_out {
                    plan.driver(set_link(false, was)?);
                }
                wire(after, &mut plan);
                plan.driver(after.driver_flow(Operation::ChangePlug { nic: nic.clone() })?);
                // What its record says by then is what the host lets through, and gives it when it asks.
                wire(after, &mut plan);
                if now && (is_out || !was) {
                    plan.driver(set_link(true, false)?);
                }
            }
        }
    }
    Ok(plan)
}

/// Whether a plugged NIC comes to another network, or to have other addresses, than the machine has it with.
fn is_elsewhere(after: &Context, nic: &DeviceName) -> bool {
    let plug_in = |plugs: &[Plug]| plugs.iter().find(|plug| plug.nic == *nic).cloned();
    let has = after.incarnation.as_ref().and_then(|machine| plug_in(&machine.plugs));
    matches!((has, plug_in(&after.plugs)), (Some(has), Some(plug))
        if has.network != plug.network || has.addresses != plug.addresses)
}
