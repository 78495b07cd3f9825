//! The routes and their documentation, in one list: a route that is served is documented.

use crate::{
    gate::{no_method, no_route},
    protocol::{
        answer,
        params::Params,
        problem::{Answer, Document},
    },
    resources::{console, events, health, host, images, logs, metrics, power, tasks, vms},
    state::ApiState,
};
use axum::{Router, extract::State};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::LazyLock};
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of the native API.
///
/// They are served behind the gate of [`crate::serve_unix`] and [`crate::serve_tcp`], which finds out who is
/// calling and writes the problem documents. Without it, problems have no body, and what changes
/// something is refused.
pub fn router(state: ApiState) -> Router {
    let (router, _document) = all().split_for_parts();
    router.fallback(no_route).method_not_allowed_fallback(no_method).with_state(state)
}

/// The OpenAPI 3.1 document of the native API, as JSON.
pub fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        let document = all().into_openapi();
        let mut json = serde_json::to_vec_pretty(&document)
            .expect("the document is made here, with text keys only");
        json.push(b'\n');
        json.into()
    });
    DOCUMENT.clone()
}

fn all() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(vms::list, vms::create::create))
        .routes(routes!(vms::read, vms::edit::replace, vms::edit::merge, vms::delete))
        .routes(routes!(vms::create::clone))
        .routes(routes!(power::start))
        .routes(routes!(power::stop))
        .routes(routes!(power::kill))
        .routes(routes!(power::reboot))
        .routes(routes!(power::reset))
        .routes(routes!(power::pause))
        .routes(routes!(power::resume))
        .routes(routes!(logs::read))
        .routes(routes!(console::open))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::read))
        .routes(routes!(tasks::cancel))
        .routes(routes!(images::list, images::add))
        .routes(routes!(images::read, images::remove))
        .routes(routes!(events::follow))
        .routes(routes!(host::read))
        .routes(routes!(metrics::read))
        .routes(routes!(health::read))
        .routes(routes!(read_document))
}

/// Read this document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "host",
    operation_id = "getOpenApi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), ReadProblems),
)]
async fn read_document(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    Ok(answer::json(state.view().snapshot().revision, document()))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Innkeeper",
        description = "The native API of Innkeeper, which keeps the guests of a Linux host.\n\n\
            Reads are answered from memory. What changes something is accepted as a task (202), or, with \
            `Prefer: wait=N`, answered when the task has ended. Every answer has the header \
            `Innkeeper-Revision`: from this revision of the view on, what the answer says can be read. \
            `X-Request-Id` is echoed. Refusals are problem documents (RFC 9457) with a stable `code`.\n\n\
            The unix socket needs no credential; TCP needs the daemon's token.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    components(schemas(Document<'static>)),
    modifiers(&Common),
    tags(
        (name = "vms", description = "VMs and what belongs to them"),
        (name = "power", description = "What can be done to a VM's machine"),
        (name = "tasks", description = "What is being done, and was done last"),
        (name = "images", description = "What disks are copies of and kernels are booted from"),
        (name = "events", description = "Every change, in order"),
        (name = "host", description = "The host and the daemon"),
    ),
)]
struct Description;

/// What all operations have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", token);
        for problem in PROBLEMS {
            components.responses.insert(problem.name.into(), RefOr::T(problem.response()));
        }
        document.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    }
}

/// One status of refusals, with the codes that have it.
struct ProblemStatus {
    status: u16,
    name: &'static str,
    description: &'static str,
    reads: bool,
}

impl ProblemStatus {
    const fn new(status: u16, name: &'static str, description: &'static str, reads: bool) -> Self {
        Self { status, name, description, reads }
    }

    fn response(&self) -> Response {
        let schema = Ref::from_schema_name("Problem");
        ResponseBuilder::new()
            .description(self.description)
            .content(
                "application/problem+json",
                ContentBuilder::new().schema(Some(schema)).build(),
            )
            .build()
    }
}

