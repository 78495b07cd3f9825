//! Bodies: read as chypervisord read them, and written as it wrote them.

use super::failure::Failure;
use axum::{
    body::{Body, Bytes},
    extract::rejection::BytesRejection,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

/// A request's body, or why it did not come.
pub(crate) type Sent = Result<Bytes, BytesRejection>;

/// An answer of JSON: one value and a newline, with no charset in its type.
pub(crate) struct Written {
    status: StatusCode,
    json: Bytes,
}

impl Written {
    /// 200 with this JSON, which ends with a newline.
    pub(crate) fn ok(json: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, json: json.into() }
    }

    /// The same with 201.
    pub(crate) fn created(self) -> Self {
        Self { status: StatusCode::CREATED, ..self }
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.json));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

/// The first JSON value of a body. What it calls itself is not looked at, nor what comes behind the
/// value: its clients do not name the type of what they send with PATCH.
///
/// # Errors
/// It is too large, did not come, or does not begin with a JSON value.
pub(crate) fn first_value(sent: Sent) -> Result<Value, Failure> {
    let body = sent.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::long(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        }
        _ => Failure::short("the body did not come"),
    })?;
    match serde_json::Deserializer::from_slice(&body).into_iter().next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Failure::short(error.to_string())),
        // The word that its clients know an empty body by.
        None => Err(Failure::short("EOF")),
    }
}

/// What kind of JSON value this is, for a message.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value as JSON, and the newline.
pub(crate) fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut json = serde_json::to_vec(value).expect("maps with text keys, written to memory");
    json.push(b'\n');
    json
}
