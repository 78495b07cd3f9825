//! What is known of a VM and nobody can be asked for: it outlives the daemon, and what a host's boot ends
//! ends with that.

use crate::{
    held::Stop,
    support::{Bench, Ended, LONG, REBOOT, START, STOP, Setup, furnished},
};
use innkeeper_engine::{AtEnd, PowerVerb, Request};
use innkeeper_model::{EndReason, Task, TaskState, Vm, VmId, VmState, Want, network::NetworkFacts};
use innkeeper_sim::Happening;
use serde_json::json;
use std::cell::Cell;
use tokio::sync::mpsc;

/// The VMs as readers see them, but for their revisions.
fn seen(bench: &Bench) -> Vec<String> {
    let plain = |mut vm: Vm| {
        vm.revision = Default::default();
        // The files are copies after a bench's kill, and less sparse.
        vm.disks.iter_mut().for_each(|disk| disk.allocated = Default::default());
        serde_json::to_string(&vm).unwrap()
    };
    bench.vms().into_iter().map(plain).collect()
}

fn is_as(bench: &Bench, before: &[String], when: &str) {
    for (after, before) in seen(bench).iter().zip(before) {
        assert_eq!(after, before, "{when}");
    }
}

/// A VM that crashed soon after its start, and was left off for that.
async fn crashed(bench: &Bench, name: &str) -> VmId {
    let vm = bench.started(name).await;
    bench.world.guest(vm, Happening::Panics);
    bench.until("left", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    bench.is_sound().await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Running));
    vm
}

/// One of each kind.
async fn all_kinds(bench: &Bench) {
    bench.create_of(furnished("never-started")).await;
    let busy = bench.create_of(furnished("busy")).await;
    bench.powers(busy, &[START, PowerVerb::Reset, PowerVerb::Reset]).await;
    let paused = bench.create_of(furnished("paused")).await;
    bench.powers(paused, &[START, PowerVerb::Pause]).await;
    let kept = bench.create_of(furnished("kept")).await;
    bench.powers(kept, &[START, PowerVerb::Suspend]).await;
    let killed = bench.started("killed").await;
    bench.powers(killed, &[PowerVerb::Kill]).await;
    let preserved = json!({ "name": "preserved", "on": { "crash": "preserve" } });
    let preserved = bench.create_of(preserved).await;
    bench.powers(preserved, &[START]).await;
    bench.world.guest(preserved, Happening::Panics);
    bench.until("preserved", |snapshot| snapshot.vms[&preserved].dumped.is_some()).await;
    crashed(bench, "crashed").await;
}

/// And who is called at the end of a task is called with that, whether it is to come or was.
#[tokio::test]
async fn whoever_sees_a_machine_put_away_sees_why_it_is_not_started_again() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    bench.world.guest(vm, Happening::Panics);
    let seen = Cell::new(None);
    bench
        .until("put away", |snapshot| {
            let is_it = |task: &Task| task.operation == "put-away" && task.state.is_final();
            let ended = snapshot.tasks.values().find(|task| is_it(task)).map(|task| task.id);
            seen.set(ended.map(|task| (task, snapshot.vms[&vm].problem.is_some())));
            ended.is_some()
        })
        .await;
    let (task, has_reason) = seen.take().unwrap();
    assert!(has_reason);
    let (tell, mut told) = mpsc::unbounded_channel();
    let call = |tell: mpsc::UnboundedSender<_>| -> AtEnd {
        Box::new(move |task: &Task| tell.send((task.id, task.state)).unwrap())
    };
    bench.engine.at_end(task, call(tell.clone()));
    assert_eq!(told.recv().await, Some((task, TaskState::Done)));
    let accepted = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.engine.at_end(accepted.task, call(tell));
    assert_eq!(told.recv().await, Some((accepted.task, TaskState::Done)));
    assert_eq!(told.recv().await, None, "one is called twice");
}

#[tokio::test]
async fn what_readers_see_first_is_what_they_saw_last() {
    let bench = Bench::new().await;
    all_kinds(&bench).await;
    bench.is_sound().await;
    let before = seen(&bench);
    assert_eq!(before.len(), 7);
    assert!(before.iter().all(|vm| vm.contains("\"since\"") || vm.contains("never-started")));
    assert!(
        before[0].contains("\"disks\":[{"),
        "they are looked at when they are made: {}",
        before[0]
    );
    let mut bench = bench;
    for round in 0..3 {
        let ended = if round == 1 { bench.killed().await } else { bench.end().await };
        bench = ended.open_only(None).await;
        tokio::spawn({
            let engine = bench.engine.clone();
            async move { engine.recover().await }
        });
        bench.engine.recovered().await.unwrap();
        is_as(&bench, &before, &format!("round {round}"));
        bench.is_sound().await;
        is_as(&bench, &before, &format!("round {round}, a while after"));
    }
}

