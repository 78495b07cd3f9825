//! What the daemon says is so: after a restart as before it, and whoever has changed it.

use crate::harness::{Daemon, GuestSlots, Request, SHORT, TCG, until};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long something may be untrue that changed behind the daemon's back.
const TRUE_WITHIN: Duration = Duration::from_secs(1);

fn diskless(name: &str) -> Value {
    json!({ "name": name, "memory": "32MiB", "display": "none" })
}

/// The answer for a VM as it was sent, but for the view's revision.
fn answer(daemon: &Daemon, vm: &str) -> String {
    let text = daemon.send(&Request::new("GET", &format!("/v1/vms/{vm}"))).ok().text();
    let (before, after) = text.split_once("\"revision\":").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{}", after.trim_start_matches(','))
}

/// The tasks, but for the view's revisions.
fn tasks(daemon: &Daemon) -> Value {
    let mut tasks = daemon.get("/v1/tasks?limit=1000")["items"].clone();
    for task in tasks.as_array_mut().unwrap() {
        let task = task.as_object_mut().unwrap();
        task.retain(|field, _| field != "revision" && field != "settled_at");
    }
    tasks
}

/// What of it is another, a line each.
fn differences(path: &str, before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let of =
                |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            let each = |key: &String| {
                differences(&format!("{path}.{key}"), &of(before, key), &of(after, key))
            };
            keys.into_iter().flat_map(each).collect()
        }
        (before, after) if before == after => Vec::new(),
        (before, after) => vec![format!("{path}: {before}, then {after}")],
    }
}

#[test]
fn a_restart_changes_nothing_of_what_is_said_of_a_vm() {
    let mut daemon = Daemon::start();
    let disk = json!([{ "name": "root", "size": "8MiB" }]);
    let seed = json!({ "user_data": "#cloud-config" });
    let mut whole = diskless("still");
    (whole["disks"], whole["cloud_init"]) = (disk, seed);
    whole["labels"] = json!({ "b": "2", "a": "1" });
    daemon.create(&whole);
    assert!(daemon.vm("still")["disks"].is_array(), "they are looked at when they are made");
    let names = ["still", "busy", "held", "asleep", "ended", "crashed"];
    names[1..].iter().for_each(|name| drop(daemon.create(&diskless(name))));
    names[1..].iter().for_each(|name| daemon.act(name, "start"));
    daemon.act("held", "pause");
    daemon.act("asleep", "suspend");
    daemon.act("ended", "kill");
    daemon.act("busy", "reset");
    daemon.qemu("crashed").kill9();
    daemon.wait_for_state("crashed", "stopped");
    until(
        "it is said why it is not started again",
        SHORT,
        || match &daemon.vm("crashed")["problem"] {
            Value::Null => Err("not yet"),
            _ => Ok(()),
        },
    );
    let (before, tasks) = (names.map(|name| answer(&daemon, name)), tasks(&daemon));
    let mut differ = Vec::new();
    for how in ["SIGKILL", "SIGTERM"] {
        match how {
            "SIGKILL" => daemon.kill9(),
            _ => assert!(daemon.terminate().0.success()),
        }
        daemon.launch();
        // The first answer counts: nobody knows that there was a restart.
        let after = names.map(|name| answer(&daemon, name));
        for (name, (before, after)) in names.iter().zip(before.iter().zip(&after)) {
            let parsed = [before, after].map(|text| serde_json::from_str::<Value>(text).unwrap());
            differ.extend(differences(&format!("after {how}, {name}"), &parsed[0], &parsed[1]));
            if differ.is_empty() {
                assert_eq!(before, after, "they are written otherwise");
            }
        }
        differ.extend(differences(&format!("after {how}, tasks"), &tasks, &self::tasks(&daemon)));
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn what_changed_behind_its_back_is_true_within_a_second() {
    // Alone, since it is about time.
    let _slots = GuestSlots::all();
    let daemon = Daemon::configured(TCG);
    daemon.create(&diskless("web"));
    daemon.act("web", "start");
    let qemu = daemon.qemu("web");
    // Each time, and not only the first.
    for _ in 0..3 {
        qemu.hold(true);
        is_said(&daemon, "a QEMU that is held is unresponsive", "unresponsive");
        qemu.hold(false);
        is_said(&daemon, "one that goes on runs", "running");
    }
    qemu.hold(true);
    is_said(&daemon, "a QEMU that is held is unresponsive", "unresponsive");
    // It keeps nobody else, and is ended as any other.
    daemon.create(&diskless("other"));
    daemon.act("other", "start");
    qemu.hold(false);
    is_said(&daemon, "one that goes on runs", "running");
    qemu.hold(true);
    daemon.act("web", "kill");
    assert!(!qemu.lives());

    daemon.act("web", "start");
    daemon.qemu("web").kill9();
    is_said(&daemon, "a QEMU that was killed is gone", "stopped");
    assert_eq!(daemon.vm("web")["facts"]["last_end"]["reason"], "hypervisor_died");
}

#[track_caller]
fn is_said(daemon: &Daemon, what: &str, state: &str) {
    let begun = Instant::now();
    until(what, SHORT, || {
        let vm: Value =
            serde_json::from_str(&daemon.inn_ok(&["get", "web", "-o", "json"])).unwrap();
        if vm["state"] == state { Ok(()) } else { Err(vm["state"].clone()) }
    });
    assert!(begun.elapsed() < TRUE_WITHIN, "{what}, after {:?}", begun.elapsed());
}
