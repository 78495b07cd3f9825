//! Writing a guest's memory to a file, for a debugger.
//!
//! QEMU has no way to stop a dump that it has begun. So it writes into a pipe, and what it writes is put
//! into the file here: where the reading ends, so does the dump. And pages of zeros become holes.

use super::{QemuDriver, blocking, unless};
use crate::{
    machine::Machine,
    qmp::commands::{Dump, DumpGuestMemory, GetFd, QueryDump, QueryStatus},
};
use innkeeper_driver::StepError;
use innkeeper_model::{Code, IncarnationId, Refusal, VmId};
use innkeeper_storage::{Access, settle, write_sparse};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
};
use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The name of the pipe's end in QEMU, and its address.
const NAME: &str = "innkeeper-dump";
const ADDRESS: &str = "fd:innkeeper-dump";
/// How much a pipe holds, and is read at once: the most that an ordinary user's may.
const PIPE: usize = 1 << 20;
/// How soon a cancel is noticed while QEMU writes nothing.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl QemuDriver {
    /// Writes the memory of a guest that has ended or is held. The machine stays as it is.
    pub(super) async fn dump_memory(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        file: PathBuf,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let machine = self.machine_for(vm, of)?;
        unless(cancelled, refuse_if_running(&machine)).await?;
        // One of an earlier daemon's ends by itself: nobody reads it any more.
        let ended_before =
            async { machine.until(async |machine| ended(machine).await).await.map(drop) };
        unless(cancelled, ended_before).await?;
        let storage = self.storage.clone();
        let open = move || {
            let opened = storage.open_file(&file, Access::Write).map_err(io::Error::other)?;
            let file = File::from(opened);
            file.set_len(0)?;
            let (from_qemu, to_us) = pipe_with(PipeFlags::CLOEXEC)?;
            // A small pipe does as well, only slower.
            let _ = fcntl_setpipe_size(&from_qemu, PIPE);
            Ok((file, from_qemu, to_us))
        };
        let (file, from_qemu, to_us) = blocking(open).await?;
        // Where the one ends, so does the other.
        let over = cancelled.child_token();
        let token = over.clone();
        let copied = blocking(move || copy(from_qemu, &file, &token));
        let dumped = async {
            let dumped = unless(cancelled, dump(&machine, to_us)).await;
            if dumped.is_err() {
                over.cancel();
            }
            dumped
        };
        let (copied, dumped) = tokio::join!(copied, dumped);
        // What ended the reading is what made QEMU's writing fail.
        copied?;
        match dumped {
            // What is not wanted any more is not waited for either, and may not be on the disk.
            Ok(()) if cancelled.is_cancelled() => Err(StepError::Cancelled),
            dumped => dumped,
        }
    }
}

/// QEMU would hold a guest that runs, and let it go on afterwards.
async fn refuse_if_running(machine: &Machine) -> Result<(), Refusal> {
    if machine.execute(&QueryStatus {}).await?.status != "running" {
        return Ok(());
    }
    let message = "only the memory of a guest that is held or has ended can be dumped";
    Err(Refusal::new(Code::WrongState, message).with_hint("pause it first: `inn pause VM`"))
}

/// Has QEMU write everything into its end of a pipe, which is closed with it.
async fn dump(machine: &Machine, to_us: OwnedFd) -> Result<(), Refusal> {
    machine.execute_with(&GetFd { fdname: NAME.into() }, to_us).await?;
    let dump = DumpGuestMemory { paging: false, protocol: ADDRESS, detach: true, format: "elf" };
    machine.execute(&dump).await?;
    match machine.until(async |machine| ended(machine).await).await?.status.as_str() {
        "completed" => Ok(()),
        status => {
            let message = format!("QEMU did not write the guest's memory: {status}");
            Err(Refusal::new(Code::HypervisorFailed, message))
        }
    }
}

async fn ended(machine: &Machine) -> Result<Option<Dump>, Refusal> {
    let dump = machine.execute(&QueryDump {}).await?;
    Ok((dump.status != "active").then_some(dump))
}

/// Puts what comes out of a pipe into a file, until the pipe is closed or all is `over`.
fn copy(from: OwnedFd, to: &File, over: &CancellationToken) -> io::Result<()> {
    let mut buffer = vec![0; PIPE];
    let mut from = File::from(from);
    let mut at = 0;
    while !over.is_cancelled() {
        let mut readable = [PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN)];
        match poll(&mut readable, Some(&LOOK_EVERY)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        let count = from.read(&mut buffer)?;
        if count == 0 {
            to.set_len(at)?;
            debug!(bytes = at, "the guest's memory was dumped");
            return match settle(to, over) {
                Err(refusal) if refusal.code == Code::Cancelled => Ok(()),
                settled => settled.map_err(io::Error::other),
            };
        }
        write_sparse(to, &buffer[..count], at)?;
        at += count as u64;
    }
    Ok(())
}
