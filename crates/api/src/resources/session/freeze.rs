//! `/v1/vms/{vm}/agent/freeze` and `/thaw`: holding a guest's file systems still.
//!
//! They are held for as long as the caller holds the connection, and no longer than was asked for: a
//! caller who dies leaves no guest that cannot write.

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
use bytes::Bytes;
use futures_util::{StreamExt, future::ready, stream};
use http::{HeaderMap, StatusCode};
use innkeeper_auth::Standing;
use innkeeper_engine::OpenedAgent;
use innkeeper_model::{Refusal, Timestamp};
use innkeeper_surface::until_it_ends;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, time::Duration};
use utoipa::ToSchema;

/// For how long they are held where nothing is said, and at most, in seconds.
const DEFAULT_TIMEOUT: u64 = 30;
const MAX_TIMEOUT: u64 = 600;

/// How to hold a guest's file systems still.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freeze {
    /// For how long at most, in seconds; 30 where nothing is said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 600)]
    timeout_s: Option<u64>,
}

/// One line of the answer: first that they are held, last that they go on.
#[derive(Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum FreezeNotice {
    /// They are held.
    Frozen {
        /// How many there are.
        file_systems: u64,
        /// When they are let go on at the latest.
        #[schema(value_type = String, format = DateTime)]
        until: Timestamp,
    },
    /// They go on.
    Thawed,
    /// The guest did not say that they go on.
    Unknown {
        /// Why.
        problem: String,
    },
}

impl FreezeNotice {
    fn line(&self) -> Result<Bytes, Infallible> {
        let mut line = answer::encode(self).to_vec();
        line.push(b'\n');
        Ok(line.into())
    }
}

/// Hold the file systems of a guest still
///
/// The first line of the answer comes when they are held, the last when they go on: when the time is
/// over, when the connection is closed, by a thaw, or when the daemon stops. Needs the agent in the guest.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/agent/freeze",
    tag = "vms",
    operation_id = "freezeVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    request_body = Option<Freeze>,
    responses(
        (status = 200, description = "They are held", body = FreezeNotice, content_type = "application/x-ndjson"),
        WriteProblems,
    ),
)]
pub(crate) async fn freeze(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let freeze: Freeze = json::optional(&headers, body).await?;
    let seconds = freeze.timeout_s.unwrap_or(DEFAULT_TIMEOUT);
    if !(1..=MAX_TIMEOUT).contains(&seconds) {
        let range = format!("1..={MAX_TIMEOUT}");
        let problem = format!("is not in {range}");
        return Err(Refusal::invalid("timeout_s", seconds, problem).with_limit(range).into());
    }
    let at_most = Duration::from_secs(seconds);
    let vm = target(&state, &text, params)?.id;
    let OpenedAgent { agent, session } = state.operations().agent(&asked.caller, vm, "freeze")?;
    let held = agent.hold(at_most).await.map_err(Refusal::from)?;
    let until = Timestamp::now() + at_most;
    let frozen = FreezeNotice::Frozen { file_systems: held.file_systems, until };
    let seen = state.while_it_sees(vm, Standing::of_connection());
    let stopping = state.stopping().clone();
    let ended = async move {
        let over = async {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = until_it_ends(&seen) => {}
            }
        };
        let thawed = held.until(over).await;
        drop(session);
        match thawed {
            Ok(()) => FreezeNotice::Thawed,
            Err(error) => FreezeNotice::Unknown { problem: error.to_string() },
        }
        .line()
    };
    let lines = stream::once(ready(frozen.line())).chain(stream::once(ended));
    let revision = state.revision();
    Ok(answer::of_type("application/x-ndjson", revision, Body::from_stream(lines)))
}

/// Let the file systems of a guest go on
///
/// Whoever holds them; it is no problem if nobody does. Needs the agent in the guest.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/agent/thaw",
    tag = "vms",
    operation_id = "thawVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses((status = 204, description = "They go on"), WriteProblems),
)]
pub(crate) async fn thaw(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().agent(&asked.caller, vm, "thaw")?;
    opened.agent.thaw().await.map_err(Refusal::from)?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.revision()))
}
