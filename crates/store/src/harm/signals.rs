//! Signals, on record.

use rustix::{
    fd::AsFd,
    process::{Pid, Signal, kill_process_group, pidfd_send_signal},
};
use tracing::info;

/// Sends a signal to the process that a pidfd holds, whose pid is for the record alone. Nothing happens
/// where it has ended.
pub fn signal(process: impl AsFd, pid: Pid, signal: Signal, why: &str) {
    let outcome = pidfd_send_signal(process, signal);
    let pid = pid.as_raw_nonzero();
    info!(target: "innkeeper::harm", %pid, ?signal, why, ?outcome, "signalled");
}

/// Sends a signal to all of the process group of a child that has not been reaped, so that its pid is
/// nobody else's. Nothing happens where all of it has ended.
pub fn signal_group(leader: Pid, signal: Signal, why: &str) {
    let outcome = kill_process_group(leader, signal);
    let group = leader.as_raw_nonzero();
    info!(target: "innkeeper::harm", %group, ?signal, why, ?outcome, "signalled");
}
