//! What is asked for: requests, waiting, files, editing.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, TASK_ID, VM_ID, accepted, not_found, ok, problem, task, vm},
    inn, inn_in, talk,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A daemon with one VM, `web`, whose tasks are done when they are asked about.
fn with_web() -> FakeDaemon {
    FakeDaemon::start(|request| {
        let (method, target) = request.line.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        match (method, path) {
            ("GET", path) if path.starts_with("/v1/tasks/") => ok(task("start", "done")),
            ("GET", path) if path == "/v1/vms/web" || path.contains(VM_ID) => {
                ok(vm("web", "stopped"))
            }
            ("GET", _) => not_found(),
            (_, path) if path.contains("nope") => not_found(),
            _ => accepted("start"),
        }
    })
}

#[test]
fn a_change_is_waited_for_and_told() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["start", "web"]);
    check_exit(&output, 0);
    assert_eq!((data(&output), talk(&output)), ("".into(), "web: started\n".into()));
    let wait = format!("GET /v1/tasks/{TASK_ID}?wait=30");
    assert_eq!(daemon.lines(), ["POST /v1/vms/web/start".to_owned(), wait]);
}

#[test]
fn a_change_shows_what_it_made_if_asked() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["start", "web", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), vm("web", "stopped"));
    assert_eq!(data(&inn_in(daemon.folder(), &["start", "web", "-o", "name", "-q"])), "web\n");
}

#[test]
fn without_waiting_there_is_the_tasks_id() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["start", "web", "--no-wait"]);
    check_exit(&output, 0);
    assert_eq!(data(&output), format!("{TASK_ID}\n"));
    assert_eq!(daemon.lines().len(), 1);
}

#[test]
fn a_task_that_fails_has_the_exit_code_of_its_reason() {
    for (code, exit) in [("out-of-capacity", 4), ("hypervisor-failed", 1), ("timeout", 6)] {
        let daemon = FakeDaemon::start(move |request| {
            let mut failed = task("start", "failed");
            failed["error"] = json!({"code": code, "message": "no", "causes": ["of this"]});
            if request.line.starts_with("POST") { accepted("start") } else { ok(failed) }
        });
        let output = inn_in(daemon.folder(), &["start", "web"]);
        check_exit(&output, exit);
        assert_eq!(talk(&output), "error: no\n  because of this\n");
    }
}

#[test]
fn one_of_several_that_fails_does_not_keep_the_others_back() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["start", "nope", "web"]);
    check_exit(&output, 3);
    let text = talk(&output);
    assert!(text.contains("nope") && text.contains("web: started"), "{text}");
}

#[test]
fn options_of_verbs_reach_the_daemon() {
    let daemon = with_web();
    check_exit(&inn_in(daemon.folder(), &["stop", "web", "--timeout", "1m30s"]), 0);
    check_exit(&inn_in(daemon.folder(), &["stop", "web", "--force"]), 0);
    check_exit(&inn_in(daemon.folder(), &["delete", "web", "--force"]), 0);
    check_exit(&inn_in(daemon.folder(), &["rename", "web", "www"]), 0);
    check_exit(&inn_in(daemon.folder(), &["clone", "web", "web-2"]), 0);
    let sent: Vec<_> = daemon
        .requests()
        .into_iter()
        .filter(|request| !request.line.starts_with("GET"))
        .map(|request| (request.line, request.body))
        .collect();
    let line = |text: &str, body: Value| (text.to_owned(), body);
    assert_eq!(
        sent,
        [
            line("POST /v1/vms/web/stop", json!({"timeout_s": 90})),
            line("POST /v1/vms/web/stop", json!({"force": true})),
            line("DELETE /v1/vms/web?force=true", Value::Null),
            line("PATCH /v1/vms/web", json!({"name": "www"})),
            line("POST /v1/vms/web/clone", json!({"name": "web-2"})),
        ]
    );
}

