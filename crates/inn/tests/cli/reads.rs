//! What is shown: tables, documents, names, refusals.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, VM_ID, not_found, ok, problem, vm},
    inn, inn_in, talk,
};
use serde_json::{Value, json};
use std::process::Stdio;

fn two_pages() -> FakeDaemon {
    FakeDaemon::start(|request| match request.line.as_str() {
        "GET /v1/vms" => ok(json!({"items": [vm("web", "running")], "next": "c1"})),
        "GET /v1/vms?after=c1" => ok(json!({"items": [vm("db", "stopped")]})),
        "GET /v1/vms/web" => ok(vm("web", "running")),
        _ => not_found(),
    })
}

#[test]
fn a_list_is_a_table_of_all_pages_by_default() {
    let daemon = two_pages();
    let output = inn_in(daemon.folder(), &["list"]);
    check_exit(&output, 0);
    assert_eq!(
        data(&output),
        "NAME  STATE    CPUS  MEMORY  ADDRESS  SINCE  NOTE\n\
         web   running  2     1GiB\n\
         db    stopped  2     1GiB\n"
    );
    assert!(talk(&output).is_empty());
}

#[test]
fn a_list_is_whole_for_programs_and_short_for_scripts() {
    let daemon = two_pages();
    let json = inn_in(daemon.folder(), &["list", "-o", "json"]);
    let items: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(items, json!([vm("web", "running"), vm("db", "stopped")]));
    assert_eq!(data(&inn_in(daemon.folder(), &["ls", "-o", "name"])), "web\ndb\n");
    let yaml = data(&inn_in(daemon.folder(), &["get", "web", "-o", "yaml"]));
    assert!(yaml.contains("kernel:\n") && !yaml.contains('!'), "{yaml}");
}

#[test]
fn one_vm_is_shown_field_by_field() {
    let output = inn_in(two_pages().folder(), &["get", "web"]);
    let text = data(&output);
    for part in [VM_ID, "running", "kernel tiny with \"quiet\"", "pc-q35-10.0"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_a_vm_has_used_is_shown_in_figures_that_people_read() {
    let daemon = FakeDaemon::start(|request| match request.line.as_str() {
        "GET /v1/vms/web/statistics" => ok(json!({
            "at": "2026-01-01T00:00:00Z",
            "cpu_time_ms": 61_500,
            "vcpus": [{ "index": 0, "cpu_time_ms": 60_000 }],
            "memory_resident": "160MiB",
            "disks": [{
                "name": "root", "read_bytes": 3 << 20, "written_bytes": 2048, "reads": 12, "writes": 2,
            }],
            "missing": ["the NIC on tap0: there is no such interface"],
        })),
        _ => not_found(),
    });
    let output = inn_in(daemon.folder(), &["stats", "web"]);
    check_exit(&output, 0);
    let text = data(&output);
    for part in ["61.50 s", "cpu 0: 60.00 s", "160MiB", "root: read 3MiB in 12, written 2KiB in 2"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("missing") && text.contains("tap0"), "{text}");
}

#[test]
fn filters_reach_the_daemon_as_they_were_given() {
    let daemon = FakeDaemon::start(|_| ok(json!({"items": []})));
    let line = ["list", "--state", "running", "--label", "a b=c&d", "--project", "p"];
    let output = inn_in(daemon.folder(), &line);
    check_exit(&output, 0);
    assert_eq!(
        daemon.lines(),
        ["GET /v1/vms?state=running&project=p&label.a%20b=c%26d".to_owned()]
    );
    assert!(data(&output).is_empty() && talk(&output).contains("inn create"));
    let quiet = inn_in(daemon.folder(), &["list", "--quiet"]);
    assert!(talk(&quiet).is_empty());
}

#[test]
fn a_hostile_name_stays_one_segment() {
    let daemon = FakeDaemon::start(|_| not_found());
    let output = inn_in(daemon.folder(), &["get", "../host?x=1#y\n"]);
    check_exit(&output, 3);
    assert_eq!(daemon.lines(), ["GET /v1/vms/..%2Fhost%3Fx%3D1%23y%0A"]);
}

#[test]
fn a_refusal_is_told_with_its_advice_and_has_its_exit_code() {
    for (status, code, exit) in [
        (404, "not-found", 3),
        (409, "wrong-state", 4),
        (412, "revision-conflict", 4),
        (422, "invalid-field", 4),
        (504, "timeout", 6),
        (507, "out-of-space", 1),
        (500, "internal", 1),
    ] {
        let daemon = FakeDaemon::start(move |_| problem(status, code, "it is not so"));
        let output = inn_in(daemon.folder(), &["host"]);
        check_exit(&output, exit);
        assert_eq!(talk(&output), "error: it is not so\n  hint: do something else\n");
    }
}

#[test]
fn an_answer_of_something_else_is_no_success() {
    let daemon = FakeDaemon::start(|_| ok(json!({"unexpected": true})));
    let output = inn_in(daemon.folder(), &["host"]);
    check_exit(&output, 1);
    assert!(talk(&output).contains("inn version"), "{}", talk(&output));
}

#[test]
fn another_manager_is_shown_and_where_it_cannot_be_asked_what_helps() {
    let host = |manager: Value| {
        json!({"name": "h", "version": "9.9", "pid": 1, "cpus": 1, "memory": "1GiB", "kernel": "Linux",
               "confinement": [], "managers": [manager]})
    };
    let lost = json!({"at": "2026-01-01T00:00:00Z", "reason": "libvirt asks for SASL authentication",
                      "hint": "name another socket"});
    for (manager, shown) in [
        (json!({"name": "libvirt"}), &["libvirt:", "its machines are shown"][..]),
        (
            json!({"name": "libvirt", "lost": lost}),
            &["cannot be asked since 2026-01-01T00:00:00Z", "SASL", "name another socket"],
        ),
    ] {
        let is_lost = shown.len() > 2;
        let host = host(manager);
        let daemon = FakeDaemon::start(move |request| match request.line.as_str() {
            "GET /v1/host" => ok(host.clone()),
            _ => ok(json!({"items": []})),
        });
        let text = data(&inn_in(daemon.folder(), &["host"]));
        assert!(shown.iter().all(|part| text.contains(part)), "{text}");
        let doctor = inn_in(daemon.folder(), &["doctor", "-o", "json"]);
        let findings: Vec<Value> = serde_json::from_slice(&doctor.stdout).unwrap();
        let found = findings.iter().find(|finding| finding["what"] == "libvirt").unwrap();
        let verdict = if is_lost { "lacking" } else { "good" };
        assert_eq!(found["verdict"], verdict, "{found}");
        assert_eq!(found.get("mend"), is_lost.then_some(&json!("name another socket")));
    }
}

#[test]
fn names_of_vms_are_completed_by_asking_the_daemon() {
    let daemon = two_pages();
    let folder = daemon.folder().to_str().unwrap();
    let output = inn(&["--", "inn", "--state-dir", folder, "start", "w"])
        .env("INN_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "4")
        .output()
        .unwrap();
    assert_eq!(data(&output).trim(), "web");
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let daemon = FakeDaemon::start(|_| {
        // More than a pipe holds.
        let items: Vec<_> = (0..2000).map(|n| vm(&format!("vm-{n}"), "stopped")).collect();
        ok(json!({"items": items}))
    });
    let mut child = inn(&["list", "-o", "json", "--state-dir"])
        .arg(daemon.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    check_exit(&output, 0);
    assert_eq!(talk(&output), "");
}
