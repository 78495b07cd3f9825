//! What a VM is doing, and what is done to its machine.

use super::{
    PATIENCE, State,
    answer::{Answer, Any, Failed, Managed, NoVm, Refused, Warned, done, json},
    body::Body,
    numbers::Force,
    outcome, runstate,
    wire::{CloudInitOption, VmBootOptions, VmShutdownOptions, Vmruninfo},
};
use crate::{Door, gate::check};
use axum::{Extension, extract, response::IntoResponse};
use http::StatusCode;
use innkeeper_auth::{Action, Principal, Resource};
use innkeeper_engine::{Caller, PowerVerb, Request, STOP_TIMEOUT};
use innkeeper_model::{Code, Refusal, Vm, config::CloudInit};
use innkeeper_surface::Performed;

/// Say what a VM is doing
#[utoipa::path(
    get,
    path = "/vms/{uuid}/runstate",
    operation_id = "vm_runstate_get",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    responses((status = 200, description = "What it is doing", body = Vmruninfo), Any, NoVm),
)]
pub(super) async fn get(state: State, extract::Path(uuid): extract::Path<String>) -> Answer {
    let vm = state.vm(&uuid)?;
    Ok(json(StatusCode::OK, &state.run_info(&vm)))
}

/// Boot a VM
#[utoipa::path(
    post,
    path = "/vms/{uuid}/runstate/boot",
    operation_id = "vm_boot",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    request_body = VmBootOptions,
    responses((status = 204, description = "It runs"), Warned, Any, NoVm, Managed, Failed),
)]
pub(super) async fn boot(
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
    Extension(principal): Extension<Principal>,
    Body(VmBootOptions { cloud_init }): Body<VmBootOptions>,
) -> Answer {
    let vm = state.own_vm(&uuid, "boot")?;
    let mut warnings = Vec::new();
    if let Some(seed) = seed(cloud_init)? {
        // Whoever may only start VMs may not say what they run.
        check(Door::Virtx, &principal, Action::Change, Resource::Vm)?;
        warnings = give(&state, &caller, &vm, seed).await?;
    }
    power(&state, &caller, &vm, PowerVerb::Start { discard_memory: false }, warnings).await
}

/// What cloud-init is to find; `None` if nothing was said.
fn seed(options: Vec<CloudInitOption>) -> Result<Option<CloudInit>, Refusal> {
    if options.is_empty() {
        return Ok(None);
    }
    let mut seed = CloudInit::default();
    for (index, CloudInitOption { name, value }) in options.into_iter().enumerate() {
        let document = match name.as_str() {
            "ci-userdata" => &mut seed.user_data,
            "ci-metadata" => &mut seed.meta_data,
            "ci-networkconfig" => &mut seed.network_config,
            _ => {
                let problem = "is none of ci-userdata, ci-metadata and ci-networkconfig";
                return Err(Refusal::invalid(format!("cloud_init[{index}].name"), name, problem));
            }
        };
        *document = Some(value);
    }
    if seed.user_data.is_none() && seed.network_config.is_none() {
        let why =
            "cloud_init: ci-metadata alone is nothing: ci-userdata or ci-networkconfig is needed";
        return Err(Refusal::new(Code::InvalidField, why).at("cloud_init"));
    }
    Ok(Some(seed))
}

/// Has cloud-init find this at the next boot, and from then on. What its caller should know of that.
///
/// # Errors
/// It is refused, or takes so long that it is not known what a boot would find: nothing is booted.
async fn give(
    state: &State,
    caller: &Caller,
    vm: &Vm,
    seed: CloudInit,
) -> Result<Vec<String>, Refused> {
    if !runstate::is_off(state.run_info(vm).runstate) {
        let line = format!("cannot boot VM {}: it is {}", vm.name, vm.state);
        return Err(Refused::new(StatusCode::FAILED_DEPENDENCY, line));
    }
    // One that cannot be read cannot be booted either, which says why.
    let Some(spec) = &vm.spec else { return Ok(Vec::new()) };
    let mut config = spec.config.clone();
    config.cloud_init = Some(seed);
    let expected = Some(spec.revision);
    let request = Request::Edit { vm: vm.id, config: Box::new(config), expected };
    match state.visit.begin(caller, request, PATIENCE).await {
        Err(refusal) if refusal.code == Code::InvalidField => Err(refusal.into()),
        Err(refusal) => Err(Refused::of_machine(refusal)),
        Ok(Performed::GoesOn { task, .. }) => {
            let line = format!(
                "VM {} was not booted: what cloud_init says is still being written, by task {}",
                vm.name, task.id
            );
            Err(Refused::new(StatusCode::FAILED_DEPENDENCY, line))
        }
        Ok(performed) => Ok(outcome::warnings(&performed, Vec::new())),
    }
}

/// Make a VM stop
///
/// Its guest is asked to power off, which goes on when this has answered (0), or it is ended (1 and 2).
#[utoipa::path(
    delete,
    path = "/vms/{uuid}/runstate/boot",
    operation_id = "vm_shutdown",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    request_body = VmShutdownOptions,
    responses(
        (status = 202, description = "Its guest is being asked"),
        (status = 204, description = "It is off"),
        Warned, Any, NoVm, Managed, Failed
    ),
)]
pub(super) async fn shutdown(
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
    Body(VmShutdownOptions { force }): Body<VmShutdownOptions>,
) -> Answer {
    let vm = state.own_vm(&uuid, "shut down")?;
    match force {
        Force::Ask => {
            let verb = PowerVerb::Stop { timeout: STOP_TIMEOUT };
            let request = Request::Power { vm: vm.id, verb };
            let asked = state.visit.operations().submit(&caller, request).await;
            asked.map_err(Refused::of_machine)?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        Force::End | Force::EndAtOnce => {
            power(&state, &caller, &vm, PowerVerb::Kill, Vec::new()).await
        }
    }
}

/// Hold a VM's CPUs
#[utoipa::path(
    post,
    path = "/vms/{uuid}/runstate/pause",
    operation_id = "vm_pause",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    responses((status = 204, description = "They are held"), Warned, Any, NoVm, Managed, Failed),
)]
pub(super) async fn pause(
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let vm = state.own_vm(&uuid, "pause")?;
    power(&state, &caller, &vm, PowerVerb::Pause, Vec::new()).await
}

/// Let a VM's CPUs go on
#[utoipa::path(
    delete,
    path = "/vms/{uuid}/runstate/pause",
    operation_id = "vm_resume",
    tag = "runstate",
    params(("uuid" = String, Path, description = "The VM's id")),
    responses((status = 204, description = "They go on"), Warned, Any, NoVm, Managed, Failed),
)]
pub(super) async fn resume(
    state: State,
    extract::Path(uuid): extract::Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let vm = state.own_vm(&uuid, "resume")?;
    power(&state, &caller, &vm, PowerVerb::Resume, Vec::new()).await
}

/// Has this done to its machine; `warnings` are what is known before.
async fn power(
    state: &State,
    caller: &Caller,
    vm: &Vm,
    verb: PowerVerb,
    warnings: Vec<String>,
) -> Answer {
    let request = Request::Power { vm: vm.id, verb };
    let performed = state.visit.begin(caller, request, PATIENCE).await;
    let performed = performed.map_err(Refused::of_machine)?;
    Ok(done(&outcome::warnings(&performed, warnings)))
}
