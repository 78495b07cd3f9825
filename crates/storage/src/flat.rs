//! The bytes of a stopped VM's disk as its guest would read them, out of all layers, without writing
//! anything and without `qemu-img`: whoever sends a disk somewhere needs no second copy of it, and can
//! begin anywhere in it.
//!
//! Which file is under which is known from the VM's configuration, not from headers. What a guest's
//! hypervisor has written into a volume's tables is not believed: an offset leads nowhere but into the
//! same file. A disk that is written to meanwhile is noticed, and reading it ends.

use crate::{
    cancel,
    confine::Access,
    copy,
    format::{
        HEAD_LENGTH,
        packed::Occupied,
        qcow2::{BadQcow2, Qcow2Info, Tables},
    },
    layers::{field, length, read_head, unreadable},
    progress::Reporter,
    room::Room,
    storage::{Shared, Storage},
};
use innkeeper_model::{ByteSize, Code, DiskFormat, Refusal, VmId, config::Disk};
use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// Where in a file an entry of a table points.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// A disk that can be read. It holds its files open, so that they can be removed meanwhile.
#[derive(Debug)]
pub struct FlatDisk {
    /// The topmost first.
    layers: Vec<Layer>,
    /// The topmost file as it was when this was opened.
    stamp: Stamp,
}

/// What is another when a file has been written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

#[derive(Debug)]
struct Layer {
    file: File,
    /// How much of the disk it can have; what is beyond is zeros.
    size: u64,
    /// Of a qcow2 file.
    map: Option<Map>,
}

/// Where the clusters of a qcow2 file are.
#[derive(Debug)]
struct Map {
    tables: Tables,
    l1: Vec<u64>,
    /// The second-level table that was needed last, and where it is.
    l2: (u64, Vec<u64>),
}

/// Where a stretch of a disk is, for one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At this offset of its file.
    At(u64),
    /// Nowhere, and it is zeros.
    Zeros,
    /// In the layers below.
    Below,
}

impl Storage {
    /// Opens a VM's disk to be read. That the VM is stopped is for the caller to know.
    ///
    /// # Errors
    /// A file is missing, or is one that this cannot read: compressed, encrypted, damaged.
    pub async fn open_disk(&self, vm: VmId, disk: &Disk) -> Result<FlatDisk, Refusal> {
        let (shared, disk) = (Arc::clone(&self.shared), disk.clone());
        cancel::briefly(move || shared.open_disk(vm, &disk)).await
    }
}

impl Shared {
    pub(crate) fn open_disk(&self, vm: VmId, disk: &Disk) -> Result<FlatDisk, Refusal> {
        let at = field(disk, "path");
        let mut layers = Vec::new();
        for layer in self.layers(vm, disk)? {
            let file = File::from(layer.open(Access::Read, &at)?);
            let read = Layer::read(file, layer.format());
            layers.push(read.map_err(|error| unreadable(layer.path(), error))?);
        }
        let stamp = match layers.first() {
            Some(layer) => Stamp::of(&layer.file)?,
            None => return Err(Refusal::not_found("disk", &disk.name)),
        };
        Ok(FlatDisk { layers, stamp })
    }
}

impl FlatDisk {
    /// The disk's size in bytes.
    pub fn length(&self) -> u64 {
        self.layers.first().map_or(0, |layer| layer.size)
    }

    /// What is another when the disk has been written to: visible ASCII characters.
    pub fn tag(&self) -> String {
        let Stamp { inode, length, changed: (seconds, nanoseconds) } = self.stamp;
        format!("{inode:x}-{length:x}-{seconds:x}.{nanoseconds:x}")
    }

    /// Reads so many bytes from here on, all of them in the disk, and gives the disk back.
    ///
    /// # Errors
    /// `wrong-state`: the disk has been written to since it was opened; a table leads nowhere; the
    /// system's.
    pub async fn read(mut self, at: u64, count: usize) -> Result<(Vec<u8>, Self), Refusal> {
        cancel::briefly(move || {
            let mut bytes = vec![0; count];
            self.read_into(&mut bytes, at)?;
            // Looked at after the bytes have been read: what was written later is not in them.
            self.is_as_it_was()?;
            Ok((bytes, self))
        })
        .await
    }

