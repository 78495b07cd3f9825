//! Which operation is legal in which state: one table, asked twice.
//!
//! When a request comes in, it is asked with the state that the VM will have once everything before
//! it in its queue is done; when its turn comes, with the state that the VM has. An operation that
//! was legal at first and is not by then fails without having changed anything.

use super::kind::Kind;
use innkeeper_model::{Code, Refusal, VmName, VmState};
use serde::{Deserialize, Serialize};

/// An operation on a VM, as far as legality goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// What is done to its machine. `kill` cuts this short, whether it has begun or waits; an edit or a change
    /// of NICs only where that has begun.
    Machine(MachineVerb),
    Edit,
    /// Make an image of one of its disks.
    Commit,
    /// A NIC is added, taken out or changed, in the machine too where it is on.
    ChangeNics,
    Clone,
    Delete,
    ForcedDelete,
    /// Give one that was adopted from another manager back to it.
    LetGo,
}

/// What is done to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MachineVerb {
    Start,
    Stop,
    Kill,
    Reboot,
    ForcedReboot,
    Reset,
    Pause,
    Resume,
    PutAway,
    /// Put away, and wanted stopped from then on.
    PutAwayForGood,
    /// Write its guest's memory to a file.
    Preserve,
    Suspend,
    /// Go on from the memory that a suspend kept.
    Restore,
    /// Start, and give that memory up.
    StartAfresh,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Machine(verb) => verb.name(),
            Self::Edit => "edit",
            Self::ChangeNics => "change the NICs of",
            Self::Clone => "clone",
            Self::Commit => "commit",
            Self::Delete | Self::ForcedDelete | Self::LetGo => "delete",
        }
    }
}

impl MachineVerb {
    pub(crate) const fn name(self) -> &'static str {
        self.kind().name()
    }

    /// What it is to whoever asked.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Start | Self::StartAfresh => Kind::Start,
            Self::Stop => Kind::Stop,
            Self::Kill => Kind::Kill,
            Self::Reboot | Self::ForcedReboot => Kind::Reboot,
            Self::Reset => Kind::Reset,
            Self::Pause => Kind::Pause,
            Self::Resume | Self::Restore => Kind::Resume,
            Self::PutAway | Self::PutAwayForGood => Kind::PutAway,
            Self::Preserve => Kind::Preserve,
            Self::Suspend => Kind::Suspend,
        }
    }

    /// Whether a new machine comes of it.
    pub(crate) const fn makes(self) -> bool {
        matches!(
            self,
            Self::Start | Self::StartAfresh | Self::Restore | Self::Reboot | Self::ForcedReboot
        )
    }
}

/// What becomes of a VM in a state when an operation is done to it; `None` where that is illegal.
/// A VM that is deleted keeps the state that it had; there is nothing left to ask.
pub(crate) const fn after(operation: Operation, state: VmState) -> Option<VmState> {
    use MachineVerb as Verb;
    use Operation as Op;
    use VmState as State;
    match (operation, state) {
        // A VM whose spec cannot be read is left alone, but for what needs no spec.
        (Op::Machine(Verb::Kill) | Op::ForcedDelete, State::Quarantined) => Some(state),
        (_, State::Quarantined) => None,
        // Nobody knows how far it is, so nothing is done to it but what a person can only mean.
        (Op::Machine(Verb::Kill), State::Interrupted) => Some(state),
        (_, State::Interrupted) => None,

        (Op::Machine(Verb::Start), State::Stopped | State::Ended) => Some(State::Running),
        (Op::Machine(Verb::Start), _) => None,
        (Op::Machine(Verb::StartAfresh), State::Stopped | State::Ended | State::Suspended) => {
            Some(State::Running)
        }
        (Op::Machine(Verb::StartAfresh), _) => None,

        (Op::Machine(Verb::Suspend), State::Running | State::Paused) => Some(State::Suspended),
        (Op::Machine(Verb::Suspend), _) => None,
        (Op::Machine(Verb::Restore), State::Suspended) => Some(State::Running),
        (Op::Machine(Verb::Restore), _) => None,

        // A guest whose CPUs are held cannot be asked anything.
        (Op::Machine(Verb::Stop), State::Running | State::Starting | State::Ended) => {
            Some(State::Stopped)
        }
        (Op::Machine(Verb::Stop), _) => None,

        (Op::Machine(Verb::Kill), State::Stopped | State::Suspended) => None,
        (Op::Machine(Verb::Kill), _) => Some(State::Stopped),

        (Op::Machine(Verb::Reboot), State::Running) => Some(State::Running),
        (Op::Machine(Verb::Reboot), _) => None,
        (Op::Machine(Verb::ForcedReboot), State::Stopped | State::Suspended) => None,
        (Op::Machine(Verb::ForcedReboot), _) => Some(State::Running),

        (Op::Machine(Verb::Reset), State::Running | State::Paused) => Some(state),
        (Op::Machine(Verb::Reset), _) => None,

        (Op::Machine(Verb::Pause), State::Running) => Some(State::Paused),
        (Op::Machine(Verb::Pause), _) => None,
        // One that was made and never let run, because the daemon died in between, can still be.
        (Op::Machine(Verb::Resume), State::Paused | State::Starting) => Some(State::Running),
        (Op::Machine(Verb::Resume), _) => None,

        (Op::Edit | Op::LetGo, _) => Some(state),
        // A guest that has not begun, or has ended, cannot let go of anything; and what a kept memory has,
        // the machine that takes it over must have.
        (Op::ChangeNics, State::Stopped | State::Running | State::Paused) => Some(state),
        (Op::ChangeNics, _) => None,
        // The disks of a machine that runs change under the copy.
        (Op::Clone | Op::Commit, State::Stopped) => Some(State::Stopped),
        (Op::Clone | Op::Commit, _) => None,
        (Op::Delete, State::Stopped) => Some(State::Stopped),
        (Op::Delete, _) => None,
        (Op::ForcedDelete, _) => Some(State::Stopped),

        (
            Op::Machine(Verb::PutAway | Verb::PutAwayForGood),
            State::Ended | State::Stopped | State::Suspended,
        ) => Some(State::Stopped),
        (Op::Machine(Verb::PutAway | Verb::PutAwayForGood), _) => None,
        (Op::Machine(Verb::Preserve), State::Ended) => Some(State::Ended),
        (Op::Machine(Verb::Preserve), _) => None,
    }
}

