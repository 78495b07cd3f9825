//! The bytes of a segment's header and of a record's frame. Pure: no file is touched here.
//!
//! ```text
//! segment   0  "INNJRNL\n"     8  version u32    12  crc32c of 0..12
//!          16  number u64     24  previous u64   32  crc32c of 0..32
//! record    0  marker          4  length u32      8  about (16 bytes)
//!          24  sequence u64   32  previous u64   40  synced u64
//!          48  crc32c of the payload             52  crc32c of 0..52     56  payload
//! ```
//!
//! All numbers are little-endian. The first sixteen bytes of a segment mean the same in every version
//! of the format, so that a newer one is called newer, and a flipped bit in it damage.

use std::ops::Range;
use uuid::Uuid;

/// The version of the format that this binary writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// How many bytes a segment's header takes.
pub(super) const SEGMENT_HEADER: usize = 36;
/// How many bytes a record takes beside its payload.
pub(super) const RECORD_HEADER: usize = 56;

const SEGMENT_MAGIC: [u8; 8] = *b"INNJRNL\n";
/// What a record starts with. It is no UTF-8, so that no payload of JSON can hold a frame.
const RECORD_MARKER: [u8; 4] = [0xf5, b'I', b'N', 0xff];

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Its number, which is also in its name.
    pub(super) number: u64,
    /// The [`RecordHeader::previous`] of its first record.
    pub(super) previous: u64,
}

/// What stands where a segment's header should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentStart {
    /// A header.
    Whole(SegmentHeader),
    /// Zeros: the segment was prepared, and not begun.
    Blank,
    /// Something else.
    Damaged,
    /// The header of a newer version of the format.
    TooNew(u32),
}

/// What a record says of itself, and of the records before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// How long its payload is, in bytes.
    pub(super) length: u32,
    /// What it is about.
    pub(super) about: Uuid,
    /// Its place in the order of all records. Never used for two, and never smaller than one before.
    pub(super) sequence: u64,
    /// The sequence of the record before it; those between the two were given up and do not count.
    pub(super) previous: u64,
    /// Up to which sequence everything was known to be on disk when this record was written.
    pub(super) synced: u64,
    payload_crc: u32,
}

impl RecordHeader {
    /// How long the record is with its header, in bytes.
    pub(super) fn frame_length(&self) -> u64 {
        frame_length(self.length as usize)
    }

    /// Whether this is what was written under this header.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && crc32c(payload) == self.payload_crc
    }
}

/// How long the record of a payload of this length is, in bytes.
pub(super) fn frame_length(payload: usize) -> u64 {
    (RECORD_HEADER + payload) as u64
}

impl SegmentHeader {
    /// Its bytes.
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        seal(&mut bytes, 12);
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous.to_le_bytes());
        seal(&mut bytes, 32);
        bytes
    }
}

/// What the bytes of a segment start with.
pub(super) fn segment_start(bytes: &[u8]) -> SegmentStart {
    let Some(bytes) = bytes.get(..SEGMENT_HEADER) else {
        let blank = bytes.iter().all(|byte| *byte == 0);
        return if blank { SegmentStart::Blank } else { SegmentStart::Damaged };
    };
    if bytes.iter().all(|byte| *byte == 0) {
        return SegmentStart::Blank;
    }
    if !bytes.starts_with(&SEGMENT_MAGIC) || !is_sealed(bytes, 12) {
        return SegmentStart::Damaged;
    }
    match u32_at(bytes, 8) {
        VERSION if is_sealed(bytes, 32) => SegmentStart::Whole(SegmentHeader {
            number: u64_at(bytes, 16),
            previous: u64_at(bytes, 24),
        }),
        newer if newer > VERSION => SegmentStart::TooNew(newer),
        _ => SegmentStart::Damaged,
    }
}

