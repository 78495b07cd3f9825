//! `/v1/vms/{vm}/tickets`: the right to open one session, for what cannot show a credential.

use crate::{
    protocol::{
        answer,
        asked::{Admitted, Segment},
        json,
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::{Extension, body::Body};
use http::HeaderMap;
use innkeeper_model::{Secret, Timestamp, secret::as_text};
use innkeeper_session::{Issued, Purpose};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use utoipa::ToSchema;

/// What a ticket is wanted for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketWish {
    /// What it is to open.
    kind: Purpose,
}

/// A ticket. It is told this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// What to show as `?ticket=`.
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    ticket: Secret,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
}

impl Ticket {
    /// As its caller is told of it.
    pub(crate) fn of(issued: Issued) -> Self {
        let expires = Timestamp::now().checked_add(issued.valid_for).unwrap_or(Timestamp::MAX);
        Self { ticket: issued.ticket, expires }
    }
}

/// Get a ticket for a session of a VM
///
/// It opens one WebSocket of this VM and of this kind, once, within 30 s, in place of the caller's
/// credential and from whatever page. At most 128 of one caller's can wait to be used.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/tickets",
    tag = "vms",
    operation_id = "createVmTicket",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    request_body = TicketWish,
    responses((status = 201, description = "The ticket", body = Ticket), WriteProblems),
)]
pub(crate) async fn issue(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    Extension(Admitted { principal, .. }): Extension<Admitted>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let TicketWish { kind } = json::required(&headers, body).await?;
    let vm = target(&state, &text, params)?;
    // What it would open is refused, so whoever would use it later is not to find that out then.
    vm.check_adopted("go into")?;
    let issued = state.tickets().issue(principal, vm.id, kind, Instant::now())?;
    Ok(answer::created(state.revision(), &Ticket::of(issued)))
}
