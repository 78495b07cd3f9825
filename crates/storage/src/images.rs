//! The images of the pool: listed, looked up, removed. They are made by [`crate::import`].
//!
//! What an image is stands in its `image.json`. One that cannot be read is reported beside the
//! others and left alone.

use crate::{
    cancel,
    confine::ConfinedFile,
    pool::{self, failed},
    storage::{Shared, Storage},
    volumes,
};
use innkeeper_model::{Code, DiskFormat, Image, ImageKind, ImageName, Refusal};
use std::{
    fs, io,
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
    /// Those that can be used, by name.
    pub images: Vec<Image>,
    /// Those that cannot.
    pub damaged: Vec<DamagedImage>,
}

/// An image whose description cannot be read.
#[derive(Debug)]
pub struct DamagedImage {
    /// The name of its folder.
    pub name: String,
    /// Its folder, which was left as it is.
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
    /// All images. Reads a small file an image.
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
            match describe(&entry.path(), &name) {
                Ok(image) => catalogue.images.push(image),
                Err(reason) => {
                    catalogue.damaged.push(DamagedImage { name, folder: entry.path(), reason })
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
    /// `not-found`, or its description cannot be read.
    pub fn image(&self, name: &ImageName) -> Result<Image, Refusal> {
        self.shared.image(name)
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
        describe(&folder, name.as_str()).map_err(|reason| {
            let message = format!("image {name} cannot be used: {reason}");
            Refusal::new(Code::Internal, message)
                .with_hint(format!("mend {}, or remove the image", folder.display()))
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

/// Reads what an image's folder says that it is.
fn describe(folder: &Path, name: &str) -> Result<Image, String> {
    let file = folder.join(DESCRIPTION);
    let text = fs::read(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{} is not there", file.display()),
        _ => format!("{} cannot be read: {error}", file.display()),
    })?;
    let image: Image = serde_json::from_slice(&text)
        .map_err(|error| format!("{} is not readable: {error}", file.display()))?;
    if image.name.as_str() != name {
        return Err(format!("{} is of image {}", file.display(), image.name));
    }
    Ok(image)
}
