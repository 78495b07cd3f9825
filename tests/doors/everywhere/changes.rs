//! The table: what each surface can have done to VMs, in an order in which each finds what it needs, and what
//! all surfaces show afterwards.

use super::Doors;
use crate::harness::{Request, SHORT, until};
use serde_json::{Value, json};

/// One change.
pub(super) struct Change {
    /// The surface whose word it is; `vmadm` is how vminfod's users change anything.
    pub(super) by: &'static str,
    /// The operation, by its id in the surface's OpenAPI document; of `vmadm`, the command.
    pub(super) what: &'static str,
    /// Makes it. It is given the VM of the change before it, and says which it made or changed.
    pub(super) make: fn(&Doors, &str) -> String,
    pub(super) then: Then,
}

/// What there is of the VM afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    /// Nothing.
    Gone,
    /// What there was.
    Same,
    /// This.
    Is(Is),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Is {
    pub(super) name: &'static str,
    /// In MiB.
    pub(super) memory: u64,
    pub(super) state: &'static str,
    pub(super) has: Has,
    /// The networks of its NICs.
    pub(super) nics: &'static [&'static str],
}

/// What machine it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    None,
    /// One that has begun anew.
    New,
    /// The one that it had.
    Same,
}

const fn is(name: &'static str, memory: u64, state: &'static str, has: Has) -> Is {
    Is { name, memory, state, has, nics: &[] }
}

const fn stopped(name: &'static str, memory: u64) -> Is {
    is(name, memory, "stopped", Has::None)
}

const fn begun(name: &'static str, memory: u64) -> Is {
    is(name, memory, "running", Has::New)
}

const fn running(name: &'static str, memory: u64) -> Is {
    is(name, memory, "running", Has::Same)
}

const fn paused(name: &'static str, memory: u64) -> Is {
    is(name, memory, "paused", Has::Same)
}

impl Is {
    const fn on(self, nics: &'static [&'static str]) -> Then {
        Then::Is(Self { nics, ..self })
    }
}

const fn change(
    by: &'static str,
    what: &'static str,
    make: fn(&Doors, &str) -> String,
    then: Then,
) -> Change {
    Change { by, what, make, then }
}

/// A change that leaves the VM without NICs.
const fn plain(
    by: &'static str,
    what: &'static str,
    make: fn(&Doors, &str) -> String,
    then: Is,
) -> Change {
    change(by, what, make, Then::Is(then))
}

