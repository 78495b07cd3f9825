//! What can be done to a domain, as data, and which of it an operation is. Pure.

use crate::neighbour::NAME;
use innkeeper_driver::{Crash, Operation, PlanContext, Step, StepError};
use innkeeper_model::{Code, MachineState, ManagedMachine, Refusal};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the shape of the steps' arguments.
const SCHEMA: u32 = 1;

/// One thing that is done to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Starts it.
    Start,
    /// Asks its guest to end, and waits until it has.
    Shutdown { run: i64, timeout: Duration },
    /// Ends it at once.
    Destroy { run: i64 },
    /// Holds its CPUs; `ran` is whether they were let go then.
    Pause { run: i64, ran: bool },
    /// Lets them go on.
    Resume { run: i64 },
}

/// The arguments of a step, as they are stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ran: bool,
}

impl Act {
    pub(super) fn to_step(self) -> Step {
        let arguments = match self {
            Self::Start => Arguments::default(),
            Self::Shutdown { run, timeout } => {
                let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                Arguments { run: Some(run), timeout_ms: Some(timeout), ran: false }
            }
            Self::Destroy { run } | Self::Resume { run } => {
                Arguments { run: Some(run), ..Arguments::default() }
            }
            Self::Pause { run, ran } => Arguments { run: Some(run), timeout_ms: None, ran },
        };
        Step::new(self.name(), SCHEMA, Crash::Repeat, &arguments)
    }

    pub(super) fn from_step(step: &Step) -> Result<Self, StepError> {
        let unknown = || {
            let message = format!("step {} version {} is not known here", step.name, step.schema);
            StepError::from(Refusal::new(Code::Internal, message))
        };
        if step.schema != SCHEMA {
            return Err(unknown());
        }
        let Arguments { run, timeout_ms, ran } = step.arguments()?;
        Ok(match (&*step.name, run, timeout_ms) {
            ("libvirt/start", None, None) => Self::Start,
            ("libvirt/shutdown", Some(run), Some(timeout)) => {
                Self::Shutdown { run, timeout: Duration::from_millis(timeout) }
            }
            ("libvirt/destroy", Some(run), None) => Self::Destroy { run },
            ("libvirt/pause", Some(run), None) => Self::Pause { run, ran },
            ("libvirt/resume", Some(run), None) => Self::Resume { run },
            _ => return Err(unknown()),
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Start => "libvirt/start",
            Self::Shutdown { .. } => "libvirt/shutdown",
            Self::Destroy { .. } => "libvirt/destroy",
            Self::Pause { .. } => "libvirt/pause",
            Self::Resume { .. } => "libvirt/resume",
        }
    }
}

/// What is done for an operation, in this order.
///
/// # Errors
/// It is none of those that this driver has, or libvirt has no such domain, or one that does not run.
pub(super) fn plan(operation: &Operation, context: &PlanContext<'_>) -> Result<Vec<Act>, Refusal> {
    if let Some(what) = lacking(operation) {
        return Err(Refusal::new(Code::Unsupported, format!("driver {NAME} {what}")).with_hint(
            "libvirt's domains can be started, stopped, killed, paused and resumed; for the rest use \
             libvirt's own tools, such as virsh",
        ));
    }
    let id = context.spec.id;
    let managed = context.managed.ok_or_else(|| Refusal::not_found("domain of libvirt's", id))?;
    let running = || running(managed);
    Ok(match operation {
        Operation::Start => vec![Act::Start],
        Operation::Stop { timeout } => {
            let run = running()?;
            vec![Act::Shutdown { run, timeout: *timeout }, Act::Destroy { run }]
        }
        Operation::Pause => {
            let ran = context.facts.machine == MachineState::Running;
            vec![Act::Pause { run: running()?, ran }]
        }
        Operation::Resume => vec![Act::Resume { run: running()? }],
        // Kill and PutAway: what has no run has nothing to be ended.
        _ => managed.run.map(|run| Act::Destroy { run }).into_iter().collect(),
    })
}

fn running(managed: &ManagedMachine) -> Result<i64, Refusal> {
    managed.run.ok_or_else(|| {
        let message = format!("domain {:?} of libvirt's does not run", managed.name);
        Refusal::new(Code::WrongState, message)
    })
}

/// What this driver is without, where an operation needs it.
const fn lacking(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Start
        | Operation::Stop { .. }
        | Operation::Kill
        | Operation::PutAway
        | Operation::Pause
        | Operation::Resume => None,
        Operation::Reset => Some("resets no machines"),
        Operation::Suspend { .. } => Some("keeps no memory of machines"),
        Operation::Restore { .. } => Some("restores no machines"),
        Operation::Dump { .. } => Some("dumps no memory of machines"),
        Operation::PlugNic { .. } => Some("plugs no NICs in"),
        Operation::UnplugNic { .. } => Some("takes no NICs out"),
        Operation::ChangePlug { .. } | Operation::SetLink { .. } => Some("changes no NICs"),
        Operation::Adopt { .. } => Some("adopts no processes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn any_act() -> impl Strategy<Value = Act> {
        let timeout = (0..u64::MAX).prop_map(Duration::from_millis);
        prop_oneof![
            Just(Act::Start),
            (any::<i64>(), timeout).prop_map(|(run, timeout)| Act::Shutdown { run, timeout }),
            any::<i64>().prop_map(|run| Act::Destroy { run }),
            any::<(i64, bool)>().prop_map(|(run, ran)| Act::Pause { run, ran }),
            any::<i64>().prop_map(|run| Act::Resume { run }),
        ]
    }

    proptest! {
        #[test]
        fn an_act_survives_being_stored(act in any_act()) {
            let stored = serde_json::to_string(&act.to_step()).unwrap();
            let step: Step = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(Act::from_step(&step).unwrap(), act);
            prop_assert_eq!(step.crash, Crash::Repeat);
        }
    }

    #[test]
    fn a_step_that_is_not_known_is_refused() {
        let step = |name, schema, arguments| Step {
            arguments,
            ..Step::new(name, schema, Crash::Repeat, &json!({}))
        };
        for step in [
            step("libvirt/start", 2, json!({})),
            step("libvirt/start", 1, json!({ "from_the_future": true })),
            step("libvirt/destroy", 1, json!({})),
            step("libvirt/fly", 1, json!({ "run": 1 })),
        ] {
            assert!(Act::from_step(&step).is_err(), "{step:?}");
        }
    }
}
