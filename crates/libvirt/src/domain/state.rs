//! The state of a domain, and how its last run ended.

use innkeeper_model::{EndReason, MachineState};

/// `virDomainState`, and its reason, whose meaning depends on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    state: i32,
    reason: i32,
}

impl State {
    pub(crate) const fn new(state: i32, reason: i32) -> Self {
        Self { state, reason }
    }

    /// The machine that it is. A domain that has no run has none, whatever is said of its state.
    pub(crate) const fn machine(self, run: Option<i64>) -> MachineState {
        if run.is_none() {
            return MachineState::Absent;
        }
        match (self.state, self.reason) {
            // Paused because it is starting up, and because its guest crashed
            (3, 11) => MachineState::Created,
            (3, 10) => MachineState::Ended,
            // Paused for any other reason; suspended by its guest, until that is woken
            (3 | 7, _) => MachineState::Paused,
            // Shut down, and its process is still there; crashed, and kept
            (4 | 6, _) => MachineState::Ended,
            (5, _) => MachineState::Absent,
            // No state, running, blocked, and what is not known yet
            _ => MachineState::Running,
        }
    }

    /// Whether its guest has put it to sleep, until it is woken.
    pub(crate) const fn sleeps(self) -> bool {
        self.state == 7
    }

    /// How the last run ended, where that is said. `panicked` is whether its guest was seen to panic:
    /// libvirt calls a run crashed as well when its QEMU died.
    pub(crate) fn last_end(self, panicked: bool) -> Option<EndReason> {
        match (self.state, self.reason) {
            // Shutting down; off because it was shut down
            (4, _) | (5, 1) => Some(EndReason::GuestShutdown),
            (5, 2) => Some(EndReason::Killed),
            (3, 10) | (6, _) => Some(EndReason::GuestPanic),
            (5, 3) if panicked => Some(EndReason::GuestPanic),
            // Off because it crashed, or because libvirt found that it could not go on with it
            (5, 3 | 8) => Some(EndReason::HypervisorDied { status: None }),
            // Off for reasons that are no ends of a machine: it migrated, was saved, or never began
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_libvirts_is_one_of_a_machine() {
        use MachineState::{Absent, Created, Ended, Paused, Running};
        for (state, reason, machine) in [
            (0, 0, Running),
            (1, 1, Running),
            (2, 0, Running),
            (3, 1, Paused),
            (3, 5, Paused),
            (3, 10, Ended),
            (3, 11, Created),
            (4, 1, Ended),
            (5, 1, Absent),
            (6, 1, Ended),
            (7, 0, Paused),
            (99, 0, Running),
        ] {
            let state = State::new(state, reason);
            assert_eq!(state.machine(Some(1)), machine, "{state:?}");
            assert_eq!(state.machine(None), Absent, "{state:?}");
            assert_eq!(state.sleeps(), state == State::new(7, 0), "{state:?}");
        }
    }

    #[test]
    fn an_end_is_told_where_libvirt_says_how_it_was() {
        let died = Some(EndReason::HypervisorDied { status: None });
        for (state, reason, panicked, end) in [
            (1, 1, false, None),
            (5, 0, false, None),
            (5, 1, false, Some(EndReason::GuestShutdown)),
            (5, 2, false, Some(EndReason::Killed)),
            (5, 3, false, died.clone()),
            (5, 3, true, Some(EndReason::GuestPanic)),
            (5, 4, false, None),
            (5, 6, false, None),
            (5, 8, false, died),
            (6, 1, false, Some(EndReason::GuestPanic)),
        ] {
            assert_eq!(State::new(state, reason).last_end(panicked), end, "{state}/{reason}");
        }
    }
}
