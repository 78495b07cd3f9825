//! VMs: made, shown, changed and deleted.

use super::{
    PATIENCE, State,
    answer::{
        Answer, Any, Conflict, Defect, Failed, Managed, NoVm, NotOff, OtherHost, Refused,
        Registration, Stopping, Storage, Warned, done, json, warned,
    },
    body::Body,
    definition::{self, lost_disks, own_disks},
    oplog, outcome, runstate,
    subject::{NO_UUID, find, is_this_host, seen_at, spec},
    wire::{self, VmCreateOptions, VmDeleteOptions, VmUpdateOptions},
};
use axum::{Extension, extract, response::IntoResponse};
use http::StatusCode;
use innkeeper_engine::{Caller, Request};
use innkeeper_model::{Timestamp, Vm};
use innkeeper_surface::{Done, Performed};

/// Make a VM
///
/// It can be read when this has answered, unless a warning says otherwise.
#[utoipa::path(
    post,
    path = "/vms",
    operation_id = "vm_create",
    tag = "vms",
    request_body = VmCreateOptions,
    responses(
        (status = 201, description = "Its uuid", body = String, content_type = "application/json",
            headers(("Warning" = String, description = "What its caller should know of it"))),
        Any, Conflict, Failed, Defect, OtherHost, Storage
    ),
)]
pub(super) async fn create(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(VmCreateOptions { vmdef, host }): Body<VmCreateOptions>,
) -> Answer {
    let seen = state.visit.seen();
    if !host.is_empty() && !is_this_host(&host, seen.whole()) {
        let line = format!("host {host:?} is not known and active");
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, line));
    }
    let mut wanted = definition::wanted(&vmdef, None, seen.whole())?;
    if let Some(own) = seen.sight().project() {
        wanted.config.project = own.clone();
    }
    seen.sight().check_host_files(&wanted.config, None)?;
    drop(seen);
    let request = Request::Create { config: Box::new(wanted.config), id: None };
    let performed = state.visit.begin(&caller, request, PATIENCE).await?;
    let warnings = outcome::warnings(&performed, wanted.warnings);
    let (Performed::Done(Done { accepted, .. }) | Performed::GoesOn { accepted, .. }) = performed;
    let uuid = accepted.vm.map(|vm| vm.to_string()).unwrap_or_default();
    Ok(warned(json(StatusCode::CREATED, &uuid), &warnings))
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
pub(super) async fn get(state: State, extract::Path(uuid): extract::Path<String>) -> Answer {
    let seen = state.visit.seen();
    let (vm, now) = (find(&uuid, &seen)?, seen.whole());
    let figures = match vm.is_on() {
        // Of one that cannot tell, or has ended meanwhile, all else is shown.
        true => state.visit.operations().statistics(vm.id).await.ok(),
        false => None,
    };
    let shared = &state.shared;
    let done = oplog::of(vm.id, &seen);
    let stats = shared.looks.stats(&vm, figures.as_ref(), shared.host.mhz, done);
    let shown = wire::Vm {
        uuid: vm.id.to_string(),
        def: definition::shown(&vm, now),
        runinfo: state.run_info(&vm),
        stats,
        ts: seen_at(&vm, Timestamp::now()),
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
        Warned,
        (status = 204, description = "It is changed"),
        Any, NoVm, Conflict, NotOff, Failed, Defect, Stopping, Storage
    ),
)]
pub(super) async fn update(
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
    Body(VmUpdateOptions { vmdef, deletestorage }): Body<VmUpdateOptions>,
) -> Answer {
    let vm = state.own_vm(&uuid, "edit")?;
    check_off(&state, &vm)?;
    let spec = spec(&vm)?;
    let seen = state.visit.seen();
    let wanted = definition::wanted(&vmdef, Some(spec), seen.whole())?;
    seen.sight().check_host_files(&wanted.config, Some(&spec.config))?;
    drop(seen);
    if !deletestorage {
        check_storage(lost_disks(spec, &wanted.config))?;
    }
    let config = Box::new(wanted.config);
    let request = Request::Edit { vm: vm.id, config, expected: Some(spec.revision) };
    let performed = state.visit.begin(&caller, request, PATIENCE).await?;
    Ok(done(&outcome::warnings(&performed, wanted.warnings)))
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
        Warned, Any, NoVm, Conflict, NotOff, Failed, Defect, Stopping, Storage
    ),
)]
pub(super) async fn delete(
    state: State,
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
    let performed = state.visit.begin(&caller, request, PATIENCE).await?;
    Ok(done(&outcome::warnings(&performed, Vec::new())))
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
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Body(wire::VmRegisterOptions { host }): Body<wire::VmRegisterOptions>,
) -> Answer {
    let seen = state.visit.seen();
    if !host.is_empty() && !is_this_host(&host, seen.whole()) {
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
    find(&uuid, &seen).map_err(none)?.check_adopted("register")?;
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
