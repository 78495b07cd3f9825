//! One issuer's keys over time: asked for, kept, renewed before they are old, asked for again where a token names one
//! that is not among them.
//!
//! ```text
//!   keeper ──fetch──▶ what is known ◀──reads── whoever verifies a token: never waits
//!      ▲                                                │ names a key that is not there
//!      └──────────────── wanted ◀───────────────────────┘ waits for the next fetch, at most so long
//! ```
//!
//! Keys that could not be had again count for a day longer; but an issuer that answers has the keys that it says, and none
//! where it says none. However many tokens name keys that there are not, the
//! issuer is asked once in ten seconds at the most, all who wait then wait for the same answer, and no more than 64 do.

use super::{
    fetch::{Fetched, NotFetched, Source},
    jwks::{Key, Keys},
};
use arc_swap::ArcSwapOption;
use std::{
    error::Error,
    iter::successors,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info, warn};

/// When an issuer is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long keys count as new where the issuer does not say.
    pub(super) fresh: Duration,
    /// The least and the most that it can say.
    pub(super) fresh_within: (Duration, Duration),
    /// How much longer they count where they cannot be renewed.
    pub(super) kept: Duration,
    /// How long after the last time it is asked again for a key that is missing.
    pub(super) again_after: Duration,
    /// How long it takes from one failure to the next try, at the most.
    pub(super) retry_within: Duration,
    /// How long somebody waits who names a key that is missing.
    pub(super) waits: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(60 * 60));
        Self {
            fresh: hour,
            fresh_within: (5 * minute, 24 * hour),
            kept: 24 * hour,
            again_after: Duration::from_secs(10),
            retry_within: minute,
            waits: Duration::from_secs(6),
        }
    }
}

/// The most who wait for a key at a time; others are answered at once that it is not known.
const MOST_WAITING: usize = 64;

/// An issuer's keys as they are known.
#[derive(Debug)]
pub(super) struct KeyRing {
    /// What the issuer is called, for the log.
    name: String,
    pace: Pace,
    known: ArcSwapOption<Known>,
    /// Whether it is being asked, and when it was last.
    asking: AtomicBool,
    asked: Mutex<Option<Instant>>,
    /// That somebody waits for a key that is missing.
    wanted: Notify,
    /// How many times it has been asked.
    times: watch::Sender<u64>,
    waiting: Semaphore,
}

#[derive(Debug)]
struct Known {
    keys: Arc<Keys>,
    /// Until when they count.
    until: Instant,
}

impl KeyRing {
    pub(super) fn new(name: &str, pace: Pace) -> Self {
        Self {
            name: name.into(),
            pace,
            known: ArcSwapOption::empty(),
            asking: AtomicBool::default(),
            asked: Mutex::default(),
            wanted: Notify::new(),
            times: watch::Sender::new(0),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// The keys that count now; `None` where none are known.
    pub(super) fn keys(&self) -> Option<Arc<Keys>> {
        let known = self.known.load();
        let known = known.as_ref().filter(|known| known.until > Instant::now())?;
        Some(Arc::clone(&known.keys))
    }

    /// Whether this key counts now.
    pub(super) fn contain(&self, key: &Arc<Key>) -> bool {
        self.keys().is_some_and(|keys| keys.contains(key))
    }

    /// Waits until the issuer has been asked once more, if that may be soon enough.
    pub(super) async fn wait(&self) {
        let Ok(_place) = self.waiting.try_acquire() else { return };
        let mut times = self.times.subscribe();
        if !self.asking.load(Ordering::Acquire) {
            if self.was_asked_just_now() {
                return;
            }
            self.wanted.notify_one();
        }
        // Nobody to tell of it, or too late: what is known then is what counts.
        let _ = timeout(self.pace.waits, times.changed()).await;
    }

    /// Keeps the keys new, for as long as it is polled.
    pub(super) async fn keep(&self, source: &Source) {
        let mut failures = 0;
        loop {
            let next = Instant::now() + self.renew(source, &mut failures).await;
            loop {
                tokio::select! {
                    // Nobody waits for this: keys are renewed before they are old.
                    () = sleep_until(next) => break,
                    () = self.wanted.notified() => {}
                }
                // Whoever wanted one while the issuer was being asked has had the answer.
                if !self.was_asked_just_now() {
                    break;
                }
            }
        }
    }

    /// How many times the issuer has been asked.
    #[cfg(test)]
    pub(super) fn tried(&self) -> u64 {
        *self.times.borrow()
    }

    /// Asks once, and says when it is time to ask again.
    async fn renew(&self, source: &Source, failures: &mut u32) -> Duration {
        self.asking.store(true, Ordering::Release);
        let next = match source.fetch().await {
            Ok(fetched) => {
                *failures = 0;
                self.take(fetched)
            }
            Err(failed) => {
                *failures = failures.saturating_add(1);
                let next =
                    Duration::from_secs(1 << (*failures).min(10)).min(self.pace.retry_within);
                self.note(&failed, next);
                next
            }
        };
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.asking.store(false, Ordering::Release);
        self.times.send_modify(|times| *times += 1);
        next
    }

    fn take(&self, Fetched { keys, max_age }: Fetched) -> Duration {
        let Pace { fresh, fresh_within: (least, most), kept, .. } = self.pace;
        let fresh = max_age.unwrap_or(fresh).clamp(least, most);
        let count = keys.count();
        let known = Known { keys: Arc::new(keys), until: Instant::now() + fresh + kept };
        let before = self.known.swap(Some(Arc::new(known)));
        let had = before.map(|before| before.keys.count());
        match (had, count) {
            // What it publishes counts, also that: so it takes all of them back.
            (None | Some(1..), 0) => warn!(
                issuer = self.name,
                "an issuer publishes no key for tokens now: its tokens are refused"
            ),
            (None | Some(0), 1..) => {
                info!(issuer = self.name, count, "the keys of an issuer of tokens are known");
            }
            (Some(_), _) => debug!(issuer = self.name, count, "the keys of an issuer were renewed"),
        }
        fresh.mul_f32(0.8)
    }

    fn note(&self, failed: &NotFetched, next: Duration) {
        let causes = successors(failed.source(), |&error| error.source()).map(ToString::to_string);
        let (issuer, cause) = (&self.name, causes.collect::<Vec<_>>().join(": "));
        let counts = match self.keys() {
            Some(_) => "those of before go on to count for a day",
            None => "its tokens are refused",
        };
        warn!(
            issuer,
            %failed,
            cause,
            again_in_s = next.as_secs(),
            "the keys of an issuer of tokens are not to be had: {counts}"
        );
    }

    fn was_asked_just_now(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < self.pace.again_after)
    }
}
