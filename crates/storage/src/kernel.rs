//! Whether a file is a kernel that the hypervisor can boot directly: a bzImage, or an ELF with a PVH
//! entry. Others are refused by what they are, since QEMU would say nothing, or hang.

use crate::{
    format::{HEAD_LENGTH, has_magic, packed_with},
    layers::{length, read_head},
};
use innkeeper_model::Refusal;
use std::{fs::File, io, os::unix::fs::FileExt};

/// The kinds of kernel that can be booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelFormat {
    /// Linux's own for x86, compressed.
    BzImage,
    /// An uncompressed kernel with an entry for PVH.
    PvhElf,
}

/// Why a file is not taken as a kernel.
#[derive(Debug, thiserror::Error)]
pub enum BadKernel {
    /// It is something else, which is known.
    #[error("it is {what}")]
    Other {
        /// What it is.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// It is nothing that is known.
    #[error("it is neither a bzImage nor an ELF file with a PVH entry")]
    Unknown,
    /// It has fewer bytes than its header says.
    #[error("it is cut short: its header speaks of {expected} bytes, and it has {actual}")]
    Truncated {
        /// The bytes it should have at least.
        expected: u64,
        /// The bytes it has.
        actual: u64,
    },
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

impl BadKernel {
    /// As a refusal of this field with this value.
    pub fn at(&self, field: &str, value: &str) -> Refusal {
        let problem = format!("cannot be booted as a kernel: {self}");
        let refusal = Refusal::invalid(field, value, problem);
        match self {
            Self::Other { hint, .. } => refusal.with_hint(*hint),
            Self::Unknown => refusal.with_hint("a distribution's /boot/vmlinuz is a bzImage"),
            Self::Truncated { .. } => refusal.with_hint("fetch it again, and compare its checksum"),
            Self::Io(error) => refusal.caused_by(error),
        }
    }
}

/// Says what kernel a file holds.
///
/// # Errors
/// [`BadKernel`]: it cannot be booted directly.
pub(crate) fn identify(file: &File) -> Result<KernelFormat, BadKernel> {
    let head = read_head(file, HEAD_LENGTH)?;
    let length = length(file)?;
    if has_magic(&head, bzimage::MAGIC_AT, b"HdrS") {
        return bzimage::check(&head, length).map(|()| KernelFormat::BzImage);
    }
    if head.starts_with(elf::MAGIC) {
        return elf::check(file, &head, length).map(|()| KernelFormat::PvhElf);
    }
    Err(name_it(&head))
}

/// What a file is that is no kernel for this machine.
fn name_it(head: &[u8]) -> BadKernel {
    const ANOTHER_MACHINE: &str = "this host boots x86-64 kernels";
    let other = |what, hint| BadKernel::Other { what, hint };
    if has_magic(head, 0x38, b"ARM\x64") {
        return other("an arm64 Image", ANOTHER_MACHINE);
    }
    if has_magic(head, 0x38, b"RSC\x05") {
        return other("a RISC-V Image", ANOTHER_MACHINE);
    }
    if head.starts_with(b"\x27\x05\x19\x56") {
        return other("a U-Boot uImage", ANOTHER_MACHINE);
    }
    if head.starts_with(b"MZ") {
        return other("a UEFI program", "boot it from a disk, with boot: { firmware: uefi }");
    }
    match packed_with(head) {
        Some("gzip") => other("a gzip file", "unpack it: gunzip"),
        Some("xz") => other("an xz file", "unpack it: unxz"),
        Some("zstd") => other("a zstd file", "unpack it: unzstd"),
        Some(_) => other("an archive", "unpack it, and import the kernel in it"),
        None => BadKernel::Unknown,
    }
}

/// Linux's boot protocol for x86: a header in the second half of the first kilobyte.
mod bzimage {
    use super::BadKernel;

    pub(super) const MAGIC_AT: usize = 0x202;
    const SETUP_SECTORS: usize = 0x1f1;
    const SYSTEM_SIZE: usize = 0x1f4;
    const BOOT_FLAG: usize = 0x1fe;
    const VERSION: usize = 0x206;
    const LOAD_FLAGS: usize = 0x211;
    const HEADER_END: usize = 0x268;
    /// Set if the kernel goes to 1 MiB: what makes an image a "big" one.
    const LOADED_HIGH: u8 = 1;
    /// Linux 2.6.22: the first whose header says how long its command line may be.
    const OLDEST: u16 = 0x0206;

    pub(super) fn check(head: &[u8], length: u64) -> Result<(), BadKernel> {
        if head.len() < HEADER_END {
            return Err(BadKernel::Truncated { expected: HEADER_END as u64, actual: length });
        }
        let version = u16::from_le_bytes([head[VERSION], head[VERSION + 1]]);
        let boot_flag = u16::from_le_bytes([head[BOOT_FLAG], head[BOOT_FLAG + 1]]);
        if boot_flag != 0xaa55 {
            return Err(BadKernel::Unknown);
        }
        if version < OLDEST || head[LOAD_FLAGS] & LOADED_HIGH == 0 {
            return Err(BadKernel::Other {
                what: "a kernel from before Linux 2.6.22",
                hint: "boot it from a disk with its own boot loader",
            });
        }
        // In the protocol's words: 0 means 4, and the boot sector comes on top; paragraphs of 16.
        let setup_sectors = match head[SETUP_SECTORS] {
            0 => 4,
            count => u64::from(count),
        };
        let size = &head[SYSTEM_SIZE..SYSTEM_SIZE + 4];
        let system = u64::from(u32::from_le_bytes([size[0], size[1], size[2], size[3]])) * 16;
        let expected = (setup_sectors + 1) * 512 + system;
        if expected > length {
            return Err(BadKernel::Truncated { expected, actual: length });
        }
        Ok(())
    }
}

/// ELF, as far as finding a note in it takes.
mod elf {
    use super::{BadKernel, File, FileExt, io};

    pub(super) const MAGIC: &[u8] = b"\x7fELF";
    const MACHINE_386: u16 = 3;
    const MACHINE_X86_64: u16 = 62;
    const SEGMENT_NOTE: u32 = 4;
    /// `XEN_ELFNOTE_PHYS32_ENTRY`: where a PVH boot enters, in 32-bit mode.
    const PVH_ENTRY: u32 = 18;
    /// A kernel has half a dozen segments, and its notes fit a page.
    const MAX_SEGMENTS: u64 = 64;
    const MAX_NOTES: u64 = 64 << 10;

    const PLAIN: BadKernel = BadKernel::Other {
        what: "an ELF file without a PVH entry",
        hint: "use the bzImage of the same kernel, or build it with CONFIG_PVH=y",
    };

    struct Segment {
        kind: u32,
        offset: u64,
        size: u64,
        align: u64,
    }

    pub(super) fn check(file: &File, head: &[u8], length: u64) -> Result<(), BadKernel> {
        let (class, order) = (head.get(4), head.get(5));
        let machine = u16_at(head, 18).unwrap_or_default();
        if order != Some(&1) || ![MACHINE_386, MACHINE_X86_64].contains(&machine) {
            return Err(BadKernel::Other {
                what: "an ELF file for another machine",
                hint: "this host boots x86-64 kernels",
            });
        }
        let segments = match class {
            Some(2) => segments(file, head, length, &ELF64)?,
            Some(1) => segments(file, head, length, &ELF32)?,
            _ => return Err(BadKernel::Unknown),
        };
        for segment in &segments {
            let end = segment.offset.saturating_add(segment.size);
            if end > length {
                return Err(BadKernel::Truncated { expected: end, actual: length });
            }
        }
        for segment in segments.iter().filter(|s| s.kind == SEGMENT_NOTE) {
            let notes = read(file, segment.offset, segment.size.min(MAX_NOTES))?;
            if has_pvh_entry(&notes, segment.align) {
                return Ok(());
            }
        }
        Err(PLAIN)
    }

    /// Where the fields of one class of ELF are.
    struct Layout {
        table_offset: usize,
        entry_size: usize,
        entry_count: usize,
        segment: u64,
        offset: usize,
        size: usize,
        align: usize,
        word: fn(&[u8], usize) -> Option<u64>,
    }

    const ELF64: Layout = Layout {
        table_offset: 32,
        entry_size: 54,
        entry_count: 56,
        segment: 56,
        offset: 8,
        size: 32,
        align: 48,
        word: u64_at,
    };
    const ELF32: Layout = Layout {
        table_offset: 28,
        entry_size: 42,
        entry_count: 44,
        segment: 32,
        offset: 4,
        size: 16,
        align: 28,
        word: |bytes, at| u32_at(bytes, at).map(u64::from),
    };

    fn segments(
        file: &File,
        head: &[u8],
        length: u64,
        layout: &Layout,
    ) -> Result<Vec<Segment>, BadKernel> {
        let fields = (|| {
            let table = (layout.word)(head, layout.table_offset)?;
            let entry = u64::from(u16_at(head, layout.entry_size)?);
            Some((table, entry, u64::from(u16_at(head, layout.entry_count)?)))
        })();
        let (table, entry, count) = fields.ok_or(BadKernel::Unknown)?;
        if entry != layout.segment || count > MAX_SEGMENTS {
            return Err(BadKernel::Unknown);
        }
        let end = table.saturating_add(entry * count);
        if end > length {
            return Err(BadKernel::Truncated { expected: end, actual: length });
        }
        let bytes = read(file, table, entry * count)?;
        let parse = |bytes: &[u8]| {
            Some(Segment {
                kind: u32_at(bytes, 0)?,
                offset: (layout.word)(bytes, layout.offset)?,
                size: (layout.word)(bytes, layout.size)?,
                align: (layout.word)(bytes, layout.align)?,
            })
        };
        let entry = usize::try_from(entry).unwrap_or(usize::MAX).max(1);
        Ok(bytes.chunks_exact(entry).filter_map(parse).collect())
    }

    /// Notes are (name length, data length, type), name, data, each padded.
    fn has_pvh_entry(mut notes: &[u8], align: u64) -> bool {
        let align = if align == 8 { 8 } else { 4 };
        loop {
            let header = (u32_at(notes, 0), u32_at(notes, 4), u32_at(notes, 8));
            let (Some(name), Some(data), Some(kind)) = header else {
                return false;
            };
            let (name, data) = (name as usize, data as usize);
            let name_end = 12usize.saturating_add(name).next_multiple_of(align);
            if kind == PVH_ENTRY && notes.get(12..12 + name) == Some(b"Xen\0") && data >= 4 {
                return true;
            }
            let end = name_end.saturating_add(data.next_multiple_of(align));
            match notes.get(end..) {
                Some(rest) => notes = rest,
                None => return false,
            }
        }
    }

    fn read(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
        bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
        array(bytes, at).map(u16::from_le_bytes)
    }

    fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
        array(bytes, at).map(u32::from_le_bytes)
    }

    fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
        array(bytes, at).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
