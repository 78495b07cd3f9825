//! The audit of a daemon as its operators have it: what is on record, and that it outlives the daemon.

use crate::harness::{Daemon, SHORT, TCG, until};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

fn entries(daemon: &Daemon, flags: &[&str]) -> Vec<Value> {
    let shown = daemon.inn_ok(&[&["audit", "-o", "json"], flags].concat());
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `create web accepted`.
fn brief(entry: &Value) -> String {
    ["action", "subject", "outcome"].map(|key| entry[key].as_str().unwrap_or("-")).join(" ")
}

#[test]
fn what_was_done_and_refused_is_on_record_and_outlives_a_kill() {
    let mut daemon = Daemon::prepared(TCG).with_flags(&["--driver", "sim"]);
    daemon.launch();
    daemon.inn_ok(&["create", "web", "--memory", "512MiB"]);
    daemon.inn_ok(&["start", "web"]);
    assert_eq!(daemon.inn(&["start", "web"]).status.code(), Some(4));
    let expected = [
        "create web accepted",
        "create web done",
        "start web accepted",
        "start web done",
        "start web refused",
    ];
    until("the lines", SHORT, || {
        let found: Vec<_> = entries(&daemon, &[]).iter().map(brief).collect();
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let found = entries(&daemon, &[]);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    assert!(found.iter().all(|entry| entry["caller"] == uid.as_str()), "{found:?}");
    assert!(found.iter().all(|entry| entry["door"] == "unix"), "{found:?}");
    assert!(found[0]["task"].is_string() && found[0]["task"] == found[1]["task"]);
    assert_eq!(found[4]["code"], "wrong-state");
    assert_eq!(entries(&daemon, &["--action", "start", "--vm", "web"]).len(), 3);
    assert_eq!(entries(&daemon, &["--caller", "token"]).len(), 0);
    assert_eq!(entries(&daemon, &["--since", "1h"]).len(), 5);

    let folder = daemon.state().join("audit");
    let file = folder.join("audit-0000000001.jsonl");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    daemon.kill9();
    // As if it had been in the middle of a line.
    fs::write(&file, fs::read_to_string(&file).unwrap() + "{\"at\":\"20").unwrap();
    daemon.launch();
    daemon.inn_ok(&["kill", "web"]);
    until("the kill's line", SHORT, || {
        let shown = daemon.inn(&["audit", "--action", "kill"]);
        let is_told = shown.stderr.contains("1 lines cannot be read");
        let is_there = shown.stdout.contains("kill web: done");
        if is_told && is_there { Ok(()) } else { Err(shown.stdout + &shown.stderr) }
    });
    assert_eq!(daemon.diagnosis()["audit"]["torn"], 1);
    assert_eq!(entries(&daemon, &[]).len(), 7);
}