#[test]
fn what_can_be_done_to_memory_reaches_the_daemon() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["suspend", "web"]);
    check_exit(&output, 0);
    assert_eq!(talk(&output), "web: suspended\n");
    check_exit(&inn_in(daemon.folder(), &["start", "--discard-memory", "web"]), 0);
    check_exit(&inn_in(daemon.folder(), &["adopt", "4711", "--name", "old", "-q"]), 0);
    check_exit(&inn_in(daemon.folder(), &["adopt", "4711", "--no-wait"]), 0);
    let output = inn_in(daemon.folder(), &["adopt", "web", "--project", "libvirt"]);
    check_exit(&output, 0);
    assert!(!talk(&output).contains("draft"), "its manager knows what it is");
    let sent: Vec<_> = daemon
        .requests()
        .into_iter()
        .filter(|request| !request.line.starts_with("GET"))
        .map(|request| (request.line, request.body))
        .collect();
    let line = |text: &str, body: Value| (text.to_owned(), body);
    assert_eq!(
        sent,
        [
            line("POST /v1/vms/web/suspend", Value::Null),
            line("POST /v1/vms/web/start?discard_memory=true", Value::Null),
            line("POST /v1/foreign/4711/adopt", json!({"name": "old"})),
            line("POST /v1/foreign/4711/adopt", Value::Null),
            line("POST /v1/vms/web/adopt?project=libvirt", Value::Null),
        ]
    );
}

fn planned(verb: &str) -> Value {
    let step = |path: &str, part: u32, crash: &str, way_back: bool| json!({"path": path, "part": part, "crash": crash, "way_back": way_back});
    json!({"operation": verb, "after_crash": "back", "steps": [
        step("hook:pre-suspend", 0, "once", true),
        step("plug/disk:a", 1, "repeat", true),
        step("plug/disk:b", 1, "repeat", true),
        step("quit", 2, "probe", false),
    ]})
}

#[test]
fn a_dry_run_shows_the_plan_and_asks_for_no_more() {
    let daemon = FakeDaemon::start(|request| {
        if request.line.contains("nope") { not_found() } else { ok(planned("suspend")) }
    });
    let output = inn_in(daemon.folder(), &["suspend", "web", "--dry-run"]);
    check_exit(&output, 0);
    assert_eq!(daemon.lines(), ["POST /v1/vms/web/suspend?dry_run=true"]);
    let text = data(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "suspend of web: 4 steps; after a crash of the daemon it goes back: it is undone, unless it \
             had come as far as the line below",
            "#  TOGETHER  AFTER A CRASH  STEP",
            "1            once           hook:pre-suspend",
        ]
    );
    assert_eq!(lines[3], "2  2-3       repeat         plug/disk:a");
    assert!(lines[5].trim_start().starts_with("-- from here on there is no way back"), "{text}");
    assert_eq!(lines[6], "4            probe          quit");

    let several = inn_in(daemon.folder(), &["stop", "nope", "web", "--dry-run", "-o", "name"]);
    check_exit(&several, 3);
    assert_eq!(data(&several), "hook:pre-suspend\nplug/disk:a\nplug/disk:b\nquit\n");
    let whole = inn_in(daemon.folder(), &["start", "web", "--dry-run", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&whole.stdout).unwrap(), planned("suspend"));
    for verb in ["start", "stop", "kill", "reboot", "reset", "pause", "resume", "suspend"] {
        check_exit(&inn_in(daemon.folder(), &[verb, "web", "--dry-run"]), 0);
    }
    check_exit(&inn_in(daemon.folder(), &["start", "web", "--dry-run", "--no-wait"]), 2);
}

