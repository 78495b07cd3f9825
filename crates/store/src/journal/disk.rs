//! What the journal asks of the disk, so that tests can have one that fails.

use crate::atomic::{sync_folder, temporary_name};
use crate::harm;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::{
    fmt,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

/// The zeros that are written at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A place for segments.
pub(super) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a file of this many zeros, whose room is taken and whose name is on disk once this
    /// returns. Nothing is left of one that could not be made.
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn SegmentFile>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A segment that is written.
pub(super) trait SegmentFile: fmt::Debug + Send {
    /// Writes all these bytes at this place, or an unknown part of them.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Waits until all that was written is on disk.
    fn sync(&self) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct FileSystem;

impl Disk for FileSystem {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn SegmentFile>> {
        let folder = path.parent().ok_or(io::ErrorKind::IsADirectory)?;
        let temporary = folder.join(temporary_name());
        let made = zeros(&temporary, size)
            .and_then(|file| std::fs::rename(&temporary, path).map(|()| file))
            .inspect_err(|_| drop(harm::remove_file(&temporary)))?;
        sync_folder(folder).inspect_err(|_| drop(harm::remove_file(path)))?;
        Ok(Box::new(made))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match harm::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl SegmentFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Takes the room, then writes the zeros. Taking it tells at once when there is not enough; but what
/// is only taken is marked unwritten, and to change that mark costs each sync a write of metadata,
/// which is three times the price for a full batch.
fn zeros(path: &Path, size: u64) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
        // Not every file system can; on those the zeros take the room.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut left = size;
    while left > 0 {
        let count = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..count as usize])?;
        left -= count;
    }
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_new_segment_is_zeros_private_and_has_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let size = ZEROS.len() as u64 + 4097;
        FileSystem.create(&path, size).unwrap();
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(metadata.blocks() * 512 >= size, "{} blocks", metadata.blocks());
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() as u64 == size && bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn nothing_is_left_of_one_that_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        FileSystem.create(&path, 4096).unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_gone_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        FileSystem.remove(&folder.path().join("none")).unwrap();
    }
}
