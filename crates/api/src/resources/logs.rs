//! `/v1/vms/{vm}/logs`: the last of what a guest, or its hypervisor, wrote.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::ReadProblems,
    state::ApiState,
};
use axum::extract::State;
use http::{HeaderValue, header};
use innkeeper_model::Refusal;

/// Read a VM's log
///
/// The last 64 KiB that the guest wrote to its serial console, or that its hypervisor wrote; bytes as
/// they came, of the running machine or of the last one.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/logs",
    tag = "vms",
    operation_id = "getVmLog",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("source" = Option<String>, Query, description = "`serial` (the default) or `hypervisor`"),
    ),
    responses(
        (status = 200, description = "The log", body = String, content_type = "text/plain"),
        ReadProblems,
    ),
)]
pub(crate) async fn read(
    State(state): State<ApiState>,
    Segment(text): Segment,
    mut params: Params,
    _asked: Asked,
) -> Answer {
    let source = params.one("source")?;
    let vm = target(&state, &text, params)?.id;
    let log = match source.as_deref() {
        None | Some("serial") => state.operations().serial_log(vm).await?,
        Some("hypervisor") => state.operations().hypervisor_log(vm).await?,
        Some(other) => {
            return Err(Refusal::invalid("source", other, "is not a log")
                .with_limit("serial, hypervisor")
                .into());
        }
    };
    let revision = state.view().snapshot().revision;
    let mut response = answer::of_type("text/plain; charset=utf-8", revision, log);
    // A guest chose these bytes: no browser may take them for a page.
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
