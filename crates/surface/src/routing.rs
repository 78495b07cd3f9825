//! What every gate does with a request: bounds its body before it looks at it, and has the routes answer for as
//! long as the caller may be answered.

use crate::holding::{unless_it_ends, while_it_holds};
use axum::{Router, body::Body, response::Response};
use http::{HeaderMap, Request, header};
use innkeeper_auth::Standing;
use innkeeper_model::{Code, Refusal};
use tower::Service;

/// What the routes answer. Dropping the future drops what they do, wherever that waits.
pub async fn answer(mut router: Router, request: Request<Body>) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What the routes answer, for as long as the caller's credential holds. `refuse` says in the surface's words that
/// it ended before they had. Dropping the future drops the answer.
pub async fn routed(
    answer: impl Future<Output = Response>,
    standing: Option<&Standing>,
    refuse: impl FnOnce(Refusal) -> Response,
) -> Response {
    let Some(standing) = standing else { return answer.await };
    match unless_it_ends(standing, answer).await {
        Ok(response) => while_it_holds(response, standing),
        Err(over) => refuse(over),
    }
}

/// Refuses a body that is larger than so many bytes before any of it is read. One that does not say how large it
/// is passes.
///
/// # Errors
/// It says that it is larger, or something that is no length ([`Code::TooLarge`]).
pub fn check_length(headers: &HeaderMap, at_most: usize) -> Result<(), Refusal> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    match length.to_str().ok().and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length <= at_most as u64 => Ok(()),
        _ => Err(too_large(at_most)),
    }
}

/// The refusal of a body that is larger than so many bytes.
pub fn too_large(at_most: usize) -> Refusal {
    Refusal::new(Code::TooLarge, "the body is too large").with_limit(format!("{at_most} bytes"))
}
