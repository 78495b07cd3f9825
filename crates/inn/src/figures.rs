//! Spans of time and sizes as people write and read them.

use innkeeper_model::{ByteSize, Timestamp};
use jiff::SignedDuration;
use std::time::Duration;

/// Reads `60s`, `2m`, `1h30m`, `500ms`.
///
/// # Errors
/// It has no unit, is negative, or is not a span of time; in words, for clap.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok();
    // Its parser also takes ISO 8601 ("PT60S"), which is no harm.
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("{text:?} is not a span of time: write for example 60s or 2m"))
}

/// How long ago something was, in its largest unit: `45s`, `12m`, `5h`, `3d`.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// About how large something is, in three digits: `1.5GiB`. What is exact is shown by `-o json`.
pub(crate) fn about(ByteSize(bytes): ByteSize) -> String {
    let mut scaled = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while let Some(larger) = units.next().filter(|_| scaled >= 1024.0) {
        scaled /= 1024.0;
        unit = larger;
    }
    let decimals = usize::from(scaled < 10.0 && scaled.fract() >= 0.05);
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_about_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1536, "1.5KiB"),
            (10 << 20, "10MiB"),
            ((5 << 30) + 1, "5GiB"),
            (123_456_789, "118MiB"),
        ] {
            assert_eq!(about(ByteSize(bytes)), text);
        }
    }

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, milliseconds) in
            [("60s", 60_000), ("2m", 120_000), ("1h30m", 5_400_000), ("500ms", 500), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["60", "", "-1s", "soon"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (7_200, "2h"), (200_000, "2d"), (-5, "0s")]
        {
            assert_eq!(age(at(1_000_000), at(1_000_000 + seconds)), text);
        }
    }
}
