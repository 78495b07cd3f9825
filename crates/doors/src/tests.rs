//! What holds for every door, and for every route of each.

mod admission;
mod bodies;
mod documented;
mod limits;
mod owners;
mod proof;
mod roles;

use crate::{
    Door, Protocol,
    chypervisord::{self, Chypervisord, ThisHost},
    testing::House,
    virtx::{self, Virtx},
    vminfod::{self, Vminfod},
    vmm::{self, Vmm},
};
use innkeeper_auth::Role;
use innkeeper_model::HostId;
use innkeeper_store::registry::{EmbeddedRegistry, Hosts, Resources};
use serde_json::Value;
use std::sync::Arc;

/// A route: its method, its path as the document of its door has it, and the least role that may use it;
/// none where it needs no credential.
type Route = (&'static str, &'static str, Option<Role>);

const VIEWER: Option<Role> = Some(Role::Viewer);
const OPERATOR: Option<Role> = Some(Role::Operator);
const ADMIN: Option<Role> = Some(Role::Admin);

const VMINFOD: &[Route] = &[
    ("GET", "/ping", VIEWER),
    ("GET", "/status", VIEWER),
    ("GET", "/vms", VIEWER),
    ("GET", "/vms/{zonename}", VIEWER),
    ("GET", "/events", VIEWER),
];

const VMM: &[Route] = &[
    ("GET", "/health", None),
    ("POST", "/ping", VIEWER),
    ("POST", "/vm/info", VIEWER),
    ("POST", "/vm/list", VIEWER),
    ("POST", "/vm/task", VIEWER),
    ("POST", "/vm/boot", OPERATOR),
    ("POST", "/vm/start", OPERATOR),
    ("POST", "/vm/stop", OPERATOR),
    ("POST", "/vm/reboot", OPERATOR),
    ("POST", "/vm/power-button", OPERATOR),
    ("POST", "/vm/create", ADMIN),
    ("POST", "/vm/delete", ADMIN),
    ("POST", "/vm/commit", ADMIN),
    ("POST", "/vm/device/add", ADMIN),
    ("POST", "/vm/device/remove", ADMIN),
    ("POST", "/vm/snapshot", ADMIN),
    ("POST", "/vm/coredump", ADMIN),
    ("POST", "/vm/restore", ADMIN),
    ("POST", "/vm/resize/vcpu", ADMIN),
    ("POST", "/vm/resize/memory", ADMIN),
    ("POST", "/vm/disk/add", ADMIN),
    ("POST", "/vm/fs/add", ADMIN),
    ("POST", "/vm/migrate/to", ADMIN),
    ("POST", "/vm/migrate/from", ADMIN),
];

const CHYPERVISORD: &[Route] = &[
    ("GET", "/hypervisors", VIEWER),
    ("POST", "/hypervisors", ADMIN),
    ("GET", "/hypervisors/{hypervisorID}", VIEWER),
    ("PATCH", "/hypervisors/{hypervisorID}", ADMIN),
    ("DELETE", "/hypervisors/{hypervisorID}", ADMIN),
    ("GET", "/hypervisors/{hypervisorID}/config", VIEWER),
    ("PATCH", "/hypervisors/{hypervisorID}/config", ADMIN),
    ("GET", "/hypervisors/{hypervisorID}/subnets", VIEWER),
    ("PATCH", "/hypervisors/{hypervisorID}/subnets", ADMIN),
    ("DELETE", "/hypervisors/{hypervisorID}/subnets/{subnetID}", ADMIN),
    ("GET", "/hypervisors/{hypervisorID}/guests", VIEWER),
];

const VIRTX: &[Route] = &[
    ("GET", "/vms", VIEWER),
    ("POST", "/vms", ADMIN),
    ("GET", "/vms/{uuid}", VIEWER),
    ("PUT", "/vms/{uuid}", ADMIN),
    ("DELETE", "/vms/{uuid}", ADMIN),
    ("PUT", "/vms/{uuid}/register", ADMIN),
    ("GET", "/vms/{uuid}/runstate", VIEWER),
    ("POST", "/vms/{uuid}/runstate/boot", OPERATOR),
    ("DELETE", "/vms/{uuid}/runstate/boot", OPERATOR),
    ("POST", "/vms/{uuid}/runstate/pause", OPERATOR),
    ("DELETE", "/vms/{uuid}/runstate/pause", OPERATOR),
    ("POST", "/vms/{uuid}/runstate/migrate", ADMIN),
    ("GET", "/vms/{uuid}/runstate/migrate", VIEWER),
    ("DELETE", "/vms/{uuid}/runstate/migrate", ADMIN),
    ("GET", "/hosts", VIEWER),
    ("GET", "/hosts/{uuid}", VIEWER),
];

/// The door's routes here, and its own document of them.
fn routes(door: Door) -> (&'static [Route], Value) {
    let (routes, document) = match door {
        Door::Vminfod => (VMINFOD, vminfod::document()),
        Door::Vmm => (VMM, vmm::document()),
        Door::Chypervisord => (CHYPERVISORD, chypervisord::document()),
        Door::Virtx => (VIRTX, virtx::document()),
    };
    (routes, serde_json::from_str(&document).unwrap())
}

/// The path with something in the place of its parameters that there is nothing of, and a method whose
/// answer ends.
fn request_of(&(method, path, _): &Route) -> (&'static str, String) {
    let nobody = "00000000-0000-4000-8000-000000000000";
    let segments = path.split('/').map(|part| if part.starts_with('{') { nobody } else { part });
    let method = if path == "/events" { "HEAD" } else { method };
    (method, segments.collect::<Vec<_>>().join("/"))
}

/// A check of a door, whichever it is.
trait Check {
    async fn check<P: Protocol>(&self, house: &House, door: Door, open: impl Fn() -> P);
}

/// Makes this check of each door.
async fn of_each_door(check: impl Check) {
    let house = House::new().await;
    check.check(&house, Door::Vminfod, || Vminfod).await;
    let defaults = || vmm::Defaults { kernel: None, rootfs: None, boot_args: "quiet".into() };
    check.check(&house, Door::Vmm, || Vmm::new(defaults())).await;
    check.check(&house, Door::Virtx, Virtx::open).await;
    let registry = EmbeddedRegistry::open(&house.folder.path().join("registry.redb")).unwrap();
    let hosts = Hosts::new(Arc::new(registry));
    let id = HostId::from_uuid(uuid::Uuid::new_v4());
    let this_host = ThisHost { id, ip: None, mac: None, total: Resources::default() };
    let opened = Chypervisord::open(hosts, this_host).await.unwrap();
    check.check(&house, Door::Chypervisord, || opened.clone()).await;
}
