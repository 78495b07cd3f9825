//! Files that go to the daemon and come from it, and what is done where they break off.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, accepted, not_found, ok, problem, task},
    inn_in, talk,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

const BYTES: &[u8] = b"0123456789";

fn hex() -> String {
    Sha256::digest(BYTES).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn image(digest: &str) -> Value {
    json!({
        "name": "base", "kind": "disk", "format": "raw", "size": "4KiB", "virtual_size": "10B",
        "digest": digest, "source": "an upload", "created": "2026-01-01T00:00:00Z", "revision": 3,
    })
}

fn head(mut stream: UnixStream, status: &str, headers: &str) -> UnixStream {
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    stream
}

/// A daemon with an image of this digest, which breaks off a first download after this many bytes.
fn sends(digest: String, breaks_after: usize) -> FakeDaemon {
    FakeDaemon::start(move |request| {
        if !request.line.ends_with("/file") {
            return ok(image(&digest));
        }
        let range = request.head.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let from: Option<usize> = range.map(|range| range.trim_end_matches('-').parse().unwrap());
        Reply::Stream(Box::new(move |stream| match from {
            None => {
                let mut stream = head(stream, "200 OK", "content-length: 10\r\n");
                stream.write_all(&BYTES[..breaks_after]).unwrap();
            }
            Some(10) => drop(head(stream, "416 X", "content-range: bytes */10\r\n")),
            Some(from) => {
                let length = format!("content-length: {}\r\n", 10 - from);
                head(stream, "206 X", &length).write_all(&BYTES[from..]).unwrap();
            }
        }))
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_download_that_broke_off_is_gone_on_with() {
    for breaks_after in [4, 10] {
        let daemon = sends(format!("sha256:{}", hex()), breaks_after);
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().to_str().unwrap();
        let download = || inn_in(daemon.folder(), &["image", "download", "base", into]);
        let part = format!("base.raw.{}.part", &hex()[..12]);
        if breaks_after < 10 {
            let output = download();
            check_exit(&output, 5);
            assert!(talk(&output).contains("the same command again"), "{}", talk(&output));
        } else {
            // As if it had been killed before it could give the file its name.
            std::fs::write(folder.path().join(&part), BYTES).unwrap();
        }
        assert_eq!(names(folder.path()), [part]);
        check_exit(&download(), 0);
        assert_eq!(names(folder.path()), ["base.raw"]);
        assert_eq!(std::fs::read(folder.path().join("base.raw")).unwrap(), BYTES);
        let last = daemon.requests().pop().unwrap();
        assert_eq!(last.line, "GET /v1/images/base/file");
        let condition = format!("range: bytes={breaks_after}-\r\n");
        assert!(last.head.contains(&condition), "{}", last.head);
        assert!(last.head.contains(&format!("if-range: \"{}\"", hex())), "{}", last.head);
    }
}

#[test]
fn a_download_that_is_something_else_gets_no_name() {
    let daemon = sends(format!("sha256:{}", "0".repeat(64)), 10);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let output = inn_in(daemon.folder(), &["image", "download", "base", file.to_str().unwrap()]);
    check_exit(&output, 1);
    assert!(talk(&output).contains(&hex()), "{}", talk(&output));
    assert_eq!(names(folder.path()), [""; 0]);
    let output = inn_in(daemon.folder(), &["image", "download", "base", "-"]);
    assert_eq!(data(&output).as_bytes(), BYTES);
}

/// A daemon that has this much of an upload, and the sending end for what comes.
fn takes(arrived: usize) -> (FakeDaemon, Receiver<Vec<u8>>) {
    let (sender, receiver) = channel();
    let daemon = FakeDaemon::start(move |request| answer(request, arrived, &sender));
    (daemon, receiver)
}

fn answer(request: &crate::fake::Request, arrived: usize, sender: &Sender<Vec<u8>>) -> Reply {
    let offset = format!("upload-offset: {arrived}\r\n");
    match request.line.split(' ').next().unwrap() {
        "HEAD" => Reply::Stream(Box::new(move |stream| drop(head(stream, "200 OK", &offset)))),
        "PUT" => {
            sender.send(request.raw.clone()).unwrap();
            accepted("image-add")
        }
        _ if request.line.contains("/v1/tasks/") => ok(task("image-add", "done")),
        _ => not_found(),
    }
}

#[test]
fn an_upload_sends_what_has_not_arrived_and_waits_for_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk");
    std::fs::write(&file, BYTES).unwrap();
    let args = |waiting| {
        ["image", "upload", file.to_str().unwrap(), "--name", "new", "--kind", "disk", waiting]
    };
    for (arrived, rest) in [(0, BYTES), (4, &BYTES[4..]), (10, b""), (11, BYTES)] {
        let (daemon, received) = takes(arrived);
        check_exit(&inn_in(daemon.folder(), &args("--format=raw")), 0);
        assert_eq!(received.recv().unwrap(), rest);
        let from = 10 - rest.len();
        let file = format!("/v1/images/new/file?sha256={}", hex());
        let expected = [
            "GET /v1/images/new".to_owned(),
            format!("HEAD {file}"),
            format!("PUT {file}&kind=disk&offset={from}&format=raw"),
        ];
        assert_eq!(daemon.lines()[..3], expected);
        let put = &daemon.requests()[2];
        assert!(put.head.contains(&format!("content-length: {}\r\n", rest.len())), "{}", put.head);
    }
    let (daemon, _received) = takes(0);
    let output = inn_in(daemon.folder(), &args("--no-wait"));
    assert_eq!(data(&output).trim_end(), crate::fake::TASK_ID);
    assert_eq!(daemon.lines().len(), 3);
}

#[test]
fn an_upload_under_a_name_that_is_taken_sends_nothing() {
    let daemon = FakeDaemon::start(|_| ok(image("sha256:0")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk");
    std::fs::write(&file, BYTES).unwrap();
    let upload = |file: &Path| {
        let file = file.to_str().unwrap();
        inn_in(daemon.folder(), &["image", "upload", file, "--name", "base", "--kind", "disk"])
    };
    check_exit(&upload(&file), 4);
    assert_eq!(daemon.lines(), ["GET /v1/images/base"]);
    check_exit(&upload(folder.path()), 2);
    check_exit(&upload(&folder.path().join("none")), 1);
}

#[test]
fn a_disk_is_gone_on_with_unless_it_has_been_written_to() {
    for (tag, expected) in [("1-2-3.4", Some("range: bytes=4-\r\n")), ("9-2-3.4", None)] {
        let daemon = FakeDaemon::start(move |request| {
            let is_head = request.line.starts_with("HEAD ");
            let from = if request.head.contains("range: bytes=4-") { 4 } else { 0 };
            Reply::Stream(Box::new(move |stream| {
                let status = if from == 0 { "200 OK" } else { "206 X" };
                let headers = format!("etag: \"{tag}\"\r\ncontent-length: {}\r\n", 10 - from);
                let mut stream = head(stream, status, &headers);
                if !is_head {
                    stream.write_all(&BYTES[from..]).unwrap();
                }
            }))
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("web-root.raw.1234.part"), &BYTES[..4]).unwrap();
        let into = folder.path().to_str().unwrap();
        let output = inn_in(daemon.folder(), &["disk", "download", "web", "root", into]);
        check_exit(&output, 0);
        assert!(talk(&output).contains(&hex()), "{}", talk(&output));
        assert_eq!(std::fs::read(folder.path().join("web-root.raw")).unwrap(), BYTES);
        let requests = daemon.requests();
        let file = "/v1/vms/web/disks/root/file";
        assert_eq!(daemon.lines(), [format!("HEAD {file}"), format!("GET {file}")]);
        assert_eq!(requests[1].head.contains("if-range"), expected.is_some());
        assert!(expected.is_none_or(|range| requests[1].head.contains(range)));
    }
}

#[test]
fn a_refused_download_leaves_nothing_and_says_why() {
    let daemon = FakeDaemon::start(|_| problem(409, "wrong-state", "VM web is not stopped"));
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().to_str().unwrap();
    let output = inn_in(daemon.folder(), &["disk", "download", "web", "root", into]);
    check_exit(&output, 4);
    assert!(talk(&output).contains("is not stopped"), "{}", talk(&output));
    assert_eq!(names(folder.path()), [""; 0]);
}
