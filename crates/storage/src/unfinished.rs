//! Which of the pool's VM folders are still being made, and what a crash left of them.
//!
//! A VM's folder begins with a marker in it and loses the marker when the VM's spec is stored. So
//! what a crash interrupted says so itself, and a folder without marker is never taken for it: that
//! it has no spec may only mean that the specs are on a disk which is not mounted.
//!
//! ```text
//!             claim, clone                finish
//!   nothing ---------------> unfinished ---------> finished
//!      ^                        |   |                 ^
//!      +------------------------+   +-----------------+
//!       abandon; sweep, no spec      sweep, with spec
//! ```
//!
//! Hidden folders beside the VMs' are not this module's: they go when the pool is opened.

use crate::{
    cancel,
    memory::half_made,
    pool::{self, WorkFolder, failed},
    storage::{Shared, Storage},
    volumes::create,
};
use innkeeper_model::{Code, Refusal, VmId};
use innkeeper_store::{harm, sync_folder};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The marker: an empty file in a VM's folder.
const MARKER: &str = ".unfinished";
/// What the name of a volume starts with while it is written.
pub(crate) const NEW_PREFIX: &str = ".new-";
/// What the names of `innkeeper-store`'s temporary files start with; a test compares.
const STORE_PREFIX: &str = ".tmp-";

/// What [`Storage::sweep`] found. The VMs are in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Whose unfinished folders were removed, with all that was in them.
    pub removed: Vec<VmId>,
    /// Whose folders are finished now: they have a spec, and only the marker was left to remove.
    pub finished: Vec<VmId>,
    /// The temporary files that were removed from folders which stay, and memory that never was whole.
    pub temporary: Vec<PathBuf>,
    /// Which finished folders belong to no stored VM. They were left as they are, but for temporary
    /// files.
    pub orphaned: Vec<VmId>,
}

impl Storage {
    /// Makes a VM's folder, marked as unfinished until [`Storage::finish_volumes`]. The mark is on
    /// the disk when this returns.
    ///
    /// # Errors
    /// `name-taken`: the VM has volumes already, finished or not; a full disk; the system's.
    /// [`Storage::abandon_volumes`] is right after any of them.
    pub async fn claim_volumes(&self, vm: VmId) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        cancel::briefly(move || {
            let work = WorkFolder::new(&shared.pool.volumes, "claim")?;
            shared.publish_unfinished(work, vm)
        })
        .await
    }

    /// Says that a VM is whole, its spec stored: its folder is no longer unfinished, and an empty one
    /// goes. That there is no folder or that it is finished is no failure.
    ///
    /// # Errors
    /// The system's; the folder is then still unfinished.
    pub async fn finish_volumes(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || {
            finish(&folder).map_err(|error| failed("cannot finish", &folder, error))
        })
        .await
    }

    /// Removes all that a VM has in the pool if it is unfinished, and nothing otherwise: what takes
    /// back [`Storage::claim_volumes`] and [`Storage::clone_volumes`], done, half done or refused.
    /// After a refusal the volumes that are there are another's, and
    /// [`Storage::remove_volumes`] would remove those.
    ///
    /// # Errors
    /// The system's; what is left is then removed by [`Storage::sweep`] or when the pool is opened.
    pub async fn abandon_volumes(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || {
            abandon(&folder).map_err(|error| failed("cannot remove", &folder, error))
        })
        .await
    }

    /// Clears up what a crash left in the VMs' folders. `has_spec` says whether a VM is stored, be
    /// its spec damaged or not. Unfinished folders without a spec are removed, those with one are
    /// finished; temporary files are removed from all, and memory that is half made from those with a
    /// spec. A finished folder without a spec is left alone and warned of. What `is_being_made`, by an operation that is on record and will be
    /// finished or undone, is left to that, but for temporary files.
    ///
    /// Blocks; to be called once, before anything else is done with the pool. What cannot be cleared
    /// up is logged, and left for the next time.
    ///
    /// # Errors
    /// The folder of volumes cannot be listed.
    pub fn sweep(
        &self,
        has_spec: impl Fn(VmId) -> bool,
        is_being_made: impl Fn(VmId) -> bool,
    ) -> Result<Swept, Refusal> {
        let volumes = &self.shared.pool.volumes;
        let mut swept = Swept::default();
        let vms = vms(volumes).map_err(|error| failed("cannot list", volumes, error))?;
        let (being_made, vms): (Vec<_>, Vec<_>) =
            vms.into_iter().partition(|vm| is_being_made(*vm));
        for vm in being_made {
            if let Err(error) = remove_temporary(&self.shared.pool.vm(vm), &mut swept.temporary) {
                tracing::warn!(%vm, %error, "what a crash left could not be cleared up");
            }
        }
        for vm in vms {
            let folder = self.shared.pool.vm(vm);
            if let Err(error) = swept.sweep(vm, &folder, has_spec(vm)) {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "what a crash left here could not be cleared up");
            }
        }
        if !swept.orphaned.is_empty() {
            let vms: Vec<_> = swept.orphaned.iter().map(VmId::to_string).collect();
            tracing::warn!(
                folder = %volumes.display(), vms = vms.join(" "),
                "there are volumes of VMs that are not stored; they are left alone. If the folder of \
                 stored VMs is what it should be, remove them by hand"
            );
        }
        Ok(swept)
    }
}

