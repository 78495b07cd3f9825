//! What a person sees of operations and of the daemon itself, over simulated machines: an operation
//! that is watched across the daemon's death, and a diagnosis that gives no secret away.

use crate::harness::{Daemon, Request, SHORT, until};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
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

/// What is in a bundle of this daemon: the files, by their names without the folder.
fn bundle(daemon: &Daemon, file: &str) -> BTreeMap<String, String> {
    let file = daemon.scratch().join(file);
    daemon.inn_ok(&["diagnose", "bundle", file.to_str().unwrap()]);
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(&file).unwrap()));
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, String::from_utf8_lossy(&bytes).into_owned())
    });
    files.collect()
}

#[test]
fn a_bundle_has_what_the_daemon_logged_and_what_is_on_record() {
    let daemon = Daemon::configured(QUICK);
    daemon.create(&json!({ "name": "web", "memory": "32MiB", "disks": [] }));
    daemon.act("web", "start");
    let id = daemon.vm("web")["id"].as_str().unwrap().to_owned();
    let audit = |files: &BTreeMap<String, String>| -> Vec<Value> {
        files["audit.jsonl"].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let files = until("the end of the start is on record", SHORT, || {
        let files = bundle(&daemon, &format!("{}.tar.gz", uuid::Uuid::now_v7()));
        let ends = audit(&files)
            .iter()
            .any(|line| line["action"] == "start" && line["outcome"] == "done" && line["vm"] == id);
        if ends { Ok(files) } else { Err(files["audit.jsonl"].clone()) }
    });
    // To the letter what whoever reads its standard error has.
    let (kept, heard) = (&files["daemon.log"], daemon.log());
    assert!(kept.contains("serving") && kept.contains("operation=\"start\""), "{kept}");
    assert!(heard.starts_with(kept.as_str()), "{kept}\n---\n{heard}");
    assert_eq!(files["missing.txt"], "");
}

/// Whoever read its standard error is gone, or what that is a file on is full.
#[test]
fn a_daemon_whose_log_nobody_takes_goes_on_and_says_what_it_logged() {
    let mut daemon = Daemon::prepared(QUICK).unheard();
    daemon.launch();
    daemon.create(&json!({ "name": "web", "memory": "32MiB", "disks": [] }));
    daemon.act("web", "start");
    daemon.act("web", "kill");
    assert_eq!(daemon.vm("web")["state"], "stopped");
    let kept = &bundle(&daemon, "bundle.tar.gz")["daemon.log"];
    assert!(kept.contains("serving") && kept.contains("operation=\"kill\""), "{kept}");
    let (status, _) = daemon.terminate();
    assert!(status.success(), "{status}");
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
