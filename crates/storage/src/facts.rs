//! What the files of a VM's disks say: facts, which anybody with access to the pool may have changed.

use crate::{format::qcow2::Qcow2Info, storage::Storage, volumes::needs_volume};
use innkeeper_model::{ByteSize, DiskFacts, VmId, config::Disk};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
};

/// How much of a file a header is looked for in.
const HEAD_LENGTH: u64 = 64 << 10;
/// What `st_blocks` counts in, on every Linux file system.
const BLOCK: u64 = 512;

impl Storage {
    /// What those of a VM's disks are that are volumes of its own. One whose file cannot be read, or
    /// is no volume, is left out. Blocks, for as long as it takes to read a header each.
    pub fn disk_facts(&self, vm: VmId, disks: &[Disk]) -> Vec<DiskFacts> {
        let facts = |disk: &Disk| {
            let read = self.shared.pool.volume(vm, &disk.name);
            let found = File::open(&read).and_then(|file| header_and_size(&file));
            let (virtual_size, allocated) = found.ok()?;
            Some(DiskFacts { name: disk.name.clone(), virtual_size, allocated })
        };
        disks.iter().filter(|disk| needs_volume(disk)).filter_map(facts).collect()
    }

    /// What a VM's files take of the host's disk: its volumes, its memory where it is kept, and all else
    /// in its folder. Host files that it only uses are not counted. Blocks, for as long as it takes to look
    /// at a handful of files.
    ///
    /// # Errors
    /// The host refused.
    pub fn taken(&self, vm: VmId) -> io::Result<ByteSize> {
        let files = match fs::read_dir(self.shared.pool.vm(vm)) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ByteSize(0)),
            Err(error) => return Err(error),
        };
        let mut taken = 0;
        for file in files {
            match file?.metadata() {
                Ok(found) => taken += found.blocks() * BLOCK,
                // It went meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ByteSize(taken))
    }
}

fn header_and_size(file: &File) -> io::Result<(ByteSize, ByteSize)> {
    let found = file.metadata()?;
    let mut head = Vec::new();
    file.take(HEAD_LENGTH).read_to_end(&mut head)?;
    let header = Qcow2Info::parse(&head, found.len()).map_err(io::Error::other)?;
    Ok((header.virtual_size, ByteSize(found.blocks() * BLOCK)))
}
