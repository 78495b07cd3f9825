//! Copies of a stopped VM's volumes for another VM.
//!
//! A copy is as deep as the overlay: it stands on the same image as the original, and on nothing
//! else. Where the file system can, the two share their blocks until one of them writes.

use crate::{
    cancel,
    confine::{Access, ConfinedFile},
    copy,
    pool::{WorkFolder, failed},
    progress::{OnProgress, Phase, Reporter},
    settle::settle,
    storage::{Shared, Storage},
    volumes::{NVRAM, create},
};
use innkeeper_model::{Refusal, VmId};
use std::{fs::File, io, path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

/// One file to copy.
struct Part {
    name: String,
    file: File,
    length: u64,
}

impl Storage {
    /// Copies the volumes and UEFI variables of one VM for another, which must have none yet. That
    /// the first is stopped is for the caller to know. Its seed is not copied, since that tells a
    /// guest which one it is: see [`Storage::write_seed`].
    ///
    /// All appears in one step, marked as unfinished until [`Storage::finish_volumes`]; so it does
    /// where there is nothing to copy. Cancelling it, or dropping the future, leaves nothing.
    ///
    /// # Errors
    /// The other VM has volumes; the disk is full; cancelled; the system's.
    /// [`Storage::abandon_volumes`] is right after any of them.
    pub async fn clone_volumes(
        &self,
        from: VmId,
        to: VmId,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let (shared, on_progress) = (Arc::clone(&self.shared), Arc::clone(on_progress));
        cancel::blocking(cancel, move |cancel| shared.clone_volumes(from, to, &on_progress, cancel))
            .await
    }
}

impl Shared {
    fn clone_volumes(
        &self,
        from: VmId,
        to: VmId,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let parts = parts(&self.pool.vm(from))?;
        let total = parts.iter().map(|part| part.length).sum();
        let report = Reporter::new(on_progress, Phase::Copying, Some(total));
        let work = WorkFolder::new(&self.pool.volumes, "clone")?;
        let mut before = 0;
        for part in parts {
            let target = work.path().join(&part.name);
            let copied = create(&target)
                .map(File::from)
                .map_err(|error| failed("cannot make", &target, error))?;
            let report = report.after(before);
            copy::copy(&part.file, &copied, &self.pool.room, &report, cancel)?;
            settle(&copied, cancel)?;
            before += part.length;
        }
        self.publish_unfinished(work, to)
    }
}

/// What of a VM is copied. No folder is nothing to copy.
fn parts(folder: &Path) -> Result<Vec<Part>, Refusal> {
    let list_failed = |error| failed("cannot list", folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(list_failed)?,
    };
    let mut parts = Vec::new();
    for entry in entries {
        let name = entry.map_err(list_failed)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.starts_with('.') || !(name.ends_with(".qcow2") || name == NVRAM) {
            continue;
        }
        let opened = ConfinedFile::in_pool(folder, &name).open(Access::Read);
        let file = File::from(opened.map_err(|bad| bad.at("volume"))?);
        let length = file.metadata().map_err(list_failed)?.len();
        parts.push(Part { name, file, length });
    }
    Ok(parts)
}

#[cfg(test)]
#[path = "clone_tests.rs"]
mod tests;
