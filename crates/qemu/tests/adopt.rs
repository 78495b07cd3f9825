//! Machines that somebody else made: seen, never touched, and taken over by explicit word only.

mod support;

use innkeeper_driver::{Operation, StepError};
use innkeeper_model::{Code, Foreign, MachineState, Mebibytes};
use std::io::{BufRead, BufReader, Write};
use support::{Vm, World, by_hand::ByHand, guests};
use tokio_util::sync::CancellationToken;

async fn seen(vm: &Vm<'_>, by_hand: &ByHand) -> Option<Foreign> {
    let foreign = vm.driver.foreign().await;
    foreign.into_iter().find(|machine| machine.process.pid == by_hand.pid())
}

fn adopt(machine: Foreign) -> Operation {
    Operation::Adopt { machine: Box::new(machine) }
}

fn refused(outcome: Result<(), StepError>) -> Code {
    match outcome {
        Err(StepError::Failed(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_made_by_hand_is_adopted_kept_and_ended() {
    let world = World::new();
    let mut vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    let serial = world.folder.path().join("by hand.serial");
    let serial_option = format!("unix:{},server=on,wait=off", serial.display());
    let mut mine =
        ByHand::start(world.folder.path(), "by-hand", &["-smp", "2", "-serial", &serial_option]);
    let mut other = ByHand::start(world.folder.path(), "left-alone", &[]);

    let machine = seen(&vm, &mine).await.unwrap();
    assert_eq!(machine.name.as_deref(), Some("by-hand"));
    assert_eq!((machine.cpus, machine.memory), (Some(2), Some(Mebibytes(24))));
    assert_eq!((machine.manager.as_deref(), machine.not_adoptable.as_deref()), (None, None));
    let draft = vm.driver.draft(&machine).unwrap();
    assert_eq!((draft.name.as_str(), draft.cpus, draft.memory), ("by-hand", 2, Mebibytes(24)));

    vm.run(adopt(machine.clone())).await;
    let incarnation = vm.told.incarnation_of(vm.id()).unwrap();
    assert!(incarnation.adopted && incarnation.hypervisor_version.starts_with("10."));
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Running);
    assert_eq!(seen(&vm, &mine).await, None, "it is Innkeeper's");
    vm.driver.open_console(vm.id()).await.map(drop).unwrap();
    vm.run(Operation::Pause).await;
    vm.run(Operation::Resume).await;

    vm = vm.next_daemon().await;
    vm.until(MachineState::Running).await;
    assert_eq!(vm.told.incarnation_of(vm.id()).unwrap(), incarnation);
    assert_eq!(seen(&vm, &mine).await, None);
    assert!(mine.lives() && other.lives());
    vm.run(Operation::Kill).await;
    assert!(!mine.lives(), "it can be killed");
    assert_eq!(vm.told.incarnation_of(vm.id()), None);
    assert!(other.lives() && seen(&vm, &other).await.is_some(), "the other one was left alone");
    other.connect();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_is_undone_has_touched_nothing() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    let mut mine = ByHand::start(world.folder.path(), "undone", &[]);
    let machine = seen(&vm, &mine).await.unwrap();
    let plan = vm.plan(adopt(machine.clone())).await.unwrap();
    for _again in 0..2 {
        vm.perform(&plan[0], &CancellationToken::new()).await.unwrap();
    }
    let no_console = vm.driver.open_console(vm.id()).await.map(drop).unwrap_err();
    assert_eq!(no_console.code, Code::Unsupported, "it has no serial line");
    for _again in 0..2 {
        vm.undo(&plan).await;
    }
    assert_eq!(vm.told.facts(vm.id()).machine, MachineState::Absent);
    assert_eq!(vm.told.incarnation_of(vm.id()), None);
    assert!(!world.folder.path().join("run").join(vm.id().to_string()).exists());
    assert!(mine.lives() && mine.socket.exists());
    assert_eq!(seen(&vm, &mine).await, Some(machine));
    mine.connect();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_is_in_use_is_left_to_its_user() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    let mine = ByHand::start(world.folder.path(), "in-use", &[]);
    let mut user = mine.connect();
    let machine = seen(&vm, &mine).await.unwrap();
    assert_eq!(refused(vm.try_run(adopt(machine)).await), Code::InUse);
    user.write_all(b"{\"execute\":\"qmp_capabilities\"}\n").unwrap();
    let mut answer = String::new();
    BufReader::new(&user).read_line(&mut answer).unwrap();
    assert!(answer.contains("return"), "{answer}");
    assert_eq!(vm.told.incarnation_of(vm.id()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_libvirts_or_of_another_time_is_refused() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    let secret = "{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"data\":\"c2VjcmV0\"}";
    let mut libvirts = ByHand::start(world.folder.path(), "libvirts", &["-object", secret]);
    let machine = seen(&vm, &libvirts).await.unwrap();
    assert_eq!(machine.manager.as_deref(), Some("libvirt"));
    assert_eq!(refused(vm.try_run(adopt(machine.clone())).await), Code::Unsupported);
    // One who says that it is nobody's is not believed.
    let claimed = Foreign { manager: None, not_adoptable: None, ..machine };
    assert_eq!(refused(vm.try_run(adopt(claimed.clone())).await), Code::Unsupported);

    let mut reused = claimed;
    reused.process.start_ticks += 1;
    assert_eq!(refused(vm.try_run(adopt(reused.clone())).await), Code::NotFound);
    assert_eq!(vm.driver.draft(&reused).unwrap_err().code, Code::NotFound);
    assert!(libvirts.lives());
}

/// A name is no proof: only a record of the very process is.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_named_like_ours_is_foreign() {
    let world = World::new();
    let vm = Vm::new(&world, &guests::ticks(), |_| ()).await;
    vm.run(Operation::Start).await;
    let name = format!("innkeeper-{}", vm.id());
    let mut named = ByHand::start(world.folder.path(), &name, &[]);
    assert!(seen(&vm, &named).await.is_some());
    let ours = vm.told.incarnation_of(vm.id()).unwrap().process.unwrap();
    assert!(vm.driver.foreign().await.iter().all(|machine| machine.process != ours));
    // A daemon that has not looked at its records yet has them all the same.
    let next = world.driver(vm.told.clone());
    assert!(next.foreign().await.iter().all(|machine| machine.process != ours));
    vm.run(Operation::Kill).await;
    assert!(named.lives());
}
