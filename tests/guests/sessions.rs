//! A guest that is looked into: by its console, its screen, and the agent in it.

use super::disc;
use crate::harness::{BOOT, Daemon, GuestSlots, guest_file, until};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    time::{SystemTime, UNIX_EPOCH},
};

#[test]
fn a_guest_is_looked_into_by_its_agent_its_screen_and_many_at_its_console() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    let (kernel, initrd) = (guest_file("full/vmlinuz"), guest_file("full/initrd.img"));
    daemon.inn_ok(&[
        "image", "add", "--name", "full", "--kind", "kernel", "--initrd", &initrd, &kernel,
    ]);
    disc::import(&daemon);
    let vm = daemon.create(&json!({
        "name": "web",
        "memory": "384MiB",
        "disks": [{ "name": "cd", "kind": "cdrom", "image": "disc" }],
        "nics": [{ "name": "net0", "network": "user" }],
        "boot": { "kernel": { "image": "full", "cmdline": "console=ttyS0 quiet" } },
    }));
    daemon.act("web", "start");

    // Programs, with what they read, write and exit with.
    until("the agent is there", BOOT, || {
        let tried = daemon.inn(&["exec", "-n", "web", "--", "true"]);
        if tried.status.success() { Ok(()) } else { Err(tried.stderr) }
    });
    assert_eq!(daemon.inn_ok(&["exec", "-n", "web", "--", "cat", "/etc/variant"]).trim(), "full");
    let failed = daemon.inn(&["exec", "-n", "web", "--", "sh", "-c", "echo no >&2; exit 7"]);
    assert_eq!(failed.status.code(), Some(7));
    assert_eq!(failed.stderr, "no\n");

    // Its CD-ROM is on SATA, where nothing else is said; for that this guest has the driver.
    until("what is on the disc", BOOT, || {
        let tried = daemon.inn(&["exec", "-n", "web", "--", "sh", "-c", disc::READ]);
        if tried.stdout == disc::WORD { Ok(()) } else { Err(format!("{tried:?}")) }
    });

    // What the agent says is in the view.
    let address = "nic=$(ls /sys/class/net | grep -vx lo | head -n 1) && ip link set $nic up && \
                   ip address add 10.0.2.77/24 dev $nic";
    daemon.inn_ok(&["exec", "-n", "web", "--", "sh", "-c", address]);
    until("what the agent told is seen", BOOT, || {
        let vm = daemon.vm("web");
        let told = vm["addresses"].as_array().into_iter().flatten();
        let mut told = told.filter(|known| known["source"] == "agent");
        let is_it = |known: &Value| known["address"] == "10.0.2.77" && known["nic"] == "net0";
        let seen = told.any(is_it) && vm["guest"]["kernel"].is_string();
        if seen { Ok(()) } else { Err(vm.to_string()) }
    });
    daemon.inn_ok(&["agent", "web", "ping"]);
    is_held_still_only_as_long_as_somebody_holds_it(&daemon);
    its_clock_is_set(&daemon);

    // Files, both ways.
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    let content: Vec<u8> = (0..2_000_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    std::fs::write(&there, &content).unwrap();
    daemon.inn_ok(&["cp", there.to_str().unwrap(), "web:/tmp/copy"]);
    let size = daemon.inn_ok(&["exec", "-n", "web", "--", "stat", "-c", "%s", "/tmp/copy"]);
    assert_eq!(size.trim(), content.len().to_string());
    daemon.inn_ok(&["cp", "web:/tmp/copy", back.to_str().unwrap()]);
    assert!(std::fs::read(&back).unwrap() == content);

    // Its screen, and what is typed at it.
    let picture = folder.path().join("screen.png");
    daemon.inn_ok(&["screenshot", "web", picture.to_str().unwrap()]);
    let before = std::fs::read(&picture).unwrap();
    assert!(before.starts_with(b"\x89PNG"));
    daemon.inn_ok(&["send-key", "web", "--text", "somebody"]);
    until("what was typed is seen", BOOT, || {
        daemon.inn_ok(&["screenshot", "web", picture.to_str().unwrap()]);
        if std::fs::read(&picture).unwrap() == before { Err("the same picture") } else { Ok(()) }
    });

    // Two at its console: both see, one types, and a diagnosis names them.
    let mut first = daemon.console("web");
    let mut second = daemon.console("web");
    first.log_in();
    assert_eq!(first.output_of("echo seen by $((1 + 1))"), "seen by 2");
    second.expect("seen by 2", BOOT);
    let diagnosis = daemon.diagnosis();
    let sessions = diagnosis["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    assert!(sessions.iter().all(|s| s["vm"] == *vm && s["viewers"] == 2), "{sessions:?}");
    daemon.act("web", "kill");
}

/// The guest's clock is set to a moment, and then to the host's.
fn its_clock_is_set(daemon: &Daemon) {
    let clock = || -> i64 {
        let said = daemon.inn_ok(&["exec", "-n", "web", "--", "date", "+%s"]);
        said.trim().parse().unwrap()
    };
    let is_about = |moment: i64| {
        let now = clock();
        // As long as a guest may take to say so.
        assert!((moment..moment + 60).contains(&now), "{now}, set to {moment}");
    };
    daemon.inn_ok(&["agent", "web", "set-time", "2001-02-03T04:05:06Z"]);
    is_about(981_173_106);
    let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    daemon.inn_ok(&["agent", "web", "set-time"]);
    is_about(host.try_into().unwrap());
}

/// The guest's file systems go on when the holder's command ends, and when the holder is killed.
fn is_held_still_only_as_long_as_somebody_holds_it(daemon: &Daemon) {
    let held = daemon.inn(&["agent", "web", "freeze", "--", "sh", "-c", "exit 7"]);
    assert_eq!(held.status.code(), Some(7), "{}", held.stderr);
    let mut holder = daemon.command(&["agent", "web", "freeze", "--timeout", "10m"]);
    let mut holder = holder.stderr(Stdio::null()).spawn().unwrap();
    let sessions = || {
        let diagnosis = daemon.diagnosis();
        let sessions = diagnosis["sessions"].as_array().unwrap().iter();
        sessions.filter(|session| session["kind"] == "freeze").count()
    };
    let counted = |count| if sessions() == count { Ok(()) } else { Err(sessions().to_string()) };
    until("it is held", BOOT, || counted(1));
    holder.kill().unwrap();
    holder.wait().unwrap();
    until("nobody holds it", BOOT, || counted(0));
    // Of a guest that is held, programs cannot be run.
    until("it goes on", BOOT, || {
        let tried = daemon.inn(&["exec", "-n", "web", "--", "touch", "/tmp/goes-on"]);
        if tried.status.success() { Ok(()) } else { Err(tried.stderr) }
    });
}
