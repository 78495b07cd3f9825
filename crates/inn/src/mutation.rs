//! Asking for changes and seeing them through: each becomes a task, which is waited for, shown while
//! it goes on, and told of when it has ended.
//!
//! Waiting is this side's alone: to stop waiting, with Ctrl-C or for any other reason, stops no task.

use crate::{
    cli::Context,
    client::{Call, Client, Target, decode},
    failure::{Exit, Failure},
    output::{Format, Output, Progress},
};
use clap::Args;
use innkeeper_model::{Refusal, Task, TaskId, TaskState};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long one request waits for a task's end: short where somebody watches its steps go by.
const SLICE_WATCHED_S: u64 = 1;
const SLICE_S: u64 = 30;

/// What every command that changes something takes.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Waiting {
    /// Do not wait until it is done; print the id of its task
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// One change to ask for.
#[derive(Debug)]
pub(crate) struct Job {
    /// What is changed, in the caller's words.
    pub(crate) subject: String,
    /// The request.
    pub(crate) call: Call,
    /// What to say when it is done: `started`.
    pub(crate) done: &'static str,
    /// What to show when it is done.
    pub(crate) shows: Shows,
}

/// What a change leaves to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// The VM.
    Vm,
    /// The image.
    Image,
    /// The network that the job is about.
    Network,
    /// The subnet that the job is about.
    Subnet,
    /// Only the task: the thing is gone.
    Task,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    task: Task,
}

/// Asks for all changes at once, then waits for each. One that fails does not keep the others back.
///
/// # Errors
/// The first failure, or, if there were several things to do, its exit code: the failures have then
/// been told one by one.
pub(crate) async fn carry_out(
    context: &Context,
    waiting: Waiting,
    jobs: Vec<Job>,
) -> Result<(), Failure> {
    let Context { client, output, .. } = context;
    let several = jobs.len() > 1;
    let mut ledger = Ledger { several, output, shown: Vec::new(), exit: Exit::Done };
    let mut accepted = Vec::new();
    for job in jobs {
        match client.call(job.call.clone()).await.and_then(|answer| decode(answer.body)) {
            Ok(Accepted { task }) => accepted.push((job, task)),
            // Without a daemon all others would say the same.
            Err(failure) if failure.exit == Exit::Unreachable => return Err(failure),
            Err(failure) => ledger.fail(&job, failure)?,
        }
    }
    see_through(context, waiting, accepted, ledger).await
}

/// Waits for one change that was accepted, by this answer.
///
/// # Errors
/// As [`carry_out`].
pub(crate) async fn wait_for(
    context: &Context,
    waiting: Waiting,
    job: Job,
    answer: Value,
) -> Result<(), Failure> {
    let Accepted { task } = decode(answer)?;
    let output = &context.output;
    let ledger = Ledger { several: false, output, shown: Vec::new(), exit: Exit::Done };
    see_through(context, waiting, vec![(job, task)], ledger).await
}

async fn see_through(
    context: &Context,
    waiting: Waiting,
    accepted: Vec<(Job, Task)>,
    mut ledger: Ledger<'_>,
) -> Result<(), Failure> {
    let Context { client, output, .. } = context;
    if waiting.no_wait {
        let tasks: Vec<_> = accepted.into_iter().map(|(_, task)| task).collect();
        return show_tasks(output, tasks).and(ledger.close());
    }
    let mut pending: Vec<TaskId> = accepted.iter().map(|(_, task)| task.id).collect();
    for (job, task) in accepted {
        let settled = tokio::select! {
            settled = settle(client, output, task) => settled,
            _ = tokio::signal::ctrl_c() => return Err(interrupted(&pending)),
        };
        pending.remove(0);
        match settled {
            Ok(task) => {
                output.talk(format_args!("{}: {}", task.subject, job.done));
                ledger.shown.push(shown(context, &job, task).await?);
            }
            Err(failure) => ledger.fail(&job, failure)?,
        }
    }
    ledger.close()
}

