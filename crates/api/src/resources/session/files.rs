//! `/v1/vms/{vm}/files`: files in a guest, by its agent, piece by piece.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream::try_unfold};
use innkeeper_engine::{OpenedAgent, SessionGuard};
use innkeeper_model::{Code, Refusal};
use innkeeper_session::agent::{FilePurpose, GuestFile};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;

/// The longest path of a file.
const MAX_PATH: usize = 4096;
/// How long the next piece of a file may take to arrive from a caller.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// Whether a request has a file as its body, which may be of any length.
pub(crate) fn takes_a_file(method: &http::Method, path: &str) -> bool {
    let rest = path.strip_prefix("/v1/vms/").and_then(|rest| rest.split_once('/'));
    method == http::Method::PUT && rest.is_some_and(|(_, what)| what == "files")
}

/// A file that was written.
#[derive(Serialize, ToSchema)]
pub(crate) struct WrittenFile {
    /// How much was written, in bytes.
    bytes: u64,
    /// Its SHA-256, in hexadecimal digits, as it arrived here.
    sha256: String,
}

fn path(params: &mut Params) -> Result<String, Refusal> {
    let path = params.one("path")?.unwrap_or_default();
    if path.is_empty() || path.len() > MAX_PATH || path.contains('\0') {
        return Err(Refusal::invalid("path", path, "is no path of a file").with_limit(MAX_PATH));
    }
    Ok(path)
}

/// Read a file in a guest
///
/// Needs the agent in the guest. An answer that breaks off was not all of it.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/files",
    tag = "vms",
    operation_id = "readVmFile",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("path" = String, Query, description = "The file, in the guest"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"),
        WriteProblems,
    ),
)]
pub(crate) async fn read(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
) -> Answer {
    let path = path(&mut params)?;
    let vm = target(&state, &text, params)?.id;
    let OpenedAgent { agent, session } = state.operations().agent(&asked.caller, vm, "file")?;
    let file = agent.open(&path, FilePurpose::Read).await.map_err(Refusal::from)?;
    let pieces = try_unfold((file, session), next_piece);
    let body = Body::from_stream(pieces.boxed());
    let answer = answer::of_type("application/octet-stream", state.revision(), body);
    Ok(state.answer_in_sight(vm, answer))
}

type Reading = (GuestFile, SessionGuard);

/// Dropping it closes the file.
async fn next_piece((mut file, session): Reading) -> Result<Option<(Bytes, Reading)>, Refusal> {
    let bytes = file.read().await?;
    if bytes.is_empty() {
        file.close().await?;
        return Ok(None);
    }
    session.shown(bytes.len() as u64);
    Ok(Some((bytes.into(), (file, session))))
}

/// Write a file in a guest
///
/// Needs the agent in the guest. The body is the file, of any length. What the file held is gone when
/// this begins; where it breaks off, what has arrived so far is in it.
#[utoipa::path(
    put,
    path = "/v1/vms/{vm}/files",
    tag = "vms",
    operation_id = "writeVmFile",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("path" = String, Query, description = "The file, in the guest"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "Written", body = WrittenFile), WriteProblems),
)]
pub(crate) async fn write(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    body: Body,
) -> Answer {
    let path = path(&mut params)?;
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().agent(&asked.caller, vm, "file")?;
    let written = state.in_sight(vm, receive(opened, &path, body)).await?;
    Ok(answer::json(state.revision(), answer::encode(&written)))
}

/// Writes what arrives, to its end.
async fn receive(
    OpenedAgent { agent, session }: OpenedAgent,
    path: &str,
    body: Body,
) -> Result<WrittenFile, Refusal> {
    let mut file = agent.open(path, FilePurpose::Write).await?;
    let mut pieces = body.into_data_stream();
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let slow = |_| Refusal::new(Code::BadRequest, "the file did not arrive in time");
    while let Some(piece) = timeout(PIECE_WITHIN, pieces.next()).await.map_err(slow)? {
        let piece = piece.map_err(|error| {
            Refusal::new(Code::BadRequest, "the file broke off").caused_by(&error)
        })?;
        file.write(&piece).await?;
        hash.update(&piece);
        bytes += piece.len() as u64;
        session.typed(piece.len() as u64);
    }
    file.close().await?;
    let digits = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(WrittenFile { bytes, sha256: digits })
}
