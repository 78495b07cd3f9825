//! The daemon's life: who may start it where, what it survives, how it ends, and who reaches it.

use crate::harness::{
    Daemon, Request, SHORT, TCG, cgroups_of, exchange, files_in, qemus_in, until,
};
use serde_json::{Value, json};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::PathBuf,
    thread,
    time::Duration,
};

/// A VM that costs nothing until it is started, and little then.
fn idle(name: &str) -> Value {
    let disks = json!([{ "name": "root", "size": "8MiB" }]);
    json!({ "name": name, "memory": "32MiB", "display": "none", "disks": disks })
}

#[test]
fn a_second_daemon_on_the_same_folder_is_refused_with_the_pid_of_the_first() {
    let first = Daemon::start();
    first.create(&idle("web"));
    let before = files_in(first.state());
    let mut second = Daemon::prepared(TCG).with_state(first.state());
    second.spawn();
    let (status, log) = second.ended();
    assert!(!status.success());
    assert!(log.contains(&format!("pid {}", first.pid())), "{log}");
    assert!(log.contains("--state-dir"), "no advice: {log}");
    assert_eq!(first.get("/v1/vms")["items"][0]["name"], "web", "the first no longer serves");
    assert!(files_in(first.state()) == before, "the second left something");
}

#[test]
fn a_damaged_spec_costs_one_vm_and_nothing_is_erased() {
    let mut daemon = Daemon::start();
    type Damage = fn(&str) -> String;
    let damages: [(&str, Damage); 4] = [
        ("cut", |text| text[..text.len() / 2].into()),
        ("changed", |text| text.replacen("32MiB", "33MiB", 1)),
        ("emptied", |_| String::new()),
        ("newer", |text| text.replacen("\"schema\": 1", "\"schema\": 99", 1)),
    ];
    let whole = daemon.create(&idle("whole"));
    let ids = damages.map(|(name, _)| daemon.create(&idle(name)));
    daemon.terminate();
    let specs = daemon.state().join("vms");
    let file = |id: &str| specs.join(format!("{id}.json"));
    let files: Vec<PathBuf> = ids.iter().map(|id| file(id)).collect();
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    for ((file, text), (name, damage)) in files.iter().zip(&texts).zip(damages) {
        assert_ne!(damage(text), *text, "{name}");
        fs::write(file, damage(text)).unwrap();
    }
    fs::write(daemon.state().join("vms/notes.txt"), "not a spec").unwrap();
    let stored = (files_in(&daemon.state().join("vms")), files_in(&daemon.state().join("pool")));

    daemon.launch();
    let reasons = ["not readable", "checksum", "not readable", "schema 99"];
    for (id, reason) in ids.iter().zip(reasons) {
        let vm = daemon.vm(id);
        assert_eq!(vm["state"], "quarantined", "{vm}");
        assert!(vm["problem"].as_str().unwrap().contains(reason), "{vm}");
        for request in [
            Request::new("POST", &format!("/v1/vms/{id}/start")),
            Request::new("POST", &format!("/v1/vms/{id}/kill")),
            Request::new("PUT", &format!("/v1/vms/{id}")).json(&idle("cut")),
        ] {
            let refused = daemon.send(&request);
            assert_eq!(refused.status, 409, "{request:?}: {}", refused.text());
        }
    }
    daemon.act("whole", "start");
    daemon.act("whole", "kill");
    assert_eq!(daemon.vm(&whole)["name"], "whole");
    let listed = daemon.inn_ok(&["list"]);
    assert_eq!(listed.matches("quarantined").count(), ids.len(), "{listed}");
    let now = (files_in(&daemon.state().join("vms")), files_in(&daemon.state().join("pool")));
    let changed: Vec<_> =
        now.0.iter().filter(|(path, text)| stored.0.get(*path) != Some(text)).collect();
    // Only the VM that was started and ended may have been written, with what it is wanted to do.
    assert!(changed.iter().all(|(path, _)| **path == file(&whole)), "{changed:?}");
    assert!(now.0.keys().eq(stored.0.keys()), "files came or went");
    assert!(now.1.keys().eq(stored.1.keys()), "volumes came or went");

    // Mended by a person, it is a VM again.
    daemon.terminate();
    files.iter().zip(&texts).for_each(|(file, text)| fs::write(file, text).unwrap());
    daemon.launch();
    for (name, _) in damages {
        assert_eq!(daemon.vm(name)["state"], "stopped");
    }
}

