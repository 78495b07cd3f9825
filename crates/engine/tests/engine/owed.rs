//! What cannot be undone: it is named, tried again, and in nobody's way but of what would build on it.

use crate::support::{Bench, START, STOP, as_told, caller, furnished};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Code, TaskState, VmId, VmState, task::StepState};
use innkeeper_sim::{CallKind, Fault, FaultRule};
use std::time::{Duration, Instant};

/// Has a start fail, and the undo of this step.
fn fails_and_stays(bench: &Bench, failing: &str, staying: &str) {
    // It says that it failed, and has done it.
    bench.world.inject(FaultRule::new(failing, Fault::ClaimsFailed(as_told())));
    bench.world.inject(FaultRule::new(staying, Fault::Fails(as_told())).when(CallKind::Undo));
}

/// A VM whose start failed, with this left.
async fn left_over(bench: &Bench, failing: &str, staying: &str) -> VmId {
    left_over_as(bench, "web", failing, staying).await
}

/// The same of a VM with this name.
async fn left_over_as(bench: &Bench, name: &str, failing: &str, staying: &str) -> VmId {
    let vm = bench.create_of(furnished(name)).await;
    fails_and_stays(bench, failing, staying);
    let task = bench.power(vm, START).await;
    assert_eq!(task.state, TaskState::Failed);
    let left = &task.leftovers[0];
    assert!(left.starts_with(staying) && left.contains("as it was told to"), "{task:?}");
    // A machine that lives keeps what it was made in.
    let stuck = task.steps.iter().rev().filter(|step| step.state == StepState::Stuck);
    let stuck: Vec<String> =
        stuck.map(|step| format!("{} could not be undone", step.name)).collect();
    let told = task.leftovers.iter().map(|left| left.split(':').next().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), stuck);
    vm
}

