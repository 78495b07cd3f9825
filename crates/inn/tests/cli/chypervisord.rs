//! `inn chypervisord`, as chypervisord's operators start it.

use super::{check_exit, data, inn, talk};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
};

#[test]
fn its_help_is_what_chypervisord_printed() {
    for flag in ["-h", "--help"] {
        let output = inn(&["chypervisord", flag]).output().unwrap();
        check_exit(&output, 0);
        assert_eq!(
            data(&output),
            "Usage of chypervisord:\n\
             -k, --kv=\"http://localhost:4001\": address of kv machine\n\
             -l, --log-level=\"warn\": log level\n\
             -p, --port=17000: listen port\n"
        );
    }
}

#[test]
fn the_address_of_a_key_value_store_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let output = inn(&["chypervisord", "-k", "http://localhost:4001", "--state-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    check_exit(&output, 2);
    assert!(talk(&output).contains("not supported yet"), "{}", talk(&output));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn it_is_a_daemon_with_that_door_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let words = ["chypervisord", "-p", "0", "-l", "info", "-k", &at("kv"), "--state-dir"];
    let mut daemon = inn(&words).arg(at("state")).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut opened = Vec::new();
    // It ends with "serving", or with the daemon.
    for line in log.by_ref() {
        let is_last = line.contains("daemon: serving");
        opened.extend(line.contains("a door is open").then_some(line));
        if is_last {
            break;
        }
    }
    let answered = opened.first().map(|line| {
        let (_, rest) = line.split_once("listen=\"").unwrap();
        let mut socket = TcpStream::connect(rest.split('"').next().unwrap()).unwrap();
        let request = "GET /hypervisors HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    });
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    // What it writes until its end is read, or it could not write it.
    log.for_each(drop);
    assert!(daemon.wait().unwrap().success());
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(opened[0].contains("door=chypervisord") && opened[0].contains("Admin"), "{opened:?}");
    let answer = answered.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#"[{"id":""#), "{answer}");
    assert!(folder.path().join("kv/registry.redb").exists());
}
