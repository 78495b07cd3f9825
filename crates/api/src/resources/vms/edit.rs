//! Changing VMs: a configuration replaced, or merged into.

use super::{create::belongs_to_caller, spec_of, target};
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
use innkeeper_engine::Request;
use innkeeper_model::{Revision, Vm, VmConfig};
use innkeeper_view::Record;

/// What a VM's entity tag is of.
const SPEC: &str = "the VM's spec";

/// Replace a VM's configuration
///
/// What runs keeps running as it is until its next start.
#[utoipa::path(
    put,
    path = "/v1/vms/{vm}",
    tag = "vms",
    operation_id = "replaceVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the spec that the change is based on"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = VmConfig,
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
    let body = json::read(&headers, body).await?;
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &text, params)?;
    let expected = conditional::expected(&headers, SPEC, revision(&vm))?;
    let mut config: VmConfig = json::decode(&body)?;
    belongs_to_caller(state.sight(), &body, &mut config)?;
    edit(&state, &asked, &vm, config, expected, dry_run).await
}

/// Change a VM's configuration
///
/// A JSON Merge Patch (RFC 7396): members are replaced or merged, and removed by `null`. What runs
/// keeps running as it is until its next start.
#[utoipa::path(
    patch,
    path = "/v1/vms/{vm}",
    tag = "vms",
    operation_id = "changeVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the spec that the change is based on; without it, the spec as it is"),
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
    let body = json::read_patch(&headers, body).await?;
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &text, params)?;
    conditional::expected(&headers, SPEC, revision(&vm))?;
    let spec = spec_of(&vm)?;
    let config = patch::merged(&spec.config, &body)?;
    // Based on this revision and no other, whether the caller named it or not.
    edit(&state, &asked, &vm, config, Some(spec.revision), dry_run).await
}

async fn edit(
    state: &Visit,
    asked: &Asked,
    vm: &Record<Vm>,
    config: VmConfig,
    expected: Option<Revision>,
    dry_run: bool,
) -> Answer {
    config.validate()?;
    let sight = state.sight();
    sight.owner("project", Some(config.project.clone()))?;
    sight.check_host_files(&config, vm.spec.as_ref().map(|spec| &spec.config))?;
    // What a bound caller keeps was compared with this spec: it is this one that is edited, or none.
    let compared = vm.spec.as_ref().filter(|_| !sight.is_everything()).map(|spec| spec.revision);
    let expected = expected.or(compared);
    let request = Request::Edit { vm: vm.id, config: Box::new(config), expected };
    mutation::perform_or_plan(state, asked, request, Subject::Vm, dry_run).await
}

/// The revision of a VM's spec; zero, which no spec has, where it cannot be read.
fn revision(vm: &Record<Vm>) -> Revision {
    vm.spec.as_ref().map_or_else(Revision::default, |spec| spec.revision)
}
