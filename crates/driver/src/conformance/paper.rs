//! Another manager, on paper: it remembers machines, and nothing runs. For tests of what relies on
//! neighbours.

mod driver;

use super::{NeighbourFixture, OwnersDeed};
use crate::{Driver, Neighbour, NeighbourObserver};
use async_trait::async_trait;
use driver::PaperDriver;
use innkeeper_model::{
    Code, EndReason, MachineState, ManagedMachine, Mebibytes, NeighbourMachine, Refusal, Timestamp,
    VmId, host::ManagerLost,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// The name of the manager, and of its driver.
const NAME: &str = "paper";
/// How long a step waits for a manager that cannot be asked.
const PATIENCE: Duration = Duration::from_millis(100);

/// A manager, which outlives those who ask it.
#[derive(Default)]
pub struct PaperManager {
    paper: Mutex<Paper>,
    changed: Notify,
}

#[derive(Default)]
struct Paper {
    machines: BTreeMap<VmId, NeighbourMachine>,
    /// Who watches; every change is told under the lock, in order.
    observer: Option<Arc<dyn NeighbourObserver>>,
    /// Why it cannot be asked.
    away: Option<String>,
    /// Whether guests do not hear that they are asked to power off.
    deaf: bool,
    runs: i64,
}

impl fmt::Debug for PaperManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaperManager").field("machines", &self.paper().machines).finish()
    }
}

impl Paper {
    fn tell(&self, tell: impl FnOnce(&dyn NeighbourObserver)) {
        if let (Some(observer), None) = (&self.observer, &self.away) {
            tell(&**observer);
        }
    }

    fn tell_all(&self) {
        self.tell(|observer| observer.all(self.machines.values().cloned().collect()));
    }

    /// Changes a machine; one that is not kept is gone when it does not run.
    fn set(&mut self, id: VmId, machine: MachineState, end: Option<EndReason>) {
        let Some(known) = self.machines.get_mut(&id) else { return };
        if known.machine == MachineState::Absent && machine != MachineState::Absent {
            self.runs += 1;
            known.is.run = Some(self.runs);
            // No process has such a number.
            known.is.pid = u32::try_from(self.runs).ok().map(|run| (1 << 23) + run);
        }
        if machine == MachineState::Absent {
            (known.is.run, known.is.pid) = (None, None);
        }
        (known.machine, known.last_end) = (machine, end);
        let told = known.clone();
        if machine == MachineState::Absent && !told.is.persistent {
            self.machines.remove(&id);
            self.tell(|observer| observer.gone(id));
        } else {
            self.tell(|observer| observer.changed(told));
        }
    }
}

