//! Bodies of requests: JSON, with GET and DELETE too.

use super::{MAX_BODY, answer::Refused};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use innkeeper_model::{Code, Refusal};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A body that an operation cannot do without. Its length is said beforehand; fields that are not known
/// are ignored, and those that are missing, or null, are not set.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        check_length(request.headers())?;
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|_| bad("the body broke off"))?;
        Ok(Self(read(&bytes)?))
    }
}

fn check_length(headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(header::CONTENT_LENGTH);
    let length = said.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(1..=MAX_BODY) => Ok(()),
        _ => Err(bad(format!("the body: Content-Length has to be 1 to {MAX_BODY}"))),
    }
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("the body: {error}")))?;
    let value = match without_null(value) {
        Value::Null => Value::Object(serde_json::Map::new()),
        object @ Value::Object(_) => object,
        _ => return Err(bad("the body: it is not an object")),
    };
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        bad(format!("{path}: {inner}")).at(path)
    })
}

/// The same without members that are null.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let set = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(name, value)| (name, without_null(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(without_null).collect()),
        value => value,
    }
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::BadRequest, why)
}
