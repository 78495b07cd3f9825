//! `inn task ...`: one task, shown, followed, stopped, and seen through where it stands halfway.

mod cancel;
mod resolve;
mod show;
mod watch;

use super::Context;
use crate::failure::Failure;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Show all of a task: who asked, its steps, what happened in it, what it left behind
    Show(show::Show),
    /// Show a task as it goes on, until it has ended
    Watch(watch::Watch),
    /// Stop a task and undo what it has done
    Cancel(cancel::Cancel),
    /// Have an interrupted task go on from where it stopped
    Resume(resolve::Resolve),
    /// Have an interrupted task undone
    Undo(resolve::Resolve),
}

pub(super) async fn run(context: &Context, command: TaskCommand) -> Result<(), Failure> {
    match command {
        TaskCommand::Show(task) => show::run(context, task).await,
        TaskCommand::Watch(task) => watch::run(context, task).await,
        TaskCommand::Cancel(task) => cancel::run(context, task).await,
        TaskCommand::Resume(task) => resolve::resume(context, task).await,
        TaskCommand::Undo(task) => resolve::undo(context, task).await,
    }
}