impl PaperManager {
    fn paper(&self) -> MutexGuard<'_, Paper> {
        // Only map operations, and calls of an observer that never waits, happen under the lock.
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Paper)) {
        change(&mut self.paper());
        self.changed.notify_waiters();
    }

    /// A neighbour of this manager.
    pub fn neighbour(self: &Arc<Self>) -> Arc<dyn Neighbour> {
        Arc::new(PaperNeighbour { manager: self.clone() })
    }

    /// Defines a machine of 1 virtual CPU and 64 MiB, which is off.
    pub fn define(&self, name: &str) -> VmId {
        let id = VmId::new();
        let is = ManagedMachine {
            name: name.into(),
            cpus: 1,
            memory: Mebibytes(64),
            persistent: true,
            ..ManagedMachine::default()
        };
        self.put(NeighbourMachine { id, machine: MachineState::Absent, last_end: None, is });
        id
    }

    /// Has a machine, new or in place of the one with its id.
    pub fn put(&self, machine: NeighbourMachine) {
        self.change(|paper| {
            paper.machines.insert(machine.id, machine.clone());
            paper.tell(|observer| observer.changed(machine));
        });
    }

    /// A machine as it is.
    pub fn machine(&self, id: VmId) -> Option<NeighbourMachine> {
        self.paper().machines.get(&id).cloned()
    }

    /// The owner does something to a machine.
    pub fn owner(&self, machine: VmId, does: OwnersDeed) {
        self.change(|paper| match does {
            OwnersDeed::Start | OwnersDeed::Resume => {
                paper.set(machine, MachineState::Running, None);
            }
            OwnersDeed::Pause => paper.set(machine, MachineState::Paused, None),
            OwnersDeed::End => paper.set(machine, MachineState::Absent, Some(EndReason::Killed)),
            OwnersDeed::Undefine => {
                paper.machines.remove(&machine);
                paper.tell(|observer| observer.gone(machine));
            }
        });
    }

    /// Changes a machine without a word, as if the word were lost.
    pub fn change_silently(&self, machine: VmId, state: MachineState) {
        let mut paper = self.paper();
        let observer = paper.observer.take();
        paper.set(machine, state, None);
        paper.observer = observer;
    }

    /// Guests do not hear that they are asked to power off, or do.
    pub fn make_guests_deaf(&self, deaf: bool) {
        self.change(|paper| paper.deaf = deaf);
    }

    /// It cannot be asked any more, for this reason.
    pub fn cut(&self, reason: &str) {
        self.change(|paper| {
            paper.tell(|observer| observer.lost(loss(reason)));
            paper.away = Some(reason.into());
        });
    }

    /// It can be asked again.
    pub fn mend(&self) {
        self.change(|paper| {
            paper.away = None;
            paper.tell_all();
        });
    }

    /// Waits until the manager is as it should be, and says what was found then.
    async fn until<T>(&self, mut found: impl FnMut(&mut Paper) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = found(&mut self.paper()) {
                return found;
            }
            changed.await;
        }
    }

    /// Waits until it can be asked, not for long.
    async fn reached(&self) -> Result<(), Refusal> {
        let there = self.until(|paper| paper.away.is_none().then_some(()));
        tokio::time::timeout(PATIENCE, there).await.map_err(|_| self.refusal())
    }

    fn refusal(&self) -> Refusal {
        let why = self.paper().away.clone().unwrap_or_default();
        Refusal::new(Code::HypervisorFailed, format!("{NAME} cannot be asked: {why}"))
    }
}

fn loss(reason: &str) -> ManagerLost {
    let hint = Some("mend it".into());
    ManagerLost { at: Timestamp::now(), reason: reason.into(), hint }
}

/// A neighbour of such a manager.
#[derive(Debug, Clone)]
pub struct PaperNeighbour {
    manager: Arc<PaperManager>,
}

/// Forgets who watched when nobody does any more.
struct Watching<'a>(&'a PaperManager);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.paper().observer = None;
    }
}

#[async_trait]
impl Neighbour for PaperNeighbour {
    fn name(&self) -> &'static str {
        NAME
    }

    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(PaperDriver::new(self.manager.clone()))
    }

    async fn watch(&self, observer: Arc<dyn NeighbourObserver>) {
        let _watching = Watching(&self.manager);
        self.manager.change(|paper| {
            match &paper.away {
                None => observer.all(paper.machines.values().cloned().collect()),
                Some(reason) => observer.lost(loss(reason)),
            }
            paper.observer = Some(observer);
        });
        std::future::pending().await
    }

    async fn survey(&self) -> Result<(), Refusal> {
        let paper = self.manager.paper();
        if paper.away.is_some() {
            drop(paper);
            return Err(self.manager.refusal());
        }
        paper.tell_all();
        Ok(())
    }
}

#[async_trait]
impl NeighbourFixture for Arc<PaperManager> {
    async fn neighbour(&self) -> Arc<dyn Neighbour> {
        PaperManager::neighbour(self)
    }

    async fn define(&self, name: &str) -> VmId {
        PaperManager::define(self, name)
    }

    async fn owner(&self, machine: VmId, does: OwnersDeed) {
        PaperManager::owner(self, machine, does);
    }

    async fn cut(&self) {
        PaperManager::cut(self, "it is cut off");
    }

    async fn mend(&self) {
        PaperManager::mend(self);
    }

    fn guests_power_off(&self) -> bool {
        !self.paper().deaf
    }
}
