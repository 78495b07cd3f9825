//! A neighbour that is watched, and what it told.

use super::NeighbourFixture;
use crate::{
    Driver, Flow, Launch, Neighbour, NeighbourObserver, Operation, PlanContext, Step, StepContext,
    StepError, conformance::DEADLINE,
};
use innkeeper_model::{
    Assigned, Facts, IncarnationId, MachineFiles, MachineState, NeighbourMachine, Refusal,
    Revision, Spec, Timestamp, VmConfig, VmId, Want,
    host::{Hypervisor, ManagerLost},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, task::JoinHandle};

/// Remembers what a neighbour tells.
#[derive(Debug, Default)]
pub struct WhatIsTold {
    latest: Mutex<Latest>,
    changed: Notify,
}

/// What was last told.
#[derive(Debug, Default)]
pub(super) struct Latest {
    pub(super) machines: BTreeMap<VmId, NeighbourMachine>,
    /// How often all was told.
    pub(super) surveys: usize,
    /// Why the manager cannot be asked, while it cannot.
    pub(super) lost: Option<String>,
    pub(super) losses: usize,
}

impl WhatIsTold {
    /// A machine as it was last told.
    pub fn machine(&self, id: VmId) -> Option<NeighbourMachine> {
        self.latest().machines.get(&id).cloned()
    }

    pub(super) fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was told is so.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Latest) -> bool) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                if is_so(&self.latest()) {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, reached).await;
        waited.unwrap_or_else(|_| panic!("not {what}; last told: {:?}", self.latest()));
    }

    fn tell(&self, tell: impl FnOnce(&mut Latest)) {
        tell(&mut self.latest());
        self.changed.notify_waiters();
    }
}

impl NeighbourObserver for WhatIsTold {
    fn all(&self, machines: Vec<NeighbourMachine>) {
        self.tell(|latest| {
            latest.machines = machines.into_iter().map(|machine| (machine.id, machine)).collect();
            latest.surveys += 1;
            latest.lost = None;
        });
    }

    fn changed(&self, machine: NeighbourMachine) {
        self.tell(|latest| drop(latest.machines.insert(machine.id, machine)));
    }

    fn gone(&self, machine: VmId) {
        self.tell(|latest| drop(latest.machines.remove(&machine)));
    }

    fn lost(&self, loss: ManagerLost) {
        self.tell(|latest| {
            latest.losses += usize::from(latest.lost.is_none());
            latest.lost = Some(loss.reason);
        });
    }
}

/// A neighbour that is watched as a daemon does.
pub(super) struct Watched {
    pub(super) told: Arc<WhatIsTold>,
    pub(super) neighbour: Arc<dyn Neighbour>,
    pub(super) driver: Arc<dyn Driver>,
    watching: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Watched {
    /// Watches, from when all was told for the first time.
    pub(super) async fn new(fixture: &dyn NeighbourFixture) -> Self {
        let told = Arc::new(WhatIsTold::default());
        let neighbour = fixture.neighbour().await;
        let (watched, observer) = (neighbour.clone(), told.clone());
        let watching = tokio::spawn(async move { watched.watch(observer).await });
        told.until("told at all", |latest| latest.surveys > 0).await;
        let driver = neighbour.driver();
        Self { told, neighbour, driver, watching }
    }

    pub(super) fn state(&self, id: VmId) -> Option<MachineState> {
        self.told.machine(id).map(|machine| machine.machine)
    }

    pub(super) async fn until_state(&self, id: VmId, state: MachineState) {
        let is_so =
            |latest: &Latest| latest.machines.get(&id).is_some_and(|it| it.machine == state);
        self.told.until(&format!("{state:?}"), is_so).await;
    }

    pub(super) fn try_plan(&self, id: VmId, operation: &Operation) -> Result<Vec<Step>, Refusal> {
        let machine = self.told.machine(id).expect("it was told of");
        let now = Timestamp::now();
        let spec = Spec {
            id,
            revision: Revision(1),
            created: now,
            updated: now,
            want: Want::Running,
            draft: false,
            driver: Some(self.neighbour.name().into()),
            config: VmConfig::new(machine.label()),
            assigned: Assigned::default(),
        };
        let context = PlanContext {
            spec: &spec,
            incarnation: None,
            facts: &Facts { machine: machine.machine, ..Facts::default() },
            files: &MachineFiles::default(),
            plugs: &[],
            hypervisor: &Hypervisor::default(),
            launch: &Launch { incarnation: IncarnationId::new(), now },
            managed: Some(&machine.is),
        };
        let flow = self.driver.plan(operation, &context)?;
        Ok(flow.into_iter().flat_map(Flow::into_steps).collect())
    }

    pub(super) fn plan(&self, id: VmId, operation: &Operation) -> Vec<Step> {
        let plan = self.try_plan(id, operation);
        let plan = plan.unwrap_or_else(|refusal| panic!("{operation:?}: {refusal}"));
        let of_driver = format!("{}/", self.driver.name());
        assert!(!plan.is_empty(), "{operation:?} has steps");
        assert!(plan.iter().all(|step| step.name.starts_with(&of_driver)), "{plan:?}");
        plan
    }

    pub(super) async fn perform(
        &self,
        id: VmId,
        step: &Step,
        context: &StepContext,
    ) -> Result<(), StepError> {
        let work = self.driver.perform(id, step, context);
        tokio::time::timeout(DEADLINE, work).await.expect("a step ends")
    }

    pub(super) async fn perform_all(&self, id: VmId, plan: &[Step]) {
        for step in plan {
            let done = self.perform(id, step, &StepContext::default()).await;
            done.unwrap_or_else(|error| panic!("{}: {error}", step.name));
        }
    }

    pub(super) async fn run(&self, id: VmId, operation: Operation) {
        let plan = self.plan(id, &operation);
        self.perform_all(id, &plan).await;
    }
}