const PROBLEMS: [ProblemStatus; 16] = [
    ProblemStatus::new(400, "BadRequest", "`bad-request`: not readable as what it claims to be", true),
    ProblemStatus::new(401, "Unauthenticated", "`unauthenticated`: nobody said who is calling, or it does not hold", true),
    ProblemStatus::new(403, "Forbidden", "`forbidden`: the caller may not do this", true),
    ProblemStatus::new(404, "NotFound", "`not-found`: there is no such thing", true),
    ProblemStatus::new(405, "MethodNotAllowed", "`method-not-allowed`: not with this method; `Allow` says with which", true),
    ProblemStatus::new(409, "Conflict", "`name-taken`, `ambiguous-name`, `wrong-state`, `in-use`, `protected`, `quarantined`, `idempotency-conflict`, `out-of-capacity`, `cancelled`: not as things are", true),
    ProblemStatus::new(412, "RevisionConflict", "`revision-conflict`: changed since the caller read it", false),
    ProblemStatus::new(413, "TooLarge", "`too-large`: the body is larger than 1 MiB", true),
    ProblemStatus::new(422, "InvalidField", "`invalid-field`: a field or parameter has a value that is not allowed", true),
    ProblemStatus::new(500, "Internal", "`internal`: a defect in Innkeeper", true),
    ProblemStatus::new(501, "Unsupported", "`unsupported`: this host or hypervisor cannot do it", false),
    ProblemStatus::new(502, "HypervisorFailed", "`hypervisor-failed`: the hypervisor refused or failed", true),
    ProblemStatus::new(503, "Unavailable", "`missing-program`: a program is not installed; `shutting-down`: the daemon is stopping", true),
    ProblemStatus::new(504, "Timeout", "`timeout`: it took too long", false),
    ProblemStatus::new(507, "OutOfSpace", "`out-of-space`: the disk is full", false),
    ProblemStatus::new(431, "HeadTooLarge", "The request's head is larger than 32 KiB; without a body", true),
];

fn problems(of: impl Fn(&ProblemStatus) -> bool) -> BTreeMap<String, RefOr<Response>> {
    let named = |problem: &ProblemStatus| {
        let reference = Ref::from_response_name(problem.name);
        (problem.status.to_string(), RefOr::Ref(reference))
    };
    PROBLEMS.iter().filter(|problem| of(problem)).map(named).collect()
}

/// How a request that changes nothing can be refused.
pub(crate) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(|problem| problem.reads)
    }
}

/// How a request that changes something can be refused.
pub(crate) struct WriteProblems;

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::Code;

    /// `UPDATE_GOLDEN=1 cargo test -p innkeeper-api openapi` writes the file anew.
    #[test]
    fn the_openapi_document_is_the_one_that_is_kept() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let kept = std::fs::read(path).unwrap();
        assert!(kept == document(), "{path} is out of date: UPDATE_GOLDEN=1 writes it anew");
    }

    #[test]
    fn every_code_is_documented_under_its_status() {
        let codes = [
            Code::BadRequest,
            Code::InvalidField,
            Code::Unauthenticated,
            Code::Forbidden,
            Code::NotFound,
            Code::MethodNotAllowed,
            Code::NameTaken,
            Code::AmbiguousName,
            Code::WrongState,
            Code::RevisionConflict,
            Code::InUse,
            Code::Protected,
            Code::IdempotencyConflict,
            Code::TooLarge,
            Code::OutOfCapacity,
            Code::OutOfSpace,
            Code::Unsupported,
            Code::MissingProgram,
            Code::Quarantined,
            Code::HypervisorFailed,
            Code::Timeout,
            Code::Cancelled,
            Code::ShuttingDown,
            Code::Internal,
        ];
        for code in codes {
            let status = crate::protocol::problem::status(code).as_u16();
            let documented = PROBLEMS.iter().find(|problem| problem.status == status);
            let description = documented.map(|problem| problem.description).unwrap_or_default();
            assert!(description.contains(&format!("`{code}`")), "{code} {status}");
        }
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_slice(&super::document()).unwrap();
        fn check(value: &serde_json::Value, document: &serde_json::Value) {
            match value {
                serde_json::Value::Object(members) => {
                    if let Some(reference) = members.get("$ref").and_then(|r| r.as_str()) {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    members.values().for_each(|member| check(member, document));
                }
                serde_json::Value::Array(elements) => {
                    elements.iter().for_each(|element| check(element, document));
                }
                _ => {}
            }
        }
        check(&document, &document);
        assert_eq!(document["openapi"], "3.1.0");
    }
}
