//! Tasks that stopped halfway: a person says whether they go on or back.

use super::task_id;
use crate::{
    protocol::{
        asked::{Asked, Segment},
        mutation::{self, Outcome},
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    visit::Visit,
};
use innkeeper_engine::Resolution;

/// Have an interrupted task go on
///
/// From the step at which it stopped. A task that is not interrupted is refused.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/resume",
    tag = "tasks",
    operation_id = "resumeTask",
    params(
        ("id" = String, Path, description = "Its id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "The task has ended", body = Outcome),
        (status = 202, description = "The task goes on", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn resume(state: Visit, text: Segment, params: Params, asked: Asked) -> Answer {
    resolve(&state, &text, params, &asked, Resolution::Resume).await
}

/// Have an interrupted task undone
///
/// What is known of it is taken back, the last step first. A task that is not interrupted is refused.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/undo",
    tag = "tasks",
    operation_id = "undoTask",
    params(
        ("id" = String, Path, description = "Its id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    responses(
        (status = 200, description = "The task has ended", body = Outcome),
        (status = 202, description = "The task is being undone", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn undo(state: Visit, text: Segment, params: Params, asked: Asked) -> Answer {
    resolve(&state, &text, params, &asked, Resolution::Undo).await
}

async fn resolve(
    state: &Visit,
    text: &Segment,
    params: Params,
    asked: &Asked,
    resolution: Resolution,
) -> Answer {
    params.nothing_else()?;
    let id = task_id(state, &text.0).await?;
    state.operations().resolve(&asked.caller, id, resolution).await?;
    mutation::answer_of_task(state, asked, id).await
}
