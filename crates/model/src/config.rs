//! What a person writes to describe a VM: `inn create`, `inn apply`, `inn edit`.
//!
//! The same document comes back in every answer, so that it can be edited and sent again. What
//! Innkeeper chose itself (addresses, MACs, uid) stands beside it, in [`crate::spec::Assigned`].

use crate::{
    names::{DeviceName, ImageName, ProjectName, VmName},
    policy::Policies,
    refusal::Refusal,
    secret::Secret,
    small_map::SmallMap,
    units::{ByteSize, Mebibytes},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, path::PathBuf};
use utoipa::ToSchema;

pub use crate::nic::{Attachment, MacAddress, Nic, PublishedPort, RateLimit};

/// The most virtual CPUs a VM may ask for; q35's limit.
pub const MAX_CPUS: u16 = 288;
/// The least memory a VM may ask for: below it no firmware starts.
pub const MIN_MEMORY: Mebibytes = Mebibytes(16);
/// The most disks of one VM.
pub const MAX_DISKS: usize = 24;
/// The least quota of one VM: what the headers of its files take.
pub const MIN_QUOTA: ByteSize = ByteSize(1 << 20);
/// The most network interfaces of one VM.
pub const MAX_NICS: usize = 16;
/// The most spare hotplug ports of one VM.
pub const MAX_SPARE_PORTS: u8 = 16;
/// The longest kernel command line, in bytes: what Linux on x86 accepts.
pub const MAX_CMDLINE: usize = 2047;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 4096;
/// The most labels of one VM.
pub const MAX_LABELS: usize = 64;
/// The longest label key or value, in bytes.
pub const MAX_LABEL: usize = 255;
/// The longest of the three documents of a cloud-init seed, in bytes.
pub const MAX_SEED_DOCUMENT: usize = 256 << 10;
/// The longest disk serial: what virtio-blk can show its guest, in bytes.
pub const MAX_SERIAL: usize = 20;

/// A VM, as a person describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VmConfig {
    /// The name; unique in its project.
    pub name: VmName,
    /// The project (tenant) it belongs to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub project: ProjectName,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Free keys and values for programs.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: SmallMap<String>,
    /// Virtual CPUs.
    #[serde(default = "one")]
    pub cpus: u16,
    /// The CPU model, in QEMU's name for it. The default is one that a fleet of different hosts can
    /// share, so that the VM can be migrated; `host` and `max` cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Memory.
    #[serde(default = "default_memory")]
    pub memory: Mebibytes,
    /// The machine type with its version, such as `pc-q35-10.0`. The default is the newest that this
    /// host's hypervisor has, and is kept from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What it boots from.
    #[serde(default)]
    pub boot: Boot,
    /// Disks and CD-ROMs, in boot order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// What its files may take of the host's disk, together: the copies that its disks are of images, its
    /// blank disks, and the memory that is kept while it is suspended. Default: as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<ByteSize>,
    /// Network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<Nic>,
    /// The screen.
    #[serde(default)]
    pub display: Display,
    /// A channel for the agent in the guest (qemu-guest-agent), by which programs are run and files copied
    /// there. It takes effect at the next start.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    #[schema(default = true)]
    pub agent: bool,
    /// Spare ports for devices that are plugged while the VM runs.
    #[serde(default = "default_spare_ports")]
    pub spare_ports: u8,
    /// What cloud-init finds in the guest: a NoCloud seed disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_init: Option<CloudInit>,
    /// Whether the VM is started again after the host was.
    #[serde(default)]
    pub autostart: Autostart,
    /// What to do when its guest ends by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on: Policies,
    /// Refuse to delete it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protected: bool,
}

/// What a VM boots from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Boot {
    /// Firmware, which looks for a system on the disks in their order.
    Firmware(Firmware),
    /// A Linux kernel, put into memory by the hypervisor.
    Kernel(KernelBoot),
}

impl Default for Boot {
    fn default() -> Self {
        Self::Firmware(Firmware::Bios)
    }
}

/// The kind of firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, with variables of the VM's own.
    Uefi,
}

/// A kernel to boot directly: an image of kind `kernel`, or files in a folder that the operator
/// allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelBoot {
    /// The image that holds the kernel and perhaps its initrd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// A kernel file on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub path: Option<PathBuf>,
    /// An initrd file on the host, with `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cmdline: String,
}

/// A disk or CD-ROM. Exactly one of `image`, `path` and `size` says what is on it: a copy-on-write
/// copy of an image (with `size`: grown to it), a host file in an allowed folder, or nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// The disk's name in this VM.
    pub name: DeviceName,
    /// The image that it starts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// The host file that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub path: Option<PathBuf>,
    /// The format of the host file; needed with `path`, since guessing it would let a guest's own
    /// bytes decide what the host opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<crate::image::DiskFormat>,
    /// The size of a blank disk, or to grow an image's copy to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// Disk or CD-ROM.
    #[serde(default)]
    pub kind: DiskKind,
    /// How the guest sees it. Default: `virtio-blk` for a disk, `sata` for a CD-ROM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<DiskBus>,
    /// The guest may not write to it. A CD-ROM never can.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// The serial number that the guest sees. Default: one that Innkeeper chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// What a disk pretends to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskKind {
    /// A hard disk.
    #[default]
    Disk,
    /// A CD-ROM drive with a disc in it.
    Cdrom,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// A virtio block device of its own.
    VirtioBlk,
    /// A target on the VM's virtio SCSI controller.
    VirtioScsi,
    /// A port of the chipset's SATA controller; for CD-ROMs of guests without virtio.
    Sata,
}

