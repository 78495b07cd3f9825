//! The writer: the one thread that writes records, many at once.
//!
//! It takes all that waits, writes it with one call, answers those that want no more than that, syncs
//! once if anybody wants it, and answers the others.
//!
//! **When the disk fails.** A write that failed may have left any part of itself, and after a failed
//! sync nobody knows what is on disk: the kernel drops what it could not write, and says so once. So
//! the segment is given up either way, and a fresh one begun with a copy, kept in memory, of all that
//! was accepted since the last good sync; then what failed is tried once more. Torn and given-up
//! records stay where they are and are void, because the next record names the one before it (see
//! `chain`). If there is no fresh segment either, those who wait are told, the copy is kept, and the
//! next record tries again.

use super::{
    disk::SegmentFile,
    failed::JournalFailed,
    framing::{self, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader},
    keeper::{self, Fresh, Kept, Order},
    segment::{Held, Hold},
    shared::Shared,
};
use std::{
    collections::{HashSet, VecDeque},
    io,
    sync::{
        Arc,
        mpsc::{Receiver, Sender},
    },
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// How much is written at once, in bytes: enough for a thousand records, and what a sync takes not
/// much longer for than for one.
const MAX_BATCH: u64 = 2 << 20;
/// How much may be written and not synced, in bytes, when nobody asks for a sync: it is in memory
/// twice, and it is what a power loss can take.
const MAX_UNSYNCED: usize = 1 << 20;

/// How long a record shall last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives the end of the daemon, however that comes: `write` has returned.
    Written,
    /// It survives the loss of power too: `fdatasync` has returned.
    Synced,
}

/// A record that waits.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) about: Uuid,
    pub(super) bytes: Vec<u8>,
    pub(super) durability: Durability,
    pub(super) answer: oneshot::Sender<Result<Held, JournalFailed>>,
}

/// What the writer is sent.
#[derive(Debug)]
pub(super) enum Message {
    Append(Append),
    Close,
}

/// The segment that is written.
#[derive(Debug)]
struct Active {
    file: Box<dyn SegmentFile>,
    held: Held,
    /// Where the next record goes; everything before it was written.
    position: u64,
    size: u64,
}

/// Records that were written, and not synced yet.
#[derive(Debug)]
struct Written {
    count: usize,
    /// The sequence after the last one's.
    end: u64,
    held: Held,
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    keeper: Sender<Order>,
    shared: Arc<Shared>,
    /// `None` until the first record, and when the last segment was given up.
    active: Option<Active>,
    /// The frames accepted since the last good sync.
    unsynced: Vec<u8>,
    /// The sequence for the next record.
    next: u64,
    /// The last accepted record's.
    last: u64,
    /// The last one's that is known to be on disk.
    synced: u64,
}

/// Where the numbers of an opened journal go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) next: u64,
    pub(super) last: u64,
    pub(super) synced: u64,
}

impl Writer {
    pub(super) fn new(keeper: Sender<Order>, shared: Arc<Shared>, from: Position) -> Self {
        let Position { next, last, synced } = from;
        Self { keeper, shared, active: None, unsynced: Vec::new(), next, last, synced }
    }

