//! What is asked of an import: which bytes, and what they are to become.

use super::download;
use innkeeper_model::{DiskFormat, ImageKind, ImageName, Secret, VmId, VmName, config::Disk};
use std::path::PathBuf;

/// An image to take in.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The name it gets, which must be free.
    pub name: ImageName,
    /// What it is for.
    pub kind: ImageKind,
    /// Where its bytes are.
    pub source: ImportSource,
    /// The format of a disk; looked for in its first bytes if it is not said. `raw` is believed
    /// whatever the first bytes are.
    pub format: Option<DiskFormat>,
    /// A kernel's initrd, a file on this host: in an allowed folder if the kernel has to be.
    pub initrd: Option<PathBuf>,
}

/// Where an image's bytes are.
#[derive(Debug, Clone)]
pub enum ImportSource {
    /// A file on this host, anywhere: the caller has decided that whoever asks may read it.
    File(PathBuf),
    /// A file on this host, in a folder that the operator allowed.
    AllowedFile(PathBuf),
    /// A file on a web server, over http or https: the caller has decided that whoever asks may have
    /// this host fetch it.
    Url {
        /// Its address. What it has beside a host and a path may be a secret.
        url: Secret,
        /// `sha256:` and the digest it must have, in hexadecimal.
        checksum: String,
    },
    /// A VM's disk as its guest would read it. That the VM is stopped, and stays so, is for the caller
    /// to see to.
    Disk {
        /// The VM.
        vm: VmId,
        /// Its name.
        vm_name: VmName,
        /// The disk.
        disk: Box<Disk>,
    },
    /// What was uploaded for an image of this name. It is gone when the import ends, whatever comes
    /// of it.
    Upload {
        /// `sha256:` and the digest that it was announced with and must have.
        sha256: String,
    },
}

impl ImportSource {
    /// The field of a request that names it.
    pub(super) const fn field(&self) -> &'static str {
        match self {
            Self::File(_) | Self::AllowedFile(_) => "path",
            Self::Url { .. } => "url",
            Self::Disk { .. } => "from_disk",
            Self::Upload { .. } => "sha256",
        }
    }

    /// Whether host files must be in allowed folders.
    pub(super) const fn is_confined(&self) -> bool {
        matches!(self, Self::AllowedFile(_))
    }

    /// What is remembered of it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(path) | Self::AllowedFile(path) => path.display().to_string(),
            Self::Url { url, .. } => download::shown(url.expose().unwrap_or_default()),
            Self::Disk { vm_name, disk, .. } => format!("disk {} of VM {vm_name}", disk.name),
            Self::Upload { .. } => "an upload".into(),
        }
    }
}
