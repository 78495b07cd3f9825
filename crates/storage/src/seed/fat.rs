//! The files in the root folder of a small FAT file system (FAT12 or FAT16), read from memory.
//!
//! Seeds are written here, and are small; so all that is not as it was written is damage, and is said to be: a table
//! that leads out of the disk, to what is no cluster, or on and on, and files that are longer than the disk. (The library
//! that writes seeds takes what a table says for true, and panics by it.)

use std::io;
use zeroize::Zeroizing;

/// The bytes of a sector; no others are written.
const SECTOR: usize = 512;
/// The bytes of an entry of a folder.
const ENTRY: usize = 32;
/// With fewer clusters than this, each has 12 bits of the table,
const FAT12: usize = 4085;
/// and with fewer than this, 16.
const FAT16: usize = 65525;
/// What clusters are counted from.
const FIRST: usize = 2;

/// A file of the root folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    cluster: usize,
    pub(super) size: usize,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Fat<'a> {
    disk: &'a [u8],
    /// In bytes.
    cluster_size: usize,
    table: usize,
    root: usize,
    root_entries: usize,
    data: usize,
    clusters: usize,
}

impl<'a> Fat<'a> {
    /// Reads how a disk is laid out.
    ///
    /// # Errors
    /// It has no such file system.
    pub(super) fn open(disk: &'a [u8]) -> io::Result<Self> {
        let [sector, reserved] = [number::<2>(disk, 11)?, number::<2>(disk, 14)?];
        let [in_cluster, tables] = [number::<1>(disk, 13)?, number::<1>(disk, 16)?];
        let [root_entries, table_size] = [number::<2>(disk, 17)?, number::<2>(disk, 22)?];
        let sectors = match number::<2>(disk, 19)? {
            0 => number::<4>(disk, 32)?,
            few => few,
        };
        if sector != SECTOR || in_cluster == 0 || tables == 0 || table_size == 0 {
            return Err(damaged("it is no FAT12 or FAT16"));
        }
        let table = reserved * SECTOR;
        let root = table + tables * table_size * SECTOR;
        let data = root + (root_entries * ENTRY).next_multiple_of(SECTOR);
        let clusters = sectors.saturating_sub(data / SECTOR) / in_cluster;
        if clusters >= FAT16 {
            return Err(damaged("it is no FAT12 or FAT16"));
        }
        let cluster_size = in_cluster * SECTOR;
        Ok(Self { disk, cluster_size, table, root, root_entries, data, clusters })
    }

    /// The files in the root folder; labels and folders are left out.
    ///
    /// # Errors
    /// The folder is not all on the disk.
    pub(super) fn files(&self) -> io::Result<Vec<Entry>> {
        let mut files = Vec::new();
        let mut long = LongName::default();
        for index in 0..self.root_entries {
            let entry = slice(self.disk, self.root + index * ENTRY, ENTRY)?;
            let (first, attributes) = (entry[0], entry[11]);
            match (first, attributes & 0x3f) {
                (0, _) => break,
                (0xe5, _) => long = LongName::default(),
                (_, 0x0f) => long.add(entry),
                (_, other) => {
                    let name = std::mem::take(&mut long).text();
                    if other & 0x18 == 0 {
                        let name = name.unwrap_or_else(|| short_name(&entry[..11]));
                        let (cluster, size) = (number::<2>(entry, 26)?, number::<4>(entry, 28)?);
                        files.push(Entry { name, cluster, size });
                    }
                }
            }
        }
        Ok(files)
    }

    /// What is in a file.
    ///
    /// # Errors
    /// Its clusters are not all on the disk, or are fewer than it has bytes.
    pub(super) fn read(&self, file: &Entry) -> io::Result<Zeroizing<Vec<u8>>> {
        if file.size > self.disk.len() {
            return Err(damaged("a file is longer than the disk"));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(file.size));
        let mut cluster = file.cluster;
        while bytes.len() < file.size {
            if !(FIRST..FIRST + self.clusters).contains(&cluster) {
                return Err(damaged("a file is in no cluster"));
            }
            let start = self.data + (cluster - FIRST) * self.cluster_size;
            let count = self.cluster_size.min(file.size - bytes.len());
            bytes.extend(slice(self.disk, start, count)?);
            cluster = self.next(cluster)?;
        }
        let end = if self.has_wide_table() { 0xfff8 } else { 0xff8 };
        // Also where the table goes in circles.
        if file.size > 0 && cluster < end {
            return Err(damaged("a file goes on behind its end"));
        }
        Ok(bytes)
    }

    /// What the table says comes after a cluster. The end is a number that no cluster has.
    fn next(&self, cluster: usize) -> io::Result<usize> {
        if self.has_wide_table() {
            return number::<2>(self.disk, self.table + 2 * cluster);
        }
        let pair = number::<2>(self.disk, self.table + cluster + cluster / 2)?;
        Ok(if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 })
    }

    /// Whether each cluster has 16 bits of the table.
    const fn has_wide_table(&self) -> bool {
        self.clusters >= FAT12
    }
}

/// A name that is in the entries before its file's, the last part of it first.
#[derive(Debug, Default)]
struct LongName(Vec<u16>);

impl LongName {
    fn add(&mut self, entry: &[u8]) {
        let parts = [&entry[1..11], &entry[14..26], &entry[28..32]].concat();
        let mut units: Vec<u16> =
            parts.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        // No name has more parts than this, whatever the disk says.
        if self.0.len() <= 255 {
            units.append(&mut self.0);
        }
        self.0 = units;
    }

    fn text(self) -> Option<String> {
        let units = self.0.split(|unit| *unit == 0).next()?;
        (!units.is_empty()).then(|| String::from_utf16_lossy(units))
    }
}

/// A name of eight letters and three, without the spaces behind each.
fn short_name(bytes: &[u8]) -> String {
    let (stem, extension) = bytes.split_at(8);
    let [stem, extension] =
        [stem, extension].map(|part| String::from_utf8_lossy(part.trim_ascii_end()).into_owned());
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}

/// A number of so many bytes, at most four, the lowest first.
fn number<const N: usize>(bytes: &[u8], at: usize) -> io::Result<usize> {
    let bytes = slice(bytes, at, N)?;
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn slice(bytes: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    let found = at.checked_add(length).and_then(|end| bytes.get(at..end));
    found.ok_or_else(|| damaged("it leads out of the disk"))
}

fn damaged(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
