//! Disks and images that leave the host, and come back as another VM's.

use super::tiny;
use crate::harness::{Daemon, GuestSlots};
use serde_json::json;
use std::{fs, process::Command};

#[test]
fn what_a_guest_wrote_goes_out_and_comes_back_as_an_image() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let file = |name: &str| daemon.scratch().join(name).to_str().unwrap().to_owned();
    let base = file("base.raw");
    fs::write(&base, [b"FROM-THE-FILE\n".as_slice(), &vec![0; (1 << 20) - 14]].concat()).unwrap();
    let upload = |from: &str, name: &str| {
        let raw = ["--kind", "disk", "--format", "raw"];
        daemon.inn_ok(&[&["image", "upload", from, "--name", name][..], &raw].concat());
    };
    upload(&base, "base");
    let back = file("back.raw");
    daemon.inn_ok(&["image", "download", "base", &back]);
    assert!(fs::read(&back).unwrap() == fs::read(&base).unwrap());

    let mut config = tiny("first", "");
    config["disks"] = json!([{ "name": "data", "image": "base", "size": "2MiB" }]);
    daemon.create(&config);
    daemon.act("first", "start");
    let mut console = daemon.console("first");
    console.log_in();
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-FILE");
    console.output_of("echo 'FROM-THE-FIRST' >/dev/vda; sync");
    let taken = file("taken.raw");
    let refused = daemon.inn(&["disk", "download", "first", "data", &taken]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    console.send("poweroff\n");
    daemon.wait_for_state("first", "stopped");
    daemon.inn_ok(&["disk", "download", "first", "data", &taken]);
    let bytes = fs::read(&taken).unwrap();
    assert_eq!((bytes.len(), &bytes[..15]), (2 << 20, &b"FROM-THE-FIRST\n"[..]));
    daemon.inn_ok(&["delete", "first"]);
    daemon.inn_ok(&["image", "delete", "base"]);

    upload(&taken, "taken");
    let mut config = tiny("second", "");
    config["disks"] = json!([{ "name": "data", "image": "taken" }]);
    daemon.create(&config);
    daemon.act("second", "start");
    let mut console = daemon.console("second");
    console.log_in();
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-FIRST");
    daemon.act("second", "kill");
}

#[test]
fn what_a_guest_wrote_goes_out_with_its_vm_and_comes_in() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let file = daemon.scratch().join("first.tar").to_str().unwrap().to_owned();
    let mut config = tiny("first", "");
    config["disks"] = json!([{ "name": "data", "size": "2MiB" }]);
    daemon.create(&config);
    daemon.act("first", "start");
    let mut console = daemon.console("first");
    console.log_in();
    console.output_of("echo 'FROM-THE-FIRST' >/dev/vda; sync");
    let refused = daemon.inn(&["export", "first", &file]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    console.send("poweroff\n");
    daemon.wait_for_state("first", "stopped");
    daemon.inn_ok(&["export", "first", &file]);
    let unpacked = daemon.scratch().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    for (program, arguments) in [
        ("tar", vec!["xf", &file]),
        ("sha256sum", vec!["-c", "--quiet", "SHA256SUMS"]),
        ("qemu-img", vec!["check", "-q", "data.qcow2"]),
    ] {
        let ran = Command::new(program).args(arguments).current_dir(&unpacked).output().unwrap();
        assert!(ran.status.success(), "{program}: {ran:?}");
    }

    daemon.inn_ok(&["import", &file, "--name", "second"]);
    daemon.act("second", "start");
    let mut console = daemon.console("second");
    console.log_in();
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-FIRST");
    daemon.act("second", "kill");
    // It is the same to its guest only where the first has gone.
    let taken = daemon.inn(&["import", &file, "--name", "third", "--keep-identity"]);
    assert_eq!(taken.status.code(), Some(4), "{taken:?}");
    daemon.inn_ok(&["delete", "first"]);
    daemon.inn_ok(&["import", &file, "--keep-identity"]);
    daemon.act("first", "start");
    daemon.act("first", "kill");
}
