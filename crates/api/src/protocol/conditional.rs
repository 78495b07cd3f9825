//! Conditional requests on specs and networks: `ETag`, `If-Match`, `If-None-Match`.
//!
//! A VM's entity tag is its spec's revision, since that is what callers edit, and a network's is its
//! record's. It does not change with the facts, so answers are marked `no-store`: no cache may take one for the other.

use crate::protocol::answer;
use axum::{extract::FromRequestParts, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use innkeeper_model::{Code, Refusal, Revision};
use std::convert::Infallible;

/// What the caller has already.
pub(crate) struct IfNoneMatch(Option<HeaderValue>);

impl IfNoneMatch {
    /// The answer with what has this revision; without its document, where the caller has that already. The view
    /// has come as far as `seen`.
    pub(crate) fn answer(
        &self,
        revision: Revision,
        seen: Revision,
        document: impl FnOnce() -> Bytes,
    ) -> Response {
        let is_known = self.0.as_ref().is_some_and(|tags| is_known(tags, revision));
        let mut response = match is_known {
            true => answer::empty(StatusCode::NOT_MODIFIED, seen),
            false => answer::json(seen, document()),
        };
        response.headers_mut().insert(header::ETAG, etag(revision));
        response
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(header::IF_NONE_MATCH).cloned()))
    }
}

/// The entity tag of what has this revision.
pub(crate) fn etag(revision: Revision) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\""))
        .expect("digits in quotes are a legal header value")
}

/// Whether the caller has what has this revision already.
fn is_known(if_none_match: &HeaderValue, revision: Revision) -> bool {
    tags(if_none_match).any(|tag| match tag {
        Tag::Any => true,
        Tag::Weak(known) | Tag::Strong(known) => known == revision.to_string(),
    })
}

/// The revision that the engine must find, where the caller named any.
///
/// # Errors
/// The caller named revisions, and that of the `subject` is none of them.
pub(crate) fn expected(
    headers: &HeaderMap,
    subject: &str,
    current: Revision,
) -> Result<Option<Revision>, Refusal> {
    let mut named = None;
    for value in headers.get_all(header::IF_MATCH) {
        for tag in tags(value) {
            match tag {
                Tag::Any => return Ok(None),
                Tag::Strong(tag) if tag == current.to_string() => return Ok(Some(current)),
                // A weak tag never matches here (RFC 9110, 13.1.1).
                Tag::Weak(tag) | Tag::Strong(tag) => named = Some(tag.to_owned()),
            }
        }
    }
    let Some(named) = named else {
        return Ok(None);
    };
    let message = format!("{subject} is at revision {current}, not {named}");
    let mut refusal = Refusal::new(Code::RevisionConflict, message)
        .at("If-Match")
        .with_limit(etag(current).to_str().unwrap_or_default())
        .with_hint("read it again, and repeat the change on what it is now");
    refusal.value = Some(named);
    Err(refusal)
}

enum Tag<'a> {
    Any,
    Strong(&'a str),
    Weak(&'a str),
}

fn tags(value: &HeaderValue) -> impl Iterator<Item = Tag<'_>> {
    // No tag of this API has a comma in it, so one that has is no tag of this API.
    let parts = value.to_str().unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(|part| match part.strip_prefix("W/") {
        _ if part == "*" => Tag::Any,
        Some(weak) => Tag::Weak(weak.trim_matches('"')),
        None => Tag::Strong(part.trim_matches('"')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENT: Revision = Revision(5);

    fn if_match(value: &'static str) -> Result<Option<Revision>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_static(value));
        expected(&headers, "the VM's spec", CURRENT)
    }

    #[test]
    fn the_revision_that_was_read_is_expected() {
        assert_eq!(expected(&HeaderMap::new(), "the VM's spec", CURRENT).unwrap(), None);
        assert_eq!(if_match("*").unwrap(), None);
        assert_eq!(if_match("\"5\"").unwrap(), Some(CURRENT));
        assert_eq!(if_match("\"4\", \"5\"").unwrap(), Some(CURRENT));
    }

    #[test]
    fn another_revision_is_a_conflict() {
        for value in ["\"4\"", "W/\"5\"", "\"abc\"", "\"55\""] {
            let refusal = if_match(value).unwrap_err();
            assert_eq!(refusal.code, Code::RevisionConflict, "{value}");
            assert_eq!(refusal.limit.as_deref(), Some("\"5\""), "{value}");
        }
    }

    #[test]
    fn what_the_caller_has_is_known_by_weak_comparison() {
        let known = |value| is_known(&HeaderValue::from_static(value), CURRENT);
        assert!(known("\"5\"") && known("W/\"5\"") && known("\"1\", \"5\"") && known("*"));
        assert!(!known("\"4\"") && !known("") && !known("\"15\""));
    }
}
