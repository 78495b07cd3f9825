//! The header of a qcow2 file, version 2 or 3, read without believing it.
//!
//! A header can name other files (a backing file, a data file), and whoever opens the disk then reads
//! them on its behalf: the best-known way of stealing a host's files through an image. So a file is
//! imported only if its header names none, has no feature that is not known here, and keeps its
//! tables inside the file. The layout is QEMU's `docs/interop/qcow2.txt`.

use innkeeper_model::ByteSize;

const MAGIC: &[u8; 4] = b"QFI\xfb";
/// The length of a version 2 header; a version 3 one is at least [`V3_LENGTH`].
const V2_LENGTH: u32 = 72;
const V3_LENGTH: u32 = 104;
/// 512 bytes to 2 MiB: what QEMU opens.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// The largest first-level table that QEMU opens: 32 MiB of 8-byte entries.
const MAX_L1_ENTRIES: u32 = (32 << 20) / 8;
/// Extended L2 entries need clusters of at least 16 KiB.
const EXTENDED_L2_MIN_CLUSTER_BITS: u32 = 14;

/// Incompatible features, by bit.
mod feature {
    pub(super) const DIRTY: u64 = 1 << 0;
    pub(super) const CORRUPT: u64 = 1 << 1;
    pub(super) const DATA_FILE: u64 = 1 << 2;
    pub(super) const COMPRESSION_TYPE: u64 = 1 << 3;
    pub(super) const EXTENDED_L2: u64 = 1 << 4;
    pub(super) const KNOWN: u64 = DIRTY | CORRUPT | DATA_FILE | COMPRESSION_TYPE | EXTENDED_L2;
}

/// Header extensions, by type.
pub(crate) mod extension {
    pub(crate) const END: u32 = 0;
    pub(crate) const BACKING_FORMAT: u32 = 0xe279_2aca;
    pub(crate) const DATA_FILE: u32 = 0x4441_5441;
    pub(crate) const ENCRYPTION: u32 = 0x0537_be77;
}

/// Why a qcow2 file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQcow2 {
    /// A part that the header speaks of is not in the file.
    #[error("it is cut short: its {part} would be at bytes {start} to {end}, of {length}")]
    Truncated {
        /// Which part.
        part: &'static str,
        /// Where it would begin.
        start: u64,
        /// Where it would end.
        end: u64,
        /// The file's length.
        length: u64,
    },
    /// A version that QEMU's qcow2 driver does not open, or nobody has defined.
    #[error("it is qcow version {0}; versions 2 and 3 are taken")]
    Version(u32),
    /// A field has a value that no writer writes.
    #[error("its header says that its {field} is {value}, which cannot be")]
    Nonsense {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// It names another file, whose contents it would show.
    #[error("it has a backing file, {0:?}")]
    BackingFile(String),
    /// It names another file, which holds its data.
    #[error("it keeps its data in another file")]
    DataFile,
    /// It is encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// It has been found damaged before.
    #[error("it is marked as corrupt")]
    Corrupt,
    /// It has features that are not known here, so nobody can say what they do.
    #[error("it has incompatible features that are not known (bits {0:#x})")]
    UnknownFeatures(u64),
}

impl BadQcow2 {
    /// What its owner can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::BackingFile(_) | Self::DataFile => {
                "put all its layers into one file where you trust them: \
                 qemu-img convert -O qcow2 FILE NEW.qcow2"
            }
            Self::Encrypted => "decrypt it: qemu-img convert with its secret, -O qcow2",
            Self::Corrupt => "repair it: qemu-img check -r all FILE",
            Self::Version(_) | Self::UnknownFeatures(_) => {
                "rewrite it: qemu-img convert -O qcow2 -o compat=1.1 FILE NEW.qcow2"
            }
            Self::Truncated { .. } => "fetch it again, and compare its checksum",
            Self::Nonsense { .. } => return None,
        })
    }
}

/// What a header says, once it has been found to make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qcow2Info {
    /// The size of the disk in it.
    pub virtual_size: ByteSize,
    /// The file it is an overlay on, as the header has it.
    pub backing_file: Option<String>,
    /// The format that the backing file is said to have.
    pub backing_format: Option<String>,
    /// Whether its data is in another file.
    pub data_file: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether it has been found damaged before.
    pub corrupt: bool,
}

