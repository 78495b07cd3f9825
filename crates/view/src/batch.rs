//! Batches: what a reader of the feed is handed at a time.

use crate::{
    entry::Entry,
    record::{EncodingSlot, Encodings},
};
use bytes::Bytes;
use innkeeper_model::{Change, Position};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Some changes in a row, and the encodings that doors have made of them.
///
/// All readers that are at the same place are handed the same batch, so that a hundred of them cost
/// one encoding and a hundred copies of it.
#[derive(Debug)]
pub struct Batch {
    // Never empty: see `Batch::new`.
    entries: Box<[Arc<Entry>]>,
    encodings: Encodings,
    account: Account,
}

impl Batch {
    /// A batch of at least one entry, in order, without a hole.
    pub(crate) fn new(entries: Box<[Arc<Entry>]>, account: Account) -> Self {
        assert!(!entries.is_empty(), "the ring hands out and keeps only batches of something");
        Self { entries, encodings: Encodings::default(), account }
    }

    /// The changes, oldest first; at least one.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The changes with their fields compared, in the shape of the native API.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        self.entries.iter().map(|entry| entry.to_change())
    }

    /// The first change's position.
    pub fn first(&self) -> Position {
        self.entries[0].position
    }

    /// The last change's position: where a reader goes on from.
    pub fn last(&self) -> Position {
        self.entries[self.entries.len() - 1].position
    }

    /// This door's encoding of the batch; `make` is called only if there is none yet.
    ///
    /// Two threads that ask for a new encoding at once make it once: the second waits for the first,
    /// so `make` must do nothing but encode.
    pub fn encoded(&self, slot: EncodingSlot, make: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.encodings.get_or_make(slot, || {
            let bytes = make(self);
            self.account.charge(bytes.len());
            bytes
        })
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }
}

/// Charges the encodings of a batch to the ring that keeps it, as long as it does.
#[derive(Debug)]
pub(crate) struct Account {
    ledger: Arc<AtomicUsize>,
    charged: AtomicUsize,
}

/// Stands for an amount that no encoding reaches: nothing is charged any more.
const CLOSED: usize = usize::MAX;

impl Account {
    /// Charges to this ledger.
    pub(crate) fn open(ledger: &Arc<AtomicUsize>) -> Self {
        Self { ledger: Arc::clone(ledger), charged: AtomicUsize::new(0) }
    }

    /// Charges nothing: for a batch that no ring keeps.
    pub(crate) fn closed() -> Self {
        Self { ledger: Arc::default(), charged: AtomicUsize::new(CLOSED) }
    }

    fn charge(&self, bytes: usize) {
        let more = |charged| (charged != CLOSED).then(|| charged + bytes);
        // First the ledger, so that a close in between cannot take from it what is not there yet.
        self.ledger.fetch_add(bytes, Ordering::AcqRel);
        let charged = self.charged.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        if charged.is_err() {
            self.ledger.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// Takes back what was charged, and charges nothing from now on.
    pub(crate) fn close(&self) {
        let charged = self.charged.swap(CLOSED, Ordering::AcqRel);
        if charged != CLOSED {
            self.ledger.fetch_sub(charged, Ordering::AcqRel);
        }
    }
}
