//! `inn audit`: who had what done, and what was refused to whom.
//!
//! Lines are written as they come, a page at a time: what is asked for may be more than fits into memory.

use super::Context;
use crate::{
    client::{Call, Target, decode, incomprehensible},
    failure::{Exit, Failure},
    output::{Format, plain},
};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use http::{HeaderName, HeaderValue};
use innkeeper_model::{AuditEntry, Timestamp};
use jiff::{Span, civil::Date, tz::TimeZone};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

/// How long the daemon is asked to wait for a line.
const WAIT: Duration = Duration::from_secs(20);
/// How long to wait for a daemon that is gone, before it is looked for again.
const BACK_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(
    after_help = "Oldest first. What becomes a task has a line when it is accepted and one when it ends, \
    with the same task. -o json writes a JSON object a line, as the daemon keeps them. With --follow \
    and without --since it begins with what comes now; a daemon that restarts is waited for."
)]
pub(super) struct Audit {
    /// Not before this: so long ago, such as 1h or 2d, a date, or a time such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    since: Option<Timestamp>,
    /// Not after this
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    until: Option<Timestamp>,
    /// Only what this caller asked for, such as uid:0 or token:ci
    #[arg(long, value_name = "CALLER")]
    caller: Option<String>,
    /// Only this, such as start, delete or console
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what is about this VM: its id, or the name that it had then
    #[arg(long, value_name = "VM", add = ArgValueCompleter::new(super::completion::vm_names))]
    vm: Option<String>,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
}

/// A page, as the daemon answers.
#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    next: Option<String>,
    place: String,
    #[serde(default)]
    unreadable: u64,
}

