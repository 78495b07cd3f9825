//! What a check works with.

use super::{DEADLINE, Fixture, Told};
use crate::{Driver, Flow, Launch, Operation, PlanContext, Step, StepContext, StepError};
use innkeeper_model::{
    Code, Incarnation, IncarnationId, MachineFiles, MachineState, Refusal, Revision, Spec,
    Timestamp, VmConfig, VmId, Want, host::Hypervisor,
};
use std::sync::Arc;

/// One driver, one VM, and what was told of it.
pub(super) struct Bench {
    pub(super) driver: Arc<dyn Driver>,
    pub(super) told: Arc<Told>,
    pub(super) hypervisor: Arc<Hypervisor>,
    pub(super) spec: Spec,
}

impl Bench {
    pub(super) async fn new(fixture: &dyn Fixture) -> Self {
        Self::with(fixture, |_| ()).await
    }

    /// With a VM that differs from the fixture's.
    pub(super) async fn with(fixture: &dyn Fixture, change: impl FnOnce(&mut VmConfig)) -> Self {
        let told = Arc::new(Told::default());
        let driver = fixture.driver(told.clone()).await;
        let hypervisor = driver.hypervisor().await.expect("the hypervisor of a fixture is there");
        let mut config = fixture.config();
        change(&mut config);
        let assigned = driver.assign(&config, None, &hypervisor).expect("its config can be run");
        let spec = Spec {
            id: VmId::new(),
            revision: Revision(1),
            created: Timestamp::now(),
            updated: Timestamp::now(),
            want: Want::Running,
            draft: false,
            driver: None,
            config,
            assigned,
        };
        Self { driver, told, hypervisor, spec }
    }

    /// Changes the VM's configuration, as an edit does.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut VmConfig)) {
        change(&mut self.spec.config);
        let Spec { config, assigned, .. } = &self.spec;
        let assigned = self.driver.assign(config, Some(assigned), &self.hypervisor);
        self.spec.assigned = assigned.expect("the changed config can be run");
    }

    /// The driver's part of an operation; `None` where it has none.
    pub(super) fn flow(&self, operation: &Operation) -> Option<Vec<Flow<Step>>> {
        match self.try_plan(operation) {
            Err(refusal) if refusal.code == Code::Unsupported => None,
            plan => Some(plan.expect("a legal operation can be planned")),
        }
    }

    pub(super) fn try_plan(&self, operation: &Operation) -> Result<Vec<Flow<Step>>, Refusal> {
        let incarnation = self.told.incarnation_of(self.spec.id);
        let context = PlanContext {
            spec: &self.spec,
            incarnation: incarnation.as_deref(),
            facts: &self.told.facts(self.spec.id),
            files: &MachineFiles::default(),
            plugs: &[],
            hypervisor: &self.hypervisor,
            launch: &Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
            managed: None,
        };
        self.driver.plan(operation, &context)
    }

    pub(super) fn plan(&self, operation: &Operation) -> Vec<Step> {
        let flow = self.flow(operation).expect("every driver can do this");
        flow.into_iter().flat_map(Flow::into_steps).collect()
    }

    pub(super) async fn perform(&self, step: &Step) -> Result<(), StepError> {
        let context = StepContext::default();
        let work = self.driver.perform(self.spec.id, step, &context);
        tokio::time::timeout(DEADLINE, work).await.expect("a step ends")
    }

    pub(super) async fn undo(&self, step: &Step) {
        let work = self.driver.undo(self.spec.id, step);
        let undone = tokio::time::timeout(DEADLINE, work).await.expect("an undo ends");
        undone.unwrap_or_else(|error| panic!("{} cannot be undone: {error}", step.name));
    }

    pub(super) async fn run(&self, operation: Operation) {
        let plan = self.plan(&operation);
        self.perform_all(&plan).await;
    }

    pub(super) async fn perform_all(&self, plan: &[Step]) {
        for step in plan {
            let done = self.perform(step).await;
            done.unwrap_or_else(|error| panic!("{}: {error}", step.name));
        }
    }

    /// Takes steps back, the last first.
    pub(super) async fn undo_all(&self, plan: &[Step]) {
        for step in plan.iter().rev() {
            self.undo(step).await;
        }
    }

    pub(super) fn machine(&self) -> MachineState {
        self.told.facts(self.spec.id).machine
    }

    pub(super) fn incarnation(&self) -> Arc<Incarnation> {
        self.told.incarnation_of(self.spec.id).expect("a machine has a record")
    }

    pub(super) fn assert_nothing_is_left(&self, of: &str) {
        assert_eq!(self.machine(), MachineState::Absent, "after {of}");
        assert_eq!(self.told.incarnation_of(self.spec.id), None, "after {of}");
    }
}
