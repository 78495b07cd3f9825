//! Disks that misbehave on request.

use crate::journal::disk::{Disk, FileSystem, SegmentFile};
use rustix::io::Errno;
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

/// What a [`FaultyDisk`] refuses now.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    pub(super) create: Option<Errno>,
    /// How much of the next writes is done before they fail, and with what.
    pub(super) write: Option<(usize, Errno)>,
    pub(super) sync: Option<Errno>,
    pub(super) remove: Option<Errno>,
    /// How many of these happen before the disk is well again; zero for without end.
    pub(super) left: usize,
}

/// The file system, but for what it refuses.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<Faults>>);

#[derive(Debug)]
struct FaultyFile(Box<dyn SegmentFile>, FaultyDisk);

impl FaultyDisk {
    pub(super) fn set(&self, faults: Faults) {
        *self.0.lock().unwrap() = faults;
    }

    fn fault<T>(&self, which: impl Fn(&Faults) -> Option<T>) -> Option<T> {
        let mut faults = self.0.lock().unwrap();
        let fault = which(&faults)?;
        match faults.left {
            0 => {}
            1 => *faults = Faults::default(),
            _ => faults.left -= 1,
        }
        Some(fault)
    }

    fn refuse(&self, which: impl Fn(&Faults) -> Option<Errno>) -> io::Result<()> {
        self.fault(which).map_or(Ok(()), |errno| Err(errno.into()))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.refuse(|faults| faults.create)?;
        Ok(Box::new(FaultyFile(FileSystem.create(path, size)?, self.clone())))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.refuse(|faults| faults.remove)?;
        FileSystem.remove(path)
    }
}

impl SegmentFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some((done, errno)) = self.1.fault(|faults| faults.write) {
            self.0.write_at(&bytes[..done.min(bytes.len())], offset)?;
            return Err(errno.into());
        }
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.1.refuse(|faults| faults.sync)?;
        self.0.sync()
    }
}
