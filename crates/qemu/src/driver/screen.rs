//! A guest's screen and keyboard.
//!
//! QEMU is given descriptors here, too: of a connection that it serves as a viewer's, and of a file that
//! it writes a picture into. So no socket or file that a VM's own user could put something else in place
//! of is ever opened, and a picture that is too large is read no further than its bound.

use super::{QemuDriver, blocking};
use crate::{
    machine::Machine,
    qmp::commands::{AddClient, AddFd, GetFd, KeyValue, RemoveFd, Screendump, SendKey},
};
use innkeeper_driver::MAX_SCREENSHOT;
use innkeeper_model::{Code, Refusal, VmId, keyboard::Stroke};
use rustix::{fd::OwnedFd, fs::MemfdFlags};
use std::{
    fs::File,
    io::{self, Read, Seek},
    os::{fd::AsRawFd, unix::net::UnixStream as StdUnixStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::net::UnixStream;
use tracing::debug;

/// What QEMU shows its screen by.
const DISPLAY_OPTIONS: [&str; 2] = ["-vnc", "-display"];
/// How long each key is held down, and let go of before the next one; a guest that polls its keyboard
/// notices no less.
const HELD: Duration = Duration::from_millis(20);
impl QemuDriver {
    pub(super) async fn vnc(&self, vm: VmId) -> Result<UnixStream, Refusal> {
        let machine = self.machine(vm)?;
        if !machine.incarnation().adopted && !has_screen(&machine) {
            return Err(no_screen());
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("innkeeper-vnc-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let get = GetFd { fdname: name.clone().into() };
        machine.execute_with(&get, OwnedFd::from(theirs)).await?;
        machine.execute(&AddClient { protocol: "vnc", fdname: name, skipauth: true }).await?;
        Ok(UnixStream::from_std(ours)?)
    }

    pub(super) async fn picture(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let machine = self.machine(vm)?;
        if !machine.incarnation().adopted && !has_screen(&machine) {
            return Err(no_screen());
        }
        // In a task of its own: what QEMU was given is taken back, whoever gives up waiting.
        let taken = tokio::spawn(async move { take_picture(&machine).await }).await;
        taken.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?
    }

    pub(super) async fn press(&self, vm: VmId, strokes: &[Stroke]) -> Result<(), Refusal> {
        let machine = self.machine(vm)?;
        for stroke in strokes {
            let keys: Vec<_> = stroke.keys().iter().map(|name| KeyValue::named(name)).collect();
            // Down and up again, one after the other; QEMU forgets what comes too much at once.
            let takes = HELD * 2 * keys.len() as u32;
            machine.execute(&SendKey { keys, hold_time: HELD.as_millis() as u64 }).await?;
            tokio::time::sleep(takes).await;
        }
        Ok(())
    }
}

fn has_screen(machine: &Machine) -> bool {
    let incarnation = machine.incarnation();
    let argv = &incarnation.argv;
    let mut pairs = argv.iter().zip(argv.iter().skip(1));
    pairs.any(|(option, value)| DISPLAY_OPTIONS.contains(&option.as_str()) && value != "none")
}

fn no_screen() -> Refusal {
    Refusal::new(Code::Unsupported, "the VM has no screen")
        .at("display")
        .with_hint("set `display: vnc`, and stop and start the VM; its serial console is there")
}

async fn take_picture(machine: &Arc<Machine>) -> Result<Vec<u8>, Refusal> {
    let _one_at_a_time = machine.screen.lock().await;
    // QEMU empties a file before it writes, which a pipe does not let it. This one is in memory, which
    // is QEMU's share as far as QEMU fills it.
    let file = File::from(
        rustix::fs::memfd_create("innkeeper-screen", MemfdFlags::CLOEXEC)
            .map_err(io::Error::from)?,
    );
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let to_write = File::options().write(true).open(path)?;
    let set = machine.execute_with(&AddFd { opaque: "innkeeper-screen" }, to_write.into()).await?;
    let set = set.fdset_id;
    let filename = format!("/dev/fdset/{set}");
    let drawn = machine.execute(&Screendump { filename, format: "png" }).await;
    if let Err(error) = machine.execute(&RemoveFd { fdset_id: set }).await {
        debug!(vm = %machine.vm, %error, "QEMU keeps the file of a picture");
    }
    drawn?;
    let picture = blocking(move || {
        let mut picture = Vec::new();
        (&file).rewind()?;
        file.take(MAX_SCREENSHOT + 1).read_to_end(&mut picture)?;
        Ok(picture)
    });
    let picture = picture.await?;
    if picture.len() as u64 > MAX_SCREENSHOT || !picture.starts_with(b"\x89PNG") {
        let message = "QEMU drew no picture that could be shown";
        return Err(Refusal::new(Code::HypervisorFailed, message));
    }
    Ok(picture)
}
