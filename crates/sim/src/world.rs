//! The world: a simulated host that is kept in a file and told of.
//!
//! Everything that happens goes through [`World::change`]: it is written down, takes effect, is told
//! to the drivers that know the VM, and wakes who waits for it, all under one lock, so that every
//! observer hears of changes in their order. An observer must therefore not call back into the world.

use crate::{
    agent::Script,
    change::{Change, Entry},
    clock::{Clock, Moment, Time, timestamp},
    console::Console,
    events,
    faults::{Chance, Faults},
    guest::Guest,
    host::Host,
    ledger::Ledger,
    timers::Timers,
};
use innkeeper_driver::Observer;
use innkeeper_model::{Facts, HypervisorEvent, VmId};
use std::{
    collections::{HashMap, HashSet},
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What a world is made with. None of it is kept in its file.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// What chance is drawn from.
    pub seed: u64,
    /// How time passes.
    pub clock: Clock,
    /// How many of the steps go wrong: 0 is none, 1 is all. Slowly, by failing, by a hypervisor that
    /// dies, or by a failure that is none.
    pub fault_rate: f64,
    /// How long each step takes, at least and at most.
    pub step_time: RangeInclusive<Duration>,
    /// How guests behave that are not told otherwise.
    pub guest: Guest,
    /// How long it takes until it is noticed that a process does not answer.
    pub noticed_after: Duration,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            clock: Clock::Real,
            fault_rate: 0.0,
            step_time: Duration::ZERO..=Duration::ZERO,
            guest: Guest::default(),
            noticed_after: Duration::from_secs(1),
        }
    }
}

/// A simulated host. Drivers are made on it, one after another, as daemons come and go.
pub struct World {
    pub(crate) options: WorldOptions,
    folder: PathBuf,
    pub(crate) time: Time,
    pub(crate) faults: Faults,
    timers: Arc<Timers>,
    state: Mutex<State>,
    itself: Weak<Self>,
}

/// What changes in a world.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) host: Host,
    ledger: Option<Ledger>,
    watchers: Vec<Watcher>,
    last_watcher: u64,
    /// Who waits for a change of a VM.
    waiters: HashMap<VmId, Vec<oneshot::Sender<()>>>,
    pub(crate) consoles: HashMap<VmId, Console>,
    pub(crate) agents: HashMap<VmId, Script>,
}

/// A driver that is told of the VMs that it knows.
struct Watcher {
    id: u64,
    observer: Arc<dyn Observer>,
    knows: HashSet<VmId>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.timers.close();
    }
}

impl World {
    /// Opens the world in this folder, or begins one; the folder is made if it is not there. Time that
    /// passed while nobody had it open has passed in it, too; a clock that stands goes on from the last
    /// thing that happened. Blocks.
    ///
    /// # Errors
    /// The host refused, another process has it open, or its file is damaged.
    pub fn open(folder: impl AsRef<Path>, options: WorldOptions) -> io::Result<Arc<Self>> {
        let (ledger, host, last) = Ledger::open(folder.as_ref())?;
        let state = State { host, ledger: Some(ledger), ..State::default() };
        Ok(Self::new(folder.as_ref().into(), state, last, options))
    }

    /// A world that ends with this process.
    pub fn in_memory(options: WorldOptions) -> Arc<Self> {
        Self::new("/nowhere".into(), State::default(), Moment::MIN, options)
    }

    fn new(folder: PathBuf, state: State, last: Moment, options: WorldOptions) -> Arc<Self> {
        let chance = Chance {
            seed: options.seed,
            fault_rate: options.fault_rate,
            step_time: options.step_time.clone(),
        };
        let world = Arc::new_cyclic(|itself| Self {
            time: Time::new(options.clock),
            faults: Faults::new(chance),
            timers: Arc::default(),
            state: Mutex::new(state),
            itself: itself.clone(),
            folder,
            options,
        });
        world.time.move_to(last);
        let mut state = world.state();
        if state.host.boot_id.is_empty() {
            world.boot(&mut state);
        }
        let vms: Vec<VmId> = state.host.vms.keys().copied().collect();
        vms.into_iter().for_each(|vm| world.wait_for_what_is_due(&state, vm));
        drop(state);
        world
    }

