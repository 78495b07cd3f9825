//! What a disk's file is, said by its first bytes. Pure: bytes in, answer out.
//!
//! Looked at once, at import (and, for a host file that is declared as qcow2, at every open); what was
//! found is stored, and never looked for again, since a guest writes its disk's first bytes.

pub(crate) mod blank;
pub(crate) mod iso;
pub(crate) mod packed;
pub(crate) mod qcow2;

use innkeeper_model::{ByteSize, DiskFormat, Refusal};
use qcow2::{BadQcow2, Qcow2Info};

/// How many bytes of a file's beginning are looked at.
pub(crate) const HEAD_LENGTH: usize = 64 << 10;
/// What a disk's size is counted in.
const SECTOR: u64 = 512;

/// What an acceptable disk file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// Its format.
    pub format: DiskFormat,
    /// The size of the disk in it.
    pub virtual_size: ByteSize,
}

/// Why a file is not taken as a disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDisk {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is in a format that is not taken.
    #[error("it is {article} image, which is not taken", article = .0.phrase)]
    Foreign(&'static Foreign),
    /// It is packed.
    #[error("it is packed with {0}")]
    Packed(&'static str),
    /// It was declared as qcow2, and is not.
    #[error("it was declared as qcow2, but does not begin like one")]
    NotQcow2,
    /// It is a qcow2 file that is not taken.
    #[error(transparent)]
    Qcow2(#[from] BadQcow2),
    /// It is raw, and ends within a sector.
    #[error("its {0} bytes are no whole number of 512-byte sectors: it seems to be cut short")]
    PartialSector(u64),
    /// The disk in it is larger than allowed.
    #[error("it describes a disk of {found}, and at most {limit} are allowed")]
    TooLarge {
        /// The size it describes.
        found: ByteSize,
        /// The bound.
        limit: ByteSize,
    },
}

impl BadDisk {
    /// As a refusal of this field with this value.
    pub fn at(&self, field: &str, value: &str) -> Refusal {
        let mut refusal = Refusal::invalid(field, value, format!("cannot be used: {self}"));
        match self {
            Self::Foreign(foreign) => {
                let from = foreign.qemu_name.map_or_else(String::new, |name| format!("-f {name} "));
                let fix = format!(
                    "convert it where you trust it: qemu-img convert {from}-O qcow2 FILE NEW.qcow2"
                );
                refusal = refusal.with_hint(fix);
            }
            Self::Packed(_) => {
                let fix =
                    "unpack it first; if these bytes are the disk itself, declare --format raw";
                refusal = refusal.with_hint(fix);
            }
            Self::NotQcow2 => refusal = refusal.with_hint("leave the format out, or say raw"),
            Self::Qcow2(bad) => {
                if let Some(fix) = bad.hint() {
                    refusal = refusal.with_hint(fix);
                }
            }
            Self::TooLarge { limit, .. } => refusal = refusal.with_limit(limit),
            Self::Empty | Self::PartialSector(_) => {}
        }
        refusal
    }
}

/// A disk format that is known by its first bytes and not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign {
    phrase: &'static str,
    qemu_name: Option<&'static str>,
    offset: usize,
    magic: &'static [u8],
}

const fn foreign(
    phrase: &'static str,
    qemu_name: Option<&'static str>,
    offset: usize,
    magic: &'static [u8],
) -> Foreign {
    Foreign { phrase, qemu_name, offset, magic }
}

static FOREIGN: [Foreign; 11] = [
    foreign("a VMware (VMDK)", Some("vmdk"), 0, b"KDMV"),
    foreign("a VMware (VMDK)", Some("vmdk"), 0, b"COWD"),
    foreign("a VMware (VMDK)", Some("vmdk"), 0, b"# Disk DescriptorFile"),
    foreign("a Hyper-V (VHDX)", Some("vhdx"), 0, b"vhdxfile"),
    foreign("a Virtual PC (VHD)", Some("vpc"), 0, b"conectix"),
    foreign("a VirtualBox (VDI)", Some("vdi"), 0x40, &[0x7f, 0x10, 0xda, 0xbe]),
    foreign("an encrypted (LUKS)", None, 0, b"LUKS\xba\xbe"),
    foreign("a QED", Some("qed"), 0, b"QED\0"),
    foreign("a Parallels", Some("parallels"), 0, b"WithoutFreeSpace"),
    foreign("a Parallels", Some("parallels"), 0, b"WithouFreSpacExt"),
    foreign("a Bochs", Some("bochs"), 0, b"Bochs Virtual HD Image"),
];

const PACKED: [(&str, usize, &[u8]); 6] = [
    ("gzip", 0, b"\x1f\x8b"),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("bzip2", 0, b"BZh"),
    ("zip", 0, b"PK\x03\x04"),
    ("tar", 257, b"ustar"),
];

pub(crate) fn has_magic(head: &[u8], offset: usize, magic: &[u8]) -> bool {
    head.get(offset..).is_some_and(|rest| rest.starts_with(magic))
}

/// What packer made a file that begins like this.
pub(crate) fn packed_with(head: &[u8]) -> Option<&'static str> {
    let packed = PACKED.iter().find(|(_, at, magic)| has_magic(head, *at, magic));
    packed.map(|(name, ..)| *name)
}

/// Looks at a disk file: its first [`HEAD_LENGTH`] bytes (all, if there are fewer), its length, the
/// format that somebody declared, and the largest disk that is allowed.
///
/// What is declared raw is raw, whatever it begins with: nobody will ever look again.
pub(crate) fn inspect(
    head: &[u8],
    length: u64,
    declared: Option<DiskFormat>,
    limit: ByteSize,
) -> Result<Inspection, BadDisk> {
    if length == 0 {
        return Err(BadDisk::Empty);
    }
    let format = match declared {
        Some(format) => format,
        None => detect(head)?,
    };
    let virtual_size = match format {
        DiskFormat::Qcow2 if !qcow2::has_qcow2_magic(head) => return Err(BadDisk::NotQcow2),
        DiskFormat::Qcow2 => Qcow2Info::parse(head, length)?.importable()?.virtual_size,
        DiskFormat::Raw if !length.is_multiple_of(SECTOR) => {
            return Err(BadDisk::PartialSector(length));
        }
        DiskFormat::Raw => ByteSize(length),
    };
    if virtual_size > limit {
        return Err(BadDisk::TooLarge { found: virtual_size, limit });
    }
    Ok(Inspection { format, virtual_size })
}

fn detect(head: &[u8]) -> Result<DiskFormat, BadDisk> {
    if qcow2::has_qcow2_magic(head) {
        return Ok(DiskFormat::Qcow2);
    }
    if let Some(foreign) = FOREIGN.iter().find(|f| has_magic(head, f.offset, f.magic)) {
        return Err(BadDisk::Foreign(foreign));
    }
    match packed_with(head) {
        Some(packer) => Err(BadDisk::Packed(packer)),
        None => Ok(DiskFormat::Raw),
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
