//! `inn task show` and `inn task cancel`.

use super::{Context, tasks};
use crate::{
    client::{Call, decode},
    failure::Failure,
    mutation::{settle, task_target},
    output::{Format, Table},
};
use clap::{Args, Subcommand};
use innkeeper_model::{Task, TaskId, task::StepState};

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Show a task and its steps
    Show(Show),
    /// Stop a task and undo what it has done
    Cancel(Cancel),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The task's id
    id: TaskId,
    /// Wait until it has ended first
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// The task's id
    id: TaskId,
}

pub(super) async fn run(context: &Context, command: TaskCommand) -> Result<(), Failure> {
    match command {
        TaskCommand::Show(task) => show(context, task).await,
        TaskCommand::Cancel(task) => cancel(context, task.id).await,
    }
}

async fn show(context: &Context, Show { id, follow }: Show) -> Result<(), Failure> {
    let Context { client, output, .. } = context;
    let mut body = client.get(task_target(id)).await?.body;
    let mut ended = Ok(());
    if follow {
        ended = settle(client, output, decode(body)?).await.map(drop);
        body = client.get(task_target(id)).await?.body;
    }
    match output.format {
        Format::Json | Format::Yaml => output.document(&body)?,
        Format::Name => output.line(id)?,
        Format::Table => output.table(&table(&decode(body)?))?,
    }
    ended
}

async fn cancel(context: &Context, id: TaskId) -> Result<(), Failure> {
    let answer = context.client.call(Call::post(task_target(id).segment("cancel"))).await?;
    context.output.talk(format_args!("asked {id} to stop: inn task show {id} tells what it did"));
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answer.body),
        Format::Name => context.output.line(id),
        Format::Table => Ok(()),
    }
}

fn table(task: &Task) -> Table {
    let mut table = Table::of_fields();
    table.field("id", task.id.to_string());
    table.field("operation", &task.operation);
    table.field("of", &task.subject);
    table.field("by", &task.caller);
    table.field("state", tasks::state(task.state));
    table.field("created", format!("{:.3}", task.created));
    if let Some(ended) = task.ended {
        table.field("ended", format!("{ended:.3}"));
    }
    for step in &task.steps {
        let took = step.took_us.map(|took| format!(", {:.1} ms", took as f64 / 1e3));
        let state = match step.state {
            StepState::Waiting => "waiting",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Undone => "undone",
            StepState::Stuck => "could not be undone",
            StepState::Unknown => "not known",
        };
        table.field("step", format!("{}: {state}{}", step.name, took.unwrap_or_default()));
    }
    for warning in &task.warnings {
        table.field("warning", warning);
    }
    if let Some(error) = &task.error {
        table.field("error", &error.message);
        for cause in &error.causes {
            table.field("because", cause);
        }
        if let Some(hint) = &error.hint {
            table.field("hint", hint);
        }
    }
    table
}
