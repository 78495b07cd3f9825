//! The volumes of a VM: its disks that can be written to, and its UEFI variables.
//!
//! A disk is a qcow2 file, an overlay on an image or blank. What it is an overlay on stands in its
//! header and nowhere else; guests cannot reach a qcow2 file's header.

use crate::{
    cancel,
    confine::{Access, ConfinedFile},
    format::{
        blank::{self, Base},
        qcow2::Qcow2Info,
    },
    images,
    layers::{field, read_head},
    pool::{self, Pool, failed, make_folder, rename_new},
    storage::{Shared, Storage},
    unfinished::{NEW_PREFIX, is_temporary},
};
use innkeeper_model::{
    ByteSize, DeviceName, DiskFormat, ImageName, Refusal, VmId,
    config::{Disk, DiskKind},
};
use innkeeper_store::{harm, sync_folder, write_atomically};
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::OwnedFd,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

/// The UEFI variables' file in a VM's folder.
pub(crate) const NVRAM: &str = "nvram.fd";
/// How much of a volume holds its whole header: QEMU's extensions and a name of 1023 bytes, with
/// room to spare. There may be many volumes to look at.
const HEADER: usize = 4 << 10;
/// The largest template of UEFI variables: OVMF's is 528 KiB.
pub(crate) const MAX_NVRAM: u64 = 64 << 20;

/// Whether something was made, or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made now.
    Now,
    /// It was there, and was left as it was.
    Before,
}

/// Whether a disk is a volume of its VM: a hard disk that is a copy of an image or starts blank. A
/// CD-ROM is its image, and a host file is itself.
pub fn needs_volume(disk: &Disk) -> bool {
    disk.kind == DiskKind::Disk && disk.path.is_none()
}

impl Storage {
    /// Makes the volume of a disk; nothing for a disk that needs none. A volume that is there is kept
    /// as it is, whatever `disk` says now, so that this can be repeated after a crash.
    ///
    /// # Errors
    /// No such image, or it is larger than the size that is asked for; a size over the limit; a full
    /// disk. The field is `disks[NAME].…`, and nothing was made.
    pub async fn create_volume(&self, vm: VmId, disk: &Disk) -> Result<Made, Refusal> {
        let (shared, disk) = (Arc::clone(&self.shared), disk.clone());
        cancel::briefly(move || shared.create_volume(vm, &disk)).await
    }

    /// Removes one disk's volume. That there is none is no failure.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_volume(&self, vm: VmId, disk: &DeviceName) -> Result<(), Refusal> {
        let file = self.shared.pool.volume(vm, disk);
        cancel::briefly(move || match harm::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("cannot remove", &file, error))
            }
            _ => Ok(()),
        })
        .await
    }

    /// Removes all that a VM has in the pool: volumes, UEFI variables, seed. That there is nothing is
    /// no failure.
    ///
    /// # Errors
    /// The system's; what is left is then out of sight, and removed when the pool is next opened.
    pub async fn remove_volumes(&self, vm: VmId) -> Result<(), Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || {
            pool::remove_folder(&folder).map_err(|error| failed("cannot remove", &folder, error))
        })
        .await
    }

    /// Gives a VM its UEFI variables: a copy of the firmware's template, which the caller names and
    /// trusts. Variables that are there are kept.
    ///
    /// # Errors
    /// The template cannot be read; a full disk.
    pub async fn create_nvram(&self, vm: VmId, template: &Path) -> Result<Made, Refusal> {
        let (shared, template) = (Arc::clone(&self.shared), template.to_owned());
        cancel::briefly(move || create_nvram(&shared.pool.vm(vm), &template)).await
    }

    /// The file of a VM's UEFI variables.
    pub fn nvram(&self, vm: VmId) -> ConfinedFile {
        let pool = &self.shared.pool.folder;
        ConfinedFile::in_pool(pool, format!("volumes/{vm}/{NVRAM}"))
    }
}

impl Shared {
    fn create_volume(&self, vm: VmId, disk: &Disk) -> Result<Made, Refusal> {
        if !needs_volume(disk) {
            return Ok(Made::Before);
        }
        let volume = self.pool.volume(vm, &disk.name);
        if volume.exists() {
            return Ok(Made::Before);
        }
        let _image_stays = self.pool.image_use.read().unwrap_or_else(PoisonError::into_inner);
        let (size, base) = self.size_and_base(disk)?;
        let base = base.as_ref().map(|(path, format)| Base { path, format: *format });
        let blank = blank::blank(size, base.as_ref());
        self.pool.room.refuse_if_full(blank.length)?;
        let folder = self.pool.vm(vm);
        make_folder(&folder)
            .and_then(|()| write_new_volume(&folder, &volume, &blank))
            .map_err(|error| failed("cannot make", &volume, error))
    }