/// Whether a file begins like a qcow2 file of any version.
pub(crate) fn has_qcow2_magic(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

impl Qcow2Info {
    /// Reads the header in a file's first bytes (64 KiB, or all if there are fewer); `length` is the
    /// whole file's.
    ///
    /// # Errors
    /// [`BadQcow2`]: it makes no sense, or has features that are not known. That it names other files
    /// is no error here; see [`Self::importable`].
    pub fn parse(head: &[u8], length: u64) -> Result<Self, BadQcow2> {
        let raw = RawHeader::read(head, length)?;
        raw.check_tables(length)?;
        let mut info = Self {
            virtual_size: ByteSize(raw.size),
            backing_file: raw.backing_file(head, length)?,
            backing_format: None,
            data_file: raw.incompatible & feature::DATA_FILE != 0,
            encrypted: raw.crypt_method != 0,
            corrupt: raw.incompatible & feature::CORRUPT != 0,
        };
        info.read_extensions(&raw, head, length)?;
        Ok(info)
    }

    /// The same, if the file stands alone and its contents can be had.
    ///
    /// # Errors
    /// [`BadQcow2`]: it names other files, is encrypted or corrupt.
    pub fn importable(self) -> Result<Self, BadQcow2> {
        match self.backing_file {
            Some(name) => Err(BadQcow2::BackingFile(name)),
            None if self.data_file => Err(BadQcow2::DataFile),
            None if self.encrypted => Err(BadQcow2::Encrypted),
            None if self.corrupt => Err(BadQcow2::Corrupt),
            None => Ok(self),
        }
    }

    /// Where the tables of a file's disk are.
    ///
    /// # Errors
    /// [`BadQcow2`]: the header makes no sense, or the disk's bytes are not in this file in the open.
    pub(crate) fn tables(head: &[u8], length: u64) -> Result<Tables, BadQcow2> {
        let info = Self::parse(head, length)?;
        Self { backing_file: None, ..info }.importable()?;
        let raw = RawHeader::read(head, length)?;
        if raw.incompatible & feature::EXTENDED_L2 != 0 {
            return Err(BadQcow2::UnknownFeatures(feature::EXTENDED_L2));
        }
        Ok(Tables {
            virtual_size: raw.size,
            cluster_bits: raw.cluster_bits,
            l1_entries: raw.l1_entries,
            l1_offset: raw.l1_offset,
        })
    }

    fn read_extensions(
        &mut self,
        raw: &RawHeader,
        head: &[u8],
        length: u64,
    ) -> Result<(), BadQcow2> {
        let mut at = u64::from(raw.header_length);
        // The backing file's name comes after the extensions, both in the first cluster.
        let end = match raw.backing_offset {
            0 => raw.cluster_size(),
            offset => offset,
        };
        while at + 8 <= end {
            let fields = piece(head, length, "header extensions", at, 8)?;
            let (kind, size) = (be32(fields, 0), be32(fields, 4));
            if kind == extension::END {
                break;
            }
            let data = piece(head, length, "header extensions", at + 8, size.into())?;
            match kind {
                extension::BACKING_FORMAT => self.backing_format = Some(text(data)),
                extension::DATA_FILE => self.data_file = true,
                extension::ENCRYPTION => self.encrypted = true,
                // The others are names of features, and bitmaps: nothing that opens anything.
                _ => {}
            }
            at += 8 + u64::from(size).next_multiple_of(8);
        }
        Ok(())
    }
}

/// Where a disk's bytes are to be looked up. The first-level table is in the file, and large enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) virtual_size: u64,
    /// 9 to 21.
    pub(crate) cluster_bits: u32,
    pub(crate) l1_entries: u32,
    pub(crate) l1_offset: u64,
}

/// The fields of a header that matter here.
struct RawHeader {
    backing_offset: u64,
    backing_size: u32,
    cluster_bits: u32,
    size: u64,
    crypt_method: u32,
    l1_entries: u32,
    l1_offset: u64,
    refcount_offset: u64,
    refcount_clusters: u32,
    incompatible: u64,
    header_length: u32,
}

impl RawHeader {
    fn read(head: &[u8], length: u64) -> Result<Self, BadQcow2> {
        let v2 = piece(head, length, "header", 0, V2_LENGTH.into())?;
        if !has_qcow2_magic(v2) {
            return Err(BadQcow2::Nonsense { field: "magic number", value: be32(v2, 0).into() });
        }
        let version = be32(v2, 4);
        let mut header = Self {
            backing_offset: be64(v2, 8),
            backing_size: be32(v2, 16),
            cluster_bits: be32(v2, 20),
            size: be64(v2, 24),
            crypt_method: be32(v2, 32),
            l1_entries: be32(v2, 36),
            l1_offset: be64(v2, 40),
            refcount_offset: be64(v2, 48),
            refcount_clusters: be32(v2, 56),
            incompatible: 0,
            header_length: V2_LENGTH,
        };
        match version {
            2 => {}
            3 => header.read_v3(piece(head, length, "header", 0, V3_LENGTH.into())?)?,
            _ => return Err(BadQcow2::Version(version)),
        }
        header.check_fields(head, length)?;
        Ok(header)
    }

