//! What a handler learns of a request besides its resource: who asks, under which name, and how the
//! answer should come.

use crate::protocol::{prefer, problem::Problem};
use axum::extract::{FromRequestParts, Path};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use innkeeper_auth::Principal;
use innkeeper_engine::Caller;
use innkeeper_model::{Code, Refusal};
use innkeeper_surface::{MAX_NAME, is_name};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The caller's name for something that is to be made once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the gate found out about a request, kept in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
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
        let Some(Admitted { principal, request_id }) = parts.extensions.get() else {
            // A router that is served without the gate would let everybody in.
            return Err(Refusal::new(Code::Unauthenticated, "nobody asked who is calling").into());
        };
        let request_id = request_id.to_str().ok().map(str::to_owned);
        let origin = parts.extensions.get().copied();
        let caller = Caller { name: principal.identity.to_string(), request_id, origin };
        Ok(Self { caller, wait: prefer::wait(&parts.headers)? })
    }
}

/// Who follows something, as diagnoses name them.
#[derive(Debug)]
pub(crate) struct Follower(String);

impl Follower {
    /// Their name, and what they follow.
    pub(crate) fn of(self, what: &str) -> String {
        format!("{}: {what}", self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for Follower {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(Admitted { principal, .. }) = parts.extensions.get() else {
            return Err(Refusal::new(Code::Unauthenticated, "nobody asked who is calling").into());
        };
        Ok(Self(principal.identity.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).unwrap())])
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
