//! A domain through the doors of other systems: each shows it in its own words, and lets nobody change it,
//! which says how somebody could.

use crate::{
    contracts::address,
    harness::{Daemon, Offered, Reply, Request, changes_in, exchange, reads_in},
};
use serde_json::{Value, json};
use std::{fs, net::TcpStream};

/// A NIC, as whoever adds one to it would send it.
const NIC: &str = "nic0";

/// What opens all of them; whoever comes may do everything, so that it is never for want of a right that
/// something is refused.
pub(super) const OPEN: &[&str] = &[
    "--door",
    "vminfod=127.0.0.1:0,anonymous=admin",
    "--door",
    "vmm=127.0.0.1:0",
    "--door",
    "chypervisord=127.0.0.1:0,anonymous=admin",
    "--door",
    "virtx=127.0.0.1:0,anonymous=admin",
];

/// Asks all of them about the running domain `web`, which has this id, and for everything that they can have done
/// to a VM.
pub(super) fn show_it_and_leave_it_alone(daemon: &Daemon, id: &str, pid: u32) {
    native(daemon, id);
    vminfod(daemon, id, pid);
    vmm(daemon, id);
    chypervisord(daemon, id);
    virtx(daemon, id);
}

fn ask(daemon: &Daemon, door: &str, request: &Request) -> Reply {
    exchange(TcpStream::connect(address(&daemon.log(), door)).unwrap(), request)
}

fn get(daemon: &Daemon, door: &str, path: &str) -> Value {
    ask(daemon, door, &Request::new("GET", path)).ok().json()
}

/// That it is refused with 409, whose it is, and how it could be driven from here.
#[track_caller]
fn is_left_alone(refused: &Reply, id: &str, what: &str) {
    let text = refused.text();
    assert_eq!(refused.status, 409, "{what}: {text}");
    assert!(
        text.contains("libvirt's") && text.contains(&format!("inn adopt {id}")),
        "{what}: {text}"
    );
}

const NATIVE: &str = "crates/api/openapi.json";

fn native(daemon: &Daemon, id: &str) {
    native_changes(daemon, id);
    native_reads(daemon, id);
}

/// Everything but to adopt it, which is how it could be driven.
fn native_changes(daemon: &Daemon, id: &str) {
    let of_a_vm = |operation: &Offered| {
        operation.path.starts_with("/v1/vms/{vm}") && operation.id != "adoptVm"
    };
    for Offered { id: operation, method, path } in changes_in(NATIVE).into_iter().filter(of_a_vm) {
        let path = path.replace("{vm}", id).replace("{nic}", NIC);
        let request = Request::new(&method, &path);
        let patch = |body| request.clone().json(&body).header("Content-Type", MERGE_PATCH);
        let request = match &*operation {
            "deleteVm" => Request::new(&method, &(path + "?force=true")),
            "replaceVm" => request.json(&json!({ "name": "web" })),
            "changeVm" => patch(json!({ "memory": "128MiB" })),
            "cloneVm" => request.json(&json!({ "name": "copy" })),
            "addNic" | "replaceNic" => request.json(&json!({ "name": NIC })),
            "changeNic" => patch(json!({ "link": "down" })),
            "execInVm" => request.json(&json!({ "argv": ["/bin/true"] })),
            "pressVmKeys" => request.json(&json!({ "keys": ["ctrl-alt-delete"] })),
            "createVmTicket" => request.json(&json!({ "kind": "console" })),
            "writeVmFile" => {
                let request = Request::new(&method, &(path + "?path=/tmp/x")).bytes("x");
                request.header("Content-Type", "application/octet-stream")
            }
            _ => request,
        };
        let refused = daemon.send(&request);
        is_left_alone(&refused, id, &operation);
        assert_eq!(refused.json()["code"], "managed-elsewhere", "{operation}");
    }
}

/// It is shown. Its driver has no figures, logs and pictures of it, and says that; whatever else goes into it, by
/// whichever method.
fn native_reads(daemon: &Daemon, id: &str) {
    let of_a_vm = |operation: &Offered| operation.path.starts_with("/v1/vms/{vm}");
    let mut shown = 0;
    for Offered { id: operation, method, path } in reads_in(NATIVE).into_iter().filter(of_a_vm) {
        let path = path.replace("{vm}", id).replace("{disk}", "root");
        let request = match &*operation {
            "readVmFile" => Request::new(&method, &(path + "?path=/etc/hostname")),
            "openVmConsole" | "openVmScreen" => Request::new(&method, &path)
                .header("Connection", "Upgrade")
                .header("Upgrade", "innkeeper-stream"),
            _ => Request::new(&method, &path),
        };
        let answered = daemon.send(&request);
        match &*operation {
            "getVm" => {
                assert_eq!(answered.ok().json()["state"], "running");
                shown += 1;
            }
            "getVmStatistics" | "getVmLog" | "getVmScreenshot" => {
                assert_eq!(answered.status, 501, "{operation}: {}", answered.text());
                assert_eq!(answered.json()["code"], "unsupported", "{operation}");
            }
            _ => is_left_alone(&answered, id, &operation),
        }
    }
    let listed = daemon.get("/v1/vms");
    assert_eq!((shown, &listed["items"][0]["id"]), (1, &json!(id)));
}

const MERGE_PATCH: &str = "application/merge-patch+json";

