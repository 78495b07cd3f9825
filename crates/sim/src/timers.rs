//! When something in a world is due. One thread waits for all machines, from the first time that
//! anything is due until the world is dropped; a world in which nothing was ever due has none, and one
//! whose clock stands has none either.

use crate::{
    clock::{Moment, real_now},
    world::World,
};
use innkeeper_model::VmId;
use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

/// What is due when, the earliest first. An entry only says that a machine is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    due: BTreeSet<(Moment, VmId)>,
    has_thread: bool,
    closed: bool,
}

impl Timers {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Only set operations happen under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, at: Moment, vm: VmId) {
        self.waiting().due.insert((at, vm));
        self.changed.notify_all();
    }

    /// Takes the earliest that is due by a moment.
    pub(crate) fn take(&self, by: Moment) -> Option<(Moment, VmId)> {
        let mut waiting = self.waiting();
        let (at, _) = *waiting.due.first()?;
        if at > by { None } else { waiting.due.pop_first() }
    }

    /// Sees to it that a thread waits for what is due in a world whose clock runs.
    pub(crate) fn have_a_thread(self: &Arc<Self>, world: &Weak<World>) {
        let mut waiting = self.waiting();
        if waiting.has_thread || waiting.closed {
            return;
        }
        let (timers, world) = (self.clone(), world.clone());
        let thread = std::thread::Builder::new().name("sim-guests".into());
        let spawned = thread.spawn(move || timers.run(&world));
        // Without a thread, guests do nothing by themselves; the next thing that is due tries again.
        waiting.has_thread = spawned.is_ok();
    }

    /// Ends the thread, soon.
    pub(crate) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }

    fn run(&self, world: &Weak<World>) {
        while self.wait_until_due() {
            let Some(world) = world.upgrade() else { return };
            world.let_happen(real_now());
        }
    }

    /// Waits until something is due; `false` when nothing will be any more.
    fn wait_until_due(&self) -> bool {
        let mut waiting = self.waiting();
        loop {
            if waiting.closed {
                return false;
            }
            let wait = match waiting.due.first() {
                None => Duration::MAX,
                Some((at, _)) => match u64::try_from(at - real_now()) {
                    Err(_) | Ok(0) => return true,
                    Ok(microseconds) => Duration::from_micros(microseconds),
                },
            };
            let woken = self.changed.wait_timeout(waiting, wait);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
