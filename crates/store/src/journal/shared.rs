//! What the journal's threads tell about themselves, for diagnostics.

use serde::Serialize;
use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How a journal does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Segments on disk that have records, with the one that is written.
    pub segments: u64,
    /// What these take, in bytes.
    pub bytes: u64,
    /// The number of the segment that is written; zero if none is.
    pub newest: u64,
    /// Records written since the journal was opened.
    pub records: u64,
    /// Syncs since then.
    pub syncs: u64,
    /// Records that wait to be written or synced.
    pub pending: u64,
    /// What is left of the segment that is written, in bytes.
    pub room: u64,
    /// What was set aside beyond it, in bytes.
    pub room_ahead: u64,
    /// Whether no next segment could be made: what is left is all there is.
    pub low: bool,
    /// Whether the last attempt to write or sync a record failed.
    pub failing: bool,
    /// What the disk said when it last refused anything.
    pub last_error: Option<String>,
}

/// What all threads and handles of a journal see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    figures: Mutex<Figures>,
    pending: AtomicU64,
    newest: AtomicU64,
}

impl Shared {
    /// Changes the figures.
    pub(super) fn figures<T>(&self, change: impl FnOnce(&mut Figures) -> T) -> T {
        // Numbers are whole after any panic.
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what the disk said.
    pub(super) fn failed(&self, error: &io::Error) {
        self.figures(|figures| figures.last_error = Some(error.to_string()));
    }

    pub(super) fn enqueued(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, count: u64) {
        self.pending.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn set_newest(&self, number: u64) {
        self.newest.store(number, Ordering::Release);
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// The figures as they are.
    pub(super) fn snapshot(&self) -> Figures {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        figures.newest = self.newest();
        figures.pending = self.pending.load(Ordering::Relaxed);
        figures
    }
}
