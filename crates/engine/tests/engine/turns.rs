//! Who goes when: queues, what overtakes them, and cancels.

use crate::{
    networks::Gate,
    support::{AT_ONCE, Bench, START, STOP, caller, create, furnished},
};
use innkeeper_engine::{Accepted, NicChange, PowerVerb, Request};
use innkeeper_model::{Code, MachineState, TaskState, VmId, VmState, Want, task::StepState};
use innkeeper_sim::{FaultId, Guest, PowerButton};
use serde_json::json;
use std::time::{Duration, Instant};

/// A VM whose start does not get on until the fault is taken away.
async fn hanging_start(bench: &Bench) -> (VmId, Accepted, FaultId) {
    let vm = bench.create("web").await;
    let hung = bench.hangs("sim/launch");
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.world.until_hit(hung).await;
    (vm, start, hung)
}

#[tokio::test]
async fn kill_overtakes_a_stop_that_waits_for_its_guest() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.world.set_guest(vm, Guest { power_button: PowerButton::Ignored, by_itself: None });
    bench.powers(vm, &[START]).await;
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    until_in(&bench, "sim/power-down").await;
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    assert_eq!(bench.machine(vm), MachineState::Absent);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
}

#[tokio::test]
async fn kill_cancels_what_is_to_be_done_to_the_machine_and_nothing_else_that_waits() {
    let bench = Bench::new().await;
    bench.lan().await;
    let (vm, start, hung) = hanging_start(&bench).await;
    let pause = bench.submit(Request::Power { vm, verb: PowerVerb::Pause }).await.unwrap();
    let edit = bench.submit(bench.edited(vm, |config| config.cpus = 2)).await.unwrap();
    let nic = serde_json::from_value(json!({ "name": "eth", "network": "lan" })).unwrap();
    let nic = Request::Nic { vm, change: NicChange::Add(Box::new(nic)) };
    let nic = bench.submit(nic).await.unwrap();
    let kill = bench.submit(Request::Power { vm, verb: PowerVerb::Kill }).await.unwrap();
    let ends = [&start, &pause, &edit, &nic, &kill].map(|accepted| bench.end_of(accepted));
    let ends = futures_util::future::join_all(ends).await;
    let states: Vec<_> = ends.iter().map(|task| task.state).collect();
    use TaskState::{Cancelled, Done};
    assert_eq!(states, [Cancelled, Cancelled, Done, Done, Done], "{ends:?}");
    assert!(ends[4].ended <= ends[2].started, "the kill did not wait for it: {ends:?}");
    let spec = bench.vm(vm).spec.unwrap();
    assert_eq!((spec.config.cpus, spec.config.nics.len(), spec.revision.0), (2, 1, 3));
    bench.world.take_away(hung);
    bench.is_sound().await;
}

#[tokio::test]
async fn kill_cancels_an_edit_that_has_the_vm() {
    let gate = Gate::at("edit/save-spec/before-journal");
    let bench = Bench::witnessed(Default::default(), Some(gate.clone())).await;
    let vm = bench.started("web").await;
    let edit = bench.submit(bench.edited(vm, |config| config.cpus = 2)).await.unwrap();
    gate.reached().await;
    let waits = bench.submit(bench.edited(vm, |config| config.cpus = 3)).await.unwrap();
    let kill = bench.submit(Request::Power { vm, verb: PowerVerb::Kill }).await.unwrap();
    gate.open();
    assert_eq!(bench.end_of(&kill).await.state, TaskState::Done);
    assert_eq!(bench.end_of(&edit).await.state, TaskState::Cancelled);
    assert_eq!(bench.end_of(&waits).await.state, TaskState::Done);
    assert_eq!(bench.vm(vm).spec.unwrap().config.cpus, 3);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
}