/// Says that an operation is illegal in a state that the VM is in, or, where it is not in it yet, will
/// be in when its turn comes; and what would make it legal.
pub(crate) fn refuse(operation: Operation, now: VmState, then: VmState, name: &VmName) -> Refusal {
    use MachineVerb as Verb;
    let verb = operation.name();
    if now != then {
        let message = format!("cannot {verb} VM {name}: it will be {then} when its tasks are done");
        return Refusal::new(Code::WrongState, message)
            .with_hint("`inn tasks` shows what is queued");
    }
    let refusal = Refusal::new(Code::WrongState, format!("cannot {verb} VM {name}: it is {now}"));
    let hint = match (operation, now) {
        (_, VmState::Quarantined) => {
            "what is stored of it is damaged; `inn get` shows how, and `inn delete --force` gives it up"
        }
        (_, VmState::Interrupted) => {
            "an operation stopped halfway: `inn tasks` shows it; `inn task resume` or `inn task undo` it"
        }
        (Operation::Machine(Verb::Start), VmState::Paused) => "`inn resume` lets it go on",
        (Operation::Machine(Verb::Start), VmState::Suspended) => {
            "its memory is kept: `inn resume` goes on from it, `inn start --discard-memory` gives it up"
        }
        (Operation::Clone | Operation::Commit | Operation::Delete, VmState::Suspended) => {
            "its memory is kept, and its disks with it: `inn resume` it, then stop it"
        }
        (Operation::Machine(Verb::Stop), VmState::Paused) => {
            "`inn resume` it first, or end it with `inn kill`"
        }
        (Operation::Machine(Verb::Stop | Verb::Reboot), VmState::Unresponsive) => {
            "`inn kill` ends it at once"
        }
        (Operation::Delete, _) => "`inn stop` it first, or `inn delete --force`",
        (Operation::Clone | Operation::Commit, _) => "`inn stop` it first",
        (Operation::Machine(Verb::Pause | Verb::Reset | Verb::Reboot), VmState::Stopped) => {
            "`inn start` it first"
        }
        _ => return refusal,
    };
    refusal.with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_runs_can_be_killed() {
        for state in VmState::ALL {
            let machine = !matches!(state, VmState::Stopped | VmState::Suspended);
            assert_eq!(
                after(Operation::Machine(MachineVerb::Kill), state).is_some(),
                machine,
                "{state}"
            );
        }
    }

    #[test]
    fn a_refusal_names_the_operation_and_the_state() {
        let start = Operation::Machine(MachineVerb::Start);
        let name = "web".parse().unwrap();
        let refusal = refuse(start, VmState::Paused, VmState::Paused, &name);
        assert_eq!(refusal.code, Code::WrongState);
        assert!(refusal.message.contains("start") && refusal.message.contains("paused"));
    }
}
