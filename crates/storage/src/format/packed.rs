//! The bytes of a qcow2 file that can be written from its beginning to its end: the tables first, then
//! what is on the disk, in the disk's order, and nothing twice.
//!
//! ```text
//! header │ refcount table │ refcount blocks │ L1 table │ L2 tables │ data
//! ```
//!
//! Everything before the data follows from which clusters of the disk have any, so the length of the
//! file is known before the first byte, and two files of the same disk are the same.

use super::blank::{BYTES_PER_L1_ENTRY, CLUSTER, Places, REFCOUNT_TABLE, header};
use innkeeper_model::ByteSize;

/// The clusters of which an entry of the first table tells, and the entries in one cluster of a table.
const ENTRIES: u64 = CLUSTER / 8;
/// How many clusters one refcount block counts, in 16 bits each.
const COUNTED: u64 = CLUSTER / 2;
/// That nobody else uses the cluster that an entry points to.
const COPIED: u64 = 1 << 63;

/// Which clusters of a disk, 64 KiB each, have something in them. A bit a cluster: 2 MiB a TiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occupied {
    size: u64,
    words: Vec<u64>,
}

impl Occupied {
    /// Of a blank disk of this size.
    pub(crate) fn nowhere(size: ByteSize) -> Self {
        // Whole second-level tables, so that each has its words to itself.
        let words = size.0.div_ceil(BYTES_PER_L1_ENTRY) * (ENTRIES / 64);
        Self { size: size.0, words: vec![0; usize::try_from(words).unwrap_or(usize::MAX)] }
    }

    /// Notes that there is something in these bytes, all of which are on the disk.
    pub(crate) fn note(&mut self, at: u64, count: u64) {
        if count == 0 {
            return;
        }
        for cluster in at / CLUSTER..=(at + count - 1) / CLUSTER {
            if let Some(word) = self.words.get_mut(index(cluster / 64)) {
                *word |= 1 << (cluster % 64);
            }
        }
    }

    fn words_of(&self, l2: usize) -> &[u64] {
        let words = index(ENTRIES / 64);
        &self.words[l2 * words..][..words]
    }

    fn has(&self, cluster: u64) -> bool {
        self.words.get(index(cluster / 64)).is_some_and(|word| word >> (cluster % 64) & 1 == 1)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Such a file, which has not been written.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    occupied: Occupied,
    /// By entry of the first table: how many clusters have data, and how many second-level tables there
    /// are, before it; and of all of them at the end.
    before: Vec<(u64, u64)>,
    refcount_table: u64,
    refcount_blocks: u64,
    l1_clusters: u64,
}

/// What a cluster of the file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// A table, or the header: these bytes, and zeros behind them.
    Table(Vec<u8>),
    /// What is at this byte of the disk.
    Data(u64),
}

impl Packed {
    pub(crate) fn new(occupied: Occupied) -> Self {
        let l1_entries = index(occupied.size.div_ceil(BYTES_PER_L1_ENTRY));
        let mut before = Vec::with_capacity(l1_entries + 1);
        let (mut data, mut tables) = (0, 0);
        for l2 in 0..l1_entries {
            before.push((data, tables));
            let words = occupied.words_of(l2).iter();
            let count: u64 = words.map(|word| u64::from(word.count_ones())).sum();
            data += count;
            tables += u64::from(count > 0);
        }
        before.push((data, tables));
        let l1_clusters = (l1_entries as u64).div_ceil(ENTRIES);
        let mut packed =
            Self { occupied, before, refcount_table: 1, refcount_blocks: 1, l1_clusters };
        // The counts are counted, too: more of them until there are enough.
        loop {
            let blocks = packed.clusters().div_ceil(COUNTED);
            let table = blocks.div_ceil(ENTRIES);
            if (blocks, table) == (packed.refcount_blocks, packed.refcount_table) {
                return packed;
            }
            (packed.refcount_blocks, packed.refcount_table) = (blocks, table);
        }
    }