#[tokio::test]
async fn a_task_that_waits_its_turn_can_be_cancelled() {
    let bench = Bench::new().await;
    let (vm, start, hung) = hanging_start(&bench).await;
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.cancel(&stop).await.unwrap();
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    bench.cancel(&start).await.unwrap();
    assert_eq!(bench.end_of(&start).await.state, TaskState::Cancelled);
    assert_eq!(bench.machine(vm), MachineState::Absent);
    let again = bench.cancel(&start).await.unwrap_err();
    assert_eq!(again.code, Code::WrongState);
    assert!(again.message.contains("cancelled"), "{again}");
    bench.world.take_away(hung);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_cancel_reaches_every_step_that_hangs_and_all_is_undone() {
    let bench = Bench::new().await;
    let start = |name: &'static str| (name, vec![], START);
    let table = [
        start("sim/prepare"),
        start("sim/launch"),
        start("sim/plug-disk"),
        start("sim/plug-nic"),
        start("sim/continue"),
        ("sim/power-down", vec![START], STOP),
        ("sim/pause", vec![START], PowerVerb::Pause),
        ("sim/pause", vec![START], PowerVerb::Suspend),
        ("sim/save-memory", vec![START], PowerVerb::Suspend),
        ("sim/continue", vec![START, PowerVerb::Pause], PowerVerb::Resume),
        ("sim/load-memory", vec![START, PowerVerb::Suspend], PowerVerb::Resume),
    ];
    for (index, (step, before, verb)) in table.into_iter().enumerate() {
        let vm = bench.create_of(furnished(&format!("web-{index}"))).await;
        bench.powers(vm, &before).await;
        bench.idle().await;
        let were = (bench.state(vm), bench.want(vm));
        let hung = bench.hangs(step);
        let accepted = bench.submit(Request::Power { vm, verb }).await.unwrap();
        bench.world.until_hit(hung).await;
        let asked = Instant::now();
        bench.cancel(&accepted).await.unwrap();
        let task = bench.end_of(&accepted).await;
        assert!(asked.elapsed() < AT_ONCE, "{step}: {:?}", asked.elapsed());
        assert_eq!(task.state, TaskState::Cancelled, "{step}: {task:?}");
        let open = [StepState::Waiting, StepState::Undone, StepState::Failed];
        assert!(task.steps.iter().all(|step| open.contains(&step.state)), "{:?}", task.steps);
        assert!(task.leftovers.is_empty(), "{:?}", task.leftovers);
        bench.world.take_away(hung);
        bench.is_sound().await;
        assert_eq!((bench.state(vm), bench.want(vm)), were, "{step}");
    }
}

#[tokio::test]
async fn a_cancel_reaches_a_step_in_a_group_and_its_siblings_end_with_it() {
    let bench = Bench::new().await;
    let disks: Vec<_> = ["a", "b", "c"].map(|name| json!({ "name": name, "size": "1MiB" })).into();
    let vm = bench.create_of(json!({ "name": "web", "disks": disks })).await;
    let hung = bench.hangs("sim/plug-disk");
    let accepted = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.world.until_hit(hung).await;
    bench.until_so("three running", || running_steps(&bench).len() == 3).await;
    bench.cancel(&accepted).await.unwrap();
    assert_eq!(bench.end_of(&accepted).await.state, TaskState::Cancelled);
    bench.world.take_away(hung);
    bench.is_sound().await;
}

#[tokio::test]
async fn of_a_group_that_fails_the_first_failure_is_told() {
    use innkeeper_sim::{Fault, FaultRule};
    let bench = Bench::new().await;
    let vm = bench
        .create_of(json!({ "name": "web", "disks": [
            { "name": "a", "size": "1MiB" }, { "name": "b", "size": "1MiB" },
        ]}))
        .await;
    bench.world.inject(FaultRule::new("sim/plug-disk", Fault::Hangs).about("a"));
    let fails = Fault::Fails(crate::support::as_told());
    bench.world.inject(FaultRule::new("sim/plug-disk", fails).about("b"));
    let task = bench.power(vm, START).await;
    assert_eq!(task.state, TaskState::Failed);
    assert_eq!(task.error.unwrap().message, "as it was told to");
    bench.world.take_away_all();
    bench.is_sound().await;
}

#[tokio::test]
async fn past_its_point_of_no_return_a_task_is_not_cancelled() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let hung = bench.hangs("sim/quit");
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.world.until_hit(hung).await;
    let live = bench.engine.task(stop.task).await.unwrap();
    assert!(!live.cancellable && live.state == TaskState::Running);
    let refused = bench.cancel(&stop).await.unwrap_err();
    assert_eq!(refused.code, Code::WrongState);
    assert!(refused.message.contains("point of no return"), "{refused}");
    bench.world.take_away(hung);
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Done);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_is_asked_is_held_against_what_is_queued() {
    let bench = Bench::new().await;
    let (vm, start, hung) = hanging_start(&bench).await;
    // By then it will run, so that it can be stopped, and not started once more.
    bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    let last = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    let third = bench.refused(Request::Power { vm, verb: START }).await;
    assert_eq!(third.code, Code::WrongState);
    assert!(third.message.contains("start") && third.message.contains("running"));
    bench.world.take_away(hung);
    assert_eq!(bench.end_of(&start).await.state, TaskState::Done);
    assert_eq!(bench.end_of(&last).await.state, TaskState::Done);
    bench.is_sound().await;
}

