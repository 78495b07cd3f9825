//! One daemon a state folder.

use innkeeper_model::{Code, Refusal};
use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    process::{Pid, test_kill_process},
};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The lock's name in the state folder.
const FILE_NAME: &str = "lock";

/// How long the processes that a killed daemon was just starting may take to let go of the lock; they
/// take microseconds, on a host that has them.
const ORPHANS_END_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Holds the state folder for this process until it is dropped, or the process ends in any way.
///
/// The lock belongs to the open file, which no child inherits, so that a guest which outlives the
/// daemon does not keep the next one out. The file stays; it holds the pid for whoever comes second.
#[derive(Debug)]
#[must_use = "the folder is free again as soon as this is dropped"]
pub struct StateLock {
    file: File,
}

/// Why the state folder could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockFailed {
    /// Another process has it.
    #[error("{} is in use by another Innkeeper daemon{}", folder.display(), pid_phrase(*pid))]
    Held {
        /// The state folder.
        folder: PathBuf,
        /// The other's process id, where it could be read.
        pid: Option<u32>,
    },
    /// The lock file cannot be made or read.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn pid_phrase(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

impl From<LockFailed> for Refusal {
    fn from(failed: LockFailed) -> Self {
        match &failed {
            LockFailed::Held { pid, .. } => {
                let stop = pid.map_or_else(|| "stop it".into(), |pid| format!("kill {pid}"));
                Self::new(Code::InUse, failed.to_string())
                    .with_hint(format!("{stop}, or give this one its own --state-dir"))
            }
            LockFailed::Io { .. } => {
                Self::new(Code::Internal, failed.to_string()).caused_by(&failed)
            }
        }
    }
}

impl StateLock {
    /// Takes the folder, which must exist; does not wait for another daemon to let go of it. Blocks
    /// for a moment where one has died while it started a process: that one has a copy of the lock
    /// until it has closed what it inherited.
    ///
    /// # Errors
    /// [`LockFailed::Held`] with the holder's pid, or what the system said.
    pub fn acquire(folder: &Path) -> Result<Self, LockFailed> {
        let path = folder.join(FILE_NAME);
        let io_failed = |source: io::Error| LockFailed::Io { path: path.clone(), source };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|errno| io_failed(errno.into()))?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(io_failed(errno.into())),
            }
            let pid = read_pid(&mut file);
            if pid.is_none_or(lives) || begun.elapsed() > ORPHANS_END_WITHIN {
                return Err(LockFailed::Held { folder: folder.into(), pid });
            }
            thread::sleep(LOOK_AGAIN_AFTER);
        }
        write_pid(&mut file).map_err(io_failed)?;
        Ok(Self { file })
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Closing would do, but for a child that is just being executed and has not closed its copy
        // yet. That it fails is nothing to act on: the file is closed next.
        let _closed_next = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// Whether there is a process of this id.
fn lives(pid: u32) -> bool {
    let pid = pid.try_into().ok().and_then(Pid::from_raw);
    // One that may not be signalled is there.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_pid_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateLock::acquire(folder.path()).unwrap();
        let refusal = Refusal::from(StateLock::acquire(folder.path()).unwrap_err());
        assert_eq!(refusal.code, Code::InUse);
        let pid = format!("pid {}", std::process::id());
        assert!(refusal.message.contains(&pid), "{}", refusal.message);
        drop(first);
        let _third = StateLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn a_child_does_not_inherit_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let _lock = StateLock::acquire(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME).canonicalize().unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        // Its name is the new program's once all descriptors that are not inherited are closed.
        while std::fs::read_to_string(proc.join("comm")).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        let inherited = std::fs::read_dir(proc.join("fd"))
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .any(|open| open == path);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!inherited);
    }

    #[test]
    fn what_a_dead_daemon_was_starting_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let lock = StateLock::acquire(folder.path()).unwrap();
        std::fs::write(folder.path().join(FILE_NAME), format!("{}\n", dead.id())).unwrap();
        let orphan = thread::spawn(move || {
            // Long enough that the other has found the lock held; if not, it has less to wait for.
            thread::sleep(Duration::from_millis(50));
            drop(lock);
        });
        let _lock = StateLock::acquire(folder.path()).unwrap();
        orphan.join().unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let failed = StateLock::acquire(Path::new("/nonexistent/state")).unwrap_err();
        assert!(failed.to_string().contains("/nonexistent/state/lock"));
    }
}