#[tokio::test]
async fn leftovers_are_named_and_go_when_their_cause_does() {
    let bench = Bench::new().await;
    let vm = left_over(&bench, "sim/plug-nic", "sim/launch").await;
    let [owed] = &bench.engine.diagnose().owed[..] else { panic!("one is owed") };
    assert_eq!((owed.vm, owed.operation.as_str()), (Some(vm), "start"));
    bench.until("in trouble", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    bench.world.take_away_all();
    // By and by, with nobody's doing.
    bench.idle().await;
    bench.until("well", |snapshot| snapshot.vms[&vm].problem.is_none()).await;
    let task = bench.engine.task(owed.task).await.unwrap();
    assert!(task.leftovers.is_empty() && task.state == TaskState::Failed);
    bench.is_sound().await;
    bench.powers(vm, &[START, STOP]).await;
}

#[tokio::test]
async fn what_would_build_on_leftovers_is_refused_and_what_ends_a_machine_is_not() {
    let bench = Bench::new().await;
    let vm = left_over(&bench, "sim/plug-nic", "sim/launch").await;
    bench.until("in trouble", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    let mut edited = bench.vm(vm).spec.unwrap().config.clone();
    edited.cpus = 2;
    let edit = Request::Edit { vm, config: Box::new(edited), expected: None };
    let refused = bench.run(edit).await.error.unwrap();
    assert_eq!(refused.code, Code::Leftovers);
    assert!(refused.causes[0].contains("sim/launch"), "{refused:?}");
    bench.powers(vm, &[PowerVerb::Kill]).await;
    bench.quiet().await;
    bench.world.take_away_all();
    bench.powers(vm, &[START]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_kill_does_not_wait_for_what_is_owed() {
    let bench = Bench::new().await;
    let vm = left_over(&bench, "sim/plug-nic", "sim/launch").await;
    bench.world.take_away_all();
    bench.world.inject(FaultRule::new("sim/launch", Fault::Hangs).when(CallKind::Undo));
    // It is tried by and by, and holds the VM.
    let is_held = || bench.engine.diagnose().queues.iter().any(|queue| queue.holders > 0);
    bench.until_so("tried", is_held).await;
    let asked = Instant::now();
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(bench.engine.diagnose().owed.len(), 1);
    bench.world.take_away_all();
    bench.is_sound().await;
    bench.powers(vm, &[START]).await;
}

#[tokio::test]
async fn a_cancel_and_a_kill_reach_who_waits_for_what_is_owed() {
    let bench = Bench::new().await;
    let vm = left_over(&bench, "sim/plug-nic", "sim/launch").await;
    bench.world.take_away_all();
    let undo = || FaultRule::new("sim/launch", Fault::Hangs).when(CallKind::Undo);
    let hung = bench.world.inject(undo());
    let waits = bench.submit(bench.edited(vm, |config| config.cpus = 2)).await.unwrap();
    bench.world.until_hit(hung).await;
    let asked = Instant::now();
    bench.cancel(&waits).await.unwrap();
    assert_eq!(bench.end_of(&waits).await.state, TaskState::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    bench.world.take_away_all();
    let hung = bench.world.inject(undo());
    let waits = bench.submit(bench.edited(vm, |config| config.cpus = 2)).await.unwrap();
    bench.world.until_hit(hung).await;
    let asked = Instant::now();
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(bench.end_of(&waits).await.state, TaskState::Cancelled);
    bench.world.take_away_all();
    bench.is_sound().await;
    bench.powers(vm, &[START]).await;
}

#[tokio::test]
async fn what_waits_for_its_turn_keeps_no_other_from_being_cleared() {
    let bench = Bench::new().await;
    let waits = left_over(&bench, "sim/plug-nic", "sim/launch").await;
    bench.world.take_away_all();
    bench.engine.pause_queue(&caller(), waits, true);
    let hangs = left_over_as(&bench, "hangs", "sim/plug-nic", "sim/launch").await;
    bench.world.take_away_all();
    let undo = FaultRule::new("sim/launch", Fault::Hangs).when(CallKind::Undo);
    bench.world.inject(undo.of(hangs));
    let other = bench.create_of(furnished("other")).await;
    let rules = [
        FaultRule::new("sim/plug-nic", Fault::ClaimsFailed(as_told())),
        FaultRule::new("sim/launch", Fault::Fails(as_told())).when(CallKind::Undo),
    ];
    let faults = rules.map(|rule| bench.world.inject(rule.of(other)));
    let task = bench.power(other, START).await;
    assert!(!task.leftovers.is_empty(), "{task:?}");
    for fault in faults {
        bench.world.take_away(fault);
    }
    let owed = |vm| bench.engine.diagnose().owed.iter().any(|owed| owed.vm == Some(vm));
    bench.until_so("cleared", || !owed(other)).await;
    assert!(owed(waits) && owed(hangs));
    bench.world.take_away_all();
    bench.engine.pause_queue(&caller(), waits, false);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_is_owed_by_now_is_what_is_told() {
    let bench = Bench::new().await;
    let undo = |step| FaultRule::new(step, Fault::Fails(as_told())).when(CallKind::Undo);
    bench.world.inject(undo("sim/prepare"));
    let launch = bench.world.inject(undo("sim/launch"));
    bench.world.inject(FaultRule::new("sim/plug-nic", Fault::ClaimsFailed(as_told())));
    let vm = bench.create_of(furnished("web")).await;
    let task = bench.power(vm, START).await;
    assert_eq!(task.leftovers.len(), 2, "{task:?}");
    bench.world.take_away(launch);
    let told = |left: &[String]| left.len() == 1 && left[0].starts_with("sim/prepare");
    bench.until("fewer", |snapshot| told(&snapshot.tasks[&task.id].leftovers)).await;
    let is_told = |vm: &innkeeper_model::Vm| {
        vm.problem.as_ref().is_some_and(|problem| problem.starts_with("sim/prepare"))
    };
    bench.until("told", |snapshot| is_told(&snapshot.vms[&vm])).await;
    let bench = bench.restart().await;
    assert!(told(&bench.engine.task(task.id).await.unwrap().leftovers));
    bench.world.take_away_all();
    bench.is_sound().await;
}

#[tokio::test]
async fn leftovers_are_tried_again_by_the_next_daemon() {
    for (failing, staying) in [
        ("sim/plug-nic", "sim/launch"),
        // What failed itself is what stays: begun, and not known to be.
        ("sim/prepare", "sim/prepare"),
    ] {
        for by_sigkill in [false, true] {
            let bench = Bench::new().await;
            let vm = left_over(&bench, failing, staying).await;
            assert!(!bench.world.leftovers(vm).is_empty());
            let ended = if by_sigkill { bench.killed().await } else { bench.end().await };
            let bench = ended.begin().await;
            let owed = bench.engine.diagnose().owed;
            assert_eq!(owed.len(), 1, "{staying} {by_sigkill}");
            let task = bench.engine.task(owed[0].task).await.unwrap();
            assert!(task.state == TaskState::Failed && !task.leftovers.is_empty());
            bench.world.take_away_all();
            bench.is_sound().await;
            assert_eq!(bench.state(vm), VmState::Stopped);
            bench.powers(vm, &[START, STOP]).await;
        }
    }
}

#[tokio::test]
async fn what_was_cleared_is_not_owed_again() {
    let bench = Bench::new().await;
    let vm = left_over(&bench, "sim/plug-nic", "sim/launch").await;
    let task = bench.engine.diagnose().owed[0].task;
    bench.world.take_away_all();
    bench.idle().await;
    let bench = bench.restart().await;
    assert!(bench.engine.diagnose().owed.is_empty());
    let task = bench.engine.task(task).await.unwrap();
    assert!(task.leftovers.is_empty() && task.state == TaskState::Failed, "{task:?}");
    assert!(bench.vm(vm).problem.is_none());
    bench.is_sound().await;
}

#[tokio::test]
async fn what_cannot_be_finished_is_owed_and_finished_later() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.powers(vm, &[START]).await;
    let fault = bench.fails("sim/quit");
    let task = bench.power(vm, STOP).await;
    assert_eq!(task.state, TaskState::Failed);
    assert!(task.leftovers.iter().any(|left| left.contains("sim/put-away is still to be done")));
    bench.world.take_away(fault);
    bench.is_sound().await;
    assert_eq!(bench.state(vm), VmState::Stopped);
}

#[tokio::test]
async fn leftovers_of_a_vm_that_was_never_made_are_cleared_too() {
    let bench = Bench::new().await;
    let id = VmId::new();
    let file = bench.spec_file(id);
    // Its spec cannot be stored, past its volumes.
    std::fs::create_dir_all(&file).unwrap();
    let config = Box::new(crate::support::config(furnished("web")));
    let accepted = bench.submit(Request::Create { config, id: Some(id) }).await.unwrap();
    let task = bench.end_of(&accepted).await;
    std::fs::remove_dir_all(&file).unwrap();
    bench.idle().await;
    // The journal has it, so that it is made all the same, or it was undone.
    assert_eq!(bench.find(id).is_some(), task.state == TaskState::Done, "{task:?}");
    bench.is_sound().await;
}