/// Appends the frame of a record. The payload's length was checked to fit a segment.
pub(super) fn push_record(
    frames: &mut Vec<u8>,
    about: Uuid,
    payload: &[u8],
    sequence: u64,
    previous: u64,
    synced: u64,
) {
    let length = u32::try_from(payload.len()).expect("no segment is that large");
    let begin = frames.len();
    frames.extend_from_slice(&RECORD_MARKER);
    frames.extend_from_slice(&length.to_le_bytes());
    frames.extend_from_slice(about.as_bytes());
    frames.extend_from_slice(&sequence.to_le_bytes());
    frames.extend_from_slice(&previous.to_le_bytes());
    frames.extend_from_slice(&synced.to_le_bytes());
    frames.extend_from_slice(&crc32c(payload).to_le_bytes());
    frames.extend_from_slice(&[0; 4]);
    seal(&mut frames[begin..], 52);
    frames.extend_from_slice(payload);
}

/// The header of the record that these bytes start with, if they start with one. Whether its payload
/// is there and whole is another question.
pub(super) fn record_header(bytes: &[u8]) -> Option<RecordHeader> {
    let bytes = bytes.get(..RECORD_HEADER)?;
    if !bytes.starts_with(&RECORD_MARKER) || !is_sealed(bytes, 52) {
        return None;
    }
    let about = bytes[8..24].try_into().expect("a slice of sixteen bytes");
    Some(RecordHeader {
        length: u32_at(bytes, 4),
        about: Uuid::from_bytes(about),
        sequence: u64_at(bytes, 24),
        previous: u64_at(bytes, 32),
        synced: u64_at(bytes, 40),
        payload_crc: u32_at(bytes, 48),
    })
}

/// Where the next record after `from` starts whose sequence is larger than `last`.
pub(super) fn find_record(bytes: &[u8], from: usize, last: u64) -> Option<usize> {
    let mut from = from;
    loop {
        let rest = bytes.get(from..)?;
        let found = from + rest.iter().position(|byte| *byte == RECORD_MARKER[0])?;
        if record_header(&bytes[found..]).is_some_and(|header| header.sequence > last) {
            return Some(found);
        }
        from = found + 1;
    }
}

/// The [`RecordHeader::previous`] of the first of these frames, which were made here.
pub(super) fn first_previous(frames: &[u8]) -> Option<u64> {
    record_header(frames).map(|header| header.previous)
}

/// Leaves those of these frames, which were made here, that are wanted, and links each to the one
/// that is before it now. Gives back the last one's sequence, or what was before the first.
pub(super) fn retain(frames: &mut Vec<u8>, mut wanted: impl FnMut(u64) -> bool) -> Option<u64> {
    let mut last = first_previous(frames)?;
    let (mut read, mut write) = (0, 0);
    while let Some(header) = record_header(&frames[read..]) {
        let frame = Range { start: read, end: read + RECORD_HEADER + header.length as usize };
        read = frame.end;
        if !wanted(header.sequence) {
            continue;
        }
        frames.copy_within(frame.clone(), write);
        frames[write + 32..write + 40].copy_from_slice(&last.to_le_bytes());
        seal(&mut frames[write..], 52);
        write += frame.len();
        last = header.sequence;
    }
    frames.truncate(write);
    Some(last)
}

/// Writes the checksum of the first `length` bytes after them.
fn seal(bytes: &mut [u8], length: usize) {
    let crc = crc32c(&bytes[..length]);
    bytes[length..length + 4].copy_from_slice(&crc.to_le_bytes());
}

fn is_sealed(bytes: &[u8], length: usize) -> bool {
    crc32c(&bytes[..length]) == u32_at(bytes, length)
}

