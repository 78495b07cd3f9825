//! `/v1/tasks`: what is being done, and was done last. Following one, and saying how one that was
//! interrupted goes on, is beside.

pub(crate) mod events;
pub(crate) mod resolve;

use crate::{
    protocol::{
        answer::{self, encode, native},
        asked::{Asked, Segment},
        list::{self, Order, Page, Rows},
        mutation::{self, Outcome},
        params::Params,
        prefer::MAX_WAIT,
        problem::Answer,
    },
    resources::vms,
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use innkeeper_model::{Refusal, Task, TaskId, TaskState, VmId};
use innkeeper_surface::Seen;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The states of a task, with the names they have in JSON.
const STATES: [(TaskState, &str); 6] = [
    (TaskState::Queued, "queued"),
    (TaskState::Running, "running"),
    (TaskState::Done, "done"),
    (TaskState::Failed, "failed"),
    (TaskState::Cancelled, "cancelled"),
    (TaskState::Interrupted, "interrupted"),
];

/// Tasks, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskList {
    /// The tasks.
    items: Vec<Task>,
    /// The view's revision that they are of.
    revision: u64,
    /// What to give as `after` for the next page; absent on the last.
    next: Option<String>,
}

/// List tasks
///
/// Newest first: those that are not done, and those that were done last.
#[utoipa::path(
    get,
    path = "/v1/tasks",
    tag = "tasks",
    operation_id = "listTasks",
    params(
        ("vm" = Option<String>, Query, description = "Only those of this VM: its id or name, or the beginning of either"),
        ("state" = Option<String>, Query, description = "Only in these states, with commas between"),
        ("limit" = Option<u32>, Query, description = "At most so many"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "Tasks", body = TaskList), ReadProblems),
)]
pub(crate) async fn list(state: Visit, mut params: Params) -> Answer {
    let vm = params.one("vm")?;
    let states = params.list("state");
    let states: Option<Vec<_>> =
        states.map(|names| names.iter().map(|name| named(name)).collect()).transpose()?;
    let page = Page::parse(&mut params)?;
    params.nothing_else()?;

    let seen = state.seen();
    let vm = vm.map(|text| vm_id(&seen, &text)).transpose()?;
    let rows = Rows::new(&seen.whole().tasks, page, seen.sight());
    let rows = rows.ordered(Order::Descending).only(move |task: &Task| {
        vm.is_none_or(|vm| task.vm == Some(vm))
            && states.as_ref().is_none_or(|states| states.contains(&task.state))
    });
    Ok(list::answer(seen.revision(), rows))
}

/// The VM whose tasks are meant; one that is deleted is known by its id only.
pub(crate) fn vm_id(seen: &Seen, text: &str) -> Result<VmId, Refusal> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => vms::find(seen, text, None).map(|vm| vm.id),
    }
}

fn named(name: &str) -> Result<TaskState, Refusal> {
    STATES.into_iter().find(|(_, known)| *known == name).map(|(state, _)| state).ok_or_else(|| {
        let known = STATES.map(|(_, name)| name).join(", ");
        Refusal::invalid("state", name, "is not a state of a task").with_limit(known)
    })
}

/// Read a task
///
/// Tasks that have ended can be read for as long as they are remembered, which is longer than they are
/// listed.
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}",
    tag = "tasks",
    operation_id = "getTask",
    params(
        ("id" = String, Path, description = "Its id"),
        ("wait" = Option<u32>, Query, description = "Wait up to so many seconds for its end"),
    ),
    responses((status = 200, description = "The task", body = Task), ReadProblems),
)]
pub(crate) async fn read(state: Visit, Segment(text): Segment, mut params: Params) -> Answer {
    let wait = params.parsed("wait")?.map(Duration::from_secs).unwrap_or_default();
    params.nothing_else()?;
    let id = task_id(&state, &text).await?;
    let task = mutation::ended(&state, id, wait.min(MAX_WAIT)).await?;
    // The view has at least what was waited for; its encoding may be there already.
    let seen = state.seen();
    let body = match seen.task(id) {
        Some(record) if record.revision >= task.revision => native(record),
        _ => encode(&*task),
    };
    Ok(answer::json(seen.revision(), body))
}

/// Cancel a task
///
/// It stops where it is and takes back what it has done. One that is past its point of no return
/// (`cancellable` is false) is refused, as is one that has ended. With `Prefer: wait=N` the answer has the task
/// when it has ended, one way or another.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/cancel",
    tag = "tasks",
    operation_id = "cancelTask",
    params(
        ("id" = String, Path, description = "Its id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "The task has ended", body = Outcome),
        (status = 202, description = "The task was asked to stop", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn cancel(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    params.nothing_else()?;
    let id = task_id(&state, &text).await?;
    state.operations().cancel(&asked.caller, id).await?;
    mutation::answer_of_task(&state, &asked, id).await
}

/// The task that a path names.
///
/// # Errors
/// It is none; or it is not there, where that can be told at once.
pub(crate) async fn task_id(state: &Visit, text: &str) -> Result<TaskId, Refusal> {
    let id = text.parse().map_err(|_| Refusal::not_found("task", text))?;
    mutation::check_task(state, id).await?;
    Ok(id)
}

#[cfg(test)]
mod tests;
