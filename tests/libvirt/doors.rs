//! A domain through the doors of other systems: each shows it in its own words, and lets nobody change it,
//! which says how somebody could.

use crate::{
    contracts::address,
    harness::{Daemon, Reply, Request, exchange},
};
use serde_json::{Value, json};
use std::{fs, net::TcpStream};

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

/// Asks all of them about the running domain `web`, which has this id.
pub(super) fn show_it_and_leave_it_alone(daemon: &Daemon, id: &str, pid: u32) {
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

/// The door shows; what changes something in its protocol is `vmadm`.
fn vminfod(daemon: &Daemon, id: &str, pid: u32) {
    let vm = get(daemon, "vminfod", &format!("/vms/{id}"));
    assert_eq!(
        json!([vm["alias"], vm["state"], vm["ram"], vm["vcpus"], vm["managed_by"], vm["pid"]]),
        json!(["web", "running", 64, 1, "libvirt", pid])
    );
    assert_eq!(vm["nics"][0]["mac"], "52:54:00:11:22:33");
    assert_eq!(get(daemon, "vminfod", "/vms?managed_by=libvirt"), json!([vm]));
    for words in [&["stop", id][..], &["reboot", id], &["delete", id], &["update", id, "ram=128"]] {
        let refused = daemon.inn(&[&["vmadm"], words].concat());
        assert_eq!(refused.status.code(), Some(1), "{words:?}: {refused:?}");
        let said = &refused.stderr;
        assert!(said.contains("libvirt's") && said.contains("inn adopt"), "{words:?}: {said}");
    }
}

fn vmm(daemon: &Daemon, id: &str) {
    let token = fs::read_to_string(daemon.state().join("token")).unwrap();
    let token = format!("Bearer {}", token.trim());
    let post = |path: &str, body: &Value| {
        let request = Request::new("POST", path).header("Authorization", &token).json(body);
        ask(daemon, "vmm", &request)
    };
    let info = post("/vm/info", &json!({ "build_id": id, "owner": "libvirt" })).ok().json();
    assert_eq!(
        json!([info["name"], info["state"], info["owner"], info["resources"]["mem_size_mib"]]),
        json!(["web", "running", "libvirt", 64])
    );
    assert_eq!(post("/vm/list", &json!({})).ok().json(), json!([info]));
    for (path, more) in [
        ("/vm/boot", json!({})),
        ("/vm/start", json!({})),
        ("/vm/stop", json!({ "force": true })),
        ("/vm/stop", json!({})),
        ("/vm/reboot", json!({})),
        ("/vm/power-button", json!({})),
        ("/vm/delete", json!({})),
        ("/vm/commit", json!({})),
        ("/vm/device/add", json!({ "device": { "type": "nic", "network": "user" } })),
        ("/vm/device/remove", json!({ "device_id": "nic0" })),
    ] {
        let mut body = more;
        body["build_id"] = json!(id);
        is_left_alone(&post(path, &body), id, path);
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
    for (method, rest, body) in [
        ("PUT", "", json!({ "vmdef": def })),
        ("DELETE", "", json!({ "deletestorage": true })),
        ("POST", "/runstate/boot", json!({})),
        ("DELETE", "/runstate/boot", json!({ "force": 0 })),
        ("DELETE", "/runstate/boot", json!({ "force": 2 })),
        ("POST", "/runstate/pause", json!({})),
        ("DELETE", "/runstate/pause", json!({})),
        ("POST", "/runstate/migrate", json!({ "migration_type": 1 })),
        ("PUT", "/register", json!({})),
    ] {
        let request = Request::new(method, &format!("{path}{rest}")).json(&body);
        is_left_alone(&ask(daemon, "virtx", &request), id, &format!("{method} {rest}"));
    }
}
