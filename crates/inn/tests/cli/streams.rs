//! What comes over time: events, waiting for a state, logs, the console.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, Request, VM_ID, begin_stream, not_found, ok, vm},
    inn, inn_in, talk,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::Stdio,
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
};

const EPOCH: &str = "0192a4b0000070008000000000000001";

fn ready(sequence: u64) -> Value {
    json!({"type": "ready", "position": format!("{EPOCH}-{sequence}"), "revision": 1})
}

fn change(sequence: u64, state: &str) -> Value {
    json!({
        "type": "change", "position": format!("{EPOCH}-{sequence}"), "revision": sequence,
        "time": "2026-01-01T00:00:00Z", "kind": "vm", "action": "modify", "id": VM_ID,
        "name": "web", "changes": [{"path": ["state"], "old": "starting", "new": state}],
    })
}

fn send(stream: &mut UnixStream, line: &Value) {
    // A blank line first, as one that keeps the connection alive; and in two pieces.
    let text = format!("\n{line}\n");
    let (begin, end) = text.split_at(text.len() / 2);
    stream.write_all(begin.as_bytes()).unwrap();
    stream.write_all(end.as_bytes()).unwrap();
}

/// Leaves the connection open until the other side closes it.
fn hold(mut stream: UnixStream) {
    let _ = stream.read(&mut [0; 1]);
}

fn events(first: u64, lines: Vec<Value>, then_hold: bool) -> Reply {
    Reply::Stream(Box::new(move |mut stream| {
        begin_stream(&mut stream);
        send(&mut stream, &ready(first));
        lines.iter().for_each(|line| send(&mut stream, line));
        if then_hold {
            hold(stream);
        }
    }))
}

#[test]
fn events_go_on_where_they_were_after_a_broken_connection() {
    let daemon = FakeDaemon::start(|request| {
        if request.line.contains("since") {
            events(7, vec![change(8, "paused")], true)
        } else {
            events(6, vec![change(7, "running")], false)
        }
    });
    let mut child = inn(&["events", "-o", "json", "--kind", "vm", "--kind", "task", "--state-dir"])
        .arg(daemon.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(4);
    let lines: Vec<Value> = lines.map(|l| serde_json::from_str(&l.unwrap()).unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lines, [ready(6), change(7, "running"), ready(7), change(8, "paused")]);
    assert_eq!(
        daemon.lines(),
        [
            "GET /v1/events?kind=vm%2Ctask".to_owned(),
            format!("GET /v1/events?kind=vm%2Ctask&since={EPOCH}-7"),
        ]
    );
    assert!(daemon.requests()[0].head.contains("accept: application/x-ndjson"));
}

#[test]
fn events_are_lines_for_people() {
    let daemon = FakeDaemon::start(|_| events(6, vec![change(7, "running")], true));
    let mut child = inn(&["events", "--state-dir"])
        .arg(daemon.folder())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line, "2026-01-01T00:00:00.000Z vm web modify state: starting -> running\n");
}

fn starting_vm(then: &'static [&'static str]) -> FakeDaemon {
    FakeDaemon::start(move |request: &Request| match request.line.as_str() {
        line if line.starts_with("GET /v1/vms/") => ok(vm("web", "starting")),
        line if line.starts_with("GET /v1/events") => {
            events(0, (1..).zip(then).map(|(n, state)| change(n, state)).collect(), true)
        }
        _ => not_found(),
    })
}

#[test]
fn wait_ends_when_the_feed_tells_of_the_state() {
    let daemon = starting_vm(&["paused", "running"]);
    let output = inn_in(daemon.folder(), &["wait", "web", "--for", "running"]);
    check_exit(&output, 0);
    assert_eq!(talk(&output), "web: running\n");
    let feed = format!("GET /v1/events?kind=vm&vm={VM_ID}");
    // Asked once for who it is, and once for how it is when the feed has begun: no polling.
    let by_id = format!("GET /v1/vms/{VM_ID}");
    assert_eq!(daemon.lines(), ["GET /v1/vms/web".to_owned(), feed, by_id]);
}

#[test]
fn wait_ends_at_once_if_it_is_so_already() {
    let output = inn_in(starting_vm(&[]).folder(), &["wait", "web", "--for", "starting"]);
    check_exit(&output, 0);
}

#[test]
fn wait_gives_up_in_time_and_says_how_far_it_came() {
    let daemon = starting_vm(&["paused"]);
    let line = ["wait", "web", "--for", "running", "--timeout", "300ms"];
    let output = inn_in(daemon.folder(), &line);
    check_exit(&output, 6);
    assert_eq!(talk(&output), "error: web is paused, still not running\n");
}

#[test]
fn wait_knows_that_what_is_gone_is_deleted() {
    let daemon = FakeDaemon::start(|_| not_found());
    check_exit(&inn_in(daemon.folder(), &["wait", "web", "--for", "deleted"]), 0);
    check_exit(&inn_in(daemon.folder(), &["wait", "web", "--for", "running"]), 3);
}

