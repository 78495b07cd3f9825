//! A diagnosis: where it is asked, how it is shown, and what goes into a bundle.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, Request, TASK_ID, VM_ID, begin_stream, ok, problem, task, vm},
    inn, inn_in, talk,
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, io::Read, io::Write, path::Path};

fn diagnosis() -> Value {
    json!({
        "at": "2026-01-01T00:00:00Z", "version": "0.1.0",
        "drivers": [
            {"name": "qemu", "version": "10.0.8", "machines": 3, "connections": 2, "last_error":
                {"at": "2026-01-01T00:00:00Z", "vm": VM_ID, "error": "qemu/launch: no such program"}},
            {"name": "libvirt", "machines": 0, "connections": 1},
        ],
        "queues": [{"resource": "vm/web", "holders": 1, "waiting": 2, "paused": true}],
        "tasks": [{"id": TASK_ID, "operation": "start", "vm": VM_ID, "state": "interrupted",
            "steps": ["sim/launch"], "for_ms": 61500, "cancellable": false}],
        "owed": [{"task": TASK_ID, "operation": "create", "vm": VM_ID,
            "leftovers": ["create-volume:root could not be undone: it is busy"]}],
        "journal": {"segments": 2, "size": "16MiB", "records": 70, "syncs": 30, "pending": 1, "low": true,
            "last_error": "no space", "damage": ["vms/1 is damaged"]},
        "specs": {"unwritten": 3, "problem": "read-only"},
        "feed": {"changes": 50, "change_bytes": 2048, "readers": 4, "slowest_lag": 9, "reading": [
            {"who": "uid:0: events", "since": "2026-01-01T00:00:00Z", "lag": 9},
            {"since": "2026-01-01T00:00:00Z", "lag": 0},
        ]},
        "sessions": [
            {"vm": VM_ID, "kind": "console", "caller": "uid:7", "since": "2026-01-01T00:00:00Z",
                "viewers": 2, "shown": 2048, "typed": 3},
            {"image": "base", "kind": "upload", "caller": "uid:1000",
                "since": "2026-01-01T00:00:00Z", "viewers": 1, "shown": 0, "typed": 1048576},
            {"kind": "import", "caller": "uid:0", "since": "2026-01-01T00:00:00Z", "viewers": 1,
                "shown": 0, "typed": 0},
        ],
        "interventions": [],
        "usage": {"vms": 1, "cpus": 2, "memory": "1GiB", "disk": "10GiB",
            "bounds": {"vms": null, "cpus": 4, "memory": "3GiB", "disk": null, "addresses": null},
            "pool": {"at": "2025-12-31T21:00:00Z", "folder": "/srv/pool", "size": "20GiB", "free": "3GiB", "promised": "1GiB"}},
        "problems": [{"vm": VM_ID, "name": "web", "state": "stopped", "problem": "crashed within 120 s"}],
        "failures": [{"task": TASK_ID, "operation": "start", "subject": "web",
            "at": "2026-01-01T00:00:00Z", "error": "it did not work"}],
        "sizes": {"vms": 1, "tasks": 2, "images": 3, "resident": "12MiB", "open_files": 20, "threads": 5},
    })
}

fn no_answer() -> Reply {
    problem(500, "internal", "nobody should ask here")
}

