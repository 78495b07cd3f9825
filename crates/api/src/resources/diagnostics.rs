//! `/v1/diagnostics`: the daemon, when something is stuck, and what an operator can do about it by hand.
//!
//! Viewers and operators of the whole host read it, and administrators do what is done by hand; who is bound to a project
//! does neither. What they do here is in the audit.

use crate::{
    protocol::{
        answer::{self, encode},
        asked::Asked,
        json,
        params::Params,
        problem::Answer,
    },
    resources::vms,
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use axum::body::Body;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use innkeeper_model::{Diagnosis, VmId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Diagnose the daemon
///
/// Everything that is going on, and everything that is wrong. It waits for nothing, and is answered on a
/// socket of its own too (`diagnose.sock` in the runtime folder), by a thread of its own: there even
/// while every other thread of the daemon is stuck.
#[utoipa::path(
    get,
    path = "/v1/diagnostics",
    tag = "diagnostics",
    operation_id = "getDiagnosis",
    responses((status = 200, description = "The diagnosis", body = Diagnosis), ReadProblems),
)]
pub(crate) async fn read(state: Visit, params: Params) -> Answer {
    params.nothing_else()?;
    let diagnosis = state.diagnostics()?.diagnose();
    Ok(answer::json(state.revision(), encode(&diagnosis)))
}

/// Read the daemon's configuration
///
/// As it is in force: flags over the file over the defaults. There are no secrets in it. On the socket
/// of its own, too.
#[utoipa::path(
    get,
    path = "/v1/diagnostics/configuration",
    tag = "diagnostics",
    operation_id = "getConfiguration",
    responses((status = 200, description = "The configuration", body = Object), ReadProblems),
)]
pub(crate) async fn configuration(state: Visit, params: Params) -> Answer {
    params.nothing_else()?;
    let configuration = state.diagnostics()?.configuration();
    Ok(answer::json(state.revision(), encode(&configuration)))
}

/// Read the daemon's log
///
/// The last of it, at most 1 MiB, since the daemon's start: whole lines, oldest first. There are no secrets in
/// it. On the socket of its own, too.
#[utoipa::path(
    get,
    path = "/v1/diagnostics/log",
    tag = "diagnostics",
    operation_id = "getDaemonLog",
    responses(
        (status = 200, description = "The log", body = String, content_type = "text/plain"),
        ReadProblems,
    ),
)]
pub(crate) async fn read_log(state: Visit, params: Params) -> Answer {
    params.nothing_else()?;
    let log = state.diagnostics()?.log();
    let mut response = answer::of_type("text/plain; charset=utf-8", state.revision(), log);
    // What is quoted in it is others': no browser may take it for a page.
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(response)
}

/// Which VM.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichVm {
    /// Its id or name, or the beginning of either if only one begins so.
    vm: String,
}

/// A VM that will be looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reconciled {
    /// The VM.
    vm: VmId,
}

/// Have a VM looked at
///
/// Its hypervisor is asked, its spec's file and its disks are looked at, what is owed of it is tried, and
/// what its policy says is done, now rather than after a pause.
#[utoipa::path(
    post,
    path = "/v1/diagnostics/reconcile",
    tag = "diagnostics",
    operation_id = "reconcileVm",
    params(("project" = Option<String>, Query, description = "Where to look for the name")),
    request_body = WhichVm,
    responses((status = 202, description = "It will be looked at", body = Reconciled), WriteProblems),
)]
pub(crate) async fn reconcile(
    state: Visit,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let WhichVm { vm } = json::required(&headers, body).await?;
    let vm = vms::target(&state, &vm, params)?.id;
    state.diagnostics()?.reconcile(&asked.caller, vm);
    let mut answer = answer::json(state.revision(), encode(&Reconciled { vm }));
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

/// Whether anything may begin on a VM.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetQueue {
    /// Its id or name, or the beginning of either if only one begins so.
    vm: String,
    /// Whether what is asked for waits.
    paused: bool,
}

/// The queue of a VM.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    /// The VM.
    vm: VmId,
    /// Whether what is asked for waits.
    paused: bool,
}

/// Pause a VM's queue, or let it go on
///
/// What has begun goes on, and what is asked for is accepted and waits; kill waits, too. A daemon that
/// starts has no paused queues.
#[utoipa::path(
    post,
    path = "/v1/diagnostics/queue",
    tag = "diagnostics",
    operation_id = "setQueue",
    params(("project" = Option<String>, Query, description = "Where to look for the name")),
    request_body = SetQueue,
    responses((status = 200, description = "It is so", body = Queue), WriteProblems),
)]
pub(crate) async fn queue(
    state: Visit,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let SetQueue { vm, paused } = json::required(&headers, body).await?;
    let vm = vms::target(&state, &vm, params)?.id;
    state.diagnostics()?.pause_queue(&asked.caller, vm, paused);
    Ok(answer::json(state.revision(), encode(&Queue { vm, paused })))
}

/// How much to log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetLog {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives for parts of the program, such as
    /// `info,innkeeper_qemu=debug`.
    level: String,
}

/// How much is logged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Log {
    /// From now on.
    level: String,
    /// Until now.
    was: String,
}

/// Set how much the daemon logs
///
/// Until its end; what its configuration says counts again when it starts.
#[utoipa::path(
    post,
    path = "/v1/diagnostics/log",
    tag = "diagnostics",
    operation_id = "setLogLevel",
    request_body = SetLog,
    responses((status = 200, description = "It is so", body = Log), WriteProblems),
)]
pub(crate) async fn log(
    state: Visit,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let SetLog { level } = json::required(&headers, body).await?;
    let was = state.diagnostics()?.set_log_level(&asked.caller, &level)?;
    Ok(answer::json(state.revision(), encode(&Log { level, was })))
}

#[cfg(test)]
#[path = "diagnostics_tests.rs"]
mod tests;
