//! QEMUs that live and do not answer.

mod support;

use innkeeper_driver::Operation;
use innkeeper_model::MachineState;
use std::time::Duration;
use support::{Vm, World, guests};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_is_unresponsive_until_it_goes_on() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.until(MachineState::Running).await;
    for _again in 0..2 {
        vm.hold(true);
        vm.until(MachineState::Unresponsive).await;
        vm.hold(false);
        vm.until(MachineState::Running).await;
    }
    // What it is told meanwhile it does when it goes on, and says so.
    vm.run(Operation::Pause).await;
    vm.hold(true);
    vm.until(MachineState::Unresponsive).await;
    vm.hold(false);
    vm.until(MachineState::Paused).await;

    // One that is found so is that, too.
    vm.hold(true);
    vm = vm.next_daemon().await;
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Unresponsive);
    vm.hold(false);
    vm.until(MachineState::Paused).await;
    vm.hold(true);
    let killed = tokio::time::timeout(Duration::from_secs(5), vm.run(Operation::Kill));
    killed.await.expect("one that is stopped is ended as any other");
}
