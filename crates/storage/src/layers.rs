//! What a driver must open for a VM: its disks, layer by layer, and its kernel.

use crate::{
    confine::{Access, ConfinedFile, OpenFailed},
    format::{BadDisk, HEAD_LENGTH, qcow2::Qcow2Info},
    images::INITRD,
    kernel,
    storage::{Shared, Storage},
};
use innkeeper_model::{
    DiskFormat, DiskLayers, Image, ImageKind, KernelFiles, Layer, Refusal, VmId,
    config::{Disk, DiskKind, KernelBoot},
};
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

/// One file of a disk in the folder that it must not lead out of.
pub(crate) struct ConfinedLayer {
    file: ConfinedFile,
    format: DiskFormat,
}

impl ConfinedLayer {
    pub(crate) const fn format(&self) -> DiskFormat {
        self.format
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Opens it; a refusal blames this field.
    ///
    /// A qcow2 file that is not Innkeeper's own is looked at on the very descriptor that is returned:
    /// its owner may have given it a backing file since it was last looked at.
    pub(crate) fn open(&self, access: Access, field: &str) -> Result<OwnedFd, Refusal> {
        let file = File::from(self.file.open(access).map_err(|bad| bad.at(field))?);
        if self.format == DiskFormat::Qcow2 && !self.file.is_pools() {
            let looked = read_head(&file, HEAD_LENGTH).and_then(|head| Ok((head, length(&file)?)));
            let (head, length) = looked.map_err(|error| unreadable(self.file.path(), error))?;
            Qcow2Info::parse(&head, length).and_then(Qcow2Info::importable).map_err(|bad| {
                BadDisk::from(bad).at(field, &self.file.path().display().to_string())
            })?;
        }
        Ok(file.into())
    }
}

impl Storage {
    /// The layers of a VM's disk. Everything is opened once to see that it is there; a driver opens
    /// each itself with [`Storage::open_layer`], which checks again.
    ///
    /// # Errors
    /// A file is missing, outside the allowed folders, behind a link, or not what it was declared
    /// to be; the field is `disks[NAME].…`.
    pub fn disk_layers(&self, vm: VmId, disk: &Disk) -> Result<DiskLayers, Refusal> {
        let layers = self.shared.layers(vm, disk)?;
        for layer in &layers {
            layer.open(Access::Read, &field(disk, "path"))?;
        }
        let named =
            |layer: ConfinedLayer| Layer { path: layer.file.path().into(), format: layer.format };
        Ok(DiskLayers { layers: layers.into_iter().map(named).collect() })
    }

    /// Refuses a disk that no VM could have, as it would be refused when it is made or opened; nothing
    /// is made. Blocks for a look at the beginning of a file.
    ///
    /// # Errors
    /// No such image, or not one for such a disk, or a damaged one; a size below the image's or over
    /// the limit; a host file that is missing, outside the allowed folders, behind a link, or not what
    /// it was declared to be. The field is `disks[NAME].…`.
    pub fn check_disk(&self, disk: &Disk) -> Result<(), Refusal> {
        if crate::needs_volume(disk) {
            return self.shared.size_and_base(disk).map(drop);
        }
        self.shared.lowest_layer(disk)?.open(Access::Read, &field(disk, "path")).map(drop)
    }

    /// Opens one file of a disk. Only the first layer of a disk is ever written to.
    ///
    /// # Errors
    /// It leads out of its folder, is not there, or is not what it was declared to be.
    pub fn open_layer(&self, layer: &Layer, access: Access) -> Result<OwnedFd, Refusal> {
        let file = self.confined(&layer.path)?;
        ConfinedLayer { file, format: layer.format }.open(access, "path")
    }

    /// Opens a file of the pool, or one in a folder that the operator allowed; nothing else, whatever
    /// the path leads to by the time it is opened.
    ///
    /// # Errors
    /// It is neither, leads out of its folder, or cannot be opened.
    pub fn open_file(&self, path: &Path, access: Access) -> Result<OwnedFd, Refusal> {
        self.confined(path)?.open(access).map_err(|bad| bad.at("path"))
    }

    fn confined(&self, path: &Path) -> Result<ConfinedFile, Refusal> {
        let pool = &self.shared.pool.folder;
        match path.strip_prefix(pool) {
            Ok(relative) => Ok(ConfinedFile::in_pool(pool, relative)),
            Err(_) => self.shared.allowed.file(path).map_err(|bad| bad.at("path")),
        }
    }

