//! How guests end by themselves, and that it is told whoever was there to see it.

mod support;

use innkeeper_driver::Operation;
use innkeeper_model::{EndReason, MachineState, Policy, VmConfig};
use support::{Vm, World, guests};

fn reboots_end_it(config: &mut VmConfig) {
    config.on.reboot = Policy::Stop;
}

async fn ended(sector: &[u8], change: impl FnOnce(&mut VmConfig)) -> Option<EndReason> {
    let world = World::new();
    let vm = Vm::new(&world, sector, change).await;
    vm.run(Operation::Start).await;
    vm.until(MachineState::Ended).await;
    let seen = vm.told.facts(vm.id()).last_end;
    let vm = vm.next_daemon().await;
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Ended);
    assert_eq!(vm.told.facts(vm.id()).last_end, seen, "as the daemon before saw it");
    vm.run(Operation::PutAway).await;
    assert_eq!(vm.told.facts(vm.id()).last_end, seen, "putting it away is no end of its own");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_off_is_told_also_where_a_reboot_would_be_an_end() {
    let guest = guests::ticks_then_powers_off(2);
    assert_eq!(ended(&guest, |_| ()).await, Some(EndReason::GuestShutdown));
    assert_eq!(ended(&guest, reboots_end_it).await, Some(EndReason::GuestShutdown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_is_an_end_where_the_policy_says_so() {
    let guest = guests::ticks_then_resets(2);
    assert_eq!(ended(&guest, reboots_end_it).await, Some(EndReason::GuestReset));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_is_a_reset_in_place_otherwise() {
    let world = World::new();
    // It ticks for longer than the resets of one reboot are apart.
    let vm = Vm::new(&world, &guests::ticks_then_resets(12), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.written(3).await;
    let resets = async {
        while vm.told.facts(vm.id()).resets < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(support::DEADLINE, resets).await.unwrap();
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Running);
    vm.run(Operation::Kill).await;
}

/// QEMU takes a reset by the host for a reboot, and firmware resets once more: neither is an end. A
/// reboot after that is.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_the_host_is_no_reboot() {
    let world = World::new();
    // It ticks for longer than a firmware may take.
    let vm = Vm::new(&world, &guests::ticks_then_resets(90), reboots_end_it).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    vm.run(Operation::Reset).await;
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Running);
    // Held, its firmware comes to its own reset only when it is let go on.
    vm.run(Operation::Pause).await;
    vm.run(Operation::Reset).await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    vm.run(Operation::Resume).await;
    vm.written(60).await;
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Running);
    vm.until(MachineState::Ended).await;
    assert_eq!(vm.told.facts(vm.id()).last_end, Some(EndReason::GuestReset));
    vm.run(Operation::PutAway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_innkeeper_ends_has_not_died() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    for end in [Operation::PutAway, Operation::Kill] {
        vm.run(Operation::Start).await;
        vm.run(end).await;
        assert_eq!(vm.told.facts(vm.id()).last_end, Some(EndReason::Killed));
    }
}
