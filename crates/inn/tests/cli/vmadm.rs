//! The words of SmartOS: what they print where, and how they end.

use crate::{
    check_exit, data,
    fake::{
        FakeDaemon, Reply, Request, TASK_ID, VM_ID, accepted, not_found, ok, problem, task, vm,
    },
    inn, talk,
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

const ABSENT: &str = "0192a4b0-0000-7000-8000-0000000000ff";

/// A daemon with one VM in this state, which does what it is told; a stop takes too long.
fn daemon(state: &'static str) -> FakeDaemon {
    FakeDaemon::start(move |request| answer(request, state))
}

fn answer(request: &Request, state: &str) -> Reply {
    let own = format!("/v1/vms/{VM_ID}");
    let (method, path) = request.line.split_once(' ').unwrap();
    let path = path.split('?').next().unwrap();
    match (method, path.strip_prefix(&own)) {
        ("GET", None) if path == "/v1/vms" => ok(json!({ "items": [shown(state)] })),
        ("GET", Some("")) => ok(shown(state)),
        ("POST", None) if path == "/v1/vms" => accepted("create"),
        ("PATCH" | "DELETE", Some("")) => accepted("change"),
        ("POST", Some("/stop")) => problem(504, "timeout", "its guest did not stop in time"),
        ("POST", Some(_)) => accepted("power"),
        ("GET", None) if path.contains(TASK_ID) => ok(task("x", "done")),
        _ => not_found(),
    }
}

fn shown(state: &str) -> Value {
    let mut vm = vm("web", state);
    if state == "running" {
        vm["facts"]["machine"] = "running".into();
    }
    vm["spec"]["config"]["labels"] = json!({ "role": "web" });
    vm
}

/// What was made first is first, whatever its id says, as the ancestor's lists have it.
#[test]
fn a_lookup_has_the_order_of_the_door_and_a_list_its_own() {
    let old = "f0000000-0000-4000-8000-000000000000";
    let mut older = vm("older", "stopped");
    (older["id"], older["spec"]["id"]) = (json!(old), json!(old));
    older["spec"]["created"] = json!("2020-01-01T00:00:00Z");
    let daemon = FakeDaemon::start(move |_| ok(json!({ "items": [shown("running"), older] })));
    for words in [&["vmadm", "lookup"][..], &["lookup"], &["vmadm", "list", "-pouuid", "-salias"]] {
        let found = data(&run(&daemon, words, None));
        assert_eq!(found, format!("{old}\n{VM_ID}\n"), "{words:?}");
    }
    let list = data(&run(&daemon, &["vmadm", "list", "-p", "-o", "uuid"], None));
    assert_eq!(list, format!("{VM_ID}\n{old}\n"), "by ram and uuid");
}

fn run(daemon: &FakeDaemon, words: &[&str], input: Option<&str>) -> Output {
    let folder = daemon.folder().to_str().unwrap();
    let mut command = inn(&[&["--state-dir", folder], words].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that is not read is closed all the same.
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn what_is_shown_goes_to_the_standard_output() {
    let daemon = daemon("running");
    let list = run(&daemon, &["vmadm", "list"], None);
    check_exit(&list, 0);
    let heading = format!("{:36}  TYPE  RAM      STATE             ALIAS\n", "UUID");
    let row = format!("{VM_ID}  KVM   1024     running           web\n");
    assert_eq!(data(&list), heading + &row);
    for (words, expected) in [
        (&["vmadm", "list", "-p", "-o", "alias,ram"][..], "web:1024\n"),
        (&["vmadm", "list", "-H", "-o", "alias,quota", "-s", "-ram"], "web  -\n"),
        (&["vmadm", "list", "-p", "-o", "uuid", "state=stopped"], ""),
        (&["vmadm", "lookup", "tags.role=web"], &format!("{VM_ID}\n")),
        (&["vmadm", "lookup", "-1", "alias=~^W"], &format!("{VM_ID}\n")),
        (&["vmadm", "-v", "lookup", "-d", "alias=db"], ""),
        (&["lookup", "state=running", "tags.role=web"], &format!("{VM_ID}\n")),
    ] {
        let output = run(&daemon, words, None);
        check_exit(&output, 0);
        assert_eq!((&*data(&output), &*talk(&output)), (expected, ""), "{words:?}");
    }
    let lookup = run(&daemon, &["vmadm", "lookup", "-j", "-o", "alias,state"], None);
    let found: Value = serde_json::from_slice(&lookup.stdout).unwrap();
    assert_eq!(found, json!([{ "alias": "web", "state": "running" }]));
    for get in ["get", "json"] {
        let output = run(&daemon, &["vmadm", get, VM_ID], None);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&found["uuid"], &found["ram"]), (&json!(VM_ID), &json!(1024)));
    }
}

#[test]
fn what_was_done_is_said_on_the_standard_error() {
    for (state, words, input, text, line) in [
        ("stopped", &["start", VM_ID][..], None, "Successfully started VM", "POST .../start"),
        ("stopped", &["boot", VM_ID], None, "Successfully started VM", "POST .../start"),
        ("suspended", &["start", VM_ID], None, "Successfully started VM", "POST .../resume"),
        (
            "running",
            &["stop", "-F", VM_ID],
            None,
            "Successfully completed stop for VM",
            "POST .../kill",
        ),
        // The guest had its time.
        (
            "running",
            &["stop", "-t", "5", VM_ID],
            None,
            "Successfully completed stop for VM",
            "POST .../kill",
        ),
        (
            "running",
            &["reboot", VM_ID],
            None,
            "Successfully completed reboot for VM",
            "POST .../reboot",
        ),
        ("running", &["delete", VM_ID], None, "Successfully deleted VM", "DELETE ...?force=true"),
        ("stopped", &["update", VM_ID, "quota=10"], None, "Successfully updated VM", "PATCH ..."),
        (
            "stopped",
            &["update", VM_ID],
            Some(r#"{"ram":2048}"#),
            "Successfully updated VM",
            "PATCH ...",
        ),
        (
            "stopped",
            &["create"],
            Some(r#"{"brand":"kvm","alias":"new"}"#),
            "Successfully created VM",
            "POST /v1/vms?start=true",
        ),
        (
            "stopped",
            &["create"],
            Some(r#"{"alias":"new","autoboot":false}"#),
            "Successfully created VM",
            "POST /v1/vms",
        ),
    ] {
        let daemon = daemon(state);
        let output = run(&daemon, &[&["vmadm"], words].concat(), input);
        check_exit(&output, 0);
        assert_eq!(data(&output), "", "{words:?}");
        assert_eq!(talk(&output), format!("{text} {VM_ID}\n"), "{words:?}");
        let line = line.replace("...", &format!("/v1/vms/{VM_ID}"));
        assert!(daemon.lines().contains(&line), "{words:?}: {:?}", daemon.lines());
    }
}

#[test]
fn what_is_so_already_is_done_and_nothing_is_asked_for() {
    for (state, words, text) in [
        ("running", &["vmadm", "start", VM_ID][..], "is already running"),
        ("stopped", &["vmadm", "stop", VM_ID], "is already stopped"),
        ("stopped", &["vmadm", "update", VM_ID, "ram=1024"], "Successfully updated VM"),
        ("stopped", &["vmadm", "update", VM_ID, "brand=lx"], "Successfully updated VM"),
    ] {
        let daemon = daemon(state);
        let output = run(&daemon, words, None);
        check_exit(&output, 0);
        assert!(talk(&output).contains(text), "{words:?}: {}", talk(&output));
        assert!(daemon.lines().iter().all(|line| line.starts_with("GET")), "{:?}", daemon.lines());
    }
}

#[test]
fn done_but_not_yet_seen_is_said_beside_what_was_done() {
    let daemon = FakeDaemon::start(|request| {
        if request.line.contains(TASK_ID) {
            let mut unseen = task("start", "done");
            unseen.as_object_mut().unwrap().remove("settled_at");
            return ok(unseen);
        }
        answer(request, "stopped")
    });
    let output = run(&daemon, &["vmadm", "start", VM_ID], None);
    check_exit(&output, 0);
    let said = talk(&output);
    assert!(said.contains("it is done, and may not be seen everywhere yet"), "{said}");
    assert!(said.ends_with(&format!("Successfully started VM {VM_ID}\n")), "{said}");
}

#[test]
fn a_vm_of_another_manager_is_shown_and_left_alone() {
    let daemon = FakeDaemon::start(|request| {
        let mut vm = shown("stopped");
        vm.as_object_mut().unwrap().remove("spec");
        vm["managed"] = json!({ "by": "libvirt", "machine": {
            "name": "web", "cpus": 1, "memory": "64MiB", "persistent": true, "autostart": false,
        } });
        match request.line.split(' ').next() {
            Some("GET") if request.line.ends_with(VM_ID) => ok(vm),
            Some("GET") => ok(json!({ "items": [vm] })),
            _ => problem(409, "managed-elsewhere", "it is libvirt's, and only shown here"),
        }
    });
    let listed = run(&daemon, &["vmadm", "list", "-p", "-o", "alias,ram"], None);
    assert_eq!(data(&listed), "web:64\n");
    for words in [&["start", VM_ID][..], &["delete", VM_ID], &["update", VM_ID, "ram=128"]] {
        let output = run(&daemon, &[&["vmadm"], words].concat(), None);
        check_exit(&output, 1);
        assert!(talk(&output).contains("it is libvirt's"), "{words:?}: {}", talk(&output));
    }
}

#[test]
fn an_update_sends_what_changes_and_the_tag_of_what_it_read() {
    let daemon = daemon("stopped");
    run(&daemon, &["vmadm", "update", VM_ID, "quota=10", "vcpus=4"], None);
    let requests = daemon.requests();
    let sent = requests.iter().find(|request| request.line.starts_with("PATCH")).unwrap();
    assert_eq!(sent.body, json!({ "quota": "10GiB", "cpus": 4 }));
    assert!(sent.head.contains("if-match: \"3\""), "{}", sent.head);
}

/// Somebody else changes it whenever it is looked at.
#[test]
fn an_update_sends_the_tag_of_the_very_answer_that_it_is_of() {
    let looks = AtomicUsize::new(0);
    let daemon = FakeDaemon::start(move |request| {
        let own = format!("GET /v1/vms/{VM_ID}");
        if request.line != own {
            return answer(request, "stopped");
        }
        let look = looks.fetch_add(1, Relaxed);
        let mut vm = shown("stopped");
        vm["spec"]["config"]["labels"] = json!({ format!("look-{look}"): "yes" });
        Reply::Stream(Box::new(move |mut stream| {
            let body = vm.to_string();
            let head = format!("content-length: {}\r\netag: \"look-{look}\"", body.len());
            write!(stream, "HTTP/1.1 200 X\r\n{head}\r\nconnection: close\r\n\r\n{body}").unwrap();
        }))
    });
    check_exit(&run(&daemon, &["vmadm", "update", VM_ID], Some(r#"{"set_tags":{"a":1}}"#)), 0);
    let requests = daemon.requests();
    let sent = requests.iter().find(|request| request.line.starts_with("PATCH")).unwrap();
    let asked = requests.iter().filter(|request| request.line.ends_with(VM_ID)).count();
    assert_eq!(asked, 2, "one look, and the change: {:?}", daemon.lines());
    assert!(sent.head.contains("if-match: \"look-0\""), "{}", sent.head);
    assert_eq!(sent.body, json!({ "labels": { "a": "1" } }));
}

#[test]
fn a_start_makes_autoboot_true_and_an_update_cannot_while_it_is_stopped() {
    let daemon = FakeDaemon::start(|request| {
        if request.line == format!("GET /v1/vms/{VM_ID}") {
            let mut vm = shown("stopped");
            (vm["spec"]["want"], vm["spec"]["config"]["autostart"]) =
                ("stopped".into(), "never".into());
            return ok(vm);
        }
        answer(request, "stopped")
    });
    let refused = run(&daemon, &["vmadm", "update", VM_ID, "autoboot=true"], None);
    check_exit(&refused, 1);
    assert!(talk(&refused).contains("autoboot: it is stopped"), "{}", talk(&refused));
    check_exit(&run(&daemon, &["vmadm", "start", VM_ID], None), 0);
    let requests = daemon.requests();
    let sent: Vec<_> = requests.iter().filter(|request| !request.line.starts_with("GET")).collect();
    let lines: Vec<_> = sent.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines, [format!("POST /v1/vms/{VM_ID}/start"), format!("PATCH /v1/vms/{VM_ID}")]);
    assert_eq!(sent[1].body, json!({ "autostart": "auto" }));
}

#[test]
fn failures_end_with_1_and_what_makes_no_sense_with_2() {
    let daemon = daemon("stopped");
    let absent = format!("zoneadm: {ABSENT}: No such zone configured\n");
    for (words, input, exit, text) in [
        (&["vmadm", "get", ABSENT][..], None, 1, &*absent),
        (&["vmadm", "start", ABSENT], None, 1, &absent),
        (&["vmadm", "delete", ABSENT], None, 1, &absent),
        (&["vmadm", "events", ABSENT], None, 1, &absent),
        (&["vmadm", "get", "web"], None, 1, "zoneadm: web: No such zone configured\n"),
        (&["vmadm", "reboot", VM_ID], None, 1, "Unable to reboot VM"),
        (&["vmadm", "lookup", "colour=red"], None, 1, "Unknown key: colour\n"),
        (&["vmadm", "list", "-o", "colour"], None, 1, "Unknown key: colour\n"),
        (
            &["vmadm", "lookup", "-1", "alias=db"],
            None,
            1,
            "Requested unique lookup but found 0 results.\n",
        ),
        (&["vmadm", "create"], Some("{\"colour\":1}"), 1, "Invalid key: colour\n"),
        (&["vmadm", "create"], Some("no json"), 1, "Invalid payload"),
        (&["vmadm", "update", VM_ID, "colour=red"], None, 1, "Invalid key: colour\n"),
        (&["vmadm"], None, 2, "Usage: inn vmadm"),
        (&["vmadm", "paint", VM_ID], None, 2, "unrecognized subcommand 'paint'"),
        (&["vmadm", "get"], None, 2, "<UUID>"),
        (&["vmadm", "lookup", "-o", "alias"], None, 2, "--json"),
        (&["vmadm", "list", "--socket", "x"], None, 2, "inn --socket ... vmadm"),
        (&["vmadm", "list", "--state-dir=x"], None, 2, "inn --state-dir ... vmadm"),
        (&["vminfo", "ping", "--quiet"], None, 1, "inn --quiet ... vminfo"),
    ] {
        let output = run(&daemon, words, input);
        check_exit(&output, exit);
        assert!(talk(&output).contains(text), "{words:?}: {:?}", talk(&output));
        assert_eq!(data(&output), "", "{words:?}");
    }
    check_exit(&run(&daemon, &["vmadm", "--help"], None), 0);
    check_exit(&run(&daemon, &["vmadm", "list", "--help"], None), 0);
}

/// A door that answers each of these paths so.
fn door(answers: &'static [(&str, u16, &str)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.to_lowercase().contains("user-agent: "), "{head}");
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let found = answers.iter().find(|(known, ..)| *known == path);
            let (_, status, body) = *found.unwrap_or(&("", 404, "Unsupported URL Path"));
            write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n{body}").unwrap();
        }
    });
    address
}

const EVENTS: &str = concat!(
    r#"{"type":"ready","date":"2026-01-02T03:04:05.678Z","uuid":"u","vms":"[]"}"#,
    "\n",
    r#"{"type":"create","date":"2026-01-02T03:04:05.678Z","uuid":"a-b","zonename":"a-b","vm":{"alias":"web"}}"#,
    "\n",
    r#"{"type":"delete","date":"2026-01-02T03:04:05.678Z","uuid":"a-b","zonename":"a-b"}"#,
    "\n",
);

#[test]
fn the_door_is_asked_and_shown_as_it_answers() {
    let address = door(&[
        ("/ping", 200, r#"{"ping":"pong"}"#),
        ("/vms", 200, "[]"),
        ("/vms/x", 404, "VM Not Found: x"),
        ("/events", 200, EVENTS),
    ])
    .to_string();
    let ask = |words: &[&str]| {
        let mut command = inn(&[&["vminfo"], words].concat());
        command.env("VMINFOD_ADDRESS", &address).env_remove("VMINFOD_NAME").output().unwrap()
    };
    for (words, exit, out, err) in [
        (&["ping"][..], 0, "pong\n", ""),
        (&["vms"], 0, "[]\n", ""),
        (&["vm", "x"], 1, "", "VM Not Found: x"),
        (&["status"], 1, "", "Unsupported URL Path"),
        (&["paint"], 1, "", "unrecognized subcommand"),
        // It ends when the door closes, which is a failure.
        (
            &["events"],
            1,
            "[03:04:05.678Z] a web create\n[03:04:05.678Z] a - delete\n",
            "ended prematurely",
        ),
    ] {
        let output = ask(words);
        check_exit(&output, exit);
        assert_eq!(data(&output), out, "{words:?}");
        assert!(talk(&output).contains(err), "{words:?}: {}", talk(&output));
    }
    let json = data(&ask(&["events", "-j", "-r"]));
    // Every event of those that came at once, not the first alone.
    assert_eq!(json.lines().count(), 3, "{json}");
    assert!(json.contains(r#""vms":"[]""#), "{json}");
    let closed = inn(&["vminfo", "--address", "127.0.0.1:1", "ping"]).output().unwrap();
    check_exit(&closed, 1);
    assert!(talk(&closed).contains("--door vminfod"), "{}", talk(&closed));
}
