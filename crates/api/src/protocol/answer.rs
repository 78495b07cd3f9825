//! Answers: JSON with the revision that it shows.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use innkeeper_model::{Host, Image, Network, Revision, ShownNetwork, Task, Vm};
use innkeeper_view::{EncodingSlot, Record};
use serde::Serialize;

/// The view's revision from which on what the answer says can be read.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("innkeeper-revision");

/// An answer of JSON bytes.
pub(crate) fn json(revision: Revision, body: impl Into<Body>) -> Response {
    of_type("application/json", revision, body)
}

/// An answer of this type.
pub(crate) fn of_type(
    content_type: &'static str,
    revision: Revision,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REVISION, HeaderValue::from(revision.0));
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode, revision: Revision) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(REVISION, HeaderValue::from(revision.0));
    response
}

/// What this API shows of a record.
pub(crate) trait Shown {
    /// The document.
    type As<'a>: Serialize
    where
        Self: 'a;

    /// The record as a document.
    fn shown(&self) -> Self::As<'_>;
}

/// Records that are shown as they are.
macro_rules! shown_whole {
    ($($record:ty),*) => {$(
        impl Shown for $record {
            type As<'a> = &'a Self;

            fn shown(&self) -> &Self {
                self
            }
        }
    )*};
}
shown_whole!(Vm, Task, Image, Host);

impl Shown for Network {
    type As<'a> = ShownNetwork;

    fn shown(&self) -> ShownNetwork {
        self.into()
    }
}

/// A record as this API shows it; encoded once, however often it is asked for.
pub(crate) fn native<T: Shown>(record: &Record<T>) -> Bytes {
    record.encoded(EncodingSlot::Native, |value| encode(&value.shown()))
}

/// A value as JSON, without room to grow: many of these are kept.
pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(value)
        .expect("what this API shows has text keys and no maps of anything else");
    bytes.into_boxed_slice().into()
}
