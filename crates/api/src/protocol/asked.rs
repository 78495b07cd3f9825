//! What a handler learns of a request besides its resource: who asks, under which name, and how the
//! answer should come.

use crate::protocol::{prefer, problem::Problem};
use axum::extract::{FromRequestParts, Path};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use innkeeper_auth::Identity;
use innkeeper_engine::Caller;
use innkeeper_model::{Code, Refusal};
use serde::de::DeserializeOwned;
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// The caller's own name for a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The caller's name for something that is to be made once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest name of a request or key, in characters.
const MAX_NAME: usize = 128;

/// What the gate found out about a request, kept in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) identity: Identity,
    pub(crate) request_id: HeaderValue,
}

/// Who asks for something to be done, and how.
#[derive(Debug)]
pub(crate) struct Asked {
    /// For the engine.
    pub(crate) caller: Caller,
    /// How long the caller would wait for the task's end, if at all.
    pub(crate) wait: Option<Duration>,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(Admitted { identity, request_id }) = parts.extensions.get() else {
            // A router that is served without the gate would let everybody in.
            return Err(Refusal::new(Code::Unauthenticated, "nobody asked who is calling").into());
        };
        let request_id = request_id.to_str().ok().map(str::to_owned);
        let caller = Caller { name: identity.to_string(), request_id };
        Ok(Self { caller, wait: prefer::wait(&parts.headers)? })
    }
}

/// The one variable segment of a path, or several as a tuple, decoded.
#[derive(Debug)]
pub(crate) struct Segment<T = String>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(rejection) => {
                Err(Refusal::new(Code::BadRequest, "the path is not UTF-8").caused_by(&rejection))?
            }
        }
    }
}

/// The request's id: the caller's, where it is one that can be logged and echoed, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(given) if is_name(given.as_bytes()) => given.clone(),
        _ => new_request_id(),
    }
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

/// The key under which this request is to be done once, where there is one.
///
/// # Errors
/// It is no key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    if is_name(value.as_bytes()) {
        return Ok(Some(String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    let given = String::from_utf8_lossy(value.as_bytes());
    let limit = format!("1 to {MAX_NAME} visible ASCII characters");
    Err(Refusal::invalid("Idempotency-Key", given, format!("is not {limit}")).with_limit(limit))
}

fn is_name(bytes: &[u8]) -> bool {
    (1..=MAX_NAME).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).unwrap())])
    }

    #[test]
    fn a_request_keeps_its_callers_name_if_it_is_one() {
        assert_eq!(request_id(&headers(REQUEST_ID, b"build-7")), "build-7");
        for other in [&b""[..], b"a b", b"\xff", &[b'x'; MAX_NAME + 1]] {
            let made = request_id(&headers(REQUEST_ID, other));
            assert_eq!(made.len(), 32, "{other:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        let key = idempotency_key(&headers(IDEMPOTENCY_KEY, b"a-1")).unwrap();
        assert_eq!(key.as_deref(), Some("a-1"));
        assert!(idempotency_key(&headers(IDEMPOTENCY_KEY, b"")).is_err());
        assert!(idempotency_key(&headers(IDEMPOTENCY_KEY, &[b'x'; 129])).is_err());
    }
}