    /// The folder that run folders are said to be in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The moment that the clock shows.
    pub(crate) fn now(&self) -> Moment {
        self.time.now()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // What happens under the lock is made of parts that each leave the world usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Boots the host: its processes are gone.
    pub(crate) fn boot(&self, state: &mut State) {
        let entry = state.host.boot(Uuid::new_v4().to_string());
        state.consoles.clear();
        self.write_down(state, entry);
        for (_, waiters) in state.waiters.drain() {
            wake(waiters);
        }
    }

    /// Writes down what happens, and lets it take effect.
    pub(crate) fn write_down(&self, state: &mut State, entry: Entry) -> String {
        let at = self.now();
        if let Some(ledger) = &mut state.ledger {
            ledger.note(at, &entry, &state.host);
        }
        state.host.apply(at, entry)
    }

    /// Changes something of a VM. Whoever calls has looked whether it can be.
    pub(crate) fn change(&self, state: &mut State, vm: VmId, change: Change) {
        let is_watched = state.watchers.iter().any(|watcher| watcher.knows.contains(&vm));
        let before = is_watched.then(|| state.host.facts(vm));
        let events = match is_watched {
            true => events::of(&change, timestamp(self.now())),
            false => Vec::new(),
        };
        let after = After::of(&change);
        let wrote = self.write_down(state, Entry::Vm(vm, change));
        if let Some(before) = before {
            state.tell(vm, &before, &after, events);
        }
        if !wrote.is_empty()
            && let Some(console) = state.consoles.get_mut(&vm)
        {
            console.show(&wrote);
        }
        if after.ends_the_process
            && let Some(console) = state.consoles.remove(&vm)
        {
            console.hang_up();
        }
        if after.may_be_due {
            self.wait_for_what_is_due(state, vm);
        }
        if let Some(waiters) = state.waiters.remove(&vm) {
            wake(waiters);
        }
    }

    fn wait_for_what_is_due(&self, state: &State, vm: VmId) {
        for due in state.machine(vm).iter().flat_map(|machine| &machine.due) {
            self.timers.add(due.at, vm);
            if !self.time.is_virtual() {
                self.timers.have_a_thread(&self.itself);
            }
        }
    }

    /// Waits until something can be seen. Dropping it is harmless.
    pub(crate) async fn wait_for<T>(
        &self,
        vm: VmId,
        mut look: impl FnMut(&Host) -> Option<T>,
    ) -> T {
        loop {
            let changed = {
                let mut state = self.state();
                if let Some(seen) = look(&state.host) {
                    return seen;
                }
                let (wake, changed) = oneshot::channel();
                let waiters = state.waiters.entry(vm).or_default();
                waiters.retain(|waiter| !waiter.is_closed());
                waiters.push(wake);
                changed
            };
            let _ = changed.await;
        }
    }

    /// Begins to tell an observer of the VMs that it will know.
    pub(crate) fn watch(&self, observer: Arc<dyn Observer>) -> u64 {
        let mut state = self.state();
        state.last_watcher += 1;
        let id = state.last_watcher;
        state.watchers.push(Watcher { id, observer, knows: HashSet::new() });
        id
    }

    pub(crate) fn stop_watching(&self, id: u64) {
        let mut state = self.state();
        let (stays, goes) =
            std::mem::take(&mut state.watchers).into_iter().partition(|watcher| watcher.id != id);
        state.watchers = stays;
        drop(state);
        // Not under the lock: what an observer holds may end with it.
        drop::<Vec<Watcher>>(goes);
    }
}

fn wake(waiters: Vec<oneshot::Sender<()>>) {
    for waiter in waiters {
        // One that waits no more needs no waking.
        let _ = waiter.send(());
    }
}

/// What follows from a change.
struct After {
    /// The record that the VM's machine has from now on, where that changed.
    record: Option<Option<Arc<innkeeper_model::Incarnation>>>,
    /// The VM's facts are those of no machine, and how the last one ended is nobody's concern.
    is_nothing: bool,
    ends_the_process: bool,
    may_be_due: bool,
}

impl After {
    fn of(change: &Change) -> Self {
        let record = match change {
            Change::Launched { incarnation, .. }
            | Change::Adopted { incarnation, .. }
            | Change::Rewired(incarnation) => Some(Some(incarnation.clone())),
            Change::PutAway | Change::GivenBack => Some(None),
            _ => None,
        };
        Self {
            is_nothing: matches!(change, Change::GivenBack),
            ends_the_process: matches!(change, Change::Died { .. } | Change::GivenBack),
            may_be_due: matches!(change, Change::Continued | Change::Released | Change::Intends(_)),
            record,
        }
    }
}

impl State {
    fn tell(&self, vm: VmId, before: &Facts, after: &After, events: Vec<HypervisorEvent>) {
        let facts = self.host.facts(vm);
        // What is put away leaves the facts of its end behind.
        let is_news = facts != *before && (after.record != Some(None) || after.is_nothing);
        for watcher in self.watchers.iter().filter(|watcher| watcher.knows.contains(&vm)) {
            if let Some(record) = &after.record {
                watcher.observer.incarnation(vm, record.clone());
            }
            if is_news {
                watcher.observer.facts(vm, facts.clone());
            }
            for event in &events {
                watcher.observer.event(vm, event.clone());
            }
        }
    }

