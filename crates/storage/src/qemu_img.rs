//! Running `qemu-img` on a file that may have been made to break it.
//!
//! It is given one folder with nothing else in it, no privileges, no network (where the daemon is
//! root), little memory, and a time to be done in; it is in a process group of its own, which is
//! killed when that time is over or nobody waits any more.

use crate::cancel;
use innkeeper_model::{Code, Refusal};
use innkeeper_store::harm::Helper;
use rustix::{
    process::{Gid, Resource, Rlimit, Signal, Uid, setrlimit},
    thread::{
        UnshareFlags, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
        unshare_unsafe,
    },
};
use std::{
    ffi::OsStr,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};
use tokio_util::sync::CancellationToken;

/// Address space. A conversion uses a tenth of it, but its threads reserve theirs: so they are given
/// small stacks and one heap to share, or a busy one would end in an abort.
const MAX_MEMORY: u64 = 1 << 30;
/// Each thread's stack.
const MAX_STACK: u64 = 1 << 20;
/// Open files: its folder, its two images, its event loop.
const MAX_FILES: u64 = 64;
/// How much of what it says on its error output is kept.
const MAX_MESSAGE: usize = 2 << 10;

/// How one run is held.
#[derive(Debug, Clone)]
pub(crate) struct Confinement<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// Where it runs and what its relative names are in; belongs to `uid`.
    pub(crate) folder: &'a Path,
    /// The user it runs as, if the daemon can choose.
    pub(crate) uid: Option<u32>,
    /// How long it may take, in time and in CPU time.
    pub(crate) deadline: Duration,
    /// The largest file it may write, in bytes.
    pub(crate) largest_file: u64,
}

/// Why a run did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QemuImgFailed {
    #[error("{} is not installed", .0.display())]
    Missing(PathBuf),
    #[error("{} could not be run", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("qemu-img refused it: {0}")]
    Said(String),
    #[error("the disk is full")]
    DiskFull,
    #[error("qemu-img took longer than {} seconds", .0.as_secs())]
    Deadline(Duration),
    #[error("qemu-img wrote more than {0} bytes")]
    TooMuchWritten(u64),
    #[error("qemu-img was ended by signal {signal}: {said}")]
    Signal { signal: i32, said: String },
    #[error("it was cancelled")]
    Cancelled,
}

impl From<QemuImgFailed> for Refusal {
    fn from(failed: QemuImgFailed) -> Self {
        let message = failed.to_string();
        match failed {
            QemuImgFailed::Missing(_) => Self::new(Code::MissingProgram, message)
                .with_hint("install qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, SUSE)"),
            QemuImgFailed::Spawn { .. } | QemuImgFailed::Signal { .. } => {
                Self::new(Code::Internal, message).caused_by(&failed)
            }
            QemuImgFailed::Said(_) => Self::new(Code::InvalidField, message),
            QemuImgFailed::DiskFull => Self::new(Code::OutOfSpace, message)
                .with_hint("free some space in the pool, then try again"),
            QemuImgFailed::Deadline(limit) => {
                Self::new(Code::Timeout, message).with_limit(format!("{} s", limit.as_secs()))
            }
            QemuImgFailed::TooMuchWritten(limit) => {
                Self::new(Code::TooLarge, message).with_limit(format!("{limit}B"))
            }
            QemuImgFailed::Cancelled => cancel::cancelled(),
        }
    }
}

