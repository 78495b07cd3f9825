//! `/v1/host`: what the host has, and how its guests are confined.

use crate::{
    protocol::{
        answer::{self, native},
        params::Params,
        problem::Answer,
    },
    router::ReadProblems,
    visit::Visit,
};
use innkeeper_model::Host;

/// Read the host
#[utoipa::path(
    get,
    path = "/v1/host",
    tag = "host",
    operation_id = "getHost",
    responses((status = 200, description = "The host", body = Host), ReadProblems),
)]
pub(crate) async fn read(state: Visit, params: Params) -> Answer {
    params.nothing_else()?;
    let seen = state.seen();
    Ok(answer::json(seen.revision(), native(&seen.whole().host)))
}
