//! `inn task resume` and `inn task undo`: an operation that stopped halfway goes on, or back.

use super::watch;
use crate::{
    cli::Context,
    client::Call,
    failure::{Exit, Failure},
    mutation::{Waiting, ended_badly, task_target},
    output::Format,
};
use clap::Args;
use innkeeper_model::{Task, TaskId, TaskState};

#[derive(Debug, Args)]
pub(in crate::cli) struct Resolve {
    /// The task's id, as `inn get` shows it of an interrupted VM
    id: TaskId,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn resume(context: &Context, resolve: Resolve) -> Result<(), Failure> {
    match ask(context, resolve, "resume").await? {
        Some(task) if task.state != TaskState::Done => Err(ended_badly(task)),
        _ => Ok(()),
    }
}

/// What is undone has not been done, so it ends as failed or cancelled; to that extent that is as it
/// was asked for.
pub(super) async fn undo(context: &Context, resolve: Resolve) -> Result<(), Failure> {
    match ask(context, resolve, "undo").await? {
        Some(task) if !task.leftovers.is_empty() => {
            let message = format!("{} of {} is not all undone", task.operation, task.subject);
            let mut failure = Failure::new(Exit::Failed, message)
                .with_hint("it is tried again; inn diagnose shows what is left");
            failure.causes = task.leftovers;
            Err(failure)
        }
        Some(task) if matches!(task.state, TaskState::Failed | TaskState::Cancelled) => Ok(()),
        Some(task) => Err(ended_badly(task)),
        None => Ok(()),
    }
}

/// Asks for it, and follows the task to its end; `None` where nobody waits for that.
async fn ask(
    context: &Context,
    Resolve { id, waiting }: Resolve,
    word: &str,
) -> Result<Option<Task>, Failure> {
    let answer = context.client.call(Call::post(task_target(id).segment(word))).await?;
    if !waiting.no_wait {
        return watch::follow(context, id).await.map(Some);
    }
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answer.body["task"])?,
        Format::Name | Format::Table => context.output.line(id)?,
    }
    Ok(None)
}