impl Disk {
    /// How the guest sees it, said or by default.
    pub fn effective_bus(&self) -> DiskBus {
        self.bus.unwrap_or(match self.kind {
            DiskKind::Disk => DiskBus::VirtioBlk,
            DiskKind::Cdrom => DiskBus::Sata,
        })
    }

    /// Whether the guest is kept from writing to it.
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.kind == DiskKind::Cdrom
    }
}

/// The screen of a VM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// A VGA screen, served as VNC on a unix socket.
    #[default]
    Vnc,
    /// No screen; the serial console only.
    None,
}

/// Whether a VM is started again after the host was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Autostart {
    /// If it was wanted running.
    #[default]
    Auto,
    /// Not by itself.
    Never,
}

/// The three documents of a NoCloud seed. They are secrets: shown as digests only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudInit {
    /// `user-data`: usually a `#cloud-config` document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<Secret>,
    /// `meta-data`. Default: the VM's id as `instance-id` and its name as `local-hostname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<Secret>,
    /// `network-config`, version 1 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_config: Option<Secret>,
}

impl CloudInit {
    /// The documents that are there, each with the name of its field.
    pub fn documents(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        [
            ("user_data", &self.user_data),
            ("meta_data", &self.meta_data),
            ("network_config", &self.network_config),
        ]
        .into_iter()
        .filter_map(|(field, secret)| secret.as_ref().map(|secret| (field, secret)))
    }

    /// The same seed with the texts forgotten.
    #[must_use]
    pub fn sealed(&self) -> Self {
        let seal = |secret: &Option<Secret>| secret.as_ref().map(Secret::sealed);
        Self {
            user_data: seal(&self.user_data),
            meta_data: seal(&self.meta_data),
            network_config: seal(&self.network_config),
        }
    }
}

impl VmConfig {
    /// The VM with this name and every other field at its default.
    pub fn new(name: VmName) -> Self {
        Self {
            name,
            project: ProjectName::default(),
            description: String::new(),
            labels: SmallMap::default(),
            cpus: one(),
            cpu_model: None,
            memory: default_memory(),
            machine: None,
            boot: Boot::default(),
            disks: Vec::new(),
            quota: None,
            nics: Vec::new(),
            display: Display::default(),
            agent: yes(),
            spare_ports: default_spare_ports(),
            cloud_init: None,
            autostart: Autostart::default(),
            on: Policies::default(),
            protected: false,
        }
    }

    /// Checks all that can be known without looking at a host.
    ///
    /// # Errors
    /// The first field that is not allowed, with its value and the limit.
    pub fn validate(&self) -> Result<(), Refusal> {
        in_range("cpus", self.cpus, 1, MAX_CPUS)?;
        if self.memory < MIN_MEMORY {
            let problem = format!("is too little: a machine needs at least {MIN_MEMORY}");
            return Err(Refusal::invalid("memory", self.memory, problem).with_limit(MIN_MEMORY));
        }
        at_most("disks", self.disks.len(), MAX_DISKS)?;
        at_most("nics", self.nics.len(), MAX_NICS)?;
        if let Some(quota) = self.quota.filter(|quota| *quota < MIN_QUOTA) {
            let problem = format!("is too little: at least {MIN_QUOTA}");
            return Err(Refusal::invalid("quota", quota, problem).with_limit(MIN_QUOTA));
        }
        in_range("spare_ports", self.spare_ports, 0, MAX_SPARE_PORTS)?;
        self.validate_texts()?;
        if let Boot::Kernel(kernel) = &self.boot {
            kernel.validate()?;
        }
        let mut seen = BTreeSet::new();
        for (index, disk) in self.disks.iter().enumerate() {
            disk.validate(index)?;
            unique(&mut seen, &disk.name, format!("disks[{index}].name"))?;
        }
        seen.clear();
        for (index, nic) in self.nics.iter().enumerate() {
            nic.validate(index)?;
            unique(&mut seen, &nic.name, format!("nics[{index}].name"))?;
        }
        Ok(())
    }

    fn validate_texts(&self) -> Result<(), Refusal> {
        check_labels(&self.description, &self.labels)?;
        for (field, word) in [("cpu_model", &self.cpu_model), ("machine", &self.machine)] {
            if let Some(word) = word {
                hypervisor_word(field, word)?;
            }
        }
        if let Some(seed) = &self.cloud_init {
            for (field, secret) in seed.documents() {
                let length = secret.expose().map_or(0, str::len);
                if length > MAX_SEED_DOCUMENT {
                    let field = format!("cloud_init.{field}");
                    let problem = format!("is longer than {MAX_SEED_DOCUMENT} bytes");
                    return Err(Refusal::invalid(field, format!("{length} bytes"), problem)
                        .with_limit(MAX_SEED_DOCUMENT));
                }
            }
        }
        Ok(())
    }
}

