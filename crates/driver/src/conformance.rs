//! What every driver must pass, whichever hypervisor it drives.
//!
//! A driver's own tests make a [`Fixture`] and call [`check_all`]. Each check begins with no machine
//! and must leave none. They say what the engine relies on: that facts and incarnations are told as
//! they change, that any beginning of a start can be taken back, that taking back twice is harmless,
//! and that a machine outlives its driver.

use crate::{Driver, Flow, Launch, Observer, Operation, PlanContext, Step, StepContext, StepError};
use async_trait::async_trait;
use innkeeper_model::{
    Facts, HypervisorEvent, Incarnation, IncarnationId, MachineFiles, MachineState, Revision, Spec,
    Timestamp, VmConfig, VmId, Want, host::Hypervisor,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// How long anything here may take; a bound for broken drivers, not a measure.
const DEADLINE: Duration = Duration::from_secs(60);

/// A hypervisor for the checks, of which drivers can be made again and again, as daemons would.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A new driver in the same world as the last one, which may have been dropped or not.
    async fn driver(&self, observer: Arc<dyn Observer>) -> Arc<dyn Driver>;
    /// A VM that this hypervisor can run, with every field that is not to be checked at its default.
    fn config(&self) -> VmConfig;
}

/// What was last told of one VM.
#[derive(Debug, Default)]
struct Last {
    facts: Facts,
    incarnation: Option<Arc<Incarnation>>,
}

/// Remembers what a driver tells.
#[derive(Debug, Default)]
pub struct Told {
    last: Mutex<HashMap<VmId, Last>>,
    changed: Notify,
}

impl Told {
    /// The facts of a VM, as last told.
    pub fn facts(&self, vm: VmId) -> Facts {
        self.with(vm, |last| last.facts.clone())
    }

    /// What a VM's machine was built from, as last told.
    pub fn incarnation_of(&self, vm: VmId) -> Option<Arc<Incarnation>> {
        self.with(vm, |last| last.incarnation.clone())
    }

    /// Waits until a VM's machine is in this state.
    ///
    /// # Panics
    /// It is not within a minute.
    pub async fn until(&self, vm: VmId, machine: MachineState) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                if self.facts(vm).machine == machine {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, reached).await;
        waited.unwrap_or_else(|_| panic!("not {machine:?}; last told: {:?}", self.facts(vm)));
    }

    fn with<T>(&self, vm: VmId, read: impl FnOnce(&mut Last) -> T) -> T {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        read(last.entry(vm).or_default())
    }
}

impl Observer for Told {
    fn facts(&self, vm: VmId, facts: Facts) {
        self.with(vm, |last| last.facts = facts);
        self.changed.notify_waiters();
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        self.with(vm, |last| last.incarnation = incarnation);
        self.changed.notify_waiters();
    }

    fn problem(&self, _: VmId, _: Option<String>) {}

    fn event(&self, _: VmId, _: HypervisorEvent) {}
}

/// One driver, one VM, and what was told of it.
struct Bench {
    driver: Arc<dyn Driver>,
    told: Arc<Told>,
    hypervisor: Arc<Hypervisor>,
    spec: Spec,
}

impl Bench {
    async fn new(fixture: &dyn Fixture) -> Self {
        let told = Arc::new(Told::default());
        let driver = fixture.driver(told.clone()).await;
        let hypervisor = driver.hypervisor().await.expect("the hypervisor of a fixture is there");
        let config = fixture.config();
        let assigned = driver.assign(&config, None, &hypervisor).expect("its config can be run");
        let spec = Spec {
            id: VmId::new(),
            revision: Revision(1),
            created: Timestamp::now(),
            updated: Timestamp::now(),
            want: Want::Running,
            config,
            assigned,
        };
        Self { driver, told, hypervisor, spec }
    }

    fn plan(&self, operation: Operation) -> Vec<Step> {
        let incarnation = self.told.incarnation_of(self.spec.id);
        let context = PlanContext {
            spec: &self.spec,
            incarnation: incarnation.as_deref(),
            facts: &self.told.facts(self.spec.id),
            files: &MachineFiles::default(),
            hypervisor: &self.hypervisor,
            launch: &Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
        };
        let plan = self.driver.plan(&operation, &context);
        let plan = plan.expect("a legal operation can be planned");
        plan.iter().flat_map(Flow::steps).cloned().collect()
    }

    async fn perform(&self, step: &Step) -> Result<(), StepError> {
        let context = StepContext::default();
        let work = self.driver.perform(self.spec.id, step, &context);
        tokio::time::timeout(DEADLINE, work).await.expect("a step ends")
    }

    async fn undo(&self, step: &Step) {
        let work = self.driver.undo(self.spec.id, step);
        let undone = tokio::time::timeout(DEADLINE, work).await.expect("an undo ends");
        undone.unwrap_or_else(|error| panic!("{} cannot be undone: {error}", step.name));
    }

    async fn run(&self, operation: Operation) {
        for step in self.plan(operation.clone()) {
            let done = self.perform(&step).await;
            done.unwrap_or_else(|error| panic!("{operation:?}: {}: {error}", step.name));
        }
    }

    fn machine(&self) -> MachineState {
        self.told.facts(self.spec.id).machine
    }

