//! `Prefer: wait=N` (RFC 7240): how long a caller would wait for the task's end.
//!
//! The standard has servers ignore preferences that they do not know. This one is known, and a value
//! that is no time is refused: a caller who gets it wrong would otherwise take an answer that did not
//! wait for one that did.

use http::{HeaderMap, HeaderName};
use innkeeper_model::{Code, Refusal};
use std::time::Duration;

/// The longest that is waited, whatever was asked for.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What the caller prefers.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What was done about it.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long to wait, if at all. Of several such preferences the first counts.
///
/// # Errors
/// It is no number of seconds.
pub(crate) fn wait(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    for value in headers.get_all(PREFER) {
        let value = String::from_utf8_lossy(value.as_bytes());
        if let Some(preference) = outside_quotes(&value, ',').find(|text| name(text) == "wait") {
            return seconds(preference).map(|wait| Some(wait.min(MAX_WAIT)));
        }
    }
    Ok(None)
}

fn name(preference: &str) -> String {
    let end = preference.find(['=', ';']).unwrap_or(preference.len());
    preference[..end].trim().to_ascii_lowercase()
}

fn seconds(preference: &str) -> Result<Duration, Refusal> {
    // Parameters after a semicolon belong to preferences that have some; this one has none.
    let preference = outside_quotes(preference, ';').next().unwrap_or_default().trim();
    let value = preference.split_once('=').map(|(_, value)| value.trim());
    let quoted = |value| str::strip_prefix(value, '"')?.strip_suffix('"');
    let value = value.map(|value| quoted(value).unwrap_or(value));
    let digits =
        value.filter(|value| !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()));
    // More than there is a number for is long enough.
    let seconds = digits.map(|digits| digits.parse().unwrap_or(u64::MAX));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        let message = format!("Prefer: {preference:?} is no number of seconds to wait");
        let limit = format!("wait=N, with N whole seconds from 0 to {}", MAX_WAIT.as_secs());
        let mut refusal = Refusal::new(Code::BadRequest, message).at("Prefer").with_limit(limit);
        refusal.value = Some(preference.to_owned());
        refusal
    })
}

/// The pieces of a header's value between these, but for those in a quoted string.
fn outside_quotes(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(values: &[&'static str]) -> Result<Option<Duration>, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        wait(&headers)
    }

    #[track_caller]
    fn check(values: &[&'static str], seconds: Option<u64>) {
        assert_eq!(of(values), Ok(seconds.map(Duration::from_secs)), "{values:?}");
    }

    #[test]
    fn the_wait_is_found_among_preferences() {
        check(&["wait=10"], Some(10));
        check(&["respond-async, WAIT = \"7\""], Some(7));
        check(&["return=minimal", "wait=0; x=y"], Some(0));
        check(&["wait=10, wait=20"], Some(10));
        check(&["wait=10", "wait=soon"], Some(10));
    }

    #[test]
    fn what_is_not_known_is_ignored_and_a_long_wait_is_cut() {
        check(&[], None);
        check(&[""], None);
        check(&["respond-async, waits=soon, foo; wait=soon"], None);
        check(&[r#"foo="a, wait=soon", bar="\", wait=soon""#], None);
        check(&["wait=99999999"], Some(3600));
        check(&["wait=99999999999999999999999999"], Some(3600));
    }

    #[test]
    fn a_wait_that_is_no_number_is_refused_with_what_is_allowed() {
        for value in [
            "wait", "wait=", "wait=abc", "wait=-1", "wait=1.5", "wait=+1", "wait=10s", "wait=\"1",
            "wait=é",
        ] {
            let refusal = of(&[value]).unwrap_err();
            assert_eq!(refusal.code, Code::BadRequest, "{value}");
            assert_eq!(refusal.field.as_deref(), Some("Prefer"), "{value}");
            assert_eq!(refusal.value.as_deref(), Some(value));
            assert!(refusal.limit.unwrap().contains("0 to 3600"));
        }
        assert!(of(&["wait=soon, wait=10"]).is_err(), "the first counts");
    }
}
