//! Suspend, restore and dump, with real QEMUs.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use innkeeper_driver::{Crash, Operation, Probed, Step, StepError};
use innkeeper_model::{Code, MachineState, Mebibytes};
use std::{
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    time::Duration,
};
use support::{Vm, World, guests};
use tokio_util::sync::CancellationToken;

fn refused(outcome: Result<(), StepError>) -> Code {
    match outcome {
        Err(StepError::Failed(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_goes_on_where_it_was_again_and_again() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    for round in 0..2 {
        vm.written(4).await;
        let image = vm.suspend().await;
        let before = vm.written(4).await;
        let last = before.chars().last().unwrap();
        // Its spec may change while it is suspended; the machine does not.
        vm.spec.config.cpus += 1;
        assert_eq!(world.storage.memory(vm.id()).await.unwrap().as_ref(), Some(&*image));
        vm.run(vm.restore(image.clone())).await;
        // What it wrote before is still there, and it goes on from that.
        let after = vm.written(before.len() + 4).await;
        let went_on = after.strip_prefix(&before);
        let next = guests::next(last);
        assert!(
            went_on.is_some_and(|went_on| went_on.starts_with(next)),
            "round {round}: {before:?}, then {after:?}"
        );
        let incarnation = vm.told.incarnation_of(vm.id()).unwrap();
        assert_eq!(incarnation.cpus, 1);
        world.storage.remove_memory(vm.id()).await.unwrap();
    }
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_memory_is_kept_does_not_go_on() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    let memory = world.storage.create_memory(vm.id()).await.unwrap();
    let suspend = vm.plan(Operation::Suspend { memory: memory.clone() }).await.unwrap();
    vm.run(Operation::Suspend { memory: memory.clone() }).await;
    vm.seal().await;
    let Err(StepError::Failed(refusal)) = vm.try_run(Operation::Resume).await else {
        panic!("it went on");
    };
    assert_eq!(refusal.code, Code::WrongState);
    // To start one that is suspended is refused.
    assert!(refusal.hint.as_ref().unwrap().contains("`inn resume VM`"), "{refusal:?}");
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Paused);
    // Undone, what was kept is removed first.
    world.storage.remove_memory(vm.id()).await.unwrap();
    vm.undo(&suspend).await;
    vm.until(MachineState::Running).await;
    vm.run(Operation::Kill).await;
}

/// One that was held before stays held when its suspend is undone, and can be suspended after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_held_can_be_suspended_again_after_an_undo() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    vm.run(Operation::Pause).await;
    let memory = world.storage.create_memory(vm.id()).await.unwrap();
    let suspend = vm.plan(Operation::Suspend { memory: memory.clone() }).await.unwrap();
    vm.run(Operation::Suspend { memory }).await;
    vm.undo(&suspend).await;
    world.storage.remove_memory(vm.id()).await.unwrap();
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Paused);
    let image = vm.suspend().await;
    assert!(image.size.0 > 32 << 20);
    vm.run(vm.restore(image)).await;
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_cancelled_at_any_moment_leaves_the_guest_as_it_was() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |config| config.memory = Mebibytes(512)).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    for milliseconds in (0..40).step_by(2) {
        let memory = world.storage.create_memory(vm.id()).await.unwrap();
        let plan = vm.plan(Operation::Suspend { memory: memory.clone() }).await.unwrap();
        let [pause, save] = &plan[..] else { panic!("{plan:?}") };
        vm.perform(pause, &CancellationToken::new()).await.unwrap();
        let cancel = CancellationToken::new();
        let after = async {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            cancel.cancel();
        };
        let (saved, ()) = tokio::join!(vm.perform(save, &cancel), after);
        assert!(matches!(saved, Ok(()) | Err(StepError::Cancelled)), "{saved:?}");
        vm.undo(&plan).await;
        vm.until(MachineState::Running).await;
        assert_open_files(&vm, &memory, 0);
        world.storage.remove_memory(vm.id()).await.unwrap();
    }
    assert!(vm.migrations("cancelled") > 0, "every save was done before it was cancelled");
    let length = vm.written(1).await.len();
    vm.written(length + 2).await;
    let image = vm.suspend().await;
    vm.run(vm.restore(image)).await;
    vm.run(Operation::Kill).await;
}

