//! What is opened to something in a machine: programs, files, screens, consoles.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, begin_stream, ok, problem},
    inn, inn_in, talk,
};
use serde_json::json;
use std::{
    io::{Read, Write},
    process::Stdio,
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

/// How long anything may take; a bound for what is broken, not a measure.
const LONG: Duration = Duration::from_secs(30);

fn runs(exit: serde_json::Value) -> FakeDaemon {
    FakeDaemon::start(move |_| {
        let mut ended = json!({ "stdout": "b3V0Cg==", "stderr": "ZXJyCg==", "truncated": false });
        ended.as_object_mut().unwrap().extend(exit.as_object().unwrap().clone());
        ok(ended)
    })
}

#[test]
fn a_program_in_a_guest_writes_and_exits_here() {
    for (exit, code) in [
        (json!({ "exit_code": 0 }), 0),
        (json!({ "exit_code": 7 }), 7),
        (json!({ "signal": 9 }), 137),
        (json!({ "exit_code": 70_000 }), 1),
        (json!({}), 1),
    ] {
        let daemon = runs(exit);
        let output = inn(&["exec", "-n", "--timeout", "90s", "--state-dir"])
            .arg(daemon.folder())
            .args(["web", "--", "a", "-n"])
            .output()
            .unwrap();
        check_exit(&output, code);
        assert_eq!((data(&output).as_str(), talk(&output).as_str()), ("out\n", "err\n"));
        let request = &daemon.requests()[0];
        assert_eq!(request.line, "POST /v1/vms/web/exec");
        assert_eq!(request.body["timeout_s"], 90);
        assert!(request.body.get("stdin").is_none());
    }
}

#[test]
fn what_is_in_the_pipe_is_the_programs_to_read() {
    let daemon = runs(json!({ "exit_code": 0 }));
    let mut child = inn(&["exec", "--state-dir"])
        .arg(daemon.folder())
        .args(["web", "--", "cat", "-n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"in").unwrap();
    check_exit(&child.wait_with_output().unwrap(), 0);
    let request = &daemon.requests()[0];
    assert_eq!(request.body["argv"], json!(["cat", "-n"]));
    assert_eq!(request.body["stdin"], "aW4=");
}

#[test]
fn a_guest_without_an_agent_is_told_as_such() {
    let daemon = FakeDaemon::start(|_| {
        problem(504, "timeout", "the guest's agent did not answer guest-exec")
    });
    let output = inn(&["exec", "-n", "--state-dir"])
        .arg(daemon.folder())
        .args(["web", "--", "true"])
        .output()
        .unwrap();
    check_exit(&output, 6);
    assert!(talk(&output).contains("did not answer"), "{}", talk(&output));
}

#[test]
fn a_file_comes_out_of_a_guest_whole_or_not_at_all() {
    let daemon = FakeDaemon::start(|request| {
        let whole = request.line.contains("whole");
        Reply::Stream(Box::new(move |mut stream| {
            let length = if whole { 5 } else { 500 };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            write!(stream, "{head}bytes").unwrap();
        }))
    });
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().to_str().unwrap();
    check_exit(&inn_in(daemon.folder(), &["cp", "web:/var/whole", into]), 0);
    assert_eq!(std::fs::read(folder.path().join("whole")).unwrap(), b"bytes");
    check_exit(&inn_in(daemon.folder(), &["cp", "web:/var/part", into]), 5);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something is left");
    let output = inn_in(daemon.folder(), &["cp", "web:/var/whole", "-"]);
    assert_eq!(data(&output), "bytes");
    assert_eq!(daemon.lines()[0], "GET /v1/vms/web/files?path=%2Fvar%2Fwhole");
}

fn takes_a_file() -> (FakeDaemon, Receiver<String>) {
    let (sender, receiver) = channel();
    let daemon = FakeDaemon::start(move |_| {
        let sender = sender.clone();
        Reply::Stream(Box::new(move |mut stream| {
            let mut sent = String::new();
            let mut piece = [0; 4096];
            // Its length is not known beforehand; it ends with an empty chunk.
            while !sent.ends_with("0\r\n\r\n") {
                let length = stream.read(&mut piece).unwrap();
                sent.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            sender.send(sent).unwrap();
            begin_stream(&mut stream);
            write!(stream, r#"{{"bytes":5,"sha256":"abc"}}"#).unwrap();
        }))
    });
    (daemon, receiver)
}

#[test]
fn a_file_goes_into_a_guest_under_its_name() {
    let (daemon, received) = takes_a_file();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.tar");
    std::fs::write(&file, "bytes").unwrap();
    let output = inn_in(daemon.folder(), &["cp", file.to_str().unwrap(), "web:/tmp/"]);
    check_exit(&output, 0);
    assert!(talk(&output).contains("web:/tmp/app.tar: 5B, sha256 abc"), "{}", talk(&output));
    assert!(received.recv().unwrap().contains("bytes"));
    assert_eq!(daemon.lines(), ["PUT /v1/vms/web/files?path=%2Ftmp%2Fapp.tar"]);
}

#[test]
fn one_end_of_a_copy_is_in_a_guest() {
    let daemon = runs(json!({}));
    for ends in [["a", "b"], ["web:/a", "db:/b"]] {
        check_exit(&inn_in(daemon.folder(), &["cp", ends[0], ends[1]]), 2);
    }
    check_exit(&inn_in(daemon.folder(), &["cp", "/", "web:/b"]), 2);
    check_exit(&inn_in(daemon.folder(), &["cp", "/no/such/file", "web:/b"]), 1);
    assert!(daemon.lines().is_empty());
}

#[test]
fn keys_and_texts_are_pressed() {
    let daemon = FakeDaemon::start(|_| Reply::Json(204, json!(null)));
    check_exit(&inn_in(daemon.folder(), &["send-key", "web", "ctrl-alt-delete", "ret"]), 0);
    check_exit(&inn_in(daemon.folder(), &["send-key", "web", "--text", "root"]), 0);
    check_exit(&inn_in(daemon.folder(), &["send-key", "web"]), 2);
    let bodies: Vec<_> = daemon.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [json!({ "keys": ["ctrl-alt-delete", "ret"] }), json!({ "text": "root" })]);
}

#[test]
fn a_picture_is_written_where_one_wants_it() {
    let daemon = FakeDaemon::start(|_| {
        Reply::Stream(Box::new(|mut stream| {
            begin_stream(&mut stream);
            stream.write_all(b"PNG").unwrap();
        }))
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("screen.png");
    check_exit(&inn_in(daemon.folder(), &["screenshot", "web", file.to_str().unwrap()]), 0);
    assert_eq!(std::fs::read(file).unwrap(), b"PNG");
    assert_eq!(data(&inn_in(daemon.folder(), &["screenshot", "web", "-"])), "PNG");
}

#[test]
fn what_is_piped_into_a_console_that_another_types_at_is_not_lost_in_silence() {
    let daemon = FakeDaemon::start(|_| {
        Reply::Stream(Box::new(|mut stream| {
            write!(
                stream,
                "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: innkeeper-stream\r\n\
                 innkeeper-keyboard: read-only; uid:7\r\n\r\nlogin: "
            )
            .unwrap();
        }))
    });
    let output = inn_in(daemon.folder(), &["console", "web"]);
    check_exit(&output, 4);
    assert!(talk(&output).contains("--take"), "{}", talk(&output));
    let output = inn_in(daemon.folder(), &["console", "web", "--read-only"]);
    check_exit(&output, 0);
    assert_eq!(data(&output), "login: ");
    let roles = ["", "?role=read-only"].map(|role| format!("GET /v1/vms/web/console{role}"));
    assert_eq!(daemon.lines(), roles);
}

/// Holds file systems still until a thaw, or, where it does so early, not at all.
fn holds(early: bool) -> FakeDaemon {
    let thawed = Arc::new((Mutex::new(early), Condvar::new()));
    FakeDaemon::start(move |request| {
        if request.line.ends_with("thaw") {
            *thawed.0.lock().unwrap() = true;
            thawed.1.notify_all();
            return Reply::Json(204, json!(null));
        }
        let thawed = thawed.clone();
        Reply::Stream(Box::new(move |mut stream| {
            begin_stream(&mut stream);
            let frozen =
                json!({ "state": "frozen", "file_systems": 2, "until": "2026-01-01T00:00:30Z" });
            writeln!(stream, "{frozen}").unwrap();
            let (is_thawed, told) = &*thawed;
            let waiting = |is_thawed: &mut bool| !*is_thawed;
            let waited = told.wait_timeout_while(is_thawed.lock().unwrap(), LONG, waiting);
            assert!(!waited.unwrap().1.timed_out(), "nobody let it go on");
            writeln!(stream, r#"{{"state":"thawed"}}"#).unwrap();
        }))
    })
}

#[test]
fn a_guest_is_held_still_while_a_command_runs_here() {
    let daemon = holds(false);
    let output = inn(&["agent", "web", "freeze", "--timeout", "2m", "--state-dir"])
        .arg(daemon.folder())
        .args(["--", "sh", "-c", "echo ran; exit 7"])
        .output()
        .unwrap();
    check_exit(&output, 7);
    assert_eq!(data(&output), "ran\n");
    assert!(talk(&output).contains("2 file systems"), "{}", talk(&output));
    let requests = daemon.requests();
    assert_eq!(requests[0].line, "POST /v1/vms/web/agent/freeze");
    assert_eq!(requests[0].body, json!({ "timeout_s": 120 }));
    assert_eq!(requests[1].line, "POST /v1/vms/web/agent/thaw");
}

#[test]
fn a_guest_that_went_on_too_early_is_told() {
    let daemon = holds(true);
    let output = inn(&["agent", "web", "freeze", "--state-dir"])
        .arg(daemon.folder())
        .args(["--", "sleep", "0.5"])
        .output()
        .unwrap();
    check_exit(&output, 6);
    assert!(talk(&output).contains("went on before sleep had ended"), "{}", talk(&output));
    let output = inn_in(daemon.folder(), &["agent", "web", "freeze"]);
    check_exit(&output, 0);
    assert!(talk(&output).contains("web: thawed"), "{}", talk(&output));
}

#[test]
fn an_agent_is_asked_and_its_clock_set() {
    let daemon = FakeDaemon::start(|request| match request.line.starts_with("GET") {
        true => ok(json!({
            "agent": { "version": "9.2", "commands": [] },
            "system": { "pretty_name": "Debian" },
            "interfaces": [{ "name": "eth0", "addresses": [{ "address": "10.0.0.2", "prefix": 24 }] }],
        })),
        false => Reply::Json(204, json!(null)),
    });
    let output = inn_in(daemon.folder(), &["agent", "web", "info"]);
    check_exit(&output, 0);
    assert!(data(&output).contains("eth0: 10.0.0.2/24"), "{}", data(&output));
    check_exit(&inn_in(daemon.folder(), &["agent", "web", "ping"]), 0);
    check_exit(&inn_in(daemon.folder(), &["agent", "web", "thaw"]), 0);
    check_exit(&inn_in(daemon.folder(), &["agent", "web", "set-time"]), 0);
    let time = "2026-01-31T12:00:00Z";
    check_exit(&inn_in(daemon.folder(), &["agent", "web", "set-time", time]), 0);
    check_exit(&inn_in(daemon.folder(), &["agent", "web", "set-time", "soon"]), 2);
    check_exit(&inn_in(daemon.folder(), &["agent", "web"]), 2);
    let path = "/v1/vms/web/agent";
    let verbs = ["ping", "thaw", "set-time", "set-time"];
    let posts = verbs.map(|verb| format!("POST {path}/{verb}"));
    assert_eq!(daemon.lines()[1..], posts);
    assert_eq!(daemon.requests()[4].body, json!({ "time": time }));
}
