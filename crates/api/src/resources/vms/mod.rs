//! `/v1/vms`: the VMs, read and deleted. Making and changing them is beside.

pub(crate) mod create;
pub(crate) mod edit;
pub(crate) mod filter;

use crate::{
    protocol::{
        answer::{self, native},
        asked::{Asked, Segment},
        conditional::IfNoneMatch,
        fields::Fields,
        list::{self, Page, Rows},
        mutation::{self, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use axum::response::Response;
use filter::Filter;
use innkeeper_engine::Request;
use innkeeper_model::{Code, ProjectName, Refusal, Revision, Spec, Vm};
use innkeeper_surface::Seen;
use innkeeper_view::{Lookup, Record};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The fields that a VM can have, for `fields=`.
const FIELDS: &[&str] = &[
    "id",
    "name",
    "project",
    "state",
    "want",
    "revision",
    "task",
    "problem",
    "facts",
    "spec",
    "incarnation",
    "managed",
    "memory",
    "dumped",
    "disks",
    "addresses",
    "guest",
    "interrupted",
];

/// VMs, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct VmList {
    /// The VMs.
    items: Vec<Vm>,
    /// The view's revision that they are of.
    revision: u64,
    /// What to give as `after` for the next page; absent on the last.
    next: Option<String>,
}

/// List VMs
///
/// Oldest first, all of one revision. Unknown parameters are refused.
#[utoipa::path(
    get,
    path = "/v1/vms",
    tag = "vms",
    operation_id = "listVms",
    params(
        ("state" = Option<String>, Query, description = "Only in these states, with commas between"),
        ("name" = Option<String>, Query, description = "Only of this name; a `*` at its end stands for anything"),
        ("project" = Option<String>, Query, description = "Only of this project"),
        ("manager" = Option<String>, Query, description = "Only of this manager: `innkeeper`, or another one of this host such as `libvirt`, adopted or not"),
        ("label.KEY" = Option<String>, Query, description = "Only with this value of the label KEY; may be given for several keys"),
        ("fields" = Option<String>, Query, description = "Only these fields of each, as paths with commas between: `id,facts.machine`"),
        ("limit" = Option<u32>, Query, description = "At most so many"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "VMs", body = VmList), ReadProblems),
)]
pub(crate) async fn list(state: Visit, mut params: Params) -> Answer {
    let filter = Filter::parse(&mut params)?;
    let fields = params.list("fields");
    let fields = fields.map(|fields| Fields::parse(&fields, FIELDS)).transpose()?;
    let page = Page::parse(&mut params)?;
    params.nothing_else()?;

    let seen = state.seen();
    let mut rows = Rows::new(&seen.whole().vms, page, seen.sight()).showing(fields);
    if !filter.is_everything() {
        rows = rows.only(move |vm: &Vm| filter.matches(vm));
    }
    Ok(list::answer(seen.revision(), rows))
}

/// Read a VM
///
/// Its entity tag is the revision of its spec: it does not change with the VM's facts.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}",
    tag = "vms",
    operation_id = "getVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag of the spec that the caller has"),
    ),
    responses(
        (status = 200, description = "The VM", body = Vm, headers(("ETag" = String, description = "The spec's revision"))),
        (status = 304, description = "The caller has the spec already"),
        ReadProblems,
    ),
)]
pub(crate) async fn read(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    if_none_match: IfNoneMatch,
) -> Answer {
    let project = params.parsed("project")?;
    params.nothing_else()?;
    let seen = state.seen();
    let vm = find(&seen, &text, project.as_ref())?;
    Ok(shown(seen.revision(), &vm, &if_none_match))
}

fn shown(revision: Revision, vm: &Record<Vm>, if_none_match: &IfNoneMatch) -> Response {
    match &vm.spec {
        Some(spec) => if_none_match.answer(spec.revision, revision, || native(vm)),
        None => answer::json(revision, native(vm)),
    }
}

/// Delete a VM and its disks
///
/// One that was adopted from another manager is given back to it: its machine goes on as it is, and nothing
/// of it is removed.
#[utoipa::path(
    delete,
    path = "/v1/vms/{vm}",
    tag = "vms",
    operation_id = "deleteVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("force" = Option<bool>, Query, description = "End it first if it runs"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "Deleted; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn delete(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
) -> Answer {
    let force = params.flag("force")?;
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &text, params)?.id;
    let request = Request::Delete { vm, force };
    mutation::perform_or_plan(&state, &asked, request, Subject::Vm, dry_run).await
}

/// The VM that a path names, with `project` as the only parameter that is left.
pub(crate) fn target(
    state: &Visit,
    text: &str,
    mut params: Params,
) -> Result<Arc<Record<Vm>>, Refusal> {
    let project = params.parsed("project")?;
    params.nothing_else()?;
    find(&state.seen(), text, project.as_ref())
}

/// The VM that this text means, among those that the caller sees.
///
/// # Errors
/// There is none, or more than one; those are in the hint.
pub(crate) fn find(
    seen: &Seen,
    text: &str,
    project: Option<&ProjectName>,
) -> Result<Arc<Record<Vm>>, Refusal> {
    match seen.find_vm(text, project) {
        Lookup::Found(vm) => Ok(vm),
        Lookup::None => Err(Refusal::not_found("VM", text)),
        Lookup::Ambiguous(candidates) => {
            let names: Vec<_> = candidates
                .iter()
                .map(|vm| format!("{} in {} ({})", vm.name, vm.project, vm.id))
                .collect();
            let message = format!("{text:?} means more than one VM");
            let mut refusal = Refusal::new(Code::AmbiguousName, message)
                .with_hint(format!("use an id, or ?project=: {}", names.join(", ")));
            refusal.value = Some(text.to_owned());
            Err(refusal)
        }
    }
}

/// A VM's spec.
///
/// # Errors
/// It cannot be read: the VM is quarantined; or there is none: the VM is another manager's.
pub(crate) fn spec_of(vm: &Record<Vm>) -> Result<&Spec, Refusal> {
    vm.check_adopted("edit")?;
    vm.spec.as_deref().ok_or_else(|| {
        let problem = vm.problem.as_deref().unwrap_or("its spec cannot be read");
        Refusal::new(Code::Quarantined, format!("{} is quarantined: {problem}", vm.name))
    })
}
