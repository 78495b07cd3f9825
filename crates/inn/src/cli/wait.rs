//! `inn wait`: until a VM is in a state. Nothing is asked twice: it subscribes to the VM's changes,
//! reads it as it is then, and from there on is told.

use super::{Context, VmArg};
use crate::{
    client::{Feed, FeedLine, Target, decode},
    failure::{Exit, Failure},
    figures::parse_duration,
    output::Format,
};
use clap::{Args, builder::PossibleValuesParser};
use innkeeper_model::{Action, Change, Code, ResourceKind, Vm, VmId, VmState};
use serde_json::Value;
use std::time::Duration;

/// Not a state of a VM, but of its absence.
const DELETED: &str = "deleted";

const STATES: [&str; 10] = [
    VmState::Stopped.as_str(),
    VmState::Starting.as_str(),
    VmState::Running.as_str(),
    VmState::Paused.as_str(),
    VmState::Ended.as_str(),
    VmState::Unresponsive.as_str(),
    VmState::Suspended.as_str(),
    VmState::Interrupted.as_str(),
    VmState::Quarantined.as_str(),
    DELETED,
];

#[derive(Debug, Args)]
pub(super) struct Wait {
    #[command(flatten)]
    vm: VmArg,
    /// The state to wait for
    #[arg(long = "for", value_name = "STATE", value_parser = PossibleValuesParser::new(STATES))]
    state: String,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
}

pub(super) async fn run(context: &Context, wait: Wait) -> Result<(), Failure> {
    let vm = match context.client.get(context.vm(&wait.vm.vm)).await {
        Ok(answer) => decode::<Vm>(answer.body)?,
        Err(failure) if failure.code == Some(Code::NotFound) && wait.state == DELETED => {
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let mut last = vm.state.to_string();
    let reached = follow(context, vm.id, &wait.state, &mut last);
    match tokio::time::timeout(wait.timeout, reached).await {
        Ok(reached) => reached?,
        Err(_) => {
            let message = format!("{} is {last}, still not {}", vm.name, wait.state);
            return Err(Failure::new(Exit::Timeout, message));
        }
    }
    let output = &context.output;
    output.talk(format_args!("{}: {}", vm.name, wait.state));
    match output.format {
        Format::Table => Ok(()),
        Format::Name => output.line(&vm.name),
        Format::Json | Format::Yaml if wait.state == DELETED => output.document(&Value::Null),
        Format::Json | Format::Yaml => {
            output.document(&context.client.get(Target::vm(vm.id)).await?.body)
        }
    }
}

/// Returns when the VM has been in the state; keeps the last one it was seen in.
async fn follow(
    context: &Context,
    vm: VmId,
    wanted: &str,
    last: &mut String,
) -> Result<(), Failure> {
    let target = Target::new("/v1/events").with("kind", "vm").with("vm", vm);
    let mut feed = Feed::new(&context.client, &context.output, target, None);
    loop {
        let notice = feed.next().await?;
        let seen = match &notice.line {
            // What happens from here on is told; what was before is read, once.
            FeedLine::Ready { .. } | FeedLine::Gap { .. } => Some(now(context, vm).await?),
            FeedLine::Change(change) => state_after(change, vm),
            FeedLine::Task { .. } | FeedLine::Unknown => None,
        };
        let Some(seen) = seen else { continue };
        *last = seen;
        if last == wanted {
            return Ok(());
        }
        if last == DELETED {
            let message = format!("the VM was deleted, and will not be {wanted} any more");
            return Err(Failure::new(Exit::NotFound, message));
        }
    }
}

async fn now(context: &Context, vm: VmId) -> Result<String, Failure> {
    match context.client.get(Target::vm(vm)).await {
        Ok(answer) => Ok(decode::<Vm>(answer.body)?.state.to_string()),
        Err(failure) if failure.code == Some(Code::NotFound) => Ok(DELETED.into()),
        Err(failure) => Err(failure),
    }
}

/// The VM's state after the change, if the change says so.
fn state_after(change: &Change, vm: VmId) -> Option<String> {
    if change.kind != ResourceKind::Vm || change.id != vm.to_string() {
        return None;
    }
    match change.action {
        Action::Delete => Some(DELETED.into()),
        Action::Create => Some(change.object.as_ref()?.get("state")?.as_str()?.into()),
        Action::Modify | Action::Event => {
            let state = change.changes.iter().find(|field| field.path == ["state"])?;
            Some(state.new.as_ref()?.as_str()?.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_tells_the_state_after_it_if_it_changed() {
        let vm = VmId::new();
        let check = |more: Value, expected: Option<&str>| {
            let mut change = json!({
                "position": "0192a4b0000070008000000000000001-7", "revision": 9, "kind": "vm",
                "time": "2026-01-01T12:00:00Z", "action": "modify", "id": vm,
            });
            change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let change: Change = serde_json::from_value(change).unwrap();
            assert_eq!(state_after(&change, vm).as_deref(), expected);
        };
        let changes = json!([{"path": ["facts", "machine"], "new": "running"},
            {"path": ["state"], "old": "starting", "new": "running"}]);
        check(json!({"changes": changes}), Some("running"));
        check(json!({"changes": [{"path": ["name"], "new": "x"}]}), None);
        check(json!({"action": "delete"}), Some("deleted"));
        check(json!({"action": "create", "object": {"state": "stopped"}}), Some("stopped"));
        check(json!({"action": "delete", "id": "another"}), None);
    }
}
