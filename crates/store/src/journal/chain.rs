//! Which of the records that were found count, and what is missing. Pure.
//!
//! Each record names the one before it ([`RecordHeader::previous`](super::framing::RecordHeader)). So
//! one walk from the newest to the oldest tells three things apart that look the same on disk:
//!
//! - a record *between* another and its `previous` was given up, and does not count;
//! - a `previous` that is not there is *damage*, wherever the record was lost;
//! - rubbish that no record misses is the torn end of an earlier run, and nothing was lost.
//!
//! A record may be there twice, as what was not known to be synced is copied when the disk fails.

use super::{
    failed::DamageReason,
    framing::{SEGMENT_HEADER, SegmentStart},
    scan::{Scan, Scanned},
};
use std::ops::Range;
use uuid::Uuid;

/// A segment that was read.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) scan: Scan,
}

/// A record that counts.
#[derive(Debug)]
pub(super) struct Counted {
    /// Which of the segments it is in.
    pub(super) segment: usize,
    pub(super) record: Scanned,
}

/// Something that was written and cannot be read.
#[derive(Debug)]
pub(super) struct Lost {
    /// The number of the segment, be it gone.
    pub(super) number: u64,
    pub(super) at: Range<u64>,
    pub(super) about: Option<Uuid>,
    pub(super) reason: DamageReason,
    pub(super) synced: bool,
}

/// What came of the segments.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The records that count and are whole, in the order written.
    pub(super) records: Vec<Counted>,
    /// What is not there or not whole, in the order of the files.
    pub(super) lost: Vec<Lost>,
    /// What the next record has before it: zero in an empty journal.
    pub(super) last: u64,
    /// The largest sequence that was seen.
    pub(super) highest: u64,
    /// Up to which sequence everything was synced for certain.
    pub(super) synced: u64,
}

/// Finds out what counts in these segments, which are in the order of their numbers. Takes the
/// payloads out of them.
pub(super) fn walk(segments: &mut [Segment]) -> Chain {
    let records = in_order(segments);
    let highest = records.last().map_or(0, |last| last.record.header.sequence);
    let synced = records.iter().map(|each| each.record.header.synced).max().unwrap_or(0);
    let (mut records, gaps) = linked(records, start_of_oldest(segments));
    // The last record may be torn, which is how a crash ends a journal. What it says is before it
    // counts all the same, and must not be forgotten by what is appended next.
    let torn = records.pop_if(|last| last.record.payload.is_none());
    let last = match (&torn, records.last()) {
        (Some(torn), _) => {
            let segment = segments[torn.segment].number;
            tracing::debug!(segment, offset = torn.record.at.start, "a torn record");
            torn.record.header.previous
        }
        (None, Some(last)) => last.record.header.sequence,
        (None, None) => 0,
    };
    let damaged_starts =
        (0..segments.len()).filter(|segment| start_is_damaged(&segments[*segment]));
    let mut lost: Vec<Lost> = damaged_starts
        .map(|segment| {
            let start = 0..SEGMENT_HEADER as u64;
            Lost::new(segments, segment, start, DamageReason::SegmentStart, true)
        })
        .collect();
    lost.extend(gaps.iter().map(|gap| locate(segments, gap, gap.missing <= synced)));
    let damaged = records.extract_if(.., |each| each.record.payload.is_none());
    lost.extend(damaged.map(|Counted { segment, record }| {
        let known = record.header.sequence <= synced;
        let lost = Lost::new(segments, segment, record.at, DamageReason::Record, known);
        Lost { about: Some(record.header.about), ..lost }
    }));
    lost.sort_by_key(|lost| (lost.number, lost.at.start));
    Chain { records, lost, last, highest, synced }
}

impl Lost {
    fn new(
        segments: &[Segment],
        segment: usize,
        at: Range<u64>,
        reason: DamageReason,
        synced: bool,
    ) -> Self {
        Self { number: segments[segment].number, at, about: None, reason, synced }
    }
}