    /// How large a disk's volume is, and the image under it as its header will name it.
    ///
    /// # Errors
    /// The image cannot be used, or is larger than the size that is asked for; a size over the limit.
    pub(crate) fn size_and_base(
        &self,
        disk: &Disk,
    ) -> Result<(ByteSize, Option<(String, DiskFormat)>), Refusal> {
        let (size, base) = match &disk.image {
            Some(_) => self.size_over_image(disk).map(|(size, base)| (size, Some(base)))?,
            None => {
                let missing = || Refusal::invalid(field(disk, "size"), "", "is not there");
                (disk.size.ok_or_else(missing)?, None)
            }
        };
        let limit = self.options.max_virtual_size;
        if size > limit {
            let at = if disk.size.is_some() { "size" } else { "image" };
            let problem = format!("is larger than a disk may be: {limit}");
            return Err(Refusal::invalid(field(disk, at), size, problem)
                .with_limit(limit)
                .with_hint("an operator can allow more: storage.max_virtual_size"));
        }
        Ok((size, base))
    }

    fn size_over_image(&self, disk: &Disk) -> Result<(ByteSize, (String, DiskFormat)), Refusal> {
        let image = self.disk_image(disk)?;
        let opened = self.image_file(&image).open(Access::Read);
        opened.map_err(|bad| bad.at(field(disk, "image")))?;
        let size = disk.size.unwrap_or(image.virtual_size);
        if size < image.virtual_size {
            let least = image.virtual_size;
            let problem = format!("is smaller than image {}, which has {least}", image.name);
            return Err(Refusal::invalid(field(disk, "size"), size, problem).with_limit(least));
        }
        let file = images::data_file(image.kind, image.format);
        let path = format!("{BASE_PREFIX}{}/{file}", image.name);
        Ok((size, (path, image.format)))
    }
}

/// What an image's path begins with in the header of an overlay: as seen from the overlay's folder,
/// so that a pool can be moved.
const BASE_PREFIX: &str = "../../images/";

/// The VMs that have an overlay on this image, in no order. Opens every volume.
pub(crate) fn users_of(pool: &Pool, image: &ImageName) -> Result<Vec<String>, Refusal> {
    let list_failed = |error| failed("cannot list", &pool.volumes, error);
    let mut users = Vec::new();
    for vm in fs::read_dir(&pool.volumes).map_err(list_failed)? {
        let vm = vm.map_err(list_failed)?;
        // A clone that is being made counts too: it is hidden, and names the image. What could not be
        // removed to the end is nobody's any more.
        if !vm.file_type().is_ok_and(|kind| kind.is_dir()) || pool::is_removed(&vm.file_name()) {
            continue;
        }
        if uses(&vm.path(), image).map_err(|error| failed("cannot list", &vm.path(), error))? {
            users.push(vm.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(users)
}

fn uses(folder: &Path, image: &ImageName) -> io::Result<bool> {
    let prefix = format!("{BASE_PREFIX}{image}/");
    let entries = match fs::read_dir(folder) {
        // Removed since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // What a crash left half written is no overlay, and its header may make no sense.
        if is_temporary(&entry.file_name()) {
            continue;
        }
        if path.extension().is_some_and(|extension| extension == "qcow2")
            && base_of(&path)?.is_some_and(|base| base.starts_with(&prefix))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the header of a volume names as its base.
fn base_of(volume: &Path) -> io::Result<Option<String>> {
    let file = match File::open(volume) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    let info = Qcow2Info::parse(&read_head(&file, HEADER)?, length);
    // A volume that makes no sense cannot be said not to use the image, so nothing is removed.
    let info = info.map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
    Ok(info.backing_file)
}

/// Writes a new volume under a name that a crash's leftover cannot be taken for, then gives it its
/// own.
fn write_new_volume(folder: &Path, volume: &Path, blank: &blank::Blank) -> io::Result<Made> {
    let name = volume.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!("{NEW_PREFIX}{name}"));
    let written = create(&temporary).and_then(|file| {
        let file = File::from(file);
        file.set_len(blank.length)?;
        file.write_all_at(&blank.bytes, 0)?;
        file.sync_data()?;
        rename_new(&temporary, volume)?;
        sync_folder(folder)
    });
    match written {
        Ok(()) => Ok(Made::Now),
        Err(error) => {
            drop(harm::remove_file(&temporary));
            match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(Made::Before),
                _ => Err(error),
            }
        }
    }
}

/// A new, empty file in place of what an earlier attempt left.
pub(crate) fn create(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?)
}

fn create_nvram(folder: &Path, template: &Path) -> Result<Made, Refusal> {
    let nvram: PathBuf = folder.join(NVRAM);
    if nvram.exists() {
        return Ok(Made::Before);
    }
    let mut bytes = Vec::new();
    File::open(template)
        .and_then(|file| file.take(MAX_NVRAM + 1).read_to_end(&mut bytes))
        .and_then(|length| match length as u64 {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            1..=MAX_NVRAM => Ok(()),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        })
        .map_err(|error| failed("cannot read the template of UEFI variables,", template, error))?;
    make_folder(folder).map_err(|error| failed("cannot make", folder, error))?;
    write_atomically(&nvram, &bytes, 0o600)?;
    Ok(Made::Now)
}

#[cfg(test)]
#[path = "volumes_tests.rs"]
mod tests;
