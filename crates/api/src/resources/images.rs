//! `/v1/images`: what disks are copies of and kernels are booted from.

pub(crate) mod file;

use crate::{
    protocol::{
        answer::{self, native},
        asked::{self, Asked, Segment},
        idempotency::fingerprint,
        json,
        list::{self, Page, Rows},
        mutation::{self, Creation, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    state::ApiState,
};
use axum::{body::Body, extract::State};
use http::HeaderMap;
use innkeeper_engine::{AddImage, ImageFrom, Request};
use innkeeper_model::{DiskFormat, Image, ImageKind, ImageName, Refusal};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

/// Images, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImageList {
    /// The images.
    items: Vec<Image>,
    /// The view's revision that they are of.
    revision: u64,
    /// What to give as `after` for the next page; absent on the last.
    next: Option<String>,
}

/// List images
///
/// One with a `problem` is damaged: it can be removed, and nothing can be made of it.
#[utoipa::path(
    get,
    path = "/v1/images",
    tag = "images",
    operation_id = "listImages",
    params(
        ("limit" = Option<u32>, Query, description = "At most so many"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "Images", body = ImageList), ReadProblems),
)]
pub(crate) async fn list(State(state): State<ApiState>, mut params: Params) -> Answer {
    let page = Page::parse(&mut params)?;
    params.nothing_else()?;
    let snapshot = state.view().snapshot();
    Ok(list::answer(snapshot.revision, Rows::new(&snapshot.images, page)))
}

/// Read an image
#[utoipa::path(
    get,
    path = "/v1/images/{name}",
    tag = "images",
    operation_id = "getImage",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The image", body = Image), ReadProblems),
)]
pub(crate) async fn read(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
) -> Answer {
    params.nothing_else()?;
    let name = image_name(&text)?;
    let snapshot = state.view().snapshot();
    let image = snapshot.images.get(&name).ok_or_else(|| Refusal::not_found("image", &text))?;
    Ok(answer::json(snapshot.revision, native(image)))
}

/// An image to import. Exactly one of `path` and `url` says from where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImage {
    /// The name it gets.
    name: ImageName,
    /// What it is for.
    kind: ImageKind,
    /// A file on the host, by its absolute path, which the daemon can read.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    path: Option<PathBuf>,
    /// An `https://` or `http://` address.
    #[serde(default)]
    url: Option<String>,
    /// The SHA-256 that a download must have, in hexadecimal; needed with `url`, and only with it.
    #[serde(default)]
    checksum: Option<String>,
    /// A disk's format; looked for in its header where absent. Only for a disk.
    #[serde(default)]
    format: Option<DiskFormat>,
    /// A file on the host to keep with a kernel, by its absolute path. Only for a kernel.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    initrd: Option<PathBuf>,
}

impl NewImage {
    fn into_request(self) -> Result<AddImage, Refusal> {
        let Self { name, kind, path, url, checksum, format, initrd } = self;
        let from = match (path, url) {
            (Some(path), None) => {
                if let Some(checksum) = checksum {
                    return Err(Refusal::invalid("checksum", checksum, "goes with url only"));
                }
                ImageFrom::File(path)
            }
            (None, Some(url)) => ImageFrom::Url { url, checksum },
            (path, _) => {
                let given = if path.is_some() { "both" } else { "neither" };
                return Err(Refusal::invalid(
                    "path",
                    given,
                    "is there: exactly one of path and url \
                    says where the image comes from",
                ));
            }
        };
        Ok(AddImage { name, kind, from, format, initrd })
    }
}

/// Import an image
///
/// What can be seen to be wrong without bringing anything in (what goes with what, a file that is not
/// there or is no such image, an address that is none) is refused at once; the rest fails in the task.
#[utoipa::path(
    post,
    path = "/v1/images",
    tag = "images",
    operation_id = "addImage",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Do this once, however often it is sent with this key; remembered for a day"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = NewImage,
    responses(
        (status = 201, description = "Imported", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn add(
    State(state): State<ApiState>,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let key = asked::idempotency_key(&headers)?;
    json::expect_type(&headers, "application/json")?;
    let body = json::read(body).await?;
    let image: NewImage = json::decode(&body)?;
    let image = image.into_request()?;

    let creation = Creation {
        fingerprint: fingerprint(&[b"image", &body]),
        subject: Subject::NewImage(image.name.clone()),
        request: Request::AddImage(Box::new(image)),
        start: false,
        key,
    };
    mutation::create(&state, asked, creation).await
}

/// Remove an image
#[utoipa::path(
    delete,
    path = "/v1/images/{name}",
    tag = "images",
    operation_id = "removeImage",
    params(
        ("name" = String, Path, description = "Its name"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "Removed", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    params.nothing_else()?;
    let name = image_name(&text)?;
    let subject = Subject::Image(name.clone());
    mutation::perform(&state, &asked, Request::RemoveImage { name }, subject).await
}

/// A text that is no name names no image.
fn image_name(text: &str) -> Result<ImageName, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("image", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: serde_json::Value) -> Result<AddImage, Refusal> {
        json::decode_value::<NewImage>(&body)?.into_request()
    }

    #[test]
    fn an_image_comes_from_one_place() {
        let file = request(serde_json::json!({ "name": "a", "kind": "disk", "path": "/i/a.img" }));
        assert_eq!(file.unwrap().from, ImageFrom::File("/i/a.img".into()));
        let body = serde_json::json!(
            { "name": "a", "kind": "iso", "url": "https://example.org/a.iso", "checksum": "00" }
        );
        let from =
            ImageFrom::Url { url: "https://example.org/a.iso".into(), checksum: Some("00".into()) };
        assert_eq!(request(body).unwrap().from, from);
        for (body, field) in [
            (serde_json::json!({ "name": "a", "kind": "disk" }), "path"),
            (serde_json::json!({ "name": "a", "kind": "disk", "path": "/a", "url": "b" }), "path"),
            (
                serde_json::json!({ "name": "a", "kind": "disk", "path": "/a", "checksum": "b" }),
                "checksum",
            ),
            (serde_json::json!({ "name": "a", "kind": "floppy", "path": "/a" }), "kind"),
        ] {
            assert_eq!(request(body).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
