//! `/v1/vms/{vm}/disks/{disk}/file`: the bytes of a stopped VM's disk.

use crate::{
    protocol::{
        asked::{Asked, Segment},
        params::Params,
        problem::Answer,
        range,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream::try_unfold};
use http::HeaderMap;
use innkeeper_engine::OpenedDisk;
use innkeeper_model::Refusal;
use std::ops::Range;

/// How much is read at once, in bytes.
const PIECE: u64 = 1 << 20;

/// Download a disk
///
/// As its guest reads it, raw, all layers as one; the VM has to be stopped. The VM can be started
/// meanwhile: when the disk is written to, the answer breaks off. `ETag` is another then, and what broke
/// off before that can be gone on with by `Range` and `If-Range`.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/disks/{disk}/file",
    tag = "vms",
    operation_id = "downloadVmDisk",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("disk" = String, Path, description = "The disk's name"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("Range" = Option<String>, Header, description = "One range of bytes: `bytes=N-`"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of what the range is of; all is sent where it is another now"),
    ),
    responses(
        (status = 200, description = "The disk", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The range of it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 416, description = "It has no such bytes; without a body"),
        WriteProblems,
    ),
)]
pub(crate) async fn download(
    state: Visit,
    Segment((vm, disk)): Segment<(String, String)>,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    let vm = target(&state, &vm, params)?.id;
    let opened = state.operations().disk_file(&asked.caller, vm, &disk).await?;
    let (length, tag) = (opened.disk.length(), range::tag(&opened.disk.tag()));
    let revision = state.revision();
    let body = |part| Ok(Body::from_stream(try_unfold((opened, part), next_piece).boxed()));
    Ok(state.answer_in_sight(vm, range::respond(&headers, length, tag, revision, body)?))
}

type Reading = (OpenedDisk, Range<u64>);

async fn next_piece((opened, part): Reading) -> Result<Option<(Bytes, Reading)>, Refusal> {
    let count = PIECE.min(part.end - part.start);
    if count == 0 {
        return Ok(None);
    }
    let OpenedDisk { disk, session } = opened;
    let (bytes, disk) = disk.read(part.start, usize::try_from(count).unwrap_or(0)).await?;
    session.shown(count);
    let opened = OpenedDisk { disk, session };
    Ok(Some((bytes.into(), (opened, part.start + count..part.end))))
}