/// How often a machine's process has a file open.
fn assert_open_files(vm: &Vm<'_>, file: &std::path::Path, expected: usize) {
    let process = vm.told.incarnation_of(vm.id()).unwrap().process.unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).unwrap();
    let links = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    assert_eq!(links.filter(|link| link == file).count(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_goes_on_or_is_done_when_the_next_daemon_looks() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |config| config.memory = Mebibytes(256)).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    let memory = world.storage.create_memory(vm.id()).await.unwrap();
    let plan = vm.plan(Operation::Suspend { memory }).await.unwrap();
    let [pause, save] = &plan[..] else { panic!("{plan:?}") };
    vm.perform(pause, &CancellationToken::new()).await.unwrap();
    // The daemon ends while QEMU saves: nothing tells QEMU to stop.
    let context = innkeeper_driver::StepContext::default();
    let begun = vm.driver.perform(vm.id(), save, &context);
    assert!(tokio::time::timeout(Duration::from_millis(10), begun).await.is_err());
    let vm = vm.next_daemon().await;
    for _again in 0..2 {
        vm.perform(save, &CancellationToken::new()).await.unwrap();
    }
    let image = vm.seal().await;
    vm.run(Operation::PutAway).await;

    // The same on the way back.
    let before = vm.written(2).await;
    let plan = vm.plan(vm.restore(image)).await.unwrap();
    let [prepare, launch, load, go_on] = &plan[..] else { panic!("{plan:?}") };
    for step in [prepare, launch, load] {
        vm.perform(step, &CancellationToken::new()).await.unwrap();
    }
    let vm = vm.next_daemon().await;
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Paused);
    for step in [load, go_on, go_on] {
        vm.perform(step, &CancellationToken::new()).await.unwrap();
    }
    let after = vm.written(before.len() + 2).await;
    assert!(after.starts_with(&before), "{before:?}, then {after:?}");
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_image_is_refused_and_nothing_is_left_running() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    let image = vm.suspend().await;
    let path = world.storage.memory_path(vm.id());
    let file = File::options().read(true).write(true).open(&path).unwrap();

    // The last page: QEMU would not even miss it.
    let length = file.metadata().unwrap().len();
    let mut tail = vec![0; 1000];
    file.read_exact_at(&mut tail, length - 1000).unwrap();
    file.set_len(length - 1000).unwrap();
    assert_eq!(refused(vm.try_run(vm.restore(image.clone())).await), Code::IncompatibleMemory);
    file.write_all_at(&tail, length - 1000).unwrap();

    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Absent);
    assert_eq!(vm.told.incarnation_of(vm.id()), None);
    vm.run(vm.restore(image)).await;
    vm.run(Operation::Kill).await;
}

/// Whether a guest has gone on from an image decides whether the image may be used again.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_told_whether_a_guest_went_on() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    let image = vm.suspend().await;
    let plan = vm.plan(vm.restore(image.clone())).await.unwrap();
    let [load @ .., go_on] = &plan[..] else { panic!("{plan:?}") };
    assert_eq!(go_on.crash, Crash::Probe);
    for step in load {
        assert_eq!(probe(&vm, go_on).await, Probed::DidNot, "before {}", step.name);
        vm.perform(step, &CancellationToken::new()).await.unwrap();
    }
    let vm = vm.next_daemon().await;
    assert_eq!(probe(&vm, go_on).await, Probed::DidNot);
    vm.undo(&plan).await;
    assert_eq!(probe(&vm, go_on).await, Probed::DidNot);
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Absent);

    let plan = vm.plan(vm.restore(image)).await.unwrap();
    let go_on = plan.last().unwrap();
    for step in &plan {
        vm.perform(step, &CancellationToken::new()).await.unwrap();
    }
    assert_eq!(probe(&vm, go_on).await, Probed::Happened);
    kill(&vm);
    vm.until(MachineState::Absent).await;
    assert_eq!(probe(&vm, go_on).await, Probed::Happened, "its machine has died since");
    let vm = vm.next_daemon().await;
    assert_eq!(probe(&vm, go_on).await, Probed::Happened, "nobody saw it die");
    vm.run(Operation::PutAway).await;
}

/// Its image must be there for another, whether its death has been seen by then or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_died_before_it_was_let_run_did_not_go_on() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.written(2).await;
    let image = vm.suspend().await;
    let plan = vm.plan(vm.restore(image)).await.unwrap();
    let [load @ .., go_on] = &plan[..] else { panic!("{plan:?}") };
    for step in load {
        vm.perform(step, &CancellationToken::new()).await.unwrap();
    }
    kill(&vm);
    assert!(vm.perform(go_on, &CancellationToken::new()).await.is_err());
    assert_eq!(probe(&vm, go_on).await, Probed::DidNot);
    vm.undo(&plan).await;
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Absent);
}

/// Ends its QEMU as nobody should.
fn kill(vm: &Vm<'_>) {
    let process = vm.told.incarnation_of(vm.id()).unwrap().process.unwrap();
    let pid = process.pid.to_string();
    std::process::Command::new("busybox").args(["kill", "-9", &pid]).status().unwrap();
}

async fn probe(vm: &Vm<'_>, step: &Step) -> Probed {
    vm.driver.probe(vm.id(), step).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_holds_the_guests_memory_and_can_be_cancelled() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks_then_powers_off(3), |_| ()).await;
    vm.run(Operation::Start).await;
    vm.until(MachineState::Ended).await;
    let file = world.storage.create_dump(vm.id()).await.unwrap();
    for _again in 0..2 {
        vm.run(Operation::Dump { file: file.clone() }).await;
        assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Ended);
    }
    let dump = std::fs::read(&file).unwrap();
    let sector = guests::ticks_then_powers_off(3);
    assert!(dump.starts_with(b"\x7fELF"));
    assert!(dump.len() > 32 << 20);
    assert!(
        dump.windows(64).any(|window| window == &sector[..64]),
        "the guest's own code is in it"
    );
    assert!(file.metadata().unwrap().blocks() * 512 < 16 << 20, "zeros take no room");

    let dump = vm.plan(Operation::Dump { file: file.clone() }).await.unwrap().remove(0);
    let cancel = CancellationToken::new();
    let soon = async {
        tokio::time::sleep(Duration::from_millis(3)).await;
        cancel.cancel();
    };
    let (dumped, ()) = tokio::join!(vm.perform(&dump, &cancel), soon);
    assert!(matches!(dumped, Err(StepError::Cancelled) | Ok(())), "{dumped:?}");
    vm.run(Operation::Dump { file }).await;
    vm.run(Operation::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_a_guest_that_runs_is_not_dumped() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    let file = world.storage.create_dump(vm.id()).await.unwrap();
    assert_eq!(refused(vm.try_run(Operation::Dump { file }).await), Code::WrongState);
    vm.run(Operation::Kill).await;
}
