//! From what was asked for to what storage takes in as an image.

use crate::accept::{
    request::{AddImage, ImageFrom},
    work::spec_of,
};
use innkeeper_model::{
    DeviceName, Refusal, Vm, VmId,
    config::{Disk, DiskKind},
};
use innkeeper_storage::{ImportRequest, ImportSource};
use innkeeper_view::Snapshot;

/// What storage is asked for. A VM's disk is what it is now, which its task has the VM for.
pub(crate) fn import_request(
    image: &AddImage,
    snapshot: &Snapshot,
) -> Result<ImportRequest, Refusal> {
    let source = match &image.from {
        ImageFrom::File(path) => ImportSource::File(path.clone()),
        ImageFrom::Url { url, checksum } => {
            let checksum = checksum.as_deref().ok_or_else(|| {
                let problem = "needs the checksum of what is expected there";
                Refusal::invalid("checksum", "", problem).with_hint("add --checksum sha256:…")
            })?;
            let digest = checksum.strip_prefix("sha256:").unwrap_or(checksum);
            ImportSource::Url { url: url.clone(), checksum: format!("sha256:{digest}") }
        }
        ImageFrom::Disk { vm, disk } => disk_source(*vm, disk.as_ref(), snapshot)?,
        ImageFrom::Upload { sha256 } => ImportSource::Upload { sha256: sha256.clone() },
    };
    Ok(ImportRequest {
        name: image.name.clone(),
        kind: image.kind,
        source,
        format: image.format,
        initrd: image.initrd.clone(),
    })
}

fn disk_source(
    vm: VmId,
    disk: Option<&DeviceName>,
    snapshot: &Snapshot,
) -> Result<ImportSource, Refusal> {
    let record = snapshot.vms.get(&vm).ok_or_else(|| Refusal::not_found("VM", vm))?;
    let disk = Box::new(disk_of(record, disk)?);
    Ok(ImportSource::Disk { vm, vm_name: record.name.clone(), disk })
}

/// The disk of a VM that has this name, or the first that is no CD-ROM.
///
/// # Errors
/// It has none, or not this one; its spec cannot be read.
pub(crate) fn disk_of(vm: &Vm, name: Option<&DeviceName>) -> Result<Disk, Refusal> {
    let spec = spec_of(vm)?;
    let is_meant = |disk: &&Disk| match name {
        Some(name) => disk.name == *name,
        None => disk.kind == DiskKind::Disk,
    };
    let found = spec.config.disks.iter().find(is_meant).cloned();
    found.ok_or_else(|| {
        let refusal = match name {
            Some(name) => Refusal::not_found("disk", name),
            None => Refusal::not_found("disk of VM", &vm.name),
        };
        refusal.at("from_disk.disk")
    })
}