/// Checks the texts that a user may put on anything.
///
/// # Errors
/// The first that is too long or one too many.
pub(crate) fn check_labels(description: &str, labels: &SmallMap<String>) -> Result<(), Refusal> {
    not_longer("description", description, MAX_DESCRIPTION)?;
    at_most("labels", labels.len(), MAX_LABELS)?;
    for (key, value) in labels.iter() {
        not_longer("labels", key, MAX_LABEL)?;
        not_longer(&format!("labels.{key}"), value, MAX_LABEL)?;
    }
    Ok(())
}

impl KernelBoot {
    fn validate(&self) -> Result<(), Refusal> {
        match (&self.image, &self.path) {
            (Some(_), Some(_)) | (None, None) => {
                let value =
                    self.path.as_ref().map_or_else(String::new, |p| p.display().to_string());
                return Err(Refusal::invalid(
                    "boot.kernel",
                    value,
                    "needs exactly one of image and path",
                ));
            }
            (Some(_), None) if self.initrd.is_some() => {
                let initrd =
                    self.initrd.as_ref().map_or_else(String::new, |p| p.display().to_string());
                let problem = "goes with path only; a kernel image brings its own initrd";
                return Err(Refusal::invalid("boot.kernel.initrd", initrd, problem));
            }
            _ => {}
        }
        not_longer("boot.kernel.cmdline", &self.cmdline, MAX_CMDLINE)?;
        if self.cmdline.contains('\0') {
            return Err(Refusal::invalid("boot.kernel.cmdline", &self.cmdline, "has a NUL in it"));
        }
        Ok(())
    }
}

impl Disk {
    fn validate(&self, index: usize) -> Result<(), Refusal> {
        let field = |name: &str| format!("disks[{index}].{name}");
        match (&self.image, &self.path, &self.size) {
            (Some(_), Some(_), _) | (None, Some(_), Some(_)) | (None, None, None) => {
                let problem = "needs exactly one of image (with or without size), path and size";
                return Err(Refusal::invalid(format!("disks[{index}]"), &self.name, problem));
            }
            _ => {}
        }
        if self.path.is_some() != self.format.is_some() {
            let value = self.format.map_or_else(String::new, |format| format.to_string());
            return Err(Refusal::invalid(
                field("format"),
                value,
                "goes with path, and path needs it",
            )
            .with_hint("add format: raw or format: qcow2"));
        }
        if let Some(size) = self.size
            && (size.0 == 0 || !size.0.is_multiple_of(512))
        {
            let problem = "is not a positive multiple of 512 bytes";
            return Err(Refusal::invalid(field("size"), size, problem).with_limit("512B"));
        }
        match (self.kind, self.effective_bus()) {
            (DiskKind::Cdrom, DiskBus::VirtioBlk) => {
                let problem = "cannot carry a CD-ROM; use sata or virtio-scsi";
                return Err(Refusal::invalid(field("bus"), "virtio-blk", problem));
            }
            (DiskKind::Disk, DiskBus::Sata) => {
                let problem = "is for CD-ROMs; use virtio-blk or virtio-scsi";
                return Err(Refusal::invalid(field("bus"), "sata", problem));
            }
            _ => {}
        }
        if let Some(serial) = &self.serial {
            not_longer(&field("serial"), serial, MAX_SERIAL)?;
            if serial.chars().any(char::is_control) {
                return Err(Refusal::invalid(field("serial"), serial, "has control characters"));
            }
        }
        Ok(())
    }
}

pub(crate) fn in_range<T: PartialOrd + fmt::Display>(
    field: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), Refusal> {
    if value >= least && value <= most {
        return Ok(());
    }
    let limit = format!("{least}..={most}");
    Err(Refusal::invalid(field, value, format!("is not in {limit}")).with_limit(limit))
}

pub(crate) fn at_most(field: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    Err(Refusal::invalid(field, count, format!("is too many: at most {most}")).with_limit(most))
}

fn not_longer(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    if text.len() <= most {
        return Ok(());
    }
    let problem = format!("is {} bytes long: at most {most}", text.len());
    Err(Refusal::invalid(field, text, problem).with_limit(most))
}

fn unique<'a>(
    seen: &mut BTreeSet<&'a DeviceName>,
    name: &'a DeviceName,
    field: String,
) -> Result<(), Refusal> {
    if seen.insert(name) {
        return Ok(());
    }
    Err(Refusal::invalid(field, name, "is there twice"))
}

/// A machine type or CPU model: these reach QEMU's comma syntax, so their alphabet is narrow.
fn hypervisor_word(field: &str, word: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&word.len()) && word.chars().all(legal) {
        return Ok(());
    }
    Err(Refusal::invalid(field, word, "is not a name that a hypervisor could know"))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}

const fn one() -> u16 {
    1
}

const fn default_memory() -> Mebibytes {
    Mebibytes(512)
}

const fn default_spare_ports() -> u8 {
    4
}
