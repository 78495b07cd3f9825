//! `inn task watch`: one task as it goes on. On a terminal its steps are drawn over and over;
//! elsewhere there is a line a change.

mod lines;

use super::show;
use crate::{
    cli::{Context, tasks},
    client::{Feed, FeedLine},
    failure::{Exit, Failure},
    mutation::{ended_badly, task_target},
    output::{Format, Live},
};
use clap::Args;
use innkeeper_model::{Task, TaskId, TaskState, Timestamp};
use std::{cell::RefCell, pin::pin, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// How often what is drawn is drawn anew while nothing happens, for the sake of its times.
const TURN: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(
    after_help = "-o json writes the daemon's lines as they come, each with the whole task. To stop \
    watching stops nothing. Exits with 0 if the task was done, and as the command that began it would \
    have if not."
)]
pub(in crate::cli) struct Watch {
    /// The task's id
    id: TaskId,
}

pub(super) async fn run(context: &Context, Watch { id }: Watch) -> Result<(), Failure> {
    let task = follow(context, id).await?;
    if task.state == TaskState::Done { Ok(()) } else { Err(ended_badly(task)) }
}

/// Shows a task until it has ended, or waits for a person, and returns it as it is then.
///
/// # Errors
/// There is no such task, or no daemon in the first place. Once connected, a daemon that is gone is
/// waited for: the next one takes the task up.
pub(super) async fn follow(context: &Context, id: TaskId) -> Result<Task, Failure> {
    let notes = RefCell::new(None);
    let mut shown = Shown::new(context);
    // What is drawn over would swallow what is said below it.
    let note = |text: &str| {
        if shown_is_drawn(context) {
            notes.replace(Some(text.to_owned()));
        } else {
            context.output.talk(text);
        }
    };
    let target = task_target(id).segment("events");
    let mut feed = Feed::new(&context.client, &context.output, target, None).telling(&note);
    let mut turn = interval(TURN);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut next = pin!(feed.next());
        let notice = loop {
            tokio::select! {
                notice = &mut next => break notice?,
                _ = turn.tick(), if shown.is_drawn() => shown.draw(notes.borrow().as_deref())?,
                _ = tokio::signal::ctrl_c() => return Err(stopped_watching(id)),
            }
        };
        let FeedLine::Task { task } = notice.line else { continue };
        notes.replace(None);
        let over = task.state.is_final() || task.state == TaskState::Interrupted;
        shown.show(&task, &notice.text)?;
        if over {
            shown.end(&task)?;
            return Ok(*task);
        }
    }
}

fn stopped_watching(id: TaskId) -> Failure {
    Failure::new(Exit::Interrupted, format!("stopped watching; the task goes on: {id}"))
        .with_hint(format!("inn task watch {id}, or inn task cancel {id}"))
}

/// Whether the task is drawn over and over.
fn shown_is_drawn(context: &Context) -> bool {
    context.output.format == Format::Table && context.output.draws()
}

/// What of the task has been shown, and how.
struct Shown<'a> {
    context: &'a Context,
    live: Option<Live>,
    last: Option<Task>,
}

impl<'a> Shown<'a> {
    fn new(context: &'a Context) -> Self {
        let live = shown_is_drawn(context).then(Live::default);
        Self { context, live, last: None }
    }

    fn is_drawn(&self) -> bool {
        self.live.is_some()
    }

    /// Shows what is new in a task, of which the daemon wrote this line.
    fn show(&mut self, task: &Task, line: &[u8]) -> Result<(), Failure> {
        let output = &self.context.output;
        match output.format {
            Format::Json => output.data([line, b"\n"].concat())?,
            Format::Yaml => {
                output.data("---\n")?;
                output.document(task)?;
            }
            Format::Name => {}
            Format::Table if self.live.is_none() => {
                for line in lines::new_in(self.last.as_ref(), task) {
                    output.line(crate::output::plain(&line))?;
                }
            }
            Format::Table => {}
        }
        self.last = Some(task.clone());
        self.draw(None)
    }

    /// Draws the task as it was last told, with a note under it.
    fn draw(&mut self, note: Option<&str>) -> Result<(), Failure> {
        let (Some(live), Some(task)) = (&mut self.live, &self.last) else { return Ok(()) };
        let output = &self.context.output;
        let steps = output.render(&show::steps(task, Timestamp::now()));
        let steps = steps.lines().map(str::to_owned);
        let current = lines::current(task);
        live.draw(output, lines::title(task), steps.collect(), current, note)
    }

    /// Shows how it ended.
    fn end(&mut self, task: &Task) -> Result<(), Failure> {
        let output = &self.context.output;
        if let Some(live) = self.live.take() {
            live.clear(output)?;
            return show::whole(self.context, task);
        }
        match output.format {
            Format::Name => output.line(tasks::state(task.state).text()),
            _ => Ok(()),
        }
    }
}
