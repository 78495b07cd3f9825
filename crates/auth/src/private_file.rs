//! Files that are this daemon's alone.

use rustix::fs::{Mode, OFlags};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// What such a file holds, whose it is and its permission bits, all of the same open file.
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    pub(crate) owner: u32,
    pub(crate) mode: u32,
}

/// Reads a file, and `at_most` so many bytes of it.
///
/// # Errors
/// The system's; or it is no regular file.
pub(crate) fn read(path: &Path, at_most: u64) -> io::Result<Found> {
    // No link is followed and no pipe is waited for: neither is what this daemon wrote.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, OFlags::RDONLY | flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(at_most).read_to_end(&mut bytes)?;
    Ok(Found { bytes, owner: metadata.uid(), mode: metadata.mode() & 0o777 })
}
