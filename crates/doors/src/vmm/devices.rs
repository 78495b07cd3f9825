//! Devices that are plugged in and taken out: network interfaces.

use super::{
    PATIENCE, State,
    answer::{Answer, Body, Failures},
    create::usual_network,
    outcome::outcome,
    wire::{AddDevice, Device, DeviceAdded, Done, RemoveDevice, Target},
};
use axum::{Extension, Json};
use innkeeper_engine::{Caller, NicChange, Request};
use innkeeper_model::{Code, DeviceName, Refusal, Vm, config::Nic};
use innkeeper_view::Snapshot;

/// Plug a network interface into a VM, while it runs, too
#[utoipa::path(
    post,
    path = "/vm/device/add",
    operation_id = "addDevice",
    request_body = AddDevice,
    responses((status = 200, description = "It is plugged in, or will be", body = DeviceAdded), Failures),
)]
pub(super) async fn add(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(AddDevice { build_id, owner, device }): Body<AddDevice>,
) -> Answer<DeviceAdded> {
    let vm = state.vm(&Target { build_id, owner })?;
    let nic = nic(&vm, device, state.seen().whole())?;
    let device_id = nic.name.to_string();
    let request = Request::Nic { vm: vm.id, change: NicChange::Add(Box::new(nic)) };
    let performed = state.begin(&caller, request, PATIENCE).await?;
    let (message, task_id) =
        outcome(&performed, "Device added successfully", "Device addition initiated");
    Ok(Json(DeviceAdded { success: true, message, device_id, task_id }))
}

/// Take a network interface out of a VM, while it runs, too
#[utoipa::path(
    post,
    path = "/vm/device/remove",
    operation_id = "removeDevice",
    request_body = RemoveDevice,
    responses((status = 200, description = "It is gone, or will be when its guest lets go of it", body = Done), Failures),
)]
pub(super) async fn remove(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(RemoveDevice { build_id, owner, device_id }): Body<RemoveDevice>,
) -> Answer<Done> {
    let vm = state.vm(&Target { build_id, owner })?;
    let name = device_name(&device_id)?;
    let request = Request::Nic { vm: vm.id, change: NicChange::Remove(name) };
    // It is gone when its guest has let go of it, which may take longer than a caller waits.
    let performed = state.begin(&caller, request, PATIENCE).await?;
    let (message, task_id) =
        outcome(&performed, "Device removed successfully", "Device removal initiated");
    Ok(Json(Done { success: true, message, task_id }))
}

fn nic(vm: &Vm, device: Device, now: &Snapshot) -> Result<Nic, Refusal> {
    let Device { kind, device_id, network, mac } = device;
    if kind != "nic" {
        let message =
            format!("a device of type {kind:?} cannot be plugged in yet: only \"nic\" can");
        return Err(Refusal::new(Code::Unsupported, message).at("device.type"));
    }
    let name = match device_id {
        Some(name) => device_name(&name)?,
        None => free_name(vm),
    };
    let parsed = network.map(|network| {
        network.parse().map_err(|problem| Refusal::invalid("device.network", &network, problem))
    });
    let attachment = parsed.transpose()?.unwrap_or_else(|| usual_network(now));
    let mut nic = Nic { network: attachment, ..Nic::new(name) };
    let parsed =
        mac.map(|mac| mac.parse().map_err(|problem| Refusal::invalid("device.mac", &mac, problem)));
    nic.mac = parsed.transpose()?;
    Ok(nic)
}

fn device_name(text: &str) -> Result<DeviceName, Refusal> {
    text.parse().map_err(|problem| Refusal::invalid("device_id", text, problem))
}

/// The first name that none of the VM's interfaces has.
fn free_name(vm: &Vm) -> DeviceName {
    let taken = |name: &DeviceName| {
        let nics = vm.spec.iter().flat_map(|spec| &spec.config.nics);
        nics.into_iter().any(|nic| nic.name == *name)
    };
    let names = (0..).map(|n| format!("nic{n}").parse().expect("a word and a number are a name"));
    names.into_iter().find(|name| !taken(name)).expect("a VM has few of them")
}
