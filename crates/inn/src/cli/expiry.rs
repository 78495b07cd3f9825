//! When a credential ends, as it is written on a command line.

use innkeeper_model::Timestamp;
use jiff::{Span, civil::Date, tz::TimeZone};

/// Reads `30d`, `2027-01-31` (when it begins, in UTC) and `2027-01-31T12:00:00Z`.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    expiry(text, Timestamp::now())
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let time = || text.parse::<Timestamp>().ok();
    let date = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let span = || {
        let span = text.parse::<Span>().ok().filter(|span| span.is_positive())?;
        Some(now.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp())
    };
    // A date can be read as a time of day with an offset, never as a span.
    time().or_else(span).or_else(date).ok_or_else(|| {
        format!(
            "{text:?} is no time: write for example 30d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_expires_after_a_span_or_at_a_time() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("30d", "2026-03-02T10:00:00Z"),
            ("12h", "2026-01-31T22:00:00Z"),
            ("1h30m", "2026-01-31T11:30:00Z"),
            ("2w", "2026-02-14T10:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z"),
        ] {
            assert_eq!(expiry(text, now), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "30", "-1d", "0s", "tomorrow", "2027-13-01"] {
            assert!(expiry(text, now).is_err(), "{text}");
        }
    }
}
