//! What is done to a VM's machine, and its end.

use super::{
    PATIENCE, State,
    answer::{Answer, Body, Failures},
    outcome::outcome,
    wire::{Done, Stop, Target},
};
use axum::{Extension, Json};
use innkeeper_engine::{Caller, PowerVerb, Request, STOP_TIMEOUT};
use innkeeper_model::{Code, Refusal, Vm};

/// Boot a VM for the first time
#[utoipa::path(
    post,
    path = "/vm/boot",
    operation_id = "boot",
    request_body = Target,
    responses((status = 200, description = "It boots", body = Done), Failures),
)]
pub(super) async fn boot(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(target): Body<Target>,
) -> Answer<Done> {
    let vm = state.vm(&target)?;
    vm.check_adopted("boot")?;
    if has_run(&vm) {
        let message = format!("{} was booted before, and is {}", vm.name, vm.state);
        return Err(Refusal::new(Code::WrongState, message).with_hint("use /vm/start").into());
    }
    let verb = PowerVerb::Start { discard_memory: false };
    let request = Request::Power { vm: vm.id, verb };
    act(&state, &caller, request, "VM boot initiated", "").await
}

/// Whether a VM has a machine, or had one.
fn has_run(vm: &Vm) -> bool {
    vm.is_on() || vm.memory.is_some() || vm.facts.last_end.is_some()
}

/// Start a VM that is stopped
#[utoipa::path(
    post,
    path = "/vm/start",
    operation_id = "start",
    request_body = Target,
    responses((status = 200, description = "It runs", body = Done), Failures),
)]
pub(super) async fn start(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(target): Body<Target>,
) -> Answer<Done> {
    let verb = PowerVerb::Start { discard_memory: false };
    power(&state, &caller, &target, verb, ["VM started successfully", "VM start initiated"]).await
}

/// Stop a VM
#[utoipa::path(
    post,
    path = "/vm/stop",
    operation_id = "stop",
    request_body = Stop,
    responses((status = 200, description = "It is off, or has been told to be", body = Done), Failures),
)]
pub(super) async fn stop(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(Stop { build_id, owner, force }): Body<Stop>,
) -> Answer<Done> {
    let verb = if force { PowerVerb::Kill } else { PowerVerb::Stop { timeout: STOP_TIMEOUT } };
    let target = Target { build_id, owner };
    power(&state, &caller, &target, verb, ["VM stopped successfully", "VM stop initiated"]).await
}

/// Reboot a VM that runs
#[utoipa::path(
    post,
    path = "/vm/reboot",
    operation_id = "reboot",
    request_body = Target,
    responses((status = 200, description = "It reboots", body = Done), Failures),
)]
pub(super) async fn reboot(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(target): Body<Target>,
) -> Answer<Done> {
    let verb = PowerVerb::Reboot { timeout: STOP_TIMEOUT, force: false };
    power(&state, &caller, &target, verb, ["VM rebooted successfully", "VM reboot initiated"]).await
}

/// Press a VM's power button
///
/// Its guest may power off, or not; the task says which.
#[utoipa::path(
    post,
    path = "/vm/power-button",
    operation_id = "powerButton",
    request_body = Target,
    responses((status = 200, description = "It was pressed", body = Done), Failures),
)]
pub(super) async fn press_power_button(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(target): Body<Target>,
) -> Answer<Done> {
    let vm = state.vm(&target)?.id;
    let verb = PowerVerb::Stop { timeout: STOP_TIMEOUT };
    let accepted = state.operations().submit(&caller, Request::Power { vm, verb }).await?;
    let message = "VM power button pressed".into();
    Ok(Json(Done { success: true, message, task_id: accepted.task.to_string() }))
}

/// Delete a VM and what is its own
///
/// One that runs is ended first.
#[utoipa::path(
    post,
    path = "/vm/delete",
    operation_id = "delete",
    request_body = Target,
    responses((status = 200, description = "It is gone", body = Done), Failures),
)]
pub(super) async fn delete(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(target): Body<Target>,
) -> Answer<Done> {
    let vm = state.vm(&target)?.id;
    let request = Request::Delete { vm, force: true };
    act(&state, &caller, request, "VM deleted successfully", "VM deletion initiated").await
}

async fn power(
    state: &State,
    caller: &Caller,
    target: &Target,
    verb: PowerVerb,
    [done, goes_on]: [&str; 2],
) -> Answer<Done> {
    let vm = state.vm(target)?.id;
    act(state, caller, Request::Power { vm, verb }, done, goes_on).await
}

/// Has something done; what takes longer than a caller waits goes on, and is told so.
async fn act(
    state: &State,
    caller: &Caller,
    request: Request,
    done: &str,
    goes_on: &str,
) -> Answer<Done> {
    let performed = state.begin(caller, request, PATIENCE).await?;
    let (message, task_id) = outcome(&performed, done, goes_on);
    Ok(Json(Done { success: true, message, task_id }))
}
