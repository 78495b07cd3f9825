//! One driver in a world, what it told, and the operations of one or more VMs.

use innkeeper_driver::{
    Driver, Flow, Launch, Observer, Operation, PlanContext, Step, StepContext, StepError,
};
use innkeeper_model::{
    Facts, HypervisorEvent, Incarnation, IncarnationId, MachineFiles, MachineState, Refusal,
    Revision, Spec, Timestamp, VmConfig, VmId, Want,
};
use innkeeper_sim::{Clock, SimDriver, World, WorldOptions};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// How long anything may take; a bound for what is broken, not a measure.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Remembers what a driver tells.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashMap<VmId, Heard>>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Heard {
    pub(crate) facts: Facts,
    pub(crate) incarnation: Option<Arc<Incarnation>>,
    pub(crate) events: Vec<String>,
    pub(crate) states: Vec<MachineState>,
}

impl Told {
    pub(crate) fn of(&self, vm: VmId) -> Heard {
        self.0.lock().unwrap().get(&vm).cloned().unwrap_or_default()
    }

    fn hear(&self, vm: VmId, hear: impl FnOnce(&mut Heard)) {
        hear(self.0.lock().unwrap().entry(vm).or_default());
    }
}

impl Observer for Told {
    fn facts(&self, vm: VmId, facts: Facts) {
        self.hear(vm, |heard| {
            heard.states.push(facts.machine);
            heard.facts = facts;
        });
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        self.hear(vm, |heard| heard.incarnation = incarnation);
    }

    fn problem(&self, _: VmId, _: Option<String>) {}

    fn event(&self, vm: VmId, event: HypervisorEvent) {
        assert!(event.at.is_some());
        self.hear(vm, |heard| heard.events.push(event.name));
    }
}

/// A driver and what it told.
pub(crate) struct Bench {
    pub(crate) world: Arc<World>,
    pub(crate) driver: Arc<SimDriver>,
    pub(crate) told: Arc<Told>,
}

/// A world in memory whose clock stands, with a driver.
pub(crate) fn standing() -> Bench {
    Bench::new(World::in_memory(WorldOptions { clock: Clock::Virtual, ..WorldOptions::default() }))
}

/// A VM with a disk, a read-only disk and a NIC.
pub(crate) fn spec() -> Spec {
    spec_of(serde_json::json!({
        "name": "web",
        "disks": [
            { "name": "root", "size": "1GiB" },
            { "name": "iso", "size": "1MiB", "read_only": true },
        ],
        "nics": [{ "name": "lan" }],
    }))
}

pub(crate) fn spec_of(config: serde_json::Value) -> Spec {
    let config: VmConfig = serde_json::from_value(config).unwrap();
    let assigned = serde_json::json!({
        "machine": "sim-1.0", "cpu_model": "sim", "devices": {}, "ports": 4,
    });
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: Timestamp::now(),
        updated: Timestamp::now(),
        want: Want::Running,
        draft: false,
        driver: None,
        config,
        assigned: serde_json::from_value(assigned).unwrap(),
    }
}

impl Bench {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let told = Arc::new(Told::default());
        let driver = Arc::new(SimDriver::new(world.clone(), told.clone()));
        Self { world, driver, told }
    }

    /// Another daemon's driver in the same world.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.world.clone())
    }

    pub(crate) async fn flow(
        &self,
        spec: &Spec,
        operation: &Operation,
    ) -> Result<Vec<Flow<Step>>, Refusal> {
        let heard = self.told.of(spec.id);
        let hypervisor = self.driver.hypervisor().await.unwrap();
        let context = PlanContext {
            spec,
            incarnation: heard.incarnation.as_deref(),
            facts: &heard.facts,
            files: &MachineFiles::default(),
            plugs: &[],
            hypervisor: &hypervisor,
            launch: &Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
            managed: None,
        };
        self.driver.plan(operation, &context)
    }

    pub(crate) async fn plan(&self, spec: &Spec, operation: &Operation) -> Vec<Step> {
        let flow = self.flow(spec, operation).await.unwrap();
        flow.into_iter().flat_map(Flow::into_steps).collect()
    }

    pub(crate) async fn perform(&self, spec: &Spec, step: &Step) -> Result<(), StepError> {
        let context = StepContext::default();
        let work = self.driver.perform(spec.id, step, &context);
        tokio::time::timeout(LONG, work).await.expect("a step ends")
    }

    /// Does an operation; where a step fails, says which and why.
    pub(crate) async fn attempt(
        &self,
        spec: &Spec,
        operation: Operation,
    ) -> Result<(), (String, Refusal)> {
        for step in self.plan(spec, &operation).await {
            self.perform(spec, &step).await.map_err(|error| (step.name, failed(error)))?;
        }
        Ok(())
    }

    pub(crate) async fn run(&self, spec: &Spec, operation: Operation) {
        self.attempt(spec, operation).await.unwrap();
    }

    pub(crate) async fn undo(&self, spec: &Spec, plan: &[Step]) {
        for step in plan.iter().rev() {
            let undone = tokio::time::timeout(LONG, self.driver.undo(spec.id, step)).await;
            undone.expect("an undo ends").unwrap();
        }
    }

    pub(crate) fn state(&self, spec: &Spec) -> MachineState {
        let seen = self.world.machine(spec.id).map(|seen| seen.facts.machine).unwrap_or_default();
        let told = self.told.of(spec.id).facts.machine;
        assert_eq!(seen, told, "what is and what was told");
        seen
    }

    /// One part of an operation's steps, by its name.
    pub(crate) async fn step(&self, spec: &Spec, operation: &Operation, name: &str) -> Step {
        let plan = self.plan(spec, operation).await;
        plan.into_iter().find(|step| step.name == name).unwrap()
    }
}

pub(crate) fn failed(error: StepError) -> Refusal {
    match error {
        StepError::Failed(refusal) => *refusal,
        StepError::Cancelled => panic!("cancelled"),
    }
}

pub(crate) fn stop() -> Operation {
    Operation::Stop { timeout: LONG }
}
