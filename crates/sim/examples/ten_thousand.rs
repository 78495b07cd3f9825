//! Measures the simulator: how many steps it does in a second on one core, and what ten thousand
//! running machines take of memory and of disk.
//!
//! ```text
//! cargo run --release -p innkeeper-sim --example ten_thousand
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement that panics has failed")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use innkeeper_driver::{Driver, Flow, Launch, Observer, Operation, PlanContext, Step, StepContext};
use innkeeper_model::{
    Facts, HypervisorEvent, Incarnation, IncarnationId, MachineFiles, Revision, Spec, Timestamp,
    VmConfig, VmId, Want,
};
use innkeeper_sim::{SimDriver, World, WorldOptions};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const MACHINES: usize = 10_000;

/// Keeps what was told last, as the view does.
#[derive(Default)]
struct Told(Mutex<HashMap<VmId, Last>>);

type Last = (Facts, Option<Arc<Incarnation>>);

impl Observer for Told {
    fn facts(&self, vm: VmId, facts: Facts) {
        self.0.lock().unwrap().entry(vm).or_default().0 = facts;
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        self.0.lock().unwrap().entry(vm).or_default().1 = incarnation;
    }

    fn problem(&self, _: VmId, _: Option<String>) {}

    fn event(&self, _: VmId, _: HypervisorEvent) {}
}

fn spec(
    config: &VmConfig,
    driver: &SimDriver,
    hypervisor: &innkeeper_model::host::Hypervisor,
) -> Spec {
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: Timestamp::now(),
        updated: Timestamp::now(),
        want: Want::Running,
        draft: false,
        driver: None,
        config: config.clone(),
        assigned: driver.assign(config, None, hypervisor).unwrap(),
    }
}

struct Bench {
    driver: SimDriver,
    told: Arc<Told>,
    hypervisor: Arc<innkeeper_model::host::Hypervisor>,
}

impl Bench {
    async fn new(world: Arc<World>) -> Self {
        let told = Arc::new(Told::default());
        let driver = SimDriver::new(world, told.clone());
        let hypervisor = driver.hypervisor().await.unwrap();
        Self { driver, told, hypervisor }
    }

    fn plan(&self, spec: &Spec, operation: &Operation) -> Vec<Step> {
        let told = self.told.0.lock().unwrap().get(&spec.id).cloned().unwrap_or_default();
        let context = PlanContext {
            spec,
            incarnation: told.1.as_deref(),
            facts: &told.0,
            files: &MachineFiles::default(),
            plugs: &[],
            hypervisor: &self.hypervisor,
            launch: &Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
            managed: None,
        };
        let flow = self.driver.plan(operation, &context).unwrap();
        flow.into_iter().flat_map(Flow::into_steps).collect()
    }

    /// Does an operation to all; returns how many steps that were, and how long they took, without and
    /// with their planning.
    async fn run(&self, specs: &[Spec], operation: &Operation) -> (usize, Duration, Duration) {
        let context = StepContext::default();
        let (mut steps, mut performing) = (0, Duration::ZERO);
        let began = Instant::now();
        for spec in specs {
            let plan = self.plan(spec, operation);
            let began = Instant::now();
            for step in &plan {
                self.driver.perform(spec.id, step, &context).await.unwrap();
            }
            performing += began.elapsed();
            steps += plan.len();
        }
        (steps, performing, began.elapsed())
    }
}

/// The resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}

async fn measure(what: &str, world: Arc<World>) {
    let bench = Bench::new(world).await;
    let config: VmConfig = serde_json::from_value(serde_json::json!({
        "name": "web",
        "disks": [{ "name": "root", "size": "10GiB" }],
        "nics": [{ "name": "lan" }],
    }))
    .unwrap();
    let specs: Vec<Spec> =
        (0..MACHINES).map(|_| spec(&config, &bench.driver, &bench.hypervisor)).collect();
    let before = resident();
    for operation in [Operation::Start, Operation::Pause, Operation::Resume] {
        let (steps, performing, in_all) = bench.run(&specs, &operation).await;
        let rate = |took: Duration| steps as f64 / took.as_secs_f64();
        println!(
            "{what}: {operation:?}: {steps} steps, {:.0} steps/s, with planning {:.0}/s",
            rate(performing),
            rate(in_all)
        );
        if operation == Operation::Start {
            println!("{what}: {:.1} MiB for {MACHINES} running machines", resident() - before);
        }
    }
    let (steps, performing, _) = bench.run(&specs, &Operation::Kill).await;
    println!("{what}: Kill: {:.0} steps/s", steps as f64 / performing.as_secs_f64());
    let (steps, performing, _) = bench.run(&specs, &Operation::Start).await;
    println!("{what}: Start again: {:.0} steps/s", steps as f64 / performing.as_secs_f64());
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    measure("in memory", World::in_memory(WorldOptions::default())).await;
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path(), WorldOptions::default()).unwrap();
    measure("in a file", world).await;
    let length = folder.path().join("world.log").metadata().unwrap().len();
    let began = Instant::now();
    let world = World::open(folder.path(), WorldOptions::default()).unwrap();
    let took = began.elapsed();
    println!("opened {} machines from {} KiB in {took:?}", world.vms().len(), length >> 10);
}
