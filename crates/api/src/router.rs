//! The routes and their documentation, in one table: a route that is served is documented.

use crate::{
    flattened::flatten,
    gate::{no_method, no_route},
    protocol::{
        answer,
        params::Params,
        problem::{Answer, Document},
    },
    resources::{
        audit, browser_session, certificates, diagnostics, disks, events, exports, foreign, health,
        host, images, logs, metrics, networks, nics, power, projects, session, sign_in, statistics,
        stream_tickets, subnets, tasks, tokens, vms,
    },
    state::ApiState,
};
use axum::{Router, extract::State, routing};
use bytes::Bytes;
use innkeeper_surface::Wire;
use std::{collections::BTreeMap, sync::LazyLock};
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Writes the list of routes twice: as what is served, and as what is documented. Only the first is
/// needed at the daemon's start, and the second takes longer than all else there.
macro_rules! table {
    ($($method:ident $path:literal => $($handler:ident)::+,)+) => {
        fn served() -> Router<ApiState> {
            Router::new()$(.route($path, routing::$method($($handler)::+)))+
        }

        fn documented() -> OpenApiRouter<ApiState> {
            OpenApiRouter::with_openapi(Description::openapi())
                $(.routes(routes!($($handler)::+)))+
        }

        #[cfg(test)]
        pub(crate) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];
    };
}

table! {
    get "/v1/vms" => vms::list,
    post "/v1/vms" => vms::create::create,
    get "/v1/vms/{vm}" => vms::read,
    put "/v1/vms/{vm}" => vms::edit::replace,
    patch "/v1/vms/{vm}" => vms::edit::merge,
    delete "/v1/vms/{vm}" => vms::delete,
    post "/v1/vms/{vm}/clone" => vms::create::clone,
    post "/v1/vms/{vm}/start" => power::start,
    post "/v1/vms/{vm}/stop" => power::stop,
    post "/v1/vms/{vm}/kill" => power::kill,
    post "/v1/vms/{vm}/reboot" => power::reboot,
    post "/v1/vms/{vm}/reset" => power::reset,
    post "/v1/vms/{vm}/pause" => power::pause,
    post "/v1/vms/{vm}/resume" => power::resume,
    post "/v1/vms/{vm}/suspend" => power::suspend,
    post "/v1/vms/{vm}/nics" => nics::add,
    put "/v1/vms/{vm}/nics/{nic}" => nics::replace,
    patch "/v1/vms/{vm}/nics/{nic}" => nics::merge,
    delete "/v1/vms/{vm}/nics/{nic}" => nics::remove,
    get "/v1/vms/{vm}/logs" => logs::read,
    get "/v1/vms/{vm}/statistics" => statistics::read,
    get "/v1/vms/{vm}/console" => session::console::open,
    get "/v1/vms/{vm}/vnc" => session::screen::open,
    get "/v1/vms/{vm}/screenshot" => session::screen::picture,
    post "/v1/vms/{vm}/keys" => session::screen::press,
    post "/v1/vms/{vm}/tickets" => session::tickets::issue,
    get "/v1/vms/{vm}/agent" => session::agent::read,
    post "/v1/vms/{vm}/agent/ping" => session::agent::ping,
    post "/v1/vms/{vm}/agent/freeze" => session::freeze::freeze,
    post "/v1/vms/{vm}/agent/thaw" => session::freeze::thaw,
    post "/v1/vms/{vm}/agent/set-time" => session::agent::set_time,
    post "/v1/vms/{vm}/exec" => session::exec::run,
    get "/v1/vms/{vm}/files" => session::files::read,
    put "/v1/vms/{vm}/files" => session::files::write,
    get "/v1/vms/{vm}/disks/{disk}/file" => disks::download,
    get "/v1/vms/{vm}/export" => exports::export,
    post "/v1/imports" => exports::import,
    get "/v1/tasks" => tasks::list,
    get "/v1/tasks/{id}" => tasks::read,
    get "/v1/tasks/{id}/events" => tasks::events::follow,
    post "/v1/tasks/{id}/cancel" => tasks::cancel,
    post "/v1/tasks/{id}/resume" => tasks::resolve::resume,
    post "/v1/tasks/{id}/undo" => tasks::resolve::undo,
    get "/v1/images" => images::list,
    post "/v1/images" => images::add,
    get "/v1/images/{name}" => images::read,
    delete "/v1/images/{name}" => images::remove,
    get "/v1/images/{name}/file" => images::file::download,
    head "/v1/images/{name}/file" => images::file::arrived,
    put "/v1/images/{name}/file" => images::file::upload,
    get "/v1/networks" => networks::list,
    post "/v1/networks" => networks::create::create,
    get "/v1/networks/{network}" => networks::read,
    put "/v1/networks/{network}" => networks::edit::replace,
    patch "/v1/networks/{network}" => networks::edit::merge,
    delete "/v1/networks/{network}" => networks::delete,
    get "/v1/subnets" => subnets::list,
    post "/v1/subnets" => subnets::create,
    get "/v1/subnets/{subnet}" => subnets::read,
    delete "/v1/subnets/{subnet}" => subnets::delete,
    get "/v1/subnets/{subnet}/reservations" => subnets::reservations::list,
    post "/v1/subnets/{subnet}/reservations" => subnets::reservations::reserve,
    delete "/v1/subnets/{subnet}/reservations" => subnets::reservations::release,
    get "/v1/events" => events::follow,
    get "/v1/host" => host::read,
    post "/v1/foreign/{pid}/adopt" => foreign::adopt,
    post "/v1/vms/{vm}/adopt" => foreign::adopt_managed,
    post "/v1/sign-in/challenges" => sign_in::challenge,
    post "/v1/sign-in" => sign_in::sign_in,
    delete "/v1/sign-in" => sign_in::sign_out,
    delete "/v1/sign-in/{account}" => sign_in::sign_account_out,
    get "/v1/projects" => projects::list,
    get "/v1/projects/{name}" => projects::read,
    put "/v1/projects/{name}" => projects::replace,
    patch "/v1/projects/{name}" => projects::merge,
    delete "/v1/projects/{name}" => projects::delete,
    get "/v1/browser-session" => browser_session::read,
    post "/v1/browser-session" => browser_session::begin,
    delete "/v1/browser-session" => browser_session::end,
    post "/v1/tickets" => stream_tickets::issue,
    get "/v1/tokens" => tokens::list,
    post "/v1/tokens" => tokens::create,
    delete "/v1/tokens/{name}" => tokens::revoke,
    get "/v1/certificates" => certificates::list,
    post "/v1/certificates" => certificates::create,
    delete "/v1/certificates/{name}" => certificates::revoke,
    post "/v1/certificates/{name}/renew" => certificates::renew,
    get "/v1/authority" => certificates::authority,
    get "/v1/audit" => audit::read,
    get "/v1/diagnostics" => diagnostics::read,
    get "/v1/diagnostics/configuration" => diagnostics::configuration,
    post "/v1/diagnostics/reconcile" => diagnostics::reconcile,
    post "/v1/diagnostics/queue" => diagnostics::queue,
    get "/v1/diagnostics/log" => diagnostics::read_log,
    post "/v1/diagnostics/log" => diagnostics::log,
    get "/metrics" => metrics::read,
    get "/healthz" => health::read,
    get "/v1/openapi.json" => read_document,
}

