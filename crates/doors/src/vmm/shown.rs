//! VMs, as the service shows them.

use super::{
    State,
    answer::{Answer, Body, Failures},
    wire::{Info, Resources, Target},
};
use crate::age::oldest_first;
use axum::Json;
use innkeeper_model::{ByteSize, Mebibytes, Vm};
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
///
/// Those of other managers come before them.
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
    let listed = oldest_first(of_owner.map(|vm| (vm.id, vm)));
    Ok(Json(listed.iter().map(|vm| shown(vm)).collect()))
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
        ip_address: address(vm),
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

/// The address that a guest is reached at: of those that are kept for it, else of those that it is believed
/// to have, the best of the oldest IP version.
fn address(vm: &Vm) -> String {
    let believed = vm.reached_at().into_iter().filter(|known| vm.believes(known));
    let best = believed.min_by_key(|known| (!known.source.is_kept(), known.address.is_ipv6()));
    best.map_or_else(String::new, |known| known.address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown_of(network: &str, addresses: Value) -> String {
        let config = json!({"name": "web", "nics": [{"name": "net0", "network": network}]});
        let id = innkeeper_model::VmId::new();
        let spec = crate::testing::spec(id, serde_json::from_value(config).unwrap());
        let vm = serde_json::from_value(json!({
            "id": id, "name": "web", "project": "default", "state": "running", "revision": 1,
            "facts": {"machine": "running"}, "addresses": addresses, "spec": spec,
        }));
        shown(&vm.unwrap()).ip_address
    }

    #[test]
    fn the_address_is_the_guests_and_not_what_it_says_beside_it() {
        let known = |source, address| json!({"nic": "net0", "address": address, "source": source});
        let lie = known("agent", "10.0.0.9");
        let lease = known("lease", "fd00::2");
        let kept = known("reservation", "10.0.0.2");
        for (network, addresses, expected) in [
            ("lan", json!([lie]), "10.0.0.9"),
            ("lan", json!([lie, lease]), "fd00::2"),
            ("lan", json!([lie, lease, kept]), "10.0.0.2"),
            ("user", json!([lie]), ""),
            ("lan", json!([known("agent", "127.0.0.1")]), ""),
            ("lan", json!([]), ""),
        ] {
            assert_eq!(shown_of(network, addresses.clone()), expected, "{network}: {addresses}");
        }
    }
}
