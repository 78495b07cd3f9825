//! Images and disks that go out, and files that come in to become images. None of it is a task, and none of it
//! queues; the import of what has arrived is.

use super::SessionGuard;
use crate::{Engine, accept::request::Caller, perform::hands::blocking};
use innkeeper_model::{Code, ImageName, Refusal, VmId, VmState};
use innkeeper_storage::{FlatDisk, ImageFile, Upload};

/// A disk of a stopped VM, for one session.
#[derive(Debug)]
pub struct OpenedDisk {
    /// The disk; reading it ends when it is written to.
    pub disk: FlatDisk,
    /// Lists the session while it lives.
    pub session: SessionGuard,
}

/// An image's bytes, for one session.
#[derive(Debug)]
pub struct OpenedImage {
    /// The file.
    pub file: ImageFile,
    /// Lists the session while it lives.
    pub session: SessionGuard,
}

/// A file that comes in to become an image, for one session.
#[derive(Debug)]
pub struct OpenedUpload {
    /// Where it is written.
    pub upload: Upload,
    /// Lists the session while it lives.
    pub session: SessionGuard,
}

impl Engine {
    /// Opens a disk of a stopped VM to be read. The VM can be started meanwhile: it waits for nobody.
    ///
    /// # Errors
    /// There is no such VM or disk, the VM is not stopped, or the disk is one that cannot be read.
    pub async fn disk_file(
        &self,
        caller: &Caller,
        vm: VmId,
        disk: &str,
    ) -> Result<OpenedDisk, Refusal> {
        let record = self.vm(vm)?;
        record.check_adopted("read a disk of")?;
        let spec = record.spec.as_ref().ok_or_else(|| Refusal::not_found("disk", disk))?;
        let found = spec.config.disks.iter().find(|known| known.name.as_str() == disk);
        let found = found.ok_or_else(|| Refusal::not_found("disk", disk))?;
        if record.state != VmState::Stopped {
            let name = &record.name;
            let (why, hint) = match record.state {
                VmState::Suspended => (
                    "is suspended, and its disk goes on with its memory",
                    format!("inn resume {name}, then inn stop {name}"),
                ),
                _ => ("is not stopped, and writes to its disk", format!("inn stop {name}")),
            };
            let message = format!("VM {name} {why}");
            return Err(Refusal::new(Code::WrongState, message).with_hint(hint));
        }
        let disk = self.shared.performer.hands.storage.open_disk(vm, found).await?;
        Ok(OpenedDisk { disk, session: self.shared.sessions.list(vm, "disk", caller) })
    }

    /// Opens an image's bytes. What is removed meanwhile stays readable.
    ///
    /// # Errors
    /// There is no such image, or it cannot be used.
    pub async fn image_file(
        &self,
        caller: &Caller,
        name: &ImageName,
    ) -> Result<OpenedImage, Refusal> {
        let session = self.shared.sessions.list(name, "download", caller);
        let (storage, name) = (self.shared.performer.hands.storage.clone(), name.clone());
        let file = blocking(move || storage.open_image(&name)).await?;
        Ok(OpenedImage { file, session })
    }

    /// Begins or goes on with a file that is to become an image; [`crate::ImageFrom::Upload`] then
    /// makes it one. `more` is how many bytes will come, where that is known.
    ///
    /// # Errors
    /// The name is taken; other than `from` bytes have arrived; somebody else sends the same; it is too
    /// large, or the pool is full.
    pub async fn upload_image(
        &self,
        caller: &Caller,
        name: &ImageName,
        sha256: &str,
        from: u64,
        more: Option<u64>,
    ) -> Result<OpenedUpload, Refusal> {
        self.image_name_is_free(name)?;
        let session = self.shared.sessions.list(name, "upload", caller);
        let storage = &self.shared.performer.hands.storage;
        let upload = storage.open_upload(name, sha256, from, more).await?;
        Ok(OpenedUpload { upload, session })
    }

    /// How many bytes of such a file have arrived.
    ///
    /// # Errors
    /// The name is taken; the checksum is none.
    pub async fn uploaded(&self, name: &ImageName, sha256: &str) -> Result<u64, Refusal> {
        self.image_name_is_free(name)?;
        let storage = self.shared.performer.hands.storage.clone();
        let (name, sha256) = (name.clone(), sha256.to_owned());
        blocking(move || storage.uploaded(&name, &sha256)).await
    }
}
