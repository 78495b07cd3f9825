//! Entrances for fuzzers: files that somebody else made. Anything may be in them.

pub use crate::archive::fuzz::archive;

use crate::{
    flat::FlatDisk,
    format::{self, HEAD_LENGTH, iso::is_iso},
    kernel, seed,
};
use innkeeper_model::{ByteSize, DiskFormat};
use rustix::fs::{MemfdFlags, memfd_create};
use std::{fs::File, io::Write};
use tokio_util::sync::CancellationToken;

/// The largest disk that is looked through here: a larger one takes longer, and nothing else.
const LARGEST: ByteSize = ByteSize(16 << 20);

/// A disk's file, as an import looks at it: what it is, and where its bytes are.
///
/// # Panics
/// There is a mistake: what was taken is none, or reading it failed in a way of its own.
pub fn disk(bytes: &[u8]) {
    let head = &bytes[..bytes.len().min(HEAD_LENGTH)];
    let length = bytes.len() as u64;
    is_iso(head);
    for declared in [None, Some(DiskFormat::Qcow2), Some(DiskFormat::Raw)] {
        match format::inspect(head, length, declared, LARGEST) {
            Ok(found) => assert!(found.virtual_size <= LARGEST, "{found:?}"),
            Err(bad) => drop(bad.at("disk", "")),
        }
    }
    let Ok(found) = format::inspect(head, length, Some(DiskFormat::Qcow2), LARGEST) else { return };
    let Ok(mut disk) = FlatDisk::of_qcow2(file(bytes)) else { return };
    assert_eq!(disk.length(), found.virtual_size.0);
    let _ = disk.occupied(&CancellationToken::new());
    let _ = disk.read_into(&mut [0; 4096], found.virtual_size.0.saturating_sub(4096));
}

/// A kernel's file.
pub fn kernel(bytes: &[u8]) {
    if let Err(bad) = kernel::identify(&file(bytes)) {
        drop(bad.at("kernel", ""));
    }
}

/// A seed, which is a FAT file system.
pub fn seed(bytes: &[u8]) {
    let _ = seed::texts(&file(bytes), |_| true);
}

/// A file with these bytes, which is nowhere.
fn file(bytes: &[u8]) -> File {
    let mut file = File::from(
        memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("every system on which this runs has it"),
    );
    file.write_all(bytes).expect("there is memory for what is in memory");
    std::io::Seek::rewind(&mut file).expect("it is a file");
    file
}
