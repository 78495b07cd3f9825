//! `inn events`: the feed, for people or programs.

use super::Context;
use crate::{
    client::{Feed, FeedLine, Target},
    difference::show_briefly,
    failure::Failure,
    output::{Format, plain},
};
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{Action, Change, Position, ResourceKind};
use std::collections::BTreeSet;

#[derive(Debug, Args)]
#[command(
    after_help = "-o json writes the daemon's lines as they come, one JSON object each: `ready`, \
    then `change`, and `gap` where changes are missing. After a broken connection it goes on where it \
    was."
)]
pub(super) struct Events {
    /// Begin after this position, which an earlier line had, rather than now
    #[arg(long, value_name = "POSITION")]
    since: Option<Position>,
    /// Only what happens to this VM
    #[arg(long, value_name = "VM", add = ArgValueCompleter::new(super::completion::vm_names))]
    vm: Option<String>,
    /// Only what happens to things of this kind (can be repeated)
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Kind {
    Vm,
    Task,
    Image,
    Network,
    Host,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Task => "task",
            Self::Image => "image",
            Self::Network => "network",
            Self::Host => "host",
        }
    }
}

pub(super) async fn run(context: &Context, events: Events) -> Result<(), Failure> {
    let Context { client, output, .. } = context;
    let mut target = Target::new("/v1/events");
    if let Some(vm) = &events.vm {
        target = target.with("vm", context.vm_id(vm).await?);
    }
    if !events.kind.is_empty() {
        let kinds: BTreeSet<_> = events.kind.iter().copied().collect();
        let kinds: Vec<_> = kinds.into_iter().map(Kind::as_str).collect();
        target = target.with("kind", kinds.join(","));
    }
    let since = events.since.map(|position| position.to_string());
    let mut feed = Feed::new(client, output, target, since);
    loop {
        let notice = feed.next().await?;
        match output.format {
            Format::Json => output.data([&notice.text[..], b"\n"].concat())?,
            Format::Yaml => {
                let thing: serde_json::Value = serde_json::from_slice(&notice.text)
                    .map_err(|error| crate::client::incomprehensible(&error))?;
                output.data("---\n")?;
                output.document(&thing)?;
            }
            Format::Table | Format::Name => match notice.line {
                FeedLine::Change(change) => output.line(plain(&describe(&change)))?,
                FeedLine::Gap { .. } => {
                    output.warn("changes are missing here: inn list shows how things are now");
                }
                FeedLine::Ready { .. } | FeedLine::Task { .. } | FeedLine::Unknown => {}
            },
        }
    }
}

/// `2026-01-01T12:00:00Z vm web modify facts.machine: created -> running`.
fn describe(change: &Change) -> String {
    let kind = match change.kind {
        ResourceKind::Vm => Kind::Vm,
        ResourceKind::Task => Kind::Task,
        ResourceKind::Image => Kind::Image,
        ResourceKind::Network => Kind::Network,
        ResourceKind::Host => Kind::Host,
    };
    let action = match change.action {
        Action::Create => "create",
        Action::Modify => "modify",
        Action::Delete => "delete",
        Action::Event => "event",
    };
    let name = change.name.as_deref().unwrap_or(&change.id);
    let mut text = format!("{:.3} {} {name} {action}", change.time, kind.as_str());
    // A task has no name of its own; this is what it is about.
    let of_object = |field| change.object.as_ref()?.get(field)?.as_str();
    if let (Some(operation), Some(subject)) = (of_object("operation"), of_object("subject")) {
        text.push_str(&format!(" {operation} of {subject}"));
    }
    if let Some(event) = &change.event {
        text.push_str(&format!(" {}", event.name));
        if !event.data.is_null() {
            text.push_str(&format!(" {}", event.data));
        }
    }
    let changes: Vec<_> = change.changes.iter().map(show_briefly).collect();
    if !changes.is_empty() {
        text.push_str(&format!(" {}", changes.join(", ")));
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_one_line() {
        let change: Change = serde_json::from_value(json!({
            "position": "0192a4b0000070008000000000000001-7", "revision": 9, "kind": "vm",
            "time": "2026-01-01T12:00:00.5Z", "action": "modify", "id": "x", "name": "web",
            "changes": [
                {"path": ["state"], "old": "starting", "new": "running"},
                {"path": ["problem"], "old": "a\nb"},
                {"path": ["incarnation"], "new": {"pid": 1}},
            ],
        }))
        .unwrap();
        assert_eq!(
            describe(&change),
            "2026-01-01T12:00:00.500Z vm web modify state: starting -> running, \
             problem: a b -> (none), incarnation: (none) -> {...}"
        );
    }
}
