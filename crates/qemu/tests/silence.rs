//! QEMUs that live and do not answer.

mod support;

use innkeeper_driver::Operation;
use innkeeper_model::{Code, MachineState, diagnosis::DriverDiagnosis};
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

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_looked_at_says_how_it_is_or_is_told_to_say_nothing() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.driver.look(vm.id()).await.expect("there is nothing to ask");
    vm.run(Operation::Start).await;
    vm.until(MachineState::Running).await;
    vm.driver.look(vm.id()).await.unwrap();
    let DriverDiagnosis { name, machines, connections, last_error, .. } = vm.driver.diagnosis();
    assert_eq!((name.as_str(), machines, connections, last_error), ("qemu", 1, 1, None));
    vm.hold(true);
    assert_eq!(vm.driver.look(vm.id()).await.unwrap_err().code, Code::Timeout);
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Unresponsive);
    vm.hold(false);
    vm.driver.look(vm.id()).await.unwrap();
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Running);
}
