//! `Prefer: wait=N` (RFC 7240): how long a caller would wait for the task's end.

use http::{HeaderMap, HeaderName};
use std::time::Duration;

/// The longest that is waited, whatever was asked for.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What the caller prefers.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What was done about it.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long to wait, if at all. What cannot be read is ignored, as the standard has it.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).find_map(wait_seconds)?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

fn wait_seconds(preference: &str) -> Option<u64> {
    // Parameters after a semicolon belong to preferences that have some; this one has none.
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    value.trim().trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(values: &[&'static str], seconds: Option<u64>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        assert_eq!(wait(&headers), seconds.map(Duration::from_secs), "{values:?}");
    }

    #[test]
    fn the_wait_is_found_among_preferences() {
        check(&["wait=10"], Some(10));
        check(&["respond-async, WAIT = \"7\""], Some(7));
        check(&["return=minimal", "wait=0; x=y"], Some(0));
        check(&["wait=10, wait=20"], Some(10));
    }

    #[test]
    fn what_is_no_wait_is_ignored_and_a_long_one_is_cut() {
        check(&[], None);
        check(&["respond-async"], None);
        check(&["wait", "wait=", "wait=-1", "wait=soon"], None);
        check(&["wait=99999999"], Some(3600));
    }
}
