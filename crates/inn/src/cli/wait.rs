//! `inn wait`: until a VM is in a state, or its guest has an address. Nothing is asked twice: it
//! subscribes to the VM's changes, reads it as it is then, and from there on is told.

use super::{
    Context, VmArg,
    addresses::{reachable, taken_up},
};
use crate::{
    client::{Feed, FeedLine, Target, decode},
    failure::{Exit, Failure},
    figures::parse_duration,
    output::Format,
};
use clap::Args;
use innkeeper_model::{Action, Change, Code, FieldChange, ResourceKind, Vm, VmId, VmState};
use serde_json::Value;
use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

/// Not a state of a VM, but of its absence.
const DELETED: &str = "deleted";
/// Not a state either: an address that the guest has taken up.
const IP: &str = "ip";

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
    /// What to wait for: a state; ip, for an address that the guest has taken up; or ip=ADDRESS, for
    /// that address
    #[arg(long = "for", value_name = "STATE|ip[=ADDRESS]")]
    wanted: Wanted,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    State(&'static str),
    Address(Option<IpAddr>),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("ip=") {
            let address = address.parse();
            return address
                .map(|address| Self::Address(Some(address)))
                .map_err(|error| error.to_string());
        }
        if text == IP {
            return Ok(Self::Address(None));
        }
        let state = STATES.into_iter().find(|state| *state == text);
        state
            .map(Self::State)
            .ok_or_else(|| format!("it is none of {}, {IP} and {IP}=ADDRESS", STATES.join(", ")))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => f.write_str(state),
            Self::Address(None) => f.write_str("reached at any address"),
            Self::Address(Some(address)) => write!(f, "reached at {address}"),
        }
    }
}

/// A VM, or what is left of it.
#[derive(Debug)]
enum Seen {
    Vm(Box<Vm>),
    Deleted,
}

impl Wanted {
    /// What to say of this, if it is what is waited for.
    fn fulfilled_by(self, seen: &Seen) -> Option<String> {
        match (self, seen) {
            (Self::State(DELETED), Seen::Deleted) => Some(DELETED.into()),
            (_, Seen::Deleted) => None,
            (Self::State(state), Seen::Vm(vm)) => {
                (vm.state.as_str() == state).then(|| state.to_owned())
            }
            (Self::Address(wanted), Seen::Vm(vm)) => {
                let mut taken_up = taken_up(vm).into_iter();
                let found =
                    taken_up.find(|known| wanted.is_none_or(|wanted| known.address == wanted));
                found.map(|known| known.address.to_string())
            }
        }
    }

    /// Whether a change may bring this about without saying all of it.
    fn is_read_after(self, change: &Change) -> bool {
        let touches = |field: &FieldChange| field.path.first().is_some_and(|it| it == "addresses");
        matches!(self, Self::Address(_)) && change.changes.iter().any(touches)
    }

    /// How far it has come.
    fn shortfall(self, seen: &Seen) -> (String, Option<String>) {
        let Seen::Vm(vm) = seen else { return (DELETED.into(), None) };
        let state = vm.state.to_string();
        let Self::Address(_) = self else { return (state, None) };
        let hint = match reachable(vm, None).first() {
            Some(known) => format!(
                "{} is its address, which the guest does not say it has: inn console {}",
                known.address, vm.name
            ),
            None if vm.state == VmState::Running => format!("inn console {}", vm.name),
            None => format!("inn start {}", vm.name),
        };
        (state, Some(hint))
    }
}

