//! NICs of VMs: shown, added, taken out, changed.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, accepted, ok, problem, task, vm},
    inn, inn_in, talk,
};
use serde_json::{Value, json};

/// VM `web` with two NICs, running on a machine with four ports of which three are taken.
fn web() -> Value {
    let mut vm = vm("web", "running");
    vm["spec"]["config"]["nics"] = json!([
        {"name": "nic0", "network": "lan", "rate": {"in_kbit": 1000}, "publish": ["8080:80/tcp"]},
        {"name": "nic1", "network": "user", "connected": false},
    ]);
    let assigned = &mut vm["spec"]["assigned"];
    assigned["macs"] = json!({"nic0": "52:54:00:00:00:01", "nic1": "52:54:00:00:00:02"});
    assigned["devices"] =
        json!({"disk/root": {"port": 0}, "nic/nic0": {"port": 1}, "nic/nic1": {"port": 2}});
    vm["addresses"] = json!([
        {"nic": "nic0", "address": "10.87.0.2", "source": "lease"},
        {"nic": "nic0", "address": "fd00::2", "source": "reservation"},
        {"address": "172.17.0.1", "source": "agent"},
    ]);
    vm
}

fn with_web() -> FakeDaemon {
    FakeDaemon::start(|request| match request.line.split_once(' ').unwrap() {
        ("GET", path) if path.starts_with("/v1/tasks/") => ok(task("nic", "done")),
        ("GET", _) => ok(web()),
        _ => accepted("nic"),
    })
}

/// Runs these words, and returns what the daemon was asked to change.
#[track_caller]
fn change(words: &str) -> (String, Value) {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &words.split_whitespace().collect::<Vec<_>>());
    check_exit(&output, 0);
    let mut sent = daemon.requests();
    sent.retain(|request| !request.line.starts_with("GET"));
    assert_eq!(sent.len(), 1);
    let request = sent.remove(0);
    // Only a list that was read, and is replaced whole, must be as it was read.
    let is_conditional = request.head.contains("if-match: \"3\"");
    assert_eq!(is_conditional, words.contains(" set") && words.contains("publish"), "{words}");
    (request.line, request.body)
}

