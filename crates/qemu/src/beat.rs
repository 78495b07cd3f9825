//! The beat on which all machines are looked at.
//!
//! Nobody tells that a process was stopped but to its parent, and a daemon is the parent of those only
//! that it has started in this life. So each machine's process is looked at, from outside and without
//! waking it. All of them on one beat: the daemon is woken once for them all, and without machines not
//! at all.

use std::{sync::OnceLock, time::Duration};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Short enough that what is seen is told within a second of when it happened, with time left to
/// tell it on a loaded host.
const EVERY: Duration = Duration::from_millis(800);

/// The beat, from the next one on. One that was missed is left out.
pub(crate) fn beats() -> Interval {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    let mut beats = interval_at(next_after(first, Instant::now()), EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    beats
}

fn next_after(first: Instant, now: Instant) -> Instant {
    let passed = now.saturating_duration_since(first).as_millis() / EVERY.as_millis();
    first + EVERY * u32::try_from(passed + 1).unwrap_or(u32::MAX)
}

/// How many beats come closest to a time.
pub(crate) const fn beats_in(time: Duration) -> u64 {
    (time.as_millis() / EVERY.as_millis()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_the_same_beat_whenever_they_begin() {
        let first = Instant::now();
        for (begun, expected) in [(0, 800), (1, 800), (799, 800), (800, 1600), (12_345, 12_800)] {
            let after = |ms| first + Duration::from_millis(ms);
            assert_eq!(next_after(first, after(begun)), after(expected), "{begun}");
        }
    }
}