impl Confinement<'_> {
    /// Runs `qemu-img` with these arguments until it ends, handing on what it prints. An exit status
    /// in `accepted` is a success. It is dead and reaped when this returns; when the future is
    /// dropped it is killed.
    pub(crate) async fn run(
        &self,
        arguments: &[&str],
        accepted: &[i32],
        mut on_output: impl FnMut(&[u8]),
        cancel: &CancellationToken,
    ) -> Result<(), QemuImgFailed> {
        let mut child = self.spawn(arguments)?;
        let (stdout, stderr) = child.take_outputs();
        let mut said = Vec::new();
        let ended = tokio::select! {
            status = async {
                let keep = |bytes: &[u8]| {
                    let room = MAX_MESSAGE.saturating_sub(said.len());
                    said.extend(&bytes[..bytes.len().min(room)]);
                };
                tokio::join!(drain(stdout, &mut on_output), drain(stderr, keep));
                child.wait().await
            } => Ok(status),
            () = cancel.cancelled() => Err(QemuImgFailed::Cancelled),
            () = tokio::time::sleep(self.deadline) => Err(QemuImgFailed::Deadline(self.deadline)),
        };
        match ended {
            Ok(Ok(status)) => self.judge(status, accepted, &said),
            Ok(Err(source)) => Err(ended_for(&mut child, self.spawn_failed(source)).await),
            Err(failed) => Err(ended_for(&mut child, failed).await),
        }
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Helper, QemuImgFailed> {
        let program = find(self.program, std::env::var_os("PATH").as_deref())
            .ok_or_else(|| QemuImgFailed::Missing(self.program.into()))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (uid, largest_file) = (self.uid, self.largest_file);
        // Whole seconds, and one more than the deadline, which ends it with a better message.
        let cpu_seconds = self.deadline.as_secs().saturating_add(1);
        // SAFETY: between fork and exec the closure makes system calls only: it allocates nothing,
        // takes no lock and does not panic.
        unsafe {
            command.pre_exec(move || Ok(confine(uid, largest_file, cpu_seconds)?));
        }
        Helper::start(&mut command).map_err(|source| self.spawn_failed(source))
    }

    fn judge(
        &self,
        status: ExitStatus,
        accepted: &[i32],
        said: &[u8],
    ) -> Result<(), QemuImgFailed> {
        if status.code().is_some_and(|code| accepted.contains(&code)) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(said);
        // The kernel's words for ENOSPC and EDQUOT, which LC_ALL=C makes sure of.
        if said.contains("No space left on device") || said.contains("Disk quota exceeded") {
            return Err(QemuImgFailed::DiskFull);
        }
        let first = said.lines().next().unwrap_or("it gave no reason");
        let first = first.trim_start_matches("qemu-img: ").to_owned();
        let signal = status.signal();
        Err(match signal.and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => QemuImgFailed::Deadline(self.deadline),
            Some(Signal::XFSZ) => QemuImgFailed::TooMuchWritten(self.largest_file),
            _ if said.contains("File too large") => {
                QemuImgFailed::TooMuchWritten(self.largest_file)
            }
            _ => match signal {
                Some(signal) => QemuImgFailed::Signal { signal, said: first },
                None => QemuImgFailed::Said(first),
            },
        })
    }

    fn spawn_failed(&self, source: io::Error) -> QemuImgFailed {
        QemuImgFailed::Spawn { program: self.program.into(), source }
    }
}

/// The program's file, looked for as the daemon sees it: the user it will run as may not even see all
/// folders of the path, and would call that a refusal.
fn find(program: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.exists().then(|| program.into());
    }
    let folders = std::env::split_paths(path?);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Gives up all that the process does not need. Runs in the child, before exec.
fn confine(uid: Option<u32>, largest_file: u64, cpu_seconds: u64) -> rustix::io::Result<()> {
    let limit = |resource, most| {
        let most = Some(most);
        setrlimit(resource, Rlimit { current: most, maximum: most })
    };
    limit(Resource::As, MAX_MEMORY)?;
    limit(Resource::Stack, MAX_STACK)?;
    limit(Resource::Fsize, largest_file)?;
    limit(Resource::Cpu, cpu_seconds)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Core, 0)?;
    if let Some(id) = uid {
        // SAFETY: no memory or descriptor is shared differently afterwards; only the child's own
        // network and System V namespaces become new and empty.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWIPC)? };
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    set_no_new_privs(true)
}

/// Reads until the other side closes, however much it says.
async fn drain(from: Option<impl AsyncRead + Unpin>, mut on_bytes: impl FnMut(&[u8])) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        on_bytes(&buffer[..count]);
    }
}

/// Kills the whole group, for this, and waits for its first process.
async fn ended_for(child: &mut Helper, why: QemuImgFailed) -> QemuImgFailed {
    if let Err(error) = child.end(&why.to_string()).await {
        tracing::warn!(%error, "qemu-img was killed and could not be waited for");
    }
    why
}

#[cfg(test)]
#[path = "qemu_img_tests.rs"]
mod tests;
