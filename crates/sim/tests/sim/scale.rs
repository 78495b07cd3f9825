//! Ten thousand machines.

use crate::support::{Bench, LONG, spec};
use innkeeper_driver::{Driver, Operation};
use innkeeper_model::{MachineState, Spec};
use innkeeper_sim::{Guest, PowerButton, World, WorldOptions};
use std::time::Duration;

const MACHINES: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_machines_live_and_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let power_button = PowerButton::PowersOff { after: Duration::from_millis(1) };
    let guest = Guest { power_button, by_itself: None };
    let options = WorldOptions { guest, ..WorldOptions::default() };
    let bench = Bench::new(World::open(folder.path(), options.clone()).unwrap());
    let specs: Vec<Spec> = (0..MACHINES).map(|_| spec()).collect();
    for spec in &specs {
        bench.run(spec, Operation::Start).await;
    }
    drop(bench);

    let bench = Bench::new(World::open(folder.path(), options).unwrap());
    let found = bench.driver.recover().await;
    assert_eq!(found.len(), MACHINES);
    assert!(found.iter().all(|found| found.facts.machine == MachineState::Running));
    let mut stops = tokio::task::JoinSet::new();
    let bench = std::sync::Arc::new(bench);
    for spec in specs.clone() {
        let bench = bench.clone();
        stops.spawn(async move { bench.run(&spec, crate::support::stop()).await });
    }
    tokio::time::timeout(LONG, stops.join_all()).await.unwrap();
    for spec in &specs {
        assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
        bench.driver.forget(spec.id).await.unwrap();
    }
    assert_eq!(bench.world.vms(), []);
}