/// How far what is being done has come makes no difference to what may be asked after it.
#[tokio::test]
async fn what_is_asked_is_held_against_the_end_of_what_is_being_done() {
    let reboot = crate::support::REBOOT;
    let suspend = PowerVerb::Suspend;
    let table = [
        // Made, and not let run.
        ("sim/continue", vec![], START, vec![PowerVerb::Pause, PowerVerb::Resume, STOP], START),
        // Put away, and not made again.
        ("sim/prepare", vec![START], reboot, vec![PowerVerb::Pause, PowerVerb::Resume], START),
        // Held, and its memory not written.
        ("sim/save-memory", vec![START], suspend, vec![PowerVerb::Resume, PowerVerb::Pause], STOP),
        ("sim/load-memory", vec![START, suspend], PowerVerb::Resume, vec![suspend], START),
        // Ended, and not put away.
        ("sim/quit", vec![START], STOP, vec![START, PowerVerb::Pause], STOP),
    ];
    for (index, (step, before, verb, then, never)) in table.into_iter().enumerate() {
        let bench = Bench::new().await;
        let vm = bench.create_of(furnished(&format!("web-{index}"))).await;
        bench.powers(vm, &before).await;
        let hung = bench.hangs(step);
        let mut asked = vec![bench.submit(Request::Power { vm, verb }).await.unwrap()];
        bench.world.until_hit(hung).await;
        let refused = bench.submit(Request::Power { vm, verb: never }).await;
        assert!(refused.is_err(), "{step}: {never:?} is accepted after {verb:?}");
        for verb in then {
            let accepted = bench.submit(Request::Power { vm, verb }).await;
            asked.push(accepted.unwrap_or_else(|refusal| panic!("{step}, {verb:?}: {refusal}")));
        }
        bench.world.take_away(hung);
        for accepted in &asked {
            assert_eq!(bench.end_of(accepted).await.state, TaskState::Done, "{step}");
        }
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn what_was_legal_and_is_not_by_its_turn_fails_and_has_changed_nothing() {
    let bench = Bench::new().await;
    let (vm, start, hung) = hanging_start(&bench).await;
    let pause = bench.submit(Request::Power { vm, verb: PowerVerb::Pause }).await.unwrap();
    bench.cancel(&start).await.unwrap();
    let task = bench.end_of(&pause).await;
    assert_eq!((task.state, task.steps.len()), (TaskState::Failed, 0));
    assert_eq!(task.error.unwrap().code, Code::WrongState);
    bench.world.take_away(hung);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_clone_shares_its_source_with_another_and_a_start_waits_for_both() {
    let (bench, stop) = Bench::stopping_at("clone/clone-volumes/before-journal").await;
    let vm = bench.create_of(furnished("web")).await;
    let clone = |name: &str| Request::Clone { vm, name: name.parse().unwrap() };
    let held = bench.submit(clone("held")).await.unwrap();
    stop.reached().await;
    bench.must(clone("other")).await;
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    let waited = bench.engine.wait(start.task, Duration::from_millis(50)).await.unwrap();
    assert_eq!(waited.state, TaskState::Queued);
    bench.cancel(&held).await.unwrap();
    drop(bench.end().await);
}

#[tokio::test]
async fn a_queue_that_an_operator_pauses_lets_nothing_begin_until_it_is_let_go() {
    let bench = Bench::new().await;
    let (held, other) = (bench.create("held").await, bench.create("other").await);
    bench.engine.pause_queue(&caller(), held, true);
    let start = bench.submit(Request::Power { vm: held, verb: START }).await.unwrap();
    bench.powers(other, &[START]).await;
    assert_eq!(bench.engine.task(start.task).await.unwrap().state, TaskState::Queued);
    let paused = bench.engine.diagnose().queues.into_iter().find(|queue| queue.paused).unwrap();
    assert_eq!((paused.holders, paused.waiting), (0, 1));
    bench.engine.pause_queue(&caller(), held, false);
    assert_eq!(bench.end_of(&start).await.state, TaskState::Done);
    bench.is_sound().await;
}

/// One runtime thread, two hundred operations that hang: the next one is done as if they were not.
#[tokio::test(flavor = "current_thread")]
async fn whoever_waits_holds_no_worker() {
    let bench = Bench::new().await;
    let mut hanging = Vec::new();
    for number in 0..200 {
        hanging
            .push(bench.submit(create(json!({ "name": format!("hung-{number}") }))).await.unwrap());
    }
    for accepted in &hanging {
        bench.end_of(accepted).await;
    }
    let hung = bench.hangs("sim/launch");
    let mut starts = Vec::new();
    for accepted in &hanging {
        let power = Request::Power { vm: accepted.vm.unwrap(), verb: START };
        starts.push(bench.submit(power).await.unwrap());
    }
    bench.until_so("two hundred hang", || running_steps(&bench).len() == 200).await;
    // None of them is hit by what the others wait for.
    let alone = bench.create("alone").await;
    let clone = Request::Clone { vm: alone, name: "copy".parse().unwrap() };
    let copy = bench.must(clone).await.vm.unwrap();
    bench.must(Request::Delete { vm: copy, force: false }).await;
    assert_eq!(bench.engine.diagnose().tasks.len(), 200);
    for accepted in &starts {
        bench.cancel(accepted).await.unwrap();
    }
    for accepted in &starts {
        assert_eq!(bench.end_of(accepted).await.state, TaskState::Cancelled);
    }
    bench.world.take_away(hung);
    bench.powers(alone, &[START]).await;
    bench.is_sound().await;
}

/// Whoever goes away before being answered has asked for something, or for nothing.
#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_half_accepted() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.idle().await;
    for polls in 0..40 {
        let request = Request::Power { vm, verb: START };
        poll_so_often(bench.submit(request), polls).await;
        bench.idle().await;
        if bench.state(vm) == VmState::Running {
            poll_so_often(bench.submit(Request::Power { vm, verb: PowerVerb::Kill }), polls).await;
            bench.idle().await;
        }
        let name = format!("new-{polls}");
        poll_so_often(bench.submit(create(json!({ "name": name }))), polls).await;
        bench.idle().await;
        // Its name is taken if it was made, and free if it was not.
        let made = bench.vms().iter().any(|vm| vm.name.as_str() == name);
        let again = bench.submit(create(json!({ "name": name }))).await;
        assert_eq!(again.is_err(), made, "after {polls} polls");
    }
    if bench.state(vm) == VmState::Running {
        bench.powers(vm, &[PowerVerb::Kill]).await;
    }
    bench.powers(vm, &[START, STOP]).await;
    bench.is_sound().await;
}

/// Polls a future this often, letting others work in between, then drops it.
async fn poll_so_often<T>(work: impl Future<Output = T>, polls: usize) {
    let mut work = std::pin::pin!(work);
    for _ in 0..polls {
        if futures_util::poll!(&mut work).is_ready() {
            return;
        }
        // For as long as the threads of the journal take.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

fn running_steps(bench: &Bench) -> Vec<String> {
    bench.engine.diagnose().tasks.into_iter().flat_map(|task| task.steps).collect()
}

async fn until_in(bench: &Bench, step: &str) {
    bench.until_so(step, || running_steps(bench).iter().any(|running| running == step)).await;
}
