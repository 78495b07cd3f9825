//! Certificates of callers: a key is kept where a certificate for it may have been issued, and nowhere else.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, problem},
    inn_in, talk,
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

fn create(daemon: &FakeDaemon, out: &Path) -> Output {
    let out = out.to_str().unwrap();
    let create = ["certificate", "create", "ci", "--role", "viewer", "--out", out];
    inn_in(daemon.folder(), &create)
}

fn signed() -> Reply {
    Reply::Json(201, json!({ "pem": PEM, "authority": "its authority", "certificate": {} }))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_signed_is_written_beside_its_key() {
    let (daemon, out) = (FakeDaemon::start(|_| signed()), tempfile::tempdir().unwrap());
    check_exit(&create(&daemon, out.path()), 0);
    assert_eq!(names(out.path()), ["ci.ca.crt", "ci.crt", "ci.key"]);
    assert_eq!(fs::read_to_string(out.path().join("ci.crt")).unwrap(), PEM);
    let asked = &daemon.requests()[0];
    assert_eq!((&*asked.line, &asked.body["name"]), ("POST /v1/certificates", &json!("ci")));
    assert!(!asked.body.to_string().contains("PRIVATE KEY"));
}

#[test]
fn a_key_is_kept_only_where_its_certificate_may_have_been_issued() {
    let daemons = [
        FakeDaemon::start(|_| Reply::Stream(Box::new(drop))),
        FakeDaemon::start(|_| Reply::Json(201, json!({ "pem": "of another version" }))),
        FakeDaemon::start(|_| Reply::Json(502, json!("a proxy says so"))),
    ];
    for daemon in daemons {
        let out = tempfile::tempdir().unwrap();
        let lost = create(&daemon, out.path());
        assert!(!lost.status.success());
        assert!(talk(&lost).contains("may have been issued"), "{}", talk(&lost));
        assert_eq!(names(out.path()), ["ci.key"]);
    }
    let nobody = FakeDaemon::start(|_| signed());
    fs::remove_file(nobody.folder().join("inn.sock")).unwrap();
    let refuses = FakeDaemon::start(|_| problem(409, "name-taken", "there is one"));
    for (daemon, exit) in [(refuses, 4), (nobody, 5)] {
        let out = tempfile::tempdir().unwrap();
        let refused = create(&daemon, out.path());
        check_exit(&refused, exit);
        assert!(!talk(&refused).contains("may have been issued"), "{}", talk(&refused));
        assert_eq!(names(out.path()), [""; 0]);
    }
}

#[test]
fn what_cannot_be_written_is_printed() {
    let out = tempfile::tempdir().unwrap();
    let certificate: PathBuf = out.path().join("ci.crt");
    let in_the_way = certificate.clone();
    let daemon = FakeDaemon::start(move |_| {
        fs::create_dir_all(in_the_way.join("full")).unwrap();
        signed()
    });
    let unwritten = create(&daemon, out.path());
    assert!(!unwritten.status.success());
    assert_eq!(data(&unwritten), format!("{PEM}\n"));
    let told = talk(&unwritten);
    assert!(told.contains(&format!("save what is printed as {}", certificate.display())), "{told}");
    assert!(out.path().join("ci.key").exists());
}