    /// One file that somebody sent, which stands alone.
    ///
    /// # Errors
    /// It is no qcow2 file, names other files, or its tables are not in it.
    pub(crate) fn of_qcow2(file: File) -> io::Result<Self> {
        let head = read_head(&file, HEAD_LENGTH)?;
        Qcow2Info::parse(&head, length(&file)?).and_then(Qcow2Info::importable).map_err(invalid)?;
        let stamp = Stamp::of(&file)?;
        Ok(Self { layers: vec![Layer::read(file, DiskFormat::Qcow2)?], stamp })
    }

    /// A file that is what it is.
    pub(crate) fn of_raw(file: File) -> io::Result<Self> {
        let stamp = Stamp::of(&file)?;
        Ok(Self { layers: vec![Layer::read(file, DiskFormat::Raw)?], stamp })
    }

    /// Reads into a buffer that is zeros. Blocks.
    pub(crate) fn read_into(&mut self, zeros: &mut [u8], at: u64) -> io::Result<()> {
        read_layers(&mut self.layers, zeros, at)
    }

    /// Refuses a disk that has been written to since it was opened.
    pub(crate) fn is_as_it_was(&self) -> Result<(), Refusal> {
        if Stamp::of(&self.layers[0].file)? == self.stamp {
            return Ok(());
        }
        let message = "the disk is written to while it is read: its VM was started";
        Err(Refusal::new(Code::WrongState, message)
            .with_hint("stop the VM, and read the disk from its beginning"))
    }

    /// Where on the disk there is something, without reading that; and how many bytes there are, of
    /// which a file that makes sense has each once. Blocks.
    pub(crate) fn occupied(
        &mut self,
        cancel: &CancellationToken,
    ) -> Result<(Occupied, u64), Refusal> {
        let size = self.length();
        let mut occupied = Occupied::nowhere(ByteSize(size));
        let (mut at, mut bytes) = (0, 0_u64);
        while at < size {
            cancel::check(cancel)?;
            let (is_there, stretch) = self.stretch(at)?;
            if is_there {
                occupied.note(at, stretch);
                bytes = bytes.saturating_add(stretch);
            }
            at += stretch;
        }
        Ok((occupied, bytes))
    }

    /// Writes the whole disk into a new file, which gets its length, and holes where there are zeros.
    /// Blocks. A disk that is written to meanwhile is refused.
    pub(crate) fn copy_to(
        &mut self,
        to: &File,
        room: &Room,
        report: &Reporter,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let size = self.length();
        let (_, bytes) = self.occupied(cancel)?;
        let mut promise = room.promise(bytes.min(size))?;
        let mut buffer = vec![0; copy::PIECE];
        let mut at = 0;
        while at < size {
            cancel::check(cancel)?;
            let (is_there, stretch) = self.stretch(at)?;
            if is_there {
                // As much as is wanted at once, however short the stretch: holes in it are left out.
                let count = usize::try_from(size - at).map_or(copy::PIECE, |n| n.min(copy::PIECE));
                let piece = &mut buffer[..count];
                piece.fill(0);
                self.read_into(piece, at)?;
                copy::put(to, piece, at, &mut promise)?;
                at += count as u64;
            } else {
                at += stretch;
            }
            report.done(at);
        }
        to.set_len(size)?;
        self.is_as_it_was()
    }

    /// Whether there is something at this byte of the disk, and for how long that is so.
    fn stretch(&mut self, at: u64) -> io::Result<(bool, u64)> {
        let mut stretch = self.length() - at;
        for layer in &mut self.layers {
            let (place, length) = layer.place(at)?;
            stretch = stretch.min(length);
            match place {
                Place::Below => {}
                Place::Zeros => break,
                Place::At(offset) => return layer.stretch(offset, stretch),
            }
        }
        Ok((false, stretch))
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { inode: metadata.ino(), length: metadata.len(), changed })
    }
}