    /// Writes what is sent until the journal is closed, or nobody is left to send anything.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut open = true;
        while open && let Ok(first) = messages.recv() {
            let mut batch = VecDeque::new();
            let mut size = 0;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Append(append) => {
                        size += framing::frame_length(append.bytes.len());
                        batch.push_back(append);
                    }
                    Message::Close => open = false,
                }
                next = if open && size < MAX_BATCH { messages.try_recv().ok() } else { None };
            }
            self.commit(batch);
        }
        if !self.unsynced.is_empty() && self.make_durable().is_err() {
            tracing::warn!("the journal was closed and could not be synced");
        }
    }

    /// Writes these records, in their order, and answers all of them.
    fn commit(&mut self, mut waiting: VecDeque<Append>) {
        self.drop_cancelled(&mut waiting);
        while !waiting.is_empty() {
            let had_a_segment = self.active.is_some();
            let written = match self.write(&waiting) {
                Err(_) if had_a_segment && self.active.is_none() => self.write(&waiting),
                other => other,
            };
            match written {
                Ok(written) => {
                    let answered = waiting.drain(..written.count).collect();
                    self.settle(answered, written);
                }
                Err(error) => {
                    let failed = JournalFailed::writing(&error);
                    for append in waiting.drain(..) {
                        self.answer(append, Err(failed.clone()));
                    }
                }
            }
        }
    }

    /// Whoever waits no longer for a record that is not written does not get it.
    fn drop_cancelled(&self, waiting: &mut VecDeque<Append>) {
        let before = waiting.len();
        waiting.retain(|append| !append.answer.is_closed());
        self.shared.answered((before - waiting.len()) as u64);
    }

    /// Writes the first of these records, as many as there is room for; at least one.
    fn write(&mut self, waiting: &VecDeque<Append>) -> Result<Written, Arc<io::Error>> {
        let first = framing::frame_length(waiting.front().map_or(0, |append| append.bytes.len()));
        // Twice at most: a fresh segment may be full of what it takes along, the next takes nothing.
        while self.active.as_ref().is_none_or(|active| active.room() < first) {
            self.begin_segment()?;
        }
        let Some(active) = &mut self.active else {
            return Err(self.note(io::Error::other("the journal has no segment")));
        };
        let kept = self.unsynced.len();
        let (mut next, mut last) = (self.next, self.last);
        let mut room = active.room();
        let mut count = 0;
        for append in waiting {
            let Some(left) = room.checked_sub(framing::frame_length(append.bytes.len())) else {
                break;
            };
            room = left;
            let Append { about, bytes, .. } = append;
            framing::push_record(&mut self.unsynced, *about, bytes, next, last, self.synced);
            (last, next) = (next, next + 1);
            count += 1;
        }
        // Used up even if it fails: a torn record must not be taken for a later one.
        self.next = next;
        if let Err(error) = active.append(&self.unsynced[kept..]) {
            self.unsynced.truncate(kept);
            self.active = None;
            return Err(self.note(error));
        }
        self.last = last;
        self.shared.figures(|figures| {
            figures.records += count as u64;
            figures.failing = false;
            figures.room = active.room();
        });
        Ok(Written { count, end: next, held: active.held.clone() })
    }

    /// Answers records that were written, with or after a sync.
    fn settle(&mut self, appends: Vec<Append>, written: Written) {
        let Written { count, end, held } = written;
        let mut to_sync = Vec::new();
        for (sequence, append) in (end - count as u64..end).zip(appends) {
            match append.durability {
                Durability::Written => self.answer(append, Ok(held.clone())),
                Durability::Synced => to_sync.push((sequence, append)),
            }
        }
        if to_sync.is_empty() && self.unsynced.len() < MAX_UNSYNCED {
            return;
        }
        let synced = self.make_durable();
        if synced.is_err() {
            self.give_up(&to_sync.iter().map(|(sequence, _)| *sequence).collect());
        }
        for (_, append) in to_sync {
            self.answer(append, synced.clone());
        }
    }

    /// Brings all that was accepted to the disk, in this segment or else in a fresh one.
    fn make_durable(&mut self) -> Result<Held, JournalFailed> {
        if let Some(active) = &self.active {
            match active.file.sync() {
                Ok(()) => {
                    let held = active.held.clone();
                    self.all_is_synced();
                    return Ok(held);
                }
                Err(error) => {
                    self.note(error);
                    self.active = None;
                }
            }
        }
        let begun = self.begin_segment();
        begun.map_err(|error| JournalFailed::writing(&error))?;
        let active = self.active.as_ref().ok_or(JournalFailed::Closed)?;
        Ok(active.held.clone())
    }

    /// Takes records that were not synced, and whose callers are told so, out of what is kept for the
    /// next segment.
    fn give_up(&mut self, failed: &HashSet<u64>) {
        if let Some(last) =
            framing::retain(&mut self.unsynced, |sequence| !failed.contains(&sequence))
        {
            self.last = last;
        }
    }

    /// Goes on in a fresh segment, and takes along what is not known to be on disk. If there is none,
    /// the one that is written, if any, stays as it is: smaller records may still fit.
    fn begin_segment(&mut self) -> Result<(), Arc<io::Error>> {
        let fresh = keeper::fresh(&self.keeper).map_err(|error| self.note(error))?;
        if let Some(active) = &self.active
            && !self.unsynced.is_empty()
        {
            match active.file.sync() {
                Ok(()) => self.all_is_synced(),
                Err(error) => drop(self.note(error)),
            }
        }
        self.active = None;
        match self.begin(&fresh) {
            Ok(position) => self.activate(fresh, position),
            Err(error) => {
                drop(self.keeper.send(Order::Discard(fresh)));
                return Err(self.note(error));
            }
        }
        Ok(())
    }

    fn begin(&mut self, fresh: &Fresh) -> io::Result<u64> {
        let previous = framing::first_previous(&self.unsynced).unwrap_or(self.last);
        let header = SegmentHeader { number: fresh.number, previous }.encode();
        fresh.file.write_at(&header, 0)?;
        // Before anything else is written: that there is no header is then damage for certain.
        fresh.file.sync()?;
        if !self.unsynced.is_empty() {
            fresh.file.write_at(&self.unsynced, SEGMENT_HEADER as u64)?;
            fresh.file.sync()?;
        }
        let position = SEGMENT_HEADER + self.unsynced.len();
        self.all_is_synced();
        Ok(position as u64)
    }

    fn activate(&mut self, fresh: Fresh, position: u64) {
        let Fresh { number, path, file, size } = fresh;
        let held = Held(Hold::new(number, self.keeper.clone()));
        let kept = Kept { path, size, stuck: false, hold: Arc::downgrade(&held.0) };
        // If the keeper has ended, the next opening finds the segment.
        drop(self.keeper.send(Order::Begun(kept)));
        self.shared.set_newest(number);
        self.active = Some(Active { file, held, position, size });
    }

    fn all_is_synced(&mut self) {
        self.unsynced.clear();
        self.synced = self.last;
        self.shared.figures(|figures| figures.syncs += 1);
    }

    fn note(&self, error: io::Error) -> Arc<io::Error> {
        self.shared.failed(&error);
        // Once, not for every record.
        if !self.shared.figures(|figures| std::mem::replace(&mut figures.failing, true)) {
            tracing::warn!(%error, "the journal cannot be written");
        }
        Arc::new(error)
    }

    fn answer(&self, append: Append, answer: Result<Held, JournalFailed>) {
        self.shared.answered(1);
        // Whoever waits no longer has no use for the answer.
        drop(append.answer.send(answer));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let held = self.active.as_ref().map(|active| active.held.clone());
        // A keeper that has ended need not be told.
        drop(self.keeper.send(Order::Stop { _held: held }));
    }
}

impl Active {
    fn room(&self) -> u64 {
        self.size - self.position
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// How large a record's payload may be in a segment of this size, in bytes.
pub(super) fn max_payload(segment_size: u64) -> u64 {
    segment_size - (SEGMENT_HEADER + RECORD_HEADER) as u64
}
