//! Changing networks: a configuration replaced, or merged into.

use super::find;
use crate::{
    protocol::{
        asked::{Asked, Segment},
        conditional, json, merge as patch,
        mutation::{self, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::{Network, NetworkConfig, Revision};
use innkeeper_view::Record;

/// What a network's entity tag is of.
const RECORD: &str = "the network";

/// Replace a network's configuration
///
/// At once, for the guests that are on it. Its subnets have routes of their own.
#[utoipa::path(
    put,
    path = "/v1/networks/{network}",
    tag = "networks",
    operation_id = "replaceNetwork",
    params(
        ("network" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the record that the change is based on"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = NetworkConfig,
    responses(
        (status = 200, description = "Changed; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn replace(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let body = json::read(&headers, body).await?;
    let network = find(state.seen().whole(), &text)?;
    let expected = conditional::expected(&headers, RECORD, network.revision)?;
    let config: NetworkConfig = json::decode(&body)?;
    edit(&state, &asked, &network, config, expected, dry_run).await
}

/// Change a network's configuration
///
/// A JSON Merge Patch (RFC 7396): members are replaced or merged, and removed by `null`. At once, for the
/// guests that are on it.
#[utoipa::path(
    patch,
    path = "/v1/networks/{network}",
    tag = "networks",
    operation_id = "changeNetwork",
    params(
        ("network" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the record that the change is based on; without it, the record as it is"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn merge(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let body = json::read_patch(&headers, body).await?;
    let network = find(state.seen().whole(), &text)?;
    conditional::expected(&headers, RECORD, network.revision)?;
    let config = patch::merged(&network.config, &body)?;
    // Based on this revision and no other, whether the caller named it or not.
    edit(&state, &asked, &network, config, Some(network.revision), dry_run).await
}

async fn edit(
    state: &Visit,
    asked: &Asked,
    network: &Record<Network>,
    config: NetworkConfig,
    expected: Option<Revision>,
    dry_run: bool,
) -> Answer {
    config.validate()?;
    let request = NetworkRequest::Edit { network: network.id, config: Box::new(config), expected };
    let request = Request::Network(request);
    mutation::perform_or_plan(state, asked, request, Subject::Network, dry_run).await
}