/// The routes of the native API.
///
/// They are served behind the gate of [`crate::serve_unix`] and [`crate::serve_tcp`], which finds out
/// who is calling and writes the problem documents. Without it, problems have no body, and what
/// changes something is refused.
pub fn router(state: ApiState) -> Router {
    served().fallback(no_route).method_not_allowed_fallback(no_method).with_state(state)
}

/// The routes of the native API that wait for no other thread of the daemon's: what it says of itself, and
/// what it has logged and has on record.
pub(crate) fn diagnostics_router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/diagnostics", routing::get(diagnostics::read))
        .route("/v1/diagnostics/configuration", routing::get(diagnostics::configuration))
        .route("/v1/diagnostics/log", routing::get(diagnostics::read_log))
        .route("/v1/audit", routing::get(audit::read_apart))
        .route(health::PATH, routing::get(health::read))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(state)
}

/// The OpenAPI 3.1 document of the native API, as JSON.
pub fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        let mut document = documented().into_openapi();
        flatten(&mut document);
        let mut json = serde_json::to_vec_pretty(&document)
            .expect("the document is made here, with text keys only");
        json.push(b'\n');
        json.into()
    });
    DOCUMENT.clone()
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
    Ok(answer::json(state.revision(), document()))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Innkeeper",
        description = "The native API of Innkeeper, which keeps the guests of a Linux host.\n\n\
            Reads are answered from memory. What changes something is accepted as a task (202), or, with \
            `Prefer: wait=N` (whole seconds, at most 3600), answered when the task has ended. Every answer \
            has the header `Innkeeper-Revision`: from this revision of the view on, what the answer says can be read. \
            `X-Request-Id` is echoed. Refusals are problem documents (RFC 9457) with a stable `code`.\n\n\
            The unix socket needs no credential; TCP needs a token, a certificate, or the cookie of a browser's session.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    components(schemas(Document<'static>)),
    modifiers(&Common),
    tags(
        (name = "vms", description = "VMs and what belongs to them"),
        (name = "power", description = "What can be done to a VM's machine"),
        (name = "tasks", description = "What is being done, and was done last"),
        (name = "images", description = "What disks are copies of and kernels are booted from"),
        (name = "networks", description = "Networks, the ranges of addresses on them, and who has which address"),
        (name = "projects", description = "What each project may take of the host, and has"),
        (name = "events", description = "Every change, in order"),
        (name = "host", description = "The host and the daemon"),
        (name = "tokens", description = "What callers over TCP show"),
        (name = "diagnostics", description = "What an operator sees and does when something is stuck"),
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
        let cookie = ApiKeyValue::with_description(
            Wire::Plain.cookie_name(),
            "`__Host-innkeeper-session` over TLS. What changes something has `Innkeeper-CSRF` beside it.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        for problem in PROBLEMS {
            components.responses.insert(problem.name.into(), RefOr::T(problem.response()));
        }
        let either = ["token", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
        document.security = Some(either.into());
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
            .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build())
            .build()
    }
}

