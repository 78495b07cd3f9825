//! How guests end by themselves, and that it is told whoever was there to see it.

mod support;

use innkeeper_driver::Operation;
use innkeeper_model::{EndReason, MachineState, Policy, VmConfig};
use std::time::Duration;
use support::{Vm, World, guests};
use tokio_util::sync::CancellationToken;

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

/// What this guest has written when it has powered itself off, and where nobody has looked at it yet.
async fn unheard(world: &World) -> Vm<'_> {
    let vm = Vm::new(world, &guests::ticks_then_powers_off(3), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.until(MachineState::Ended).await;
    vm
}

/// All that it wrote.
const LAST_WORDS: &str = "!ABC";

/// A daemon that has just begun, on a busy host, may have to end a machine before it has reached it.
#[tokio::test(flavor = "multi_thread")]
async fn its_last_words_are_kept_by_a_daemon_that_has_hardly_met_its_machine() {
    let world = World::new();
    let vm = unheard(&world).await;
    vm.hold(true);
    let vm = vm.next_daemon().await;
    let plan = vm.plan(Operation::PutAway).await.unwrap();
    let never = CancellationToken::new();
    let goes_on = async { vm.hold(false) };
    let (quit, ()) = tokio::join!(vm.perform(&plan[0], &never), goes_on);
    quit.unwrap();
    assert_eq!(vm.written(4).await, LAST_WORDS);
    vm.perform(&plan[1], &never).await.unwrap();
    assert_eq!(vm.written(4).await, LAST_WORDS);
}

/// QEMU has handed them over when it goes on, whether anybody still waits for that or not.
#[tokio::test(flavor = "multi_thread")]
async fn its_last_words_are_not_taken_along_by_who_asked_for_them_and_left() {
    let world = World::new();
    let vm = unheard(&world).await;
    vm.hold(true);
    let asked = tokio::time::timeout(Duration::from_millis(50), vm.driver.serial_log(vm.id()));
    assert!(asked.await.is_err(), "it is held");
    vm.hold(false);
    assert_eq!(vm.written(4).await, LAST_WORDS);
    // What is on the host already waits for no QEMU.
    vm.hold(true);
    let kept = vm.driver.kept_serial_log(vm.id());
    let kept = tokio::time::timeout(Duration::from_secs(1), kept).await.unwrap();
    assert_eq!(kept.unwrap(), LAST_WORDS.as_bytes());
    vm.hold(false);
    vm.run(Operation::Kill).await;
}

/// Reading takes them out of QEMU, whatever becomes of them then.
#[tokio::test(flavor = "multi_thread")]
async fn its_last_words_are_shown_also_while_the_disk_takes_none_of_them() {
    let world = World::new();
    let vm = unheard(&world).await;
    let log = world.folder.path().join(format!("run/{}/serial.log", vm.id()));
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    for _again in 0..2 {
        assert_eq!(vm.written(4).await, LAST_WORDS);
    }
    std::fs::remove_file(&log).unwrap();
    assert_eq!(vm.written(4).await, LAST_WORDS);
    assert!(std::fs::read(&log).unwrap().ends_with(b"C"), "it is written once it can be");
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_last_words_are_kept_when_it_is_killed() {
    let world = World::new();
    let vm = unheard(&world).await;
    vm.run(Operation::Kill).await;
    assert_eq!(vm.written(4).await, LAST_WORDS);
}
