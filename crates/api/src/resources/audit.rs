//! `/v1/audit`: what callers had done and what they were refused, from the files in which that is on record.

use crate::{
    protocol::{answer, asked::Asked, params::Params, problem::Answer},
    router::ReadProblems,
    state::ApiState,
};
use axum::extract::State;
use innkeeper_model::{AuditEntry, Code, Refusal};
use innkeeper_store::audit::{AuditPage, AuditQuery, Place, before_last, read as read_files};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{path::Path, time::Duration};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, sleep},
};
use utoipa::ToSchema;

/// The most lines of a page, and how many where nobody says.
const MAX_LIMIT: usize = 10_000;
const LIMIT: usize = 1000;
/// How long to wait from one look for new lines to the next.
const LOOK_AFTER: Duration = Duration::from_millis(250);
/// How many read files at a time: each may look at some megabytes, and none is in a hurry.
static READERS: Semaphore = Semaphore::const_new(2);
/// The same for the diagnosis' own socket, which waits for no other thread of the daemon's: not for one that has a
/// place among the others while a disk hangs.
static DIAGNOSTIC_READERS: Semaphore = Semaphore::const_new(2);

/// Lines of the audit, in the order in which they were written.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditList {
    /// The lines.
    #[schema(value_type = Vec<AuditEntry>)]
    items: Vec<Box<RawValue>>,
    /// What to give as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// What to give as `after` for what comes later.
    place: String,
    /// Lines that cannot be read, since a kill cut them short or they were damaged later; they are left out.
    unreadable: u64,
}

/// Read the audit
///
/// Each change, each session that was opened and each refusal, oldest first; of a task, one line when it was
/// accepted and one when it ended. A page may have no lines and still have a `next`: one request looks at so
/// much at the most. With `Prefer: wait=N` a page without lines is answered when there are some.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "diagnostics",
    operation_id = "readAudit",
    params(
        ("since" = Option<String>, Query, description = "Not before this time"),
        ("until" = Option<String>, Query, description = "Not after this time"),
        ("caller" = Option<String>, Query, description = "Of this caller"),
        ("action" = Option<String>, Query, description = "About this action"),
        ("vm" = Option<String>, Query, description = "About this VM: its id, or the name that it had"),
        ("last" = Option<u32>, Query, description = "Of the last so many lines, whatever they are about; not with `after`"),
        ("limit" = Option<u32>, Query, description = "At most so many; 1000 where nothing is said"),
        ("after" = Option<String>, Query, description = "The `next` or `place` of a page before"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for a line"),
    ),
    responses((status = 200, description = "Lines", body = AuditList), ReadProblems),
)]
pub(crate) async fn read(State(state): State<ApiState>, params: Params, asked: Asked) -> Answer {
    read_among(&READERS, &state, params, asked).await
}

/// The same, beside the readers of all other sockets.
pub(crate) async fn read_apart(
    State(state): State<ApiState>,
    params: Params,
    asked: Asked,
) -> Answer {
    read_among(&DIAGNOSTIC_READERS, &state, params, asked).await
}

async fn read_among(
    readers: &'static Semaphore,
    state: &ApiState,
    mut params: Params,
    asked: Asked,
) -> Answer {
    let query = AuditQuery {
        since: params.parsed("since")?,
        until: params.parsed("until")?,
        caller: params.one("caller")?,
        action: params.one("action")?,
        vm: params.one("vm")?,
    };
    let limit = number(&mut params, "limit")?.unwrap_or(LIMIT);
    let last = number(&mut params, "last")?;
    let after: Option<Place> = params.parsed("after")?;
    params.nothing_else()?;
    let from = match (after, last) {
        (Some(_), Some(last)) => {
            return Err(Refusal::invalid("last", last, "does not go with after").into());
        }
        (_, Some(last)) => Beginning::Last(last),
        (after, None) => Beginning::After(after),
    };

    let folder = state.operations().audit().map(|audit| audit.folder().to_owned());
    let folder = folder.ok_or_else(|| {
        Refusal::new(Code::Unsupported, "nothing is on record here")
            .with_hint("the daemon's configuration says whether an audit is kept: [audit]")
    })?;
    let deadline = Instant::now() + asked.wait.unwrap_or_default();
    let mut page = page(readers, (&folder, &query), from, limit).await?;
    while page.lines.is_empty() && page.at_end && Instant::now() < deadline {
        // Files do not say when they grow.
        tokio::select! {
            () = state.stopping().cancelled() => break,
            () = sleep(LOOK_AFTER) => {}
        }
        let from = Beginning::After(Some(page.place));
        page = self::page(readers, (&folder, &query), from, limit).await?;
    }
    Ok(answer::json(state.revision(), answer::encode(&shown(page))))
}

/// Where a page begins.
#[derive(Clone, Copy)]
enum Beginning {
    /// After a place, or with the oldest line that can be wanted.
    After(Option<Place>),
    /// With the first of the last so many.
    Last(usize),
}

/// A number of lines.
fn number(params: &mut Params, name: &'static str) -> Result<Option<usize>, Refusal> {
    let number = params.parsed(name)?;
    match number.filter(|number| !(1..=MAX_LIMIT).contains(number)) {
        None => Ok(number),
        Some(other) => {
            let range = format!("1..={MAX_LIMIT}");
            Err(Refusal::invalid(name, other, format!("is not in {range}")).with_limit(range))
        }
    }
}

async fn page(
    readers: &'static Semaphore,
    (folder, query): (&Path, &AuditQuery),
    from: Beginning,
    limit: usize,
) -> Result<AuditPage, Refusal> {
    // It is never closed.
    let turn = readers.acquire().await;
    let (folder, query) = (folder.to_owned(), query.clone());
    let read = spawn_blocking(move || {
        // Given back when the thread is free again, and not when nobody waits for it any more.
        let _turn = turn;
        let after = match from {
            Beginning::After(after) => after,
            Beginning::Last(lines) => Some(before_last(&folder, lines)?),
        };
        read_files(&folder, &query, after, limit)
    });
    let read = read.await;
    read.map_err(std::io::Error::other).and_then(|page| page).map_err(|error| Refusal {
        message: "the audit cannot be read".into(),
        ..Refusal::from(error)
    })
}

fn shown(AuditPage { lines, place, at_end, unreadable }: AuditPage) -> AuditList {
    // Each was read as JSON.
    let items = lines.into_iter().filter_map(|line| RawValue::from_string(line).ok()).collect();
    let place = place.to_string();
    AuditList { items, next: (!at_end).then(|| place.clone()), place, unreadable }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
