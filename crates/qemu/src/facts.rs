//! From QEMU's words to facts. Pure.

use crate::qmp::Event;
use innkeeper_model::{EndReason, Facts, MachineState, Timestamp};

/// A reset shows as two when the firmware resets once more, which it does once: the first of the guest's own that
/// comes within this time of another is part of that, in milliseconds. (Measured: SeaBIOS follows after 30 ms, and
/// after more than 300 on a host that has no time for it. No kernel comes up and resets in two seconds under TCG.)
const FIRMWARE_FOLLOWS_WITHIN_MS: i64 = 2000;

/// The facts of one machine, as its events and answers make them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FactKeeper {
    facts: Facts,
    /// When the last reset was that the firmware may still follow up.
    followed_ms: Option<i64>,
}

impl FactKeeper {
    /// Begins with a machine that has just been made or found.
    pub(crate) fn new(machine: MachineState, now: Timestamp) -> Self {
        let facts = Facts { machine, since: Some(now), ..Facts::default() };
        Self { facts, followed_ms: None }
    }

    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes in the answer to `query-status`. `ended` is why the guest ended, where QEMU says only that
    /// it did.
    pub(crate) fn on_status(&mut self, status: &str, ended: EndReason, now: Timestamp) {
        let (machine, end) = match status {
            "running" | "suspended" => (MachineState::Running, None),
            "prelaunch" | "inmigrate" => (MachineState::Created, None),
            "shutdown" => (MachineState::Ended, Some(ended)),
            "guest-panicked" => (MachineState::Ended, Some(EndReason::GuestPanic)),
            // paused, finish-migrate and postmigrate (whose memory is saved), io-error, internal-error,
            // watchdog, debug, and whatever QEMU learns to say of a machine that does not run.
            _ => (MachineState::Paused, None),
        };
        self.enter(machine, now);
        if self.facts.last_end.is_none() {
            self.facts.last_end = end;
        }
    }

    /// Takes in an event.
    pub(crate) fn on_event(&mut self, event: &Event, now: Timestamp) {
        match event.name.as_str() {
            "RESUME" | "WAKEUP" => self.enter(MachineState::Running, now),
            // A machine that stops because its guest ended is already known to have ended.
            "STOP" if self.facts.machine != MachineState::Ended => {
                self.enter(MachineState::Paused, now);
            }
            "GUEST_PANICKED" => self.end(EndReason::GuestPanic, now),
            "SHUTDOWN" => match event.text("reason") {
                Some("guest-shutdown") => self.end(EndReason::GuestShutdown, now),
                Some("guest-panic") => self.end(EndReason::GuestPanic, now),
                Some("guest-reset") => self.end(EndReason::GuestReset, now),
                // QEMU is ending because it was told to; its exit is what counts.
                _ => {}
            },
            "RESET" => {
                let at = event.milliseconds();
                let by_guest = event.data["guest"] == true;
                let near = |last| at - last < FIRMWARE_FOLLOWS_WITHIN_MS;
                let follows = by_guest && self.followed_ms.is_some_and(near);
                self.followed_ms = (!follows).then_some(at);
                if !follows {
                    self.facts.resets += 1;
                }
            }
            _ => {}
        }
    }

    /// The process does not answer.
    pub(crate) fn on_silence(&mut self, now: Timestamp) {
        self.enter(MachineState::Unresponsive, now);
    }

    /// The process has ended. `killed` tells that Innkeeper ended it, `status` how it went.
    pub(crate) fn on_exit(&mut self, killed: bool, status: Option<String>, now: Timestamp) {
        if self.facts.last_end.is_none() {
            self.facts.last_end =
                Some(if killed { EndReason::Killed } else { EndReason::HypervisorDied { status } });
        }
        self.enter(MachineState::Absent, now);
    }

    fn end(&mut self, reason: EndReason, now: Timestamp) {
        // A panic is followed by a shutdown; the first reason is the true one.
        if self.facts.machine != MachineState::Ended {
            self.facts.last_end = Some(reason);
            self.enter(MachineState::Ended, now);
        }
    }