    fn read_v3(&mut self, v3: &[u8]) -> Result<(), BadQcow2> {
        self.incompatible = be64(v3, 72);
        self.header_length = be32(v3, 100);
        let refcount_order = be32(v3, 96);
        if refcount_order > 6 {
            return Err(nonsense("refcount order", refcount_order));
        }
        Ok(())
    }

    fn check_fields(&self, head: &[u8], length: u64) -> Result<(), BadQcow2> {
        let unknown = self.incompatible & !feature::KNOWN;
        if unknown != 0 {
            return Err(BadQcow2::UnknownFeatures(unknown));
        }
        if !CLUSTER_BITS.contains(&self.cluster_bits) {
            return Err(nonsense("cluster size (as a power of two)", self.cluster_bits));
        }
        let extended = self.incompatible & feature::EXTENDED_L2 != 0;
        if extended && self.cluster_bits < EXTENDED_L2_MIN_CLUSTER_BITS {
            return Err(nonsense("cluster size (as a power of two)", self.cluster_bits));
        }
        let fits = u64::from(self.header_length) <= self.cluster_size();
        let v3_length_ok = self.header_length >= V3_LENGTH && self.header_length.is_multiple_of(8);
        if !fits || !(self.header_length == V2_LENGTH || v3_length_ok) {
            return Err(nonsense("header length", self.header_length));
        }
        if self.crypt_method > 2 {
            return Err(nonsense("encryption method", self.crypt_method));
        }
        if self.incompatible & feature::COMPRESSION_TYPE != 0 {
            self.check_compression(head, length)?;
        }
        Ok(())
    }

    /// 0 is deflate, 1 is zstd.
    fn check_compression(&self, head: &[u8], length: u64) -> Result<(), BadQcow2> {
        if self.header_length <= V3_LENGTH {
            return Err(nonsense("header length", self.header_length));
        }
        match piece(head, length, "header", V3_LENGTH.into(), 1)? {
            [0 | 1] => Ok(()),
            [other, ..] => Err(nonsense("compression type", u32::from(*other))),
            [] => Err(nonsense("compression type", 0)),
        }
    }

    /// That the tables are in the file, and the first is large enough for the disk.
    fn check_tables(&self, length: u64) -> Result<(), BadQcow2> {
        let cluster = self.cluster_size();
        let entry = if self.incompatible & feature::EXTENDED_L2 != 0 { 16 } else { 8 };
        let bytes_per_l1_entry = u128::from(cluster) * u128::from(cluster / entry);
        let needed = u128::from(self.size).div_ceil(bytes_per_l1_entry);
        if self.l1_entries > MAX_L1_ENTRIES || u128::from(self.l1_entries) < needed {
            return Err(nonsense("number of L1 entries", self.l1_entries));
        }
        let l1_bytes = u64::from(self.l1_entries) * 8;
        self.check_table("L1 table", self.l1_offset, l1_bytes, length)?;
        let refcount_bytes = u64::from(self.refcount_clusters) * cluster;
        self.check_table("refcount table", self.refcount_offset, refcount_bytes, length)
    }

    fn check_table(
        &self,
        part: &'static str,
        start: u64,
        bytes: u64,
        length: u64,
    ) -> Result<(), BadQcow2> {
        if !start.is_multiple_of(self.cluster_size()) || (start == 0 && bytes > 0) {
            return Err(BadQcow2::Nonsense { field: part, value: start });
        }
        let end = start.saturating_add(bytes);
        if end > length {
            return Err(BadQcow2::Truncated { part, start, end, length });
        }
        Ok(())
    }

    fn backing_file(&self, head: &[u8], length: u64) -> Result<Option<String>, BadQcow2> {
        if self.backing_offset == 0 {
            return Ok(None);
        }
        let size = u64::from(self.backing_size);
        // 1023 bytes is the most that QEMU reads.
        if size > 1023 || self.backing_offset.saturating_add(size) > self.cluster_size() {
            return Err(nonsense("length of its backing file's name", self.backing_size));
        }
        let name = piece(head, length, "backing file's name", self.backing_offset, size)?;
        Ok(Some(text(name)))
    }

    fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }
}

fn nonsense(field: &'static str, value: u32) -> BadQcow2 {
    BadQcow2::Nonsense { field, value: value.into() }
}

/// Some bytes of the file, if they are among those that were read.
fn piece<'a>(
    head: &'a [u8],
    length: u64,
    part: &'static str,
    start: u64,
    bytes: u64,
) -> Result<&'a [u8], BadQcow2> {
    let end = start.saturating_add(bytes);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| head.get(start..end)).ok_or(BadQcow2::Truncated {
        part,
        start,
        end,
        length,
    })
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[path = "qcow2_tests.rs"]
mod tests;
