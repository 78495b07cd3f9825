//! Making VMs: from a configuration, or as a copy of another.

use super::target;
use crate::{
    protocol::{
        asked::{self, Asked, Segment},
        idempotency::fingerprint,
        json,
        mutation::{self, Creation, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    state::ApiState,
};
use axum::{body::Body, extract::State};
use http::HeaderMap;
use innkeeper_engine::Request;
use innkeeper_model::{VmConfig, VmId, VmName, task::PlannedOperation};
use serde::Deserialize;
use utoipa::ToSchema;

/// Create a VM
#[utoipa::path(
    post,
    path = "/v1/vms",
    tag = "vms",
    operation_id = "createVm",
    params(
        ("id" = Option<String>, Query, description = "Its id, where the caller chooses one; a UUID"),
        ("start" = Option<bool>, Query, description = "Start it when it is made; the answer then has the task that starts it, which `dry_run` does not plan"),
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = VmConfig,
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        (status = 201, description = "Created", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn create(
    State(state): State<ApiState>,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id: Option<VmId> = params.parsed("id")?;
    let start = params.flag("start")?;
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let key = asked::idempotency_key(&headers)?;
    json::expect_type(&headers, "application/json")?;
    let body = json::read(body).await?;
    let config: VmConfig = json::decode(&body)?;
    config.validate()?;
    let request = Request::Create { config: Box::new(config), id };
    if dry_run {
        return mutation::plan(&state, request).await;
    }

    let own_id = id.map(|id| id.to_string()).unwrap_or_default();
    let creation = Creation {
        fingerprint: fingerprint(&[b"vm", own_id.as_bytes(), &[u8::from(start)], &body]),
        request,
        start,
        subject: Subject::NewVm,
        key,
    };
    mutation::create(&state, asked, creation).await
}

/// How a copy is to differ.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Clone)]
pub(crate) struct CloneOptions {
    /// Its name.
    name: VmName,
}

/// Clone a stopped VM
///
/// The copy has disks of its own.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/clone",
    tag = "vms",
    operation_id = "cloneVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = CloneOptions,
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        (status = 201, description = "Created", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn clone(
    State(state): State<ApiState>,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let key = asked::idempotency_key(&headers)?;
    json::expect_type(&headers, "application/json")?;
    let body = json::read(body).await?;
    let CloneOptions { name } = json::decode(&body)?;
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &text, params)?.id;
    let request = Request::Clone { vm, name };
    if dry_run {
        return mutation::plan(&state, request).await;
    }

    let creation = Creation {
        fingerprint: fingerprint(&[b"clone", vm.to_string().as_bytes(), &body]),
        request,
        start: false,
        subject: Subject::NewVm,
        key,
    };
    mutation::create(&state, asked, creation).await
}
