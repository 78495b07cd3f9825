//! What a neighbour tells, on its way to the view.

use crate::engine::Engine;
use innkeeper_driver::{Neighbour, NeighbourObserver};
use innkeeper_model::{
    Code, NeighbourMachine, ProjectName, Refusal, VmId,
    host::{Manager, ManagerLost},
};
use innkeeper_view::Update;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;
use tracing::{debug, info, warn};

/// How long a manager may take to say what it has, where a survey waits for it.
const SURVEYED_WITHIN: Duration = Duration::from_secs(15);

/// Tells the view what one neighbour tells.
struct Heard {
    engine: Engine,
    by: ProjectName,
    /// Those that the view has, or had before the manager was asked: to know what is gone, and whose age
    /// is to be shown.
    known: Mutex<BTreeSet<VmId>>,
}

impl Heard {
    fn known(&self) -> MutexGuard<'_, BTreeSet<VmId>> {
        // Held while the view is told, which does not wait, so that the view hears in the same order.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, machine: NeighbourMachine) {
        let id = machine.id;
        let machine = Box::new(machine);
        self.tell(id, Update::VmManaged { by: self.by.clone(), machine });
    }

    fn miss(&self, id: VmId) {
        let problem =
            format!("{} does not have it any more; `inn delete` forgets it here", self.by);
        self.tell(id, Update::VmUnmanaged { id, problem });
    }

    fn tell_of_manager(&self, lost: Option<ManagerLost>) {
        let name = self.by.as_str().into();
        self.engine.view().post(Update::Manager(Manager { name, lost }));
    }

    fn tell(&self, id: VmId, update: Update) {
        self.engine.view().post(update);
        // What it takes of the host is looked at.
        self.engine.shared.noticed.mark(id);
    }
}

impl NeighbourObserver for Heard {
    fn all(&self, machines: Vec<NeighbourMachine>) {
        let mut known = self.known();
        let there: BTreeSet<VmId> = machines.iter().map(|machine| machine.id).collect();
        debug!(by = %self.by, count = there.len(), "machines of another manager");
        let pids: BTreeSet<u32> = machines.iter().filter_map(|machine| machine.is.pid).collect();
        self.tell_of_manager(None);
        machines.into_iter().for_each(|machine| self.see(machine));
        known.difference(&there).for_each(|id| self.miss(*id));
        *known = there;
        self.engine.show_once(&pids);
    }

    fn changed(&self, machine: NeighbourMachine) {
        let mut known = self.known();
        known.insert(machine.id);
        let pid = machine.is.pid;
        self.see(machine);
        self.engine.show_once(&pid.into_iter().collect());
    }

    fn gone(&self, machine: VmId) {
        let mut known = self.known();
        if known.remove(&machine) {
            self.miss(machine);
        }
    }

    fn lost(&self, loss: ManagerLost) {
        let known = self.known();
        let ManagerLost { at, reason, hint } = &loss;
        info!(by = %self.by, reason, hint, "another manager cannot be asked");
        let (at, reason) = (*at, reason.clone());
        self.tell_of_manager(Some(loss));
        for id in known.iter().copied() {
            self.engine.view().post(Update::VmManagerLost { id, at, reason: reason.clone() });
        }
    }
}

async fn survey(neighbour: &dyn Neighbour) -> Result<(), Refusal> {
    let surveyed = timeout(SURVEYED_WITHIN, neighbour.survey()).await;
    surveyed.unwrap_or_else(|_elapsed| {
        Err(Refusal::new(Code::Timeout, format!("{} does not answer", neighbour.name())))
    })
}

impl Engine {
    /// Begins to hear what all neighbours tell, until the engine is stopped.
    pub(crate) fn hear_neighbours(&self) {
        for neighbour in &self.shared.neighbours {
            let Ok(by) = neighbour.name().parse::<ProjectName>() else {
                warn!(name = neighbour.name(), "a manager whose name is none has no VMs");
                continue;
            };
            let snapshot = self.view().snapshot();
            let adopted = snapshot.vms.values().filter(|vm| vm.manager() == Some(by.as_str()));
            let known = Mutex::new(adopted.map(|vm| vm.id).collect());
            let heard = Arc::new(Heard { engine: self.clone(), by, known });
            let neighbour = neighbour.clone();
            self.look_after(async move { neighbour.watch(heard).await });
        }
    }

    /// Asks all neighbours anew what they have; readers can see it after the next barrier.
    pub(crate) async fn survey_neighbours(&self) {
        for neighbour in &self.shared.neighbours {
            if let Err(refusal) = survey(&**neighbour).await {
                // That it cannot be asked is told by itself, once.
                debug!(by = neighbour.name(), %refusal, "not surveyed");
            }
        }
    }

    /// Asks one of them, by its name.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) async fn survey_manager(&self, name: &str) -> Result<(), Refusal> {
        match self.shared.neighbours.iter().find(|neighbour| neighbour.name() == name) {
            Some(neighbour) => survey(&**neighbour).await,
            None => Ok(()),
        }
    }

    /// Leaves processes out of the host's foreign machines that are shown as VMs.
    fn show_once(&self, pids: &BTreeSet<u32>) {
        let snapshot = self.view().snapshot();
        let is_shown_as_vm = |pid: u32| pids.contains(&pid);
        if snapshot.host.foreign.iter().any(|foreign| is_shown_as_vm(foreign.process.pid)) {
            let mut foreign = snapshot.host.foreign.clone();
            foreign.retain(|foreign| !is_shown_as_vm(foreign.process.pid));
            self.view().post(Update::Foreign(foreign));
        }
    }
}