/// The checksum of whatever is in a journal's folder.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    // "iSCSI" is the polynomial's name there, for where it was used first.
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(crc).expect("a CRC of 32 bits")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is on disks already must stay readable: whoever changes this raises the version.
    #[test]
    fn the_bytes_of_version_1_do_not_change() {
        let header = SegmentHeader { number: 7, previous: 0x0102 };
        assert_eq!(
            hex(&header.encode()),
            "494e4e4a524e4c0a01000000d57409e407000000000000000201000000000000a04c4293"
        );
        let mut frame = Vec::new();
        push_record(&mut frame, Uuid::from_u128(1), b"hi", 4, 3, 2);
        assert_eq!(
            hex(&frame),
            "f5494eff0200000000000000000000000000000000000001040000000000000003000000000000000200000\
             000000000c2d99df5514b4ce26869"
        );
    }

    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn what_is_written_is_read() {
        let header = SegmentHeader { number: 7, previous: 3 };
        assert_eq!(segment_start(&header.encode()), SegmentStart::Whole(header));
        let mut frame = Vec::new();
        push_record(&mut frame, Uuid::from_u128(9), b"payload", 4, 3, 2);
        let read = record_header(&frame).unwrap();
        assert_eq!((read.length, read.about), (7, Uuid::from_u128(9)));
        assert_eq!((read.sequence, read.previous, read.synced), (4, 3, 2));
        assert!(read.fits(b"payload") && !read.fits(b"Payload") && !read.fits(b"payloa"));
        assert_eq!(read.frame_length(), frame.len() as u64);
    }

    #[test]
    fn no_flipped_bit_of_a_header_goes_unnoticed() {
        let segment = SegmentHeader { number: 7, previous: 3 }.encode();
        for bit in 0..segment.len() * 8 {
            let mut bytes = segment;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(segment_start(&bytes), SegmentStart::Damaged, "bit {bit}");
        }
        let mut frame = Vec::new();
        push_record(&mut frame, Uuid::from_u128(9), b"", 4, 3, 2);
        for bit in 0..frame.len() * 8 {
            let mut bytes = frame.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(record_header(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_called_newer() {
        let mut bytes = SegmentHeader { number: 7, previous: 3 }.encode();
        bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
        seal(&mut bytes, 12);
        assert_eq!(segment_start(&bytes), SegmentStart::TooNew(9));
    }

    #[test]
    fn a_segment_that_was_never_begun_is_blank() {
        assert_eq!(segment_start(&[0; 4096]), SegmentStart::Blank);
        assert_eq!(segment_start(&[]), SegmentStart::Blank);
        assert_eq!(segment_start(&[1]), SegmentStart::Damaged);
    }

    #[test]
    fn a_record_is_found_after_rubbish_and_an_older_one_is_not() {
        let mut bytes = vec![RECORD_MARKER[0]; 100];
        push_record(&mut bytes, Uuid::nil(), b"old", 4, 3, 2);
        let wanted = bytes.len();
        push_record(&mut bytes, Uuid::nil(), b"new", 5, 4, 2);
        assert_eq!(find_record(&bytes, 0, 4), Some(wanted));
        assert_eq!(find_record(&bytes, 0, 3), Some(100));
        assert_eq!(find_record(&bytes, 0, 5), None);
    }

    #[test]
    fn frames_that_are_not_wanted_are_taken_out_and_the_others_linked() {
        let mut frames = Vec::new();
        for sequence in 11..=14 {
            push_record(&mut frames, Uuid::nil(), b"x", sequence, sequence - 1, 10);
        }
        assert_eq!(retain(&mut frames, |sequence| sequence % 2 == 0), Some(14));
        let first = record_header(&frames).unwrap();
        let second = record_header(&frames[first.frame_length() as usize..]).unwrap();
        assert_eq!((first.sequence, first.previous), (12, 10));
        assert_eq!((second.sequence, second.previous), (14, 12));
        assert_eq!(frames.len() as u64, 2 * frame_length(1));
        assert_eq!(retain(&mut frames, |_| false), Some(10));
        assert!(frames.is_empty());
        assert_eq!(retain(&mut frames, |_| true), None);
    }
}
