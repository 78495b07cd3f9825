//! Disks. What one is known by is its path, so that a disk whose path stays is the disk that it was.

use super::{
    super::{
        numbers::{DiskBus, DiskDevice, DiskManMode, DiskProvMode},
        wire::{self, Vmdef},
    },
    Labels, clamped,
};
use innkeeper_model::{
    ByteSize, DeviceName, DiskFacts, DiskFormat, Refusal, Spec,
    config::{self, DiskKind},
};
use std::collections::BTreeSet;

/// The most disks beside the one that a VM boots from.
const MAX_DISKS: usize = 20;
/// The longest path, in bytes: what a label holds.
const MAX_PATH: usize = config::MAX_LABEL;
/// Where virtx has its disks; what is shown of one that nobody gave a path.
const DATASTORES: &str = "/vms/ds";

/// The disks that are asked for, in boot order: the system's first.
pub(super) fn wanted(
    def: &Vmdef,
    before: Option<&Spec>,
    labels: &mut Labels,
    warnings: &mut Vec<String>,
) -> Result<Vec<config::Disk>, Refusal> {
    if def.disks.len() > MAX_DISKS {
        let problem = format!("are too many: at most {MAX_DISKS}");
        return Err(Refusal::invalid("disks", def.disks.len(), problem).with_limit(MAX_DISKS));
    }
    let others = def.disks.iter().enumerate();
    let named = [("osdisk".to_owned(), &def.osdisk)]
        .into_iter()
        .chain(others.map(|(index, disk)| (format!("disks[{index}]"), disk)));
    let mut names = Names::new(before);
    let mut paths = BTreeSet::new();
    let mut disks = Vec::new();
    for (field, disk) in named {
        let at = At(&field);
        let asked = Asked::check(&at, disk)?;
        if !paths.insert(&disk.path) {
            return Err(at.invalid("path", &disk.path, "is there twice"));
        }
        let made = match before.and_then(|spec| known(spec, &disk.path)) {
            Some(old) => asked.kept(&at, old)?,
            None => asked.made(&at, names.next(&field), warnings)?,
        };
        if is_own(&made) {
            labels.add(label(&made.name), &disk.path);
        }
        disks.push(made);
    }
    Ok(disks)
}

/// The disk that has this path.
fn known<'a>(spec: &'a Spec, path_asked: &str) -> Option<&'a config::Disk> {
    spec.config.disks.iter().find(|disk| path(spec, disk) == path_asked)
}

/// The path that a disk is known by.
pub(super) fn path(spec: &Spec, disk: &config::Disk) -> String {
    let of_file = || disk.path.as_ref().map(|path| path.display().to_string());
    let asked = || spec.config.labels.get(&label(&disk.name)).cloned();
    of_file().or_else(asked).unwrap_or_else(|| {
        let extension = if disk.kind == DiskKind::Cdrom { "iso" } else { "qcow2" };
        format!("{DATASTORES}/{}/{}.{extension}", spec.id, disk.name)
    })
}

fn label(disk: &DeviceName) -> String {
    format!("virtx.disk.{disk}")
}

/// Whether it lives and dies with its VM.
pub(super) fn is_own(disk: &config::Disk) -> bool {
    disk.path.is_none() && disk.kind == DiskKind::Disk
}

/// Names that are free.
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn new(before: Option<&Spec>) -> Self {
        let disks = before.iter().flat_map(|spec| &spec.config.disks);
        Self { taken: disks.map(|disk| disk.name.to_string()).collect() }
    }

    /// A name that no disk has, nor had: one that goes may not become another by having its name.
    fn next(&mut self, field: &str) -> DeviceName {
        let first = (field == "osdisk").then(|| field.to_owned());
        let mut names = first.into_iter().chain((1..).map(|number| format!("disk{number}")));
        let name = names.find(|name| !self.taken.contains(name)).expect("numbers do not end");
        let parsed = name.parse().expect("a word with a number is a name");
        self.taken.insert(name);
        parsed
    }
}

/// Where in the definition something is.
struct At<'a>(&'a str);

impl At<'_> {
    fn invalid(&self, field: &str, value: impl std::fmt::Display, problem: &str) -> Refusal {
        Refusal::invalid(format!("{}.{field}", self.0), value, problem)
    }
}

/// A disk that is asked for, as far as its own words go.
struct Asked<'a> {
    disk: &'a wire::Disk,
    kind: DiskKind,
    bus: config::DiskBus,
    /// What its file is, and whether it is a disc's.
    format: DiskFormat,
    is_iso: bool,
}

impl<'a> Asked<'a> {
    fn check(at: &At<'_>, disk: &'a wire::Disk) -> Result<Self, Refusal> {
        let (format, is_iso) = file(at, &disk.path)?;
        let kind = match disk.device {
            DiskDevice::Disk => DiskKind::Disk,
            DiskDevice::Cdrom => DiskKind::Cdrom,
            DiskDevice::Lun => {
                return Err(at.invalid(
                    "device",
                    disk.device as i16,
                    "(LUN) is not possible on this host",
                ));
            }
        };
        let bus = match (disk.bus, kind) {
            (DiskBus::VirtioBlk, DiskKind::Disk) => config::DiskBus::VirtioBlk,
            (DiskBus::VirtioScsi, _) => config::DiskBus::VirtioScsi,
            (DiskBus::Sata, DiskKind::Cdrom) => config::DiskBus::Sata,
            (DiskBus::VirtioBlk, DiskKind::Cdrom) => {
                return Err(at.invalid("bus", 0, "(virtio-blk) cannot carry a CD-ROM"));
            }
            (DiskBus::Sata, DiskKind::Disk) => {
                return Err(at.invalid("bus", 2, "(SATA) is for CD-ROMs on this host"));
            }
            (DiskBus::Scsi, _) => {
                return Err(at.invalid("bus", 3, "(SCSI) is not possible on this host"));
            }
        };
        if disk.size < 0 {
            return Err(at.invalid("size", disk.size, "is less than 0"));
        }
        Ok(Self { disk, kind, bus, format, is_iso })
    }

