//! How time passes in a world. Every wait and every deadline in it goes through here.

use innkeeper_model::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// When a virtual clock begins: the first second of 2025.
const VIRTUAL_BEGINNING: i64 = 1_735_689_600_000_000;

/// How time passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// As everywhere else.
    #[default]
    Real,
    /// Only when [`crate::World::advance`] is called.
    Virtual,
}

/// A moment, in microseconds after the Unix epoch.
pub(crate) type Moment = i64;

/// A moment as it is shown.
pub(crate) fn timestamp(moment: Moment) -> Timestamp {
    Timestamp::from_microsecond(moment).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The moment this much later.
pub(crate) fn later(moment: Moment, by: Duration) -> Moment {
    moment.saturating_add(i64::try_from(by.as_micros()).unwrap_or(Moment::MAX))
}

/// The moment that the host's clock shows.
pub(crate) fn real_now() -> Moment {
    later(0, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A clock that runs, or stands.
#[derive(Debug)]
pub(crate) struct Time {
    /// Where a virtual clock stands.
    stands_at: Option<watch::Sender<Moment>>,
}

impl Time {
    pub(crate) fn new(clock: Clock) -> Self {
        let stands_at = match clock {
            Clock::Real => None,
            Clock::Virtual => Some(watch::channel(VIRTUAL_BEGINNING).0),
        };
        Self { stands_at }
    }

    pub(crate) const fn is_virtual(&self) -> bool {
        self.stands_at.is_some()
    }

    pub(crate) fn now(&self) -> Moment {
        match &self.stands_at {
            Some(stands_at) => *stands_at.borrow(),
            None => real_now(),
        }
    }

    /// Moves a virtual clock on, and wakes who waits for it; never back.
    pub(crate) fn move_to(&self, moment: Moment) {
        if let Some(stands_at) = &self.stands_at {
            stands_at.send_if_modified(|at| {
                let later = moment > *at;
                *at = moment.max(*at);
                later
            });
        }
    }

    /// Waits. Dropping it is harmless.
    pub(crate) async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        match &self.stands_at {
            None => tokio::time::sleep(duration).await,
            Some(stands_at) => {
                let until = later(self.now(), duration);
                let mut moves = stands_at.subscribe();
                // The clock is part of the world that this wait borrows, so it cannot go away.
                let _ = moves.wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Waits for something, but not for longer than this. `None` where it took too long.
    pub(crate) async fn within<T>(
        &self,
        longest: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(longest) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_virtual_clock_stands_until_it_is_moved_and_never_goes_back() {
        let time = Arc::new(Time::new(Clock::Virtual));
        let began = time.now();
        let sleeper = tokio::spawn({
            let time = time.clone();
            async move { time.sleep(Duration::from_secs(3600)).await }
        });
        time.move_to(later(began, Duration::from_secs(10)));
        time.move_to(began);
        assert_eq!(time.now(), later(began, Duration::from_secs(10)));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        // The sleeper may begin to sleep at either of the two moments.
        time.move_to(later(began, Duration::from_secs(2 * 3600)));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn a_deadline_passes_by_this_clock() {
        let time = Time::new(Clock::Virtual);
        let end = async {
            tokio::task::yield_now().await;
            time.move_to(later(time.now(), Duration::from_secs(5)));
        };
        let waited = time.within(Duration::from_secs(5), std::future::pending::<()>());
        assert_eq!(tokio::join!(waited, end).0, None);
        assert_eq!(time.within(Duration::ZERO, async { 1 }).await, Some(1));
    }
}
