//! A guest that means no good to whoever looks at it.

use super::tiny;
use crate::harness::{BOOT, Daemon, GuestSlots};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// How much it writes to its serial line.
const FLOOD: usize = 2_000_000;
/// What the daemon may take for it, and what may be kept of it.
const TAKEN: u64 = 32 << 20;
/// How long somebody else may wait meanwhile, on a host that is busy.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn a_guest_that_floods_its_serial_line_is_kept_in_bounds_and_steers_nobody() {
    let _turn = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let vm = daemon.create(&tiny("loud", ""));
    daemon.act("loud", "start");
    let mut console = daemon.console("loud");
    console.log_in();
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    let before = resident();
    // Retitle the window, clear the screen, answer with what was never typed.
    let steer = r"\033]0;owned\007\033[2J\033[6n\033P$q\033\\";
    console.send(&format!("yes \"$(printf '{steer}')\" | head -c {FLOOD}; echo FLOOD-IS''-OVER\n"));
    for _ in 0..50 {
        let begun = Instant::now();
        daemon.get("/v1/vms");
        assert!(begun.elapsed() < PATIENCE, "others wait for {:?}", begun.elapsed());
    }
    let said = console.expect("FLOOD-IS-OVER", BOOT);
    assert!(said.len() > 64 << 10 && said.contains("owned"), "{} bytes", said.len());
    let taken = resident().saturating_sub(before);
    assert!(taken < TAKEN, "the daemon took {taken} bytes more");

    let log = daemon.inn_ok(&["logs", "loud"]);
    assert!(log.contains("owned"), "{} bytes are kept", log.len());
    for file in ["serial.log", "stderr.log"].map(|name| daemon.run_folder(&vm).join(name)) {
        let Ok(kept) = file.metadata() else { continue };
        assert!(kept.len() < TAKEN, "{} has {} bytes", file.display(), kept.len());
        assert_eq!(kept.permissions().mode() & 0o077, 0, "{}", file.display());
    }
    assert!(!daemon.log().contains("owned"), "it writes to the daemon's log");
    daemon.act("loud", "kill");
}
