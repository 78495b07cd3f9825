//! Operators' own programs at a VM's turning points.

use crate::harness::{Daemon, Request};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

/// Puts a hook in place: a shell script.
fn hook(daemon: &Daemon, event: &str, name: &str, script: &str) {
    let folder = daemon.state().join("hooks").join(event);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A hook that keeps what it was told.
fn keeper(daemon: &Daemon, event: &str) -> PathBuf {
    let told = daemon.scratch().join(format!("{event}.json"));
    hook(daemon, event, "10-keep", &format!("cat >'{}'\n", told.display()));
    told
}

#[test]
fn hooks_are_told_of_the_vm_and_may_refuse() {
    let daemon = Daemon::start();
    daemon.create(&json!({
        "name": "web", "memory": "32MiB", "display": "none", "labels": { "owner": "team-a" },
        "cloud_init": { "user_data": "#cloud-config: hunter2" },
    }));
    let events = ["pre-start", "post-start", "pre-suspend", "post-resume", "post-stop"];
    let told = events.map(|event| keeper(&daemon, event));
    daemon.act("web", "start");
    let pid = daemon.qemu("web").pid;
    daemon.act("web", "suspend");
    daemon.act("web", "resume");
    daemon.act("web", "kill");
    let told = told.map(|file| fs::read_to_string(file).unwrap());
    for (event, text) in events.iter().zip(&told) {
        assert!(!text.contains("hunter2"), "{event} was told a secret");
        let vm: Value = serde_json::from_str(text).unwrap();
        assert_eq!((&vm["event"], &vm["name"]), (&json!(event), &json!("web")), "{vm}");
        assert_eq!(vm["spec"]["config"]["labels"]["owner"], "team-a", "{vm}");
        assert!(vm["task"].is_string() && vm["operation"].is_string(), "{vm}");
    }
    let vm: Value = serde_json::from_str(&told[1]).unwrap();
    assert_eq!((&vm["state"], &vm["reason"]), (&json!("running"), &json!("start")), "{vm}");
    assert_eq!(vm["incarnation"]["process"]["pid"], pid, "{vm}");
    let vm: Value = serde_json::from_str(&told[4]).unwrap();
    assert_eq!(vm["reason"], "kill", "{vm}");

    // One that only complains is heard; one that refuses ends it, before anything was done.
    hook(&daemon, "pre-start", "20-complain", "echo 'the moon is full'; exit 1\n");
    hook(&daemon, "pre-start", "30-refuse", "echo \"$INN_VM_NAME: closed for repairs\"; exit 2\n");
    hook(
        &daemon,
        "pre-start",
        "40-later",
        &format!("touch '{}'\n", daemon.scratch().join("later").display()),
    );
    let reply = daemon.send(&Request::new("POST", "/v1/vms/web/start").header("Prefer", "wait=60"));
    assert!(reply.text().contains("web: closed for repairs"), "{}", reply.text());
    assert!(reply.status >= 400, "{}", reply.text());
    let tasks = daemon.get("/v1/tasks?limit=1000")["items"].clone();
    let start = |task: &&Value| task["operation"] == "start" && task["state"] == "failed";
    let failed = tasks.as_array().unwrap().iter().find(start).unwrap();
    let shown = daemon.inn_ok(&["task", "show", failed["id"].as_str().unwrap()]);
    for line in ["30-refuse", "web: closed for repairs", "the moon is full"] {
        assert!(shown.contains(line), "{line:?}: {shown}");
    }
    assert!(!daemon.scratch().join("later").exists(), "a later hook ran");
    let vm = daemon.vm("web");
    assert_eq!((&vm["state"], &vm["want"]), (&json!("stopped"), &json!("stopped")), "{vm}");

    // One that others could have written is not run, and not passed over either.
    let refuse = daemon.state().join("hooks/pre-start/30-refuse");
    fs::set_permissions(&refuse, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = daemon.inn(&["start", "web"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(
        refused.stderr.contains("chmod") && refused.stderr.contains("30-refuse"),
        "{refused:?}"
    );
    fs::remove_file(refuse).unwrap();
    daemon.act("web", "start");
}

#[test]
fn hooks_that_will_not_run_are_told_of_when_the_daemon_begins() {
    let mut daemon = Daemon::start();
    hook(&daemon, "pre-start", "10-dns", "true\n");
    let file = daemon.state().join("hooks/pre-start/10-dns");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(daemon.terminate().0.success());
    daemon.launch();
    let log = daemon.log();
    assert!(log.contains("10-dns") && log.contains("chmod u+x"), "{log}");
}