/// However soon after it the daemon dies.
#[tokio::test]
async fn who_was_told_of_an_end_finds_the_vm_as_it_was_then() {
    let mut bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let (suspend, resume) = (PowerVerb::Suspend, PowerVerb::Resume);
    let (pause, reset, kill) = (PowerVerb::Pause, PowerVerb::Reset, PowerVerb::Kill);
    for verb in [START, reset, pause, resume, suspend, resume, STOP, START, kill] {
        bench.powers(vm, &[verb]).await;
        let before = bench.vm(vm).facts;
        assert!(before.since.is_some());
        bench = bench.killed().await.begin().await;
        assert_eq!(bench.vm(vm).facts, before, "{verb:?}");
    }
    bench.is_sound().await;
}

#[tokio::test]
async fn until_it_is_known_what_runs_nobody_is_told_that_it_does_not() {
    let bench = Bench::new().await;
    let (on, off) = (bench.started("on").await, bench.create("off").await);
    let bench = bench.end().await.open_only(None).await;
    assert_eq!((bench.state(on), bench.state(off)), (VmState::Unresponsive, VmState::Stopped));
    bench.engine.recover().await;
    assert_eq!(bench.state(on), VmState::Running);
    let ended = bench.end().await;
    // Somebody took it away, and its record with it.
    ended.world.reboot_host();
    let bench = ended.begin().await;
    assert_eq!(bench.state(on), VmState::Stopped);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_was_left_off_is_left_off_until_the_host_is_booted() {
    let bench = Bench::new().await;
    let vm = crashed(&bench, "web").await;
    let why = bench.vm(vm).problem;
    let mut bench = bench;
    for kill in [false, true, false] {
        let ended = if kill { bench.killed().await } else { bench.end().await };
        bench = ended.begin().await;
        bench.is_sound().await;
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Running));
        assert_eq!(bench.vm(vm).problem, why);
        assert_eq!(bench.tasks("start").len(), 1);
    }
    let bench = bench.restart_with(Ended::reboot_host).await;
    assert_eq!((bench.state(vm), bench.vm(vm).problem), (VmState::Running, None));
    bench.is_sound().await;
}

/// Nobody saw its end, and it is not taken for one that never ran.
#[tokio::test]
async fn what_ran_when_the_host_went_down_has_ended_with_it() {
    let bench = Bench::new().await;
    let never = bench.create("never").await;
    let ran = json!({ "name": "ran", "autostart": "never", "on": { "crash": "restart" } });
    let ran = bench.create_of(ran).await;
    bench.powers(ran, &[START]).await;
    let killed = bench.create("killed").await;
    bench.powers(killed, &[START, PowerVerb::Kill]).await;
    bench.is_sound().await;
    let mut bench = bench.restart_with(Ended::reboot_host).await;
    for round in 0..2 {
        bench.is_sound().await;
        let facts = [never, ran, killed].map(|vm| bench.vm(vm).facts);
        let ends = facts.each_ref().map(|facts| facts.last_end.clone());
        let died = EndReason::HypervisorDied { status: None };
        assert_eq!(ends, [None, Some(died), Some(EndReason::Killed)], "round {round}");
        assert!(facts[1].since.is_some(), "it was seen to be off");
        // How it ended is no crash of its guest's.
        assert_eq!((bench.state(ran), bench.tasks("start").len()), (VmState::Stopped, 2));
        bench = bench.restart().await;
    }
}

/// One that should be started with the host, and whose daemon died before it was.
#[tokio::test]
async fn a_start_with_the_host_that_a_daemon_did_not_come_to_is_made_up_for() {
    let bench = Bench::new().await;
    let (first, second) = (bench.started("first").await, bench.started("second").await);
    let mut ended = bench.end().await;
    ended.reboot_host();
    let stop = Stop::at("start/sim/launch/before-journal");
    ended.setup.autostart_parallel = 1;
    let bench = ended.open_only(Some(stop.clone())).await;
    let waking = bench.engine.clone();
    tokio::spawn(async move { waking.recover().await });
    stop.reached().await;
    let bench = bench.killed().await.begin().await;
    for vm in [first, second] {
        bench.until_state(vm, VmState::Running).await;
    }
    bench.is_sound().await;
}

#[tokio::test]
async fn tasks_are_the_same_before_and_after() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.powers(vm, &[START]).await;
    let fault = bench.fails("sim/pause");
    assert_eq!(bench.power(vm, PowerVerb::Pause).await.state, TaskState::Failed);
    bench.world.take_away(fault);
    bench.powers(vm, &[REBOOT, STOP]).await;
    bench.is_sound().await;
    let tasks = |bench: &Bench| -> Vec<String> {
        let plain = |task: &Task| {
            // Where it can be read is a place in the view, which ends with the daemon.
            let task = Task { revision: Default::default(), settled_at: None, ..task.clone() };
            serde_json::to_string(&task).unwrap()
        };
        bench.snapshot().tasks.values().map(|task| plain(task)).collect()
    };
    let before = tasks(&bench);
    assert_eq!(before.len(), 5);
    let mut bench = bench;
    for kill in [true, false, true] {
        bench = if kill { bench.killed().await.begin().await } else { bench.restart().await };
        assert_eq!(tasks(&bench), before);
    }
}

