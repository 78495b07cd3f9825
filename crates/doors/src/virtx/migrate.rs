//! Migration, of which one host has only the answers: there is nowhere to go.

use super::{
    State,
    answer::{Answer, Any, Failed, Managed, Migration, NoVm, Refused, json},
    body::Body,
    numbers::{MigrationType, Vmrunstate},
    runstate,
    subject::is_this_host,
    wire::{MigrationInfo, VmMigrateOptions},
};
use axum::extract;
use http::StatusCode;

/// Have a VM go to another host
#[utoipa::path(
    post,
    path = "/vms/{uuid}/runstate/migrate",
    operation_id = "vm_migrate",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    request_body = VmMigrateOptions,
    responses(Any, NoVm, Managed, Migration),
)]
pub(super) async fn migrate(
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Body(VmMigrateOptions { host, migration_type }): Body<VmMigrateOptions>,
) -> Answer {
    let vm = state.own_vm(&uuid, "migrate")?;
    if host.is_empty() {
        let line = "no host is named, and none is chosen by itself";
        return Err(Refused::new(StatusCode::NOT_IMPLEMENTED, line));
    }
    if is_this_host(&host, state.visit.seen().whole()) {
        let line = format!("VM {} is on this host already", vm.name);
        return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, line));
    }
    let does = state.run_info(&vm).runstate;
    let (is_possible, only) = match migration_type {
        MigrationType::Cold => (runstate::is_off(does), "is powered off"),
        MigrationType::Live => {
            (matches!(does, Vmrunstate::Running | Vmrunstate::Paused), "runs or is paused")
        }
    };
    if !is_possible {
        let line = format!("VM {} cannot go so: only one that {only} can", vm.name);
        return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, line));
    }
    let line = format!("host {host:?} is not known");
    Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, line))
}

/// Say how far a VM has come on its way to another host
#[utoipa::path(
    get,
    path = "/vms/{uuid}/runstate/migrate",
    operation_id = "vm_migrate_get",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    responses(
        (status = 200, description = "It was never on its way", body = MigrationInfo),
        Any, NoVm
    ),
)]
pub(super) async fn get(state: State, extract::Path(uuid): extract::Path<String>) -> Answer {
    state.vm(&uuid)?;
    Ok(json(StatusCode::OK, &MigrationInfo::default()))
}

/// Have a VM stay that is on its way to another host
#[utoipa::path(
    delete,
    path = "/vms/{uuid}/runstate/migrate",
    operation_id = "vm_migrate_abort",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    responses(Any, NoVm, Managed, Failed),
)]
pub(super) async fn abort(state: State, extract::Path(uuid): extract::Path<String>) -> Answer {
    let vm = state.own_vm(&uuid, "have stay")?;
    let line = format!("VM {} is not on its way to another host", vm.name);
    Err(Refused::new(StatusCode::FAILED_DEPENDENCY, line))
}
