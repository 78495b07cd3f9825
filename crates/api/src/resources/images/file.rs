//! `/v1/images/{name}/file`: an image's bytes, out and in. Both can be gone on with where they broke
//! off.

use super::image_name;
use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        audit,
        mutation::{self, Imported, Subject},
        params::Params,
        pieces::{self, Pieces},
        problem::Answer,
        range,
    },
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use axum::{body::Body, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use innkeeper_engine::{AddImage, ImageFrom, OpenedImage, OpenedUpload, Request, SessionGuard};
use innkeeper_model::{Code, DiskFormat, ImageKind, ImageName, Refusal};
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use std::{
    io::{Seek, SeekFrom},
    ops::Range,
};
use tokio::{fs::File, io::AsyncReadExt};
use tokio_util::io::ReaderStream;

/// How much of an upload has arrived, in bytes.
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// The digest of the whole, as RFC 9530 has it.
const DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// How much is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// Whether a request has a file as its body, which may be of any length.
pub(crate) fn takes_a_file(method: &Method, path: &str) -> bool {
    let rest = path.strip_prefix("/v1/images/").and_then(|rest| rest.split_once('/'));
    method == Method::PUT && rest.is_some_and(|(_, what)| what == "file")
}

/// Download an image
///
/// As it is stored; of a kernel, the kernel without its initrd. `ETag` is the SHA-256 of all of it in
/// hexadecimal digits, and so is `Repr-Digest`. What broke off can be gone on with by `Range`.
#[utoipa::path(
    get,
    path = "/v1/images/{name}/file",
    tag = "images",
    operation_id = "downloadImage",
    params(
        ("name" = String, Path, description = "Its name"),
        ("Range" = Option<String>, Header, description = "One range of bytes: `bytes=N-`"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of what the range is of; all is sent where it is another now"),
    ),
    responses(
        (status = 200, description = "The image", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The range of it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 416, description = "It has no such bytes; without a body"),
        ReadProblems,
    ),
)]
pub(crate) async fn download(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let name = image_name(&text)?;
    let OpenedImage { file, session } = state.operations().image_file(&asked.caller, &name).await?;
    let revision = state.revision();
    let tag = range::tag(file.digest.strip_prefix("sha256:").unwrap_or(&file.digest));
    let digest = repr_digest(&file.digest);
    let body = |part| send(file.file, part, session);
    let mut response = range::respond(&headers, file.length, tag, revision, body)?;
    if let Some(digest) = digest.filter(|_| response.status().is_success()) {
        response.headers_mut().insert(DIGEST, digest);
    }
    Ok(response)
}

fn send(mut file: std::fs::File, part: Range<u64>, session: SessionGuard) -> Result<Body, Refusal> {
    file.seek(SeekFrom::Start(part.start))?;
    let file = File::from_std(file).take(part.end - part.start);
    let pieces = ReaderStream::with_capacity(file, PIECE);
    Ok(Body::from_stream(pieces.inspect_ok(move |piece| session.shown(piece.len() as u64))))
}

fn repr_digest(digest: &str) -> Option<HeaderValue> {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok();
    let bytes: Vec<u8> = (0..32).map(byte).collect::<Option<_>>()?;
    HeaderValue::try_from(format!("sha-256=:{}:", BASE64_STANDARD.encode(bytes))).ok()
}

/// How much of an upload has arrived
///
/// In `Upload-Offset`, in bytes; 0 for one that nobody has begun. Without `sha256`, the head of a
/// download.
#[utoipa::path(
    head,
    path = "/v1/images/{name}/file",
    tag = "images",
    operation_id = "findImageUpload",
    params(
        ("name" = String, Path, description = "The name that the image is to get"),
        ("sha256" = Option<String>, Query, description = "The SHA-256 of all of it, in hexadecimal"),
    ),
    responses((status = 200, description = "`Upload-Offset` says how much"), ReadProblems),
)]
pub(crate) async fn arrived(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    let Some(sha256) = params.one("sha256")? else {
        return download(state, Segment(text), params, asked, headers).await;
    };
    params.nothing_else()?;
    let arrived = state.operations().uploaded(&new_name(&text)?, &sha256).await?;
    let response = answer::empty(StatusCode::OK, state.revision());
    Ok(at_offset(response, arrived))
}

fn at_offset(mut response: Response, arrived: u64) -> Response {
    response.headers_mut().insert(OFFSET, HeaderValue::from(arrived));
    response
}

/// Upload an image
///
/// The body is the file, or the rest of it from `offset` on. When all of it has arrived, it is imported:
/// the answer is that task's. What broke off is kept for a day, is never an image, and can be gone on
/// with: `HEAD` says from where. It is known by its name and its SHA-256.
#[utoipa::path(
    put,
    path = "/v1/images/{name}/file",
    tag = "images",
    operation_id = "uploadImage",
    params(
        ("name" = String, Path, description = "The name that it gets"),
        ("kind" = ImageKind, Query, description = "What it is for"),
        ("sha256" = String, Query, description = "The SHA-256 of all of it, in hexadecimal"),
        ("offset" = Option<u64>, Query, description = "How much of it has arrived before; without it, it begins anew"),
        ("format" = Option<DiskFormat>, Query, description = "A disk's format; looked for in its header where absent"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        Imported,
        WriteProblems,
    ),
)]
pub(crate) async fn upload(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name = new_name(&text)?;
    let kind: ImageKind = word(&mut params, "kind")?.ok_or_else(|| missing("kind"))?;
    let format: Option<DiskFormat> = word(&mut params, "format")?;
    let sha256 = params.one("sha256")?.ok_or_else(|| missing("sha256"))?;
    let from = params.parsed("offset")?.unwrap_or(0);
    params.nothing_else()?;
    let (more, mut pieces) = (pieces::length(&headers), Pieces::of(body));
    let operations = state.operations();
    let received = match operations.upload_image(&asked.caller, &name, &sha256, from, more).await {
        Ok(opened) => {
            let taken = take(opened, &mut pieces);
            audit::received((state.state(), &asked), ("image-upload", &name), taken).await
        }
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = received {
        pieces.refuse();
        return Err(refusal.into());
    }
    let image = AddImage {
        name: name.clone(),
        kind,
        from: ImageFrom::Upload { sha256 },
        format,
        initrd: None,
    };
    let request = Request::AddImage(Box::new(image));
    mutation::perform(&state, &asked, request, Subject::NewImage(name)).await
}

/// Writes what arrives until it ends. What is dropped in the midst of it keeps what has arrived.
async fn take(opened: OpenedUpload, pieces: &mut Pieces) -> Result<(), Refusal> {
    let OpenedUpload { mut upload, session } = opened;
    while let Some(piece) = pieces.next().await? {
        session.typed(piece.len() as u64);
        upload.write(piece).await?;
    }
    Ok(())
}

/// The name of something that is to be made.
fn new_name(text: &str) -> Result<ImageName, Refusal> {
    text.parse().map_err(|problem| Refusal::invalid("name", text, problem))
}

/// A parameter that is one of several words.
fn word<T: DeserializeOwned>(
    params: &mut Params,
    name: &'static str,
) -> Result<Option<T>, Refusal> {
    let Some(text) = params.one(name)? else { return Ok(None) };
    let parsed = T::deserialize(text.as_str().into_deserializer());
    parsed.map(Some).map_err(|problem: value::Error| Refusal::invalid(name, &text, problem))
}

fn missing(name: &'static str) -> Refusal {
    Refusal::new(Code::InvalidField, format!("{name} is missing")).at(name)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
