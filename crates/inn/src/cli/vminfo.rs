//! `inn vminfo`: what vminfod's door shows, asked over the door itself.
//!
//! It is for looking at the door as its clients see it, and takes words and exits as the ancestor's
//! command does: with 1 whatever is wrong.

mod door;
mod told;

pub(super) use door::DoorClient;
pub(super) use told::{Telling, follow};

use super::Cli;
use crate::{
    failure::{Exit, Failure},
    output::{Output, plain},
};
use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use serde_json::Value;
use std::ffi::OsString;

/// The words of a command that has a grammar of its own.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Words {
    /// A command and what it takes; `help` lists them
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Words {
    /// What they mean by this grammar; `None` where they asked for help, which has been given.
    ///
    /// # Errors
    /// They mean nothing, which has been said.
    pub(super) fn parse<P: Parser>(self, usage: Exit) -> Result<Option<P>, Failure> {
        let name = P::command().get_name().to_owned();
        match P::try_parse_from(std::iter::once(name.into()).chain(self.words)) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(mut error) => {
                hint_at_place(&mut error, P::command().get_name());
                // To print help to a reader who has gone is no failure either.
                let _ = error.print();
                match error.kind() {
                    ErrorKind::DisplayHelp => Ok(None),
                    _ => Err(Failure::silent(usage)),
                }
            }
        }
    }
}

/// Where an option is one of `inn` itself, says that it comes before the command.
fn hint_at_place(error: &mut clap::Error, command: &str) {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return };
    let long = given.trim_start_matches('-').split(['=', ' ']).next().unwrap_or_default();
    let inn = Cli::command();
    if !inn.get_arguments().any(|option| option.get_long() == Some(long)) {
        return;
    }
    let (own, word) = command.rsplit_once(' ').unwrap_or(("inn", command));
    let tip = format!("--{long} is an option of {own} itself: {own} --{long} ... {word}");
    let tip = ContextValue::StyledStrs(vec![tip.into()]);
    // Not one of its own that is merely written alike.
    error.remove(ContextKind::SuggestedArg);
    error.insert(ContextKind::Suggested, tip);
}

/// Ask vminfod's door
#[derive(Debug, Parser)]
#[command(name = "inn vminfo", disable_version_flag = true)]
struct Vminfo {
    /// Where the door is [env: VMINFOD_ADDRESS]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    address: Option<String>,
    #[command(subcommand)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// See whether it is open (GET /ping)
    Ping,
    /// Show how the daemon is (GET /status)
    Status {
        /// As JSON
        #[arg(short, long)]
        json: bool,
        /// With what is watched and refreshed
        #[arg(short, long)]
        full: bool,
    },
    /// Show all VMs (GET /vms)
    Vms,
    /// Show one VM (GET /vms/UUID)
    Vm {
        /// The VM's id
        uuid: String,
    },
    /// Show what happens to VMs (GET /events)
    Events {
        /// As JSON, an object a line
        #[arg(short, long)]
        json: bool,
        /// With whole dates and ids
        #[arg(short, long)]
        full: bool,
        /// The first line too, which has all VMs
        #[arg(short, long)]
        ready: bool,
    },
}

pub(super) async fn run(output: &Output, words: Words) -> Result<(), Failure> {
    let Some(asked) = words.parse::<Vminfo>(Exit::Failed)? else { return Ok(()) };
    let door = DoorClient::new(asked.address, &name("Vminfod CLI", "VMINFOD_NAME"));
    let done = match asked.asked {
        Asked::Ping => ping(output, &door).await,
        Asked::Status { json, full } => status(output, &door, json, full).await,
        Asked::Vms => show(output, &door.get("/vms").await?),
        Asked::Vm { uuid } => show_vm(output, &door, &uuid).await,
        Asked::Events { json, full, ready } => {
            follow(output, &door, None, Telling { json, full, ready, by_uuid: false }).await
        }
    };
    done.map_err(|failure| Failure { exit: Exit::Failed, ..failure })
}