#[test]
fn every_change_can_be_run_dry() {
    let daemon = FakeDaemon::start(|request| {
        let is_read = request.line.starts_with("GET");
        ok(if is_read { vm("web", "stopped") } else { planned("change") })
    });
    let last_asked = || {
        let mut asked = daemon.lines().into_iter().filter(|line| !line.starts_with("GET"));
        asked.next_back().unwrap_or_default()
    };
    let file = daemon.folder().join("web.tar");
    std::fs::write(&file, "a VM").unwrap();
    for (args, sent) in [
        (&["create", "new"][..], "POST /v1/vms?dry_run=true"),
        (&["create", "new", "--start"], "POST /v1/vms?start=true&dry_run=true"),
        (&["clone", "web", "copy"], "POST /v1/vms/web/clone?dry_run=true"),
        (&["rename", "web", "other"], "PATCH /v1/vms/web?dry_run=true"),
        (&["delete", "web"], "DELETE /v1/vms/web?dry_run=true"),
        (&["adopt", "4711"], "POST /v1/foreign/4711/adopt?dry_run=true"),
        (&["adopt", "web"], "POST /v1/vms/web/adopt?dry_run=true"),
        (&["delete", "--force", "web"], "DELETE /v1/vms/web?force=true&dry_run=true"),
        (&["nic", "add", "web", "none", "--name", "e"], "POST /v1/vms/web/nics?dry_run=true"),
        (&["nic", "remove", "web", "e"], "DELETE /v1/vms/web/nics/e?dry_run=true"),
        (&["nic", "set", "web", "e", "--connect"], "PATCH /v1/vms/web/nics/e?dry_run=true"),
        (
            &["image", "add", "/i.raw", "--name", "i", "--kind", "disk"],
            "POST /v1/images?dry_run=true",
        ),
        (&["image", "commit", "web", "--name", "i"], "POST /v1/images?dry_run=true"),
        (&["image", "delete", "i"], "DELETE /v1/images/i?dry_run=true"),
        (
            &["import", file.to_str().unwrap(), "--name", "new"],
            "POST /v1/imports?name=new&dry_run=true",
        ),
        (&["network", "create", "lan"], "POST /v1/networks?dry_run=true"),
        (&["network", "edit", "lan", "--mtu", "1400"], "PATCH /v1/networks/lan?dry_run=true"),
        (&["network", "delete", "lan"], "DELETE /v1/networks/lan?dry_run=true"),
        (&["subnet", "create", "10.0.0.0/24", "--network", "lan"], "POST /v1/subnets?dry_run=true"),
        (&["subnet", "delete", "a"], "DELETE /v1/subnets/a?dry_run=true"),
        (&["subnet", "reserve", "a"], "POST /v1/subnets/a/reservations?dry_run=true"),
        (&["subnet", "release", "a", "10.0.0.9"], "DELETE /v1/subnets/a/reservations?dry_run=true"),
    ] {
        let output = inn_in(daemon.folder(), &[args, &["--dry-run"]].concat());
        check_exit(&output, 0);
        assert!(data(&output).starts_with("change of "), "{args:?}: {}", data(&output));
        assert_eq!(last_asked(), sent, "{args:?}");
        check_exit(&inn_in(daemon.folder(), &[args, &["--dry-run", "--no-wait"]].concat()), 2);
    }
    let editor = editor(&daemon, "sed -i s/cpus:.2/cpus:\\ 5/ \"$1\"");
    let mut edit = inn(&["edit", "web", "--dry-run", "--state-dir"]);
    check_exit(&edit.arg(daemon.folder()).env("EDITOR", editor).output().unwrap(), 0);
    assert_eq!(last_asked(), format!("PUT /v1/vms/{VM_ID}?dry_run=true"));
}

#[test]
fn an_image_is_named_by_its_whole_path_or_url() {
    let daemon = with_web();
    let add = ["image", "add", "disk.qcow2", "--name", "d", "--kind", "disk", "--format", "qcow2"];
    let mut command = inn(&add);
    let output = command.arg("--state-dir").arg(daemon.folder()).current_dir("/tmp").output();
    check_exit(&output.unwrap(), 0);
    let url = "https://example.org/i.iso";
    inn_in(daemon.folder(), &["image", "add", url, "--name", "i", "--kind", "iso", "--no-wait"]);
    let bodies: Vec<_> = daemon
        .requests()
        .into_iter()
        .filter(|request| request.line == "POST /v1/images")
        .map(|request| request.body)
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"name": "d", "kind": "disk", "path": "/tmp/disk.qcow2", "format": "qcow2"}),
            json!({"name": "i", "kind": "iso", "url": url}),
        ]
    );
}

#[test]
fn create_sends_the_file_with_the_flags_over_it_and_its_secrets_whole() {
    let daemon = with_web();
    let mut child = inn(&["create", "web", "--from-file", "-", "--cpus", "4", "--start"])
        .arg("--state-dir")
        .arg(daemon.folder())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let file = "name: other\ncpus: 1\ncloud_init:\n  user_data: secret\n";
    child.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let request = &daemon.requests()[0];
    assert_eq!(request.line, "POST /v1/vms?start=true");
    let expected = json!({"name": "web", "cpus": 4, "cloud_init": {"user_data": "secret"}});
    assert_eq!(request.body, expected);
}

#[test]
fn create_refuses_what_can_be_seen_to_be_wrong_without_asking() {
    let daemon = with_web();
    for (flags, field) in [
        (["--cpus", "0"], "cpus"),
        (["--memory", "1MiB"], "memory"),
        (["--disk", "name=a,size=513B"], "disks[0].size"),
        (["--disk", "name=a,size=1XB"], "disks[0].size: \"1XB\" is not a size"),
    ] {
        let output = inn_in(daemon.folder(), &["create", "web", flags[0], flags[1]]);
        check_exit(&output, 2);
        assert!(talk(&output).contains(field), "{}", talk(&output));
    }
    assert!(daemon.lines().is_empty());
}

