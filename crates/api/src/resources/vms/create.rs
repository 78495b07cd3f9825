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
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::Request;
use innkeeper_model::{ProjectName, Refusal, VmConfig, VmId, VmName, task::PlannedOperation};
use innkeeper_surface::Sight;
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
    state: Visit,
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
    let body = json::read(&headers, body).await?;
    let mut config: VmConfig = json::decode(&body)?;
    config.validate()?;
    belongs_to_caller(state.sight(), &body, &mut config)?;
    state.sight().check_host_files(&config, None)?;
    let request = Request::Create { config: Box::new(config), id };
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
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

/// Has a VM whose project is not said be the caller's, where that is bound to one.
///
/// # Errors
/// It is said, and another.
pub(super) fn belongs_to_caller(
    sight: &Sight,
    body: &[u8],
    config: &mut VmConfig,
) -> Result<(), Refusal> {
    /// Whether it is said: a default does not tell.
    #[derive(Deserialize)]
    struct Said {
        project: Option<ProjectName>,
    }
    if sight.is_everything() {
        return Ok(());
    }
    let Said { project } = json::decode(body)?;
    if let Some(project) = sight.owner("project", project)? {
        config.project = project;
    }
    Ok(())
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
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let key = asked::idempotency_key(&headers)?;
    let body = json::read(&headers, body).await?;
    let CloneOptions { name } = json::decode(&body)?;
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &text, params)?;
    if let Some(spec) = &vm.spec {
        // A copy is a VM more that has them, and stays where its original is taken away.
        state.sight().check_host_files(&spec.config, None)?;
    }
    let vm = vm.id;
    let request = Request::Clone { vm, name };
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
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
