//! The host files that belong to memory which is kept.
//!
//! What is in the pool is one VM's. A file of the host's (`disks[].path`) can be a disk of several, and a
//! hypervisor's lock on it is gone with its machine: a suspended VM's must be looked after here. Whose
//! files these are is told by what a path leads to, not by how it is written.
//!
//! It is asked twice. When a machine is planned, so that nothing is begun which cannot be ended; and when
//! the machine is there and its CPUs are about to run, since hooks and guests that are shut down take their
//! time, in which the other VM may have been suspended. From then on the machine's own hypervisor has the
//! files, and the other one's cannot.

use crate::perform::hands::{Hands, blocking};
use innkeeper_model::{Code, Refusal, Spec, Vm, VmId, VmName, Want, config::Disk};
use innkeeper_storage::{Access, Storage};
use std::{
    fs::File,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

/// A disk of another VM that may belong to memory.
struct Kept {
    vm: VmId,
    name: VmName,
    disk: Disk,
    /// Whether its memory is known to be kept; else that is still to be looked up.
    is_known: bool,
}

impl Hands {
    /// Refuses to make a machine of a VM with a disk that another VM will look for as it left it, where
    /// either may write to it.
    ///
    /// # Errors
    /// `in-use`, with that VM and the file.
    pub(crate) async fn no_disk_is_in_anothers_memory(&self, spec: &Spec) -> Result<(), Refusal> {
        let own: Vec<Disk> = host_files(spec).cloned().collect();
        if own.is_empty() {
            return Ok(());
        }
        let snapshot = self.view.snapshot();
        let others = snapshot.vms.values().filter(|vm| vm.id != spec.id);
        let kept: Vec<Kept> = others.flat_map(|vm| may_be_kept(vm.value())).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let storage = self.storage.clone();
        let same = blocking(move || Ok(in_common(&storage, &own, kept))).await?;
        for (disk, kept) in same {
            // A record that cannot be read is of memory all the same: a version that can goes on from it.
            if kept.is_known || self.storage.memory(kept.vm).await.is_err() {
                return Err(refused(spec, &disk, &kept.name));
            }
        }
        Ok(())
    }

    /// The same of a VM whose machine is about to run.
    ///
    /// # Errors
    /// As [`Self::no_disk_is_in_anothers_memory`]; the view has stopped.
    pub(crate) async fn check_disks(&self, vm: VmId) -> Result<(), Refusal> {
        // What was told before this is in the snapshot.
        let told = self.view.barrier(Vec::new()).await;
        told.map_err(|_| Refusal::new(Code::ShuttingDown, "the daemon is stopping"))?;
        let known = self.view.snapshot().vms.get(&vm).and_then(|vm| vm.spec.clone());
        match known {
            Some(spec) => self.no_disk_is_in_anothers_memory(&spec).await,
            // Its queue is this task's, so nobody has removed it.
            None => Err(Refusal::not_found("VM", vm)),
        }
    }
}

/// The disks of a VM that are files of the host's.
fn host_files(spec: &Spec) -> impl Iterator<Item = &Disk> {
    spec.config.disks.iter().filter(|disk| disk.path.is_some())
}

/// The host files that a VM's memory goes with, if it has any: not a disk that was added since.
fn may_be_kept(vm: &Vm) -> Vec<Kept> {
    // Of memory whose record cannot be read this is what is known.
    let may_have_some = !vm.is_on() && (vm.want == Some(Want::Suspended) || vm.problem.is_some());
    let Some(spec) = vm.spec.as_ref().filter(|_| vm.memory.is_some() || may_have_some) else {
        return Vec::new();
    };
    let is_its = |disk: &&Disk| match &vm.memory {
        Some(memory) => memory.incarnation.block_nodes.contains_key(disk.name.as_str()),
        None => true,
    };
    let kept = |disk: &Disk| Kept {
        vm: vm.id,
        name: vm.name.clone(),
        disk: disk.clone(),
        is_known: vm.memory.is_some(),
    };
    host_files(spec).filter(is_its).map(kept).collect()
}

/// Which of one's own disks are disks of others, too, where either may write. Blocks.
fn in_common(storage: &Storage, own: &[Disk], kept: Vec<Kept>) -> Vec<(Disk, Kept)> {
    let own: Vec<(HostFile, &Disk)> =
        own.iter().filter_map(|disk| Some((HostFile::of(storage, disk)?, disk))).collect();
    let shared = |kept: Kept| {
        let file = HostFile::of(storage, &kept.disk)?;
        let may_write = |disk: &Disk| !(disk.is_read_only() && kept.disk.is_read_only());
        let (_, disk) = own.iter().find(|(its, disk)| *its == file && may_write(disk))?;
        Some(((*disk).clone(), kept))
    };
    kept.into_iter().filter_map(shared).collect()
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum HostFile {
    /// A file: its file system, and its number there.
    File(u64, u64),
    /// A block device, whichever its name.
    Device(u64),
}

impl HostFile {
    /// That of a disk. What cannot be opened is nobody's: it is no disk of a machine that is to be made,
    /// since all of that one's were opened.
    fn of(storage: &Storage, disk: &Disk) -> Option<Self> {
        let file = storage.open_file(disk.path.as_deref()?, Access::Read).ok()?;
        let found = File::from(file).metadata().ok()?;
        Some(match found.file_type().is_block_device() {
            true => Self::Device(found.rdev()),
            false => Self::File(found.dev(), found.ino()),
        })
    }
}

fn refused(spec: &Spec, disk: &Disk, by: &VmName) -> Refusal {
    let path = disk.path.as_deref().unwrap_or(Path::new("")).display();
    let name = &spec.config.name;
    let message = format!(
        "disk {} of VM {name} is {path}, which belongs to the memory of VM {by}",
        disk.name
    );
    let mut refusal = Refusal::new(Code::InUse, message)
        .at(format!("disks[{}].path", disk.name))
        .with_hint(format!(
            "VM {by} is suspended: inn resume {by}, then inn stop {by}; or give its memory up: \
                 inn start --discard-memory {by}, then inn stop {by}"
        ));
    refusal.value = Some(path.to_string());
    refusal
}
