//! Answers: JSON with the revision that it shows.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use innkeeper_model::{Host, Image, Network, Revision, ShownNetwork, Task, Vm};
use innkeeper_surface::Sight;
use innkeeper_view::{EncodingSlot, Record};
use serde::Serialize;

/// The view's revision from which on what the answer says can be read.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("innkeeper-revision");

/// An answer of JSON bytes.
pub(crate) fn json(revision: Revision, body: impl Into<Body>) -> Response {
    of_type("application/json", revision, body)
}

/// The answer that something was made: this.
pub(crate) fn created(revision: Revision, made: &impl Serialize) -> Response {
    let mut response = json(revision, encode(made));
    *response.status_mut() = StatusCode::CREATED;
    response
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

/// What this API shows of a record, and to whom.
pub(crate) trait Shown: Sized {
    /// The document.
    type As<'a>: Serialize
    where
        Self: 'a;

    /// The record as a document.
    fn shown(&self) -> Self::As<'_>;

    /// Whether there is such a thing for this sight.
    fn is_there(&self, sight: &Sight) -> bool;

    /// It without what is not for this sight; `None` where nothing of it is hidden.
    fn narrowed(&self, sight: &Sight) -> Option<Self>;
}

/// Records that are shown as they are, where they are.
macro_rules! shown_whole {
    ($($record:ty, $is_there:expr, $narrowed:expr;)*) => {$(
        impl Shown for $record {
            type As<'a> = &'a Self;

            fn shown(&self) -> &Self {
                self
            }

            fn is_there(&self, sight: &Sight) -> bool {
                $is_there(sight, self)
            }

            fn narrowed(&self, sight: &Sight) -> Option<Self> {
                $narrowed(sight, self)
            }
        }
    )*};
}
shown_whole!(
    Vm, Sight::sees_vm, |_, _| None;
    Task, Sight::sees_task, |_, _| None;
    Image, |_, _| true, Sight::image;
    Host, |sight: &Sight, _| sight.is_everything(), |_, _| None;
);

impl Shown for Network {
    type As<'a> = ShownNetwork;

    fn shown(&self) -> ShownNetwork {
        self.into()
    }

    fn is_there(&self, _: &Sight) -> bool {
        true
    }

    fn narrowed(&self, sight: &Sight) -> Option<Self> {
        sight.network(self)
    }
}

/// A record as this API shows it to whoever sees so much of it.
pub(crate) fn seen<T: Shown>(record: &Record<T>, sight: &Sight) -> Bytes {
    match record.narrowed(sight) {
        None => native(record),
        Some(narrowed) => encode(&narrowed.shown()),
    }
}

/// A whole record as this API shows it; encoded once, however often it is asked for.
pub(crate) fn native<T: Shown>(record: &Record<T>) -> Bytes {
    record.encoded(EncodingSlot::Native, |value| encode(&value.shown()))
}

/// A value as JSON, without room to grow: many of these are kept.
pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(value)
        .expect("what this API shows has text keys and no maps of anything else");
    bytes.into_boxed_slice().into()
}