/// All records with a whole header by their sequence; of those that are there twice the last whole one.
fn in_order(segments: &mut [Segment]) -> Vec<Counted> {
    let mut all: Vec<Counted> = Vec::new();
    for (segment, each) in segments.iter_mut().enumerate() {
        let records = each.scan.records.iter_mut().map(|record| Scanned {
            header: record.header,
            at: record.at.clone(),
            payload: record.payload.take(),
        });
        all.extend(records.map(|record| Counted { segment, record }));
    }
    all.sort_by_key(|each| each.record.header.sequence);
    all.dedup_by(|later, kept| {
        let twice = later.record.header.sequence == kept.record.header.sequence;
        if twice && (later.record.payload.is_some() || kept.record.payload.is_none()) {
            std::mem::swap(later, kept);
        }
        twice
    });
    all
}

/// Records that were written, and are not there.
struct Gap {
    /// The sequence of the last of them.
    missing: u64,
    /// Where the record before them is, if there is one.
    after: Option<(usize, Range<u64>)>,
    /// Where the record after them is.
    before: (usize, Range<u64>),
}

/// The records that count, and what is missing among them.
fn linked(records: Vec<Counted>, start: Option<u64>) -> (Vec<Counted>, Vec<Gap>) {
    let mut kept: Vec<Counted> = Vec::with_capacity(records.len());
    let mut gaps = Vec::new();
    for each in records.into_iter().rev() {
        let sequence = each.record.header.sequence;
        if let Some(newer) = kept.last() {
            let previous = newer.record.header.previous;
            if sequence > previous {
                continue;
            }
            if sequence < previous {
                let (after, before) = (Some(place(&each)), place(newer));
                gaps.push(Gap { missing: previous, after, before });
            }
        }
        kept.push(each);
    }
    if let (Some(oldest), Some(start)) = (kept.last(), start)
        && oldest.record.header.previous > start
    {
        let missing = oldest.record.header.previous;
        gaps.push(Gap { missing, after: None, before: place(oldest) });
    }
    kept.reverse();
    (kept, gaps)
}

fn place(each: &Counted) -> (usize, Range<u64>) {
    (each.segment, each.record.at.clone())
}

/// What the oldest segment says is before its first record.
fn start_of_oldest(segments: &[Segment]) -> Option<u64> {
    match segments.first()?.scan.start {
        SegmentStart::Whole(header) => Some(header.previous),
        _ => None,
    }
}

fn start_is_damaged(segment: &Segment) -> bool {
    let Scan { start, records, holes, length } = &segment.scan;
    match start {
        SegmentStart::Whole(header) => header.number != segment.number,
        // The start is on disk before anything is behind it. With nothing there it was never begun; but its
        // room is taken before it has a name.
        _ => !records.is_empty() || !holes.is_empty() || *length < SEGMENT_HEADER as u64,
    }
}

/// Where the records of a gap were, as far as can be told.
fn locate(segments: &[Segment], gap: &Gap, synced: bool) -> Lost {
    let (next, before) = gap.before.clone();
    let (from, end) = match &gap.after {
        Some((from, at)) => (*from, at.end),
        None => (0, SEGMENT_HEADER as u64),
    };
    let unreadable =
        |segment, at| Lost::new(segments, segment, at, DamageReason::Unreadable, synced);
    if from == next {
        return unreadable(next, end..before.start);
    }
    // Copies of records can be in a later segment than what came after them.
    if from > next {
        return unreadable(next, SEGMENT_HEADER as u64..before.start);
    }
    let hole = (from..=next).find_map(|segment| {
        let inside = |hole: &&Range<u64>| {
            (segment > from || hole.start >= end) && (segment < next || hole.end <= before.start)
        };
        segments[segment].scan.holes.iter().find(inside).map(|hole| (segment, hole.clone()))
    });
    if let Some((segment, hole)) = hole {
        return unreadable(segment, hole);
    }
    let unreadable_whole =
        |each: &usize| !matches!(segments[*each].scan.start, SegmentStart::Whole(_));
    if let Some(each) = (from + 1..next).find(unreadable_whole) {
        return unreadable(each, 0..segments[each].scan.length);
    }
    let missing = (from..next).find(|each| segments[*each].number + 1 < segments[each + 1].number);
    if let Some(each) = missing {
        let lost = Lost::new(segments, next, 0..0, DamageReason::Missing, synced);
        return Lost { number: segments[each].number + 1, ..lost };
    }
    unreadable(from, end..segments[from].scan.length)
}
