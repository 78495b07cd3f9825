//! Quotas: so many requests in so long.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// The units that a quota is written in, and their seconds.
const UNITS: [(&str, u64); 3] = [("s", 1), ("min", 60), ("h", 3600)];
/// The most requests of a quota, so that none is nearer to the next than a nanosecond can tell.
const MAX_REQUESTS: u32 = 1_000_000;

/// So many requests in so long: written `200/s`, `100/min` or `5000/h`. They may come at once; after that
/// each has to wait until the rate has made room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    requests: NonZeroU32,
    /// An index into [`UNITS`].
    unit: usize,
}

impl Quota {
    /// So many a second.
    ///
    /// # Panics
    /// In a constant, where it is zero or more than a million: that does not compile.
    pub const fn per_second(requests: u32) -> Self {
        Self::of(requests, 0)
    }

    /// So many a minute.
    ///
    /// # Panics
    /// As [`Self::per_second`].
    pub const fn per_minute(requests: u32) -> Self {
        Self::of(requests, 1)
    }

    const fn of(requests: u32, unit: usize) -> Self {
        assert!(requests <= MAX_REQUESTS, "it is more than a million");
        match NonZeroU32::new(requests) {
            Some(requests) => Self { requests, unit },
            None => panic!("it is zero"),
        }
    }

    /// How many requests may come at once.
    pub const fn requests(self) -> u32 {
        self.requests.get()
    }

    /// In which time as many may come again.
    pub const fn window(self) -> Duration {
        Duration::from_secs(UNITS[self.unit].1)
    }

    /// How long it takes until there is room for one more, in nanoseconds.
    pub(super) const fn interval(self) -> u64 {
        // Rounded up: never more than the quota.
        (UNITS[self.unit].1 * 1_000_000_000).div_ceil(self.requests.get() as u64)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, UNITS[self.unit].0)
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (requests, unit) = text.split_once('/')?;
            let unit = UNITS.iter().position(|(name, _)| *name == unit)?;
            let requests: NonZeroU32 = requests.parse().ok()?;
            (requests.get() <= MAX_REQUESTS).then_some(Self { requests, unit })
        };
        parse().ok_or_else(|| {
            format!(
                "{text:?} is no quota: write 200/s, 100/min or 5000/h, with 1 to {MAX_REQUESTS} requests"
            )
        })
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_read_as_they_are_written() {
        for text in ["200/s", "100/min", "1/h", "1000000/s"] {
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), text);
        }
        assert_eq!("100/min".parse(), Ok(Quota::per_minute(100)));
        assert_eq!(Quota::per_minute(100).window(), Duration::from_secs(60));
        for wrong in ["", "5", "/s", "0/s", "-1/s", "5/day", "1000001/s", "5 / s"] {
            assert!(wrong.parse::<Quota>().is_err(), "{wrong}");
        }
    }
}
