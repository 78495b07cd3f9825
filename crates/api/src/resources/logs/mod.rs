//! `/v1/vms/{vm}/logs`: the last of what a guest, or its hypervisor, wrote; and what comes after it.

mod appended;
mod follow;

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
use follow::Follower;
use http::{HeaderValue, header};
use innkeeper_model::{Refusal, VmId};

/// Which of a VM's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Serial,
    Hypervisor,
}

impl Source {
    fn parse(name: Option<&str>) -> Result<Self, Refusal> {
        match name {
            None | Some("serial") => Ok(Self::Serial),
            Some("hypervisor") => Ok(Self::Hypervisor),
            Some(other) => {
                Err(Refusal::invalid("source", other, "is not a log")
                    .with_limit("serial, hypervisor"))
            }
        }
    }

    /// The last of the log as it is now.
    async fn read(self, state: &Visit, vm: VmId) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Serial => state.operations().serial_log(vm).await,
            Self::Hypervisor => state.operations().hypervisor_log(vm).await,
        }
    }
}

/// Read a VM's log
///
/// The last 64 KiB that the guest wrote to its serial console, or that its hypervisor wrote; bytes as
/// they came, of the running machine or of the last one.
///
/// With `follow=true` the answer goes on with what comes, of this machine and of those that the VM has
/// after it, and ends when the VM is deleted; an answer that breaks off does so because the daemon
/// stops. The log is looked at four times a second, whoever has the console. Where more than 64 KiB
/// came between two looks, the answer has a line that says so in place of what is missing. A log that
/// repeats itself without any difference for 64 KiB looks as if nothing came.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/logs",
    tag = "vms",
    operation_id = "getVmLog",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("source" = Option<String>, Query, description = "`serial` (the default) or `hypervisor`"),
        ("follow" = Option<bool>, Query, description = "Go on with what comes"),
    ),
    responses(
        (status = 200, description = "The log", body = String, content_type = "text/plain"),
        WriteProblems,
    ),
)]
pub(crate) async fn read(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    _asked: Asked,
) -> Answer {
    let source = Source::parse(params.one("source")?.as_deref())?;
    let follow = params.flag("follow")?;
    let vm = target(&state, &text, params)?.id;
    // Read here, so that a refusal can still be a document.
    let log = source.read(&state, vm).await?;
    let revision = state.revision();
    let body = match follow {
        true => Follower::new(state, vm, source, log).into_body(),
        false => Body::from(log),
    };
    let mut response = answer::of_type("text/plain; charset=utf-8", revision, body);
    // A guest chose these bytes: no browser may take them for a page.
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
