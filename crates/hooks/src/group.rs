//! A child and all that it started, as long as that stays in its process group: watched and ended as one.
//!
//! The group is named by the child's pid, which stays the child's until it is reaped; nothing here
//! signals the group after that. What has left the group (a daemon that detached itself) is not
//! followed.

use innkeeper_store::harm;
use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, pidfd_open},
};
use std::{io, process::ExitStatus, time::Duration};
use tokio::{io::unix::AsyncFd, process::Child};
use tracing::warn;

/// How long a killed child may take to be gone. Only one that is stuck in the kernel, such as on a
/// file system that does not answer, takes longer.
const REAP_WITHIN: Duration = Duration::from_millis(500);

/// A child that leads a process group of its own. Dropped before it was reaped, it is killed with the
/// group.
#[derive(Debug)]
pub(crate) struct Group {
    signals: Signals,
    /// Readable once the child has ended; it is not reaped by being watched.
    pidfd: AsyncFd<OwnedFd>,
    child: Child,
}

impl Group {
    /// The group that this child, just started, leads. On an error it is killed.
    pub(crate) fn led_by(child: Child) -> io::Result<Self> {
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let leader = pid.ok_or(io::ErrorKind::NotFound)?;
        let signals = Signals { leader, reaped: false };
        // SAFETY: the `AsyncFd` owns the descriptor, and nothing takes it out or closes it before.
        let pidfd = unsafe { AsyncFd::register(pidfd_open(leader, PidfdFlags::empty())?)? };
        Ok(Self { signals, pidfd, child })
    }

    /// Waits until the child has ended, whatever it has left behind in its group.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        self.pidfd.readable().await.map(drop)
    }

    /// Asks the group to end.
    pub(crate) fn terminate(&self, why: &str) {
        self.signals.send(Signal::TERM, why);
    }

    /// Kills whatever is left in the group, and reaps the child: its exit status, or `None` if it is
    /// stuck in the kernel. Then it ends, and is reaped by the runtime, when the kernel lets go of it.
    pub(crate) async fn end(mut self, why: &str) -> io::Result<Option<ExitStatus>> {
        self.signals.send(Signal::KILL, why);
        let waited = tokio::time::timeout(REAP_WITHIN, self.child.wait()).await;
        self.signals.reaped = true;
        waited.map_or_else(
            |_| {
                warn!(leader = %self.signals.leader.as_raw_nonzero(), "killed, and does not end");
                Ok(None)
            },
            |status| status.map(Some),
        )
    }
}

/// The right to signal the group.
#[derive(Debug)]
struct Signals {
    leader: Pid,
    reaped: bool,
}

impl Signals {
    fn send(&self, signal: Signal, why: &str) {
        harm::signal_group(self.leader, signal, why);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if !self.reaped {
            self.send(Signal::KILL, "nobody waits for the hook any more");
        }
    }
}