#[test]
fn a_diagnosis_is_asked_of_its_own_socket_and_shown_by_section() {
    let daemon = FakeDaemon::start(|_| no_answer()).diagnosed(|_| ok(diagnosis()));
    let output = inn_in(daemon.folder(), &["diagnose"]);
    check_exit(&output, 0);
    let text = data(&output);
    for part in [
        "innkeeper:  0.1.0 at 2026-01-01",
        "known:      1 VMs, 3 images, 2 tasks, 1 not ended",
        "given:      1 VMs, 2 of 4 CPUs, 1GiB of 3GiB of memory, 10GiB of disk",
        "pool:       3GiB of 20GiB left 3h ago, 1GiB of that promised; /srv/pool",
        "journal:    2 segments, 16MiB; 70 records, 30 syncs, 1 waiting",
        "journal:    no room could be set aside",
        "journal:    last error: no space",
        "specs:      3 in the journal, not yet in files",
        "feed:       50 changes, 2KiB; 4 readers, the slowest 9 behind",
        "driver:     qemu 10.0.8 with 3 machines and 2 connections",
        "driver:     libvirt (not asked yet) with 0 machines and 1 connections",
        "qemu    2026-01-01T00:00:00Z",
        "qemu/launch: no such program",
        "uid:0: events  2026-01-01T00:00:00Z  9",
        "console  uid:7     2        2026-01-01T00:00:00Z  2KiB   3B",
        "image base                            upload   uid:1000  1        2026-01-01T00:00:00Z  0B     1MiB",
        "a new VM                              import   uid:0     1        2026-01-01T00:00:00Z  0B     0B",
        "interrupted  61.5s  no           sim/launch",
        "vm/web    1        2        paused; inn diagnose unpause",
        "create-volume:root could not be undone: it is busy",
        "crashed within 120 s",
        "vms/1 is damaged",
        "it did not work",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let whole = inn_in(daemon.folder(), &["diagnose", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&whole.stdout).unwrap(), diagnosis());
    assert!(daemon.lines().is_empty());
}

#[test]
fn what_is_well_has_no_section() {
    let mut well = diagnosis();
    for section in ["queues", "tasks", "owed", "problems", "failures", "sessions"] {
        well[section] = json!([]);
    }
    well["journal"] = json!({"segments": 1, "size": "8MiB", "records": 0, "syncs": 0, "pending": 0,
        "low": false});
    well["specs"] = json!({"unwritten": 0});
    well["feed"]["reading"] = json!([]);
    well["usage"]["pool"] = Value::Null;
    well["drivers"] =
        json!([{"name": "qemu", "version": "10.0.8", "machines": 1, "connections": 1}]);
    let daemon = FakeDaemon::start(move |_| ok(well.clone()));
    let output = inn_in(daemon.folder(), &["diagnose"]);
    check_exit(&output, 0);
    assert_eq!(data(&output).lines().count(), 7, "{}", data(&output));
    assert_eq!(daemon.lines(), ["GET /v1/diagnostics"], "without its own socket, the other one");
    let nobody = tempfile::tempdir().unwrap();
    check_exit(&inn_in(nobody.path(), &["diagnose"]), 5);
}

#[test]
fn what_is_done_by_hand_reaches_the_daemon() {
    let daemon = FakeDaemon::start(|_| ok(json!({})));
    for line in [
        &["diagnose", "reconcile", "web"][..],
        &["diagnose", "pause", "web", "--project", "p"],
        &["diagnose", "unpause", "web"],
        &["diagnose", "log-level", "info,innkeeper_qemu=debug"],
    ] {
        let output = inn_in(daemon.folder(), line);
        check_exit(&output, 0);
        assert!(!talk(&output).is_empty() && data(&output).is_empty());
    }
    let sent: Vec<_> = daemon.requests().into_iter().map(|sent| (sent.line, sent.body)).collect();
    let line = |text: &str, body: Value| (format!("POST /v1/diagnostics/{text}"), body);
    assert_eq!(
        sent,
        [
            line("reconcile", json!({"vm": "web"})),
            line("queue?project=p", json!({"vm": "web", "paused": true})),
            line("queue", json!({"vm": "web", "paused": false})),
            line("log", json!({"level": "info,innkeeper_qemu=debug"})),
        ]
    );
    check_exit(&inn_in(daemon.folder(), &["diagnose", "log-level"]), 2);
    check_exit(&inn_in(daemon.folder(), &["diagnose", "frobnicate"]), 2);
}

const TOKEN: &str = "t0p-s3cret-token";
const USER_DATA: &str = "#cloud-config: hunter2";

/// A daemon with a VM that leaks whatever it can.
fn leaky(request: &Request) -> Reply {
    let mut web = vm("web", "running");
    web["spec"]["config"]["cloud_init"] = json!({"user_data": USER_DATA, "meta_data": "sha256:00"});
    match request.line.split(['?', ' ']).nth(1).unwrap() {
        "/v1/diagnostics" => ok(diagnosis()),
        "/v1/diagnostics/configuration" => ok(json!({"driver": "sim", "note": TOKEN})),
        "/v1/diagnostics/log" => Reply::Stream(Box::new(|mut stream| {
            begin_stream(&mut stream);
            writeln!(stream, "INFO serving {TOKEN}").unwrap();
        })),
        // In pages, the second of which is as good as the first.
        "/v1/audit" if request.line.contains("after=") => {
            ok(json!({"items": [{"action": "stop", "subject": TOKEN}], "place": "1-9"}))
        }
        "/v1/audit" => ok(json!({"items": [{"action": "start"}], "place": "1-5", "next": "1-5"})),
        "/v1/host" => {
            ok(json!({"name": "h", "version": "9.9", "pid": 1, "cpus": 1, "memory": "1GiB",
            "kernel": "Linux", "confinement": []}))
        }
        "/v1/vms" => ok(json!({"items": [web, vm("db", "stopped")]})),
        "/v1/tasks" => ok(json!({"items": [task("start", "done")]})),
        "/v1/images" => problem(500, "internal", "the images are gone"),
        path if path.ends_with("/logs") => Reply::Stream(Box::new(|mut stream| {
            begin_stream(&mut stream);
            writeln!(stream, "qemu: warning {TOKEN}").unwrap();
        })),
        other => panic!("asked for {other}"),
    }
}

/// The files in a bundle, by their names without the folder.
fn unpack(bundle: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(bundle).unwrap()));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (folder, name) = path.split_once('/').unwrap();
        assert!(folder.starts_with("innkeeper-diagnosis-"), "{folder}");
        (name.to_owned(), text)
    });
    entries.collect()
}