#[test]
fn nics_are_listed_with_what_is_known_of_them_and_the_room_for_more() {
    let daemon = with_web();
    let list = inn_in(daemon.folder(), &["nic", "list", "web"]);
    check_exit(&list, 0);
    let text = data(&list);
    let cells = |line: &'static str| line.split(" | ").collect::<Vec<_>>();
    let shown: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(
        shown,
        [
            cells("NAME | NETWORK | MAC | ADDRESSES | CABLE | IN | OUT | PUBLISHED"),
            cells(
                "nic0 | lan | 52:54:00:00:00:01 | 10.87.0.2 (lease), fd00::2 (reservation) | in | \
                 1000 kbit/s | - | 8080:80/tcp"
            ),
            cells("nic1 | user | 52:54:00:00:00:02 | - | out | - | - | -"),
        ]
    );
    assert_eq!(talk(&list), "web: room for 1 more NIC while it runs\n");
    assert_eq!(
        data(&inn_in(daemon.folder(), &["nics", "ls", "web", "-o", "name"])),
        "nic0\nnic1\n"
    );
    let json = inn_in(daemon.folder(), &["nic", "list", "web", "-o", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["mac"], "52:54:00:00:00:01");
    assert_eq!(json[0]["addresses"][1]["source"], "reservation");
    assert_eq!(json[1]["connected"], false);
    let get = data(&inn_in(daemon.folder(), &["get", "web"]));
    assert!(get.contains("1 of 4 ports free"), "{get}");
}

#[test]
fn a_machine_that_runs_has_the_room_that_it_began_with() {
    let daemon = FakeDaemon::start(|_| {
        let mut vm = web();
        vm["incarnation"] = json!({
            "schema": 1, "id": crate::fake::VM_ID, "vm": crate::fake::VM_ID, "spec_revision": 1,
            "boot_id": "b", "created": "2026-01-01T00:00:00Z", "driver": "qemu",
            "hypervisor_version": "10", "machine": "pc-q35-10.0", "cpu_model": "x",
            "accelerator": "tcg", "cpus": 1, "memory": "1GiB", "run_folder": "/run/x", "argv": [],
            "block_nodes": {}, "ports": 3,
        });
        ok(vm)
    });
    let list = inn_in(daemon.folder(), &["nic", "list", "web"]);
    assert!(talk(&list).contains("no room for more NICs"), "{}", talk(&list));
    let get = data(&inn_in(daemon.folder(), &["get", "web"]));
    assert!(get.contains("0 of 3 ports free"), "{get}");
}

#[test]
fn a_nic_is_added_with_what_the_flags_say() {
    assert_eq!(
        change("nic add web lan"),
        ("POST /v1/vms/web/nics".into(), json!({"name": "nic2", "network": "lan"}))
    );
    let (line, body) = change(
        "nic add web lan --name up --mac 52:54:00:00:00:09 --address 10.87.0.9 --address fd00::9 \
         --publish 8080:80 --in-kbit 1000 --out-kbit 2000 --project p",
    );
    assert_eq!(line, "POST /v1/vms/web/nics?project=p");
    assert_eq!(
        body,
        json!({
            "name": "up", "network": "lan", "mac": "52:54:00:00:00:09",
            "addresses": ["10.87.0.9", "fd00::9"], "publish": ["8080:80/tcp"],
            "rate": {"in_kbit": 1000, "out_kbit": 2000},
        })
    );
}

#[test]
fn a_nic_is_taken_out() {
    let gone = ("DELETE /v1/vms/web/nics/nic0".to_owned(), Value::Null);
    assert_eq!(change("nic remove web nic0"), gone);
    assert_eq!(change("nic rm web nic0"), gone);
}

#[test]
fn only_what_is_said_of_a_nic_is_changed() {
    let set = |words: &str| {
        let (line, body) = change(&format!("nic set web nic0 {words}"));
        assert_eq!(line, "PATCH /v1/vms/web/nics/nic0");
        body
    };
    assert_eq!(set("--network dmz"), json!({"network": "dmz"}));
    assert_eq!(set("--connect"), json!({"connected": true}));
    assert_eq!(set("--disconnect"), json!({"connected": false}));
    assert_eq!(
        set("--in-kbit none --out-kbit 64"),
        json!({"rate": {"in_kbit": null, "out_kbit": 64}})
    );
    assert_eq!(set("--publish 53:53/udp"), json!({"publish": ["8080:80/tcp", "53:53/udp"]}));
    assert_eq!(set("--unpublish 8080:80"), json!({"publish": []}));
    assert_eq!(set("--unpublish 8080:80 --publish 81:80"), json!({"publish": ["81:80/tcp"]}));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_there() {
    let daemon = with_web();
    for words in [
        "nic set web nic0",
        "nic set web nic0 --connect --disconnect",
        "nic set web nic0 --in-kbit fast",
        "nic add web",
        "nic add web lan --mac 01:00:00:00:00:00",
        "nic remove web",
    ] {
        let output = inn_in(daemon.folder(), &words.split_whitespace().collect::<Vec<_>>());
        check_exit(&output, 2);
    }
    let output = inn_in(daemon.folder(), &["nic", "set", "web", "nic0", "--unpublish", "81:80"]);
    check_exit(&output, 4);
    assert!(talk(&output).contains("it publishes 8080:80/tcp"), "{}", talk(&output));
    assert!(daemon.lines().iter().all(|line| line.starts_with("GET")));

    let full = FakeDaemon::start(|_| -> Reply { problem(409, "out-of-capacity", "no port left") });
    let output = inn_in(full.folder(), &["nic", "add", "web", "lan", "--name", "a"]);
    check_exit(&output, 4);
    assert!(talk(&output).contains("no port left"));
}

#[test]
fn names_of_nics_are_completed() {
    let daemon = with_web();
    let output = inn(&["--", "inn", "nic", "remove", "web", "nic"])
        .env("INN_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "4")
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .env("INN_STATE_DIR", daemon.folder())
        .output()
        .unwrap();
    assert_eq!(data(&output).lines().collect::<Vec<_>>(), ["nic0", "nic1"]);
}
