//! `/v1/vms/{vm}/agent`: what the agent in a guest says of itself and its guest, and its clock.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        json,
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use http::{HeaderMap, StatusCode};
use innkeeper_model::{Refusal, Timestamp};
use innkeeper_session::agent::{GuestInfo, Interface, OsInfo};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// An agent, and the guest that it is in, by its own words.
#[derive(Serialize, ToSchema)]
pub(crate) struct GuestAgent {
    /// The agent.
    agent: GuestInfo,
    /// The guest's system, where the agent can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<OsInfo>,
    /// Its network interfaces, where the agent can tell.
    interfaces: Vec<Interface>,
}

/// Ask the agent in a guest
///
/// Answers within some seconds, whatever the guest does. What it says is a guest's word.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/agent",
    tag = "vms",
    operation_id = "getVmAgent",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses((status = 200, description = "The agent", body = GuestAgent), WriteProblems),
)]
pub(crate) async fn read(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().agent(&asked.caller, vm, "agent")?;
    let agent = opened.agent.info().await.map_err(Refusal::from)?;
    let system = opened.agent.os_info().await.ok();
    let interfaces = opened.agent.interfaces().await.unwrap_or_default();
    let found = GuestAgent { agent, system, interfaces };
    Ok(answer::json(state.revision(), answer::encode(&found)))
}

/// Ask whether the agent in a guest is there
///
/// Answers within 5 s.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/agent/ping",
    tag = "vms",
    operation_id = "pingVmAgent",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses((status = 204, description = "It is"), WriteProblems),
)]
pub(crate) async fn ping(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().agent(&asked.caller, vm, "agent")?;
    opened.agent.ping().await.map_err(Refusal::from)?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.revision()))
}

/// A clock to set.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clock {
    /// The time to set it to; the host's own where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    time: Option<Timestamp>,
}

/// Set the clock of a guest
///
/// The body may be left out. Needs the agent in the guest.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/agent/set-time",
    tag = "vms",
    operation_id = "setVmTime",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    request_body = Option<Clock>,
    responses((status = 204, description = "It is set"), WriteProblems),
)]
pub(crate) async fn set_time(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let clock: Clock = json::optional(&headers, body).await?;
    let time = clock.time.unwrap_or_else(Timestamp::now);
    let since_1970 = Duration::try_from(time.as_duration())
        .map_err(|_| Refusal::invalid("time", time, "is before 1970"))?;
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().agent(&asked.caller, vm, "set-time")?;
    opened.agent.set_time(Some(since_1970)).await.map_err(Refusal::from)?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.revision()))
}
