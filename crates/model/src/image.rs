//! Images: what disks are copies of and kernels are booted from. An image never changes.

use crate::{
    Timestamp,
    ids::{Revision, VmId},
    names::{DeviceName, ImageName, VmName},
    units::ByteSize,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    /// A disk to make copies of.
    Disk,
    /// A kernel to boot directly, perhaps with its initrd.
    Kernel,
    /// A CD-ROM.
    Iso,
}

/// The format of a disk's file. Declared or detected once at import, then stored, and never looked
/// for again: otherwise a guest that writes a qcow2 header into its raw disk reads the host's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskFormat {
    /// The disk's bytes as they are.
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
}

impl DiskFormat {
    /// The format's name, as QEMU's drivers have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DiskFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(format!("{text:?} is not a disk format: raw or qcow2")),
        }
    }
}

/// One image, as stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Its name.
    pub name: ImageName,
    /// What it is for.
    pub kind: ImageKind,
    /// Its file's format; raw for kernels and CD-ROMs.
    pub format: DiskFormat,
    /// The bytes it takes on the host.
    pub size: ByteSize,
    /// The size of the disk that a guest sees.
    pub virtual_size: ByteSize,
    /// `sha256:` and the digest of its file.
    pub digest: String,
    /// Whether a kernel brings an initrd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub initrd: bool,
    /// Where it was imported from.
    pub source: String,
    /// What it comes from, where it was made of a VM's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// When it was imported.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// What is wrong with it, where it cannot be used: a file that is missing, damaged or not what it
    /// was. Then it can be removed and nothing else, and what the other fields say may be a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The view's revision at its last change; zero in storage.
    #[serde(default)]
    pub revision: Revision,
}

/// What an image comes from that was made of a VM's disk. All of it is as it was then: the VM can have
/// another name by now, and be gone like the image under its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lineage {
    /// The VM.
    pub vm: VmId,
    /// Its name.
    pub vm_name: VmName,
    /// The disk.
    pub disk: DeviceName,
    /// The image that the disk was a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Ancestor>,
    /// When the disk was read. The VM had no machine.
    #[schema(value_type = String, format = DateTime)]
    pub taken: Timestamp,
}

/// An image that another comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ancestor {
    /// Its name.
    pub name: ImageName,
    /// `sha256:` and the digest of its file.
    pub digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_was_stored_before_there_was_a_lineage_has_none() {
        let stored = serde_json::json!({
            "name": "debian", "kind": "disk", "format": "raw", "size": "1MiB", "virtual_size": "1MiB",
            "digest": "", "source": "/srv/debian.raw", "created": "2026-01-01T00:00:00Z",
        });
        let image: Image = serde_json::from_value(stored).unwrap();
        assert_eq!(image.lineage, None);
        assert!(serde_json::to_value(&image).unwrap().get("lineage").is_none());
    }
}
