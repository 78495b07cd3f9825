//! Which operation is legal in which state: one table, asked twice.
//!
//! When a request comes in, it is asked with the state that the VM will have once everything before
//! it in its queue is done; when its turn comes, with the state that the VM has. An operation that
//! was legal at first and is not by then fails without having changed anything.

use innkeeper_model::{Code, Refusal, VmName, VmState};

/// An operation on a VM, as far as legality goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Start,
    Stop,
    Kill,
    Reboot,
    ForcedReboot,
    Reset,
    Pause,
    Resume,
    Edit,
    Clone,
    Delete,
    ForcedDelete,
    PutAway,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Reboot | Self::ForcedReboot => "reboot",
            Self::Reset => "reset",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Edit => "edit",
            Self::Clone => "clone",
            Self::Delete | Self::ForcedDelete => "delete",
            Self::PutAway => "put-away",
        }
    }

    /// Whether it acts on the machine only, so that `kill` may cut it short.
    pub(crate) const fn is_power(self) -> bool {
        !matches!(self, Self::Edit | Self::Clone | Self::Delete | Self::ForcedDelete)
    }
}

/// What becomes of a VM in a state when an operation is done to it; `None` where that is illegal.
/// A VM that is deleted keeps the state that it had; there is nothing left to ask.
pub(crate) const fn after(operation: Operation, state: VmState) -> Option<VmState> {
    use Operation as Op;
    use VmState as State;
    match (operation, state) {
        // A VM whose spec cannot be read is left alone, but for what needs no spec.
        (Op::Kill | Op::ForcedDelete, State::Quarantined) => Some(state),
        (_, State::Quarantined) => None,

        (Op::Start, State::Stopped | State::Ended) => Some(State::Running),
        (Op::Start, _) => None,

        // A guest whose CPUs are held cannot be asked anything.
        (Op::Stop, State::Running | State::Starting | State::Ended) => Some(State::Stopped),
        (Op::Stop, _) => None,

        (Op::Kill, State::Stopped) => None,
        (Op::Kill, _) => Some(State::Stopped),

        (Op::Reboot, State::Running) => Some(State::Running),
        (Op::Reboot, _) => None,
        (Op::ForcedReboot, State::Stopped) => None,
        (Op::ForcedReboot, _) => Some(State::Running),

        (Op::Reset, State::Running | State::Paused) => Some(state),
        (Op::Reset, _) => None,

        (Op::Pause, State::Running) => Some(State::Paused),
        (Op::Pause, _) => None,
        // One that was made and never let run, because the daemon died in between, can still be.
        (Op::Resume, State::Paused | State::Starting) => Some(State::Running),
        (Op::Resume, _) => None,

        (Op::Edit, _) => Some(state),
        // The disks of a machine that runs change under the copy.
        (Op::Clone, State::Stopped) => Some(State::Stopped),
        (Op::Clone, _) => None,
        (Op::Delete, State::Stopped) => Some(State::Stopped),
        (Op::Delete, _) => None,
        (Op::ForcedDelete, _) => Some(State::Stopped),

        (Op::PutAway, State::Ended | State::Stopped) => Some(State::Stopped),
        (Op::PutAway, _) => None,
    }
}

/// Says that an operation is illegal, and what would make it legal.
pub(crate) fn refuse(operation: Operation, state: VmState, name: &VmName) -> Refusal {
    let verb = operation.name();
    let refusal = Refusal::new(Code::WrongState, format!("cannot {verb} VM {name}: it is {state}"));
    let hint = match (operation, state) {
        (_, VmState::Quarantined) => {
            "its stored spec is damaged; `inn get` shows how, and `inn delete --force` gives it up"
        }
        (Operation::Start, VmState::Paused) => "`inn resume` lets it go on",
        (Operation::Stop, VmState::Paused) => "`inn resume` it first, or end it with `inn kill`",
        (Operation::Stop | Operation::Reboot, VmState::Unresponsive) => {
            "`inn kill` ends it at once"
        }
        (Operation::Delete, _) => "`inn stop` it first, or `inn delete --force`",
        (Operation::Clone, _) => "`inn stop` it first",
        (Operation::Pause | Operation::Reset | Operation::Reboot, VmState::Stopped) => {
            "`inn start` it first"
        }
        _ => return refusal,
    };
    refusal.with_hint(hint)
}

/// The same refusal, for a VM that is not in that state yet but will be by then.
pub(crate) fn when_its_turn_comes(mut refusal: Refusal, state: VmState) -> Refusal {
    refusal.message = refusal
        .message
        .replace(&format!("it is {state}"), &format!("it will be {state} when its tasks are done"));
    refusal.hint = Some("`inn tasks` shows what is queued".into());
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [VmState; 7] = [
        VmState::Stopped,
        VmState::Starting,
        VmState::Running,
        VmState::Paused,
        VmState::Ended,
        VmState::Unresponsive,
        VmState::Quarantined,
    ];

    #[test]
    fn whatever_runs_can_be_killed() {
        for state in STATES {
            let machine = state != VmState::Stopped;
            assert_eq!(after(Operation::Kill, state).is_some(), machine, "{state}");
        }
    }

    #[test]
    fn a_refusal_names_the_operation_and_the_state() {
        let refusal = refuse(Operation::Start, VmState::Paused, &"web".parse().unwrap());
        assert_eq!(refusal.code, Code::WrongState);
        assert!(refusal.message.contains("start") && refusal.message.contains("paused"));
    }
}
