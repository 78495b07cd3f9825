//! Writing a machine's memory to a file, and taking it over from one.
//!
//! QEMU calls both a migration, and does them in the background, whoever is connected: a daemon that
//! dies meanwhile finds them under way, or done, and waits or goes on. The file reaches QEMU as a
//! descriptor alone. Its format is `mapped-ram`: a page has one place in the file, so that the file is
//! as sparse as the memory.

use super::{QemuDriver, blocking, unless};
use crate::{
    machine::Machine,
    qmp::commands::{
        AddFd, Capability, Cont, Migrate, MigrateCancel, MigrateIncoming, MigrateSetCapabilities,
        MigrateSetParameters, Migration, QueryFdsets, QueryMigrate, QueryStatus, RemoveFd, Stop,
    },
    write_back::write_back,
};
use innkeeper_driver::{StepContext, StepError, StepProgress};
use innkeeper_model::{ByteSize, Code, IncarnationId, MachineState, MemoryImage, Refusal, VmId};
use innkeeper_storage::Access;
use rustix::fd::OwnedFd;
use std::{
    convert::Infallible,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// What the files that QEMU is given for this are called by, so that they can be found again.
const PURPOSE: &str = "innkeeper-memory";
/// How long a cancelled step waits for QEMU to hear of it; its undo waits for QEMU to obey.
const HEARS_WITHIN: Duration = Duration::from_millis(1500);
/// How long QEMU may take to stop a migration, while it waits for a disk; then it is tried again, by and by.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// How QEMU writes and reads memory images: the two must be told the same.
///
/// Without `multifd`, which is twice as fast: QEMU 10.0 dies when it is cancelled (its threads write to
/// a bitmap that is freed by then), and the guest with it.
const CAPABILITIES: [&str; 2] = ["mapped-ram", "events"];
/// No limit; what QEMU has without being told is 128 MiB/s.
const UNLIMITED: u64 = 0;

/// What QEMU says of a machine whose migration it is not done with yet.
const FINALIZES: &str = "finish-migrate";
/// How often it is asked then; it takes a millisecond.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// How often it is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// How far the saving of a machine's memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saving {
    /// It has not begun, or was given up.
    Not,
    /// It goes on.
    GoesOn,
    /// It is being given up.
    Stops,
    /// It is done, and the machine waits to be ended.
    Done,
}

impl QemuDriver {
    /// Writes the memory of a machine that is held. Cancelled, it leaves the machine held.
    pub(super) async fn save_memory(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        file: PathBuf,
        context: &StepContext,
    ) -> Result<(), StepError> {
        let machine = self.machine_for(vm, of)?;
        let saving = self.save(&machine, file, &context.progress);
        let saved = unless(&context.cancelled, saving).await;
        if matches!(saved, Err(StepError::Cancelled)) {
            let _ = tokio::time::timeout(HEARS_WITHIN, machine.execute(&MigrateCancel {})).await;
        }
        saved
    }

    async fn save(
        &self,
        machine: &Machine,
        file: PathBuf,
        progress: &StepProgress,
    ) -> Result<(), Refusal> {
        let mut saving = machine.until(async |machine| Ok(stopped(saving(machine).await?))).await?;
        if saving == Saving::Done && self.is_empty(&file).await? {
            // It was saved once, into another file, and that was undone. QEMU does not save a machine
            // twice that has not run in between: so it does, for a moment.
            machine.execute(&Cont {}).await?;
            machine.execute(&Stop {}).await?;
            saving = Saving::Not;
        }
        if saving == Saving::Not {
            self.begin_to_save(machine, &file).await?;
        }
        let _until_it_ends = write_back(self.open(&file, Access::Read).await?);
        let end = tokio::select! {
            end = machine.until(async |machine| ended(machine).await) => end?,
            never = tell_progress(machine, progress) => match never {},
        };
        take_back_files(machine).await;
        completed(&end, "write")
    }

    async fn is_empty(&self, file: &Path) -> Result<bool, Refusal> {
        let (storage, file) = (self.storage.clone(), file.to_owned());
        let length = move || {
            let opened = storage.open_file(&file, Access::Read);
            Ok(File::from(opened.map_err(std::io::Error::other)?).metadata()?.len())
        };
        Ok(blocking(length).await? == 0)
    }

