//! The pace at which sleeping readers are woken.
//!
//! A wake-up costs each reader a poll and a write to its socket, so 500 readers woken for each of
//! 1,000 changes a second would keep several cores busy. Readers are therefore woken at once while
//! little happens, and once a tick, with all that came meanwhile, under load. A few wake-ups may come
//! in a row before that: one thing that happens to a VM is often several changes in a few
//! milliseconds, and nobody should wait a tick for the second.

use std::time::{Duration, Instant};

/// How many wake-ups may follow each other at once after a quiet time: the start of a VM and its end are
/// some forty changes, and whoever watches one VM should not wait a tick for any of them.
pub(crate) const BURST: u32 = 64;

/// Allows one wake-up a tick in the long run, and [`BURST`] in a row. Pure: it is told the time.
#[derive(Debug)]
pub(crate) struct Pace {
    tick: Duration,
    /// When the allowance will be full again.
    full_at: Instant,
}

impl Pace {
    pub(crate) fn new(tick: Duration, now: Instant) -> Self {
        Self { tick, full_at: now }
    }

    /// When the next wake-up is allowed; in the past if it is allowed already.
    pub(crate) fn next(&self) -> Instant {
        // An instant before the clock's own beginning is as good as now.
        self.full_at.checked_sub(self.tick * (BURST - 1)).unwrap_or(self.full_at)
    }

    /// Notes a wake-up.
    pub(crate) fn note(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.tick;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(8);

    #[test]
    fn a_burst_is_free_and_then_there_is_one_wake_up_a_tick() {
        let start = Instant::now() + Duration::from_secs(1);
        let mut pace = Pace::new(TICK, start);
        for _ in 0..BURST {
            assert!(pace.next() <= start);
            pace.note(start);
        }
        for tick in 1..5 {
            let due = start + TICK * tick;
            assert_eq!(pace.next(), due);
            pace.note(due);
        }
    }

    #[test]
    fn the_allowance_comes_back_with_quiet_and_is_not_saved_up() {
        let start = Instant::now() + Duration::from_secs(1);
        let mut pace = Pace::new(TICK, start);
        let later = start + TICK * 1000;
        for _ in 0..BURST {
            assert!(pace.next() <= later);
            pace.note(later);
        }
        assert_eq!(pace.next(), later + TICK);
    }
}
