//! `/v1/vms/{vm}/VERB`: what can be done to a VM's machine.

use crate::{
    protocol::{
        asked::{Asked, Segment},
        json,
        mutation::{self, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    state::ApiState,
};
use axum::{body::Body, extract::State};
use http::HeaderMap;
use innkeeper_engine::{PowerVerb, Request, STOP_TIMEOUT};
use innkeeper_model::Refusal;
use serde::{Deserialize, de::DeserializeOwned};
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
type Asking = (State<ApiState>, Segment, Params, Asked, HeaderMap, Body);

async fn options<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    let body = json::read(body).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    json::expect_type(headers, "application/json")?;
    json::decode(&body)
}

async fn plain((state, text, params, asked, headers, body): Asking, verb: PowerVerb) -> Answer {
    let NoOptions {} = options(&headers, body).await?;
    submit(&state, &text, params, &asked, verb).await
}

async fn submit(
    state: &ApiState,
    text: &Segment,
    params: Params,
    asked: &Asked,
    verb: PowerVerb,
) -> Answer {
    let vm = target(state, &text.0, params)?.id;
    mutation::perform(state, asked, Request::Power { vm, verb }, Subject::Vm).await
}

/// The document of a verb: all are alike but for their names.
macro_rules! verb {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $path:literal, $id:literal $(, $options:ty)?;
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
                ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
            ),
            $(request_body = Option<$options>,)?
            responses(
                (status = 200, description = "Done", body = Outcome),
                (status = 202, description = "Accepted", body = Outcome),
                WriteProblems,
            ),
        )]
        pub(crate) async fn $name(
            state: State<ApiState>,
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
    start, "/v1/vms/{vm}/start", "startVm";
    asking => plain(asking, PowerVerb::Start)
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
    resume, "/v1/vms/{vm}/resume", "resumeVm";
    asking => plain(asking, PowerVerb::Resume)
}
verb! {
    /// Stop a VM
    ///
    /// Asks its guest to power itself off, and waits for it; if it does not, the VM is left running
    /// and the task fails. With `force`, the machine is ended at once, as `kill` does.
    stop, "/v1/vms/{vm}/stop", "stopVm", StopOptions;
    asking => async {
        let (state, text, params, asked, headers, body) = asking;
        let how: StopOptions = options(&headers, body).await?;
        let timeout = how.timeout()?;
        let verb = if how.force { PowerVerb::Kill } else { PowerVerb::Stop { timeout } };
        submit(&state, &text, params, &asked, verb).await
    }
}
verb! {
    /// Stop a VM, then start it from its configuration as it is by then
    reboot, "/v1/vms/{vm}/reboot", "rebootVm", StopOptions;
    asking => async {
        let (state, text, params, asked, headers, body) = asking;
        let how: StopOptions = options(&headers, body).await?;
        let verb = PowerVerb::Reboot { timeout: how.timeout()?, force: how.force };
        submit(&state, &text, params, &asked, verb).await
    }
}
