//! What has arrived of a VM from a file: in a hidden folder of `uploads/`, and gone when nobody has it
//! any more.

use super::Manifest;
use crate::pool::{Pool, WorkFolder};
use innkeeper_model::{Refusal, VmId};
use std::path::Path;

/// A VM that has arrived whole and was found to be sound, and of which a task can make one. Dropping it
/// throws away what no task has taken.
#[derive(Debug)]
pub struct StagedVm {
    manifest: Manifest,
    nvram: Option<u64>,
    staging: Staging,
}

impl StagedVm {
    pub(super) const fn new(manifest: Manifest, nvram: Option<u64>, staging: Staging) -> Self {
        Self { manifest, nvram, staging }
    }

    /// What it is.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many bytes its UEFI variables have, where it has any.
    pub const fn nvram(&self) -> Option<u64> {
        self.nvram
    }

    /// What [`crate::Storage::bring_volumes`] knows it by.
    pub fn name(&self) -> &str {
        &self.staging.name
    }
}

/// No two of them are the same.
impl PartialEq for StagedVm {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

/// The folder that something arrives in.
#[derive(Debug)]
pub(super) struct Staging {
    folder: Option<WorkFolder>,
    name: String,
}

impl Staging {
    pub(super) fn new(pool: &Pool) -> Result<Self, Refusal> {
        // A name that no later daemon gives again: a journal may have it for long.
        let folder = WorkFolder::new(&pool.uploads, &format!("arrival-{}", VmId::new()))?;
        let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder: Some(folder), name })
    }

    /// The path of a member, whose name has been looked at.
    pub(super) fn path(&self, member: &str) -> std::path::PathBuf {
        self.folder.as_ref().map_or(Path::new(""), WorkFolder::path).join(member)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take() else { return };
        // Removing what may be gigabytes takes a moment, which is not the thread's of whoever drops it.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(folder))),
            Err(_) => drop(folder),
        }
    }
}