pub(super) const CHANGES: &[Change] = &[
    plain("native", "createVm", |doors, _| create(doors), stopped("a", 64)),
    plain("native", "startVm", |doors, vm| power(doors, vm, "start"), begun("a", 64)),
    plain("native", "pauseVm", |doors, vm| power(doors, vm, "pause"), paused("a", 64)),
    plain("native", "resumeVm", |doors, vm| power(doors, vm, "resume"), running("a", 64)),
    plain("native", "resetVm", |doors, vm| power(doors, vm, "reset"), begun("a", 64)),
    plain("native", "rebootVm", |doors, vm| power(doors, vm, "reboot"), begun("a", 64)),
    plain(
        "native",
        "suspendVm",
        |doors, vm| power(doors, vm, "suspend"),
        is("a", 64, "suspended", Has::None),
    ),
    plain("native", "resumeVm", |doors, vm| power(doors, vm, "resume"), begun("a", 64)),
    change("native", "addNic", add_nic, running("a", 64).on(&["default"])),
    change("native", "changeNic", change_nic, running("a", 64).on(&["other"])),
    change("native", "replaceNic", replace_nic, running("a", 64).on(&["default"])),
    plain("native", "removeNic", remove_nic, running("a", 64)),
    plain("native", "stopVm", |doors, vm| power(doors, vm, "stop"), stopped("a", 64)),
    plain("native", "changeVm", rename, stopped("b", 64)),
    plain("native", "replaceVm", replace, stopped("b", 96)),
    plain("native", "startVm", |doors, vm| power(doors, vm, "start"), begun("b", 96)),
    plain("native", "killVm", |doors, vm| power(doors, vm, "kill"), stopped("b", 96)),
    plain("native", "cloneVm", clone, stopped("c", 96)),
    change("native", "deleteVm", delete, Then::Gone),
    plain("native", "importVm", import, stopped("d", 96)),
    plain(
        "vmadm",
        "update",
        |doors, vm| vmadm(doors, vm, &["update", vm, "alias=e", "ram=80"]),
        stopped("e", 80),
    ),
    plain("vmadm", "start", |doors, vm| vmadm(doors, vm, &["start", vm]), begun("e", 80)),
    plain("vmadm", "reboot", |doors, vm| vmadm(doors, vm, &["reboot", vm]), begun("e", 80)),
    plain("vmadm", "stop", |doors, vm| vmadm(doors, vm, &["stop", vm]), stopped("e", 80)),
    change("vmadm", "delete", |doors, vm| vmadm(doors, vm, &["delete", vm]), Then::Gone),
    plain("vmadm", "create", create_by_payload, begun("f", 64)),
    change("vmadm", "delete", |doors, vm| vmadm(doors, vm, &["delete", vm]), Then::Gone),
    change("vmm", "create", create_by_vmm, stopped("g", 128).on(&["default"])),
    change("vmm", "addDevice", add_device, stopped("g", 128).on(&["default", "other"])),
    change("vmm", "boot", |doors, vm| vmm(doors, vm, "boot"), begun("g", 128).on(BOTH)),
    change("vmm", "removeDevice", remove_device, running("g", 128).on(&["default"])),
    change("vmm", "reboot", |doors, vm| vmm(doors, vm, "reboot"), begun("g", 128).on(ONE)),
    change("vmm", "powerButton", press_power_button, stopped("g", 128).on(ONE)),
    change("vmm", "start", |doors, vm| vmm(doors, vm, "start"), begun("g", 128).on(ONE)),
    change("vmm", "stop", |doors, vm| vmm(doors, vm, "stop"), stopped("g", 128).on(ONE)),
    change("vmm", "commit", commit, Then::Same),
    change("vmm", "delete", |doors, vm| vmm(doors, vm, "delete"), Then::Gone),
    plain("virtx", "vm_create", create_by_virtx, stopped("h", 64)),
    plain("virtx", "vm_update", update_by_virtx, stopped("i", 80)),
    plain(
        "virtx",
        "vm_boot",
        |doors, vm| runstate(doors, vm, "POST", "boot", &json!({})),
        begun("i", 80),
    ),
    plain(
        "virtx",
        "vm_pause",
        |doors, vm| runstate(doors, vm, "POST", "pause", &json!({})),
        paused("i", 80),
    ),
    plain(
        "virtx",
        "vm_resume",
        |doors, vm| runstate(doors, vm, "DELETE", "pause", &json!({})),
        running("i", 80),
    ),
    change("virtx", "vm_register", register, Then::Same),
    change("virtx", "vm_migrate", migrate, Then::Same),
    change("virtx", "vm_migrate_abort", abort_migration, Then::Same),
    plain("virtx", "vm_shutdown", ask_to_shut_down, stopped("i", 80)),
    plain(
        "virtx",
        "vm_boot",
        |doors, vm| runstate(doors, vm, "POST", "boot", &json!({})),
        begun("i", 80),
    ),
    change("chypervisord", "createHypervisor", create_hypervisor, Then::Same),
    change("chypervisord", "changeHypervisor", change_hypervisor, Then::Same),
    change("chypervisord", "changeConfig", change_config, Then::Same),
    change("chypervisord", "changeSubnets", change_subnets, Then::Same),
    change("chypervisord", "removeSubnet", remove_subnet, Then::Same),
    change("chypervisord", "removeHypervisor", remove_hypervisor, Then::Same),
    plain(
        "virtx",
        "vm_shutdown",
        |doors, vm| runstate(doors, vm, "DELETE", "boot", &json!({ "force": 1 })),
        stopped("i", 80),
    ),
    change("virtx", "vm_delete", delete_by_virtx, Then::Gone),
];

