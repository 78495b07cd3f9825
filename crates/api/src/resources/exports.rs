//! `/v1/vms/{vm}/export` and `/v1/imports`: whole VMs as files, out and in.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        audit,
        mutation::{self, Imported, Subject},
        params::Params,
        pieces::{self, Pieces},
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream::try_unfold};
use http::{HeaderMap, HeaderValue, Method, header};
use innkeeper_engine::{ImportVm, OpenedArrival, OpenedExport, Request, StagedVm};
use innkeeper_model::{Code, ProjectName, Refusal, VmName, task::PlannedOperation};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// What such a file is.
const TAR: &str = "application/x-tar";

/// How long it may take until a file has said which VM it is of. Until then it is in memory, and nobody's quota has
/// been asked.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// Whether a request has a file as its body, which may be of any length.
pub(crate) fn takes_a_file(method: &Method, path: &str) -> bool {
    method == Method::POST && path == "/v1/imports"
}

/// Export a VM
///
/// A tar of what it is, its disks and its UEFI variables, and the digests of all these; without its memory
/// and its cloud-init documents. The VM has to be stopped. It can be started meanwhile: when one of its
/// disks is written to, the answer breaks off. What broke off is asked for again from its beginning.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/export",
    tag = "vms",
    operation_id = "exportVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/x-tar"),
        WriteProblems,
    ),
)]
pub(crate) async fn export(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().export_vm(&asked.caller, vm).await?;
    let (length, name) =
        (opened.file.length(), format!("attachment; filename=\"{}.tar\"", opened.name));
    let body = Body::from_stream(try_unfold(opened, next_of).boxed());
    let mut response = answer::of_type(TAR, state.revision(), body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // A name has no character that would need to be quoted.
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(state.answer_in_sight(vm, response))
}

async fn next_of(opened: OpenedExport) -> Result<Option<(Bytes, OpenedExport)>, Refusal> {
    let OpenedExport { file, name, session } = opened;
    let Some((piece, file)) = file.read().await? else { return Ok(None) };
    session.shown(piece.len() as u64);
    Ok(Some((piece.into(), OpenedExport { file, name, session })))
}

/// Import a VM
///
/// The body is what an export has written. When all of it has arrived and was found to be sound, a VM is
/// made of it: the answer is that task's. What breaks off is thrown away. A VM for which the project has no room is
/// refused when the file has said what it is, which is at its beginning.
///
/// With `dry_run` the file has to be sent, too: it says what would be made. It is looked through, and thrown away.
#[utoipa::path(
    post,
    path = "/v1/imports",
    tag = "vms",
    operation_id = "importVm",
    params(
        ("name" = Option<String>, Query, description = "The name that it gets; else its own"),
        ("project" = Option<String>, Query, description = "The project that it belongs to; else its own, or the caller's who is bound to one"),
        ("keep_identity" = Option<bool>, Query, description = "It keeps its id, its hardware addresses and its published ports, which must be free; else it gets new ones, and publishes none"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body(content = Vec<u8>, content_type = "application/x-tar"),
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        Imported,
        WriteProblems,
    ),
)]
pub(crate) async fn import(
    state: Visit,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name: Option<VmName> = params.parsed("name")?;
    let project: Option<ProjectName> = params.parsed("project")?;
    let keep_identity = params.flag("keep_identity")?;
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let project = state.sight().owner("project", project)?;
    let sent = (pieces::length(&headers), Pieces::of(body));
    let staged = Arc::new(receive(&state, &asked, project.clone(), sent).await?);
    state.sight().check_host_files(&staged.manifest().config, None)?;
    let import = ImportVm { staged, name, project, keep_identity };
    let request = Request::Import(Box::new(import));
    mutation::perform_or_plan(&state, &asked, request, Subject::NewVm, dry_run).await
}

/// Takes all of a file. Nothing of it is kept where it is refused, or where this is dropped.
async fn receive(
    state: &Visit,
    asked: &Asked,
    project: Option<ProjectName>,
    (length, mut pieces): (Option<u64>, Pieces),
) -> Result<StagedVm, Refusal> {
    let received = match state.operations().receive_vm(&asked.caller, length, project).await {
        Ok(opened) => {
            let taken = take(opened, &mut pieces, Instant::now() + KNOWN_WITHIN);
            audit::received((state.state(), asked), ("import-upload", ""), taken).await
        }
        Err(refusal) => Err(refusal),
    };
    if received.is_err() {
        pieces.refuse();
    }
    received
}

/// The same, of a file that has said by then which VM it is of.
async fn take(
    opened: OpenedArrival,
    pieces: &mut Pieces,
    known_by: Instant,
) -> Result<StagedVm, Refusal> {
    let OpenedArrival { mut arrival, session } = opened;
    loop {
        let next = pieces.next();
        let piece = match arrival.knows_its_vm() {
            true => next.await?,
            false => timeout_at(known_by, next).await.map_err(|_| unknown())??,
        };
        let Some(piece) = piece else { break };
        session.typed(piece.len() as u64);
        arrival = arrival.write(piece).await?;
    }
    arrival.finish().await
}

fn unknown() -> Refusal {
    let within = KNOWN_WITHIN.as_secs();
    let message = format!("the file did not say within {within} s which VM it is of");
    Refusal::new(Code::BadRequest, message)
        .with_hint("send it again; vm.json, at its beginning, has to arrive in that time")
}

#[cfg(test)]
#[path = "exports_tests.rs"]
mod tests;
