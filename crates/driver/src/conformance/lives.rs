//! That a driver tells what is, and that machines do not depend on it.

use super::{Fixture, Told, bench::Bench};
use crate::Operation;
use innkeeper_model::MachineState;
use std::sync::Arc;

pub(super) async fn a_life_is_told_as_it_happens(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let mut start = bench.plan(&Operation::Start);
    let run = start.pop().expect("a start has steps");
    bench.perform_all(&start).await;
    assert_ne!(bench.machine(), MachineState::Running, "it is let run last");
    bench.perform(&run).await.expect("a machine that was made runs");
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

pub(super) async fn a_machine_outlives_its_driver(fixture: &dyn Fixture) {
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

pub(super) async fn addresses_stay(fixture: &dyn Fixture) {
    let Bench { driver, hypervisor, spec, .. } = Bench::new(fixture).await;
    let again = driver.assign(&spec.config, Some(&spec.assigned), &hypervisor);
    assert_eq!(again.expect("what was assigned once fits"), spec.assigned);
}