const ONE: &[&str] = &["default"];
const BOTH: &[&str] = &["default", "other"];

fn native(doors: &Doors, method: &str, path: &str, body: &Value) -> Value {
    doors.daemon.done(Request::new(method, path).json(body))
}

fn create(doors: &Doors) -> String {
    doors.daemon.create(&json!({ "name": "a", "memory": "64MiB" }))
}

fn power(doors: &Doors, vm: &str, verb: &str) -> String {
    doors.daemon.act(vm, verb);
    vm.into()
}

fn add_nic(doors: &Doors, vm: &str) -> String {
    let nic = json!({ "name": "nic0", "network": "default" });
    native(doors, "POST", &format!("/v1/vms/{vm}/nics"), &nic);
    vm.into()
}

/// A request whose body says only what is to differ.
fn patch(doors: &Doors, path: &str, body: &Value) {
    let request = Request::new("PATCH", path).json(body);
    doors.daemon.done(request.header("Content-Type", "application/merge-patch+json"));
}

fn change_nic(doors: &Doors, vm: &str) -> String {
    patch(doors, &format!("/v1/vms/{vm}/nics/nic0"), &json!({ "network": "other" }));
    vm.into()
}

fn replace_nic(doors: &Doors, vm: &str) -> String {
    let nic = json!({ "name": "nic0", "network": "default" });
    native(doors, "PUT", &format!("/v1/vms/{vm}/nics/nic0"), &nic);
    vm.into()
}

fn remove_nic(doors: &Doors, vm: &str) -> String {
    doors.daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}/nics/nic0")));
    vm.into()
}

fn rename(doors: &Doors, vm: &str) -> String {
    patch(doors, &format!("/v1/vms/{vm}"), &json!({ "name": "b" }));
    vm.into()
}

fn replace(doors: &Doors, vm: &str) -> String {
    native(doors, "PUT", &format!("/v1/vms/{vm}"), &json!({ "name": "b", "memory": "96MiB" }));
    vm.into()
}

fn clone(doors: &Doors, vm: &str) -> String {
    let cloned = native(doors, "POST", &format!("/v1/vms/{vm}/clone"), &json!({ "name": "c" }));
    cloned["vm"]["id"].as_str().unwrap().into()
}

fn delete(doors: &Doors, vm: &str) -> String {
    doors.daemon.done(Request::new("DELETE", &format!("/v1/vms/{vm}")));
    vm.into()
}

/// Of the VM that was cloned.
fn import(doors: &Doors, _: &str) -> String {
    let file = doors.daemon.scratch().join("b.tar");
    let file = file.to_str().unwrap();
    doors.daemon.inn_ok(&["export", "b", file]);
    doors.daemon.inn_ok(&["import", file, "--name", "d"]);
    doors.daemon.vm("d")["id"].as_str().unwrap().into()
}

fn vmadm(doors: &Doors, vm: &str, words: &[&str]) -> String {
    doors.daemon.inn_ok(&[&["vmadm"], words].concat());
    vm.into()
}

fn create_by_payload(doors: &Doors, _: &str) -> String {
    let file = doors.daemon.scratch().join("payload.json");
    std::fs::write(&file, json!({ "brand": "kvm", "alias": "f", "ram": 64 }).to_string()).unwrap();
    doors.daemon.inn_ok(&["vmadm", "create", "-f", file.to_str().unwrap()]);
    doors.daemon.vm("f")["id"].as_str().unwrap().into()
}

fn vmm(doors: &Doors, vm: &str, verb: &str) -> String {
    doors.to_vmm(&format!("/vm/{verb}"), &json!({ "build_id": vm, "force": true })).ok();
    vm.into()
}

