//! What a person sees of operations and of the daemon itself, over simulated machines: an operation
//! that is watched across the daemon's death, and a diagnosis that gives no secret away.

use crate::harness::{Daemon, Request, SHORT, until};
use flate2::read::GzDecoder;
use serde_json::json;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

/// Machines that exist in memory only, each of whose steps takes a moment.
const SLOW: &str = "driver = \"sim\"\n[sim]\nstep_ms = 300\n";
const QUICK: &str = "driver = \"sim\"\n";
const SECRET: &str = "#cloud-config: hunter2";

#[test]
fn an_operation_is_watched_across_the_daemons_death() {
    let mut daemon = Daemon::configured(SLOW);
    daemon.create(&json!({ "name": "web", "memory": "32MiB", "disks": [] }));
    let started = daemon.inn_ok(&["start", "web", "--no-wait"]);
    let task = started.trim();
    let mut watch = daemon.command(&["task", "watch", task]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    // In the middle of it.
    lines.by_ref().find(|line| line.contains("sim/")).expect("a step of the driver's");
    daemon.kill9();
    daemon.launch();
    let rest: Vec<String> = lines.collect();
    let output = watch.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{rest:?} {talk}");
    assert!(talk.contains("the daemon is gone") && talk.contains("the daemon is back"), "{talk}");
    assert!(rest.last().unwrap().ends_with(" start of web: done"), "{rest:?}");
    let shown = daemon.get(&format!("/v1/tasks/{task}"));
    assert_eq!((&shown["state"], &shown["taken_up"]), (&json!("done"), &json!(1)), "{shown}");
    assert_eq!(daemon.vm("web")["state"], "running");

    // It is known to the daemon after that, too, by its true end.
    until("the task is in the history", SHORT, || {
        daemon.kill9();
        daemon.launch();
        let shown = daemon.get(&format!("/v1/tasks/{task}"));
        if shown["state"] == "done" { Ok(()) } else { Err(shown) }
    });
    let cancel = daemon.send(&Request::new("POST", &format!("/v1/tasks/{task}/cancel")));
    assert_eq!(cancel.status, 409, "{}", cancel.text());
    assert!(cancel.text().contains("has ended: done"), "{}", cancel.text());
}

#[test]
fn a_bundle_of_a_diagnosis_gives_no_secret_away() {
    let daemon = Daemon::configured(QUICK);
    daemon.create(&json!({
        "name": "web", "memory": "32MiB", "disks": [], "cloud_init": { "user_data": SECRET },
    }));
    daemon.act("web", "start");
    let file = daemon.scratch().join("bundle.tar.gz");
    daemon.inn_ok(&["diagnose", "bundle", file.to_str().unwrap()]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut all = Vec::new();
    GzDecoder::new(fs::File::open(&file).unwrap()).read_to_end(&mut all).unwrap();
    let all = String::from_utf8_lossy(&all);
    let token = fs::read_to_string(daemon.state().join("token")).unwrap();
    for part in
        ["diagnosis.json", "\"name\": \"web\"", "user_data\": \"sha256:", "\"syncs\":", "state_dir"]
    {
        assert!(all.contains(part), "{part} is not in it");
    }
    assert!(!all.contains("hunter2") && !all.contains(token.trim()), "a secret is in it");
}

#[test]
fn what_operators_do_is_in_the_audit_whatever_is_logged() {
    let daemon = Daemon::configured(QUICK);
    daemon.create(&json!({ "name": "web", "memory": "32MiB", "disks": [] }));
    daemon.inn_ok(&["diagnose", "log-level", "off"]);
    daemon.inn_ok(&["diagnose", "pause", "web"]);
    let waiting = daemon.inn_ok(&["start", "web", "--no-wait"]);
    let seen = daemon.inn_ok(&["diagnose"]);
    assert!(seen.contains("paused") && seen.contains(waiting.trim()), "{seen}");
    assert_eq!(daemon.vm("web")["state"], "stopped");
    daemon.inn_ok(&["diagnose", "unpause", "web"]);
    daemon.inn_ok(&["task", "watch", waiting.trim()]);
    daemon.inn_ok(&["diagnose", "reconcile", "web"]);
    let log = fs::read_to_string(daemon.scratch().join("daemon.log")).unwrap();
    until("the lines of the audit", SHORT, || {
        let audit = daemon.inn_ok(&["audit"]);
        let by_hand = [
            "log-level: done: info -> off",
            "queue-pause web: done",
            "queue-unpause web",
            "reconcile web",
        ];
        let is_there = by_hand.iter().all(|what| audit.contains(what));
        if is_there && audit.lines().all(|line| line.contains(" uid:")) {
            Ok(())
        } else {
            Err(audit)
        }
    });
    assert!(!log.contains("operation=\"start\""), "the log was not off: {log}");
}

/// What the page about operations says of one: which way it goes, and from where on only forward.
fn row<'a>(page: &'a str, operation: &str) -> (&'a str, &'a str) {
    let begins = format!("| {operation} |");
    let row = page.lines().find_map(|line| line.strip_prefix(&begins));
    let row = row.unwrap_or_else(|| panic!("{operation} is not in docs/operations.md"));
    let mut cells = row.trim_end_matches('|').split('|').map(str::trim);
    (cells.next().unwrap(), cells.next().unwrap())
}

#[test]
fn the_page_about_operations_says_what_the_plans_do() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let daemon = Daemon::configured(QUICK);
    daemon.create(&json!({ "name": "web", "memory": "32MiB", "disks": [] }));
    let check = |verb: &str, operation: &str| {
        let dry_run = Request::new("POST", &format!("/v1/vms/web/{verb}?dry_run=true"));
        let plan = daemon.send(&dry_run).ok().json();
        let steps = plan["steps"].as_array().unwrap();
        let no_return = steps.iter().position(|step| step["way_back"] == false);
        let (way, from) = row(&page, operation);
        assert_eq!(plan["after_crash"], way, "{operation}");
        match no_return {
            None => assert_eq!(from, "never", "{operation}"),
            Some(0) => assert_eq!(from, "its beginning", "{operation}"),
            Some(_) => assert!(!["never", "its beginning"].contains(&from), "{operation}"),
        }
    };
    check("start", "`start`");
    daemon.act("web", "start");
    for verb in ["stop", "kill", "reboot", "reset", "pause", "suspend"] {
        check(verb, &format!("`{verb}`"));
    }
    daemon.act("web", "pause");
    check("resume", "`resume` of a paused VM");
    daemon.act("web", "suspend");
    check("resume", "`resume` of a suspended VM");
}
