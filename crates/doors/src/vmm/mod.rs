//! The door of the Formation cloud's VMM service: tenants create, start, stop and look at their VMs.
//!
//! Everything but a probe is a POST with a JSON body. A VM has one id, shown as `vm_id` when it is made
//! and as `build_id` from then on; it is the VM's own. An owner is a project: a caller
//! who is bound to one acts for it, and whoever else for the owner that a request names, or for every owner
//! where it names none. Kernels and disks are images by name, never paths.
//!
//! The service answered 200 to everything, routes that did nothing included. Here a refusal has its
//! status and `{"success":false,"message":…}`, what this host cannot do is 501, and what takes long
//! brings a `task_id` that `/vm/task` follows.

mod answer;
mod boot_args;
mod commit;
mod create;
mod devices;
#[doc(hidden)]
pub mod fuzz;
mod outcome;
mod power;
mod probes;
mod shown;
mod state;
mod subject;
mod tasks;
#[cfg(test)]
mod tests;
mod unsupported;
mod wire;

use crate::{Context, Door, Protocol};
use answer::refused;
use axum::{Router, response::Response};
use http::Method;
use innkeeper_auth::{Action, Resource};
use innkeeper_model::{ImageName, Refusal};
use state::{Shared, State};
use std::{sync::Arc, time::Duration};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long an answer waits for the end of what it began; then it brings the task, which goes on.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a VM gets that its request does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The image of its kernel.
    pub kernel: Option<ImageName>,
    /// The image of its first disk.
    pub rootfs: Option<ImageName>,
    /// Its kernel's command line.
    pub boot_args: String,
}

/// The door.
#[derive(Debug)]
pub struct Vmm {
    defaults: Arc<Defaults>,
}

impl Vmm {
    /// The door, with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults: Arc::new(defaults) }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Innkeeper: the VMM service's door",
        description = "VMs of tenants, as the Formation cloud's VMM service has them."
    ),
    components(schemas(answer::Failure))
)]
struct Description;

fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(probes::health))
        .routes(routes!(probes::ping))
        .routes(routes!(create::create))
        .routes(routes!(power::boot))
        .routes(routes!(power::start))
        .routes(routes!(power::stop))
        .routes(routes!(power::reboot))
        .routes(routes!(power::press_power_button))
        .routes(routes!(power::delete))
        .routes(routes!(shown::info))
        .routes(routes!(shown::list))
        .routes(routes!(tasks::task))
        .routes(routes!(commit::commit))
        .routes(routes!(devices::add))
        .routes(routes!(devices::remove))
}

/// The OpenAPI 3.1 document of this door, as JSON.
pub fn document() -> String {
    let document = unsupported::described(routes().into_openapi());
    document.to_pretty_json().expect("the document is made here, with text keys only") + "\n"
}

impl Protocol for Vmm {
    const MAX_BODY: usize = 64 << 10;

    fn door(&self) -> Door {
        Door::Vmm
    }

    fn router(&self, context: Context) -> Router {
        let shared = Shared { context, defaults: Arc::clone(&self.defaults) };
        unsupported::served(routes().split_for_parts().0)
            .fallback(answer::no_route)
            .method_not_allowed_fallback(answer::no_method)
            .with_state(shared)
    }

    fn needs(&self, method: &Method, path: &str) -> Option<(Action, Resource)> {
        Some(match (method, path) {
            (&Method::GET | &Method::HEAD, probes::HEALTH) => return None,
            (_, "/ping") => (Action::Read, Resource::Service),
            (_, "/vm/info" | "/vm/list") => (Action::Read, Resource::Vm),
            (_, "/vm/task") => (Action::Read, Resource::Task),
            // Images are everybody's.
            (_, "/vm/commit") => (Action::Change, Resource::Image),
            (_, "/vm/boot" | "/vm/start" | "/vm/stop" | "/vm/reboot" | "/vm/power-button") => {
                (Action::Power, Resource::Vm)
            }
            _ => (Action::Change, Resource::Vm),
        })
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        refused(refusal)
    }
}