pub(super) async fn run(context: &Context, audit: Audit) -> Result<(), Failure> {
    let follow = audit.follow;
    let since = audit.since.or_else(|| follow.then(Timestamp::now));
    let target = Target::new("/v1/audit")
        .with_any("since", since)
        .with_any("until", audit.until)
        .with_any("caller", audit.caller)
        .with_any("action", audit.action)
        .with_any("vm", audit.vm);
    let mut after: Option<String> = None;
    let mut unreadable = 0;
    loop {
        let mut call = Call::get(target.clone().with_any("after", after.as_deref()));
        if follow && after.is_some() {
            call = waiting(call);
        }
        let page = match context.client.call(call).await {
            Ok(answer) => decode::<Page>(answer.body)?,
            Err(failure) if after.is_some() && follow && is_gone(&failure) => {
                context.output.talk("the daemon is gone; waiting for it to come back");
                // It is looked for again and again; there is nothing else to be told by.
                sleep(BACK_AFTER).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        page.items.iter().try_for_each(|item| show(context, item))?;
        unreadable += page.unreadable;
        let is_last = page.next.is_none();
        after = Some(page.place);
        if is_last && !follow {
            break;
        }
    }
    if unreadable > 0 {
        context.output.warn(format_args!("{unreadable} lines cannot be read, and are left out"));
    }
    Ok(())
}

fn waiting(call: Call) -> Call {
    let prefer = HeaderValue::try_from(format!("wait={}", WAIT.as_secs()));
    let prefer = prefer.expect("a number is a legal header value");
    call.waiting(WAIT).with_header(HeaderName::from_static("prefer"), prefer)
}

fn is_gone(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Unreachable | Exit::Timeout)
}

fn show(context: &Context, item: &Value) -> Result<(), Failure> {
    let output = &context.output;
    match output.format {
        Format::Json => output.line(item),
        Format::Yaml => {
            output.data("---\n")?;
            output.document(item)
        }
        Format::Table | Format::Name => {
            let entry = AuditEntry::deserialize(item).map_err(|error| incomprehensible(&error))?;
            output.line(plain(&describe(&entry)))
        }
    }
}

/// `2026-01-01T12:00:00.000Z uid:0 by unix: start web: accepted, task 0192…`.
fn describe(entry: &AuditEntry) -> String {
    let caller = entry.caller.as_deref().unwrap_or("somebody");
    let mut text = format!("{:.3} {caller}", entry.at);
    if let Some(door) = &entry.door {
        text.push_str(&format!(" by {door}"));
    }
    if let Some(address) = &entry.address {
        text.push_str(&format!(" from {address}"));
    }
    text.push_str(&format!(": {}", entry.action));
    let vm = entry.vm.map(|vm| vm.to_string());
    if let Some(subject) = entry.subject.as_ref().or(vm.as_ref()) {
        text.push_str(&format!(" {subject}"));
    }
    if entry.dry_run {
        text.push_str(" (dry run)");
    }
    text.push_str(&format!(": {}", entry.outcome.as_str()));
    if let Some(code) = entry.code {
        text.push_str(&format!(" ({code})"));
    }
    if let Some(task) = entry.task {
        text.push_str(&format!(", task {task}"));
    }
    if let Some(count) = entry.count {
        text.push_str(&format!(", {count} times"));
    }
    if let Some(message) = &entry.message {
        text.push_str(&format!(": {message}"));
    }
    text.replace('\n', " ")
}

/// Reads `1h`, `2027-01-31` (when it begins, in UTC) and `2027-01-31T12:00:00Z`.
fn parse_past(text: &str) -> Result<Timestamp, String> {
    past(text, Timestamp::now())
}

fn past(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let time = || text.parse::<Timestamp>().ok();
    let date = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let span = || {
        let span = text.parse::<Span>().ok().filter(|span| span.is_positive())?;
        Some(now.to_zoned(TimeZone::UTC).checked_sub(span).ok()?.timestamp())
    };
    time().or_else(span).or_else(date).ok_or_else(|| {
        format!("{text:?} is no time: write for example 1h, 2d, 2027-01-31 or 2027-01-31T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_says_who_did_what_and_how_it_ended() {
        let line = |entry: Value| describe(&serde_json::from_value(entry).unwrap());
        let start = json!({
            "at": "2026-01-01T12:00:00Z", "caller": "uid:0", "door": "unix", "action": "start",
            "subject": "web", "vm": "0192a4b0-0000-7000-8000-000000000000",
            "task": "0192a4b0-0000-7000-8000-000000000001", "outcome": "accepted",
        });
        assert_eq!(
            line(start),
            "2026-01-01T12:00:00.000Z uid:0 by unix: start web: accepted, \
             task 0192a4b0-0000-7000-8000-000000000001"
        );
        let refused = json!({
            "at": "2026-01-01T12:00:00Z", "door": "tcp", "address": "127.0.0.1:9",
            "action": "GET /v1/vms", "outcome": "refused", "code": "unauthenticated",
            "message": "this address\nneeds a token", "count": 7,
        });
        assert_eq!(
            line(refused),
            "2026-01-01T12:00:00.000Z somebody by tcp from 127.0.0.1:9: GET /v1/vms: refused \
             (unauthenticated), 7 times: this address needs a token"
        );
        let planned = json!({
            "at": "2026-01-01T12:00:00Z", "caller": "uid:0", "action": "create", "subject": "web",
            "outcome": "refused", "code": "name-taken", "dry_run": true,
        });
        assert_eq!(
            line(planned),
            "2026-01-01T12:00:00.000Z uid:0: create web (dry run): refused (name-taken)"
        );
    }

    #[test]
    fn times_are_so_long_ago_or_themselves() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("1h", "2026-01-31T09:00:00Z"),
            ("2d", "2026-01-29T10:00:00Z"),
            ("2026-01-30", "2026-01-30T00:00:00Z"),
            ("2026-01-30T12:00:00+02:00", "2026-01-30T10:00:00Z"),
        ] {
            assert_eq!(past(text, now), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "1", "-1h", "yesterday"] {
            assert!(past(text, now).is_err(), "{text}");
        }
    }
}
