//! `/hypervisors`: the hosts themselves.

use super::{
    Named, Registered,
    body::{Sent, Written, first_value, line},
    change::{self, Change},
    failure::{Failure, LongDocument, ShortDocument},
    shown::Hypervisor,
};
use axum::extract::State;
use http::StatusCode;
use innkeeper_model::HostId;
use innkeeper_store::registry::HostRecord;
use uuid::Uuid;

/// List the hosts
#[utoipa::path(
    get,
    path = "/hypervisors",
    tag = "hypervisors",
    operation_id = "listHypervisors",
    responses(
        (status = 200, description = "The hosts, in the order of their ids; those whose records are damaged are left out", body = [Hypervisor<'static>]),
        (status = 500, description = "The registry fails", body = LongDocument),
    ),
)]
pub(super) async fn list(State(state): State<Registered>) -> Result<Written, Failure> {
    let now = state.hosts.snapshot().await?;
    let shown = now.host(state.this_host.id).map(|host| state.show(host));
    Ok(Written::ok(state.listing.of(&now, shown.as_ref())))
}

/// Register a host
#[utoipa::path(
    post,
    path = "/hypervisors",
    tag = "hypervisors",
    operation_id = "createHypervisor",
    request_body = change::Sent,
    responses(
        (status = 201, description = "The host", body = Hypervisor<'static>),
        (status = 400, description = "The body cannot be read", body = ShortDocument),
        (status = 409, description = "There is one with this id", body = LongDocument),
        (status = 413, description = "It is too large", body = LongDocument),
        (status = 500, description = "The registry fails", body = LongDocument),
        (status = 507, description = "The disk is full", body = LongDocument),
    ),
)]
pub(super) async fn create(
    State(state): State<Registered>,
    sent: Sent,
) -> Result<Written, Failure> {
    let change = Change::read(first_value(sent)?)?;
    let id = change.id.unwrap_or_else(|| HostId::from_uuid(Uuid::new_v4()));
    let mut host = HostRecord::new(id);
    change.apply(&mut host);
    state.hosts.create(host.clone()).await?;
    Ok(shown(&host).created())
}

/// Read a host
#[utoipa::path(
    get,
    path = "/hypervisors/{hypervisorID}",
    tag = "hypervisors",
    operation_id = "getHypervisor",
    params(("hypervisorID" = String, Path, description = "Its id, in any spelling of a UUID")),
    responses(
        (status = 200, description = "The host", body = Hypervisor<'static>),
        (status = 400, description = "This is no id", body = ShortDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 500, description = "Its record is damaged, or the registry fails", body = LongDocument),
    ),
)]
pub(super) async fn read(State(state): State<Registered>, named: Named) -> Written {
    shown(&state.show(&named.host))
}

/// Change a host
///
/// Metadata is replaced whole; an address that is absent or empty is left; resources that are absent
/// become zero, but for this daemon's own host, where they are left.
#[utoipa::path(
    patch,
    path = "/hypervisors/{hypervisorID}",
    tag = "hypervisors",
    operation_id = "changeHypervisor",
    params(("hypervisorID" = String, Path, description = "Its id, in any spelling of a UUID")),
    request_body = change::Sent,
    responses(
        (status = 200, description = "The host", body = Hypervisor<'static>),
        (status = 400, description = "The body cannot be read, or this is no id", body = ShortDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 409, description = "It says otherwise of what cannot be changed: the id, or what a daemon says of its own host", body = LongDocument),
        (status = 413, description = "It is too large", body = LongDocument),
        (status = 500, description = "Its record is damaged, or the registry fails", body = LongDocument),
        (status = 507, description = "The disk is full", body = LongDocument),
    ),
)]
pub(super) async fn change(
    State(state): State<Registered>,
    named: Named,
    sent: Sent,
) -> Result<Written, Failure> {
    let change = Change::read(first_value(sent)?)?;
    change.check_id(named.id)?;
    let edited = state.hosts.edit(named.id, |host| {
        if host.id == state.this_host.id {
            let shown = state.show(host);
            return change.apply_to_this_host(host, &shown);
        }
        change.apply(host);
        Ok::<(), Failure>(())
    });
    let host = edited.await?;
    Ok(shown(&state.show(&host)))
}

/// Remove a host
#[utoipa::path(
    delete,
    path = "/hypervisors/{hypervisorID}",
    tag = "hypervisors",
    operation_id = "removeHypervisor",
    params(("hypervisorID" = String, Path, description = "Its id, in any spelling of a UUID")),
    responses(
        (status = 200, description = "The host as it was", body = Hypervisor<'static>),
        (status = 400, description = "This is no id", body = ShortDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 409, description = "VMs are assigned to it, or it is this daemon's own", body = LongDocument),
        (status = 500, description = "Its record is damaged, or the registry fails", body = LongDocument),
        (status = 507, description = "The disk is full", body = LongDocument),
    ),
)]
pub(super) async fn remove(
    State(state): State<Registered>,
    named: Named,
) -> Result<Written, Failure> {
    if named.id == state.this_host.id {
        let message = "this hypervisor's daemon runs, and answers you";
        return Err(Failure::long(StatusCode::CONFLICT, message));
    }
    let host = state.hosts.remove(named.id).await?;
    Ok(shown(&host))
}

fn shown(host: &HostRecord) -> Written {
    Written::ok(line(&Hypervisor::from(host)))
}