pub(super) async fn run(context: &Context, wait: Wait) -> Result<(), Failure> {
    let wanted = wait.wanted;
    let vm = match context.client.get(context.vm(&wait.vm.vm)).await {
        Ok(answer) => decode::<Vm>(answer.body)?,
        Err(failure)
            if failure.code == Some(Code::NotFound) && wanted == Wanted::State(DELETED) =>
        {
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let (id, name) = (vm.id, vm.name.clone());
    let mut last = Seen::Vm(Box::new(vm));
    let reached = follow(context, id, wanted, &mut last);
    let reached = match tokio::time::timeout(wait.timeout, reached).await {
        Ok(reached) => reached?,
        Err(_) => {
            let (state, hint) = wanted.shortfall(&last);
            let failure =
                Failure::new(Exit::Timeout, format!("{name} is {state}, still not {wanted}"));
            return Err(match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            });
        }
    };
    let output = &context.output;
    output.talk(format_args!("{name}: {reached}"));
    match output.format {
        Format::Table => Ok(()),
        Format::Name => output.line(&name),
        Format::Json | Format::Yaml if reached == DELETED => output.document(&Value::Null),
        Format::Json | Format::Yaml => {
            output.document(&context.client.get(Target::vm(id)).await?.body)
        }
    }
}

/// Returns when what is known of the VM's addresses, taken up or not, is enough; waits for as long as that
/// takes.
///
/// # Errors
/// The VM was deleted meanwhile, or the daemon went away.
pub(super) async fn until_its_addresses_are(
    context: &Context,
    vm: &Vm,
    enough: impl Fn(&Vm) -> bool,
) -> Result<(), Failure> {
    let mut last = Seen::Vm(Box::new(vm.clone()));
    watch(context, vm.id, Wanted::Address(None), &mut last, |seen| match seen {
        Seen::Vm(vm) if enough(vm) => Some(()),
        _ => None,
    })
    .await
}

/// Returns what there is to say when the VM has been as wanted; keeps what it was seen like last.
async fn follow(
    context: &Context,
    vm: VmId,
    wanted: Wanted,
    last: &mut Seen,
) -> Result<String, Failure> {
    watch(context, vm, wanted, last, |seen| wanted.fulfilled_by(seen)).await
}

async fn watch<T>(
    context: &Context,
    vm: VmId,
    wanted: Wanted,
    last: &mut Seen,
    reached: impl Fn(&Seen) -> Option<T>,
) -> Result<T, Failure> {
    let target = Target::new("/v1/events").with("kind", "vm").with("vm", vm);
    let mut feed = Feed::new(&context.client, &context.output, target, None);
    loop {
        let notice = feed.next().await?;
        let seen = match &notice.line {
            // What happens from here on is told; what was before is read, once.
            FeedLine::Ready { .. } | FeedLine::Gap { .. } => now(context, vm).await?,
            FeedLine::Change(change) if !is_of(change, vm) => continue,
            FeedLine::Change(change) if wanted.is_read_after(change) => now(context, vm).await?,
            FeedLine::Change(change) => match after(last, change) {
                Some(seen) => seen,
                None => continue,
            },
            FeedLine::Task { .. } | FeedLine::Unknown => continue,
        };
        *last = seen;
        if let Some(reached) = reached(last) {
            return Ok(reached);
        }
        if matches!(last, Seen::Deleted) {
            let message = format!("the VM was deleted, and will not be {wanted} any more");
            return Err(Failure::new(Exit::NotFound, message));
        }
    }
}

async fn now(context: &Context, vm: VmId) -> Result<Seen, Failure> {
    match context.client.get(Target::vm(vm)).await {
        Ok(answer) => Ok(Seen::Vm(decode(answer.body)?)),
        Err(failure) if failure.code == Some(Code::NotFound) => Ok(Seen::Deleted),
        Err(failure) => Err(failure),
    }
}

fn is_of(change: &Change, vm: VmId) -> bool {
    change.kind == ResourceKind::Vm && change.id == vm.to_string()
}

/// The VM after the change, where the change itself says what matters of it: a state that it was in for
/// a moment only is not to be missed.
fn after(last: &Seen, change: &Change) -> Option<Seen> {
    match change.action {
        Action::Delete => Some(Seen::Deleted),
        Action::Create => {
            let vm = serde_json::from_value(change.object.clone()?).ok()?;
            Some(Seen::Vm(vm))
        }
        Action::Modify | Action::Event => {
            let Seen::Vm(last) = last else { return None };
            let state = change.changes.iter().find(|field| field.path == ["state"])?;
            let state = serde_json::from_value(state.new.clone()?).ok()?;
            Some(Seen::Vm(Box::new(Vm { state, ..(**last).clone() })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vm(state: &str, addresses: Value) -> Vm {
        serde_json::from_value(json!({
            "id": VmId::new(), "name": "web", "project": "default", "state": state, "revision": 1,
            "facts": {"machine": "running"}, "addresses": addresses,
        }))
        .unwrap()
    }

    #[test]
    fn a_change_tells_the_state_after_it_if_it_changed() {
        let before = vm("starting", json!([]));
        let id = before.id;
        let last = Seen::Vm(Box::new(before));
        let check = |more: Value, expected: Option<&str>| {
            let mut change = json!({
                "position": "0192a4b0000070008000000000000001-7", "revision": 9, "kind": "vm",
                "time": "2026-01-01T12:00:00Z", "action": "modify", "id": id,
            });
            change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let change: Change = serde_json::from_value(change).unwrap();
            let seen = after(&last, &change);
            let state = seen.map(|seen| match seen {
                Seen::Vm(vm) => vm.state.to_string(),
                Seen::Deleted => DELETED.into(),
            });
            assert_eq!(state.as_deref(), expected);
        };
        let changes = json!([{"path": ["facts", "machine"], "new": "running"},
            {"path": ["state"], "old": "starting", "new": "running"}]);
        check(json!({"changes": changes}), Some("running"));
        check(json!({"changes": [{"path": ["name"], "new": "x"}]}), None);
        check(json!({"action": "delete"}), Some("deleted"));
        check(json!({"action": "create", "object": vm("stopped", json!([]))}), Some("stopped"));
    }

    #[test]
    fn what_is_waited_for_is_a_state_or_an_address_that_was_taken_up() {
        let seen = Seen::Vm(Box::new(vm(
            "running",
            json!([
                {"nic": "nic0", "address": "10.0.0.2", "source": "reservation"},
                {"nic": "nic0", "address": "10.0.0.3", "source": "lease"},
                {"nic": "nic0", "address": "10.0.0.9", "source": "agent"},
            ]),
        )));
        let said = |wanted: &str| wanted.parse::<Wanted>().unwrap().fulfilled_by(&seen);
        assert_eq!(said("running").as_deref(), Some("running"));
        assert_eq!(said("stopped"), None);
        assert_eq!(said("ip").as_deref(), Some("10.0.0.3"));
        assert_eq!(said("ip=10.0.0.3").as_deref(), Some("10.0.0.3"));
        assert_eq!(said("ip=10.0.0.2"), None, "it is only kept for the guest");
        assert_eq!(said("ip=10.0.0.9"), None, "only the guest says so, and there is more to know");
        assert_eq!(
            "deleted".parse::<Wanted>().unwrap().fulfilled_by(&Seen::Deleted).unwrap(),
            DELETED
        );
        for wrong in ["flying", "ip=", "ip=web", ""] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
    }
}
