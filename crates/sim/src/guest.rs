//! How a guest behaves: what it does by itself, and when its power button is pressed.

use crate::{
    change::Change,
    clock::{Moment, later, timestamp},
    events,
    machine::{Doing, Due, Life},
    world::{State, World},
};
use innkeeper_model::{EndReason, VmId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a guest takes to power itself off, unless it is told otherwise.
const POWERS_OFF_AFTER: Duration = Duration::from_millis(20);

/// A guest's behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// What it does when the power button is pressed.
    pub power_button: PowerButton,
    /// What it does by itself, and how long after each of its boots.
    pub by_itself: Option<(Duration, Happening)>,
}

impl Default for Guest {
    /// Powers itself off 20 ms after the button was pressed.
    fn default() -> Self {
        Self { power_button: PowerButton::PowersOff { after: POWERS_OFF_AFTER }, by_itself: None }
    }
}

/// What a guest does when the power button is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerButton {
    /// It powers itself off.
    PowersOff {
        /// How long it takes; zero is at once.
        after: Duration,
    },
    /// Nothing.
    Ignored,
}

/// Something that a guest does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It powers itself off.
    PowersOff,
    /// It reboots.
    Reboots,
    /// Its kernel panics.
    Panics,
    /// It stops doing anything, with its CPUs running: it hears neither the power button nor its
    /// console until it is reset.
    Hangs,
}

impl World {
    /// Presses a machine's power button.
    pub(crate) fn press_power_button(&self, state: &mut State, vm: VmId) {
        state.tell_event(vm, &events::power_down(timestamp(self.now())));
        let PowerButton::PowersOff { after } = self.guest_of(state, vm).power_button else {
            return;
        };
        let Some(machine) = state.machine(vm) else { return };
        let what = Doing::Guest(Happening::PowersOff);
        let is_at_it = machine.due.iter().any(|due| due.what == what);
        if machine.life != Life::Running || machine.memory.hung || is_at_it {
            return;
        }
        if after.is_zero() {
            self.guest_does(state, vm, Happening::PowersOff);
        } else {
            let due = Due { at: later(self.now(), after), what };
            self.change(state, vm, Change::Intends(due));
        }
    }

    /// A guest does something. Its CPUs run.
    pub(crate) fn guest_does(&self, state: &mut State, vm: VmId, happening: Happening) {
        let Some(machine) = state.machine(vm) else { return };
        let change = match happening {
            Happening::PowersOff => Change::Ended(EndReason::GuestShutdown),
            Happening::Panics => Change::Ended(EndReason::GuestPanic),
            Happening::Hangs => Change::Hung,
            Happening::Reboots if machine.reboots_in_place => Change::Reset { by_guest: true },
            Happening::Reboots => Change::Ended(EndReason::GuestReset),
        };
        let boots = matches!(change, Change::Reset { .. });
        self.change(state, vm, change);
        if boots {
            self.guest_has_booted(state, vm);
        }
    }

    /// From here on it does by itself what it does.
    pub(crate) fn guest_has_booted(&self, state: &mut State, vm: VmId) {
        if let Some((after, happening)) = self.guest_of(state, vm).by_itself {
            let due = Due { at: later(self.now(), after), what: Doing::Guest(happening) };
            self.change(state, vm, Change::Intends(due));
        }
    }

    fn guest_of(&self, state: &State, vm: VmId) -> Guest {
        let own = state.host.vms.get(&vm).and_then(|belongings| belongings.guest.as_deref());
        own.copied().unwrap_or(self.options.guest)
    }

    /// Lets everything happen that is due by a moment, in its order, moving a clock that stands along.
    pub(crate) fn let_happen(&self, by: Moment) {
        while let Some((at, vm)) = self.timers().take(by) {
            self.time.move_to(at);
            let mut state = self.state();
            let due = state.machine(vm).and_then(|machine| {
                let is_now = |due: &&Due| due.at <= at && machine.lets_happen(due.what);
                machine.due.iter().find(is_now).copied()
            });
            // What cannot happen now, because the CPUs are held, does once they go on.
            match due.map(|due| due.what) {
                Some(Doing::Guest(happening)) => self.guest_does(&mut state, vm, happening),
                Some(Doing::IsNoticed) => self.change(&mut state, vm, Change::FoundSilent),
                None => {}
            }
        }
    }

    /// Lets time pass in a world whose clock stands. When this returns, everything that was due by then
    /// has happened; who waited for it may not have woken yet.
    ///
    /// # Panics
    /// The clock is [`crate::Clock::Real`].
    pub fn advance(&self, duration: Duration) {
        assert!(self.time.is_virtual(), "only a virtual clock can be moved");
        let until = later(self.now(), duration);
        self.let_happen(until);
        self.time.move_to(until);
    }
}
