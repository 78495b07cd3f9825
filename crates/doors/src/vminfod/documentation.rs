//! The OpenAPI document of the door.

use super::{
    lines::{Gap, VmEvent},
    object::{IsoTime, VmObject},
    status::Status,
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, OpenApi, ToSchema,
    openapi::{ContentBuilder, RefOr, Response, ResponseBuilder},
};

/// The OpenAPI 3.1 document of this door, as JSON.
pub fn document() -> String {
    let document = Description::openapi();
    document.to_pretty_json().expect("the document is made here, with text keys only") + "\n"
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "vminfod",
        description = "Innkeeper's door for programs written for triton-vminfod: every VM, from memory, and \
            what happens to them. Every answer says that it is JSON, also where it is a sentence.\n\n\
            Lists and events can be narrowed by the keys of a VM, in any number: `state=running&tags.role=web`. \
            A value `~text` is a regular expression, whatever the case; `nics.*.ip` is that of any NIC.\n\n\
            `HEAD` is answered like `GET`, without a body.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    paths(ping, status, vms, vm, events)
)]
struct Description;

/// See whether the door is open
#[utoipa::path(
    get,
    path = "/ping",
    responses((status = 200, description = "It is", body = Pong), Refused),
)]
#[expect(dead_code, reason = "documents a route")]
fn ping() {}

/// The door's sign of life.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents an answer")]
struct Pong {
    /// `pong`.
    ping: String,
}

/// See how the daemon is
#[utoipa::path(
    get,
    path = "/status",
    params(("full" = Option<String>, Query, description = "With `refreshLog` and `fswatcher`, whatever its value")),
    responses((status = 200, description = "How it is", body = Status), Refused),
)]
#[expect(dead_code, reason = "documents a route")]
fn status() {}

/// List VMs
///
/// All that fit every filter, oldest first, those of other managers before them; a snapshot of one moment.
#[utoipa::path(
    get,
    path = "/vms",
    params(
        ("state" = Option<String>, Query, description = "What they do"),
        ("alias" = Option<String>, Query, description = "Their name"),
        ("owner_uuid" = Option<String>, Query, description = "Whose they are"),
        ("fields" = Option<String>, Query, description = "Only these keys, with commas between"),
    ),
    responses((status = 200, description = "The VMs", body = Vec<VmObject>), BadQuery, Refused),
)]
#[expect(dead_code, reason = "documents a route")]
fn vms() {}

/// Show one VM
#[utoipa::path(
    get,
    path = "/vms/{zonename}",
    params(
        ("zonename" = String, Path, description = "Its id"),
        ("fields" = Option<String>, Query, description = "Only these keys, with commas between"),
    ),
    responses(
        (status = 200, description = "The VM", body = VmObject),
        BadQuery,
        Missing,
        Refused,
    ),
)]
#[expect(dead_code, reason = "documents a route")]
fn vm() {}

/// Follow what happens
///
/// An endless answer, an object a line. The first is `ready`, with the listener's own id as `uuid` and with
/// `vms`, a text that holds the JSON array of all VMs. After it come `create`, `modify` and `delete`. Each has a
/// `position`: with `since` the stream goes on after it, and its `ready` has `resumed` instead of `vms`, unless what
/// was missed is forgotten. A reader that is too slow is told `gap`, and its stream ends.
#[utoipa::path(
    get,
    path = "/events",
    params(
        ("uuid" = Option<String>, Query, description = "Only of this VM"),
        ("state" = Option<String>, Query, description = "Only of those that do this, or did before"),
        ("since" = Option<String>, Query, description = "Go on after the event with this position"),
    ),
    responses(
        (status = 200, description = "Lines, each of them this", body = Line, content_type = "application/json"),
        BadQuery,
        Refused,
    ),
)]
#[expect(dead_code, reason = "documents a route")]
fn events() {}

/// A line of the events.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents an answer")]
enum Line {
    Ready(Ready),
    Event(Box<VmEvent>),
    Gap(Gap),
}

/// Where the events begin: the first line, and no other.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// `ready`.
    #[serde(rename = "type")]
    kind: ReadyKind,
    /// When.
    date: IsoTime,
    /// The listener's own id; no VM's.
    #[schema(format = Uuid)]
    uuid: String,
    /// After which event the others follow.
    position: String,
    /// The JSON array of all VMs that the reader wants to see, as a text; absent where it goes on from
    /// where it was.
    vms: Option<String>,
    /// That it does: true or absent.
    resumed: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "documents an answer")]
enum ReadyKind {
    Ready,
}

/// A sentence, which says that it is JSON and is not: it has no schema.
fn sentence(status: u16, description: &str) -> (String, RefOr<Response>) {
    let content = ContentBuilder::new().build();
    let response = ResponseBuilder::new().description(description);
    (status.to_string(), RefOr::T(response.content("application/json", content).build()))
}

struct BadQuery;

impl IntoResponses for BadQuery {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [sentence(400, "A parameter is not known, or has a value that it cannot have: a sentence")]
            .into()
    }
}

struct Missing;

impl IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [sentence(404, "`VM Not Found: ID`, or `Unsupported URL Path`: a sentence")].into()
    }
}

/// What may become of any request.
struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let head = ResponseBuilder::new()
            .description("The request's head is larger than 32 KiB; without a body");
        [
            sentence(
                400,
                "The request cannot be read, or a foreign page or name is behind it: a sentence",
            ),
            sentence(401, "The credential that was shown does not hold: a sentence"),
            sentence(403, "The caller is none whom the operator lets in: a sentence"),
            sentence(405, "Not with this method; `Allow` says with which. Without a body"),
            sentence(413, "The request has a body larger than 4 KiB: a sentence"),
            sentence(
                429,
                "There were too many requests; Retry-After says when to come again: a sentence",
            ),
            ("431".into(), RefOr::T(head.build())),
        ]
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openapi_document_of_vminfod_is_the_one_that_is_kept() {
        crate::testing::is_documented(crate::Door::Vminfod, &document());
    }
}