/// Whoever waits for it by its id is not told that it cannot be seen yet.
#[tokio::test]
async fn a_task_of_before_has_settled_where_it_is_shown_and_where_it_is_only_remembered() {
    for shown_tasks in [100, 0] {
        let bench = Bench::with(Setup { shown_tasks, ..Setup::default() }).await;
        let vm = bench.create("web").await;
        let task = bench.power(vm, START).await.id;
        let segments = std::fs::read_dir(bench.path().join("journal")).unwrap();
        let oldest = segments.map(|entry| entry.unwrap().path()).min().unwrap();
        // Places in this view are far beyond the beginning of the next.
        for _ in 0..20 {
            bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume]).await;
        }
        // What is still in the journal is shown, however little is.
        let remembered = async {
            while shown_tasks == 0 && oldest.exists() {
                bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume]).await;
            }
        };
        tokio::time::timeout(LONG, remembered).await.expect("old segments go");
        let bench = bench.restart().await;
        assert_eq!(bench.snapshot().tasks.contains_key(&task), shown_tasks > 0);
        for found in [bench.engine.task(task).await, bench.engine.wait(task, LONG).await] {
            let found = found.unwrap();
            assert_eq!(found.state, TaskState::Done);
            assert!(found.settled_at.unwrap() <= bench.snapshot().revision, "{found:?}");
        }
    }
}

/// What is shown to be done is on record: should the daemon end now, it is taken up.
#[tokio::test]
async fn a_task_that_is_shown_running_is_taken_up() {
    for _ in 0..10 {
        let bench = Bench::new().await;
        let vm = bench.create("web").await;
        let hung = bench.hangs("sim/launch");
        let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
        let is_running = |task: &Task| task.state == TaskState::Running;
        bench
            .until("running", |all| all.tasks.get(&start.task).is_some_and(|task| is_running(task)))
            .await;
        let ended = bench.killed().await;
        ended.world.take_away(hung);
        let bench = ended.begin().await;
        let task = bench.end_of(&start).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Done, 1), "{task:?}");
        bench.is_sound().await;
    }
}

/// However much is written behind it.
#[tokio::test]
async fn a_note_stays_while_the_journal_goes_on() {
    let bench = Bench::with(Setup { segment_size: 8 << 10, ..Setup::default() }).await;
    let left = crashed(&bench, "left").await;
    let busy = bench.started("busy").await;
    for _ in 0..30 {
        bench.powers(busy, &[PowerVerb::Pause, PowerVerb::Resume]).await;
    }
    bench.is_sound().await;
    assert!(bench.engine.diagnose().journal.records > 200);
    let before = seen(&bench);
    let bench = bench.killed().await.begin().await;
    bench.is_sound().await;
    is_as(&bench, &before, "after a kill");
    assert_eq!(bench.state(left), VmState::Stopped);
}

#[tokio::test]
async fn disks_that_a_daemon_had_no_time_to_note_are_seen_first() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.idle().await;
    // What they take of the disk is another's in a copy.
    let seen = |bench: &Bench| {
        let disks = bench.vm(vm).disks.into_iter();
        disks.map(|disk| (disk.name, disk.virtual_size)).collect::<Vec<_>>()
    };
    let disks = seen(&bench);
    assert_eq!(disks.len(), 2);
    let mut ended = bench.killed().await;
    ended.setup.reread = Some(|_, records| {
        let is_note = |bytes: &[u8]| bytes.starts_with(br#"{"entry":"noted""#);
        records.into_iter().filter(|found| !is_note(&found.bytes)).collect()
    });
    // Before anybody has surveyed anything.
    let bench = ended.open_only(None).await;
    assert_eq!(seen(&bench), disks);
}

#[tokio::test]
async fn addresses_are_seen_from_the_first_answer_on() {
    let bench = Bench::new().await;
    bench.lan().await;
    let nics = json!([{ "name": "lan", "network": "lan" }]);
    let vm = bench.create_of(json!({ "name": "web", "nics": nics })).await;
    bench.powers(vm, &[START]).await;
    bench.until("told", |snapshot| !snapshot.vms[&vm].addresses.is_empty()).await;
    bench.idle().await;
    let (before, networks) = (seen(&bench), facts_of_networks(&bench));
    let bench = bench.killed().await.begin().await;
    is_as(&bench, &before, "after a SIGKILL");
    assert_eq!(facts_of_networks(&bench), networks);
}

fn facts_of_networks(bench: &Bench) -> Vec<NetworkFacts> {
    bench.snapshot().networks.values().map(|network| network.facts.clone()).collect()
}
