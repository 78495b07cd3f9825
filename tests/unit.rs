//! The systemd unit: what it must say for guests to outlive the daemon, and that systemd understands it.

use crate::harness::say;
use std::{fs, path::Path, process::Command};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/innkeeper.service");
/// Where the unit expects the binary, which need not be there on the machine that tests.
const INSTALLED: &str = "/usr/local/bin/inn";

#[test]
fn the_unit_says_all_that_guests_and_operators_rely_on() {
    let unit = fs::read_to_string(FILE).unwrap();
    let says = |line: &str| unit.lines().filter(|found| *found == line).count() == 1;
    for line in [
        // Guests go on when the daemon is stopped, restarted or upgraded: only it is ended,
        "KillMode=process",
        // and their run folders, by which the next daemon finds them, stay,
        "RuntimeDirectory=innkeeper",
        "RuntimeDirectoryPreserve=yes",
        // as do their specs and disks, which are nobody else's.
        "StateDirectory=innkeeper",
        "StateDirectoryMode=0700",
        // It is ready when it says so, and it alone may.
        "Type=notify",
        "NotifyAccess=main",
        // A daemon that died comes back, but not one whose configuration makes no sense.
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
    ] {
        assert!(says(line), "{line} is not in {FILE}");
    }
    // Guests are in it with the daemon: each of these would take from them what they need.
    let keys: Vec<_> = unit.lines().filter_map(|line| line.split_once('=')).collect();
    for key in ["PrivateDevices", "PrivateNetwork", "PrivateUsers", "ProtectControlGroups", "User"]
    {
        assert!(keys.iter().all(|(found, _)| *found != key), "{key} is in {FILE}");
    }
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        say("SKIPPED, since there is no systemd-analyze: that systemd understands the unit");
        return;
    }
    let unit = fs::read_to_string(FILE).unwrap();
    assert!(unit.contains(&format!("\nExecStart={INSTALLED} serve\n")), "{unit}");
    let folder = tempfile::tempdir().unwrap();
    let verify = |unit: &str| {
        let file = folder.path().join("innkeeper.service");
        fs::write(&file, unit.replace(INSTALLED, env!("CARGO_BIN_EXE_inn"))).unwrap();
        said_of(&file)
    };
    assert_eq!(verify(&unit), "");
    // What it does not understand it passes over, and only says so.
    let mistaken = unit.replace("KillMode=process", "KillMode=proces");
    assert!(verify(&mistaken).contains("kill mode"), "{}", verify(&mistaken));
}

/// What systemd has to say about a unit.
fn said_of(file: &Path) -> String {
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(file)
        .env("SYSTEMD_LOG_TARGET", "console")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Other units of this machine are looked at as well.
    let of_it = |line: &&str| line.contains("innkeeper");
    let mut of_it: Vec<_> = said.lines().filter(of_it).collect();
    if !output.status.success() {
        of_it.push("it failed");
    }
    of_it.join("\n")
}
