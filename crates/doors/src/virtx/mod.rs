//! The door of virtx: VMs and their hosts, as a fleet of libvirt hosts has them.
//!
//! All sixteen routes, on one host: what goes from host to host answers as virtx does where there is
//! nowhere to go. Bodies are JSON with GET and DELETE too, enumerations are numbers, every field is always
//! there; what was not done is a line of text and a status.
//!
//! `definition` is where the two ideas of a VM meet. virtx's VM has disks by path: those that it makes
//! are a VM's own here, and live and die with it; others are host files that the operator allowed.
//!
//! virtx gathered what it knew every 15 s; here everything is read when it is asked for, and a VM can be
//! read as soon as it is made. How rates are kept is in `stats`. What differs from the ancestor, and why,
//! is in `docs/doors/virtx.md`.

mod answer;
mod body;
mod definition;
#[doc(hidden)]
pub mod fuzz;
mod hosts;
mod kernel;
mod list;
mod migrate;
mod numbers;
mod oplog;
mod outcome;
mod power;
mod runstate;
mod stats;
mod subject;
#[cfg(test)]
mod tests;
mod vms;
mod wire;

use crate::{Context, Door, Protocol, visit::Visit};
use axum::{Router, extract::FromRequestParts, response::Response};
use http::{Method, request::Parts};
use innkeeper_auth::{Action, Resource};
use innkeeper_model::Refusal;
use std::{sync::Arc, time::Duration};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long an answer waits for the end of what it began; what takes longer goes on, and its answer says so.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of a body that is read: virtx's own bound.
const MAX_BODY: usize = (1 << 20) - 1;

/// The door.
#[derive(Debug)]
pub struct Virtx {
    host: kernel::Description,
}

impl Virtx {
    /// The door, with what the kernel says of this host; what it does not say is shown as not set.
    pub fn open() -> Self {
        Self { host: kernel::Description::read() }
    }
}

/// What the routes share, whoever calls.
#[derive(Clone)]
struct Everybodys {
    context: Context,
    shared: Arc<Shared>,
}

/// The same, for one caller.
struct State {
    visit: Visit,
    shared: Arc<Shared>,
}

impl FromRequestParts<Everybodys> for State {
    type Rejection = answer::Refused;

    async fn from_request_parts(
        parts: &mut Parts,
        everybodys: &Everybodys,
    ) -> Result<Self, answer::Refused> {
        let Everybodys { context, shared } = everybodys;
        Ok(Self { visit: Visit::of(context, parts)?, shared: Arc::clone(shared) })
    }
}

struct Shared {
    host: kernel::Description,
    host_looks: hosts::HostLooks,
    looks: stats::Looks,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "virtx, as Innkeeper speaks it",
        description = "VMs and hosts, as virtx has them. Bodies are JSON with GET and DELETE too; what is \
            null or missing is not set. It has no credential: the daemon's operator says what local callers \
            may do.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    tags(
        (name = "vms", description = "VMs."),
        (name = "runstate", description = "What they are doing."),
        (name = "hosts", description = "Where they are."),
    ),
)]
struct Description;

fn routes() -> OpenApiRouter<Everybodys> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(vms::create, list::list))
        .routes(routes!(vms::get, vms::update, vms::delete))
        .routes(routes!(vms::register))
        .routes(routes!(power::get))
        .routes(routes!(power::boot, power::shutdown))
        .routes(routes!(power::pause, power::resume))
        .routes(routes!(migrate::migrate, migrate::get, migrate::abort))
        .routes(routes!(hosts::list))
        .routes(routes!(hosts::get))
}

/// The OpenAPI 3.1 document of this door, as JSON.
pub fn document() -> String {
    let document = routes().into_openapi();
    document.to_pretty_json().expect("the document is made here, with text keys only") + "\n"
}

impl Protocol for Virtx {
    const MAX_BODY: usize = MAX_BODY;

    fn door(&self) -> Door {
        Door::Virtx
    }

    fn router(&self, context: Context) -> Router {
        let shared = Shared {
            host: self.host.clone(),
            host_looks: hosts::HostLooks::default(),
            looks: stats::Looks::default(),
        };
        routes()
            .split_for_parts()
            .0
            .fallback(answer::no_route)
            .method_not_allowed_fallback(answer::no_method)
            .with_state(Everybodys { context, shared: Arc::new(shared) })
    }

    fn needs(&self, method: &Method, path: &str) -> Option<(Action, Resource)> {
        // As the routes take it: no segment is left out, and none is decoded.
        let mut segments = path.split('/').skip(1);
        let segments: [_; 5] = std::array::from_fn(|_| segments.next());
        let action = match segments {
            _ if method.is_safe() => Action::Read,
            [Some("vms"), Some(_), Some("runstate"), Some("boot" | "pause"), None] => Action::Power,
            _ => Action::Change,
        };
        let is_of_host = segments[0] == Some("hosts");
        Some((action, if is_of_host { Resource::Host } else { Resource::Vm }))
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        answer::refused(refusal)
    }
}
