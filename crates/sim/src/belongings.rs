//! All that the world has of one VM, and how it changes. Pure.

use crate::{
    change::Change,
    clock::{Moment, timestamp},
    guest::Guest,
    machine::{Device, Doing, Life, Machine},
    shell,
};
use innkeeper_model::{EndReason, Facts, IncarnationId};
use serde::{Deserialize, Serialize};

/// How much of a log is kept, in bytes.
const LOG_KEPT: usize = 64 << 10;
/// How much of the hypervisor's own log is kept, in bytes.
const HYPERVISOR_LOG_KEPT: usize = 4 << 10;

/// What there is of a VM.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Belongings {
    /// The run folder, by the launch that it was made for.
    pub(crate) run_folder: Option<IncarnationId>,
    /// The machine, until its record is put away.
    pub(crate) machine: Option<Box<Machine>>,
    /// How the guest behaves, where it is told to behave otherwise than others.
    pub(crate) guest: Option<Box<Guest>>,
    /// What guests wrote to the serial line, in this run or the last.
    pub(crate) serial: String,
    /// What the hypervisor wrote.
    pub(crate) hypervisor: String,
}

impl Belongings {
    /// What the hypervisor says of the VM.
    pub(crate) fn facts(&self) -> Facts {
        self.machine.as_ref().map(|machine| machine.facts()).unwrap_or_default()
    }

    /// Whether nothing is left that would have to be kept.
    pub(crate) fn is_nothing(&self) -> bool {
        self.run_folder.is_none()
            && self.machine.is_none()
            && self.guest.is_none()
            && !self.has_logs()
    }

    pub(crate) fn has_logs(&self) -> bool {
        !self.serial.is_empty() || !self.hypervisor.is_empty()
    }

    /// Takes in a change, and returns what the guest wrote in it.
    ///
    /// A change that is about a machine does nothing where there is none; whoever makes changes looks
    /// first.
    pub(crate) fn apply(&mut self, at: Moment, change: Change) -> String {
        match change {
            Change::Prepared(incarnation) => {
                *self = Self {
                    run_folder: Some(incarnation),
                    guest: self.guest.take(),
                    ..Self::default()
                };
            }
            Change::Launched { incarnation, name, reboots_in_place } => {
                let pid = incarnation.process.map_or(0, |process| process.pid);
                self.note(at, &format!("launched as process {pid}"));
                let machine = Machine::launched(incarnation, name, reboots_in_place, at);
                self.machine = Some(Box::new(machine));
            }
            Change::Adopted { incarnation, foreign } => {
                self.note(at, &format!("process {} was taken over", foreign.process.pid));
                self.run_folder = Some(incarnation.id);
                self.machine = Some(Box::new(Machine::adopted(incarnation, *foreign, at)));
            }
            Change::PutAway | Change::GivenBack => {
                self.machine = None;
                self.run_folder = None;
            }
            Change::Behaves(guest) => {
                self.guest = Some(Box::new(guest));
            }
            Change::Forgotten => *self = Self::default(),
            Change::Died { .. } => {
                let reason = self.machine_changes(at, change);
                self.note(at, &reason);
            }
            change => {
                let wrote = self.machine_changes(at, change);
                keep_end(&mut self.serial, &wrote, LOG_KEPT);
                return wrote;
            }
        }
        String::new()
    }

    fn machine_changes(&mut self, at: Moment, change: Change) -> String {
        match &mut self.machine {
            Some(machine) => machine.apply(at, change),
            None => String::new(),
        }
    }

    fn note(&mut self, at: Moment, what: &str) {
        let line = format!("{} {what}\n", timestamp(at));
        keep_end(&mut self.hypervisor, &line, HYPERVISOR_LOG_KEPT);
    }
}

