//! `inn task show`: all of one task.

use crate::{
    cli::{Context, tasks},
    client::decode,
    failure::Failure,
    mutation::{settle, task_target},
    output::{Cell, Format, Table, Tint},
};
use clap::Args;
use innkeeper_model::{
    Task, TaskId, Timestamp,
    task::{StepState, TaskStep},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The task's id
    id: TaskId,
    /// Wait until it has ended first
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(context: &Context, Show { id, follow }: Show) -> Result<(), Failure> {
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
        Format::Table => whole(context, &decode(body)?)?,
    }
    ended
}

/// All of a task, for people.
pub(super) fn whole(context: &Context, task: &Task) -> Result<(), Failure> {
    let output = &context.output;
    output.table(&fields(task))?;
    if !task.steps.is_empty() {
        output.data("\n")?;
        output.table(&steps(task, Timestamp::now()))?;
    }
    if !task.log.is_empty() {
        output.data("\n")?;
        output.table(&log(task))?;
    }
    Ok(())
}

/// What a task is, and how it ended.
fn fields(task: &Task) -> Table {
    let mut table = Table::of_fields();
    table.field("id", task.id.to_string());
    table.field("operation", &task.operation);
    table.field("of", &task.subject);
    if let Some(vm) = task.vm {
        table.field("vm", vm.to_string());
    }
    if let Some(project) = &task.project {
        table.field("project", project.as_str());
    }
    for resource in &task.resources {
        table.field("holds", resource);
    }
    table.field("by", &task.caller);
    if let Some(request) = &task.request_id {
        table.field("request", request);
    }
    table.field("state", tasks::state(task.state));
    if let Some(percent) = task.percent.filter(|_| !task.state.is_final()) {
        table.field("done", format!("{percent} %"));
    }
    if !task.state.is_final() {
        table.field("cancellable", if task.cancellable { "yes" } else { "no" });
    }
    table.field("created", format!("{:.3}", task.created));
    if let Some(started) = task.started {
        table.field("started", format!("{started:.3}"));
    }
    if let Some(ended) = task.ended {
        table.field("ended", format!("{ended:.3}"));
    }
    if task.taken_up > 0 {
        let times = if task.taken_up == 1 { "once" } else { "more than once" };
        table.field("taken up", format!("{times}, by a daemon after the one that ended in it"));
    }
    add_outcome(&mut table, task);
    table
}

fn add_outcome(table: &mut Table, task: &Task) {
    for warning in &task.warnings {
        table.field("warning", Cell::tinted(warning, Tint::Busy));
    }
    for leftover in &task.leftovers {
        table.field("left behind", Cell::tinted(leftover, Tint::Bad));
    }
    let Some(error) = &task.error else { return };
    table.field("error", Cell::tinted(&error.message, Tint::Bad));
    for cause in &error.causes {
        table.field("because", cause);
    }
    if let Some(hint) = &error.hint {
        table.field("hint", hint);
    }
}

/// The steps of a task, with when they began and how long they took.
pub(super) fn steps(task: &Task, now: Timestamp) -> Table {
    let mut table = Table::new(["STEP", "STATE", "BEGAN", "TOOK"]);
    let zero = task.started.unwrap_or(task.created);
    for step in &task.steps {
        let began = step.started.map(|began| format!("+{:.3}s", seconds(zero, began)));
        table.row([
            step.name.as_str().into(),
            step_state(step.state),
            began.unwrap_or_default().into(),
            took(step, now).into(),
        ]);
    }
    table
}

/// How long a step took, or has taken until now.
pub(super) fn took(step: &TaskStep, now: Timestamp) -> String {
    match (step.took_us, step.started) {
        (Some(took_us), _) if took_us < 1_000_000 => format!("{:.1}ms", took_us as f64 / 1e3),
        (Some(took_us), _) => format!("{:.3}s", took_us as f64 / 1e6),
        (None, Some(began)) if step.state == StepState::Running => {
            format!("{:.1}s so far", seconds(began, now))
        }
        _ => String::new(),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// A step's state in its colour.
pub(super) fn step_state(state: StepState) -> Cell {
    match state {
        StepState::Waiting => Cell::tinted("waiting", Tint::Faint),
        StepState::Running => Cell::tinted("running", Tint::Busy),
        StepState::Done => Cell::tinted("done", Tint::Good),
        StepState::Failed => Cell::tinted("failed", Tint::Bad),
        StepState::Undone => Cell::tinted("undone", Tint::Busy),
        StepState::Stuck => Cell::tinted("could not be undone", Tint::Bad),
        StepState::Unknown => Cell::tinted("not known", Tint::Bad),
    }
}

fn log(task: &Task) -> Table {
    let mut table = Table::new(["TIME", "WHAT HAPPENED"]);
    for line in &task.log {
        table.row([format!("{:.3}", line.at).into(), line.text.as_str().into()]);
    }
    table
}
