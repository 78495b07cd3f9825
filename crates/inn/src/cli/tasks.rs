//! `inn tasks`: what is being done, and with `--all` what was.

use super::Context;
use crate::{
    client::{Target, decode},
    failure::Failure,
    figures::age,
    output::{Cell, Format, Table, Tint},
};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{Task, TaskState, Timestamp, task::StepState};
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Tasks {
    /// Those that have ended, too
    #[arg(long)]
    all: bool,
    /// Only those of this VM
    #[arg(long, value_name = "VM", add = ArgValueCompleter::new(super::completion::vm_names))]
    vm: Option<String>,
}

pub(super) async fn run(context: &Context, tasks: Tasks) -> Result<(), Failure> {
    let Context { client, output, .. } = context;
    let mut target = Target::new("/v1/tasks");
    if let Some(vm) = &tasks.vm {
        target = target.with("vm", context.vm_id(vm).await?);
    }
    let mut found: Vec<(Value, Task)> = Vec::new();
    for item in client.list(target).await? {
        let task: Task = decode(item.clone())?;
        if tasks.all || !task.state.is_final() {
            found.push((item, task));
        }
    }
    match output.format {
        Format::Json | Format::Yaml => {
            output.document(&found.iter().map(|(item, _)| item).collect::<Vec<_>>())
        }
        Format::Name => found.iter().try_for_each(|(_, task)| output.line(task.id)),
        Format::Table if found.is_empty() => {
            let all = if tasks.all { "" } else { "; inn tasks --all shows what was" };
            output.talk(format_args!("nothing is being done{all}"));
            Ok(())
        }
        Format::Table => output.table(&table(found.iter().map(|(_, task)| task))),
    }
}

fn table<'a>(tasks: impl Iterator<Item = &'a Task>) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new(["ID", "OPERATION", "OF", "STATE", "AGE", "BY", "NOTE"]);
    for task in tasks {
        table.row([
            task.id.to_string().into(),
            task.operation.as_str().into(),
            task.subject.as_str().into(),
            state(task.state),
            age(task.created, now).into(),
            task.caller.as_str().into(),
            note(task).into(),
        ]);
    }
    table
}

/// A task's state in its colour.
pub(super) fn state(state: TaskState) -> Cell {
    match state {
        TaskState::Queued => "queued".into(),
        TaskState::Running => Cell::tinted("running", Tint::Busy),
        TaskState::Done => Cell::tinted("done", Tint::Good),
        TaskState::Failed => Cell::tinted("failed", Tint::Bad),
        TaskState::Cancelled => Cell::tinted("cancelled", Tint::Bad),
        TaskState::Interrupted => Cell::tinted("interrupted", Tint::Bad),
    }
}

fn note(task: &Task) -> String {
    let running = task.steps.iter().find(|step| step.state == StepState::Running);
    let note = match (&task.error, running) {
        (Some(error), _) => error.message.clone(),
        (None, Some(step)) => step.name.to_string(),
        (None, None) => String::new(),
    };
    match task.leftovers.len() {
        0 => note,
        left => format!("{note} ({left} left behind)"),
    }
}
