//! Where every reader of the feed is, and who they are, so that it can be told how far behind they are.

use innkeeper_model::Timestamp;
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

/// One reader of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderFigures {
    /// Who, as far as they have said.
    pub who: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// How many changes they are behind: those that were made and that they have not been handed.
    pub lag: u64,
}

/// All readers.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<Vec<Weak<Reader>>>);

#[derive(Debug)]
struct Reader {
    /// The last change that it has seen.
    seen: AtomicU64,
    since: Timestamp,
    who: OnceLock<String>,
}

/// One reader's place, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place(Arc<Reader>);

impl Readers {
    fn readers(&self) -> MutexGuard<'_, Vec<Weak<Reader>>> {
        // Only list operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader that has seen the changes up to this one.
    pub(crate) fn enter(&self, sequence: u64) -> Place {
        let (seen, since) = (AtomicU64::new(sequence), Timestamp::now());
        let reader = Arc::new(Reader { seen, since, who: OnceLock::new() });
        let mut readers = self.readers();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&reader));
        Place(reader)
    }

    fn all(&self) -> Vec<Arc<Reader>> {
        self.readers().iter().filter_map(Weak::upgrade).collect()
    }

    /// How many changes each reader is behind the last one.
    pub(crate) fn lags(&self, last: u64) -> Vec<u64> {
        self.all().iter().map(|reader| reader.lag(last)).collect()
    }

    /// The readers that are furthest behind, those first; at most so many.
    pub(crate) fn slowest(&self, last: u64, at_most: usize) -> Vec<ReaderFigures> {
        let mut readers = self.all();
        readers.sort_by_key(|reader| (std::cmp::Reverse(reader.lag(last)), reader.since));
        readers.truncate(at_most);
        readers.iter().map(|reader| reader.figures(last)).collect()
    }
}

impl Reader {
    fn lag(&self, last: u64) -> u64 {
        last.saturating_sub(self.seen.load(Ordering::Relaxed))
    }

    fn figures(&self, last: u64) -> ReaderFigures {
        ReaderFigures { who: self.who.get().cloned(), since: self.since, lag: self.lag(last) }
    }
}

impl Place {
    /// Notes that its reader has seen the changes up to this one.
    pub(crate) fn moved(&self, sequence: u64) {
        self.0.seen.store(sequence, Ordering::Relaxed);
    }

    /// Notes who its reader is. Once: another name is not taken.
    pub(crate) fn is_of(&self, who: String) {
        let _ = self.0.who.set(who);
    }
}