fn create_by_vmm(doors: &Doors, _: &str) -> String {
    let vm_config = json!({ "mem_size_mib": 128, "rootfs": "rootfs.ext4" });
    let created = doors.to_vmm("/vm/create", &json!({ "name": "g", "vm_config": vm_config })).ok();
    created.json()["vm_id"].as_str().unwrap().into()
}

fn add_device(doors: &Doors, vm: &str) -> String {
    let device = json!({ "type": "nic", "device_id": "second", "network": "other" });
    doors.to_vmm("/vm/device/add", &json!({ "build_id": vm, "device": device })).ok();
    vm.into()
}

fn remove_device(doors: &Doors, vm: &str) -> String {
    let second = json!({ "build_id": vm, "device_id": "second" });
    doors.to_vmm("/vm/device/remove", &second).ok();
    vm.into()
}

/// Its guest powers off when the answer has come; the end of the task is what is looked at.
fn press_power_button(doors: &Doors, vm: &str) -> String {
    let pressed = doors.to_vmm("/vm/power-button", &json!({ "build_id": vm })).ok().json();
    let task = json!({ "task_id": pressed["task_id"] });
    until("the guest has heard its button", SHORT, || {
        let task = doors.to_vmm("/vm/task", &task).ok().json();
        if task["state"] == "done" { Ok(()) } else { Err(task) }
    });
    vm.into()
}

/// What comes of it is an image, which has a place in the native API alone.
fn commit(doors: &Doors, vm: &str) -> String {
    doors.to_vmm("/vm/commit", &json!({ "build_id": vm, "name": "golden" })).ok();
    let image = doors.daemon.get("/v1/images/golden");
    let images = doors.daemon.get("/v1/images");
    assert!(images["items"].as_array().unwrap().contains(&image), "{image}: {images}");
    vm.into()
}

/// virtx's definition of a VM with a disk of its own.
fn vmdef(name: &str, memory: u64) -> Value {
    json!({
        "name": name,
        "cpudef": { "model": "host-model", "nodes": 1, "sockets": 1, "cores": 1, "threads": 1 },
        "memory": { "total": memory },
        "osdisk": { "path": "/vms/ds/os.qcow2", "man": 1, "prov": 1, "size": 4 },
    })
}

fn create_by_virtx(doors: &Doors, _: &str) -> String {
    let created = doors.to_virtx("POST", "/vms", &json!({ "vmdef": vmdef("h", 64) })).ok();
    created.json().as_str().unwrap().into()
}

fn update_by_virtx(doors: &Doors, vm: &str) -> String {
    let vmdef = json!({ "vmdef": vmdef("i", 80) });
    doors.to_virtx("PUT", &format!("/vms/{vm}"), &vmdef).ok();
    vm.into()
}

fn delete_by_virtx(doors: &Doors, vm: &str) -> String {
    let body = json!({ "deletestorage": true });
    doors.to_virtx("DELETE", &format!("/vms/{vm}"), &body).ok();
    vm.into()
}

fn runstate(doors: &Doors, vm: &str, method: &str, what: &str, body: &Value) -> String {
    doors.to_virtx(method, &format!("/vms/{vm}/runstate/{what}"), body).ok();
    vm.into()
}

/// Its guest goes on to power off when the answer has come.
fn ask_to_shut_down(doors: &Doors, vm: &str) -> String {
    runstate(doors, vm, "DELETE", "boot", &json!({ "force": 0 }));
    doors.daemon.wait_for_state(vm, "stopped");
    vm.into()
}

fn register(doors: &Doors, vm: &str) -> String {
    let registered = doors.to_virtx("PUT", &format!("/vms/{vm}/register"), &json!({}));
    assert_eq!(registered.status, 200, "{}", registered.text());
    vm.into()
}