/// Waits until the task has ended, showing its steps.
///
/// # Errors
/// It failed or was cancelled; or the daemon went away, which says nothing about the task.
pub(crate) async fn settle(
    client: &Client,
    output: &Output,
    mut task: Task,
) -> Result<Task, Failure> {
    let progress = Progress::of(&task, output);
    let slice = if output.watched() { SLICE_WATCHED_S } else { SLICE_S };
    let mut has_waited = false;
    // One that has ended is waited for too, until what it did can be seen. One that was interrupted waits
    // for a person, who may be the one who waits here.
    while task.state != TaskState::Interrupted
        && !(task.state.is_final() && (has_waited || task.settled_at.is_some()))
    {
        let target = task_target(task.id).with("wait", slice);
        let call = Call::get(target).waiting(Duration::from_secs(slice));
        let answer = client.call(call).await.map_err(|failure| lost(failure, task.id))?;
        task = decode(answer.body)?;
        progress.show(&task);
        has_waited = true;
    }
    drop(progress);
    for warning in &task.warnings {
        output.warn(format_args!("{}: {warning}", task.subject));
    }
    if task.state == TaskState::Done && task.settled_at.is_none() {
        output
            .warn(format_args!("{}: it is done, and may not be seen everywhere yet", task.subject));
    }
    match task.state {
        TaskState::Done => Ok(task),
        _ => Err(ended_badly(task)),
    }
}

pub(crate) fn task_target(id: TaskId) -> Target {
    Target::new("/v1/tasks").segment(id)
}

/// Why a task that was not done was not.
pub(crate) fn ended_badly(task: Task) -> Failure {
    let word = match task.state {
        TaskState::Cancelled => "was cancelled",
        TaskState::Interrupted => "was interrupted",
        _ => "failed",
    };
    let mut failure = task.error.map(|refusal: Refusal| refusal.into()).unwrap_or_else(|| {
        let message = format!("{} of {} {word}", task.operation, task.subject);
        Failure::new(Exit::Failed, message).with_hint(format!("inn task show {}", task.id))
    });
    // Next to why it failed: this is what is to be mended before the next try.
    failure.causes.extend(task.leftovers.into_iter().map(|left| format!("left behind: {left}")));
    failure
}

fn lost(failure: Failure, task: TaskId) -> Failure {
    let hint = format!("how the task ended will be told by: inn task show {task}");
    failure.with_hint(hint)
}

fn interrupted(pending: &[TaskId]) -> Failure {
    let list: Vec<_> = pending.iter().map(ToString::to_string).collect();
    let (goes_on, first) = match &list[..] {
        [only] => ("the task goes on", only.as_str()),
        [first, ..] => ("the tasks go on", first.as_str()),
        [] => return Failure::silent(Exit::Interrupted),
    };
    let message = format!("stopped waiting; {goes_on}: {}", list.join(", "));
    Failure::new(Exit::Interrupted, message)
        .with_hint(format!("inn task watch {first}, or inn task cancel {first}"))
}

/// What to show of a change that was made.
async fn shown(context: &Context, job: &Job, task: Task) -> Result<Value, Failure> {
    let output = &context.output;
    if output.format == Format::Name {
        // What is done to a subnet is a task of its network.
        let own = matches!(job.shows, Shows::Subnet);
        output.line(if own { &job.subject } else { &task.subject })?;
    }
    if !matches!(output.format, Format::Json | Format::Yaml) {
        return Ok(Value::Null);
    }
    let target = match (job.shows, task.vm) {
        (Shows::Vm, Some(vm)) => Target::vm(vm),
        (Shows::Image, _) => Target::new("/v1/images").segment(&task.subject),
        (Shows::Network, _) => Target::new("/v1/networks").segment(&job.subject),
        (Shows::Subnet, _) => Target::new("/v1/subnets").segment(&job.subject),
        _ => {
            return serde_json::to_value(task)
                .map_err(|error| crate::client::incomprehensible(&error));
        }
    };
    Ok(context.client.get(target).await?.body)
}

fn show_tasks(output: &Output, tasks: Vec<Task>) -> Result<(), Failure> {
    match (output.format, &tasks[..]) {
        (Format::Json | Format::Yaml, [task]) => output.document(task),
        (Format::Json | Format::Yaml, tasks) => output.document(&tasks),
        (_, tasks) => tasks.iter().try_for_each(|task| output.line(task.id)),
    }
}

/// What came of several things that were asked for together.
struct Ledger<'a> {
    several: bool,
    output: &'a Output,
    shown: Vec<Value>,
    exit: Exit,
}

impl Ledger<'_> {
    fn fail(&mut self, job: &Job, failure: Failure) -> Result<(), Failure> {
        if !self.several {
            return Err(failure);
        }
        if self.exit == Exit::Done {
            self.exit = failure.exit;
        }
        self.output.fail(&failure.of(&job.subject));
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        match (self.output.format, &self.shown[..]) {
            (Format::Table | Format::Name, _) => {}
            (_, [one]) if !self.several => self.output.document(one)?,
            // Nothing to show of what was not waited for.
            (_, []) if !self.several => {}
            (_, all) => self.output.document(&all)?,
        }
        if self.exit == Exit::Done { Ok(()) } else { Err(Failure::silent(self.exit)) }
    }
}
