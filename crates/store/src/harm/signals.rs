//! Signals, on record: whom they were sent to, and who had started that process, as the kernel says it. One
//! that an earlier daemon started has lost its parent with that.

use rustix::{
    fd::AsFd,
    process::{Pid, Signal, kill_process_group, pidfd_send_signal},
};
use std::{fs, num::NonZeroI32};
use tracing::info;

/// Sends a signal to the process that a pidfd holds, whose pid is for the record alone. Nothing happens
/// where it has ended.
pub fn signal(process: impl AsFd, pid: Pid, signal: Signal, why: &str) {
    let pid = pid.as_raw_nonzero();
    let parent = parent_of(pid);
    let outcome = pidfd_send_signal(process, signal);
    info!(target: "innkeeper::harm", %pid, parent, ?signal, why, ?outcome, "signalled");
}

/// Sends a signal to all of the process group of a child that has not been reaped, so that its pid is
/// nobody else's. Nothing happens where all of it has ended.
pub fn signal_group(leader: Pid, signal: Signal, why: &str) {
    let group = leader.as_raw_nonzero();
    let parent = parent_of(group);
    let outcome = kill_process_group(leader, signal);
    info!(target: "innkeeper::harm", %group, parent, ?signal, why, ?outcome, "signalled");
}

/// Who started a process that there is, or who has it since that one ended.
fn parent_of(pid: NonZeroI32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may have blanks and brackets in it; its state follows, then its parent.
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_its_parents_until_it_is_reaped() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).ok().and_then(NonZeroI32::new).unwrap();
        assert_eq!(parent_of(pid), Some(std::process::id()));
        child.wait().unwrap();
        assert_ne!(parent_of(pid), Some(std::process::id()));
    }
}