#[test]
fn a_bundle_has_everything_but_secrets() {
    let daemon = FakeDaemon::start(leaky).diagnosed(leaky);
    fs::write(daemon.folder().join("token"), format!("{TOKEN}\n")).unwrap();
    let file = daemon.folder().join("b.tar.gz");
    let line = ["diagnose", "bundle", file.to_str().unwrap()];
    let output = inn_in(daemon.folder(), &line);
    check_exit(&output, 0);
    assert_eq!(data(&output).trim(), file.to_str().unwrap());
    assert!(talk(&output).contains("images.json: the images are gone"), "{}", talk(&output));

    let files = unpack(&file);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "README.txt",
            "audit.jsonl",
            "config.json",
            "daemon.log",
            "diagnosis.json",
            "host.json",
            "logs/db.log",
            "logs/web.log",
            "missing.txt",
            "tasks.json",
            "versions.json",
            "vms.json",
        ]
    );
    for (name, text) in &files {
        assert!(!text.contains(TOKEN) && !text.contains("hunter2"), "{name}: {text}");
    }
    assert!(files["logs/web.log"].contains("qemu: warning"));
    assert_eq!(files["daemon.log"], "INFO serving (left out)\n");
    assert_eq!(
        files["audit.jsonl"],
        "{\"action\":\"start\"}\n{\"action\":\"stop\",\"subject\":\"(left out)\"}\n"
    );
    assert!(files["vms.json"].contains("sha256:00"), "a digest is no secret");
    assert!(files["diagnosis.json"].contains("\"syncs\": 30"));
    assert_eq!(files["missing.txt"], "images.json: the images are gone");
    assert_eq!(serde_json::from_str::<Value>(&files["versions.json"]).unwrap()["daemon"], "9.9");
    assert!(daemon.lines().iter().all(|line| line.starts_with("GET") && !line.contains("serial")));

    let again = inn_in(daemon.folder(), &line);
    check_exit(&again, 2);
    assert!(talk(&again).contains("is there already"), "{}", talk(&again));
}

#[test]
fn a_bundle_of_a_stuck_daemon_has_what_its_own_socket_says() {
    // Accepts connections and never answers.
    let daemon =
        FakeDaemon::start(|_| Reply::Stream(Box::new(|mut stream| drop(stream.read(&mut [0; 1])))))
            .diagnosed(leaky);
    let output = inn(&["diagnose", "bundle", "--state-dir"])
        .arg(daemon.folder())
        .current_dir(daemon.folder())
        .output()
        .unwrap();
    check_exit(&output, 0);
    let file = Path::new(data(&output).trim()).to_owned();
    assert_eq!(file.parent().unwrap(), daemon.folder().canonicalize().unwrap());
    let files = unpack(&file);
    for there in ["diagnosis.json", "config.json", "daemon.log", "audit.jsonl"] {
        assert!(files.contains_key(there), "{there}");
    }
    let missing = &files["missing.txt"];
    assert!(missing.contains("host.json: the daemon did not answer"), "{missing}");
    assert!(missing.contains("vms.json: not asked for"), "waited for again: {missing}");
    // One that was stuck is asked once.
    assert_eq!(daemon.lines(), ["GET /v1/host"]);
}

#[test]
fn a_bundle_that_fails_leaves_nothing() {
    let nobody = tempfile::tempdir().unwrap();
    let file = nobody.path().join("b.tar.gz");
    let output = inn_in(nobody.path(), &["diagnose", "bundle", file.to_str().unwrap()]);
    check_exit(&output, 5);
    assert_eq!(fs::read_dir(nobody.path()).unwrap().count(), 0);
    let output = inn_in(nobody.path(), &["diagnose", "bundle", "/nonexistent/b.tar.gz"]);
    check_exit(&output, 2);
}
