//! What a guest that ends by itself does to its machine, and how to tell afterwards why it ended. Pure.
//!
//! A guest that has ended leaves its machine held, so that it can be asked why. A reboot is an end too
//! where the VM's policy says so. QEMU then says `shutdown` of both, and its event is lost where no
//! daemon listens; so such a QEMU notes in its log what it does, and the log is asked.

use crate::option::QemuOption;
use innkeeper_model::{EndReason, Policies, Policy};

const ACTION: &str = "-action";
const TRACE: &str = "-trace";

/// Noted where a guest asks for the power to be switched off, not where it resets.
const POWER_OFF: &str = "qemu_system_shutdown_request";
/// Noted at every change of QEMU's state.
const NEW_STATE: &str = "runstate_set";

/// The arguments that make a machine end as the policies want it.
pub(crate) fn arguments(policies: Policies) -> Vec<String> {
    let ends_on_reboot = policies.reboot != Policy::Restart;
    let action = QemuOption::default()
        .with("reboot", if ends_on_reboot { "shutdown" } else { "reset" })
        .with("shutdown", "pause")
        .with("panic", "pause");
    let mut arguments = vec![ACTION.to_owned(), action.into()];
    if ends_on_reboot {
        for event in [POWER_OFF, NEW_STATE] {
            arguments
                .extend([TRACE.to_owned(), QemuOption::default().with("enable", event).into()]);
        }
    }
    arguments
}

/// The names of the options that [`arguments`] makes; each has a value.
pub(crate) const OPTIONS: [&str; 2] = [ACTION, TRACE];

/// Whether a machine with this command line ends when its guest reboots.
pub(crate) fn ends_on_reboot(argv: &[String]) -> bool {
    let mut pairs = argv.iter().zip(argv.iter().skip(1));
    pairs
        .any(|(option, value)| option == ACTION && value.split(',').any(|v| v == "reboot=shutdown"))
}

/// Why a guest ended of which QEMU says `shutdown`, by what QEMU noted in its log. A log without notes
/// is one of a machine that has no other end, or of a QEMU that was built without them.
pub(crate) fn reason(log: &str) -> EndReason {
    let mut powered_off = false;
    let mut reason = None;
    for line in log.lines() {
        if line.contains(POWER_OFF) {
            powered_off = true;
        } else if line.contains(NEW_STATE) {
            if line.trim_end().ends_with("(shutdown)") {
                let found =
                    if powered_off { EndReason::GuestShutdown } else { EndReason::GuestReset };
                reason = Some(found);
            }
            powered_off = false;
        }
    }
    reason.unwrap_or(EndReason::GuestShutdown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_policy_against_reboots_makes_them_an_end() {
        for (reboot, ends) in
            [(Policy::Restart, false), (Policy::Stop, true), (Policy::Pause, true)]
        {
            let policies = Policies { reboot, ..Policies::default() };
            assert_eq!(ends_on_reboot(&arguments(policies)), ends, "{reboot:?}");
        }
    }

    /// As QEMU 10.0.2 writes them.
    #[test]
    fn a_power_off_and_a_reset_are_told_apart_by_the_log() {
        let begins = "runstate_set current_run_state 6 (prelaunch) new_state 9 (running)\n";
        let ends = "runstate_set current_run_state 9 (running) new_state 11 (shutdown)\n";
        let reset = "runstate_set current_run_state 11 (shutdown) new_state 6 (prelaunch)\n";
        let off = "qemu_system_shutdown_request reason=6\n";
        for (log, expected) in [
            (vec![begins, off, ends], EndReason::GuestShutdown),
            (vec![begins, ends], EndReason::GuestReset),
            (vec![begins, off, ends, reset, begins, ends], EndReason::GuestReset),
            (vec![begins, ends, reset, begins, off, ends], EndReason::GuestShutdown),
            (vec!["qemu: some complaint\n"], EndReason::GuestShutdown),
        ] {
            assert_eq!(reason(&log.concat()), expected, "{log:?}");
        }
    }
}
