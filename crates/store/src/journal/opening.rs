//! Opening: everything that is on disk is read, and what is missing or damaged is said.
//!
//! Nothing is written to a segment that an earlier run wrote. A segment without a record that counts
//! is removed; one that is damaged is set aside (`aside`), and goes in its turn.

use super::{
    Damage, Found, JournalOptions, aside,
    chain::{self, Chain, Lost, Segment},
    failed::{DamageReason, JournalFailed},
    framing::{self, SegmentStart},
    keeper::{Kept, Order},
    scan,
    segment::{self, Held, Hold, Named},
    writer::Position,
};
use crate::atomic::is_temporary;
use crate::harm;
use std::{
    collections::{BTreeSet, VecDeque},
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Weak, mpsc::Sender},
};

/// What a journal's folder holds.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) records: Vec<Found>,
    pub(super) damage: Vec<Damage>,
    pub(super) kept: VecDeque<Kept>,
    pub(super) position: Position,
    /// The number of the newest segment there is or was.
    pub(super) newest: u64,
}

/// The files of a journal's folder.
#[derive(Debug, Default)]
struct Listing {
    segments: Vec<(u64, PathBuf)>,
    reports: BTreeSet<u64>,
    temporary: Vec<PathBuf>,
    newest: u64,
}

/// Reads the folder, making it if it is not there.
pub(super) fn open(
    options: &JournalOptions,
    keeper: &Sender<Order>,
) -> Result<Contents, JournalFailed> {
    let folder = &options.folder;
    let failed = |error| JournalFailed::Folder { folder: folder.clone(), source: Arc::new(error) };
    make_folder(folder).map_err(failed)?;
    let listing = list(folder).map_err(failed)?;
    let newest = listing.newest;
    let (mut segments, unread) = read(listing.segments)?;
    // From here on something may be changed: nothing in the folder is of a newer format.
    for path in &listing.temporary {
        remove(path);
    }
    let mut chain = chain::walk(&mut segments);
    chain.lost.extend(unread.into_iter().map(|(segment, error)| {
        let Segment { number, ref scan } = segments[segment];
        let (at, reason) = (0..scan.length, DamageReason::Io(error.to_string()));
        Lost { number, at, about: None, reason, synced: true }
    }));
    let synced = sync(folder, &segments, &chain);
    let position = Position { next: chain.highest + 1, last: chain.last, synced };
    let lost = std::mem::take(&mut chain.lost);
    let damaged = lost.iter().map(|lost| lost.number).collect();
    let (damage, stuck) = aside::keep(folder, &listing.reports, lost);
    let (records, kept) = hold(folder, segments, chain, &Damaged { damaged, stuck }, keeper);
    Ok(Contents { records, damage, kept, position, newest })
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        // A disk that takes no writes can still be read.
        Err(_) if folder.is_dir() => Ok(()),
        other => other,
    }
}

fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let number = match segment::named(name) {
            Some(Named::Segment(number)) => {
                listing.segments.push((number, entry.path()));
                number
            }
            Some(Named::Damaged(number)) => number,
            Some(Named::Report(number)) => {
                listing.reports.insert(number);
                number
            }
            None if is_temporary(name) => {
                listing.temporary.push(entry.path());
                0
            }
            None => 0,
        };
        listing.newest = listing.newest.max(number);
    }
    listing.segments.sort_unstable();
    Ok(listing)
}

/// What the host said of segments that it cannot read.
type Unread = Vec<(usize, io::Error)>;

/// All segments, taken apart.
fn read(files: Vec<(u64, PathBuf)>) -> Result<(Vec<Segment>, Unread), JournalFailed> {
    let (mut segments, mut unread) = (Vec::new(), Vec::new());
    for (number, path) in files {
        let (bytes, error) = scan::read(&path);
        let scan = scan::scan(&bytes);
        if let SegmentStart::TooNew(found) = scan.start {
            return Err(JournalFailed::TooNew { file: path, found, known: framing::VERSION });
        }
        unread.extend(error.map(|error| (segments.len(), error)));
        segments.push(Segment { number, scan });
    }
    Ok((segments, unread))
}

/// Brings the last segment's records to the disk: whoever wrote them may have ended before it could.
/// Says up to which sequence everything is there now.
fn sync(folder: &Path, segments: &[Segment], chain: &Chain) -> u64 {
    let Some(last) = chain.records.last() else { return chain.last };
    let path = segment::path(folder, segments[last.segment].number);
    match File::open(&path).and_then(|file| file.sync_data()) {
        Ok(()) => chain.last,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "cannot sync the journal");
            chain.synced
        }
    }
}

/// The numbers of segments of which something was lost.
struct Damaged {
    damaged: BTreeSet<u64>,
    /// Those that could not be set aside.
    stuck: BTreeSet<u64>,
}

/// Lets what was found hold the segments it is in; the others are removed.
fn hold(
    folder: &Path,
    segments: Vec<Segment>,
    chain: Chain,
    Damaged { damaged, stuck }: &Damaged,
    keeper: &Sender<Order>,
) -> (Vec<Found>, VecDeque<Kept>) {
    let mut holds: Vec<Option<Held>> = vec![None; segments.len()];
    let mut hold = |segment: usize| {
        let make = || Held(Hold::new(segments[segment].number, keeper.clone()));
        holds[segment].get_or_insert_with(make).clone()
    };
    let records = chain.records.into_iter().filter_map(|each| {
        let (about, bytes) = (each.record.header.about, each.record.payload?);
        Some(Found { about, bytes, held: hold(each.segment) })
    });
    let records = records.collect();
    let mut kept = VecDeque::new();
    for (Segment { number, scan }, held) in segments.into_iter().zip(holds) {
        let path = segment::path(folder, number);
        // What was lost is missed for as long as an older segment is there: in its turn it goes unmissed.
        if held.is_none() && !damaged.contains(&number) && remove(&path) {
            continue;
        }
        // One that has nothing, and cannot be removed now, is removed in its turn.
        let hold = held.map_or_else(Weak::new, |held| Arc::downgrade(&held.0));
        kept.push_back(Kept { path, size: scan.length, stuck: stuck.contains(&number), hold });
    }
    (records, kept)
}

/// Removes what has nothing that counts; whether it is gone.
fn remove(path: &Path) -> bool {
    let removed = harm::remove_file(path);
    if let Err(error) = &removed {
        tracing::debug!(file = %path.display(), %error, "cannot remove an empty journal segment");
    }
    removed.is_ok()
}
