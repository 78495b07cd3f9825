//! The bytes of a new qcow2 file: blank, or an overlay on which nothing has been written.
//!
//! Written here rather than by `qemu-img create`, since it is four small clusters and a new disk is
//! part of every VM's creation: no process, no probing, nothing to confine. QEMU's own checker passes
//! over the result in the tests.

use super::qcow2::extension;
use innkeeper_model::{ByteSize, DiskFormat};

/// QEMU's default: 64 KiB.
const CLUSTER_BITS: u32 = 16;
pub(crate) const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// What one entry of the first table covers: a cluster of 8-byte entries, a cluster each.
pub(super) const BYTES_PER_L1_ENTRY: u64 = CLUSTER * (CLUSTER / 8);
/// Where the tables begin: the header has cluster 0, the refcount table 1, its one block 2.
pub(super) const REFCOUNT_TABLE: u64 = CLUSTER;
const REFCOUNT_BLOCK: u64 = 2 * CLUSTER;
const L1_TABLE: u64 = 3 * CLUSTER;
/// The version 3 header with its compression type and padding.
const HEADER_LENGTH: u32 = 112;
/// 16-bit reference counts.
const REFCOUNT_ORDER: u32 = 4;

/// What is under an overlay.
pub(crate) struct Base<'a> {
    /// Its path, as it will stand in the header: for people and their tools, since every open by
    /// Innkeeper names the base itself. At most 1023 bytes.
    pub(crate) path: &'a str,
    pub(crate) format: DiskFormat,
}

/// The first bytes of the file, and its whole length; the rest is zeros.
pub(crate) struct Blank {
    pub(crate) bytes: Vec<u8>,
    pub(crate) length: u64,
}

/// A new disk of this size, which is a multiple of 512 bytes.
pub(crate) fn blank(size: ByteSize, base: Option<&Base<'_>>) -> Blank {
    let l1_entries = size.0.div_ceil(BYTES_PER_L1_ENTRY);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let clusters = L1_TABLE / CLUSTER + l1_clusters;
    let places = Places { l1_entries, l1_table: L1_TABLE, refcount_clusters: 1 };
    let mut bytes = header(size, &places, base);
    bytes.resize(position(REFCOUNT_TABLE), 0);
    bytes.extend(REFCOUNT_BLOCK.to_be_bytes());
    bytes.resize(position(REFCOUNT_BLOCK), 0);
    // One block counts 32,768 clusters, and the largest first table that QEMU opens takes 512.
    bytes.extend((0..clusters).flat_map(|_| 1u16.to_be_bytes()));
    Blank { bytes, length: clusters * CLUSTER }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("the tables are in the first 256 KiB")
}

/// Where a file's tables are, besides that the refcount table always begins at [`REFCOUNT_TABLE`].
pub(super) struct Places {
    pub(super) l1_entries: u64,
    /// In bytes.
    pub(super) l1_table: u64,
    pub(super) refcount_clusters: u64,
}

pub(super) fn header(size: ByteSize, places: &Places, base: Option<&Base<'_>>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(base) = base {
        let format = base.format.as_str().as_bytes();
        extensions.extend(extension::BACKING_FORMAT.to_be_bytes());
        extensions.extend(be32(format.len()));
        extensions.extend(format);
        extensions.resize(extensions.len().next_multiple_of(8), 0);
    }
    extensions.extend([0; 8]); // extension::END, of no length
    let path = base.map_or("", |base| base.path);
    let path_offset = match base {
        Some(_) => u64::from(HEADER_LENGTH) + extensions.len() as u64,
        None => 0,
    };
    let mut bytes = Vec::with_capacity(position(L1_TABLE) + position(CLUSTER));
    bytes.extend(b"QFI\xfb");
    bytes.extend(3u32.to_be_bytes());
    bytes.extend(path_offset.to_be_bytes());
    bytes.extend(be32(path.len()));
    bytes.extend(CLUSTER_BITS.to_be_bytes());
    bytes.extend(size.0.to_be_bytes());
    bytes.extend(0u32.to_be_bytes()); // no encryption
    bytes.extend(be32(position(places.l1_entries)));
    bytes.extend(places.l1_table.to_be_bytes());
    bytes.extend(REFCOUNT_TABLE.to_be_bytes());
    bytes.extend(be32(position(places.refcount_clusters)));
    bytes.extend([0; 4 + 8]); // no internal snapshots
    bytes.extend([0; 3 * 8]); // no features: incompatible, compatible, autoclear
    bytes.extend(REFCOUNT_ORDER.to_be_bytes());
    bytes.extend(HEADER_LENGTH.to_be_bytes());
    bytes.extend([0; 8]); // deflate, and padding
    bytes.extend(extensions);
    bytes.extend(path.as_bytes());
    bytes
}

fn be32(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("names and tables of a new disk are small").to_be_bytes()
}