impl Swept {
    fn sweep(&mut self, vm: VmId, folder: &Path, has_spec: bool) -> io::Result<()> {
        let unfinished = is_unfinished(folder)?;
        if unfinished && !has_spec {
            pool::remove_folder(folder)?;
            self.removed.push(vm);
            return Ok(());
        }
        if !has_spec {
            self.orphaned.push(vm);
        }
        remove_temporary(folder, &mut self.temporary)?;
        if let Some(memory) = half_made(folder).filter(|_| has_spec) {
            harm::remove_file(&memory)?;
            self.temporary.push(memory);
            // A VM without volumes has no folder. Where there is something in it, it stays.
            drop(harm::remove_dir(folder));
        }
        if unfinished {
            finish(folder)?;
            self.finished.push(vm);
        }
        Ok(())
    }
}

impl Shared {
    /// Makes of a folder with finished files in it the folder of a VM, in one step, unfinished.
    pub(crate) fn publish_unfinished(&self, work: WorkFolder, vm: VmId) -> Result<(), Refusal> {
        let marker = work.path().join(MARKER);
        // It has no bytes to wait for, and publishing waits for its name.
        create(&marker).map_err(|error| failed("cannot make", &marker, error))?;
        let folder = self.pool.vm(vm);
        // One that is empty holds no volumes and is no obstacle; any other stays.
        drop(harm::remove_dir(&folder));
        work.publish(&folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Refusal::new(Code::NameTaken, format!("VM {vm} has volumes already"))
                    .with_hint(format!("they are in {}: choose another id", folder.display()))
            }
            _ => failed("cannot make", &folder, error),
        })
    }
}

/// Whether a file is what a crash left of one that was being written: its name says so.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes();
    [NEW_PREFIX, STORE_PREFIX].iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// Whether a VM's folder is there and unfinished.
fn is_unfinished(folder: &Path) -> io::Result<bool> {
    match folder.join(MARKER).symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        marker => marker.map(|_| true),
    }
}

fn finish(folder: &Path) -> io::Result<()> {
    match harm::remove_file(&folder.join(MARKER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    // From here on it is finished whatever happens: a marker or an empty folder that is there again
    // after a crash does a VM with a spec no harm.
    match harm::remove_dir(folder) {
        // Nothing was in it, so nothing in it can be lost.
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // There are volumes in it.
        Err(_) => {}
    }
    if let Err(error) = sync_folder(folder) {
        let folder = folder.display();
        tracing::warn!(%folder, %error, "finished, but the disk may not know of it yet");
    }
    Ok(())
}

fn abandon(folder: &Path) -> io::Result<()> {
    if is_unfinished(folder)? {
        pool::remove_folder(folder)?;
    }
    Ok(())
}

/// Removes the temporary files of a VM's folder, adding them to `removed`.
fn remove_temporary(folder: &Path, removed: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_temporary(&entry.file_name()) && entry.file_type()?.is_file() {
            harm::remove_file(&entry.path())?;
            removed.push(entry.path());
        }
    }
    Ok(())
}

/// The VMs that have a folder here. Links and what is not named for a VM are not the pool's.
pub(crate) fn vms(volumes: &Path) -> io::Result<Vec<VmId>> {
    let mut vms = Vec::new();
    for entry in fs::read_dir(volumes)? {
        let entry = entry?;
        let name = entry.file_name();
        let vm = name.to_str().and_then(|name| name.parse::<VmId>().ok());
        // An id can be written in several ways; the pool writes it in one.
        if let Some(vm) = vm.filter(|vm| name == *vm.to_string())
            && entry.file_type()?.is_dir()
        {
            vms.push(vm);
        }
    }
    vms.sort_unstable();
    Ok(vms)
}

#[cfg(test)]
#[path = "unfinished_tests.rs"]
mod tests;
