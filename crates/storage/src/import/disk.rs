//! An image of a VM's disk: all its layers as one raw file, and the record of where it comes from.

use super::{Import, ImportSource, SOURCE};
use crate::{
    cancel, layers,
    pool::failed,
    progress::{Phase, Reporter},
    storage::Shared,
    volumes::create,
};
use innkeeper_model::{
    Ancestor, Lineage, Refusal, Timestamp, VmId,
    config::{Disk, DiskKind},
};
use std::{fs::File, sync::Arc};

impl Import<'_> {
    /// Writes what is on a VM's disk into the work folder.
    pub(super) async fn bring_disk(&self, vm: VmId, disk: &Disk) -> Result<(), Refusal> {
        let (shared, disk) = (Arc::clone(self.shared), disk.clone());
        let source = self.folder.join(SOURCE);
        let on_progress = Arc::clone(self.on_progress);
        cancel::blocking(self.cancel, move |cancel| {
            shared.check_disk_source(&disk)?;
            let mut flat = shared.open_disk(vm, &disk)?;
            let to = File::from(create(&source).map_err(|e| failed("cannot make", &source, e))?);
            let report = Reporter::new(&on_progress, Phase::Copying, Some(flat.length()));
            flat.copy_to(&to, &shared.pool.room, &report, cancel)
        })
        .await
    }

    /// What the image comes from that is made of a disk, which was read at this time.
    pub(super) fn lineage(&self, taken: Timestamp) -> Result<Option<Lineage>, Refusal> {
        let ImportSource::Disk { vm, vm_name, disk } = &self.request.source else {
            return Ok(None);
        };
        // It has not changed since the disk was read: a VM's disk is a copy of it.
        let image = disk.image.is_some().then(|| self.shared.disk_image(disk)).transpose()?;
        Ok(Some(Lineage {
            vm: *vm,
            vm_name: vm_name.clone(),
            disk: disk.name.clone(),
            image: image.map(|image| Ancestor { name: image.name, digest: image.digest }),
            taken,
        }))
    }
}

impl Shared {
    /// Refuses a disk that no image is made of, without reading it.
    pub(super) fn check_disk_source(&self, disk: &Disk) -> Result<(), Refusal> {
        if disk.kind == DiskKind::Cdrom {
            let problem = "is a CD-ROM: an image is made of a disk";
            return Err(Refusal::invalid("from_disk.disk", &disk.name, problem));
        }
        if disk.image.is_some() {
            self.disk_image(disk)?;
        } else if disk.path.is_some() {
            self.lowest_layer(disk)?.open(crate::Access::Read, &layers::field(disk, "path"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