/// There is nowhere to go: it is refused, and changes nothing.
fn migrate(doors: &Doors, vm: &str) -> String {
    let body = json!({ "migration_type": 1 });
    let refused = doors.to_virtx("POST", &format!("/vms/{vm}/runstate/migrate"), &body);
    assert_eq!(refused.status, 501, "{}", refused.text());
    vm.into()
}

/// Likewise.
fn abort_migration(doors: &Doors, vm: &str) -> String {
    let refused = doors.to_virtx("DELETE", &format!("/vms/{vm}/runstate/migrate"), &json!({}));
    assert_eq!(refused.status, 424, "{}", refused.text());
    vm.into()
}

/// A hypervisor without a daemon. What the registry says of one has a place at its own door alone; that it
/// changes nothing elsewhere is what the table looks at.
const HYPERVISOR: &str = "abcd1234-abcd-1234-abcd-1234abcd1234";

/// Has the registry change something, and returns what the answer shows.
fn registry(doors: &Doors, method: &str, part: &str, body: &Value) -> Value {
    let path = match method {
        "POST" => "/hypervisors".to_owned(),
        _ => format!("/hypervisors/{HYPERVISOR}{part}"),
    };
    doors.to_chypervisord(method, &path, body).ok().json()
}

/// That whoever reads finds this: the hypervisor by itself and in the list, or a part of it.
#[track_caller]
fn is_registered(doors: &Doors, part: &str, expected: &Value) {
    let path = format!("/hypervisors/{HYPERVISOR}{part}");
    let read = doors.to_chypervisord("GET", &path, &Value::Null).ok().json();
    assert_eq!(read, *expected);
    if part.is_empty() {
        assert_eq!(in_the_list(doors).as_ref(), Some(expected));
    }
}

fn in_the_list(doors: &Doors) -> Option<Value> {
    let all = doors.to_chypervisord("GET", "/hypervisors", &Value::Null).ok().json();
    all.as_array().unwrap().iter().find(|host| host["id"] == HYPERVISOR).cloned()
}

fn create_hypervisor(doors: &Doors, vm: &str) -> String {
    let made = registry(doors, "POST", "", &json!({ "id": HYPERVISOR, "ip": "10.100.101.35" }));
    assert_eq!(made["ip"], "10.100.101.35");
    is_registered(doors, "", &made);
    vm.into()
}

fn change_hypervisor(doors: &Doors, vm: &str) -> String {
    let changed = registry(doors, "PATCH", "", &json!({ "metadata": { "rack": "7" } }));
    assert_eq!(changed["metadata"], json!({ "rack": "7" }));
    is_registered(doors, "", &changed);
    vm.into()
}

fn change_config(doors: &Doors, vm: &str) -> String {
    registry(doors, "PATCH", "/config", &json!({ "version": "0.1.0" }));
    is_registered(doors, "/config", &json!({ "version": "0.1.0" }));
    vm.into()
}

fn subnet(doors: &Doors) -> String {
    doors.daemon.get("/v1/subnets")["items"][0]["id"].as_str().unwrap().into()
}

fn change_subnets(doors: &Doors, vm: &str) -> String {
    let reached = json!({ subnet(doors): "br0" });
    registry(doors, "PATCH", "/subnets", &reached);
    is_registered(doors, "/subnets", &reached);
    vm.into()
}

fn remove_subnet(doors: &Doors, vm: &str) -> String {
    registry(doors, "DELETE", &format!("/subnets/{}", subnet(doors)), &Value::Null);
    is_registered(doors, "/subnets", &json!({}));
    vm.into()
}

fn remove_hypervisor(doors: &Doors, vm: &str) -> String {
    registry(doors, "DELETE", "", &Value::Null);
    let path = format!("/hypervisors/{HYPERVISOR}");
    assert_eq!(doors.to_chypervisord("GET", &path, &Value::Null).status, 404);
    assert_eq!(in_the_list(doors), None);
    vm.into()
}
