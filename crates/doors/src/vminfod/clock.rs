//! Times that only ever grow, and lengths of time, as this protocol writes them:
//! `0.000391935s (391.94us)`.

use innkeeper_model::Timestamp;
use std::time::{Duration, Instant};

/// A clock that began when the door was made.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// How long it runs.
    pub(crate) fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// A time, by this clock.
    pub(crate) fn at(&self, time: Instant) -> String {
        length(time.saturating_duration_since(self.began))
    }

    /// How long ago it was.
    pub(crate) fn ago(&self, time: Instant) -> String {
        length(time.elapsed())
    }

    /// How long ago something was of which the time of day is known.
    pub(crate) fn ago_by_date(&self, time: Timestamp) -> Duration {
        Timestamp::now().duration_since(time).try_into().unwrap_or_default()
    }

    /// The same, by this clock.
    pub(crate) fn at_by_date(&self, time: Timestamp) -> String {
        length(self.uptime().saturating_sub(self.ago_by_date(time)))
    }
}

/// A length of time: exactly, then for people.
pub(crate) fn length(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (scale, unit) = match seconds {
        s if s < 1e-6 => (1e9, "ns"),
        s if s < 1e-3 => (1e6, "us"),
        s if s < 1.0 => (1e3, "ms"),
        s if s < 60.0 => (1.0, "s"),
        s if s < 3600.0 => (1.0 / 60.0, "m"),
        s if s < 86400.0 => (1.0 / 3600.0, "h"),
        _ => (1.0 / 86400.0, "d"),
    };
    let (whole, nanoseconds) = (time.as_secs(), time.subsec_nanos());
    format!("{whole}.{nanoseconds:09}s ({:.2}{unit})", seconds * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_exactly_and_for_people() {
        for (nanoseconds, written) in [
            (391_935, "0.000391935s (391.94us)"),
            (82_480_000, "0.082480000s (82.48ms)"),
            (7, "0.000000007s (7.00ns)"),
            (1_500_000_000, "1.500000000s (1.50s)"),
            (90_000_000_000, "90.000000000s (1.50m)"),
            (0, "0.000000000s (0.00ns)"),
        ] {
            assert_eq!(length(Duration::from_nanos(nanoseconds)), written);
        }
    }
}
