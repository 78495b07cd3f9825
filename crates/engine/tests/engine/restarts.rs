//! What the next daemon finds, goes on with, and shows.

use crate::{
    held::Stop,
    support::{Bench, Ended, LONG, REBOOT, START, STOP, Setup, caller, furnished},
};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{
    Code, MachineState, TaskState, Vm, VmId, VmState, Want, diagnosis::UsageDiagnosis,
};
use innkeeper_sim::World;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The VMs as readers see them, but for their revisions.
fn seen(bench: &Bench) -> Vec<String> {
    let plain = |vm: Vm| serde_json::to_string(&Vm { revision: Default::default(), ..vm }).unwrap();
    bench.vms().into_iter().map(plain).collect()
}

#[tokio::test]
async fn what_readers_see_is_the_same_before_and_after() {
    let bench = Bench::new().await;
    bench.create_of(furnished("off")).await;
    let running = bench.create_of(furnished("running")).await;
    let paused = bench.create_of(furnished("paused")).await;
    let kept = bench.create_of(furnished("kept")).await;
    bench.powers(running, &[START]).await;
    bench.powers(paused, &[START, PowerVerb::Pause]).await;
    bench.powers(kept, &[START, PowerVerb::Suspend]).await;
    bench.idle().await;
    // What the pool has is other programs' doing, too.
    let usage = |bench: &Bench| UsageDiagnosis { pool: None, ..bench.engine.diagnose().usage };
    let given = usage(&bench);
    let before = seen(&bench);
    let mut bench = bench;
    for _ in 0..2 {
        bench = bench.restart().await;
        bench.engine.survey().await;
        bench.idle().await;
        assert_eq!(seen(&bench), before);
        assert_eq!(usage(&bench), given);
    }
    bench.is_sound().await;
}

#[tokio::test]
async fn what_was_wanted_running_is_started_with_the_host() {
    let bench = Bench::new().await;
    let (on, off) = (bench.create("on").await, bench.create("off").await);
    let never = bench.create_of(json!({ "name": "never", "autostart": "never" })).await;
    let (paused, kept) = (bench.create("paused").await, bench.create("kept").await);
    bench.powers(on, &[START]).await;
    bench.powers(never, &[START]).await;
    bench.powers(paused, &[START, PowerVerb::Pause]).await;
    bench.powers(kept, &[START, PowerVerb::Suspend]).await;
    let bench = bench.restart_with(Ended::reboot_host).await;
    let states = [on, off, never, paused, kept].map(|vm| bench.state(vm));
    use VmState::{Running, Stopped, Suspended};
    assert_eq!(states, [Running, Stopped, Stopped, Stopped, Suspended]);
    bench.is_sound().await;
    bench.powers(kept, &[PowerVerb::Resume]).await;
    assert_eq!(bench.world.machine(kept).unwrap().boots, 1, "it went on");
    bench.is_sound().await;
}

#[tokio::test]
async fn a_daemon_that_was_only_restarted_starts_nothing_again() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let machine = bench.world.machine(vm).unwrap();
    let bench = bench.restart().await;
    bench.is_sound().await;
    assert_eq!(bench.world.machine(vm).unwrap(), machine);
}

/// The journal is gone, and with it what was being done.
#[tokio::test]
async fn a_start_that_a_daemon_died_in_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::default();
    let world = World::open(folder.path().join("world"), setup.world.clone()).unwrap();
    let bench = Bench::open(folder, world, setup, None).await;
    bench.engine.recover().await;
    let (held, unborn) = (bench.create("held").await, bench.create("unborn").await);
    let dead = bench.started("dead").await;
    let stop = Stop::of(2, "start/sim/continue/before-journal");
    let bench = bench.end().await.begin_witnessed(Some(stop.clone())).await;
    for vm in [held, unborn] {
        bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    }
    stop.reached().await;
    bench.until_so("stored", || bench.engine.diagnose().specs.unwritten == 0).await;
    let ended = bench.killed().await;
    std::fs::remove_dir_all(ended.path().join("journal")).unwrap();
    assert!(ended.world.kill_hypervisor(unborn) && ended.world.kill_hypervisor(dead));
    let machine = ended.world.machine(held).unwrap().incarnation.id;
    // It had run for long when it crashed.
    let bench = launched_long_ago(ended, dead).begin().await;
    for vm in [held, unborn, dead] {
        bench.until_state(vm, VmState::Running).await;
    }
    bench.is_sound().await;
    assert_eq!(bench.world.machine(held).unwrap().incarnation.id, machine);
    assert!(bench.vms().iter().all(|vm| vm.want == Some(Want::Running)));
}

