//! Answers: every one says that it is JSON, its texts included, as the ancestor's do.

use super::matching::NotAFilter;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use innkeeper_model::{Code, Refusal};
use serde::Serialize;

/// An answer with a body of this length.
pub(crate) fn whole(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let body = body.into();
    let length = body.len();
    of_length(status, length, body)
}

/// An answer with a body that is made while it is sent.
pub(crate) fn of_length(status: StatusCode, length: usize, body: impl Into<Body>) -> Response {
    let mut response = endless(body);
    *response.status_mut() = status;
    // Said here, so that it is there for HEAD too.
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// An answer whose end nobody knows.
pub(crate) fn endless(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A document.
pub(crate) fn json(document: &impl Serialize) -> Response {
    whole(StatusCode::OK, encode(document))
}

/// A sentence.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    whole(status, text.into())
}

/// That the protocol has no such method.
pub(crate) fn no_method() -> Response {
    let mut response = whole(StatusCode::METHOD_NOT_ALLOWED, "");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// A refusal of the gate's.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => return no_method(),
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    text(status, refusal.message.clone())
}

/// A filter, a field or a position that is none.
#[derive(Debug)]
pub(crate) struct BadQuery(pub(crate) String);

impl From<NotAFilter> for BadQuery {
    fn from(error: NotAFilter) -> Self {
        Self(error.to_string())
    }
}

impl From<BadQuery> for Response {
    fn from(BadQuery(problem): BadQuery) -> Self {
        text(StatusCode::BAD_REQUEST, problem)
    }
}

/// A value as JSON, without room to grow: many of these are kept.
pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(value)
        .expect("what this protocol shows has text keys and nothing that JSON has not");
    bytes.into_boxed_slice().into()
}
