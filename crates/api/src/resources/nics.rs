//! `/v1/vms/{vm}/nics`: the NICs of a VM, in its spec and, where it is on, in its machine at once.
//!
//! They are read with the VM.

use crate::{
    protocol::{
        asked::{self, Asked, Segment},
        conditional,
        idempotency::fingerprint,
        json, merge as patch,
        mutation::{self, Creation, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    resources::vms::{spec_of, target},
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::{NicChange, Request};
use innkeeper_model::{DeviceName, Refusal, Spec, Vm, VmId, config::Nic};
use innkeeper_view::Record;
use std::sync::Arc;

/// What an entity tag is of: a NIC has none of its own.
const SPEC: &str = "the VM's spec";

/// Add a NIC
///
/// It is plugged into the machine, where that is on and has room for it.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/nics",
    tag = "vms",
    operation_id = "addNic",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = Nic,
    responses(
        (status = 200, description = "Added; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn add(
    state: Visit,
    Segment(vm): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let key = asked::idempotency_key(&headers)?;
    let body = json::read(&headers, body).await?;
    let nic: Nic = json::decode(&body)?;
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &vm, params)?.id;
    let request = Request::Nic { vm, change: NicChange::Add(Box::new(nic)) };
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
    }
    let creation = Creation {
        fingerprint: fingerprint(&[b"nic", vm.to_string().as_bytes(), &body]),
        request,
        start: false,
        subject: Subject::Vm,
        key,
    };
    mutation::create(&state, asked, creation).await
}

/// Replace a NIC
///
/// Its network, rate, published ports and cable become others at once; on `user`, published ports do at the
/// VM's next start. Its name and hardware address stay, and so does what only another device could have:
/// that needs another NIC.
#[utoipa::path(
    put,
    path = "/v1/vms/{vm}/nics/{nic}",
    tag = "vms",
    operation_id = "replaceNic",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("nic" = String, Path, description = "Its name in the VM"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the VM's spec that the change is based on"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = Nic,
    responses(
        (status = 200, description = "Changed; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn replace(
    state: Visit,
    Segment((vm, nic)): Segment<(String, String)>,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let body = json::read(&headers, body).await?;
    let dry_run = params.flag("dry_run")?;
    let found = Found::new(&state, &vm, &nic, params, &headers)?;
    set(&state, &asked, &found, json::decode(&body)?, dry_run).await
}

/// Change a NIC
///
/// A JSON Merge Patch (RFC 7396): members are replaced or merged, and removed by `null`. At once, as
/// when it is replaced.
#[utoipa::path(
    patch,
    path = "/v1/vms/{vm}/nics/{nic}",
    tag = "vms",
    operation_id = "changeNic",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("nic" = String, Path, description = "Its name in the VM"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the VM's spec that the change is based on"),
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
    Segment((vm, nic)): Segment<(String, String)>,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let body = json::read_patch(&headers, body).await?;
    let dry_run = params.flag("dry_run")?;
    let found = Found::new(&state, &vm, &nic, params, &headers)?;
    let nic = patch::merged(&found.nic, &body)?;
    set(&state, &asked, &found, nic, dry_run).await
}

/// Take a NIC out
///
/// Where the machine is on, its guest is asked to let go of it, and the task waits until it has.
#[utoipa::path(
    delete,
    path = "/v1/vms/{vm}/nics/{nic}",
    tag = "vms",
    operation_id = "removeNic",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("nic" = String, Path, description = "Its name in the VM"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the VM's spec that the change is based on"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "Taken out; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn remove(
    state: Visit,
    Segment((vm, nic)): Segment<(String, String)>,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    let Found { vm, nic } = Found::new(&state, &vm, &nic, params, &headers)?;
    let request = Request::Nic { vm, change: NicChange::Remove(nic.name) };
    mutation::perform_or_plan(&state, &asked, request, Subject::Vm, dry_run).await
}

/// A NIC that a path names.
struct Found {
    vm: VmId,
    nic: Nic,
}

impl Found {
    /// The NIC, of a spec that is as the caller expects.
    fn new(
        state: &Visit,
        vm: &str,
        nic: &str,
        params: Params,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let vm: Arc<Record<Vm>> = target(state, vm, params)?;
        let spec: &Spec = spec_of(&vm)?;
        conditional::expected(headers, SPEC, spec.revision)?;
        let nics = &spec.config.nics;
        let found = nics.iter().find(|found| found.name.as_str() == nic).ok_or_else(|| {
            let names: Vec<&str> = nics.iter().map(|nic| nic.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Refusal::not_found("NIC", nic).with_hint(format!("VM {} has {names}", vm.name))
        })?;
        Ok(Self { vm: vm.id, nic: found.clone() })
    }
}

async fn set(state: &Visit, asked: &Asked, found: &Found, nic: Nic, dry_run: bool) -> Answer {
    keeps_its_name(&found.nic.name, &nic.name)?;
    let request = Request::Nic { vm: found.vm, change: NicChange::Set(Box::new(nic)) };
    mutation::perform_or_plan(state, asked, request, Subject::Vm, dry_run).await
}

fn keeps_its_name(before: &DeviceName, after: &DeviceName) -> Result<(), Refusal> {
    if before == after {
        return Ok(());
    }
    let problem = format!("is not the name of the NIC, which stays {before}");
    Err(Refusal::invalid("name", after, problem).with_hint("take the NIC out and add another"))
}
