//! The images of the pool: listed, looked up, removed. They are made by [`crate::import`].
//!
//! What an image is stands in its `image.json`. Whenever it is looked up, that is held against its
//! files, as far as this can be done without reading them whole. One that cannot be used is shown
//! among the others with what is wrong with it, and left alone until it is mended or removed.

use crate::{
    cancel,
    confine::{Access, ConfinedFile, OpenFailed},
    format::{HEAD_LENGTH, qcow2::Qcow2Info},
    layers::{length, read_head},
    pool::{self, failed},
    storage::{Shared, Storage},
    volumes,
};
use innkeeper_model::{
    ByteSize, Code, DiskFormat, Image, ImageKind, ImageName, Refusal, Revision, Timestamp,
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

/// The description in an image's folder.
pub(crate) const DESCRIPTION: &str = "image.json";
/// A kernel's file in its image's folder.
pub(crate) const KERNEL: &str = "kernel";
/// Its initrd's.
pub(crate) const INITRD: &str = "initrd";

/// All images of the pool.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The images, by name. Those that cannot be used say why in their `problem`.
    pub images: Vec<Image>,
    /// What is among them and can be no image.
    pub damaged: Vec<DamagedImage>,
}

/// An image's bytes, open to be read.
#[derive(Debug)]
pub struct ImageFile {
    /// The file, at its beginning. What is removed meanwhile stays readable by it.
    pub file: File,
    /// Its length in bytes.
    pub length: u64,
    /// `sha256:` and its digest, in hexadecimal.
    pub digest: String,
}

/// Something in the folder of images that is no folder, or has a name that no image can have.
#[derive(Debug)]
pub struct DamagedImage {
    /// Its name.
    pub name: String,
    /// Where it is, left as it was.
    pub folder: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// The name of the file, in its image's folder, that holds the image's bytes.
pub(crate) fn data_file(kind: ImageKind, format: DiskFormat) -> &'static str {
    match (kind, format) {
        (ImageKind::Disk, DiskFormat::Qcow2) => "disk.qcow2",
        (ImageKind::Disk, DiskFormat::Raw) => "disk.raw",
        (ImageKind::Kernel, _) => KERNEL,
        (ImageKind::Iso, _) => "disc.iso",
    }
}

impl Storage {
    /// All images. Reads a small file an image, and the beginning of its bytes.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn images(&self) -> Result<Catalogue, Refusal> {
        let folder = &self.shared.pool.images;
        let list_failed = |error| failed("cannot list", folder, error);
        let mut catalogue = Catalogue::default();
        for entry in fs::read_dir(folder).map_err(list_failed)? {
            let entry = entry.map_err(list_failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let folder = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match name.parse().ok().filter(|_| is_folder) {
                Some(name) => catalogue.images.push(shown(&folder, name)),
                None => {
                    let reason = "it is no folder, or no image can have this name".to_owned();
                    catalogue.damaged.push(DamagedImage { name, folder, reason });
                }
            }
        }
        catalogue.images.sort_by(|a, b| a.name.cmp(&b.name));
        catalogue.damaged.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(catalogue)
    }

    /// One image.
    ///
    /// # Errors
    /// `not-found`; `quarantined`: it cannot be used, and why.
    pub fn image(&self, name: &ImageName) -> Result<Image, Refusal> {
        self.shared.image(name)
    }

    /// Opens an image's bytes as they are stored; of a kernel, the kernel. Blocks for a few system calls.
    ///
    /// # Errors
    /// As [`Storage::image`]; the system's.
    pub fn open_image(&self, name: &ImageName) -> Result<ImageFile, Refusal> {
        let image = self.shared.image(name)?;
        let file = self.shared.image_file(&image);
        let opened = file.open(Access::Read).map_err(|bad| bad.at("name"))?;
        let opened = File::from(opened);
        let length =
            length(&opened).map_err(|error| failed("cannot look at", file.path(), error))?;
        Ok(ImageFile { file: opened, length, digest: image.digest })
    }

    /// Removes an image and its files. That a stored VM names it is for the caller to have refused;
    /// that a volume is an overlay on it is refused here.
    ///
    /// # Errors
    /// `not-found`; `in-use` with the VMs whose volumes need it; the system's.
    pub async fn remove_image(&self, name: &ImageName) -> Result<(), Refusal> {
        let (shared, name) = (Arc::clone(&self.shared), name.clone());
        cancel::briefly(move || shared.remove_image(&name)).await
    }
}

impl Shared {
    pub(crate) fn image(&self, name: &ImageName) -> Result<Image, Refusal> {
        let folder = self.pool.image(name);
        if !folder.exists() {
            return Err(Refusal::not_found("image", name)
                .with_hint("`inn image list` shows the images there are"));
        }
        let described = describe(&folder, name);
        let usable = described.and_then(|image| check_files(&folder, &image).map(|()| image));
        usable.map_err(|problem| {
            let message = format!("image {name} cannot be used: {problem}");
            let mut refusal = Refusal::new(Code::Quarantined, message).with_hint(format!(
                "mend what is in {}, or remove the image and import it again",
                folder.display()
            ));
            refusal.value = Some(name.to_string());
            refusal
        })
    }