const PROBLEMS: [ProblemStatus; 17] = [
    ProblemStatus::new(
        400,
        "BadRequest",
        "`bad-request`: not readable as what it claims to be",
        true,
    ),
    ProblemStatus::new(
        401,
        "Unauthenticated",
        "`unauthenticated`: nobody said who is calling, or it does not hold",
        true,
    ),
    ProblemStatus::new(403, "Forbidden", "`forbidden`: the caller may not do this", true),
    ProblemStatus::new(404, "NotFound", "`not-found`: there is no such thing", true),
    ProblemStatus::new(
        405,
        "MethodNotAllowed",
        "`method-not-allowed`: not with this method; `Allow` says with which",
        true,
    ),
    ProblemStatus::new(
        409,
        "Conflict",
        "`name-taken`, `ambiguous-name`, `wrong-state`, `in-use`, `protected`, `managed-elsewhere`, `quarantined`, `interrupted`, `leftovers`, `incompatible-memory`, `idempotency-conflict`, `out-of-capacity`, `cancelled`: not as things are",
        true,
    ),
    ProblemStatus::new(
        412,
        "RevisionConflict",
        "`revision-conflict`: changed since the caller read it",
        false,
    ),
    ProblemStatus::new(413, "TooLarge", "`too-large`: the body is larger than 1 MiB", true),
    ProblemStatus::new(
        422,
        "InvalidField",
        "`invalid-field`: a field or parameter has a value that is not allowed",
        true,
    ),
    ProblemStatus::new(
        429,
        "TooManyRequests",
        "`too-many-requests`: the caller has called too often; `Retry-After` says when to come again",
        true,
    ),
    ProblemStatus::new(500, "Internal", "`internal`: a defect in Innkeeper", true),
    ProblemStatus::new(
        501,
        "Unsupported",
        "`unsupported`: this host or hypervisor cannot do it",
        false,
    ),
    ProblemStatus::new(
        502,
        "HypervisorFailed",
        "`hypervisor-failed`: the hypervisor refused or failed; `hook-failed`: a hook of the operator's did; `outcome-unknown`: nothing tells whether it happened",
        true,
    ),
    ProblemStatus::new(
        503,
        "Unavailable",
        "`missing-program`: a program is not installed; `shutting-down`: the daemon is stopping; `disk-failed`: the host's disk takes no writes, or fails",
        true,
    ),
    ProblemStatus::new(504, "Timeout", "`timeout`: it took too long", false),
    ProblemStatus::new(507, "OutOfSpace", "`out-of-space`: the disk is full", false),
    ProblemStatus::new(
        431,
        "HeadTooLarge",
        "The request's head is larger than 32 KiB; without a body",
        true,
    ),
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
    fn what_is_documented_is_what_is_served() {
        let document: serde_json::Value = serde_json::from_slice(&document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let mut documented: Vec<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| (method.as_str(), path.as_str()))
            })
            .collect();
        let mut served = ROUTES.to_vec();
        documented.sort_unstable();
        served.sort_unstable();
        assert_eq!(documented, served);
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
            Code::DiskFailed,
            Code::Unsupported,
            Code::MissingProgram,
            Code::ManagedElsewhere,
            Code::Quarantined,
            Code::Interrupted,
            Code::Leftovers,
            Code::IncompatibleMemory,
            Code::HypervisorFailed,
            Code::HookFailed,
            Code::OutcomeUnknown,
            Code::TooManyRequests,
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
