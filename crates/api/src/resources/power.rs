//! `/v1/vms/{vm}/VERB`: what can be done to a VM's machine.

use crate::{
    protocol::{
        asked::{Asked, Segment},
        json,
        mutation::{self, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::{PowerVerb, Request, STOP_TIMEOUT};
use innkeeper_model::Refusal;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The longest that a guest is given to power itself off, in seconds.
const MAX_TIMEOUT: u64 = 24 * 3600;

/// How to stop a guest.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopOptions {
    /// How long it may take to power itself off, in seconds; 60 where nothing is said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    timeout_s: Option<u64>,
    /// End it at once instead of asking it.
    #[serde(default)]
    force: bool,
}

impl StopOptions {
    fn timeout(&self) -> Result<Duration, Refusal> {
        match self.timeout_s {
            None => Ok(STOP_TIMEOUT),
            Some(seconds @ 1..=MAX_TIMEOUT) => Ok(Duration::from_secs(seconds)),
            Some(seconds) => {
                let range = format!("1..={MAX_TIMEOUT}");
                let problem = format!("is not in {range}");
                Err(Refusal::invalid("timeout_s", seconds, problem).with_limit(range))
            }
        }
    }
}

/// A verb without options takes no body, or an empty object.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// A request for a verb, as far as it does not depend on which.
type Asking = (Visit, Segment, Params, Asked, HeaderMap, Body);

async fn plain((state, text, params, asked, headers, body): Asking, verb: PowerVerb) -> Answer {
    let NoOptions {} = json::optional(&headers, body).await?;
    submit(&state, &text, params, &asked, verb).await
}

async fn submit(
    state: &Visit,
    text: &Segment,
    mut params: Params,
    asked: &Asked,
    verb: PowerVerb,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    let vm = target(state, &text.0, params)?.id;
    let request = Request::Power { vm, verb };
    mutation::perform_or_plan(state, asked, request, Subject::Vm, dry_run).await
}

/// The document of a verb: all are alike but for their names, a parameter or two, and options.
macro_rules! verb {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $path:literal, $id:literal
        $(, body = $options:ty)?
        $(, param = $param:literal: $about:literal)?;
        $asking:ident => $act:expr
    ) => {
        $(#[doc = $doc])*
        #[utoipa::path(
            post,
            path = $path,
            tag = "power",
            operation_id = $id,
            params(
                ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
                ("project" = Option<String>, Query, description = "Where to look for the name"),
                $(($param = Option<bool>, Query, description = $about),)?
                ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
                ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
            ),
            $(request_body = Option<$options>,)?
            responses(
                (status = 200, description = "Done; or planned, with `dry_run`", body = DoneOrPlanned),
                (status = 202, description = "Accepted", body = Outcome),
                WriteProblems,
            ),
        )]
        pub(crate) async fn $name(
            state: Visit,
            text: Segment,
            params: Params,
            asked: Asked,
            headers: HeaderMap,
            body: Body,
        ) -> Answer {
            let $asking: Asking = (state, text, params, asked, headers, body);
            $act.await
        }
    };
}

verb! {
    /// Start a VM
    ///
    /// A suspended VM's memory would be lost by it, so of such a VM this is refused; `resume` goes on
    /// from that memory.
    start, "/v1/vms/{vm}/start", "startVm",
    param = "discard_memory": "Give up the memory that a suspended VM has kept";
    asking => async {
        let (state, text, mut params, asked, headers, body) = asking;
        let discard_memory = params.flag("discard_memory")?;
        let asking = (state, text, params, asked, headers, body);
        plain(asking, PowerVerb::Start { discard_memory }).await
    }
}
verb! {
    /// End a VM's machine at once
    ///
    /// Never queues: it cancels what is being done to the VM.
    kill, "/v1/vms/{vm}/kill", "killVm";
    asking => plain(asking, PowerVerb::Kill)
}
verb! {
    /// Press a VM's reset button
    reset, "/v1/vms/{vm}/reset", "resetVm";
    asking => plain(asking, PowerVerb::Reset)
}
verb! {
    /// Hold a VM's CPUs
    pause, "/v1/vms/{vm}/pause", "pauseVm";
    asking => plain(asking, PowerVerb::Pause)
}
verb! {
    /// Let a VM's CPUs go on
    ///
    /// A suspended VM gets a machine with the memory that was kept, and goes on from there.
    resume, "/v1/vms/{vm}/resume", "resumeVm";
    asking => plain(asking, PowerVerb::Resume)
}
verb! {
    /// Write a VM's memory to a file, and end its machine
    ///
    /// `resume` goes on from there. Until then its disks are nobody's to write to.
    suspend, "/v1/vms/{vm}/suspend", "suspendVm";
    asking => plain(asking, PowerVerb::Suspend)
}
verb! {
    /// Stop a VM
    ///
    /// Asks its guest to power itself off, and waits for it; if it does not, the VM is left running
    /// and the task fails. With `force`, the machine is ended at once, as `kill` does.
    stop, "/v1/vms/{vm}/stop", "stopVm", body = StopOptions;
    asking => async {
        let (state, text, params, asked, headers, body) = asking;
        let how: StopOptions = json::optional(&headers, body).await?;
        let timeout = how.timeout()?;
        let verb = if how.force { PowerVerb::Kill } else { PowerVerb::Stop { timeout } };
        submit(&state, &text, params, &asked, verb).await
    }
}
verb! {
    /// Stop a VM, then start it from its configuration as it is by then
    reboot, "/v1/vms/{vm}/reboot", "rebootVm", body = StopOptions;
    asking => async {
        let (state, text, params, asked, headers, body) = asking;
        let how: StopOptions = json::optional(&headers, body).await?;
        let verb = PowerVerb::Reboot { timeout: how.timeout()?, force: how.force };
        submit(&state, &text, params, &asked, verb).await
    }
}
