//! The queue before the writer: bounded, and nobody waits to get into it.

use innkeeper_model::AuditEntry;
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most lines that wait. At some 500 bytes each, 4 MiB.
pub(super) const MAX_WAITING: usize = 8192;

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<AuditEntry>,
    /// Whether the writer sleeps until something comes: only then it needs to be woken.
    sleeps: bool,
    ending: bool,
    ended: bool,
}

/// What the writer was given.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) entries: Vec<AuditEntry>,
    /// Whether nothing comes after it.
    pub(super) ending: bool,
}

impl Queue {
    /// Puts a line in; or not, if it is full or has ended.
    pub(super) fn push(&self, entry: AuditEntry) -> bool {
        let mut state = self.state();
        if state.ending || state.waiting.len() >= MAX_WAITING {
            return false;
        }
        state.waiting.push(entry);
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.changed.notify_all();
        }
        true
    }

    /// Waits until there is something, or until so long, and takes all that there is.
    pub(super) fn take(&self, at_most: Option<Duration>) -> Taken {
        let deadline = at_most.map(|at_most| Instant::now() + at_most);
        let mut state = self.state();
        while state.waiting.is_empty() && !state.ending {
            state.sleeps = true;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state = match left {
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.sleeps = false;
        Taken { entries: std::mem::take(&mut state.waiting), ending: state.ending }
    }

    /// Gives more the time to come, so that many are written at once; less if it is to end.
    pub(super) fn gather(&self, time: Duration) {
        let state = self.state();
        // Nobody wakes it but who ends it: `sleeps` is not set.
        drop(self.changed.wait_timeout_while(state, time, |state| !state.ending));
    }

    /// Takes nothing more from now on.
    pub(super) fn end(&self) {
        self.state().ending = true;
        self.changed.notify_all();
    }

    /// That all of it is written, or never will be.
    pub(super) fn has_ended(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// Waits until then, at most so long; whether it was so.
    pub(super) fn wait_for_end(&self, at_most: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), at_most, |state| !state.ended);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A list of whole lines is whole after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
