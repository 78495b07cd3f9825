//! What a VM is doing, in virtx's words.

use super::numbers::Vmrunstate;
use innkeeper_model::{EndReason, TaskState, Vm, VmState};
use innkeeper_view::Snapshot;

/// The operations that end a machine.
const ENDING: [&str; 2] = ["stop", "kill"];

/// What a VM is doing.
///
/// Where an operation stopped halfway, or its spec cannot be read, it is what its machine is doing. Nothing
/// is said of a machine that does not answer: it neither runs, for all that is known, nor is it off.
pub(super) fn of(vm: &Vm, now: &Snapshot) -> Vmrunstate {
    let state = match vm.state {
        VmState::Interrupted | VmState::Quarantined => VmState::from(vm.facts.machine),
        state => state,
    };
    match state {
        VmState::Stopped if has_crashed(vm) => Vmrunstate::Crashed,
        VmState::Stopped => Vmrunstate::Poweroff,
        VmState::Running | VmState::Paused if is_being_ended(vm, now) => Vmrunstate::Terminating,
        VmState::Starting => Vmrunstate::Startup,
        VmState::Running => Vmrunstate::Running,
        VmState::Paused => Vmrunstate::Paused,
        VmState::Ended => Vmrunstate::Terminating,
        VmState::Suspended => Vmrunstate::Pmsuspended,
        VmState::Unresponsive | VmState::Interrupted | VmState::Quarantined => Vmrunstate::None,
    }
}

/// Whether it is off, in virtx's sense.
pub(super) fn is_off(state: Vmrunstate) -> bool {
    matches!(state, Vmrunstate::Poweroff | Vmrunstate::Crashed)
}

fn has_crashed(vm: &Vm) -> bool {
    matches!(vm.facts.last_end, Some(EndReason::GuestPanic | EndReason::HypervisorDied { .. }))
}

fn is_being_ended(vm: &Vm, now: &Snapshot) -> bool {
    let task = vm.task.and_then(|task| now.tasks.get(&task));
    task.is_some_and(|task| {
        task.state == TaskState::Running && ENDING.contains(&task.operation.as_str())
    })
}
