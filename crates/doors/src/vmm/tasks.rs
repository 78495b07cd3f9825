//! What is being done, and what came of it.

use super::{
    State,
    answer::{Answer, Body, Failures},
    wire::{TaskInfo, TaskTarget},
};
use axum::Json;
use innkeeper_model::{Refusal, Task, TaskId, TaskState};

/// How far a task has come
#[utoipa::path(
    post,
    path = "/vm/task",
    operation_id = "task",
    request_body = TaskTarget,
    responses((status = 200, description = "The task", body = TaskInfo), Failures),
)]
pub(super) async fn task(
    state: State,
    Body(TaskTarget { task_id }): Body<TaskTarget>,
) -> Answer<TaskInfo> {
    let none = || Refusal::not_found("task", &task_id);
    let id: TaskId = task_id.parse().map_err(|_| none())?;
    let task = state.sight().task(state.operations(), id).await.ok_or_else(none)?;
    Ok(Json(shown(&task)))
}

fn shown(task: &Task) -> TaskInfo {
    let message = match (&task.error, task.percent) {
        (Some(error), _) => error.to_string(),
        (None, Some(percent)) => format!("{percent} % of it is done"),
        (None, None) => format!("{} of {}", task.operation, task.subject),
    };
    TaskInfo {
        success: matches!(task.state, TaskState::Queued | TaskState::Running | TaskState::Done),
        task_id: task.id.to_string(),
        operation: task.operation.clone(),
        state: format!("{:?}", task.state).to_lowercase(),
        build_id: task.vm.map(|vm| vm.to_string()),
        message,
        created_at: task.created.as_second(),
    }
}