#[test]
fn logs_are_written_byte_for_byte_into_a_pipe() {
    let bytes = b"\x1b[1mboot\x1b[0m\r\nhalf a l\xffine";
    let daemon = FakeDaemon::start(move |_| {
        Reply::Stream(Box::new(move |mut stream| {
            begin_stream(&mut stream);
            stream.write_all(bytes).unwrap();
        }))
    });
    let output = inn_in(daemon.folder(), &["logs", "web", "--hypervisor"]);
    check_exit(&output, 0);
    assert_eq!(output.stdout, bytes);
    assert_eq!(daemon.lines(), ["GET /v1/vms/web/logs?source=hypervisor"]);
}

#[test]
fn a_followed_log_is_written_as_it_comes() {
    let (go_on, told) = channel();
    let told = Mutex::new(Some(told));
    let daemon = FakeDaemon::start(move |_| {
        let told: Receiver<()> = told.lock().unwrap().take().unwrap();
        Reply::Stream(Box::new(move |mut stream| {
            begin_stream(&mut stream);
            stream.write_all(b"login: ").unwrap();
            told.recv().unwrap();
            stream.write_all(b"root\n").unwrap();
        }))
    });
    let mut child = inn(&["logs", "web", "-f", "--state-dir"])
        .arg(daemon.folder())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut shown = [0; 7];
    stdout.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"login: ", "shown before its line ends");
    go_on.send(()).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "root\n");
    assert!(child.wait().unwrap().success(), "the VM is gone, which is an end like others");
    assert_eq!(daemon.lines(), ["GET /v1/vms/web/logs?source=serial&follow=true"]);
}

#[test]
fn a_followed_log_that_breaks_off_says_so() {
    let daemon = FakeDaemon::start(|_| {
        Reply::Stream(Box::new(|mut stream| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            write!(stream, "{head}5\r\nboot\n\r\n").unwrap();
        }))
    });
    let output = inn_in(daemon.folder(), &["logs", "web", "--follow"]);
    check_exit(&output, 5);
    assert_eq!(data(&output), "boot\n");
}

/// A guest on a serial line: greets, waits for a whole line, answers with it, and closes if told so.
/// What it was sent is in the receiver.
fn guest(closes: bool) -> (FakeDaemon, Receiver<String>) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let daemon = FakeDaemon::start(move |request| {
        assert!(request.head.contains("upgrade: innkeeper-stream"), "{}", request.head);
        let sender = sender.lock().unwrap().clone();
        Reply::Stream(Box::new(move |mut stream| {
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                 upgrade: innkeeper-stream\r\n\r\nlogin: "
            )
            .unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            if reader.read_line(&mut line).is_ok() {
                sender.send(line.clone()).unwrap();
                let _ = write!(stream, "welcome {line}");
            }
            if !closes {
                hold(stream);
            }
        }))
    });
    (daemon, receiver)
}

fn type_into_console(daemon: &FakeDaemon, flags: &[&str], text: &[u8]) -> std::process::Output {
    let mut child = inn(&["console", "web", "--state-dir"])
        .arg(daemon.folder())
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_console_in_a_pipe_sends_its_input_and_shows_the_guest_to_the_end() {
    let (daemon, received) = guest(true);
    let output = type_into_console(&daemon, &[], b"ro\x1dot\n");
    check_exit(&output, 0);
    assert_eq!(received.recv().unwrap(), "ro\x1dot\n", "in a pipe Ctrl-] is a byte like others");
    assert_eq!(data(&output), "login: welcome ro\x1dot\n");
    assert_eq!(talk(&output), "");
}

#[test]
fn a_console_in_a_pipe_leaves_after_its_time_if_the_guest_stays() {
    let (daemon, _received) = guest(false);
    let output = type_into_console(&daemon, &["--timeout", "500ms"], b"root\n");
    check_exit(&output, 0);
    assert_eq!(data(&output), "login: welcome root\n");
}

#[test]
fn a_viewer_is_started_and_has_the_screen() {
    let (daemon, typed) = guest(true);
    let folder = daemon.folder().join("bin");
    fs::create_dir_all(&folder).unwrap();
    let (viewer, shown) = (folder.join("remote-viewer"), daemon.folder().join("shown"));
    let script = format!(
        "#!/bin/bash\naddress=${{1#vnc://}}\nexec 3<>/dev/tcp/${{address%:*}}/${{address#*:}}\n\
         echo typed >&3\ncat <&3 >{}\n",
        shown.display()
    );
    fs::write(&viewer, script).unwrap();
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    // It ends with the screen, and this waits for the viewer too, which has its standard error.
    let output = inn(&["vnc", "web", "--state-dir"])
        .arg(daemon.folder())
        .env("PATH", path)
        .output()
        .unwrap();
    check_exit(&output, 0);
    assert_eq!(data(&output), "");
    assert_eq!(typed.recv().unwrap(), "typed\n");
    assert_eq!(fs::read_to_string(shown).unwrap(), "login: welcome typed\n");
}
