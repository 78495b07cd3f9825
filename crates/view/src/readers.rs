//! Where every reader of the feed is, so that it can be told how far behind they are.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

/// All readers.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<Vec<Weak<AtomicU64>>>);

/// One reader's place, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicU64>);

impl Readers {
    fn places(&self) -> MutexGuard<'_, Vec<Weak<AtomicU64>>> {
        // Only list operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader that has seen the changes up to this one.
    pub(crate) fn enter(&self, sequence: u64) -> Place {
        let place = Arc::new(AtomicU64::new(sequence));
        let mut places = self.places();
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        Place(place)
    }

    /// What each reader has seen last.
    pub(crate) fn all(&self) -> Vec<u64> {
        let places = self.places();
        let live = places.iter().filter_map(Weak::upgrade);
        live.map(|place| place.load(Ordering::Relaxed)).collect()
    }
}

impl Place {
    /// Notes that its reader has seen the changes up to this one.
    pub(crate) fn moved(&self, sequence: u64) {
        self.0.store(sequence, Ordering::Relaxed);
    }
}
