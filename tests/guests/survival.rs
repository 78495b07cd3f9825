//! Guests outlive their daemon.

use super::tiny;
use crate::harness::{BOOT, Daemon, GuestSlots, until};
use std::{thread, time::Duration};

/// How often the guest ticks, in milliseconds.
const PERIOD: u64 = 50;
/// How long the guest is watched with a daemon, and then without one.
const WATCHED: Duration = Duration::from_secs(4);
/// What a gap between two ticks may be in any case, in milliseconds: emulation on a host that other
/// tests keep busy is not exact. A guest that was held while the daemon was away misses more.
const ALLOWED_GAP: u64 = 500;

/// A tick of the guest: its number, and the guest's clock in milliseconds.
type Tick = (u64, u64);

#[test]
fn a_ticking_guest_does_not_notice_that_its_daemon_is_killed() {
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

    let killed_at = *alive.last().unwrap();
    let qemu = daemon.qemu("clock");
    daemon.kill9();
    thread::sleep(WATCHED);
    assert!(qemu.lives());
    daemon.launch();
    let vm = daemon.wait_for_state("clock", "running");
    assert_eq!(vm["incarnation"], incarnation, "it is another machine");
    assert_eq!(daemon.qemu("clock"), qemu);
    let log = daemon.inn_ok(&["logs", "clock"]);
    let away: Vec<Tick> = ticks(&log).into_iter().filter(|tick| *tick >= killed_at).collect();

    // While nobody was there it went on all the time, and what it wrote can be read now.
    let expected = u64::try_from(WATCHED.as_millis()).unwrap();
    let (first, last) = (away[0], away[away.len() - 1]);
    assert_eq!(first, killed_at, "ticks of the time before are lost");
    assert!(last.1 - first.1 >= expected, "it stood still: {first:?} to {last:?}");
    assert!(away.is_sorted_by(|a, b| a.0 + 1 == b.0), "ticks are missing: {away:?}");
    let (alive, away) = (largest_gap(&alive), largest_gap(&away));
    assert!(away <= ALLOWED_GAP.max(2 * alive), "largest gap {away} ms, with a daemon {alive} ms");

    // And it still does as it is told.
    let mut feed = daemon.feed();
    daemon.act("clock", "stop");
    feed.expect_vm("clock", "facts.last_end.reason", "guest_shutdown");
    assert!(!qemu.lives());
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

fn ticks(log: &str) -> Vec<Tick> {
    let tick = |line: &str| {
        let (number, clock) = line.trim_end().strip_prefix("tick ")?.split_once(' ')?;
        Some((number.parse().ok()?, clock.parse().ok()?))
    };
    // The last line may be cut in the middle of a number.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(tick).collect()
}