/// The door shows; what changes something in its protocol is `vmadm`.
fn vminfod(daemon: &Daemon, id: &str, pid: u32) {
    let vm = get(daemon, "vminfod", &format!("/vms/{id}"));
    assert_eq!(
        json!([vm["alias"], vm["state"], vm["ram"], vm["vcpus"], vm["managed_by"], vm["pid"]]),
        json!(["web", "running", 64, 1, "libvirt", pid])
    );
    assert_eq!(vm["nics"][0]["mac"], "52:54:00:11:22:33");
    assert_eq!(get(daemon, "vminfod", "/vms?managed_by=libvirt"), json!([vm]));
    for words in [
        &["stop", id][..],
        &["stop", "-F", id],
        &["reboot", id],
        &["reboot", "-F", id],
        &["delete", id],
        &["update", id, "ram=128"],
    ] {
        let refused = daemon.inn(&[&["vmadm"], words].concat());
        assert_eq!(refused.status.code(), Some(1), "{words:?}: {refused:?}");
        let said = &refused.stderr;
        assert!(said.contains("libvirt's") && said.contains("inn adopt"), "{words:?}: {said}");
    }
}

fn to_vmm(daemon: &Daemon, path: &str, body: &Value) -> Reply {
    let token = fs::read_to_string(daemon.state().join("token")).unwrap();
    let token = format!("Bearer {}", token.trim());
    ask(daemon, "vmm", &Request::new("POST", path).header("Authorization", &token).json(body))
}

fn vmm(daemon: &Daemon, id: &str) {
    let post = |path: &str, body: &Value| to_vmm(daemon, path, body);
    let info = post("/vm/info", &json!({ "build_id": id, "owner": "libvirt" })).ok().json();
    assert_eq!(
        json!([info["name"], info["state"], info["owner"], info["resources"]["mem_size_mib"]]),
        json!(["web", "running", "libvirt", 64])
    );
    assert_eq!(post("/vm/list", &json!({})).ok().json(), json!([info]));
    let reads = ["ping", "info", "list", "task"];
    let of_a_vm =
        |operation: &Offered| operation.id != "create" && !reads.contains(&&*operation.id);
    for Offered { path, .. } in
        changes_in("docs/doors/vmm.openapi.json").into_iter().filter(of_a_vm)
    {
        // Each takes of this what it knows.
        let device = json!({ "type": "nic", "network": "user" });
        let body = json!({ "build_id": id, "device": device, "device_id": NIC });
        is_left_alone(&post(&path, &body), id, &path);
        let forced = json!({ "build_id": id, "device": device, "device_id": NIC, "force": true });
        is_left_alone(&post(&path, &forced), id, &path);
    }
}

/// The registry has no request that would change a VM; the host that has one cannot go.
fn chypervisord(daemon: &Daemon, id: &str) {
    let hosts = get(daemon, "chypervisord", "/hypervisors");
    let host = format!("/hypervisors/{}", hosts[0]["id"].as_str().unwrap());
    assert_eq!(get(daemon, "chypervisord", &format!("{host}/guests")), json!([id]));
    let removed = ask(daemon, "chypervisord", &Request::new("DELETE", &host));
    assert_eq!(removed.status, 409, "{}", removed.text());
}

fn virtx(daemon: &Daemon, id: &str) {
    let path = format!("/vms/{id}");
    let vm = get(daemon, "virtx", &path);
    let (def, nets) = (&vm["def"], &vm["def"]["nets"]);
    assert_eq!(
        json!([def["name"], def["memory"]["total"], nets[0]["mac"], vm["runinfo"]["runstate"]]),
        json!(["web", 64, "52:54:00:11:22:33", 4])
    );
    // It wants a body to list by.
    let listed = ask(daemon, "virtx", &Request::new("GET", "/vms").json(&json!({})));
    let listed = listed.ok().json();
    let listed = listed["items"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["uuid"]), (1, &json!(id)));
    assert_eq!(listed[0]["fields"]["name"], "web");
    let offered = changes_in("docs/doors/virtx.openapi.json").into_iter();
    let changes = offered.map(|Offered { method, path, .. }| (method, path));
    // There is nowhere to go, so that nobody can be sent there; of this VM that is not why.
    let migration = ["POST", "DELETE"].map(|method| (method.to_owned(), MIGRATION.to_owned()));
    for (method, path) in changes.chain(migration).filter(|(_, path)| path.contains("{uuid}")) {
        let path = path.replace("{uuid}", id);
        for force in [0, 2] {
            // Each takes of this what it knows.
            let body = json!({
                "vmdef": def, "deletestorage": true, "force": force, "migration_type": 1,
            });
            let request = Request::new(&method, &path).json(&body);
            is_left_alone(&ask(daemon, "virtx", &request), id, &format!("{method} {path}"));
        }
    }
}

const MIGRATION: &str = "/vms/{uuid}/runstate/migrate";

/// What each shows of it once it is adopted, and has been paused by a door: nobody is left out.
pub(super) fn show_that_it_is_paused(daemon: &Daemon, id: &str) {
    let pause = Request::new("POST", &format!("/vms/{id}/runstate/pause")).json(&json!({}));
    let paused = ask(daemon, "virtx", &pause);
    assert_eq!(paused.status, 204, "{}", paused.text());
    assert_eq!(daemon.vm(id)["state"], "paused");
    assert_eq!(get(daemon, "vminfod", &format!("/vms/{id}"))["state"], "paused");
    let info = json!({ "build_id": id, "owner": "libvirt" });
    assert_eq!(to_vmm(daemon, "/vm/info", &info).ok().json()["state"], "paused");
    let runstate = get(daemon, "virtx", &format!("/vms/{id}/runstate"));
    assert_eq!(runstate["runstate"], 5);
    let hosts = get(daemon, "chypervisord", "/hypervisors");
    let guests = format!("/hypervisors/{}/guests", hosts[0]["id"].as_str().unwrap());
    assert_eq!(get(daemon, "chypervisord", &guests), json!([id]));
}
