//! `/v1/images`: what disks are copies of and kernels are booted from.

pub(crate) mod file;

use crate::{
    protocol::{
        answer,
        asked::{self, Asked, Segment},
        idempotency::fingerprint,
        json,
        list::{self, Page, Rows},
        mutation::{self, Creation, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    resources::vms,
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::{AddImage, ImageFrom, Request};
use innkeeper_model::{
    DeviceName, DiskFormat, Image, ImageKind, ImageName, Refusal, Secret, VmId, secret::as_text,
    task::PlannedOperation,
};
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
pub(crate) async fn list(state: Visit, mut params: Params) -> Answer {
    let page = Page::parse(&mut params)?;
    params.nothing_else()?;
    let seen = state.seen();
    let rows = Rows::new(&seen.whole().images, page, seen.sight());
    Ok(list::answer(seen.revision(), rows))
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
pub(crate) async fn read(state: Visit, Segment(text): Segment, params: Params) -> Answer {
    params.nothing_else()?;
    let name = image_name(&text)?;
    let seen = state.seen();
    let found = seen.whole().images.get(&name);
    let image = found.ok_or_else(|| Refusal::not_found("image", &text))?;
    Ok(answer::json(seen.revision(), answer::seen(image, seen.sight())))
}

/// An image to import, or to make of a VM's disk. Exactly one of `path`, `url` and `from_disk` says from
/// where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImage {
    /// The name it gets.
    name: ImageName,
    /// What it is for. Needed with `path` and `url`; of a disk it is `disk`.
    #[serde(default)]
    kind: Option<ImageKind>,
    /// A file on the host, by its absolute path, which the daemon can read.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    path: Option<PathBuf>,
    /// An `https://` or `http://` address.
    #[serde(default, deserialize_with = "as_text::maybe")]
    #[schema(value_type = Option<String>)]
    url: Option<Secret>,
    /// A disk of a VM that is stopped, and stays so until it is read.
    #[serde(default)]
    from_disk: Option<FromDisk>,
    /// The SHA-256 that a download must have, in hexadecimal; needed with `url`, and only with it.
    #[serde(default)]
    checksum: Option<String>,
    /// A disk's format; looked for in its header where absent. Only for a disk; what is made of a VM's is
    /// `raw`.
    #[serde(default)]
    format: Option<DiskFormat>,
    /// A file on the host to keep with a kernel, by its absolute path. Only for a kernel.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    initrd: Option<PathBuf>,
}

/// A disk of a VM.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FromDisk {
    /// The VM: its name, its id, or the beginning of either.
    vm: String,
    /// The disk's name. Default: the VM's first disk, which is no CD-ROM.
    #[serde(default)]
    disk: Option<DeviceName>,
}

impl NewImage {
    /// What is asked for, where `find` finds VMs.
    fn into_request(
        self,
        find: impl FnOnce(&str) -> Result<VmId, Refusal>,
    ) -> Result<AddImage, Refusal> {
        let Self { name, kind, path, url, from_disk, checksum, format, initrd } = self;
        let default_kind = from_disk.is_some().then_some(ImageKind::Disk);
        let Some(kind) = kind.or(default_kind) else {
            return Err(Refusal::invalid("kind", "", "is missing: disk, kernel or iso"));
        };
        if let Some(checksum) = checksum.as_ref().filter(|_| url.is_none()) {
            return Err(Refusal::invalid("checksum", checksum, "goes with url only"));
        }
        let from = match (path, url, from_disk) {
            (Some(path), None, None) => ImageFrom::File(path),
            (None, Some(url), None) => ImageFrom::Url { url, checksum },
            (None, None, Some(FromDisk { vm, disk })) => {
                let vm = find(&vm).map_err(|refusal| refusal.at("from_disk.vm"))?;
                ImageFrom::Disk { vm, disk }
            }
            (path, url, disk) => {
                let none = path.is_none() && url.is_none() && disk.is_none();
                let given = if none { "none" } else { "more than one" };
                let problem = "is there: exactly one of path, url and from_disk says where the image \
                               comes from";
                return Err(Refusal::invalid("path", given, problem));
            }
        };
        Ok(AddImage { name, kind, from, format, initrd })
    }
}

/// Import an image, or make one of a VM's disk
///
/// A VM whose disk is taken must be stopped when its turn comes, not suspended (409 `wrong-state`); until
/// the disk is read, what is asked of the VM waits. The image's `lineage` says what it comes from.
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
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = NewImage,
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        (status = 201, description = "Imported", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn add(
    state: Visit,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let key = asked::idempotency_key(&headers)?;
    let body = json::read(&headers, body).await?;
    let image: NewImage = json::decode(&body)?;
    let seen = state.seen();
    let image = image.into_request(|vm| vms::find(&seen, vm, None).map(|vm| vm.id))?;
    let subject = Subject::NewImage(image.name.clone());
    let request = Request::AddImage(Box::new(image));
    if dry_run {
        return mutation::plan(&state, &asked, request).await;
    }

    let creation = Creation {
        fingerprint: fingerprint(&[b"image", &body]),
        subject,
        request,
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
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "Removed; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn remove(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let name = image_name(&text)?;
    let subject = Subject::Image(name.clone());
    let request = Request::RemoveImage { name };
    mutation::perform_or_plan(&state, &asked, request, subject, dry_run).await
}

/// A text that is no name names no image.
fn image_name(text: &str) -> Result<ImageName, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("image", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Api;
    use http::StatusCode;

    fn request(body: serde_json::Value) -> Result<AddImage, Refusal> {
        json::decode_value::<NewImage>(&body)?.into_request(|vm| Err(Refusal::not_found("VM", vm)))
    }

    #[tokio::test]
    async fn a_vms_disk_is_asked_for_by_its_vms_name() {
        let (api, vms) = Api::with(&["web", "db"]).await;
        let body = r#"{"name": "golden", "from_disk": {"vm": "web", "disk": "root"}}"#;
        let done = api.send("POST", "/v1/images", body).await;
        assert_eq!(done.status, StatusCode::ACCEPTED, "{}", done.text);
        let expected = AddImage {
            name: "golden".parse().unwrap(),
            kind: ImageKind::Disk,
            from: ImageFrom::Disk { vm: vms[0], disk: Some("root".parse().unwrap()) },
            format: None,
            initrd: None,
        };
        assert_eq!(api.engine.asked(), [Request::AddImage(Box::new(expected))]);
        let body = r#"{"name": "golden", "from_disk": {"vm": "none"}}"#;
        let problem = api.send("POST", "/v1/images", body).await.problem("not-found");
        assert_eq!(problem["field"], "from_disk.vm");
    }

    #[test]
    fn an_image_comes_from_one_place() {
        let file = request(serde_json::json!({ "name": "a", "kind": "disk", "path": "/i/a.img" }));
        assert_eq!(file.unwrap().from, ImageFrom::File("/i/a.img".into()));
        let body = serde_json::json!(
            { "name": "a", "kind": "iso", "url": "https://example.org/a.iso", "checksum": "00" }
        );
        let url = Secret::new("https://example.org/a.iso");
        let from = ImageFrom::Url { url, checksum: Some("00".into()) };
        assert_eq!(request(body).unwrap().from, from);
        for (body, field) in [
            (serde_json::json!({ "name": "a", "kind": "disk" }), "path"),
            (serde_json::json!({ "name": "a", "kind": "disk", "path": "/a", "url": "b" }), "path"),
            (
                serde_json::json!({ "name": "a", "kind": "disk", "path": "/a", "checksum": "b" }),
                "checksum",
            ),
            (
                serde_json::json!({ "name": "a", "path": "/a", "from_disk": { "vm": "web" } }),
                "path",
            ),
            (serde_json::json!({ "name": "a", "from_disk": { "vm": "none" } }), "from_disk.vm"),
            (serde_json::json!({ "name": "a", "path": "/a" }), "kind"),
            (serde_json::json!({ "name": "a", "kind": "floppy", "path": "/a" }), "kind"),
        ] {
            assert_eq!(request(body).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