    /// The file of an image that was looked up.
    pub(crate) fn image_file(&self, image: &Image) -> ConfinedFile {
        self.file_of_image(&image.name, data_file(image.kind, image.format))
    }

    pub(crate) fn file_of_image(&self, name: &ImageName, file: &str) -> ConfinedFile {
        ConfinedFile::in_pool(&self.pool.folder, format!("images/{name}/{file}"))
    }

    fn remove_image(&self, name: &ImageName) -> Result<(), Refusal> {
        let _no_overlay_is_made =
            self.pool.image_use.write().unwrap_or_else(PoisonError::into_inner);
        let folder = self.pool.image(name);
        if !folder.exists() {
            return Err(Refusal::not_found("image", name));
        }
        let users = volumes::users_of(&self.pool, name)?;
        if let Some(first) = users.first() {
            let message = match users.len() {
                1 => format!("image {name} is in use: a disk of VM {first} is a copy of it"),
                count => format!("image {name} is in use by {count} VMs, {first} among them"),
            };
            return Err(Refusal::new(Code::InUse, message).with_hint("delete those VMs first"));
        }
        pool::remove_folder(&folder).map_err(|error| failed("cannot remove", &folder, error))
    }
}

/// An image as it is shown: with what is wrong with it, if it cannot be used.
fn shown(folder: &Path, name: ImageName) -> Image {
    let image = match describe(folder, &name) {
        Ok(image) => Image { problem: check_files(folder, &image).err(), ..image },
        Err(problem) => guessed(folder, name, problem),
    };
    if let Some(problem) = &image.problem {
        tracing::warn!(image = %image.name, problem, "an image cannot be used");
    }
    image
}

/// Reads what an image's folder says that it is.
fn describe(folder: &Path, name: &ImageName) -> Result<Image, String> {
    let text = fs::read(folder.join(DESCRIPTION)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("its {DESCRIPTION} is not there"),
        _ => format!("its {DESCRIPTION} cannot be read: {error}"),
    })?;
    let image: Image = serde_json::from_slice(&text)
        .map_err(|error| format!("its {DESCRIPTION} is not readable: {error}"))?;
    if image.name != *name {
        return Err(format!("its {DESCRIPTION} is of image {}", image.name));
    }
    Ok(Image { problem: None, ..image })
}

/// What can be said of an image without a description: as what it was stored, and how much it takes.
fn guessed(folder: &Path, name: ImageName, problem: String) -> Image {
    const STORED: [(ImageKind, DiskFormat); 4] = [
        (ImageKind::Disk, DiskFormat::Qcow2),
        (ImageKind::Disk, DiskFormat::Raw),
        (ImageKind::Kernel, DiskFormat::Raw),
        (ImageKind::Iso, DiskFormat::Raw),
    ];
    let file = |(kind, format)| fs::symlink_metadata(folder.join(data_file(kind, format)));
    let found = STORED.into_iter().find_map(|stored| Some((stored, file(stored).ok()?)));
    let (kind, format) = found.as_ref().map_or(STORED[1], |(stored, _)| *stored);
    let made = fs::metadata(folder).and_then(|folder| folder.modified()).ok();
    Image {
        name,
        kind,
        format,
        size: ByteSize(found.map_or(0, |(_, file)| file.blocks() * 512)),
        virtual_size: ByteSize(0),
        digest: String::new(),
        initrd: false,
        source: String::new(),
        lineage: None,
        created: made
            .and_then(|made| Timestamp::try_from(made).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH),
        problem: Some(problem),
        revision: Revision::default(),
    }
}

/// Whether an image's files can be what its description says. A disk's bytes behind its header are
/// not looked at.
fn check_files(folder: &Path, image: &Image) -> Result<(), String> {
    let name = data_file(image.kind, image.format);
    let (file, length) = open(folder, name)?;
    match image.format {
        DiskFormat::Raw if length != image.virtual_size.0 => {
            let expected = image.virtual_size.0;
            return Err(format!("its {name} has {length} bytes, and had {expected}"));
        }
        DiskFormat::Raw => {}
        DiskFormat::Qcow2 => {
            let head = read_head(&file, HEAD_LENGTH)
                .map_err(|error| format!("its {name} cannot be read: {error}"))?;
            let info = Qcow2Info::parse(&head, length).and_then(Qcow2Info::importable);
            let size = info.map_err(|bad| format!("its {name} is damaged: {bad}"))?.virtual_size;
            if size != image.virtual_size {
                let expected = image.virtual_size;
                return Err(format!("its {name} is a disk of {size}, and was one of {expected}"));
            }
        }
    }
    if image.initrd && open(folder, INITRD)?.1 == 0 {
        return Err(format!("its {INITRD} is empty"));
    }
    Ok(())
}

/// Opens a file of an image, and says how long it is.
fn open(folder: &Path, name: &str) -> Result<(File, u64), String> {
    let file = ConfinedFile::in_pool(folder, name).open(Access::Read);
    let file = file.map_err(|failed| match failed {
        OpenFailed::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            format!("its {name} is not there")
        }
        OpenFailed::Io { source, .. } => format!("its {name} cannot be opened: {source}"),
        _ => format!("its {name} is no file"),
    })?;
    let file = File::from(file);
    let length = length(&file).map_err(|error| format!("its {name} cannot be read: {error}"))?;
    Ok((file, length))
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