/// Moves the launch of a VM's machine back by years, in the world's file.
fn launched_long_ago(ended: Ended, vm: VmId) -> Ended {
    let created = ended.world.machine(vm).unwrap().incarnation.created.to_string();
    let (path, options) = (ended.path().join("world"), ended.setup.world.clone());
    ended.with_world(|world| {
        let weak = Arc::downgrade(&world);
        drop(world);
        let deadline = std::time::Instant::now() + LONG;
        while weak.strong_count() > 0 {
            assert!(std::time::Instant::now() < deadline, "somebody keeps the world");
            std::thread::sleep(Duration::from_millis(1));
        }
        let file = path.join("world.log");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(&created));
        std::fs::write(&file, text.replace(&created, "2001-01-01T00:00:00Z")).unwrap();
        World::open(path, options).unwrap()
    })
}

#[tokio::test]
async fn a_machine_whose_vm_is_gone_is_left_alone() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    bench.idle().await;
    let machine = bench.world.machine(vm).unwrap();
    let bench = bench
        .restart_with(|ended| {
            std::fs::remove_file(ended.path().join(format!("vms/{vm}.json"))).unwrap();
            // Nor does its wish come back from the journal.
            std::fs::remove_dir_all(ended.path().join("journal")).unwrap();
        })
        .await;
    assert!(bench.vms().is_empty());
    bench.create("web").await;
    bench.idle().await;
    assert_eq!(bench.world.machine(vm).unwrap(), machine);
}

#[tokio::test]
async fn what_was_being_done_is_taken_up_and_its_end_is_its_own() {
    for (point, verb, before, state, task_state) in [
        ("start/sim/launch/after-act", START, vec![], VmState::Running, TaskState::Done),
        ("stop/sim/quit/before-journal", STOP, vec![START], VmState::Stopped, TaskState::Done),
        ("reboot/sim/put-away/after-act", REBOOT, vec![START], VmState::Running, TaskState::Done),
        (
            "suspend/sim/save-memory/after-act",
            PowerVerb::Suspend,
            vec![START],
            VmState::Running,
            TaskState::Failed,
        ),
        (
            "suspend/set-want/before-journal",
            PowerVerb::Suspend,
            vec![START],
            VmState::Suspended,
            TaskState::Done,
        ),
    ] {
        let (bench, stop) = Bench::stopping_at(point).await;
        let vm = bench.create_of(furnished("web")).await;
        bench.powers(vm, &before).await;
        let accepted = bench.submit(Request::Power { vm, verb }).await.unwrap();
        stop.reached().await;
        let bench = bench.killed().await.begin().await;
        let task = bench.end_of(&accepted).await;
        assert_eq!((task.state, task.taken_up), (task_state, 1), "{point}: {task:?}");
        assert_eq!(bench.state(vm), state, "{point}");
        if task_state == TaskState::Failed {
            assert!(task.error.unwrap().message.contains("was undone"), "{point}");
        }
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn a_start_that_the_host_went_down_in_goes_back_and_the_vm_is_started_with_the_host() {
    let (bench, stop) = Bench::stopping_at("start/sim/plug-nic:lan/after-act").await;
    let vm = bench.create_of(furnished("web")).await;
    let accepted = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    stop.reached().await;
    let mut ended = bench.killed().await;
    ended.reboot_host();
    let bench = ended.begin().await;
    let task = bench.end_of(&accepted).await;
    assert_eq!(task.state, TaskState::Failed);
    assert!(task.error.unwrap().message.contains("host was restarted"));
    assert_eq!(bench.want(vm), Want::Running, "what was wanted stays");
    bench.until_state(vm, VmState::Running).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_task_that_was_taken_up_can_be_cancelled_like_any_other() {
    let (bench, stop) = Bench::stopping_at("start/sim/launch/before-journal").await;
    let vm = bench.create_of(furnished("web")).await;
    let accepted = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    stop.reached().await;
    let ended = bench.killed().await;
    let hung = ended
        .world
        .inject(innkeeper_sim::FaultRule::new("sim/plug-disk", innkeeper_sim::Fault::Hangs));
    let bench = ended.begin().await;
    bench.world.until_hit(hung).await;
    bench.cancel(&accepted).await.unwrap();
    let task = bench.end_of(&accepted).await;
    assert_eq!(task.state, TaskState::Cancelled);
    bench.world.take_away(hung);
    bench.is_sound().await;
    assert_eq!(bench.state(vm), VmState::Stopped);
}

#[tokio::test]
async fn wishes_that_had_not_reached_their_files_do() {
    let bench = Bench::new().await;
    let (changed, gone) = (bench.create("changed").await, bench.create("gone").await);
    bench.idle().await;
    // No file can be written.
    let (vms, away) = (bench.path().join("vms"), bench.path().join("away"));
    std::fs::rename(&vms, &away).unwrap();
    bench.powers(changed, &[START]).await;
    let new = bench.create("new").await;
    bench.must(Request::Delete { vm: gone, force: false }).await;
    assert_eq!(bench.engine.diagnose().specs.unwritten, 3);
    let ended = bench.killed().await;
    let (vms, away) = (ended.path().join("vms"), ended.path().join("away"));
    std::fs::rename(&away, &vms).unwrap();
    assert!(vms.join(format!("{gone}.json")).exists() && !vms.join(format!("{new}.json")).exists());
    let bench = ended.begin().await;
    bench.is_sound().await;
    assert_eq!((bench.state(changed), bench.want(changed)), (VmState::Running, Want::Running));
    assert_eq!(bench.state(new), VmState::Stopped);
    assert!(bench.find(gone).is_none());
    assert!(!bench.spec_file(gone).exists());
}

#[tokio::test]
async fn ended_tasks_are_shown_as_they_ended() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let mut ids = vec![bench.power(vm, START).await.id];
    let fault = bench.fails("sim/pause");
    ids.push(bench.power(vm, PowerVerb::Pause).await.id);
    bench.world.take_away(fault);
    let hung = bench.hangs("sim/pause");
    let pause = bench.submit(Request::Power { vm, verb: PowerVerb::Pause }).await.unwrap();
    bench.world.until_hit(hung).await;
    bench.cancel(&pause).await.unwrap();
    ids.push(bench.end_of(&pause).await.id);
    bench.world.take_away(hung);
    use TaskState::{Cancelled, Done, Failed};
    let mut bench = bench;
    for round in 0..3 {
        for (id, state) in ids.iter().zip([Done, Failed, Cancelled]) {
            let task = bench.engine.task(*id).await.unwrap();
            assert_eq!((task.state, task.taken_up), (state, 0), "round {round}");
            assert!(task.ended.is_some() && !task.steps.is_empty());
            let again = bench.engine.cancel(&crate::support::caller(), *id).await.unwrap_err();
            assert_eq!(again.code, Code::WrongState);
        }
        // By SIGTERM, and by SIGKILL.
        bench = if round == 1 { bench.killed().await.begin().await } else { bench.restart().await };
    }
}

#[tokio::test]
async fn a_task_that_is_not_shown_is_still_found_until_it_is_not_kept() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let first = bench.power(vm, START).await.id;
    for _ in 0..4 {
        bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume]).await;
    }
    // What is in the journal is shown in any case.
    let without_journal = |ended: &mut Ended| {
        std::fs::remove_dir_all(ended.path().join("journal")).unwrap();
        ended.setup.shown_tasks = 2;
        ended.setup.remembered = 4;
    };
    let bench = bench.restart_with(without_journal).await;
    assert_eq!(bench.snapshot().tasks.len(), 2);
    assert_eq!(bench.engine.task(first).await.unwrap().state, TaskState::Done);
    let last = bench.power(vm, PowerVerb::Pause).await.id;
    let bench = bench.restart_with(without_journal).await;
    assert_eq!(bench.engine.task(first).await, None);
    assert_eq!(bench.engine.task(last).await.unwrap().state, TaskState::Done);
}