/// What a listener calls itself: the command, with the caller's own word for it.
pub(super) fn name(command: &str, variable: &str) -> String {
    match std::env::var(variable) {
        Ok(word) if !word.is_empty() => format!("{word} ({command})"),
        _ => command.to_owned(),
    }
}

async fn ping(output: &Output, door: &DoorClient) -> Result<(), Failure> {
    let answer = door.get("/ping").await?;
    output.line(plain(answer["ping"].as_str().unwrap_or_default()))
}

async fn show_vm(output: &Output, door: &DoorClient, uuid: &str) -> Result<(), Failure> {
    show(output, &door.get(&format!("/vms/{}", door::escaped(uuid))).await?)
}

fn show(output: &Output, answer: &Value) -> Result<(), Failure> {
    output.line(format_args!("{answer:#}"))
}

async fn status(output: &Output, door: &DoorClient, json: bool, full: bool) -> Result<(), Failure> {
    let status = door.get(if full { "/status?full=true" } else { "/status" }).await?;
    match json {
        true => show(output, &status),
        false => output.line(plain(&described(&status))),
    }
}

/// The status for people.
fn described(status: &Value) -> String {
    let at = |pointer: &str| text(status.pointer(pointer).unwrap_or(&Value::Null));
    let count = |pointer: &str| match status.pointer(pointer) {
        Some(Value::Array(all)) => all.len(),
        Some(Value::Object(all)) => all.len(),
        _ => 0,
    };
    let rss = status.pointer("/memory/rss").and_then(Value::as_f64).unwrap_or_default();
    let mut lines = vec![
        format!("state: {} ({})", at("/state"), at("/status")),
        format!("pid: {}", at("/pid")),
        format!("uptime: {}", at("/uptime")),
        format!("rss: {:.2}mb", rss / f64::from(1 << 20)),
        format!("numVms: {}", at("/numVms")),
        "queue".into(),
        format!("  paused: {}", at("/queue/paused")),
        format!("  idle: {}", at("/queue/idle")),
        format!("  npending: {}", at("/queue/vasync_queue/npending")),
        format!("  nqueued: {}", at("/queue/vasync_queue/nqueued")),
        "fullRefresh".into(),
        format!("  lastRefresh: {}", at("/lastRefresh")),
    ];
    if status.get("fswatcher").is_some() {
        lines.push("fswatcher".into());
        lines.push(format!("  running: {}", at("/fswatcher/running")));
        lines.push(format!("  watching: {}", count("/fswatcher/watching")));
    }
    lines.push(format!("eventsListeners: ({} listeners)", count("/eventsListeners")));
    let listeners = status.get("eventsListeners").and_then(Value::as_object);
    for (id, listener) in listeners.into_iter().flatten() {
        lines.push(format!("  - {}", text(&listener["userAgent"])));
        lines.push(format!("    {id} created {} ago", text(&listener["createdAgo"])));
    }
    lines.join("\n")
}

/// A text as it is, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_shown_line_by_line() {
        let status = json!({
            "state": "running", "status": "working", "pid": 7, "uptime": 1427,
            "memory": { "rss": 50143232 }, "numVms": 3, "lastRefresh": null, "refreshErrors": [],
            "queue": { "paused": false, "idle": true, "vasync_queue": { "npending": 0, "nqueued": 0 } },
            "eventsListeners": { "x": { "userAgent": "agent", "createdAgo": "1.5s (1.50s)" } },
        });
        assert_eq!(
            described(&status),
            "state: running (working)\npid: 7\nuptime: 1427\nrss: 47.82mb\nnumVms: 3\nqueue\n  \
             paused: false\n  idle: true\n  npending: 0\n  nqueued: 0\nfullRefresh\n  lastRefresh: null\n\
             eventsListeners: (1 listeners)\n  - agent\n    x created 1.5s (1.50s) ago"
        );
    }
}
