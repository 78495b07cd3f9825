//! What is done about a guest that has ended by itself, or whose hypervisor has died. Pure.

use innkeeper_model::{EndReason, MachineState, Policy, Timestamp, Vm};
use std::time::Duration;

/// A VM whose guest crashes or powers itself off within this time of its start is not started again: it
/// would only do so again, for ever.
const SETTLED_AFTER: Duration = Duration::from_secs(120);

/// Why an adopted VM is not started again before a person has looked through what it would be made of.
const DRAFT: &str = "it was adopted, and its guest has ended; it is not started again before somebody has \
                     looked through its spec and saved it with `inn edit`";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Put what is left of its machine away.
    PutAway,
    /// The same, and it is wanted stopped from then on.
    PutAwayForGood,
    /// The same, and say why it is not started again.
    Leave(String),
    /// Put away and start again.
    Restart,
    /// Write its guest's memory to a file, and keep the machine.
    Preserve,
}

/// What is to be done about a VM; nothing about one that runs, is off, or is kept on purpose.
pub(crate) fn action(vm: &Vm) -> Option<Action> {
    // Another manager has policies of its own for its machines.
    if vm.interrupted.is_some() || vm.manager().is_some() {
        return None;
    }
    let ended = match vm.facts.machine {
        MachineState::Ended => true,
        MachineState::Absent => false,
        _ => return None,
    };
    if !ended && vm.incarnation.is_none() {
        return None;
    }
    let Some(spec) = &vm.spec else { return Some(Action::PutAway) };
    let on = spec.config.on;
    let crashed = |policy| crash(vm, policy, ended);
    let action = match &vm.facts.last_end {
        Some(EndReason::GuestShutdown) if on.shutdown == Policy::Restart && !spec.draft => {
            Some(restart(vm, "powered itself off"))
        }
        Some(EndReason::GuestShutdown) => on_purpose(vm, on.shutdown, ended),
        Some(EndReason::GuestReset) => on_purpose(vm, on.reboot, ended),
        Some(EndReason::GuestPanic | EndReason::HypervisorDied { .. }) => crashed(on.crash),
        // Ended by Innkeeper, or never begun.
        Some(EndReason::Killed) | None => Some(Action::PutAway),
    };
    match action {
        Some(Action::Restart) if spec.draft => Some(Action::Leave(DRAFT.into())),
        action => action,
    }
}

/// A guest that ended as it meant to.
fn on_purpose(vm: &Vm, policy: Policy, kept: bool) -> Option<Action> {
    match policy {
        Policy::Restart => Some(Action::Restart),
        Policy::Preserve if kept && !is_preserved(vm) => Some(Action::Preserve),
        Policy::Pause | Policy::Preserve if kept => None,
        Policy::Stop | Policy::Pause | Policy::Preserve => Some(Action::PutAwayForGood),
    }
}

/// A guest that did not.
fn crash(vm: &Vm, policy: Policy, kept: bool) -> Option<Action> {
    match policy {
        Policy::Restart => Some(restart(vm, "crashed")),
        Policy::Stop => Some(Action::PutAwayForGood),
        Policy::Preserve if kept && !is_preserved(vm) => Some(Action::Preserve),
        Policy::Pause | Policy::Preserve if kept => None,
        Policy::Pause | Policy::Preserve => Some(Action::PutAway),
    }
}

/// Start it again, unless it did this too soon.
fn restart(vm: &Vm, did: &str) -> Action {
    if ran_long_enough(vm) {
        return Action::Restart;
    }
    let seconds = SETTLED_AFTER.as_secs();
    Action::Leave(format!("{did} within {seconds} s of its start, so it was not started again"))
}

fn ran_long_enough(vm: &Vm) -> bool {
    let Some(machine) = &vm.incarnation else { return false };
    let ended = vm.facts.since.unwrap_or_else(Timestamp::now);
    let ran = ended.duration_since(machine.created);
    Duration::try_from(ran).is_ok_and(|ran| ran >= SETTLED_AFTER)
}

/// Whether its memory has been written to a file since it ended.
fn is_preserved(vm: &Vm) -> bool {
    match (vm.dumped, vm.facts.since) {
        (Some(dumped), Some(ended)) => dumped >= ended,
        (dumped, _) => dumped.is_some(),
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
