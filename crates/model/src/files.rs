//! The host files that a machine is made of, as storage resolved them for a driver.

use crate::image::DiskFormat;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// One file of a disk, with its format; the format is known, never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
}

/// The files of one disk, top first: what the guest writes to, then what shows through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLayers {
    /// At least one.
    pub layers: Vec<Layer>,
}

/// The files of a kernel that is booted directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFiles {
    /// A bzImage, or an ELF with a PVH entry.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: Option<PathBuf>,
}

/// All host files of one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFiles {
    /// The disks, by their names.
    pub disks: BTreeMap<String, DiskLayers>,
    /// The kernel, where one is booted directly.
    pub kernel: Option<KernelFiles>,
    /// The UEFI variables, where the firmware is UEFI.
    pub nvram: Option<PathBuf>,
    /// The cloud-init seed, where there is one.
    pub seed: Option<PathBuf>,
}
