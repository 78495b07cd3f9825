//! Operations that stopped halfway, at a step that this version does not know: a person says how they
//! go on.

use crate::support::{Bench, LONG, START, STOP, caller, furnished};
use innkeeper_engine::{Accepted, PowerVerb, Request, Resolution};
use innkeeper_model::{Code, MachineState, Task, TaskState, VmId, VmState, task::StepState};
use innkeeper_store::journal::Found;
use std::path::Path;

/// Another version's record: it has a step of a name that this one does not know.
pub(crate) fn polished(_: &Path, records: Vec<Found>) -> Vec<Found> {
    let polished = |mut found: Found| {
        let text = String::from_utf8(found.bytes).unwrap();
        let text = text
            .replace(r#""name":"reserve","schema":1"#, r#""name":"polish","schema":1"#)
            .replace(r#""name":"release","schema":1"#, r#""name":"unpolish","schema":1"#);
        found.bytes = text.into();
        found
    };
    records.into_iter().map(polished).collect()
}

/// A daemon that finds an operation of a version with a polishing step.
struct Halfway {
    bench: Bench,
    vm: VmId,
    other: VmId,
    accepted: Accepted,
}

impl Halfway {
    async fn of(point: &str, before: &[PowerVerb], verb: PowerVerb) -> Self {
        let (bench, stop) = Bench::stopping_at(point).await;
        let other = bench.create("other").await;
        let vm = bench.create_of(furnished("web")).await;
        bench.powers(vm, before).await;
        let accepted = bench.submit(Request::Power { vm, verb }).await.unwrap();
        stop.reached().await;
        let mut ended = bench.killed().await;
        ended.setup.reread = Some(polished);
        ended.world.watch_calls();
        let bench = ended.begin().await;
        Self { bench, vm, other, accepted }
    }

    async fn start() -> Self {
        Self::of("start/sim/launch/after-act", &[], START).await
    }

    async fn is_interrupted(&self) -> Task {
        self.bench.until_state(self.vm, VmState::Interrupted).await;
        let task = self.bench.engine.task(self.accepted.task).await.unwrap();
        assert_eq!(task.state, TaskState::Interrupted);
        assert_eq!(self.bench.vm(self.vm).interrupted, Some(task.id));
        task
    }

    async fn resolve(&self, resolution: Resolution) -> Task {
        let vm = self.bench.engine.resolve(&caller(), self.accepted.task, resolution).unwrap();
        assert_eq!(vm, Some(self.vm));
        // Whoever waits from here on waits for what comes of it.
        self.bench.engine.wait(self.accepted.task, LONG).await.unwrap()
    }
}

#[tokio::test]
async fn nothing_is_done_to_its_vm_and_others_are_served() {
    let halfway = Halfway::start().await;
    let task = halfway.is_interrupted().await;
    let Halfway { bench, vm, other, accepted } = halfway;
    let error = task.error.unwrap();
    assert_eq!(error.code, Code::Interrupted);
    assert!(error.message.contains("polish") && error.hint.unwrap().contains("inn task undo"));
    assert!(!task.cancellable);
    let calls = bench.world.calls();
    assert!(calls.iter().all(|call| call.vm != vm), "{calls:?}");
    assert_eq!(bench.machine(vm), MachineState::Created);
    for request in [
        Request::Power { vm, verb: START },
        Request::Power { vm, verb: STOP },
        Request::Power { vm, verb: PowerVerb::Resume },
        Request::Delete { vm, force: true },
        Request::Clone { vm, name: "copy".parse().unwrap() },
    ] {
        let text = format!("{request:?}");
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::WrongState, "{text}");
        assert!(refused.hint.unwrap().contains("inn task"), "{text}");
    }
    assert_eq!(bench.cancel(&accepted).await.unwrap_err().code, Code::WrongState);
    bench.powers(other, &[START, STOP]).await;
    bench.engine.reconcile(&caller(), vm);
    // It stays so, whoever restarts.
    let bench = bench.restart().await;
    bench.until_state(vm, VmState::Interrupted).await;
    assert_eq!(bench.machine(vm), MachineState::Created);
    let diagnosis = bench.engine.diagnose();
    assert!(diagnosis.tasks.iter().any(|live| live.state == "interrupted"), "{diagnosis:?}");
}

#[tokio::test]
async fn a_guest_that_runs_goes_on_running() {
    let halfway = Halfway::of("stop/note-want/before-journal", &[START], STOP).await;
    halfway.is_interrupted().await;
    assert_eq!(halfway.bench.machine(halfway.vm), MachineState::Running);
    let task = halfway.resolve(Resolution::Undo).await;
    assert_eq!(task.state, TaskState::Failed);
    assert_eq!(halfway.bench.state(halfway.vm), VmState::Running);
    halfway.bench.is_sound().await;
    halfway.bench.powers(halfway.vm, &[STOP, START]).await;
    halfway.bench.is_sound().await;
}

#[tokio::test]
async fn undone_it_goes_back_as_far_as_is_known() {
    let halfway = Halfway::start().await;
    halfway.is_interrupted().await;
    let task = halfway.resolve(Resolution::Undo).await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert!(task.warnings.iter().any(|warning| warning.contains("polish")), "{task:?}");
    assert!(task.log.iter().any(|line| line.text.contains("undone by test")), "{:?}", task.log);
    let launch = task.steps.iter().find(|step| step.name == "sim/launch").unwrap();
    assert_eq!(launch.state, StepState::Undone);
    let polish = task.steps.iter().find(|step| step.name == "reserve").unwrap();
    assert_eq!(polish.state, StepState::Done, "nobody here could undo it");
    let Halfway { bench, vm, accepted, .. } = halfway;
    assert_eq!(bench.state(vm), VmState::Stopped);
    bench.is_sound().await;
    let again = bench.engine.resolve(&caller(), accepted.task, Resolution::Undo).unwrap_err();
    assert_eq!(again.code, Code::WrongState);
    // It has ended, for the next daemon too.
    let bench = bench.restart().await;
    assert_eq!(bench.state(vm), VmState::Stopped);
    assert_eq!(bench.engine.task(accepted.task).await.unwrap().state, TaskState::Failed);
    bench.powers(vm, &[START, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn resumed_by_a_version_that_does_not_know_the_step_it_stays_interrupted() {
    let halfway = Halfway::start().await;
    halfway.is_interrupted().await;
    for _ in 0..2 {
        let task = halfway.resolve(Resolution::Resume).await;
        assert_eq!(task.state, TaskState::Interrupted);
        halfway.is_interrupted().await;
    }
    assert_eq!(halfway.bench.machine(halfway.vm), MachineState::Created);
    let task = halfway.resolve(Resolution::Undo).await;
    assert_eq!(task.state, TaskState::Failed);
    halfway.bench.is_sound().await;
}

#[tokio::test]
async fn a_version_that_knows_the_step_goes_on_by_itself() {
    let halfway = Halfway::start().await;
    halfway.is_interrupted().await;
    let Halfway { bench, vm, accepted, .. } = halfway;
    let machine = bench.world.machine(vm).unwrap().incarnation.id;
    let bench = bench.restart_with(|ended| ended.setup.reread = None).await;
    let task = bench.end_of(&accepted).await;
    assert_eq!(task.state, TaskState::Done, "{task:?}");
    assert_eq!(bench.world.machine(vm).unwrap().incarnation.id, machine);
    assert_eq!((bench.state(vm), bench.vm(vm).interrupted), (VmState::Running, None));
    bench.is_sound().await;
}

#[tokio::test]
async fn it_can_be_killed_and_then_undone() {
    let halfway = Halfway::start().await;
    halfway.is_interrupted().await;
    halfway.bench.powers(halfway.vm, &[PowerVerb::Kill]).await;
    assert_eq!(halfway.bench.machine(halfway.vm), MachineState::Absent);
    halfway.is_interrupted().await;
    let task = halfway.resolve(Resolution::Undo).await;
    assert_eq!(task.state, TaskState::Failed);
    let Halfway { bench, vm, .. } = halfway;
    assert_eq!(bench.state(vm), VmState::Stopped);
    bench.is_sound().await;
    bench.powers(vm, &[START, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn what_is_not_interrupted_is_not_resolved() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let task = bench.power(vm, START).await;
    let refused = bench.engine.resolve(&caller(), task.id, Resolution::Resume).unwrap_err();
    assert_eq!(refused.code, Code::WrongState);
    assert!(refused.message.contains("done"));
    let unknown = innkeeper_model::TaskId::new();
    let refused = bench.engine.resolve(&caller(), unknown, Resolution::Undo).unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
}
