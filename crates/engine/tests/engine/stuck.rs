//! A hypervisor that does not answer delays nobody else, and can still be killed.

use crate::support::{Bench, START, STOP, Setup};
use innkeeper_engine::{NicChange, PowerVerb, Request};
use innkeeper_model::{
    Code, MachineState, TaskState, VmState, Want,
    task::{StepState, TaskStep},
};
use innkeeper_sim::{CallKind, Fault, FaultRule, WorldOptions};
use serde_json::json;
use std::time::{Duration, Instant};

/// What is done to a VM whose hypervisor answers takes no longer than this.
const QUICK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_vm_that_does_not_answer_delays_no_other_and_can_be_killed() {
    let bench = Bench::new().await;
    let (silent, other) = (bench.started("silent").await, bench.started("other").await);
    assert!(bench.world.stop_answering(silent));
    let pause = bench.submit(Request::Power { vm: silent, verb: PowerVerb::Pause }).await.unwrap();
    bench.until_state(silent, VmState::Unresponsive).await;
    // Asking costs nothing either, though its turn does not come.
    let asked = Instant::now();
    let resume = Request::Power { vm: silent, verb: PowerVerb::Resume };
    let queued = bench.submit(resume).await.unwrap();
    bench.powers(other, &[PowerVerb::Pause, PowerVerb::Resume, STOP, START]).await;
    let third = bench.create("third").await;
    bench.powers(third, &[START, PowerVerb::Suspend, PowerVerb::Resume]).await;
    assert!(asked.elapsed() < QUICK, "{:?}", asked.elapsed());

    let asked = Instant::now();
    bench.powers(silent, &[PowerVerb::Kill]).await;
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!(bench.end_of(&pause).await.state, TaskState::Cancelled);
    assert_eq!(bench.end_of(&queued).await.state, TaskState::Cancelled);
    assert_eq!((bench.state(silent), bench.want(silent)), (VmState::Stopped, Want::Stopped));
    bench.powers(silent, &[START, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_kill_does_not_wait_for_a_nic_that_does_not_get_in_or_what_is_queued_behind_it() {
    // Long after it is asked for the NIC.
    let noticed_after = Duration::from_secs(1);
    let world = WorldOptions { noticed_after, ..Setup::default().world };
    let bench = Bench::with(Setup { world, ..Setup::default() }).await;
    let silent = bench.started("silent").await;
    assert!(bench.world.stop_answering(silent));
    // Of the VM as it is without the NIC.
    let edit = bench.edited(silent, |config| config.cpus = 2);
    let nic = serde_json::from_value(json!({ "name": "lan", "network": "none" })).unwrap();
    let add = Request::Nic { vm: silent, change: NicChange::Add(nic) };
    let add = bench.submit(add).await.unwrap();
    bench
        .until("plugging", |snapshot| {
            let steps = &snapshot.tasks[&add.task].steps;
            let plugging =
                |step: &TaskStep| step.name.starts_with("sim/") && step.state == StepState::Running;
            steps.iter().any(plugging)
        })
        .await;
    let edit = bench.submit(edit).await.unwrap();
    let asked = Instant::now();
    bench.powers(silent, &[PowerVerb::Kill]).await;
    assert!(asked.elapsed() < QUICK, "{:?}", asked.elapsed());
    assert_eq!(bench.end_of(&add).await.state, TaskState::Cancelled);
    assert_eq!(bench.end_of(&edit).await.state, TaskState::Done, "it was to be done to no machine");
    let config = bench.vm(silent).spec.unwrap().config.clone();
    assert_eq!((config.nics.len(), config.cpus), (0, 2));
    // What cannot be killed cancels nothing.
    let edit = bench.submit(bench.edited(silent, |config| config.cpus = 3)).await.unwrap();
    bench.refused(Request::Power { vm: silent, verb: PowerVerb::Kill }).await;
    assert_eq!(bench.end_of(&edit).await.state, TaskState::Done);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_kill_does_not_wait_for_an_undo_that_hangs() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let hung = bench.hangs("sim/set-link");
    let undo = FaultRule::new("sim/set-link", Fault::Hangs).when(CallKind::Undo);
    let undo = bench.world.inject(undo);
    let nic = json!({ "name": "lan", "network": "none", "connected": false });
    let nic = serde_json::from_value(nic).unwrap();
    let add = Request::Nic { vm, change: NicChange::Add(nic) };
    let add = bench.submit(add).await.unwrap();
    bench.world.until_hit(hung).await;
    bench.cancel(&add).await.unwrap();
    bench.world.until_hit(undo).await;
    bench.world.watch_calls();
    let asked = Instant::now();
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert!(asked.elapsed() < QUICK, "{:?}", asked.elapsed());
    let left = bench.end_of(&add).await;
    assert_eq!(left.state, TaskState::Cancelled);
    for step in ["sim/set-link", "sim/add-nic"] {
        let is_left =
            |left: &String| left.contains(step) && left.contains("a kill of the VM goes first");
        assert!(left.leftovers.iter().any(is_left), "{step}: {:?}", left.leftovers);
    }
    // What nobody would have waited for was not begun.
    let calls = bench.world.calls();
    let before_kill = calls.iter().take_while(|call| call.step != "sim/kill");
    assert_eq!(before_kill.filter(|call| call.kind == CallKind::Undo).count(), 0, "{calls:?}");
    bench.world.take_away_all();
    bench.is_sound().await;
    assert!(bench.vm(vm).spec.unwrap().config.nics.is_empty());
    bench.powers(vm, &[START, STOP]).await;
}

#[tokio::test]
async fn a_stop_of_a_vm_that_does_not_answer_ends_at_its_deadline_or_by_a_kill() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    assert!(bench.world.stop_answering(vm));
    let short = PowerVerb::Stop { timeout: Duration::from_millis(30) };
    let task = bench.power(vm, short).await;
    assert_eq!(task.error.unwrap().code, Code::Timeout);
    bench.until_state(vm, VmState::Unresponsive).await;
    assert_eq!(bench.want(vm), Want::Running, "it is left as it was");
    let refused = bench.refused(Request::Power { vm, verb: STOP }).await;
    assert!(refused.hint.unwrap().contains("inn kill"));
    bench.powers(vm, &[PowerVerb::Kill]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_that_answers_again_goes_on() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    assert!(bench.world.stop_answering(vm));
    bench.until_state(vm, VmState::Unresponsive).await;
    assert!(bench.world.resume_answering(vm));
    bench.until_state(vm, VmState::Running).await;
    bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_daemon_that_finds_a_vm_that_does_not_answer_says_so() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let bench = bench.restart_with(|ended| assert!(ended.world.stop_answering(vm))).await;
    bench.until_state(vm, VmState::Unresponsive).await;
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert_eq!(bench.machine(vm), MachineState::Absent);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_runs_by_somebody_elses_hand_is_told_within_a_second() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    for (state, happens) in [
        (VmState::Paused, innkeeper_sim::World::pause_behind as fn(&_, _) -> bool),
        (VmState::Running, innkeeper_sim::World::resume_behind),
    ] {
        let happened = Instant::now();
        assert!(happens(&bench.world, vm));
        bench.until_state(vm, state).await;
        assert!(happened.elapsed() < Duration::from_secs(1), "{:?}", happened.elapsed());
    }
    bench.world.kill_hypervisor(vm);
    bench.until_state(vm, VmState::Stopped).await;
    bench.is_sound().await;
}
