//! From what has arrived to the volumes of a VM.

use super::NVRAM;
use crate::{
    cancel,
    copy::write_data,
    flat::FlatDisk,
    format::{
        blank::CLUSTER,
        packed::{Cluster, Packed},
    },
    layers::{length, unreadable},
    pool::{WorkFolder, failed, remove_folder},
    progress::{OnProgress, Phase, Reporter},
    room::Promise,
    settle::settle,
    storage::{Shared, Storage},
    unfinished::NEW_PREFIX,
    volumes::create,
};
use innkeeper_model::{Refusal, VmId};
use innkeeper_store::harm;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

impl Storage {
    /// Makes the volumes of a VM, which must have none yet, of what has arrived under this name
    /// ([`crate::StagedVm::name`]), and takes that away. A disk that is laid out as this crate does it is
    /// moved; any other is written anew, so that nobody ever opens what somebody sent.
    ///
    /// All appears in one step, marked as unfinished until [`Storage::finish_volumes`]. Cancelling it, or
    /// dropping the future, leaves no volumes.
    ///
    /// # Errors
    /// There is nothing of this name any more; the VM has volumes; the disk is full; cancelled; the
    /// system's. [`Storage::abandon_volumes`] and [`Storage::discard_arrived`] are right after any of them.
    pub async fn bring_volumes(
        &self,
        vm: VmId,
        from: &str,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let (shared, on_progress) = (Arc::clone(&self.shared), Arc::clone(on_progress));
        let from = shared.arrived(from);
        cancel::blocking(cancel, move |cancel| shared.bring(vm, &from, &on_progress, cancel)).await
    }

    /// Throws away what has arrived under this name. That there is nothing is no failure.
    ///
    /// # Errors
    /// The system's; what is left goes when the pool is next opened.
    pub async fn discard_arrived(&self, name: &str) -> Result<(), Refusal> {
        let folder = self.shared.arrived(name);
        cancel::briefly(move || {
            remove_folder(&folder).map_err(|error| failed("cannot remove", &folder, error))
        })
        .await
    }
}

impl Shared {
    fn arrived(&self, name: &str) -> PathBuf {
        self.pool.uploads.join(name)
    }

    fn bring(
        &self,
        vm: VmId,
        from: &Path,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let members = members(from)?;
        let total = members.iter().map(|(_, length)| length).sum();
        let report = Reporter::new(on_progress, Phase::Copying, Some(total));
        let work = WorkFolder::new(&self.pool.volumes, "bring")?;
        let mut before = 0;
        for (name, length) in members {
            cancel::check(cancel)?;
            let (source, target) = (from.join(&name), work.path().join(&name));
            if name == NVRAM {
                move_file(&source, &target, cancel)?;
            } else {
                self.bring_disk(&source, &target, &report.after(before), cancel)?;
            }
            before += length;
            report.after(before).done(0);
        }
        self.publish_unfinished(work, vm)?;
        remove_folder(from).map_err(|error| failed("cannot remove", from, error))
    }

    fn bring_disk(
        &self,
        source: &Path,
        target: &Path,
        report: &Reporter,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let file = File::open(source).map_err(|error| unreadable(source, error))?;
        let compared = file.try_clone()?;
        let mut disk = FlatDisk::of_qcow2(file).map_err(|error| unreadable(source, error))?;
        let (occupied, _) = disk.occupied(cancel)?;
        let packed = Packed::new(occupied);
        if is_laid_out_so(&compared, &packed).map_err(|error| unreadable(source, error))? {
            return move_file(source, target, cancel);
        }
        let mut promise = self.pool.room.promise(packed.length())?;
        // Under another name until it is whole: who looks for an image's users reads headers.
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let new = target.with_file_name(format!("{NEW_PREFIX}{name}"));
        let made = create(&new).map_err(|error| failed("cannot make", &new, error))?;
        write(&mut disk, &packed, &File::from(made), &mut promise, report, cancel)?;
        fs::rename(&new, target).map_err(|error| failed("cannot rename", &new, error))?;
        harm::remove_file(source).map_err(|error| failed("cannot remove", source, error))
    }
}

/// The files that have arrived, each with its length.
fn members(folder: &Path) -> Result<Vec<(String, u64)>, Refusal> {
    let list_failed = |error| failed("cannot list", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(
                Refusal::not_found("file that has arrived", name).with_hint("import it again")
            );
        }
        entries => entries.map_err(list_failed)?,
    };
    let mut members = Vec::new();
    for entry in entries {
        let entry = entry.map_err(list_failed)?;
        let length = entry.metadata().map_err(list_failed)?.len();
        members.push((entry.file_name().to_string_lossy().into_owned(), length));
    }
    members.sort_unstable();
    Ok(members)
}

/// Gives a file that has arrived its place, whole on the disk.
fn move_file(source: &Path, target: &Path, cancel: &CancellationToken) -> Result<(), Refusal> {
    let file = File::open(source).map_err(|error| unreadable(source, error))?;
    settle(&file, cancel)?;
    fs::rename(source, target).map_err(|error| failed("cannot move", source, error))
}

/// Whether a file is, up to its data, byte for byte what would be written here.
fn is_laid_out_so(file: &File, packed: &Packed) -> io::Result<bool> {
    if length(file)? != packed.length() {
        return Ok(false);
    }
    let mut found = vec![0; CLUSTER as usize];
    for number in 0..packed.first_data() {
        let Cluster::Table(mut bytes) = packed.cluster(number) else { return Ok(false) };
        bytes.resize(CLUSTER as usize, 0);
        file.read_exact_at(&mut found, number * CLUSTER)?;
        if found != bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a disk as a file of its own.
fn write(
    disk: &mut FlatDisk,
    packed: &Packed,
    to: &File,
    promise: &mut Promise,
    report: &Reporter,
    cancel: &CancellationToken,
) -> Result<(), Refusal> {
    let mut buffer = vec![0; CLUSTER as usize];
    for number in 0..packed.clusters() {
        cancel::check(cancel)?;
        let at = number * CLUSTER;
        match packed.cluster(number) {
            Cluster::Table(bytes) => write_data(to, &bytes, at)?,
            Cluster::Data(from) => {
                buffer.fill(0);
                let there = CLUSTER.min(disk.length() - from) as usize;
                disk.read_into(&mut buffer[..there], from)?;
                write_data(to, &buffer, at)?;
            }
        }
        promise.written(CLUSTER);
        // As often as anybody can see.
        if number % 256 == 0 {
            report.done(at);
        }
    }
    to.set_len(packed.length())?;
    settle(to, cancel)
}