    /// Tells of an event that changes nothing.
    pub(crate) fn tell_event(&self, vm: VmId, event: &HypervisorEvent) {
        for watcher in self.watchers.iter().filter(|watcher| watcher.knows.contains(&vm)) {
            watcher.observer.event(vm, event.clone());
        }
    }

    /// Has a driver know a VM: from now on it is told of it, and at once of a machine that is there.
    pub(crate) fn introduce(&mut self, watcher: u64, vm: VmId, facts: impl FnOnce(Facts) -> Facts) {
        let Some(watcher) = self.watchers.iter_mut().find(|other| other.id == watcher) else {
            return;
        };
        if !watcher.knows.insert(vm) {
            return;
        }
        let belongings = self.host.vms.get(&vm);
        if let Some(machine) = belongings.and_then(|belongings| belongings.machine.as_ref()) {
            watcher.observer.incarnation(vm, Some(machine.incarnation.clone()));
            watcher.observer.facts(vm, facts(machine.facts()));
        }
    }

    /// Tells a driver how a VM's machine is, if it knows the VM.
    pub(crate) fn tell_again(&self, watcher: u64, vm: VmId) {
        let mut watchers = self.watchers.iter();
        let watcher = watchers.find(|other| other.id == watcher && other.knows.contains(&vm));
        if let Some(watcher) = watcher {
            watcher.observer.facts(vm, self.host.facts(vm));
        }
    }

    /// Tells a driver that a VM has no machine on record, whatever it was told before.
    pub(crate) fn tell_of_no_record(&self, vm: VmId) {
        for watcher in self.watchers.iter().filter(|watcher| watcher.knows.contains(&vm)) {
            watcher.observer.incarnation(vm, None);
        }
    }

    /// Has all drivers forget a VM.
    pub(crate) fn forget(&mut self, vm: VmId) {
        for watcher in &mut self.watchers {
            watcher.knows.remove(&vm);
        }
    }

    pub(crate) fn ledger_is_complete(&self) -> bool {
        self.ledger.as_ref().is_none_or(Ledger::is_complete)
    }
}