    /// A disk that there is, as it stays: on another bus, perhaps.
    fn kept(&self, at: &At<'_>, old: &config::Disk) -> Result<config::Disk, Refusal> {
        let mut kept = old.clone();
        if old.kind != self.kind {
            let problem = "is not what the disk is, and it cannot become another";
            return Err(at.invalid("device", self.disk.device as i16, problem));
        }
        if is_own(old) && self.disk.man == DiskManMode::Unmanaged {
            let problem = "(unmanaged) is not what the disk is: it is its VM's own";
            return Err(at.invalid("man", 0, problem));
        }
        if let Some(size) = old.size
            && self.disk.size != 0
            && self.disk.size != mebibytes(size)
        {
            return Err(at.invalid(
                "size",
                self.disk.size,
                "is not what the disk has, and it cannot change",
            ));
        }
        if old.effective_bus() != self.bus {
            kept.bus = Some(self.bus);
        }
        Ok(kept)
    }

    /// A disk that there was none of.
    fn made(
        &self,
        at: &At<'_>,
        name: DeviceName,
        warnings: &mut Vec<String>,
    ) -> Result<config::Disk, Refusal> {
        let wire::Disk { path, man, prov, size, .. } = self.disk;
        let is_made = *man == DiskManMode::Managed && *prov != DiskProvMode::None;
        let mut disk = config::Disk {
            name,
            image: None,
            path: None,
            format: None,
            size: None,
            kind: self.kind,
            bus: Some(self.bus),
            read_only: false,
            serial: None,
        };
        if !is_made {
            if *man == DiskManMode::Managed {
                warnings
                    .push(format!("{path} is used as it is, and is nobody's: it is never deleted"));
            }
            disk.path = Some(path.into());
            disk.format = Some(self.format);
            disk.read_only = self.is_iso && self.kind == DiskKind::Disk;
            return Ok(disk);
        }
        if self.kind == DiskKind::Cdrom {
            return Err(at.invalid("prov", *prov as i16, "is for disks: a CD-ROM is not made"));
        }
        let mebibytes = u64::try_from(*size).unwrap_or_default();
        if mebibytes == 0 {
            return Err(at.invalid("size", size, "is no size of a disk that is to be made"));
        }
        if *prov == DiskProvMode::Thick {
            warnings.push(format!("{path} was made thin: this host makes no thick disks"));
        }
        disk.size = Some(ByteSize::from_mebibytes(mebibytes));
        Ok(disk)
    }
}

/// What the file of this name is: its format, and whether it is a disc's.
fn file(at: &At<'_>, path: &str) -> Result<(DiskFormat, bool), Refusal> {
    if path.is_empty() {
        return Err(at.invalid("path", path, "is missing"));
    }
    if path.len() > MAX_PATH {
        let problem = format!("is longer than {MAX_PATH} bytes");
        return Err(at.invalid("path", path, &problem).with_limit(MAX_PATH));
    }
    let is_clean = |segment: &str| !matches!(segment, "" | "." | "..");
    let segments = path.strip_prefix('/').map(|rest| rest.split('/').all(is_clean));
    if segments != Some(true) || path.chars().any(char::is_control) {
        return Err(at.invalid("path", path, "is not an absolute path in its shortest form"));
    }
    if path.starts_with("/dev/") {
        return Ok((DiskFormat::Raw, false));
    }
    match path.rsplit('/').next().and_then(|name| name.rsplit_once('.')) {
        Some((_, "qcow2")) => Ok((DiskFormat::Qcow2, false)),
        Some((_, "raw")) => Ok((DiskFormat::Raw, false)),
        Some((_, "iso")) => Ok((DiskFormat::Raw, true)),
        _ => Err(at.invalid("path", path, "does not end in .qcow2, .raw or .iso")),
    }
}

/// A disk as virtx shows it.
pub(super) fn shown(spec: &Spec, disk: &config::Disk, facts: &[DiskFacts]) -> wire::Disk {
    let known = facts.iter().find(|facts| facts.name == disk.name);
    let size = disk.size.or(known.map(|facts| facts.virtual_size));
    let (man, prov) = match is_own(disk) {
        true => (DiskManMode::Managed, DiskProvMode::Thin),
        false => (DiskManMode::Unmanaged, DiskProvMode::None),
    };
    wire::Disk {
        path: path(spec, disk),
        device: match disk.kind {
            DiskKind::Disk => DiskDevice::Disk,
            DiskKind::Cdrom => DiskDevice::Cdrom,
        },
        bus: match disk.effective_bus() {
            config::DiskBus::VirtioBlk => DiskBus::VirtioBlk,
            config::DiskBus::VirtioScsi => DiskBus::VirtioScsi,
            config::DiskBus::Sata => DiskBus::Sata,
        },
        man,
        prov,
        size: size.map_or(0, mebibytes),
    }
}

/// A size in MiB; what is begun counts.
pub(super) fn mebibytes(size: ByteSize) -> i32 {
    clamped(size.0.div_ceil(1 << 20))
}
