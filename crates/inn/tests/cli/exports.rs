//! Whole VMs as files, out and in.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, TASK_ID, accepted, ok, problem, task, vm},
    inn, inn_in, talk,
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

const BYTES: &[u8] = b"0123456789";

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A daemon that says how much comes, sends this, and then does this with the connection.
fn sends(bytes: &'static [u8], then: fn(UnixStream)) -> FakeDaemon {
    FakeDaemon::start(move |_| {
        Reply::Stream(Box::new(move |mut stream| {
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\n";
            stream.write_all(&[head.as_bytes(), bytes].concat()).unwrap();
            then(stream);
        }))
    })
}

#[test]
fn an_export_is_written_where_it_should_be() {
    let daemon = sends(BYTES, drop);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine");
    let export = |to: &Path| inn_in(daemon.folder(), &["export", "web", to.to_str().unwrap()]);
    check_exit(&export(folder.path()), 0);
    check_exit(&export(&file), 0);
    assert_eq!(names(folder.path()), ["mine", "web.tar"]);
    for name in names(folder.path()) {
        let file = folder.path().join(name);
        assert_eq!(std::fs::read(&file).unwrap(), BYTES);
        // It has what the VM's cloud-init is told.
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    let printed = inn_in(daemon.folder(), &["export", "web", "-", "--project", "shop"]);
    check_exit(&printed, 0);
    assert_eq!(data(&printed).as_bytes(), BYTES);
    let expected = "GET /v1/vms/web/export";
    assert_eq!(daemon.lines(), [expected, expected, &format!("{expected}?project=shop")]);
}

#[test]
fn an_export_that_is_refused_or_breaks_off_leaves_nothing_but_what_was_there() {
    let refuses =
        FakeDaemon::start(|_| problem(409, "wrong-state", "VM web is running; only one that…"));
    for (daemon, code, said) in
        [(refuses, 4, "is running"), (sends(b"0123", drop), 5, "begin again")]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.tar");
        std::fs::write(&file, "older").unwrap();
        let output = inn_in(daemon.folder(), &["export", "web", file.to_str().unwrap()]);
        check_exit(&output, code);
        assert!(talk(&output).contains(said), "{}", talk(&output));
        assert_eq!(names(folder.path()), ["web.tar"]);
        assert_eq!(std::fs::read(&file).unwrap(), b"older");
        check_exit(&inn_in(daemon.folder(), &["export", "web", "-"]), code);
    }
}

/// Ends a process as Ctrl-C does.
fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn an_export_that_somebody_stops_leaves_nothing() {
    // The connection stays, and nothing more comes.
    let daemon = sends(b"0123", |mut stream| drop(stream.read(&mut [0])));
    let folder = tempfile::tempdir().unwrap();
    let args = ["export", "web", folder.path().to_str().unwrap()];
    let mut command = inn(&args);
    let child = command.arg("--state-dir").arg(daemon.folder()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let has_begun = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).any(|metadata| metadata.len() == 4)
    };
    while !has_begun() {
        assert!(Instant::now() < deadline, "nothing has come");
        // There is nothing that tells of it.
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(&child);
    check_exit(&child.wait_with_output().unwrap(), 130);
    assert_eq!(names(folder.path()), [""; 0]);
}

fn takes() -> FakeDaemon {
    FakeDaemon::start(|request| match &*request.line {
        line if line.starts_with("POST /v1/imports") => accepted("import"),
        line if line.contains("/v1/tasks/") => ok(task("import", "done")),
        _ => ok(vm("web", "stopped")),
    })
}

#[test]
fn an_import_sends_the_file_and_waits_for_the_vm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.tar");
    std::fs::write(&file, BYTES).unwrap();
    let path = file.to_str().unwrap();
    for (more, query) in [
        (&[] as &[&str], ""),
        (&["--name", "copy", "--project", "shop"], "?name=copy&project=shop"),
        (&["--keep-identity"], "?keep_identity=true"),
    ] {
        let daemon = takes();
        let output = inn_in(daemon.folder(), &[&["import", path], more].concat());
        check_exit(&output, 0);
        assert!(talk(&output).contains("imported"), "{}", talk(&output));
        assert_eq!(daemon.lines()[0], format!("POST /v1/imports{query}"));
        let sent = &daemon.requests()[0];
        assert_eq!(sent.raw, BYTES);
        assert!(sent.head.contains("content-type: application/x-tar\r\n"), "{}", sent.head);
    }
    let daemon = takes();
    let output = inn_in(daemon.folder(), &["import", path, "--no-wait"]);
    assert_eq!(data(&output).trim_end(), TASK_ID);
    assert_eq!(daemon.lines().len(), 1);
    let shown = inn_in(daemon.folder(), &["import", path, "-o", "json"]);
    assert!(data(&shown).contains("\"web\""), "{}", data(&shown));
}

#[test]
fn an_import_from_the_standard_input_has_no_length() {
    let daemon = FakeDaemon::start(|request| match &*request.line {
        "POST /v1/imports" => Reply::Stream(Box::new(|mut stream| {
            let mut body = Vec::new();
            while !body.ends_with(b"\r\n0\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                body.push(byte[0]);
            }
            assert_eq!(body, b"A\r\n0123456789\r\n0\r\n\r\n");
            let problem = r#"{"code":"bad-request","title":"x","status":400,"detail":"cut short"}"#;
            let length = problem.len();
            let head = "HTTP/1.1 400 X\r\ncontent-type: application/problem+json\r\n";
            write!(stream, "{head}content-length: {length}\r\n\r\n{problem}").unwrap();
        })),
        other => panic!("{other}"),
    });
    let mut command = inn(&["import", "-"]);
    command.arg("--state-dir").arg(daemon.folder()).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(BYTES).unwrap();
    let output = child.wait_with_output().unwrap();
    check_exit(&output, 4);
    assert!(talk(&output).contains("cut short"), "{}", talk(&output));
    assert!(daemon.requests()[0].head.contains("transfer-encoding: chunked"));
}

#[test]
fn what_cannot_be_sent_is_not_begun() {
    let daemon = takes();
    let folder = tempfile::tempdir().unwrap();
    let import = |path: &Path| inn_in(daemon.folder(), &["import", path.to_str().unwrap()]);
    check_exit(&import(folder.path()), 2);
    check_exit(&import(&folder.path().join("none")), 1);
    check_exit(&inn_in(daemon.folder(), &["import", "x", "--name", "a b"]), 2);
    assert_eq!(daemon.lines(), [""; 0]);
}
