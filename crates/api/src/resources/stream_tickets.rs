//! `/v1/tickets`: the right to open one stream once, for what cannot show a credential: an `EventSource`, a link.
//!
//! A ticket stands for its caller and says nothing of what that may: the stream is asked for as if the caller's
//! credential had been shown, and the ticket is taken out of the request before it goes on. Sessions of VMs have tickets
//! of their own, since a WebSocket may come from a page of whatever origin.

use super::session::tickets::Ticket;
use crate::{
    protocol::{answer, asked::Admitted, json, params::Params, problem::Answer},
    router::WriteProblems,
    state::ApiState,
};
use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, Method, Request, Uri, header, uri::PathAndQuery};
use innkeeper_auth::Principal;
use innkeeper_model::{Refusal, Timestamp};
use innkeeper_session::TicketRefused;
use serde::Deserialize;
use std::time::Instant;
use utoipa::ToSchema;

/// The parameter that a ticket is shown in.
pub(crate) const TICKET: &str = "ticket";
/// The longest path that a ticket is for.
const MAX_PATH: usize = 512;

/// What a ticket is wanted for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamTicketWish {
    /// The stream's path, as it will be asked for, without a query: `/v1/events`, `/v1/vms/web/logs` or
    /// `/v1/tasks/ID/events`.
    path: String,
}

/// Get a ticket for a stream
///
/// It opens one `GET` of this path, once, within 30 s, in place of the caller's credential; what is in the query beside
/// it is the request's. At most 128 of one caller's can wait to be used. What was opened ends when the credential does.
#[utoipa::path(
    post,
    path = "/v1/tickets",
    tag = "events",
    operation_id = "createStreamTicket",
    request_body = StreamTicketWish,
    responses((status = 201, description = "The ticket", body = Ticket), WriteProblems),
)]
pub(crate) async fn issue(
    State(state): State<ApiState>,
    params: Params,
    Extension(Admitted { principal, .. }): Extension<Admitted>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let StreamTicketWish { path } = json::required(&headers, body).await?;
    check(&path)?;
    let issued = state.tickets().issue_stream(principal, &path, Instant::now())?;
    Ok(answer::created(state.revision(), &Ticket::of(issued)))
}

fn check(path: &str) -> Result<(), Refusal> {
    if path.len() <= MAX_PATH && is_stream(path) {
        return Ok(());
    }
    let shown: String = path.chars().take(MAX_PATH).collect();
    Err(Refusal::invalid("path", shown, "is not the path of a stream")
        .with_limit("/v1/events, /v1/vms/VM/logs or /v1/tasks/ID/events")
        .with_hint("for a console or a screen: POST /v1/vms/VM/tickets"))
}

/// Whether a ticket can be shown for this path.
fn is_stream(path: &str) -> bool {
    let mut segments = path.strip_prefix("/v1/").unwrap_or_default().split('/');
    let four = [segments.next(), segments.next(), segments.next(), segments.next()];
    matches!(
        four,
        [Some("events"), None, ..]
            | [Some("vms"), Some(_), Some("logs"), None]
            | [Some("tasks"), Some(_), Some("events"), None]
    )
}

/// Whose ticket a request shows for its stream; `None` where it shows none, or a credential beside it.
///
/// # Errors
/// It is not valid, in the same words whatever is wrong with it.
pub(crate) fn caller(
    state: &ApiState,
    request: &Request<Body>,
) -> Option<Result<Principal, Refusal>> {
    let uri = request.uri();
    let is_meant = *request.method() == Method::GET
        && is_stream(uri.path())
        && !request.headers().contains_key(header::AUTHORIZATION);
    let shown = Params::parse(uri.query().filter(|_| is_meant)?).one(TICKET);
    let redeemed = match shown {
        Ok(None) => return None,
        Ok(Some(ticket)) => state.tickets().redeem_stream(&ticket, uri.path(), Instant::now()),
        // Whoever shows two may be two.
        Err(_twice) => Err(TicketRefused),
    };
    let whose = redeemed.and_then(|whose| match whose.standing.holds(Timestamp::now()) {
        true => Ok(whose),
        false => Err(TicketRefused),
    });
    Some(whose.map_err(Refusal::from))
}

/// Takes the ticket off a request for a stream that was let in by it, so that it goes no further.
pub(crate) fn take_off(request: &mut Request<Body>) {
    if is_stream(request.uri().path())
        && request.uri().query().is_some_and(|query| query.contains(TICKET))
        && !request.headers().contains_key(header::AUTHORIZATION)
    {
        *request.uri_mut() = without_ticket(request.uri());
    }
}

/// The address of a request without the ticket that was shown in it.
fn without_ticket(uri: &Uri) -> Uri {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name != TICKET {
            query.append_pair(&name, &value);
        }
    }
    let query = query.finish();
    let path = uri.path();
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    // What was a path and a query is one.
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
#[path = "stream_tickets_tests.rs"]
mod tests;
