//! Tokens that were seen before, so that their signatures need not be verified again.
//!
//! One that was verified is known by a digest until it expires. Only what lets somebody in is to be kept: whom nobody
//! let in may have tokens without end, which must not push others' out. Where it is full, the soonest to expire is given
//! up. That costs its bearer another verification, which takes from the quota of where they are; and so an answer, where
//! others there have used that up.

use crate::wallet::expiring::{Expiring, Key};
use innkeeper_model::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most tokens that are known; up to about 8 MB, where each has a long name.
const MOST: usize = 16_384;

/// What was verified, by the digests of the tokens that said it.
#[derive(Debug)]
pub(crate) struct Seen<V>(Mutex<Expiring<V>>);

impl<V> Default for Seen<V> {
    fn default() -> Self {
        Self(Mutex::new(Expiring::new(MOST)))
    }
}

impl<V: Clone> Seen<V> {
    /// What the token with this digest said, if it was seen and has not expired.
    pub(crate) fn get(&self, digest: &Key, now: Timestamp) -> Option<V> {
        self.lock().get(digest, now).cloned()
    }

    /// Remembers what a token has said, until it expires.
    pub(crate) fn note(&self, digest: Key, said: V, expires: Timestamp, now: Timestamp) {
        let mut seen = self.lock();
        seen.forget_expired(now);
        seen.insert(digest, said, expires);
    }

    /// Releases what has expired.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.lock().forget_expired(now);
    }

    /// How many are known.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Expiring<V>> {
        // Nothing that is done under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