#[test]
fn a_file_that_makes_no_sense_is_told_with_its_field() {
    let daemon = with_web();
    for (text, problem) in [
        ("name: web\nmemory: lots\n", "web.yaml: memory: \"lots\" is not a size"),
        ("name: web\ndisks: [{name: a, size: 1XB}]\n", "web.yaml: disks[0].size: \"1XB\" is"),
        ("name: lan\nisolated: 7\n", "web.yaml: isolated: invalid type"),
        ("range: 10.0.0.0/24\nnetwork: lan\ndhcp: 7\n", "web.yaml: dhcp: invalid type"),
    ] {
        let output = inn_in(daemon.folder(), &["apply", &file(&daemon, text)]);
        check_exit(&output, 2);
        assert!(talk(&output).contains(problem), "{}", talk(&output));
    }
    assert!(daemon.lines().is_empty());
}

fn file(daemon: &FakeDaemon, text: &str) -> String {
    let path = daemon.folder().join("web.yaml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().into()
}

const SAME: &str = "name: web\ncpus: 2\nmemory: 1024MiB\n\
    boot: {kernel: {image: tiny, cmdline: quiet}}\n";

#[test]
fn apply_changes_only_what_differs() {
    let daemon = with_web();
    let same = file(&daemon, SAME);
    let output = inn_in(daemon.folder(), &["apply", &same]);
    check_exit(&output, 0);
    assert_eq!(talk(&output), "web: unchanged\n");

    let changed = file(&daemon, &SAME.replace("cpus: 2", "cpus: 3"));
    let output = inn_in(daemon.folder(), &["apply", &changed, "--dry-run"]);
    assert_eq!(data(&output), "web: would change\n  cpus: 2 -> 3\n");
    assert!(daemon.lines().iter().all(|line| line.starts_with("GET")));

    check_exit(&inn_in(daemon.folder(), &["apply", &changed]), 0);
    let requests = daemon.requests();
    let put = requests.iter().find(|request| request.line.starts_with("PUT")).unwrap();
    assert_eq!(
        (put.line.as_str(), &put.body["cpus"]),
        (&*format!("PUT /v1/vms/{VM_ID}"), &json!(3))
    );
    assert!(put.head.contains("if-match: \"3\""), "{}", put.head);
}

#[test]
fn apply_creates_what_is_not_there_even_if_a_name_begins_so() {
    // The daemon takes the beginning of a name for the VM; a file means the whole.
    let daemon = FakeDaemon::start(|request| match &request.line[..4] {
        "GET " if request.line.contains("tasks") => ok(task("create", "done")),
        "GET " => ok(vm("web-1", "stopped")),
        _ => accepted("create"),
    });
    let path = file(&daemon, "name: web\n");
    let preview = inn_in(daemon.folder(), &["apply", &path, "--dry-run"]);
    assert!(data(&preview).starts_with("web: would be created\n"), "{}", data(&preview));
    check_exit(&inn_in(daemon.folder(), &["apply", &path]), 0);
    assert!(daemon.lines().contains(&"POST /v1/vms".into()), "{:?}", daemon.lines());
}

#[test]
fn what_get_prints_can_be_applied_and_created_from() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut web = vm("web", "running");
    web["spec"]["config"]["cloud_init"] = json!({"user_data": digest});
    let shown = web.clone();
    let daemon = FakeDaemon::start(move |request| match &request.line[..4] {
        "GET " if request.line.contains("tasks") => ok(task("update", "done")),
        "GET " => ok(shown.clone()),
        _ => accepted("update"),
    });
    let got = data(&inn_in(daemon.folder(), &["get", "web", "-o", "yaml"]));
    let same = file(&daemon, &got);
    let output = inn_in(daemon.folder(), &["apply", &same]);
    check_exit(&output, 0);
    assert_eq!(talk(&output), "web: unchanged\n");

    let changed = file(&daemon, &got.replace("cpus: 2", "cpus: 3"));
    let output = inn_in(daemon.folder(), &["apply", &changed, "--dry-run"]);
    assert_eq!(data(&output), "web: would change\n  cpus: 2 -> 3\n");
    check_exit(&inn_in(daemon.folder(), &["apply", &changed]), 0);
    let mut expected = web["spec"]["config"].clone();
    expected["cpus"] = 3.into();
    check_exit(&inn_in(daemon.folder(), &["create", "web", "--from-file", &changed]), 0);
    let requests = daemon.requests();
    let sent: Vec<_> = requests.iter().filter(|request| !request.body.is_null()).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.body == expected), "{sent:?}");
}

