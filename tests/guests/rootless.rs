//! A daemon that is not root: the same guests in the same sandbox, and what is weaker is said.

use super::{reach, tiny};
use crate::harness::{Daemon, GuestSlots, Process, TCG, skip_without_root};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::MetadataExt};

/// A user who may do nothing that others may not.
const NOBODY: u32 = 65534;

#[test]
fn a_daemon_without_root_confines_its_guests_and_says_what_is_weaker() {
    if skip_without_root("a daemon that another user starts") {
        return;
    }
    let _slot = GuestSlots::one();
    let mut daemon = Daemon::prepared(TCG).with_user(NOBODY);
    daemon.launch();
    daemon.import_tiny();
    let mut config = tiny("web", "");
    config["nics"] = json!([{ "name": "net" }]);
    let id = daemon.create(&config);
    daemon.act("web", "start");

    let qemu = daemon.qemu("web");
    is_confined_as_the_daemons_user(&daemon, qemu);
    let folder = fs::metadata(daemon.run_folder(&id)).unwrap();
    assert_eq!((folder.uid(), folder.mode() & 0o777), (NOBODY, 0o700));
    // No firewall rule is about a user that is also the daemon's; so the network has no way out.
    let arguments = qemu.arguments();
    let networks = arguments.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let networks: Vec<_> = networks.filter(|device| device["type"] == "user").collect();
    assert_eq!(networks.len(), 1, "{arguments:?}");
    assert_eq!(networks[0]["restrict"], true, "{arguments:?}");
    says_what_is_weaker(&daemon);

    let mut console = daemon.console("web");
    console.log_in_when_online();
    reach::no_loopback_of_its_host(&mut console);
    console.send("poweroff\n");
    daemon.wait_for_state("web", "stopped");
}

fn is_confined_as_the_daemons_user(daemon: &Daemon, qemu: Process) {
    // Real, effective, saved and for files.
    let nobody = vec![NOBODY.to_string(); 4];
    for process in [Process { pid: daemon.pid() }, qemu] {
        assert_eq!(
            (process.status("Uid"), process.status("Gid")),
            (nobody.clone(), nobody.clone())
        );
        assert_eq!(process.status("Groups"), [""; 0]);
        assert_eq!(process.status("CapEff"), ["0000000000000000"]);
    }
    // Seccomp 2 is a filter.
    assert_eq!(qemu.status("Seccomp"), ["2"]);
    assert_eq!(qemu.status("NoNewPrivs"), ["1"]);
}

fn says_what_is_weaker(daemon: &Daemon) {
    let host: Value = serde_json::from_str(&daemon.inn_ok(&["host", "-o", "json"])).unwrap();
    let shown = daemon.inn_ok(&["host"]);
    for (name, active, how) in [
        ("sandbox", true, "system call filter"),
        ("descriptors", true, "open descriptors"),
        ("uid", false, "the daemon's own user; run the daemon as root"),
        ("cgroup", false, "need the daemon to run as root"),
        ("loopback", false, "private networks have no way out"),
    ] {
        let safeguards = host["confinement"].as_array().unwrap();
        let found = safeguards.iter().find(|safeguard| safeguard["name"] == name);
        assert_eq!(found.map(|it| &it["active"]), Some(&active.into()), "{name}: {host}");
        let line = shown.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {shown}"));
        let word = line.split_whitespace().nth(1);
        assert_eq!(word, Some(if active { "yes" } else { "no" }), "{shown}");
        assert!(line.contains(how), "{shown}");
    }
}
