//! VMs: made, shown, changed and deleted.

use super::{
    PATIENCE, State,
    answer::{
        Answer, Any, Conflict, Defect, Failed, Managed, NoVm, NotOff, OtherHost, Refused,
        Registration, Stopping, Storage, done, json, warned,
    },
    body::Body,
    definition::{self, lost_disks, own_disks},
    oplog, runstate,
    subject::{NO_UUID, changed, find, is_this_host, spec},
    wire::{self, VmCreateOptions, VmDeleteOptions, VmUpdateOptions},
};
use axum::{Extension, extract, response::IntoResponse};
use http::StatusCode;
use innkeeper_engine::{Caller, Request};
use innkeeper_model::Vm;

/// Make a VM
///
/// It can be read when this has answered.
#[utoipa::path(
    post,
    path = "/vms",
    operation_id = "vm_create",
    tag = "vms",
    request_body = VmCreateOptions,
    responses(
        (status = 201, description = "Its uuid", body = String, content_type = "application/json",
            headers(("Warning" = String, description = "What is not as it was asked for"))),
        Any, Conflict, Failed, Defect, OtherHost, Storage
    ),
)]
pub(super) async fn create(
    extract::State(state): extract::State<State>,
    Extension(caller): Extension<Caller>,
    Body(VmCreateOptions { vmdef, host }): Body<VmCreateOptions>,
) -> Answer {
    let now = state.context.view().snapshot();
    if !host.is_empty() && !is_this_host(&host, &now) {
        let line = format!("host {host:?} is not known and active");
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, line));
    }
    let wanted = definition::wanted(&vmdef, None, &now)?;
    drop(now);
    let request = Request::Create { config: Box::new(wanted.config), id: None };
    let made = state.context.perform(&caller, request, PATIENCE).await?;
    let uuid = made.accepted.vm.map(|vm| vm.to_string()).unwrap_or_default();
    Ok(warned(json(StatusCode::CREATED, &uuid), &wanted.warnings))
}

/// Show a VM
#[utoipa::path(
    get,
    path = "/vms/{uuid}",
    operation_id = "vm_get",
    tag = "vms",
    params(("uuid" = String, Path, description = "The VM's id")),
    responses((status = 200, description = "The VM", body = wire::Vm), Any, NoVm),
)]
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    extract::Path(uuid): extract::Path<String>,
) -> Answer {
    let now = state.context.view().snapshot();
    let vm = find(&uuid, &now)?;
    let figures = match vm.is_on() {
        // Of one that cannot tell, or has ended meanwhile, all else is shown.
        true => state.context.operations().statistics(vm.id).await.ok(),
        false => None,
    };
    let shared = &state.shared;
    let stats = shared.looks.stats(&vm, figures.as_ref(), shared.host.mhz, oplog::of(vm.id, &now));
    let shown = wire::Vm {
        uuid: vm.id.to_string(),
        def: definition::shown(&vm, &now),
        runinfo: state.run_info(&vm),
        stats,
        ts: changed(&vm),
    };
    Ok(json(StatusCode::OK, &shown))
}

/// Change a VM that is powered off
///
/// A disk is the one that has its path: one whose path stays, stays. Those of its own that it loses are
/// removed, which has to be said.
#[utoipa::path(
    put,
    path = "/vms/{uuid}",
    operation_id = "vm_update",
    tag = "vms",
    params(("uuid" = String, Path, description = "The VM's id")),
    request_body = VmUpdateOptions,
    responses(
        (status = 200, description = "It is changed, with a warning",
            headers(("Warning" = String, description = "What is not as it was asked for"))),
        (status = 204, description = "It is changed"),
        Any, NoVm, Conflict, NotOff, Failed, Defect, Stopping, Storage
    ),
)]
pub(super) async fn update(
    extract::State(state): extract::State<State>,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
    Body(VmUpdateOptions { vmdef, deletestorage }): Body<VmUpdateOptions>,
) -> Answer {
    let vm = state.own_vm(&uuid, "edit")?;
    check_off(&state, &vm)?;
    let spec = spec(&vm)?;
    let wanted = definition::wanted(&vmdef, Some(spec), &state.context.view().snapshot())?;
    if !deletestorage {
        check_storage(lost_disks(spec, &wanted.config))?;
    }
    let config = Box::new(wanted.config);
    let request = Request::Edit { vm: vm.id, config, expected: Some(spec.revision) };
    state.context.perform(&caller, request, PATIENCE).await?;
    Ok(done(&wanted.warnings))
}

/// Delete a VM that is powered off, and its disks
#[utoipa::path(
    delete,
    path = "/vms/{uuid}",
    operation_id = "vm_delete",
    tag = "vms",
    params(("uuid" = String, Path, description = "The VM's id")),
    request_body = VmDeleteOptions,
    responses(
        (status = 204, description = "It is gone"),
        Any, NoVm, Conflict, NotOff, Failed, Defect, Stopping, Storage
    ),
)]
pub(super) async fn delete(
    extract::State(state): extract::State<State>,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
    Body(VmDeleteOptions { deletestorage }): Body<VmDeleteOptions>,
) -> Answer {
    let vm = state.own_vm(&uuid, "delete")?;
    check_off(&state, &vm)?;
    if !deletestorage && let Some(spec) = &vm.spec {
        check_storage(own_disks(spec).map(|disk| disk.name.to_string()))?;
    }
    let request = Request::Delete { vm: vm.id, force: false };
    state.context.perform(&caller, request, PATIENCE).await?;
    Ok(done(&[]))
}

/// Bring a VM's record and its machine together
///
/// On this host they never part, so there is nothing to do for a VM that it knows.
#[utoipa::path(
    put,
    path = "/vms/{uuid}/register",
    operation_id = "vm_register",
    tag = "vms",
    params(("uuid" = String, Path, description = "The VM's id")),
    request_body = wire::VmRegisterOptions,
    responses(
        (status = 200, description = "It is registered"),
        Any, Managed, Registration
    ),
)]
pub(super) async fn register(
    extract::State(state): extract::State<State>,
    extract::Path(uuid): extract::Path<String>,
    Body(wire::VmRegisterOptions { host }): Body<wire::VmRegisterOptions>,
) -> Answer {
    let now = state.context.view().snapshot();
    if !host.is_empty() && !is_this_host(&host, &now) {
        let line = format!("host {host:?} is not this one");
        return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, line));
    }
    let none = |_| {
        let line = format!("there is no VM {uuid:?} to register");
        Refused::new(StatusCode::FAILED_DEPENDENCY, line)
    };
    if uuid.is_empty() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, NO_UUID));
    }
    find(&uuid, &now).map_err(none)?.check_adopted("register")?;
    Ok(StatusCode::OK.into_response())
}

fn check_off(state: &State, vm: &Vm) -> Result<(), Refused> {
    let state_now = state.run_info(vm).runstate;
    if runstate::is_off(state_now) {
        return Ok(());
    }
    let line = format!("VM {} is not powered off: it is {}", vm.name, vm.state);
    Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, line))
}

/// Refuses to lose disks that nobody said are to go.
fn check_storage(lost: impl Iterator<Item = String>) -> Result<(), Refused> {
    let lost: Vec<_> = lost.collect();
    if lost.is_empty() {
        return Ok(());
    }
    let line = format!(
        "a VM's own disks live and die with it, so this would remove {}: say so with deletestorage",
        lost.join(", ")
    );
    Err(Refused::new(StatusCode::INSUFFICIENT_STORAGE, line))
}