#[test]
fn what_was_answered_outlives_a_kill() {
    let mut daemon = Daemon::start();
    let mut feed = daemon.feed();
    let id = daemon.create(&idle("web"));
    let created = feed.expect("the create", SHORT, |change| {
        change["kind"] == "vm" && change["action"] == "create"
    });
    let before = daemon.vm("web");
    daemon.kill9();
    daemon.launch();
    let after = daemon.vm("web");
    assert_eq!((&after["id"], &after["spec"]), (&json!(id), &before["spec"]));

    // A reader of before is told that there is a gap, and given what there is.
    let since = created["position"].as_str().unwrap();
    let mut feed = daemon.feed_since(since);
    let gap = feed.expect("a gap", SHORT, |line| line["type"] == "gap");
    assert_eq!(gap["vms"][0]["name"], "web", "{gap}");
    daemon.act("web", "start");
    feed.expect_vm("web", "state", "running");
}

#[test]
fn a_daemon_that_is_killed_amid_a_start_knows_afterwards_what_runs() {
    let mut daemon = Daemon::start();
    let id = daemon.create(&idle("web"));
    for moment in (0..100).step_by(9) {
        daemon.send(&Request::new("POST", "/v1/vms/web/start")).ok();
        // Not a wait for something: whatever the start has come to by then.
        thread::sleep(Duration::from_millis(moment));
        daemon.kill9();
        daemon.launch();
        // This waits until the daemon has found what runs; what it then finds to kill it kills.
        let kill = Request::new("POST", "/v1/vms/web/kill").header("Prefer", "wait=60");
        let reply = daemon.send(&kill);
        let refused = reply.status == 409 && reply.json()["code"] == "wrong-state";
        assert!(refused || reply.status == 200, "{moment} ms: {}", reply.text());
        daemon.wait_for_state("web", "stopped");
        until(&format!("nothing runs, {moment} ms into a start"), SHORT, || {
            let left =
                (qemus_in(daemon.state()), cgroups_of(&id).iter().any(|group| group.exists()));
            if left == (Vec::new(), false) { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }
    daemon.act("web", "start");
}

#[test]
fn a_daemon_that_is_told_to_stop_does_so_at_once_and_leaves_vms_alone() {
    let mut daemon = Daemon::start();
    daemon.create(&idle("web"));
    daemon.act("web", "start");
    let qemu = daemon.qemu("web");
    // Readers who stay connected do not keep it.
    let _feed = daemon.feed();
    let _console = daemon.console("web");
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    assert!(qemu.lives());
    assert!(!daemon.socket().exists(), "it left its socket");
    let alone = daemon.inn(&["list"]);
    assert_eq!(alone.status.code(), Some(5), "{alone:?}");
    assert!(alone.stderr.contains("inn serve"), "no advice: {alone:?}");

    daemon.launch();
    daemon.wait_for_state("web", "running");
    assert_eq!(daemon.qemu("web"), qemu);
    daemon.act("web", "kill");
    assert_eq!(qemus_in(daemon.state()), []);
}

#[test]
fn the_socket_and_the_token_are_for_those_they_are_meant_for() {
    let mut daemon = Daemon::start();
    let socket = fs::metadata(daemon.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    let token = daemon.state().join("token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&token).unwrap();
    // A socket that a killed daemon left is in nobody's way, and the token stays what it is.
    daemon.kill9();
    assert!(daemon.socket().exists());
    daemon.launch();
    assert_eq!(fs::read_to_string(&token).unwrap(), text);
    assert_eq!(fs::metadata(daemon.socket()).unwrap().permissions().mode() & 0o777, 0o660);
}

#[test]
fn callers_over_tcp_show_a_token_and_a_port_in_use_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut daemon = Daemon::prepared(TCG).with_flags(&["--listen", &address]);
    daemon.launch();
    let token = fs::read_to_string(daemon.state().join("token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let status = |path: &str, authorization: Option<&str>| {
        let mut request = Request::new("GET", path).header("Host", &address);
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        exchange(TcpStream::connect(&address).unwrap(), &request).status
    };
    assert_eq!(status("/healthz", None), 200);
    for path in ["/v1/vms", "/v1/host", "/v1/events", "/metrics", "/v1/nothing"] {
        assert_eq!(status(path, None), 401, "{path}");
        assert_eq!(status(path, Some("Bearer not-the-token")), 401, "{path}");
        assert_eq!(status(path, Some(&format!("Bearer {}x", token.trim()))), 401, "{path}");
    }
    assert_eq!(status("/v1/vms", Some(&bearer)), 200);
    assert_eq!(status("/metrics", Some(&bearer)), 200);

    let mut second = Daemon::prepared(TCG).with_flags(&["--listen", &address]);
    second.spawn();
    let (ended, log) = second.ended();
    assert!(!ended.success());
    assert!(log.contains(&address) && log.contains("in use"), "{log}");
    assert!(!second.socket().exists(), "it left a socket");

    let mut open = Daemon::prepared(TCG).with_flags(&["--listen", "0.0.0.0:7100"]);
    open.spawn();
    let (ended, log) = open.ended();
    assert_eq!(ended.code(), Some(2), "{log}");
    assert!(log.contains("loopback"), "{log}");
}