impl Machine {
    /// Takes in a change of the machine itself, and returns what was written because of it: by the
    /// guest, or by a process that died.
    fn apply(&mut self, at: Moment, change: Change) -> String {
        match change {
            Change::Plugged(device) => self.devices.push(device),
            Change::Unplugged(device) => {
                self.devices.retain(|other| *other != device);
                if device.is_nic() {
                    self.cables_out.remove(device.name());
                }
            }
            Change::Cable { nic, up: true } => drop(self.cables_out.remove(&nic)),
            Change::Cable { nic, up: false } => drop(self.cables_out.insert(nic)),
            Change::Rewired(incarnation) => self.incarnation = incarnation,
            Change::Loaded(memory) => self.memory = memory,
            Change::Continued => {
                self.enter(Life::Running, at);
                self.ran = true;
                // A guest whose memory was loaded booted long ago.
                if self.memory.boots == 0 {
                    return self.boot();
                }
            }
            Change::Paused => self.enter(Life::Paused, at),
            Change::Reset { .. } => {
                self.resets += 1;
                self.forget_guests_plans();
                return self.boot();
            }
            Change::Ended(reason) => {
                self.forget_guests_plans();
                self.last_end = Some(reason);
                self.enter(Life::Ended, at);
            }
            Change::Died { reason, politely } => return self.die(at, reason, politely),
            Change::Held => self.held = true,
            Change::Released => {
                if self.silent {
                    self.since = at;
                }
                (self.held, self.silent) = (false, false);
            }
            Change::FoundSilent => {
                self.silent = true;
                self.since = at;
                self.due.retain(|due| due.what != Doing::IsNoticed);
            }
            Change::Intends(due) => self.due.push(due),
            Change::Hung => {
                self.memory.hung = true;
                self.forget_guests_plans();
            }
            Change::Remembered(note) => self.memory.remember(&note),
            Change::Wrote(text) => return text.into(),
            Change::Prepared(_)
            | Change::Launched { .. }
            | Change::Adopted { .. }
            | Change::PutAway
            | Change::GivenBack
            | Change::Behaves(_)
            | Change::Forgotten => {}
        }
        String::new()
    }

    fn boot(&mut self) -> String {
        self.memory.boot();
        shell::greeting(&self.name, self.memory.boots)
    }

    fn die(&mut self, at: Moment, reason: EndReason, politely: bool) -> String {
        let text = match &reason {
            _ if politely => "quit".to_owned(),
            EndReason::Killed => "killed".to_owned(),
            EndReason::HypervisorDied { status } => {
                format!("died: {}", status.as_deref().unwrap_or("nobody knows why"))
            }
            other => format!("ended: {other:?}"),
        };
        self.last_end.get_or_insert(reason);
        self.due = Vec::new();
        (self.held, self.silent) = (false, false);
        // Taps are the host's.
        self.devices.retain(Device::is_nic);
        self.enter(Life::Dead, at);
        text
    }

    fn forget_guests_plans(&mut self) {
        self.due.retain(|due| due.what == Doing::IsNoticed);
    }
}

/// Adds to a text, and cuts off its beginning once it is twice as long as what is kept.
fn keep_end(text: &mut String, more: &str, kept: usize) {
    text.push_str(more);
    if text.len() > 2 * kept {
        text.drain(..text.ceil_char_boundary(text.len() - kept));
    }
}

/// The last of a text, at most 64 KiB.
pub(crate) fn shown(text: &str) -> Vec<u8> {
    text[text.ceil_char_boundary(text.len().saturating_sub(LOG_KEPT))..].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_end_and_stays_bounded() {
        let mut text = String::new();
        for round in 0..100_000 {
            keep_end(&mut text, &format!("round {round} é\n"), LOG_KEPT);
            assert!(text.len() <= 2 * LOG_KEPT);
        }
        let shown = shown(&text);
        assert!(shown.len() <= LOG_KEPT && shown.len() > LOG_KEPT - 4);
        assert!(String::from_utf8(shown).unwrap().ends_with("round 99999 é\n"));
    }
}