/// An editor that runs a script over the file.
fn editor(daemon: &FakeDaemon, script: &str) -> String {
    let path = daemon.folder().join("editor");
    fs::write(&path, format!("#!/bin/sh\nset -e\ncat \"$1\" >> \"$0.seen\"\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().into()
}

fn edit(daemon: &FakeDaemon, script: &str) -> std::process::Output {
    let editor = editor(daemon, script);
    let mut command = inn(&["edit", "web", "--state-dir"]);
    command.arg(daemon.folder()).env("EDITOR", editor).output().unwrap()
}

#[test]
fn edit_sends_what_was_written_with_the_revision_that_was_read() {
    let daemon = with_web();
    check_exit(&edit(&daemon, "sed -i s/cpus:.2/cpus:\\ 5/ \"$1\""), 0);
    let requests = daemon.requests();
    let put = requests.iter().find(|request| request.line.starts_with("PUT")).unwrap();
    assert_eq!(put.body["cpus"], 5);
    assert!(put.head.contains("if-match: \"3\""), "{}", put.head);
}

#[test]
fn edit_takes_a_whole_vm_in_the_place_of_its_description() {
    let daemon = with_web();
    let got = data(&inn_in(daemon.folder(), &["get", "web", "-o", "yaml"]));
    let whole = file(&daemon, &got.replace("cpus: 2", "cpus: 6"));
    check_exit(&edit(&daemon, &format!("cp {whole} \"$1\"")), 0);
    let requests = daemon.requests();
    let put = requests.iter().find(|request| request.line.starts_with("PUT")).unwrap();
    assert_eq!((&put.body["cpus"], &put.body["spec"]), (&json!(6), &Value::Null));
}

#[test]
fn edit_changes_nothing_if_nothing_was_changed_or_the_editor_failed() {
    let daemon = with_web();
    let output = edit(&daemon, "true");
    check_exit(&output, 0);
    assert_eq!(talk(&output), "web: unchanged\n");
    check_exit(&edit(&daemon, ": > \"$1\""), 0);
    let output = edit(&daemon, "exit 3");
    check_exit(&output, 1);
    assert!(talk(&output).contains("EDITOR"), "{}", talk(&output));
    assert!(daemon.lines().iter().all(|line| line.starts_with("GET")), "{:?}", daemon.lines());
}

#[test]
fn edit_opens_again_with_the_reason_what_was_refused() {
    let attempts = AtomicUsize::new(0);
    let daemon = FakeDaemon::start(move |request| match &request.line[..4] {
        "GET " if request.line.contains("tasks") => ok(task("update", "done")),
        "GET " => ok(vm("web", "stopped")),
        _ if attempts.fetch_add(1, Ordering::SeqCst) == 0 => {
            problem(412, "revision-conflict", "web was changed meanwhile")
        }
        _ => accepted("update"),
    });
    // Wrong at first, then right but too late, then saved again as it is.
    let script = "case $(grep -c 'not accepted' \"$0.seen\") in\n\
        0) sed -i s/cpus:.2/cpus:\\ 0/ \"$1\";;\n\
        1) sed -i s/cpus:.0/cpus:\\ 7/ \"$1\";;\n\
        esac";
    let output = edit(&daemon, script);
    check_exit(&output, 0);
    let seen = fs::read_to_string(daemon.folder().join("editor.seen")).unwrap();
    assert!(seen.contains("#   cpus: \"0\" is not in 1..=288"), "{seen}");
    assert!(seen.contains("#   web was changed meanwhile"), "{seen}");
    let requests = daemon.requests();
    let puts: Vec<_> = requests.iter().filter(|request| request.line.starts_with("PUT")).collect();
    assert!(puts.len() == 2 && puts.iter().all(|put| put.body["cpus"] == 7), "{puts:?}");
}

#[test]
fn edit_keeps_the_text_of_who_gives_up() {
    let daemon = with_web();
    let script = "grep -q 'not accepted' \"$1\" || sed -i s/cpus:.2/cpus:\\ 0/ \"$1\"";
    let output = edit(&daemon, script);
    check_exit(&output, 4);
    let text = talk(&output);
    let kept = text.split("your text is kept in ").nth(1).expect(&text).trim();
    assert!(fs::read_to_string(kept).unwrap().contains("cpus: 0"));
    fs::remove_file(kept).unwrap();
}