#[tokio::test]
async fn a_task_that_waited_for_its_turn_has_ended_with_its_daemon() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let hung = bench.hangs("sim/launch");
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.world.until_hit(hung).await;
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    let bench = bench
        .restart_with(|ended| {
            ended.world.take_away_all();
        })
        .await;
    let waited = bench.engine.task(stop.task).await.expect("its end is known");
    assert_eq!(waited.state, TaskState::Failed);
    assert_eq!(waited.error.unwrap().code, Code::ShuttingDown);
    assert_eq!(bench.end_of(&start).await.state, TaskState::Done);
    bench.is_sound().await;
    assert_eq!(bench.machine(vm), MachineState::Running);
}

#[tokio::test]
async fn a_task_that_somebody_was_told_of_is_known_after_a_sigkill() {
    let mut bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.idle().await;
    for _ in 0..10 {
        bench.engine.pause_queue(&caller(), vm, true);
        let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
        bench = bench.killed().await.begin().await;
        let waited = bench.engine.task(start.task).await.expect("its end is known");
        assert_eq!(waited.state, TaskState::Failed);
        assert_eq!(waited.error.unwrap().code, Code::ShuttingDown);
    }
    bench.is_sound().await;
}

/// The history may be lost without losing a VM.
#[tokio::test]
async fn a_history_that_is_damaged_is_begun_anew() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let spoil = |ended: &mut Ended| {
        std::fs::write(ended.path().join("tasks.redb"), "not a database").unwrap();
        std::fs::remove_dir_all(ended.path().join("journal")).unwrap();
    };
    let bench = bench.restart_with(spoil).await;
    assert!(bench.snapshot().tasks.is_empty());
    assert_eq!(bench.state(vm), VmState::Running);
    let task = bench.power(vm, STOP).await.id;
    let bench = bench.restart().await;
    assert_eq!(bench.engine.task(task).await.unwrap().state, TaskState::Done);
    bench.is_sound().await;
}
