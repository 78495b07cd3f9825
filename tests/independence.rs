//! What does not depend on the disk: while it is full or takes nothing any more, all that can be read is
//! read, and guests can be held and ended.

use crate::harness::{
    BOOT, Daemon, GuestSlots, Mount, Request, SHORT, TCG, files_in, say, skip_without_root, until,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

/// How long a daemon that is told to stop may take: as long as on a disk that takes everything.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// A VM of which nothing is on the disk but its spec.
fn diskless(name: &str) -> Value {
    json!({ "name": name, "memory": "32MiB", "display": "none" })
}

/// As [`diskless`], with one more field.
fn create_with(field: &str, value: Value) -> Request {
    let mut config = diskless("new");
    config[field] = value;
    Request::new("POST", "/v1/vms").json(&config)
}

fn import_of(file: &PathBuf) -> Request {
    let image = json!({ "name": "base", "kind": "disk", "format": "raw", "path": file });
    Request::new("POST", "/v1/images").json(&image)
}

#[track_caller]
fn refuses(daemon: &Daemon, request: Request, status: u16, code: &str) {
    let reply = daemon.send(&request.header("Prefer", "wait=60"));
    let problem = reply.json();
    assert_eq!((reply.status, &problem["code"]), (status, &json!(code)), "{problem}");
}

/// Does something that is done although it cannot be written down, and says so.
#[track_caller]
fn goes_on_unrecorded(daemon: &Daemon, vm: &str, verb: &str) {
    let reply = daemon.done(Request::new("POST", &format!("/v1/vms/{vm}/{verb}")));
    let warnings = reply["task"]["warnings"].to_string();
    assert!(warnings.contains("recorded: false"), "{verb} of {vm}: {reply}");
}

/// That the log of a guest that ticks is read and goes on, by more than the file's last block may have room for.
#[track_caller]
fn is_heard(daemon: &Daemon, vm: &str) {
    let before = daemon.serial_log(vm);
    let (whole, _) = before.trim_end().rsplit_once('\n').expect("it has lines");
    let last = &whole[whole.rfind('\n').unwrap_or(0)..];
    until("its log goes on", SHORT, || {
        let log = daemon.serial_log(vm);
        let goes_on = log.split_once(last).is_none_or(|(_, after)| after.len() > 8192);
        if goes_on { Ok(()) } else { Err(log) }
    });
}

/// The names of what it keeps. Its files cannot be waited for while nothing can be written.
fn names_kept(daemon: &Daemon) -> Vec<PathBuf> {
    let parts = ["vms", "pool", "run/vms"].map(|part| files_in(&daemon.state().join(part)));
    parts.into_iter().flat_map(BTreeMap::into_keys).collect()
}

/// Each VM: what it is to be, and which machine it has.
fn vms(daemon: &Daemon) -> Vec<[Value; 5]> {
    let items = daemon.get("/v1/vms")["items"].clone();
    let seen = |vm: &Value| {
        let machine = &vm["incarnation"]["id"];
        [&vm["name"], &vm["state"], &vm["want"], &vm["spec"]["revision"], machine].map(Value::clone)
    };
    items.as_array().unwrap().iter().map(seen).collect()
}

/// How many VMs there are only to be deleted.
const SPARE: usize = 8;

fn spare(number: usize) -> String {
    format!("spare-{number}")
}

/// Uses up the journal's own room, too, to the last: with changes of a VM, then with what takes less and
/// less of it.
#[track_caller]
fn use_up_the_journals_room(daemon: &Daemon, vm: &str) {
    // The journal sets 16 MiB aside, and a change of a large config takes some tens of KiB of it.
    assert!((0..4000).any(|count| !changed(daemon, vm, count)));
    let create = |number| Request::new("POST", "/v1/vms").json(&diskless(&spare(number)));
    assert!((SPARE..4000).any(|number| !was_taken(daemon, create(number))));
    let delete = |number| Request::new("DELETE", &format!("/v1/vms/{}", spare(number)));
    assert!((0..SPARE).any(|number| !was_taken(daemon, delete(number))));
}

/// Whether a change was taken. One that was not is refused for want of space.
#[track_caller]
fn changed(daemon: &Daemon, vm: &str, count: usize) -> bool {
    let label = |key| (format!("key{key}"), json!(format!("{count:0250}")));
    let patch = json!({ "labels": (0..64).map(label).collect::<serde_json::Map<_, _>>() });
    let request = Request::new("PATCH", &format!("/v1/vms/{vm}")).bytes(patch.to_string());
    let request = request.header("Content-Type", "application/merge-patch+json");
    was_taken(daemon, request)
}

/// Whether a request was done. One that was not is refused for want of space.
#[track_caller]
fn was_taken(daemon: &Daemon, request: Request) -> bool {
    let reply = daemon.send(&request.header("Prefer", "wait=60"));
    let is_taken = (200..300).contains(&reply.status);
    if !is_taken {
        assert_eq!((reply.status, &reply.json()["code"]), (507, &json!("out-of-space")));
    }
    is_taken
}

#[test]
fn a_full_disk_is_told_and_costs_nothing() {
    if skip_without_root("what happens when the disk is full") {
        return;
    }
    // Alone, since it is about time.
    let _slots = GuestSlots::all();
    let files = tempfile::tempdir().unwrap();
    let mount = Mount::small(&files.path().join("small"), "64m");
    let image = files.path().join("base.raw");
    fs::write(&image, vec![7; 1 << 20]).unwrap();
    let mut daemon = Daemon::prepared(TCG).with_state(&mount.folder.join("state"));
    daemon.launch();
    daemon.import_tiny();
    for name in ["busy", "held"] {
        daemon.create(&diskless(name));
        daemon.act(name, "start");
    }
    daemon.create(&crate::guests::tiny("polite", "inn.tick=5"));
    daemon.act("polite", "start");
    daemon.wait_for_log("polite", "INNKEEPER-GUEST-UP");
    daemon.settle();
    let before = (vms(&daemon), names_kept(&daemon));
    mount.fill();
    is_heard(&daemon, "polite");

    let disk = json!([{ "name": "root", "size": "8MiB" }]);
    let seed = json!({ "user_data": "#cloud-config" });
    for request in [create_with("disks", disk), create_with("cloud_init", seed), import_of(&image)]
    {
        refuses(&daemon, request, 507, "out-of-space");
    }
    assert_eq!(names_kept(&daemon), before.1, "something was left");
    assert_eq!(vms(&daemon), before.0);

    // What fits into the room that the journal has set aside is kept there, for as long as it has to be.
    for name in ["kept", "changed"].map(str::to_owned).into_iter().chain((0..SPARE).map(spare)) {
        daemon.create(&diskless(&name));
    }
    until("it is told that files cannot be written", SHORT, || {
        let specs = daemon.diagnosis()["specs"].clone();
        if specs["problem"].is_string() { Ok(()) } else { Err(specs) }
    });
    use_up_the_journals_room(&daemon, "changed");
    let before = vms(&daemon);
    refuses(&daemon, create_with("cpus", json!(1)), 507, "out-of-space");
    refuses(&daemon, Request::new("DELETE", "/v1/vms/kept"), 507, "out-of-space");
    assert_eq!(vms(&daemon), before);
    let journal = daemon.diagnosis()["journal"].clone();
    assert!(journal["low"] == true && journal["last_error"].is_string(), "{journal}");

    // What needs no room goes on: guests are not kept from being held and ended.
    let (busy, polite) = (daemon.qemu("busy"), daemon.qemu("polite"));
    goes_on_unrecorded(&daemon, "held", "pause");
    goes_on_unrecorded(&daemon, "held", "resume");
    goes_on_unrecorded(&daemon, "busy", "kill");
    goes_on_unrecorded(&daemon, "polite", "stop");
    assert!(!busy.lives() && !polite.lives());
    for (vm, state) in [("held", "running"), ("busy", "stopped"), ("polite", "stopped")] {
        daemon.wait_for_state(vm, state);
    }

    mount.empty();
    until("there is room again", BOOT, || {
        let reply = daemon.send(&create_with("cpus", json!(1)).header("Prefer", "wait=60"));
        if reply.status == 201 { Ok(()) } else { Err(reply.text()) }
    });
    daemon.settle();
    let kept = daemon.vm("kept")["spec"].clone();
    daemon.kill9();
    daemon.launch();
    assert_eq!(daemon.vm("kept")["spec"], kept);
    // What could not be written down then has been since.
    daemon.wait_for_state("held", "running");
    for vm in ["busy", "polite"] {
        let vm = daemon.vm(vm);
        assert_eq!((&vm["want"], &vm["state"]), (&json!("stopped"), &json!("stopped")), "{vm}");
    }
    mount.fill();
    let (status, took) = daemon.terminate();
    assert!(status.success() && took < STOPS_WITHIN, "{status} {took:?}");
}

#[test]
fn a_disk_that_takes_nothing_any_more_keeps_nobody_from_reading_or_from_ending_a_guest() {
    if skip_without_root("what happens when the disk becomes read-only") {
        return;
    }
    // Alone, since it is about time.
    let _slots = GuestSlots::all();
    let files = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::on_a_disk(&files.path().join("disk"), 96 << 20) else {
        return say("SKIPPED, since this host has no loop devices: a disk that becomes read-only");
    };
    let state = mount.folder.join("state");
    // Where a host has these folders: in memory, not on its disk.
    let _runtime = Mount::of_folder(&state.join("run"), &files.path().join("run"));
    let image = files.path().join("base.raw");
    fs::write(&image, vec![7; 1 << 20]).unwrap();
    let mut daemon = Daemon::prepared(TCG).with_state(&state);
    daemon.launch();
    for name in ["busy", "held", "still"] {
        daemon.create(&diskless(name));
    }
    for name in ["busy", "held"] {
        daemon.act(name, "start");
    }
    daemon.import_tiny();
    daemon.create(&crate::guests::tiny("polite", "inn.tick=5"));
    daemon.act("polite", "start");
    daemon.wait_for_log("polite", "INNKEEPER-GUEST-UP");
    daemon.settle();
    let before = (vms(&daemon), names_kept(&daemon));
    mount.fail();
    is_heard(&daemon, "polite");

    for request in [
        create_with("cpus", json!(1)),
        import_of(&image),
        Request::new("POST", "/v1/vms/still/start"),
    ] {
        let reply = daemon.send(&request.header("Prefer", "wait=60"));
        assert!(reply.status >= 500, "{} {}", reply.status, reply.text());
        assert!(reply.text().contains("Read-only file system"), "{}", reply.text());
    }
    assert_eq!(names_kept(&daemon), before.1, "something was left");
    assert_eq!(vms(&daemon), before.0);
    goes_on_unrecorded(&daemon, "held", "pause");
    goes_on_unrecorded(&daemon, "held", "resume");
    let (busy, held, polite) = (daemon.qemu("busy"), daemon.qemu("held"), daemon.qemu("polite"));
    goes_on_unrecorded(&daemon, "busy", "kill");
    goes_on_unrecorded(&daemon, "polite", "stop");
    assert!(!busy.lives() && !polite.lives());
    for vm in ["busy", "polite"] {
        daemon.wait_for_state(vm, "stopped");
    }
    let listed = daemon.inn_ok(&["list"]);
    assert!(listed.contains("held") && listed.contains("still"), "{listed}");
    let (status, took) = daemon.terminate();
    assert!(status.success() && took < STOPS_WITHIN, "{status} {took:?}");
    // A daemon can be told to begin only where it can keep something, and says so.
    daemon.spawn();
    let (status, log) = daemon.ended();
    assert!(!status.success() && log.contains("Read-only file system"), "{status} {log}");
    assert!(held.lives());
}
