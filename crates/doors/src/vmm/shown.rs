//! VMs, as the service shows them.

use super::{
    State,
    answer::{Answer, Body, Failures},
    wire::{Info, Resources, Target},
};
use axum::Json;
use innkeeper_model::{ByteSize, GuestAddress, Mebibytes, Vm};
use serde::Deserialize;
use utoipa::ToSchema;

/// One VM
#[utoipa::path(
    post,
    path = "/vm/info",
    operation_id = "info",
    request_body = Target,
    responses((status = 200, description = "The VM", body = Info), Failures),
)]
pub(super) async fn info(state: State, Body(target): Body<Target>) -> Answer<Info> {
    Ok(Json(shown(&*state.vm(&target)?)))
}

/// Whose VMs are listed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Listed {
    /// Only this owner's. Default: all that the caller may see.
    owner: Option<String>,
}

/// All VMs that the caller may see, oldest first
#[utoipa::path(
    post,
    path = "/vm/list",
    operation_id = "list",
    request_body = Option<Listed>,
    responses((status = 200, description = "The VMs", body = Vec<Info>), Failures),
)]
pub(super) async fn list(state: State, Body(Listed { owner }): Body<Listed>) -> Answer<Vec<Info>> {
    let owner = state.owner(owner.as_deref())?;
    let seen = state.seen();
    let of_owner = seen.vms().filter(|vm| owner.as_ref().is_none_or(|owner| vm.project == *owner));
    Ok(Json(of_owner.map(|vm| shown(vm)).collect()))
}

fn shown(vm: &Vm) -> Info {
    // Those of another manager have a size, too, and nobody here knows since when.
    let (vcpu_count, Mebibytes(mem_size_mib)) = vm.size().unwrap_or_default();
    Info {
        build_id: vm.id.to_string(),
        name: vm.name.to_string(),
        owner: vm.project.to_string(),
        state: vm.state.to_string(),
        resources: Resources { vcpu_count, mem_size_mib, disk_size: gibibytes(disks(vm)) },
        ip_address: address(&vm.addresses),
        created_at: vm.spec.as_ref().map_or(0, |spec| spec.created.as_second()),
        updated_at: vm.spec.as_ref().map_or(0, |spec| spec.updated.as_second()),
    }
}

/// The size of its disks together; of another manager's, as far as that says.
fn disks(vm: &Vm) -> ByteSize {
    let managed = vm.managed.iter().flat_map(|managed| &managed.machine.disks);
    let size = match vm.is_foreign() {
        true => managed.filter_map(|disk| disk.size).map(|size| size.0).sum(),
        false => vm.disks.iter().map(|disk| disk.virtual_size.0).sum(),
    };
    ByteSize(size)
}

/// A size in GiB; what is begun counts.
fn gibibytes(size: ByteSize) -> u64 {
    size.0.div_ceil(1 << 30)
}

/// The address that a guest is reached at: the best known, and of the oldest IP version.
fn address(addresses: &[GuestAddress]) -> String {
    let best = addresses
        .iter()
        .filter(|known| !known.address.is_loopback())
        .min_by_key(|known| (known.address.is_ipv6(), std::cmp::Reverse(known.source)));
    best.map_or_else(String::new, |known| known.address.to_string())
}