    async fn begin_to_save(&self, machine: &Machine, file: &Path) -> Result<(), Refusal> {
        let opened = self.open(file, Access::Write).await?;
        set_up(machine).await?;
        let uri = give(machine, opened).await?;
        machine.execute(&Migrate { uri }).await?;
        Ok(())
    }

    /// Gives the saving of a machine's memory up; the machine stays held.
    pub(super) async fn unsave_memory(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
    ) -> Result<(), Refusal> {
        let Some(machine) = self.machine_of(vm, of) else { return Ok(()) };
        if machine.facts().machine == MachineState::Absent {
            return Ok(());
        }
        machine.execute(&MigrateCancel {}).await?;
        let stops = machine.until(async |machine| match saving(machine).await? {
            Saving::Not | Saving::Done => Ok(Some(())),
            Saving::GoesOn | Saving::Stops => Ok(ended(machine).await?.map(drop)),
        });
        tokio::time::timeout(STOPS_WITHIN, stops).await.map_err(|_| {
            let message = format!(
                "QEMU was told to stop writing the VM's memory, and has not in {} s",
                STOPS_WITHIN.as_secs()
            );
            Refusal::new(Code::Timeout, message)
        })??;
        take_back_files(&machine).await;
        Ok(())
    }

    /// Has a machine take over a memory image. It is held before and after.
    pub(super) async fn load_memory(
        &self,
        vm: VmId,
        of: Option<IncarnationId>,
        file: PathBuf,
        checksum: &str,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let machine = self.machine_for(vm, of)?;
        let load = async {
            // One that another machine has gone on from since is none any more.
            self.image(vm, checksum).await?;
            self.load(&machine, &file).await
        };
        unless(cancelled, load).await
    }

    /// The image that is meant, if it is still there, whole and unspent.
    async fn image(&self, vm: VmId, checksum: &str) -> Result<MemoryImage, Refusal> {
        let image = self.storage.check_memory(vm).await?;
        if image.checksum == checksum {
            return Ok(image);
        }
        let message = "the memory image is another than the one that was to be loaded";
        Err(Refusal::new(Code::IncompatibleMemory, message))
    }

    async fn load(&self, machine: &Machine, file: &Path) -> Result<(), Refusal> {
        if machine.execute(&QueryMigrate {}).await?.status.is_none_or(|status| status == "none") {
            let opened = self.open(file, Access::Read).await?;
            set_up(machine).await?;
            let uri = give(machine, opened).await?;
            // A QEMU that fails stays, so that it can be asked why.
            machine.execute(&MigrateIncoming { uri, exit_on_error: false }).await?;
        }
        let end = machine.until(async |machine| ended(machine).await).await?;
        take_back_files(machine).await;
        completed(&end, "read").map_err(|refusal| machine.with_log(refusal))
    }

    async fn open(&self, file: &Path, access: Access) -> Result<OwnedFd, Refusal> {
        let (storage, file) = (self.storage.clone(), file.to_owned());
        blocking(move || {
            let opened = storage.open_file(&file, access).map_err(std::io::Error::other)?;
            if access == Access::Write {
                // What an earlier attempt wrote.
                rustix::fs::ftruncate(&opened, 0)?;
            }
            Ok(opened)
        })
        .await
    }
}

async fn set_up(machine: &Machine) -> Result<(), Refusal> {
    let capabilities = CAPABILITIES.map(|capability| Capability { capability, state: true }).into();
    machine.execute(&MigrateSetCapabilities { capabilities }).await?;
    machine.execute(&MigrateSetParameters { max_bandwidth: UNLIMITED }).await?;
    Ok(())
}

/// Gives QEMU an open file, and says by what address it migrates to or from it. QEMU wants it to have
/// been opened for exactly what it does with it.
async fn give(machine: &Machine, file: OwnedFd) -> Result<String, Refusal> {
    let added = machine.execute_with(&AddFd { opaque: PURPOSE }, file).await?;
    Ok(format!("file:/dev/fdset/{}", added.fdset_id))
}

/// Has QEMU close the files that it was given: one that is open takes its room on the disk, removed or
/// not.
async fn take_back_files(machine: &Machine) {
    let sets = machine.execute(&QueryFdsets {}).await.unwrap_or_default();
    let given = |set: &&crate::qmp::commands::FdSet| {
        set.fds.iter().any(|fd| fd.opaque.as_deref() == Some(PURPOSE))
    };
    for set in sets.iter().filter(given) {
        if let Err(error) = machine.execute(&RemoveFd { fdset_id: set.fdset_id }).await {
            warn!(%error, "QEMU keeps a memory image open");
        }
    }
}