    fn assert_nothing_is_left(&self, of: &str) {
        assert_eq!(self.machine(), MachineState::Absent, "after {of}");
        assert_eq!(self.told.incarnation_of(self.spec.id), None, "after {of}");
    }
}

/// Runs all checks, one after the other.
///
/// # Panics
/// The driver fails one.
pub async fn check_all(fixture: &dyn Fixture) {
    a_life_is_told_as_it_happens(fixture).await;
    any_beginning_of_a_start_can_be_taken_back(fixture).await;
    a_cancelled_start_can_be_taken_back(fixture).await;
    a_start_cancelled_under_way_leaves_nothing(fixture).await;
    a_machine_outlives_its_driver(fixture).await;
    a_step_of_another_version_is_refused(fixture).await;
}

async fn a_life_is_told_as_it_happens(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    bench.run(Operation::Start).await;
    assert_eq!(bench.machine(), MachineState::Running);
    let incarnation = bench.told.incarnation_of(bench.spec.id).expect("a machine has a record");
    assert_eq!(incarnation.spec_revision, bench.spec.revision);
    assert!(incarnation.process.is_some());

    bench.run(Operation::Pause).await;
    assert_eq!(bench.machine(), MachineState::Paused);
    bench.run(Operation::Resume).await;
    assert_eq!(bench.machine(), MachineState::Running);
    let resets = bench.told.facts(bench.spec.id).resets;
    bench.run(Operation::Reset).await;
    assert_eq!(bench.told.facts(bench.spec.id).resets, resets + 1);
    assert_eq!(bench.machine(), MachineState::Running, "a reset is in place");

    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("kill");
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill of nothing");
}

async fn any_beginning_of_a_start_can_be_taken_back(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let steps = bench.plan(Operation::Start).len();
    for done in 0..=steps {
        let plan = bench.plan(Operation::Start);
        for step in &plan[..done] {
            bench.perform(step).await.expect("a start succeeds");
        }
        // The step after those that were done may have begun as well.
        let begun = &plan[..steps.min(done + 1)];
        for step in begun.iter().rev() {
            bench.undo(step).await;
        }
        for step in begun.iter().rev() {
            bench.undo(step).await;
        }
        bench.assert_nothing_is_left(&format!("{done} steps and their undo"));
    }
    bench.run(Operation::Start).await;
    bench.run(Operation::Kill).await;
}

async fn a_cancelled_start_can_be_taken_back(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let plan = bench.plan(Operation::Start);
    for cancelled in 0..plan.len() {
        for step in &plan[..cancelled] {
            bench.perform(step).await.expect("a start succeeds");
        }
        let context = StepContext::default();
        context.cancelled.cancel();
        let work = bench.driver.perform(bench.spec.id, &plan[cancelled], &context);
        let outcome = tokio::time::timeout(DEADLINE, work).await.expect("a cancelled step ends");
        assert!(matches!(outcome, Err(StepError::Cancelled)), "{outcome:?}");
        for step in plan[..=cancelled].iter().rev() {
            bench.undo(step).await;
        }
        bench.assert_nothing_is_left(&format!("a cancelled {}", plan[cancelled].name));
    }
}

/// Cancels a start at many moments: where it then stands is different each time, and whatever it was
/// doing must not go on behind the undo.
async fn a_start_cancelled_under_way_leaves_nothing(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    for microseconds in (0..100_000).step_by(4_000) {
        let context = StepContext::default();
        let plan = bench.plan(Operation::Start);
        let mut begun = 0;
        let start = async {
            for step in &plan {
                begun += 1;
                if bench.driver.perform(bench.spec.id, step, &context).await.is_err() {
                    return;
                }
            }
        };
        let cancel = async {
            tokio::time::sleep(Duration::from_micros(microseconds)).await;
            context.cancelled.cancel();
        };
        tokio::join!(start, cancel);
        for step in plan[..begun].iter().rev() {
            bench.undo(step).await;
        }
        bench.assert_nothing_is_left(&format!("a start cancelled after {microseconds} us"));
        let others = fixture.driver(Arc::new(Told::default())).await;
        assert!(others.recover().await.iter().all(|found| found.vm != bench.spec.id));
    }
}

async fn a_machine_outlives_its_driver(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    bench.run(Operation::Start).await;
    let Bench { driver, told, spec, hypervisor } = bench;
    let before = told.incarnation_of(spec.id).expect("a machine has a record");
    drop((driver, told));

    let told = Arc::new(Told::default());
    let driver = fixture.driver(told.clone()).await;
    let found = driver.recover().await;
    let found = found.iter().find(|found| found.vm == spec.id).expect("the machine is found");
    assert_eq!(found.incarnation, before);
    told.until(spec.id, MachineState::Running).await;

    let bench = Bench { driver, told, spec, hypervisor };
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill by another driver");
    let again = fixture.driver(Arc::new(Told::default())).await.recover().await;
    assert!(again.iter().all(|found| found.vm != bench.spec.id));
}

async fn a_step_of_another_version_is_refused(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let mut step = bench.plan(Operation::Start).remove(0);
    step.arguments = serde_json::json!({ "from_the_future": true });
    assert!(matches!(bench.perform(&step).await, Err(StepError::Failed(_))));
    bench.assert_nothing_is_left("a step that is not known");
}
