//! The id of a request: what its log lines, its task and its answer are known by.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};
use uuid::Uuid;

/// The caller's own name for a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name of a request or key, in characters.
pub const MAX_NAME: usize = 128;

/// The request's id: the caller's, where it is one that can be logged and echoed, or a new one.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(given) if is_name(given.as_bytes()) => given.clone(),
        _ => new_request_id(),
    }
}

/// Whether it can be logged and echoed: 1 to [`MAX_NAME`] visible ASCII characters.
pub fn is_name(bytes: &[u8]) -> bool {
    (1..=MAX_NAME).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// A new id: which run of the daemon, and which request of it. Random ids cost a system call each,
/// which would show in the rate of reads.
fn new_request_id() -> HeaderValue {
    static RUN: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().0);
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::from_u64_pair(*RUN, NEXT.fetch_add(1, Ordering::Relaxed));
    let text = id.simple().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("hexadecimal digits are a legal header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_its_callers_name_if_it_is_one() {
        let headers = |name: &[u8]| {
            HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(name).unwrap())])
        };
        assert_eq!(request_id(&headers(b"build-7")), "build-7");
        for other in [&b""[..], b"a b", b"\xff", &[b'x'; MAX_NAME + 1]] {
            let made = request_id(&headers(other));
            assert_eq!(made.len(), 32, "{other:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
