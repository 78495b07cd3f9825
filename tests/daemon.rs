//! The daemon's life: who may start it where, what it survives, how it ends, and who reaches it.

use crate::harness::{
    Daemon, Request, SHORT, TCG, cgroups_of, exchange, files_in, qemus_in, until,
};
use serde_json::{Value, json};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixDatagram,
    },
    path::PathBuf,
    thread,
    time::{Duration, Instant},
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
    let before = first.kept();
    let mut second = Daemon::prepared(TCG).with_state(first.state());
    second.spawn();
    let (status, log) = second.ended();
    assert!(!status.success());
    assert!(log.contains(&format!("pid {}", first.pid())), "{log}");
    assert!(log.contains("--state-dir"), "no advice: {log}");
    assert_eq!(first.get("/v1/vms")["items"][0]["name"], "web", "the first no longer serves");
    assert!(first.kept() == before, "the second left something");
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
    daemon.settle();
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
fn a_damaged_image_is_shown_and_removed_and_used_by_nobody() {
    let mut daemon = Daemon::start();
    let disk = daemon.scratch().join("disk.raw");
    fs::write(&disk, vec![0; 1 << 20]).unwrap();
    for name in ["cut", "lost", "whole", "used"] {
        daemon.inn_ok(&["image", "add", disk.to_str().unwrap(), "--name", name, "--kind", "disk"]);
    }
    let on = |image: &str, name: &str| {
        let mut config = idle(name);
        config["disks"] = json!([{ "name": "root", "image": image }]);
        config
    };
    daemon.create(&on("used", "web"));
    daemon.terminate();
    let file = |image: &str, name: &str| daemon.state().join("pool/images").join(image).join(name);
    for image in ["cut", "used"] {
        let disk = file(image, "disk.raw");
        fs::set_permissions(&disk, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(disk, "short").unwrap();
    }
    fs::remove_file(file("lost", "image.json")).unwrap();

    daemon.launch();
    for (image, reason) in [("cut", "5 bytes"), ("used", "5 bytes"), ("lost", "image.json")] {
        let shown = daemon.get(&format!("/v1/images/{image}"));
        assert!(shown["problem"].as_str().unwrap().contains(reason), "{shown}");
        let listed = daemon.inn_ok(&["image", "list"]);
        let line = listed.lines().find(|line| line.starts_with(image)).unwrap();
        assert!(line.contains("damaged") && line.contains(reason), "{listed}");
        let create = Request::new("POST", "/v1/vms").json(&on(image, "new"));
        let refused = daemon.send(&create);
        let problem = refused.json();
        assert_eq!((refused.status, &problem["code"]), (409, &json!("quarantined")), "{problem}");
        assert_eq!(problem["field"], "disks[root].image", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    let start = Request::new("POST", "/v1/vms/web/start").header("Prefer", "wait=60");
    let refused = daemon.send(&start);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("5 bytes"), "{}", refused.text());
    assert_eq!(qemus_in(daemon.state()), []);

    let refused = daemon.inn(&["image", "delete", "used"]);
    assert_eq!(refused.status.code(), Some(4), "a disk is a copy of it: {refused:?}");
    daemon.inn_ok(&["image", "delete", "cut", "lost"]);
    let images = daemon.get("/v1/images")["items"].clone();
    let names: Vec<_> = images.as_array().unwrap().iter().map(|image| &image["name"]).collect();
    assert_eq!(names, ["used", "whole"]);
    assert!(daemon.get("/v1/images/whole")["problem"].is_null());
    daemon.create(&on("whole", "new"));
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
fn a_vm_that_hangs_delays_nobody_and_can_be_ended() {
    let mut daemon = Daemon::start();
    for name in ["web", "other"] {
        daemon.create(&idle(name));
    }
    daemon.act("web", "start");
    let qemu = daemon.qemu("web");
    qemu.hold(true);
    let accepted = daemon.send(&Request::new("POST", "/v1/vms/web/suspend"));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    daemon.act("other", "start");
    daemon.act("other", "kill");
    let (status, took) = daemon.terminate();
    assert!(status.success() && took < Duration::from_secs(1), "{status} after {took:?}");
    daemon.launch();
    daemon.act("other", "start");
    let begun = Instant::now();
    daemon.act("web", "kill");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    assert!(!qemu.lives());
    let task = daemon.get(&format!("{}?wait=60", accepted.header("location").unwrap()));
    assert!(["cancelled", "failed"].map(Value::from).contains(&task["state"]), "{task}");
    daemon.wait_for_state("web", "stopped");
    daemon.act("web", "start");
}

/// How many tasks are being done when the daemon is told to stop.
const AT_WORK: usize = 20;

#[test]
fn a_daemon_that_is_told_to_stop_amid_work_leaves_it_to_the_next() {
    let mut daemon = Daemon::configured("driver = \"sim\"\n[sim]\nstep_ms = 400\n");
    let diskless = |name: &str| json!({ "name": name, "memory": "32MiB" });
    daemon.create(&diskless("bystander"));
    daemon.act("bystander", "start");
    let bystander = daemon.vm("bystander")["incarnation"].clone();
    let names: Vec<_> = (0..AT_WORK).map(|number| format!("vm-{number}")).collect();
    let start = |name: &String| {
        daemon.create(&diskless(name));
        let reply = daemon.send(&Request::new("POST", &format!("/v1/vms/{name}/start"))).ok();
        reply.header("location").unwrap().to_owned()
    };
    let tasks: Vec<_> = names.iter().map(start).collect();
    until("all are being done", SHORT, || {
        let tasks = daemon.diagnosis()["tasks"].clone();
        // One is at work from its first step on; before that it is only about to be written down.
        let at_work = |task: &&Value| task["steps"].as_array().is_some_and(|it| !it.is_empty());
        let count = tasks.as_array().unwrap().iter().filter(at_work).count();
        if count == AT_WORK { Ok(()) } else { Err(count) }
    });
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(1), "it took {took:?}");

    daemon.launch();
    for (name, task) in names.iter().zip(&tasks) {
        let ended = daemon.get(&format!("{task}?wait=60"));
        assert_eq!((&ended["state"], &ended["taken_up"]), (&json!("done"), &json!(1)), "{ended}");
        assert_eq!(daemon.vm(name)["state"], "running");
    }
    assert_eq!(daemon.vm("bystander")["incarnation"], bystander, "it was touched");
}

#[test]
fn a_service_manager_is_told_when_it_serves_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SHORT)).unwrap();
    let told = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).expect("the manager is told");
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let mut daemon = Daemon::prepared(TCG).with_environment("NOTIFY_SOCKET", &path);
    daemon.spawn();
    assert_eq!(told(), format!("READY=1\nSTATUS=Serving on {}\n", daemon.socket().display()));
    // Who waited for that need not wait for anything else.
    let health = Request::new("GET", "/healthz");
    assert_eq!(daemon.send(&health).status, 200);
    daemon.terminate();
    assert_eq!(told(), "STOPPING=1\nSTATUS=Stopping; VMs are left running\n");
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
