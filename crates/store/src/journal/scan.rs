//! One segment's bytes, taken apart. Pure but for the reading.

use super::framing::{self, RecordHeader, SEGMENT_HEADER, SegmentStart};
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path};

/// How much is read at once from a file that cannot be read whole: what a disk calls a sector at most.
const SECTOR: usize = 4096;

/// What is in a segment.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) start: SegmentStart,
    pub(super) records: Vec<Scanned>,
    /// Where there is something that is neither zeros nor a record.
    pub(super) holes: Vec<Range<u64>>,
    /// How long the file is, in bytes.
    pub(super) length: u64,
}

/// A record whose header is whole.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) header: RecordHeader,
    /// Where it is, with its header.
    pub(super) at: Range<u64>,
    /// `None` if it is not what was written.
    pub(super) payload: Option<Vec<u8>>,
}

/// Takes a segment apart. What cannot be read is stepped over: the next record is wherever the next
/// header with the right checksum is, as long as the sequences grow.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut records: Vec<Scanned> = Vec::new();
    let mut holes = Vec::new();
    let mut at = SEGMENT_HEADER;
    let mut last = 0;
    while at < bytes.len() {
        let here = framing::record_header(&bytes[at..]).filter(|header| header.sequence > last);
        if let Some(header) = here {
            let end = (at + header.frame_length() as usize).min(bytes.len());
            let payload = &bytes[at + framing::RECORD_HEADER..end];
            let payload = header.fits(payload).then(|| payload.to_vec());
            records.push(Scanned { header, at: at as u64..end as u64, payload });
            (at, last) = (end, header.sequence);
            continue;
        }
        if bytes[at..].iter().all(|byte| *byte == 0) {
            break;
        }
        let next = framing::find_record(bytes, at + 1, last).unwrap_or(bytes.len());
        holes.push(at as u64..next as u64);
        at = next;
    }
    Scan { start: framing::segment_start(bytes), records, holes, length: bytes.len() as u64 }
}

/// Reads a file, with zeros for those of its sectors that cannot be read, and the reason.
pub(super) fn read(path: &Path) -> (Vec<u8>, Option<io::Error>) {
    // To open a pipe would wait for whoever writes to it.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return (Vec::new(), Some(io::Error::other("it is no file")));
    }
    match std::fs::read(path) {
        Ok(bytes) => (bytes, None),
        Err(error) => {
            let sectors = File::open(path).and_then(|file| {
                let length = file.metadata()?.len() as usize;
                Ok(read_sectors(length, |sector, at| file.read_exact_at(sector, at)))
            });
            (sectors.unwrap_or_default(), Some(error))
        }
    }
}

fn read_sectors(length: usize, read: impl Fn(&mut [u8], u64) -> io::Result<()>) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
        if read(sector, (number * SECTOR) as u64).is_err() {
            sector.fill(0);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::framing::{SegmentHeader, push_record};
    use uuid::Uuid;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = SegmentHeader { number: 1, previous: 0 }.encode().to_vec();
        for (sequence, payload) in (1..).zip(payloads) {
            push_record(&mut bytes, Uuid::from_u128(7), payload, sequence, sequence - 1, 0);
        }
        bytes
    }

    fn payloads(scan: &Scan) -> Vec<Option<&[u8]>> {
        scan.records.iter().map(|record| record.payload.as_deref()).collect()
    }

    #[test]
    fn records_end_where_the_zeros_begin() {
        let mut bytes = segment(&[b"one", b"", b"three"]);
        bytes.extend([0; 5000]);
        let scan = scan(&bytes);
        assert_eq!(payloads(&scan), [Some(&b"one"[..]), Some(b""), Some(b"three")]);
        assert!(scan.holes.is_empty());
    }

    #[test]
    fn a_hole_is_stepped_over() {
        let mut bytes = segment(&[b"one", b"two", b"three"]);
        let second = SEGMENT_HEADER + framing::RECORD_HEADER + 3;
        bytes[second + 30] ^= 1;
        let scan = scan(&bytes);
        assert_eq!(payloads(&scan), [Some(&b"one"[..]), Some(b"three")]);
        let hole = second as u64..(second + framing::RECORD_HEADER + 3) as u64;
        assert_eq!(scan.holes, [hole]);
    }

    #[test]
    fn a_record_that_is_cut_short_is_still_named() {
        let mut bytes = segment(&[b"one", b"two"]);
        bytes.truncate(bytes.len() - 1);
        let scan = scan(&bytes);
        assert_eq!(payloads(&scan), [Some(&b"one"[..]), None]);
        assert_eq!(scan.records[1].header.about, Uuid::from_u128(7));
    }

    #[test]
    fn what_the_disk_cannot_read_is_zeros() {
        let bytes = read_sectors(2 * SECTOR + 1, |sector, at| {
            if at == SECTOR as u64 {
                return Err(io::Error::from(rustix::io::Errno::IO));
            }
            sector.fill(1);
            Ok(())
        });
        assert_eq!(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>(), SECTOR as u64 + 1);
        assert_eq!(bytes[SECTOR..2 * SECTOR], [0; SECTOR]);
    }
}