    /// The files of a direct boot, with the kernel's header checked where it is not an image's.
    ///
    /// # Errors
    /// No such image, or it is no kernel; a path outside the allowed folders; a kernel that cannot
    /// be booted, called by what it is.
    pub fn kernel_files(&self, boot: &KernelBoot) -> Result<KernelFiles, Refusal> {
        self.shared.kernel_files(boot)
    }
}

impl Shared {
    pub(crate) fn layers(&self, vm: VmId, disk: &Disk) -> Result<Vec<ConfinedLayer>, Refusal> {
        if !crate::needs_volume(disk) {
            return Ok(vec![self.lowest_layer(disk)?]);
        }
        let volume = format!("volumes/{vm}/{}.qcow2", disk.name);
        let volume = ConfinedLayer {
            file: ConfinedFile::in_pool(&self.pool.folder, volume),
            format: DiskFormat::Qcow2,
        };
        let image = disk.image.is_some().then(|| self.lowest_layer(disk)).transpose()?;
        Ok([volume].into_iter().chain(image).collect())
    }

    /// What a disk is of or over: its host file, or its image.
    pub(crate) fn lowest_layer(&self, disk: &Disk) -> Result<ConfinedLayer, Refusal> {
        if let Some(path) = &disk.path {
            let file = self.allowed.file(path).map_err(|bad| bad.at(field(disk, "path")))?;
            return Ok(ConfinedLayer { file, format: disk.format.unwrap_or(DiskFormat::Raw) });
        }
        if disk.image.is_none() && disk.kind == DiskKind::Cdrom {
            let problem = "is a CD-ROM drive without a disc: give it an image or a path";
            return Err(Refusal::invalid(field(disk, "kind"), "cdrom", problem));
        }
        let image = self.disk_image(disk)?;
        Ok(ConfinedLayer { file: self.image_file(&image), format: image.format })
    }

    /// The image that a disk names, if it is one for such a disk.
    pub(crate) fn disk_image(&self, disk: &Disk) -> Result<Image, Refusal> {
        let at = field(disk, "image");
        let Some(name) = &disk.image else {
            return Err(Refusal::invalid(at, "", "is not there"));
        };
        let image = self.image(name).map_err(|refusal| refusal.at(at.clone()))?;
        let problem = match (disk.kind, image.kind) {
            (DiskKind::Disk, ImageKind::Disk) | (DiskKind::Cdrom, ImageKind::Iso) => {
                return Ok(image);
            }
            (DiskKind::Disk, ImageKind::Iso) => "is a CD-ROM; say kind: cdrom",
            (DiskKind::Cdrom, ImageKind::Disk) => "is a disk, not a CD-ROM",
            (_, ImageKind::Kernel) => "is a kernel; name it in boot.kernel.image",
        };
        Err(Refusal::invalid(at, name, problem))
    }

    pub(crate) fn allowed_file(&self, path: &Path, field: &str) -> Result<ConfinedFile, Refusal> {
        let at = |bad: OpenFailed| bad.at(field);
        let file = self.allowed.file(path).map_err(at)?;
        file.open(Access::Read).map_err(at)?;
        Ok(file)
    }

    fn kernel_files(&self, boot: &KernelBoot) -> Result<KernelFiles, Refusal> {
        if let Some(name) = &boot.image {
            let at = "boot.kernel.image";
            let image = self.image(name).map_err(|refusal| refusal.at(at))?;
            if image.kind != ImageKind::Kernel {
                let problem = "is not a kernel: import one with --kind kernel";
                return Err(Refusal::invalid(at, name, problem));
            }
            let initrd = image.initrd.then(|| path_of(&self.file_of_image(name, INITRD)));
            return Ok(KernelFiles { kernel: path_of(&self.image_file(&image)), initrd });
        }
        let Some(path) = &boot.path else {
            let problem = "needs exactly one of image and path";
            return Err(Refusal::invalid("boot.kernel", "", problem));
        };
        let at = "boot.kernel.path";
        let kernel = self.allowed_file(path, at)?;
        let opened = File::from(kernel.open(Access::Read).map_err(|bad| bad.at(at))?);
        kernel::identify(&opened).map_err(|bad| bad.at(at, &path.display().to_string()))?;
        let initrd = boot.initrd.as_ref();
        let initrd = initrd.map(|path| self.allowed_file(path, "boot.kernel.initrd"));
        let initrd = initrd.transpose()?.as_ref().map(path_of);
        Ok(KernelFiles { kernel: path_of(&kernel), initrd })
    }
}

fn path_of(file: &ConfinedFile) -> PathBuf {
    file.path().into()
}

/// A field of a disk, for a refusal.
pub(crate) fn field(disk: &Disk, name: &str) -> String {
    format!("disks[{}].{name}", disk.name)
}

/// The beginning of a file, at most so many bytes.
pub(crate) fn read_head(file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; most];
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    head.truncate(filled);
    Ok(head)
}

/// The length of a file or block device.
pub(crate) fn length(file: &File) -> io::Result<u64> {
    match file.metadata()?.len() {
        // A block device has no length but an end.
        0 => Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?),
        length => Ok(length),
    }
}

pub(crate) fn unreadable(path: &Path, error: io::Error) -> Refusal {
    let mut refusal = Refusal::from(error);
    refusal.message = format!("cannot read {}: {}", path.display(), refusal.message);
    refusal
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
