//! `/hypervisors/{id}/guests`: the VMs that are assigned to a host.

use super::{
    Named, Registered,
    body::{Written, line},
    failure::{LongDocument, ShortDocument},
};
use axum::extract::State;
use innkeeper_model::VmId;
use std::collections::BTreeSet;

/// List the VMs that are assigned to a host
#[utoipa::path(
    get,
    path = "/hypervisors/{hypervisorID}/guests",
    tag = "guests",
    operation_id = "listGuests",
    params(("hypervisorID" = String, Path, description = "The host's id, in any spelling of a UUID")),
    responses(
        (status = 200, description = "The ids of VMs, in order", body = [String]),
        (status = 400, description = "This is no id", body = ShortDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 500, description = "Its record is damaged, or the registry fails", body = LongDocument),
    ),
)]
pub(super) async fn list(State(state): State<Registered>, named: Named) -> Written {
    let mut guests: BTreeSet<VmId> = named.now.guests(named.id).collect();
    if named.id == state.this_host.id {
        guests.extend(state.context.view().snapshot().vms.keys());
    }
    Written::ok(line(&guests))
}
