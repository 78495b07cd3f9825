//! `/v1/host`: what the host has, and how its guests are confined.

use crate::{
    protocol::{
        answer::{self, native},
        params::Params,
        problem::Answer,
    },
    router::ReadProblems,
    state::ApiState,
};
use axum::extract::State;
use innkeeper_model::Host;

/// Read the host
#[utoipa::path(
    get,
    path = "/v1/host",
    tag = "host",
    operation_id = "getHost",
    responses((status = 200, description = "The host", body = Host), ReadProblems),
)]
pub(crate) async fn read(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    let snapshot = state.view().snapshot();
    Ok(answer::json(snapshot.revision, native(&snapshot.host)))
}