    /// The file's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.clusters() * CLUSTER
    }

    /// How many clusters it has.
    pub(crate) fn clusters(&self) -> u64 {
        self.first_data() + self.all().0
    }

    /// How many of them are tables: all that come before the data.
    pub(crate) fn first_data(&self) -> u64 {
        self.first_l2() + self.all().1
    }

    fn all(&self) -> (u64, u64) {
        self.before.last().copied().unwrap_or_default()
    }

    fn first_l1(&self) -> u64 {
        1 + self.refcount_table + self.refcount_blocks
    }

    fn first_l2(&self) -> u64 {
        self.first_l1() + self.l1_clusters
    }

    /// A cluster of the file, one of [`Self::clusters`].
    pub(crate) fn cluster(&self, number: u64) -> Cluster {
        let first_block = 1 + self.refcount_table;
        Cluster::Table(match number {
            0 => self.header(),
            _ if number < first_block => {
                let blocks = (number - 1) * ENTRIES..(number * ENTRIES).min(self.refcount_blocks);
                table(blocks.map(|block| (first_block + block) * CLUSTER))
            }
            _ if number < self.first_l1() => {
                let counted = (number - first_block) * COUNTED;
                let used = self.clusters().saturating_sub(counted).min(COUNTED);
                (0..used).flat_map(|_| 1_u16.to_be_bytes()).collect()
            }
            _ if number < self.first_l2() => self.l1(number - self.first_l1()),
            _ if number < self.first_data() => self.l2(number - self.first_l2()),
            _ => return Cluster::Data(self.nth_with_data(number - self.first_data()) * CLUSTER),
        })
    }

    fn header(&self) -> Vec<u8> {
        let places = Places {
            l1_entries: self.before.len() as u64 - 1,
            l1_table: self.first_l1() * CLUSTER,
            refcount_clusters: self.refcount_table,
        };
        debug_assert_eq!(REFCOUNT_TABLE, CLUSTER, "it comes after the header");
        header(ByteSize(self.occupied.size), &places, None)
    }

    fn l1(&self, nth: u64) -> Vec<u8> {
        let entries = self.before.windows(2).skip(index(nth * ENTRIES)).take(index(ENTRIES));
        table(entries.map(|pair| match pair {
            [(_, before), (_, after)] if after > before => {
                ((self.first_l2() + before) * CLUSTER) | COPIED
            }
            _ => 0,
        }))
    }

    fn l2(&self, nth: u64) -> Vec<u8> {
        // The last entry before which there are so many tables is the one that has the next.
        let entry = self.before.partition_point(|(_, tables)| *tables <= nth) - 1;
        let mut data = self.first_data() + self.before[entry].0;
        let first = entry as u64 * ENTRIES;
        table((first..first + ENTRIES).map(|cluster| {
            if !self.occupied.has(cluster) {
                return 0;
            }
            data += 1;
            ((data - 1) * CLUSTER) | COPIED
        }))
    }

    /// The cluster of the disk that is the nth with data.
    fn nth_with_data(&self, nth: u64) -> u64 {
        let entry = self.before.partition_point(|(data, _)| *data <= nth) - 1;
        let mut left = nth - self.before[entry].0;
        let mut cluster = entry as u64 * ENTRIES;
        for word in self.occupied.words_of(entry) {
            let here = u64::from(word.count_ones());
            if left < here {
                let mut word = *word;
                for _ in 0..left {
                    word &= word - 1;
                }
                return cluster + u64::from(word.trailing_zeros());
            }
            left -= here;
            cluster += 64;
        }
        cluster
    }
}

fn table(entries: impl Iterator<Item = u64>) -> Vec<u8> {
    entries.flat_map(u64::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{format::qcow2::Qcow2Info, testing::qemu_img};

    /// A file of a disk on which the byte at each of these places is its cluster's number plus one.
    fn file(size: u64, places: &[u64]) -> Vec<u8> {
        let mut occupied = Occupied::nowhere(ByteSize(size));
        for place in places {
            occupied.note(*place, 1);
        }
        let packed = Packed::new(occupied);
        let mut file = Vec::new();
        for number in 0..packed.clusters() {
            let mut bytes = match packed.cluster(number) {
                Cluster::Table(bytes) => bytes,
                Cluster::Data(at) => {
                    let mut bytes = vec![0; index(CLUSTER)];
                    for place in places.iter().filter(|place| **place / CLUSTER == at / CLUSTER) {
                        bytes[index(place % CLUSTER)] = 1 + (at / CLUSTER % 250) as u8;
                    }
                    bytes
                }
            };
            let is_data = matches!(packed.cluster(number), Cluster::Data(_));
            assert_eq!(is_data, number >= packed.first_data());
            bytes.resize(index(CLUSTER), 0);
            file.extend(bytes);
        }
        assert_eq!(file.len() as u64, packed.length());
        file
    }

    #[test]
    fn a_packed_file_is_what_qemu_reads() {
        let (gib, mib) = (1 << 30, 1 << 20);
        for (size, places) in [
            (512, vec![]),
            (512, vec![3]),
            (10 * mib, vec![0, 5 * mib, 10 * mib - 1]),
            // Several second-level tables, some of which there are not, and words to their ends.
            (3 * gib, vec![0, 63 * CLUSTER, 64 * CLUSTER, 512 * mib - 1, 2 * gib, 3 * gib - 512]),
            // More than one cluster of the first table.
            (5 << 40, vec![(5 << 40) - 1, 4 << 40]),
        ] {
            let bytes = file(size, &places);
            let info = Qcow2Info::parse(&bytes[..index(CLUSTER)], bytes.len() as u64).unwrap();
            assert_eq!(info.importable().unwrap().virtual_size, ByteSize(size));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("packed");
            std::fs::write(&path, &bytes).unwrap();
            if let Some(said) = qemu_img(&["check", "-f", "qcow2"], &path) {
                assert!(said.contains("No errors were found"), "{size}: {said}");
            }
        }
    }

    #[test]
    fn counts_are_counted_too() {
        // 3 GiB of data need two blocks of counts.
        let mut occupied = Occupied::nowhere(ByteSize(4 << 30));
        occupied.note(0, 3 << 30);
        let packed = Packed::new(occupied);
        assert_eq!((packed.refcount_blocks, packed.refcount_table), (2, 1));
        let (Cluster::Table(first), Cluster::Table(second)) =
            (packed.cluster(2), packed.cluster(3))
        else {
            panic!("they are tables")
        };
        let ones = |block: &[u8]| block.chunks(2).filter(|count| **count == [0, 1]).count() as u64;
        assert_eq!(ones(&first) + ones(&second), packed.clusters());
        assert_eq!(packed.cluster(packed.clusters() - 1), Cluster::Data((3 << 30) - CLUSTER));
    }
}