    fn enter(&mut self, machine: MachineState, now: Timestamp) {
        if self.facts.machine != machine {
            self.facts.machine = machine;
            self.facts.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(name: &str, data: Value, milliseconds: i64) -> Event {
        let time =
            serde_json::from_value(json!({ "seconds": 0, "microseconds": milliseconds * 1000 }))
                .unwrap();
        Event { name: name.into(), data, time }
    }

    fn after(events: &[(&str, Value)]) -> Facts {
        let mut keeper = FactKeeper::new(MachineState::Running, Timestamp::UNIX_EPOCH);
        for (index, (name, data)) in events.iter().enumerate() {
            let event = event(name, data.clone(), index as i64 * 1000);
            keeper.on_event(&event, Timestamp::UNIX_EPOCH);
        }
        keeper.facts().clone()
    }

    #[test]
    fn a_power_off_is_an_end_and_not_a_pause() {
        let facts = after(&[
            ("SHUTDOWN", json!({ "guest": true, "reason": "guest-shutdown" })),
            ("STOP", Value::Null),
        ]);
        assert_eq!(facts.machine, MachineState::Ended);
        assert_eq!(facts.last_end, Some(EndReason::GuestShutdown));
    }

    #[test]
    fn a_panic_is_told_apart_from_the_shutdown_that_follows_it() {
        let facts = after(&[
            ("GUEST_PANICKED", json!({ "action": "pause" })),
            ("STOP", Value::Null),
            ("SHUTDOWN", json!({ "guest": true, "reason": "guest-panic" })),
        ]);
        assert_eq!(facts.last_end, Some(EndReason::GuestPanic));
        assert_eq!(facts.machine, MachineState::Ended);
    }

    #[test]
    fn the_two_resets_of_one_reboot_count_once() {
        let mut keeper = FactKeeper::new(MachineState::Running, Timestamp::UNIX_EPOCH);
        for at in [1000, 2900, 9000, 9030] {
            let reset = event("RESET", json!({ "guest": true }), at);
            keeper.on_event(&reset, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(keeper.facts().resets, 2);
        assert_eq!(keeper.facts().machine, MachineState::Running);
    }

    #[test]
    fn a_guest_that_does_nothing_but_reset_is_seen_to() {
        let mut keeper = FactKeeper::new(MachineState::Running, Timestamp::UNIX_EPOCH);
        for at in 0..10 {
            let reset = event("RESET", json!({ "guest": true }), at * 100);
            keeper.on_event(&reset, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(keeper.facts().resets, 5);
    }

    #[test]
    fn every_reset_from_outside_counts_however_fast_they_come() {
        let mut keeper = FactKeeper::new(MachineState::Running, Timestamp::UNIX_EPOCH);
        for (at, guest) in [(1000, false), (1030, true), (1100, false), (1130, true)] {
            let reset = event("RESET", json!({ "guest": guest }), at);
            keeper.on_event(&reset, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(keeper.facts().resets, 2);
    }

    /// What happened while no daemon listened shows in the status alone.
    #[test]
    fn an_end_that_nobody_saw_has_its_reason() {
        for (status, ended, expected) in [
            ("shutdown", EndReason::GuestReset, EndReason::GuestReset),
            ("shutdown", EndReason::GuestShutdown, EndReason::GuestShutdown),
            ("guest-panicked", EndReason::GuestShutdown, EndReason::GuestPanic),
        ] {
            let mut keeper = FactKeeper::new(MachineState::Unresponsive, Timestamp::UNIX_EPOCH);
            keeper.on_status(status, ended, Timestamp::UNIX_EPOCH);
            assert_eq!(keeper.facts().machine, MachineState::Ended);
            assert_eq!(keeper.facts().last_end, Some(expected));
        }
    }

    #[test]
    fn an_exit_without_a_word_is_a_death_unless_we_did_it() {
        let mut keeper = FactKeeper::new(MachineState::Running, Timestamp::UNIX_EPOCH);
        let mut killed = keeper.clone();
        keeper.on_exit(false, Some("signal 9".into()), Timestamp::UNIX_EPOCH);
        killed.on_exit(true, Some("signal 9".into()), Timestamp::UNIX_EPOCH);
        assert!(matches!(keeper.facts().last_end, Some(EndReason::HypervisorDied { .. })));
        assert_eq!(killed.facts().last_end, Some(EndReason::Killed));
    }
}
