//! Guests outlive their daemon.

use super::{
    ticks::{Tick, ticks},
    tiny,
};
use crate::harness::{BOOT, Daemon, GuestSlots, until};
use std::{io::Read, os::unix::net::UnixStream, thread, time::Duration};

/// How often the guest ticks, in milliseconds.
const PERIOD: u64 = 50;
/// How long the guest is watched with a daemon, and then without one.
const WATCHED: Duration = Duration::from_secs(3);
/// What a gap between two ticks may be in any case, in milliseconds: emulation on a host that other
/// tests keep busy is not exact. A guest that was held while the daemon was away misses more.
const ALLOWED_GAP: u64 = 500;

#[test]
fn a_ticking_guest_does_not_notice_that_its_daemon_is_killed_or_stopped() {
    // Alone, since it is about time.
    let _slots = GuestSlots::all();
    let mut daemon = Daemon::start();
    daemon.import_tiny();
    daemon.create(&tiny("clock", &format!("inn.tick={PERIOD}")));
    daemon.act("clock", "start");
    daemon.wait_for_log("clock", "INNKEEPER-GUEST-UP");
    let (before, incarnation) = (last_tick(&daemon), daemon.vm("clock")["incarnation"].clone());
    thread::sleep(WATCHED);
    let alive = since(&daemon, before);

    let qemu = daemon.qemu("clock");
    let killed = goes_on(&mut daemon, &alive, Daemon::kill9);
    assert_eq!(daemon.vm("clock")["incarnation"], incarnation, "it is another machine");
    goes_on(&mut daemon, &killed, |daemon| assert!(daemon.terminate().0.success()));
    assert_eq!(daemon.vm("clock")["incarnation"], incarnation, "it is another machine");

    // And it still does as it is told.
    let mut feed = daemon.feed();
    daemon.act("clock", "stop");
    feed.expect_vm("clock", "facts.last_end.reason", "guest_shutdown");
    assert!(!qemu.lives());
}

/// Nobody listened to it but the ring that QEMU keeps.
#[test]
fn what_a_guest_says_last_while_its_daemon_is_away_is_in_its_log() {
    const LAST: &str = "reboot: Power down";
    let _slot = GuestSlots::one();
    let mut daemon = Daemon::start();
    daemon.import_tiny();
    let id = daemon.create(&tiny("brief", "inn.poweroff"));
    daemon.act("brief", "start");
    daemon.kill9();
    // That it has said it is heard on its line.
    let mut line = UnixStream::connect(daemon.run_folder(&id).join("serial.sock")).unwrap();
    line.set_read_timeout(Some(BOOT)).unwrap();
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&said).contains(LAST) {
        let count = line.read(&mut piece).unwrap();
        assert_ne!(count, 0, "its line was closed");
        said.extend(&piece[..count]);
    }
    drop(line);
    daemon.launch();
    let vm = daemon.wait_for_state("brief", "stopped");
    assert_eq!(vm["facts"]["last_end"]["reason"], "guest_shutdown", "{vm}");
    let log = daemon.inn_ok(&["logs", "brief"]);
    assert!(log.contains("INNKEEPER-GUEST-UP") && log.contains(LAST), "{log}");
}

/// That the guest goes on while there is no daemon as it did before, `alive`, and that the next daemon
/// knows what it wrote meanwhile. Returns the ticks of that time.
#[track_caller]
fn goes_on(daemon: &mut Daemon, alive: &[Tick], end: impl FnOnce(&mut Daemon)) -> Vec<Tick> {
    let ended_at = last_tick(daemon);
    let qemu = daemon.qemu("clock");
    end(daemon);
    thread::sleep(WATCHED);
    assert!(qemu.lives());
    daemon.launch();
    daemon.wait_for_state("clock", "running");
    assert_eq!(daemon.qemu("clock"), qemu);
    let log = daemon.inn_ok(&["logs", "clock"]);
    let away: Vec<Tick> = ticks(&log).into_iter().filter(|tick| *tick >= ended_at).collect();

    let expected = u64::try_from(WATCHED.as_millis()).unwrap();
    let (first, last) = (away[0], away[away.len() - 1]);
    assert_eq!(first, ended_at, "ticks of the time before are lost");
    assert!(last.1 - first.1 >= expected, "it stood still: {first:?} to {last:?}");
    assert!(away.is_sorted_by(|a, b| a.0 + 1 == b.0), "ticks are missing: {away:?}");
    let (before, meanwhile) = (largest_gap(alive), largest_gap(&away));
    let allowed = ALLOWED_GAP.max(2 * before);
    assert!(meanwhile <= allowed, "largest gap {meanwhile} ms, with a daemon {before} ms");
    away
}

fn largest_gap(ticks: &[Tick]) -> u64 {
    ticks.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap()
}

fn last_tick(daemon: &Daemon) -> Tick {
    *ticks(&daemon.serial_log("clock")).last().expect("it ticks from the start")
}

/// The ticks from one that was seen on.
fn since(daemon: &Daemon, seen: Tick) -> Vec<Tick> {
    until("more ticks", BOOT, || {
        let ticks: Vec<_> = ticks(&daemon.serial_log("clock"));
        let new: Vec<_> = ticks.into_iter().filter(|tick| *tick >= seen).collect();
        if new.len() > 1 { Ok(new) } else { Err("none") }
    })
}