impl Layer {
    fn read(file: File, format: DiskFormat) -> io::Result<Self> {
        let size = length(&file)?;
        match format {
            DiskFormat::Raw => Ok(Self { file, size, map: None }),
            DiskFormat::Qcow2 => {
                let head = read_head(&file, HEAD_LENGTH)?;
                let tables = Qcow2Info::tables(&head, size).map_err(invalid)?;
                let entries = tables.l1_entries as usize;
                let l1 = table(&file, tables.l1_offset, entries)?;
                let map = Some(Map { tables, l1, l2: (0, Vec::new()) });
                Ok(Self { file, size: tables.virtual_size, map })
            }
        }
    }

    /// Where the stretch from here on is, and how long it is at least.
    fn place(&mut self, at: u64) -> io::Result<(Place, u64)> {
        if at >= self.size {
            return Ok((Place::Zeros, u64::MAX));
        }
        let left = self.size - at;
        let (place, stretch) = match &mut self.map {
            None => (Place::At(at), left),
            Some(map) => map.place(&self.file, at)?,
        };
        Ok((place, stretch.min(left)))
    }

    /// Whether there is something at this offset of the file, and for how long that is so. Of a qcow2
    /// file all that has a place counts.
    fn stretch(&self, offset: u64, most: u64) -> io::Result<(bool, u64)> {
        if self.map.is_some() {
            return Ok((true, most));
        }
        Ok(match copy::next_data(&self.file, offset, self.size)? {
            Some((start, end)) if start <= offset => (true, most.min(end - offset)),
            Some((start, _)) => (false, most.min(start - offset)),
            None => (false, most),
        })
    }
}

impl Map {
    fn place(&mut self, file: &File, at: u64) -> io::Result<(Place, u64)> {
        let cluster_bits = self.tables.cluster_bits;
        let (cluster, entry_bits) = (1_u64 << cluster_bits, cluster_bits - 3);
        let within = at & (cluster - 1);
        let stretch = cluster - within;
        let index = usize::try_from(at >> (cluster_bits + entry_bits)).unwrap_or(usize::MAX);
        let l2 = self.l1.get(index).copied().unwrap_or(0) & OFFSET;
        if l2 == 0 {
            // None of what this table would be of is here.
            let covered = cluster << entry_bits;
            return Ok((Place::Below, covered - (at & (covered - 1))));
        }
        if self.l2.0 != l2 {
            self.l2 = (l2, table(file, l2, 1 << entry_bits)?);
        }
        let entry = self.l2.1[((at >> cluster_bits) & ((1 << entry_bits) - 1)) as usize];
        let place = match entry & OFFSET {
            _ if entry & COMPRESSED != 0 => {
                let problem = "it is compressed, which only qemu-img reads";
                return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
            }
            _ if entry & ZERO != 0 => Place::Zeros,
            0 => Place::Below,
            offset => Place::At(offset + within),
        };
        Ok((place, stretch))
    }
}

/// Fills the buffer, which is zeros, from the topmost layer that has something to say of each stretch.
fn read_layers(layers: &mut [Layer], buffer: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let here = at + done as u64;
        let mut stretch = (buffer.len() - done) as u64;
        for layer in &mut *layers {
            let (place, length) = layer.place(here)?;
            stretch = stretch.min(length);
            match place {
                Place::Below => continue,
                Place::Zeros => {}
                Place::At(offset) => {
                    let end = done + usize::try_from(stretch).unwrap_or(usize::MAX);
                    read_or_zeros(&layer.file, &mut buffer[done..end], offset)?;
                }
            }
            break;
        }
        done += usize::try_from(stretch).unwrap_or(usize::MAX);
    }
    Ok(())
}

/// Reads what there is; a file may end in the midst of a cluster, whose rest is zeros.
fn read_or_zeros(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(())
}

/// A table of so many entries.
fn table(file: &File, offset: u64, entries: usize) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; entries * 8];
    file.read_exact_at(&mut bytes, offset)?;
    let entry = |bytes: &[u8]| bytes.iter().fold(0, |entry, byte| entry << 8 | u64::from(*byte));
    Ok(bytes.chunks_exact(8).map(entry).collect())
}

fn invalid(bad: BadQcow2) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, bad)
}

#[cfg(test)]
#[path = "flat_tests.rs"]
mod tests;
