//! The header `Range`, as far as whoever goes on with a download needs it: one range of bytes.

use super::answer;
use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use innkeeper_model::{Refusal, Revision};
use std::ops::Range;

/// Which part of a whole is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// All of it.
    Whole,
    /// These bytes, which are in it.
    Part(Range<u64>),
    /// Bytes that are not in it.
    Beyond,
}

/// Answers with what of `length` bytes is asked for; `body` makes it.
///
/// # Errors
/// `body`'s.
pub(crate) fn respond(
    headers: &HeaderMap,
    length: u64,
    tag: HeaderValue,
    revision: Revision,
    body: impl FnOnce(Range<u64>) -> Result<Body, Refusal>,
) -> Result<Response, Refusal> {
    let (status, part) = match asked(headers, length, &tag) {
        Asked::Whole => (StatusCode::OK, 0..length),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Beyond => {
            let mut response = answer::empty(StatusCode::RANGE_NOT_SATISFIABLE, revision);
            let whole = text(format!("bytes */{length}"));
            response.headers_mut().insert(header::CONTENT_RANGE, whole);
            return Ok(response);
        }
    };
    let count = part.end - part.start;
    let range = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| text(format!("bytes {}-{}/{length}", part.start, part.end - 1)));
    let mut response = answer::of_type("application/octet-stream", revision, body(part)?);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, tag);
    if let Some(range) = range {
        headers.insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// What bytes are known by, as a header has it.
pub(crate) fn tag(of: &str) -> HeaderValue {
    // What stands in a description that somebody has written by hand may be anything.
    HeaderValue::try_from(format!("\"{of}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("words and digits are a legal header value")
}

/// What of `length` bytes that are known by this tag is asked for. A header that makes no sense, asks
/// for several ranges, or is meant for other bytes (`If-Range`) asks for nothing.
fn asked(headers: &HeaderMap, length: u64, tag: &HeaderValue) -> Asked {
    if headers.get(header::IF_RANGE).is_some_and(|condition| condition != tag) {
        return Asked::Whole;
    }
    let value = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.strip_prefix("bytes=")?.split_once('-')) {
        Some((first, last)) => range(first, last, length),
        None => Asked::Whole,
    }
}

fn range(first: &str, last: &str, length: u64) -> Asked {
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    let (first, last): (Option<u64>, Option<u64>) = match (first, last) {
        // The last so many bytes.
        ("", last) => match number(last) {
            Some(count) => (Some(length.saturating_sub(count)), None),
            None => (None, None),
        },
        (first, "") => (number(first), None),
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (Some(first), Some(last)),
            _ => (None, None),
        },
    };
    match first {
        None => Asked::Whole,
        Some(first) if first >= length => Asked::Beyond,
        Some(first) => {
            let end = last.map_or(length, |last| last.saturating_add(1).min(length));
            Asked::Part(first..end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, condition: Option<&'static str>) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(condition) = condition {
            headers.insert(header::IF_RANGE, HeaderValue::from_static(condition));
        }
        asked(&headers, 100, &HeaderValue::from_static("\"tag\""))
    }

    #[test]
    fn one_range_is_understood_and_what_makes_no_sense_is_not() {
        for (range, expected) in [
            ("bytes=0-", Asked::Part(0..100)),
            ("bytes=40-", Asked::Part(40..100)),
            ("bytes=40-40", Asked::Part(40..41)),
            ("bytes=40-1000", Asked::Part(40..100)),
            ("bytes=-30", Asked::Part(70..100)),
            ("bytes=-300", Asked::Part(0..100)),
            ("bytes=100-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=18446744073709551615-18446744073709551615", Asked::Beyond),
            ("bytes=5-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-", Asked::Whole),
            ("bytes=1-2,5-6", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(of(range, None), expected, "{range}");
        }
    }

    #[test]
    fn a_range_of_other_bytes_is_none() {
        assert_eq!(of("bytes=40-", Some("\"tag\"")), Asked::Part(40..100));
        assert_eq!(of("bytes=40-", Some("\"other\"")), Asked::Whole);
    }
}
