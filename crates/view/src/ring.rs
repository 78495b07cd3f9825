//! The ring: the changes that are still remembered.
//!
//! A value that can be cloned at the price of a few pointers, so that each published state of the
//! view carries its own and readers need no lock. Changes gather in the *tail*; with each wake-up of
//! the readers the tail is *sealed*, becoming one batch with one encoding for all who are in step.

use crate::{
    batch::{Account, Batch},
    entry::Entry,
};
use imbl::Vector;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The most entries in one batch: bounds how much is encoded at a time, and by that how long one
/// reader keeps its thread.
const MAX_BATCH_ENTRIES: usize = 256;
/// The weight at which a tail is sealed, in bytes: bounds the size of one encoding.
const MAX_BATCH_WEIGHT: usize = 256 << 10;

/// How much a ring remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most changes.
    pub(crate) changes: usize,
    /// The most bytes, old records and cached encodings together.
    pub(crate) bytes: usize,
}

/// What a reader finds after its cursor.
#[derive(Debug)]
pub(crate) enum Found {
    /// The next changes.
    Batch(Arc<Batch>),
    /// Nothing new.
    Nothing,
    /// What came next is not remembered any more.
    Forgotten,
}

/// Whether a reader is also handed changes for which nobody has been woken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only up to the last wake-up, so that it stays in step with the others.
    Sealed,
    /// Everything that there is.
    All,
}

#[derive(Debug, Clone)]
pub(crate) struct Ring {
    sealed: Vector<Sealed>,
    tail: Vector<Arc<Entry>>,
    tail_weight: usize,
    /// Whether something came after the last wake-up of the readers.
    news: bool,
    /// The sequence of the last change before those that are remembered.
    floor: u64,
    /// The changes and their weight, sealed and tail together.
    changes: usize,
    weight: usize,
    /// The bytes of all encodings that sealed batches have cached.
    encoded: Arc<AtomicUsize>,
    bounds: Bounds,
}

#[derive(Debug, Clone)]
struct Sealed {
    batch: Arc<Batch>,
    weight: usize,
}

impl Ring {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            sealed: Vector::new(),
            tail: Vector::new(),
            tail_weight: 0,
            news: false,
            floor: 0,
            changes: 0,
            weight: 0,
            encoded: Arc::default(),
            bounds,
        }
    }

    /// Appends the next change, and forgets the oldest ones beyond the bounds.
    pub(crate) fn push(&mut self, entry: Arc<Entry>) {
        let weight = entry.weight();
        self.tail.push_back(entry);
        self.tail_weight += weight;
        self.changes += 1;
        self.weight += weight;
        self.news = true;
        // A small ring has small batches, since what it forgets, it forgets by the batch.
        if self.tail.len() >= MAX_BATCH_ENTRIES.min(self.bounds.changes / 4)
            || self.tail_weight >= MAX_BATCH_WEIGHT.min(self.bounds.bytes / 4)
        {
            self.seal();
        }
        self.forget_the_oldest();
    }

    /// Makes one batch of the tail, for the readers that are about to be woken.
    pub(crate) fn pulse(&mut self) {
        self.seal();
        self.news = false;
    }

    /// Whether something came after the last [`Ring::pulse`].
    pub(crate) fn has_news(&self) -> bool {
        self.news
    }

    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.tail).into_iter().collect();
        self.sealed.push_back(Sealed {
            batch: Arc::new(Batch::new(entries, Account::open(&self.encoded))),
            weight: std::mem::take(&mut self.tail_weight),
        });
    }

    /// How many changes are remembered.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// The bytes that they hold, old records and cached encodings together; an estimate.
    pub(crate) fn bytes(&self) -> usize {
        self.weight + self.encoded.load(Ordering::Acquire)
    }

    fn forget_the_oldest(&mut self) {
        while self.changes > self.bounds.changes || self.bytes() > self.bounds.bytes {
            let Some(Sealed { batch, weight }) = self.sealed.pop_front() else {
                // Only the tail is left, and that is bounded by itself.
                return;
            };
            batch.account().close();
            self.floor = batch.last().sequence;
            self.changes -= batch.entries().len();
            self.weight -= weight;
        }
    }

    /// What comes after the change with this sequence.
    pub(crate) fn after(&self, sequence: u64, reach: Reach) -> Found {
        if sequence < self.floor {
            return Found::Forgotten;
        }
        if let Some(batch) = self.sealed_after(sequence) {
            return Found::Batch(batch);
        }
        if reach == Reach::Sealed {
            return Found::Nothing;
        }
        match rest_after(sequence, self.tail.iter()) {
            Some(rest) => Found::Batch(rest),
            None => Found::Nothing,
        }
    }

    fn sealed_after(&self, sequence: u64) -> Option<Arc<Batch>> {
        let index = match self
            .sealed
            .binary_search_by(|sealed| sealed.batch.last().sequence.cmp(&sequence))
        {
            Ok(index) => index + 1,
            Err(index) => index,
        };
        let batch = &self.sealed.get(index)?.batch;
        if batch.first().sequence == sequence + 1 {
            return Some(Arc::clone(batch));
        }
        // The reader came in the middle of it: it gets the rest, and is in step from then on.
        rest_after(sequence, batch.entries().iter())
    }
}

fn rest_after<'a>(
    sequence: u64,
    entries: impl Iterator<Item = &'a Arc<Entry>>,
) -> Option<Arc<Batch>> {
    let rest: Box<[_]> =
        entries.filter(|entry| entry.position.sequence > sequence).cloned().collect();
    (!rest.is_empty()).then(|| Arc::new(Batch::new(rest, Account::closed())))
}

#[cfg(test)]
mod tests;
