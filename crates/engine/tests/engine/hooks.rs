//! Operators' executables at the turning points, and what their refusal undoes.

use crate::support::{Bench, START, STOP};
use innkeeper_engine::{Point, PowerVerb, Request, Witness};
use innkeeper_model::{Code, Refusal, Task, TaskState, VmState, Want, task::StepState};
use innkeeper_sim::Happening;
use std::{
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Puts a hook in its folder.
pub(crate) fn hook(bench: &Bench, event: &str, script: &str) {
    let folder = bench.path().join("hooks").join(event);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("10-test");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn one_that_refuses_aborts_with_what_it_said() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    hook(&bench, "pre-start", "echo the rack is on fire\nexit 3");
    let task = bench.power(vm, START).await;
    let refused = task.error.unwrap();
    assert_eq!((task.state, refused.code), (TaskState::Failed, Code::HookFailed));
    assert!(refused.causes.iter().any(|line| line.contains("on fire")), "{refused:?}");
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
    hook(&bench, "pre-start", "exit 0");
    bench.powers(vm, &[START]).await;
    for (event, verb) in [("pre-stop", STOP), ("pre-suspend", PowerVerb::Suspend)] {
        hook(&bench, event, "exit 2");
        assert_eq!(bench.power(vm, verb).await.error.unwrap().code, Code::HookFailed);
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn one_that_refuses_after_the_start_has_it_undone() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    hook(&bench, "post-start", "exit 2");
    assert_eq!(bench.power(vm, START).await.error.unwrap().code, Code::HookFailed);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
}

#[tokio::test]
async fn one_that_complains_is_heard_and_it_goes_on() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    hook(&bench, "pre-start", "echo no name server\nexit 1");
    let task = bench.power(vm, START).await;
    assert_eq!(task.state, TaskState::Done);
    assert!(task.log.iter().any(|line| line.text.contains("no name server")), "{:?}", task.log);
    // Where there is no way back, a refusal is a warning.
    hook(&bench, "post-stop", "echo too late\nexit 4");
    let task = bench.power(vm, STOP).await;
    assert_eq!(task.state, TaskState::Done);
    assert!(
        !task.warnings.is_empty() && task.log.iter().any(|line| line.text.contains("too late"))
    );
    bench.is_sound().await;
}

#[tokio::test]
async fn it_reads_the_vm_and_why_it_runs() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let told = bench.path().join("told");
    for event in [
        "pre-start",
        "post-start",
        "pre-stop",
        "post-stop",
        "pre-suspend",
        "post-resume",
        "on-crash",
    ] {
        hook(&bench, event, &format!("cat >> {}", told.display()));
    }
    bench.powers(vm, &[START, PowerVerb::Suspend, PowerVerb::Resume, STOP, START]).await;
    bench.powers(vm, &[PowerVerb::Kill, START]).await;
    bench.world.guest(vm, Happening::PowersOff);
    bench.until_state(vm, VmState::Stopped).await;
    bench.powers(vm, &[START]).await;
    bench.world.guest(vm, Happening::Panics);
    bench.until("left", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    bench.is_sound().await;
    let text = std::fs::read_to_string(&told).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let told: Vec<String> = lines
        .inspect(|line| {
            assert_eq!((&line["id"], &line["name"]), (&vm.to_string().into(), &"web".into()))
        })
        .map(|line| {
            format!(
                "{} {} {}",
                word(&line["event"]),
                word(&line["reason"]),
                word(&line["operation"])
            )
        })
        .collect();
    let start = ["pre-start start start", "post-start start start"];
    let expected = [
        &start[..],
        &["pre-suspend suspend suspend", "post-resume resume resume"],
        &["pre-stop stop stop", "post-stop stop stop"],
        &start,
        &["post-stop kill kill"],
        &start,
        &["post-stop ended put-away"],
        &start,
        &["on-crash crash put-away", "post-stop ended put-away"],
    ];
    assert_eq!(told, expected.concat());
}

#[tokio::test]
async fn a_cancel_reaches_it() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let ready = bench.path().join("ready");
    hook(&bench, "pre-start", &format!("touch {}\nexec sleep 1000", ready.display()));
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.until_so("running", || ready.exists()).await;
    let asked = Instant::now();
    bench.cancel(&start).await.unwrap();
    assert_eq!(bench.end_of(&start).await.state, TaskState::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(2));
    bench.is_sound().await;
}

/// Nobody can know how far it was, so it is not run again.
#[tokio::test]
async fn one_that_a_daemon_ended_in_is_not_run_again() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let runs = bench.path().join("runs");
    hook(&bench, "pre-start", &format!("echo once >> {}\nexec sleep 1000", runs.display()));
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    // The file is there a moment before what is written to it.
    bench.until_so("running", || std::fs::read(&runs).is_ok_and(|text| !text.is_empty())).await;
    let bench = bench.restart().await;
    let task = bench.end_of(&start).await;
    let of_hook = |task: &Task| state_of(task, "hook:pre-start");
    assert_eq!(of_hook(&task), StepState::Unknown, "nor whether it was undone");
    assert_eq!(task.error.unwrap().code, Code::OutcomeUnknown);
    assert_eq!(std::fs::read_to_string(&runs).unwrap(), "once\n");
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
    let bench = bench.restart().await;
    assert_eq!(of_hook(&bench.engine.task(start.task).await.unwrap()), StepState::Unknown);
}

/// What became of a step.
fn state_of(task: &Task, name: &str) -> StepState {
    task.steps.iter().find(|step| step.name == name).unwrap().state
}

/// Daemon after daemon ends while it is undone.
#[tokio::test]
async fn that_nobody_knows_is_not_forgotten_on_the_way_back() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let ready = bench.path().join("ready");
    hook(&bench, "post-start", &format!("touch {}\nexec sleep 1000", ready.display()));
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.until_so("running", || ready.exists()).await;
    let mut ended = bench.end().await;
    for _ in 0..2 {
        let stuck = Arc::new(StuckUndo::of("start/reserve"));
        let bench = ended.open_only(Some(stuck.clone())).await;
        let waking = bench.engine.clone();
        tokio::spawn(async move { waking.recover().await });
        stuck.reached().await;
        ended = bench.killed().await;
    }
    let bench = ended.begin().await;
    let task = bench.end_of(&start).await;
    assert_eq!(state_of(&task, "hook:post-start"), StepState::Unknown, "{task:?}");
    assert!(task.warnings.iter().any(|text| text.contains("nothing tells")), "{task:?}");
    assert_eq!(state_of(&task, "sim/launch"), StepState::Undone);
    bench.is_sound().await;
}

/// A witness who never lets a step be undone.
struct StuckUndo {
    at: &'static str,
    reached: tokio::sync::Semaphore,
}

impl StuckUndo {
    fn of(at: &'static str) -> Self {
        Self { at, reached: tokio::sync::Semaphore::new(0) }
    }

    async fn reached(&self) {
        let reached = tokio::time::timeout(crate::support::LONG, self.reached.acquire()).await;
        drop(reached.expect("it is undone").unwrap());
    }
}

#[async_trait::async_trait]
impl Witness for StuckUndo {
    async fn passes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }

    async fn undoes(&self, point: &Point) -> Result<(), Refusal> {
        if point.to_string().starts_with(self.at) {
            self.reached.add_permits(1);
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