async fn saving(machine: &Machine) -> Result<Saving, Refusal> {
    let migration = machine.execute(&QueryMigrate {}).await?;
    let status = machine.execute(&QueryStatus {}).await?.status;
    Ok(saving_of(migration.status.as_deref(), &status))
}

fn saving_of(migration: Option<&str>, machine: &str) -> Saving {
    match migration {
        _ if machine == FINALIZES => Saving::GoesOn,
        None | Some("none" | "cancelled" | "failed") => Saving::Not,
        Some("cancelling") => Saving::Stops,
        // One that went on since is none of this one's.
        Some("completed") if machine == "postmigrate" => Saving::Done,
        Some("completed") => Saving::Not,
        Some(_) => Saving::GoesOn,
    }
}

/// What a new attempt begins with: one that is being given up must have been.
fn stopped(saving: Saving) -> Option<Saving> {
    (saving != Saving::Stops).then_some(saving)
}

/// Tells how much of the memory is written, for as long as it is. (Of one that it reads QEMU says nothing.)
async fn tell_progress(machine: &Machine, progress: &StepProgress) -> Infallible {
    loop {
        // QEMU has events for where a migration is, and none for how far.
        tokio::time::sleep(TOLD_EVERY).await;
        // One that is busy, or fails, is told by who waits for its end.
        let Ok(Migration { ram: Some(ram), .. }) = machine.execute(&QueryMigrate {}).await else {
            continue;
        };
        progress.tell(ByteSize(ram.total.saturating_sub(ram.remaining)), ByteSize(ram.total));
    }
}

/// How the last migration ended, once it has.
async fn ended(machine: &Machine) -> Result<Option<Migration>, Refusal> {
    let migration = machine.execute(&QueryMigrate {}).await?;
    if let Some(ram) = &migration.ram {
        debug!(total = ram.total, remaining = ram.remaining, "a memory image is on its way");
    }
    if !is_over(migration.status.as_deref()) {
        return Ok(None);
    }
    // QEMU says so a moment before it is done with it, and then has no event for that. (Who asks for a
    // step to be done bounds it.)
    while machine.execute(&QueryStatus {}).await?.status == FINALIZES {
        tokio::time::sleep(LOOKS_AGAIN_AFTER).await;
    }
    Ok(Some(migration))
}

fn is_over(status: Option<&str>) -> bool {
    matches!(status, Some("completed" | "failed" | "cancelled"))
}

fn completed(end: &Migration, what: &str) -> Result<(), Refusal> {
    if end.status.as_deref() == Some("completed") {
        return Ok(());
    }
    let status = end.status.as_deref().unwrap_or("unknown");
    let why = end.error_desc.as_deref().unwrap_or(status);
    let code =
        if why.contains("No space left") { Code::OutOfSpace } else { Code::HypervisorFailed };
    Err(Refusal::new(code, format!("QEMU did not {what} the VM's memory: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_that_waits_to_be_ended_has_been_saved() {
        for (migration, machine, expected) in [
            (None, "running", Saving::Not),
            (Some("none"), "paused", Saving::Not),
            (Some("active"), "paused", Saving::GoesOn),
            (Some("device"), "finish-migrate", Saving::GoesOn),
            (Some("a-new-word"), "paused", Saving::GoesOn),
            (Some("cancelling"), "paused", Saving::Stops),
            (Some("cancelled"), "paused", Saving::Not),
            (Some("completed"), "postmigrate", Saving::Done),
            (Some("completed"), "running", Saving::Not),
            (Some("completed"), "paused", Saving::Not),
            (Some("completed"), "finish-migrate", Saving::GoesOn),
            (Some("cancelled"), "finish-migrate", Saving::GoesOn),
        ] {
            assert_eq!(saving_of(migration, machine), expected, "{migration:?} {machine}");
        }
    }

    #[test]
    fn a_full_disk_is_called_one() {
        let failed = |why: &str| Migration {
            status: Some("failed".into()),
            error_desc: Some(why.into()),
            ram: None,
        };
        let full = completed(&failed("Unable to write to file: No space left on device"), "write");
        assert_eq!(full.unwrap_err().code, Code::OutOfSpace);
        let other = completed(&failed("Invalid argument"), "read");
        assert_eq!(other.unwrap_err().code, Code::HypervisorFailed);
    }
}
