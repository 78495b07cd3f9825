//! Idempotency keys: a request that is sent again is answered again, and done once.
//!
//! In memory, bounded in number and age: this is for a caller who lost the answer and tries again,
//! not a record of what was made. A daemon that starts knows none.

use innkeeper_model::{Code, Refusal};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// How long a key is remembered.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// The most keys that are remembered; beyond it the oldest is forgotten.
const MAX_KEYS: usize = 10_000;

/// What makes two requests the same.
pub(crate) type Fingerprint = [u8; 32];

/// The fingerprint of a request with these parts.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The keys that callers have used, and what came of each.
#[derive(Debug)]
pub(crate) struct Keys<T>(Mutex<Remembered<T>>);

/// A caller's name and the key.
type Key = (String, String);

#[derive(Debug)]
struct Remembered<T> {
    uses: HashMap<Key, Arc<Use<T>>>,
    /// Oldest first; may name uses that are gone.
    order: VecDeque<(Instant, Key, Arc<Use<T>>)>,
}

#[derive(Debug)]
struct Use<T> {
    fingerprint: Fingerprint,
    outcome: OnceCell<T>,
}

impl<T> Default for Keys<T> {
    fn default() -> Self {
        Self(Mutex::new(Remembered { uses: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<T: Clone> Keys<T> {
    /// What came of this request: `act` is called if this caller has not used the key before, or if
    /// what it asked for then was refused. A second call at the same time waits for the first.
    ///
    /// If the future is dropped, `act` is dropped with it, and the key is as good as not used.
    ///
    /// # Errors
    /// The key was used for another request; or what `act` refuses.
    pub(crate) async fn once<E: From<Refusal>>(
        &self,
        (caller, key): (&str, &str),
        fingerprint: Fingerprint,
        now: Instant,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let key = (caller.to_owned(), key.to_owned());
        let used = self.lock().claim(key.clone(), fingerprint, now)?;
        let release = Release { keys: self, key, used };
        release.used.outcome.get_or_try_init(|| act).await.cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Remembered<T>> {
        // Nothing in here can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a key whose request came to nothing.
struct Release<'a, T: Clone> {
    keys: &'a Keys<T>,
    key: Key,
    used: Arc<Use<T>>,
}

impl<T: Clone> Drop for Release<'_, T> {
    fn drop(&mut self) {
        if self.used.outcome.initialized() {
            return;
        }
        let mut remembered = self.keys.lock();
        // Others who wait for the same outcome hold it too, and try in turn. Besides them it is held
        // here, by the map and by the order.
        let is_last = Arc::strong_count(&self.used) <= 3;
        let current = remembered.uses.get(&self.key);
        if is_last && current.is_some_and(|used| Arc::ptr_eq(used, &self.used)) {
            remembered.uses.remove(&self.key);
        }
    }
}

impl<T> Remembered<T> {
    fn claim(
        &mut self,
        key: Key,
        fingerprint: Fingerprint,
        now: Instant,
    ) -> Result<Arc<Use<T>>, Refusal> {
        self.forget(now);
        if let Some(used) = self.uses.get(&key) {
            if used.fingerprint == fingerprint {
                return Ok(Arc::clone(used));
            }
            let message = "this idempotency key was used for a different request";
            let mut refusal = Refusal::new(Code::IdempotencyConflict, message)
                .at("Idempotency-Key")
                .with_hint("use a new key for a new request");
            refusal.value = Some(key.1);
            return Err(refusal);
        }
        let used = Arc::new(Use { fingerprint, outcome: OnceCell::new() });
        self.uses.insert(key.clone(), Arc::clone(&used));
        self.order.push_back((now, key, Arc::clone(&used)));
        Ok(used)
    }

    /// Makes room for one more.
    fn forget(&mut self, now: Instant) {
        while let Some((since, key, used)) = self.order.front()
            && (self.order.len() >= MAX_KEYS || now.duration_since(*since) >= MAX_AGE)
        {
            if self.uses.get(key).is_some_and(|current| Arc::ptr_eq(current, used)) {
                self.uses.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<u32, Refusal>;

    async fn once(
        keys: &Keys<u32>,
        key: &str,
        body: &str,
        now: Instant,
        outcome: Outcome,
    ) -> Outcome {
        let fingerprint = fingerprint(&[body.as_bytes()]);
        keys.once(("me", key), fingerprint, now, async { outcome }).await
    }

    fn refusal() -> Refusal {
        Refusal::new(Code::NameTaken, "taken")
    }

    #[tokio::test]
    async fn the_same_request_is_done_once_and_answered_again() {
        let (keys, now) = (Keys::default(), Instant::now());
        assert_eq!(once(&keys, "a", "x", now, Ok(1)).await, Ok(1));
        assert_eq!(once(&keys, "a", "x", now, Ok(2)).await, Ok(1));
        assert_eq!(once(&keys, "b", "x", now, Ok(3)).await, Ok(3));
    }

    #[tokio::test]
    async fn another_request_with_the_key_is_a_conflict_but_another_callers_is_not() {
        let (keys, now) = (Keys::default(), Instant::now());
        once(&keys, "a", "x", now, Ok(1)).await.unwrap();
        let conflict = once(&keys, "a", "y", now, Ok(2)).await.unwrap_err();
        assert_eq!(conflict.code, Code::IdempotencyConflict);
        let other = keys.once(("you", "a"), fingerprint(&[b"y"]), now, async { Ok(3) }).await;
        assert_eq!(other, Outcome::Ok(3));
    }

    #[tokio::test]
    async fn a_refused_request_may_be_mended_under_the_same_key() {
        let (keys, now) = (Keys::default(), Instant::now());
        assert_eq!(once(&keys, "a", "x", now, Err(refusal())).await, Err(refusal()));
        assert_eq!(once(&keys, "a", "mended", now, Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_key_whose_request_was_dropped_is_free_again() {
        let (keys, now) = (Keys::<u32>::default(), Instant::now());
        let never = std::future::pending::<Outcome>();
        let pending = keys.once(("me", "a"), fingerprint(&[b"x"]), now, never);
        let timeout = tokio::time::timeout(Duration::ZERO, pending).await;
        assert!(timeout.is_err());
        assert_eq!(once(&keys, "a", "y", now, Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn two_at_a_time_are_done_once() {
        let (keys, now) = (Keys::default(), Instant::now());
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let first = keys.once(("me", "a"), fingerprint(&[b"x"]), now, async {
            released.await.unwrap();
            Outcome::Ok(1)
        });
        let second = async {
            release.send(()).unwrap();
            once(&keys, "a", "x", now, Ok(2)).await
        };
        let (first, second) = futures_util::future::join(first, second).await;
        assert_eq!((first, second), (Ok(1), Ok(1)));
    }

    #[tokio::test]
    async fn keys_are_forgotten_after_a_day_and_beyond_their_number() {
        let (keys, now) = (Keys::default(), Instant::now());
        once(&keys, "a", "x", now, Ok(1)).await.unwrap();
        assert_eq!(once(&keys, "a", "x", now + MAX_AGE, Ok(2)).await, Ok(2));
        for n in 0..MAX_KEYS {
            once(&keys, &n.to_string(), "x", now + MAX_AGE, Ok(3)).await.unwrap();
        }
        assert_eq!(once(&keys, "a", "x", now + MAX_AGE, Ok(4)).await, Ok(4));
        assert!(keys.lock().uses.len() <= MAX_KEYS && keys.lock().order.len() <= MAX_KEYS);
    }
}
