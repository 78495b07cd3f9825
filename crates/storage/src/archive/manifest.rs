//! `vm.json`: what a VM in a file is.

use super::{MANIFEST, bad};
use innkeeper_model::{
    Assigned, Code, Placement, Refusal, SmallMap, Spec, VmConfig, VmId,
    config::{Boot, Disk, DiskKind},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the files of this kind say that they are.
const FORMAT: &str = "innkeeper-vm";
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// The most hotplug ports of a machine.
const MAX_PORTS: u8 = 64;

/// What a VM in a file is: everything that its guest knows, and nothing of the host that it was on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u32,
    /// The id it had, which its guest knows as the UUID of its machine.
    pub id: VmId,
    /// What it is. Its hard disks are blank ones of their sizes, whose contents are in the file; CD-ROMs
    /// and kernels are images by their names. Without its cloud-init documents, which are secrets.
    pub config: VmConfig,
    /// What had been chosen for it.
    pub assigned: Assigned,
    /// The digests of the images that it names, by their names.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub images: SmallMap<String>,
}

/// As much as every version has.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Manifest {
    /// Of a VM that is written into a file, with the hard disks and the images as the file has them.
    pub(super) fn new(spec: &Spec, disks: Vec<Disk>, images: SmallMap<String>) -> Self {
        let config = VmConfig { disks, cloud_init: None, ..spec.config.clone() };
        let assigned = Assigned { uid: None, ..spec.assigned.clone() };
        let (format, version) = (FORMAT.into(), VERSION);
        Self { format, version, id: spec.id, config, assigned, images }
    }

    /// Reads one that somebody sent.
    ///
    /// # Errors
    /// It is none, is of a version that is not known, says what no configuration may, or names what is
    /// only on the host that it comes from.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let unreadable =
            |error: serde_json::Error| bad(MANIFEST, "cannot be read").caused_by(&error);
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.format != FORMAT {
            return Err(bad(MANIFEST, format!("is not one of a VM: its format is not {FORMAT}")));
        }
        if head.version != VERSION {
            let problem = format!("has version {}, which is not known here", head.version);
            return Err(bad(MANIFEST, problem).with_limit(VERSION).with_hint(
                "import it with the version of Innkeeper that wrote it, or a newer one",
            ));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.config.validate()?;
        manifest.names_nothing_of_a_host()?;
        manifest.check_assigned()?;
        Ok(manifest)
    }

    /// The disks whose contents are in the file.
    pub fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.config.disks.iter().filter(|disk| disk.kind == DiskKind::Disk)
    }

    fn names_nothing_of_a_host(&self) -> Result<(), Refusal> {
        let foreign = |field: String, value: &dyn std::fmt::Display| {
            let problem = "is a file of a host, which a VM from a file cannot name";
            Err(Refusal::invalid(field, value, problem)
                .with_hint("import that file as an image, and name the image"))
        };
        for (index, disk) in self.config.disks.iter().enumerate() {
            if let Some(path) = &disk.path {
                return foreign(format!("disks[{index}].path"), &path.display());
            }
            if let (DiskKind::Disk, Some(image)) = (disk.kind, &disk.image) {
                let problem = "is given for a disk whose contents are in the file";
                return Err(Refusal::invalid(format!("disks[{index}].image"), image, problem));
            }
        }
        if let Boot::Kernel(kernel) = &self.config.boot
            && let Some(path) = kernel.path.as_ref().or(kernel.initrd.as_ref())
        {
            return foreign("boot.kernel.path".into(), &path.display());
        }
        if self.config.cloud_init.is_some() {
            let message = "a VM from a file has no cloud-init documents, which are secrets";
            return Err(Refusal::new(Code::InvalidField, message)
                .at("cloud_init")
                .with_hint("give it some when it has been imported: inn edit"));
        }
        Ok(())
    }

    /// No two devices are in one place, and none is where no machine has any.
    fn check_assigned(&self) -> Result<(), Refusal> {
        let Assigned { devices, ports, .. } = &self.assigned;
        let mut taken = BTreeSet::new();
        for (device, place) in devices.iter() {
            let is_there = !matches!(place, Placement::Port(port) if *port >= MAX_PORTS);
            if !is_there || !taken.insert(*place) {
                let problem = "is where another device is, or none can be";
                return Err(Refusal::invalid("assigned.devices", device, problem));
            }
        }
        if *ports > MAX_PORTS {
            let problem = "is more than a machine has";
            return Err(Refusal::invalid("assigned.ports", ports, problem).with_limit(MAX_PORTS));
        }
        Ok(())
    }
}
