//! The engine with a hypervisor made of a map: what is promised, undone, overtaken and refused.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use async_trait::async_trait;
use innkeeper_driver::{
    ByteStream, Crash, Driver, Flow, Found, Observer, Operation, PlanContext, Probed, Step,
    StepContext, StepError,
};
use innkeeper_engine::{
    Accepted, Caller, Capacity, Engine, EngineOptions, Noticed, PowerVerb, Remembered, Request,
};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{
    Assigned, ByteSize, Code, EndReason, Facts, Host, Incarnation, MachineState, Mebibytes,
    Refusal, Revision, Task, TaskState, VmConfig, VmId, VmState, Want,
    config::Disk,
    host::{Hypervisor, Safeguard},
    task::StepState,
};
use innkeeper_storage::{Storage, StorageOptions};
use innkeeper_store::{
    SpecStore, TaskHistory,
    journal::{Journal, JournalOptions},
};
use innkeeper_view::{Update, View, ViewOptions};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Notify;

const LONG: Duration = Duration::from_secs(30);

/// A hypervisor made of a map. A step that is told to fail fails; one that is told to hang hangs
/// until it is cancelled.
#[derive(Default)]
struct Paper {
    noticed: Mutex<Option<Noticed>>,
    machines: Mutex<HashMap<VmId, MachineState>>,
    fails: Mutex<Option<&'static str>>,
    hangs: Mutex<Option<&'static str>>,
    hanging: Notify,
    performed: Mutex<Vec<String>>,
    found: Mutex<Vec<Found>>,
}

impl Paper {
    fn set(&self, vm: VmId, machine: MachineState) {
        self.tell(vm, Facts { machine, ..Facts::default() });
    }

    fn tell(&self, vm: VmId, facts: Facts) {
        self.machines.lock().unwrap().insert(vm, facts.machine);
        self.noticed.lock().unwrap().as_ref().unwrap().facts(vm, facts);
    }

    fn incarnation(&self, vm: VmId, incarnation: Option<Arc<Incarnation>>) {
        self.noticed.lock().unwrap().as_ref().unwrap().incarnation(vm, incarnation);
    }

    fn machine(&self, vm: VmId) -> MachineState {
        self.machines.lock().unwrap().get(&vm).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Driver for Paper {
    fn name(&self) -> &'static str {
        "paper"
    }

    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        Ok(Arc::new(Hypervisor::default()))
    }

    fn safeguards(&self) -> Vec<Safeguard> {
        Vec::new()
    }

    fn assign(
        &self,
        _: &VmConfig,
        before: Option<&Assigned>,
        _: &Hypervisor,
    ) -> Result<Assigned, Refusal> {
        Ok(before.cloned().unwrap_or_default())
    }

    fn plan(
        &self,
        operation: &Operation,
        context: &PlanContext<'_>,
    ) -> Result<Vec<Flow<Step>>, Refusal> {
        let names: &[&str] = match operation {
            Operation::Start => &["paper/make", "paper/run"],
            Operation::Stop { .. } => &["paper/ask", "paper/end"],
            Operation::Kill | Operation::PutAway => &["paper/end"],
            Operation::Reset => &["paper/reset"],
            Operation::Pause => &["paper/hold"],
            Operation::Resume => &["paper/run"],
            _ => return Err(Refusal::new(Code::Unsupported, "paper cannot do this")),
        };
        let incarnation = serde_json::json!({ "revision": context.spec.revision });
        let step = |name: &&str| Flow::Step(Step::new(name, 1, Crash::Repeat, &incarnation));
        Ok(names.iter().map(step).collect())
    }

    async fn probe(&self, _: VmId, _: &Step) -> Result<Probed, StepError> {
        Ok(Probed::DidNot)
    }

    async fn perform(&self, vm: VmId, step: &Step, context: &StepContext) -> Result<(), StepError> {
        self.performed.lock().unwrap().push(step.name.clone());
        if self.hangs.lock().unwrap().is_some_and(|name| name == step.name) {
            self.hanging.notify_one();
            context.cancelled.cancelled().await;
            return Err(StepError::Cancelled);
        }
        if self.fails.lock().unwrap().is_some_and(|name| name == step.name) {
            return Err(Refusal::new(Code::HypervisorFailed, "as it was told to").into());
        }
        match step.name.as_str() {
            "paper/make" => self.set(vm, MachineState::Created),
            "paper/run" => self.set(vm, MachineState::Running),
            "paper/hold" => self.set(vm, MachineState::Paused),
            "paper/end" => {
                self.set(vm, MachineState::Absent);
                self.incarnation(vm, None);
            }
            _ => {}
        }
        Ok(())
    }

    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError> {
        if step.name == "paper/make" {
            self.set(vm, MachineState::Absent);
        }
        Ok(())
    }

    async fn recover(&self) -> Vec<Found> {
        self.found.lock().unwrap().drain(..).collect()
    }

    async fn open_console(&self, _: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Err(Refusal::new(Code::Unsupported, "paper has no console"))
    }

    async fn serial_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        Ok(Vec::new())
    }

    async fn hypervisor_log(&self, _: VmId) -> Result<Vec<u8>, Refusal> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: VmId) -> Result<(), Refusal> {
        Ok(())
    }
}

struct Bench {
    folder: TempDir,
    paper: Arc<Paper>,
    engine: Engine,
}

impl Bench {
    async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    async fn open(folder: TempDir) -> Self {
        Self::open_with(folder, |_| Vec::new()).await
    }

    async fn open_with(folder: TempDir, found: impl FnOnce(&Self) -> Vec<Found>) -> Self {
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let noticed = Noticed::new(view.clone());
        let paper = Arc::new(Paper::default());
        *paper.noticed.lock().unwrap() = Some(noticed.clone());
        let host = Host { cpus: 8, memory: Mebibytes(4096), ..Host::default() };
        view.barrier(vec![Update::Host(host)]).await.unwrap();
        let storage = Storage::open(StorageOptions::new(folder.path().join("pool"))).unwrap();
        let engine = Engine::open(EngineOptions {
            view,
            driver: paper.clone(),
            noticed,
            specs: SpecStore::open(folder.path().join("vms")).unwrap(),
            storage: Arc::new(storage),
            journal: Journal::open(JournalOptions {
                segment_size: 64 << 10,
                ..JournalOptions::new(folder.path().join("journal"))
            })
            .unwrap(),
            history: TaskHistory::open(&folder.path().join("tasks.redb")).unwrap().history,
            remembered: Remembered { count: 1000, age: LONG },
            shown_tasks: 100,
            capacity: Capacity::default(),
            hooks: Hooks::new(folder.path().join("hooks"), LONG, OwnerRule::of_this_process()),
            boot_id: "boot-1".into(),
            uids: None,
            autostart_parallel: 2,
            witness: None,
        })
        .await
        .unwrap();
        let bench = Self { folder, paper, engine };
        *bench.paper.found.lock().unwrap() = found(&bench);
        bench.engine.recover().await;
        bench
    }

    /// As after the host was restarted: the same files, and nothing else.
    async fn reopen(self) -> Self {
        self.reopen_with(|_| Vec::new()).await
    }

    /// As after the daemon was: the same files, and the machines that are found.
    async fn reopen_with(self, found: impl FnOnce(&Self) -> Vec<Found>) -> Self {
        let Self { folder, engine, .. } = self;
        engine.stop().await;
        Self::open_with(folder, found).await
    }

    async fn submit(&self, request: Request) -> Result<Accepted, Refusal> {
        let caller = Caller { name: "test".into(), request_id: None };
        self.engine.submit(&caller, request).await
    }

    async fn end_of(&self, accepted: &Accepted) -> Task {
        let task = self.engine.wait(accepted.task, LONG).await.unwrap();
        assert!(task.state.is_final(), "{task:?}");
        task
    }

    async fn run(&self, request: Request) -> Task {
        let accepted = self.submit(request).await.unwrap();
        self.end_of(&accepted).await
    }

    async fn power(&self, vm: VmId, verb: PowerVerb) -> Task {
        self.run(Request::Power { vm, verb }).await
    }

    async fn create(&self, name: &str) -> VmId {
        let accepted = self.submit(create(config(name))).await.unwrap();
        let task = self.end_of(&accepted).await;
        assert_eq!(task.state, TaskState::Done, "{:?}", task.error);
        accepted.vm.unwrap()
    }

    fn state(&self, vm: VmId) -> VmState {
        self.engine.view().snapshot().vms[&vm].state
    }

    fn want(&self, vm: VmId) -> Want {
        self.engine.view().snapshot().vms[&vm].want.unwrap()
    }

    /// Waits until the view says so.
    async fn until(&self, what: &str, said: impl Fn(&innkeeper_view::Snapshot) -> bool) {
        let mut changes = self.engine.view().subscribe(None);
        let waited = tokio::time::timeout(LONG, async {
            while !said(&self.engine.view().snapshot()) {
                changes.next().await.unwrap();
            }
        });
        waited.await.unwrap_or_else(|_| panic!("never {what}"));
    }
}

fn config(name: &str) -> VmConfig {
    VmConfig::new(name.parse().unwrap())
}

fn create(config: VmConfig) -> Request {
    Request::Create { config: Box::new(config), id: None }
}

fn blank_disk(name: &str) -> Disk {
    serde_json::from_value(serde_json::json!({ "name": name, "size": "1MiB" })).unwrap()
}

const START: PowerVerb = PowerVerb::Start { discard_memory: false };
const STOP: PowerVerb = PowerVerb::Stop { timeout: LONG };

#[tokio::test]
async fn a_life_from_create_to_delete() {
    let bench = Bench::new().await;
    let mut wished = config("web");
    wished.disks.push(blank_disk("root"));
    let accepted = bench.submit(create(wished)).await.unwrap();
    let vm = accepted.vm.unwrap();
    bench.end_of(&accepted).await;
    let volume = bench.folder.path().join(format!("pool/volumes/{vm}/root.qcow2"));
    assert!(volume.exists());

    assert_eq!(bench.power(vm, START).await.state, TaskState::Done);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
    bench.power(vm, PowerVerb::Pause).await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Paused, Want::Paused));
    bench.power(vm, PowerVerb::Resume).await;
    bench.power(vm, STOP).await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));

    assert_eq!(bench.run(Request::Delete { vm, force: false }).await.state, TaskState::Done);
    assert!(!volume.exists());
    assert!(bench.engine.view().snapshot().vms.is_empty());
}

#[tokio::test]
async fn a_vm_that_is_being_made_can_be_told_to_start() {
    let bench = Bench::new().await;
    let created = bench.submit(create(config("web"))).await.unwrap();
    let vm = created.vm.unwrap();
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    assert_eq!(bench.end_of(&start).await.state, TaskState::Done);
    assert_eq!(bench.state(vm), VmState::Running);
}

#[tokio::test]
async fn what_a_task_did_can_be_read_when_it_has_ended() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let task = bench.power(vm, START).await;
    let snapshot = bench.engine.view().snapshot();
    assert!(task.settled_at.unwrap() <= snapshot.revision);
    assert_eq!(snapshot.vms[&vm].state, VmState::Running);
    assert_eq!(snapshot.vms[&vm].task, None);
    assert_eq!(snapshot.tasks[&task.id].state, TaskState::Done);
    assert!(task.steps.iter().all(|step| step.state == StepState::Done && step.took_us.is_some()));
}

#[tokio::test]
async fn a_start_that_fails_leaves_the_vm_as_it_was() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    *bench.paper.fails.lock().unwrap() = Some("paper/run");
    let task = bench.power(vm, START).await;
    assert_eq!(task.state, TaskState::Failed);
    let states: Vec<_> = task.steps.iter().map(|step| step.state).collect();
    let undone = StepState::Undone;
    assert_eq!(states, [undone, undone, undone, StepState::Failed]);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));

    *bench.paper.fails.lock().unwrap() = None;
    assert_eq!(bench.power(vm, START).await.state, TaskState::Done);
}

#[tokio::test]
async fn a_create_that_fails_leaves_nothing() {
    let bench = Bench::new().await;
    let mut wished = config("web");
    wished.disks.push(blank_disk("root"));
    wished.disks.push(blank_disk("huge"));
    wished.disks[1].size = Some(ByteSize::from_gibibytes(1 << 20));
    let refused = match bench.submit(create(wished)).await {
        Ok(accepted) => bench.end_of(&accepted).await.error.unwrap(),
        Err(refusal) => refusal,
    };
    assert!(refused.field.as_deref().is_some_and(|field| field.contains("huge")), "{refused:?}");
    assert!(bench.engine.view().snapshot().vms.is_empty());
    let volumes = std::fs::read_dir(bench.folder.path().join("pool/volumes")).unwrap();
    assert_eq!(volumes.count(), 0);
    bench.create("web").await;
}

#[tokio::test]
async fn kill_overtakes_a_stop_that_waits_for_its_guest() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.power(vm, START).await;
    *bench.paper.hangs.lock().unwrap() = Some("paper/ask");
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.paper.hanging.notified().await;
    assert_eq!(bench.power(vm, PowerVerb::Kill).await.state, TaskState::Done);
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    assert_eq!(bench.paper.machine(vm), MachineState::Absent);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
}

#[tokio::test]
async fn a_task_that_waits_its_turn_can_be_cancelled() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    *bench.paper.hangs.lock().unwrap() = Some("paper/make");
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.paper.hanging.notified().await;
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.engine.cancel(&Caller::innkeeper(), stop.task).await.unwrap();
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    bench.engine.cancel(&Caller::innkeeper(), start.task).await.unwrap();
    assert_eq!(bench.end_of(&start).await.state, TaskState::Cancelled);
    assert_eq!(bench.paper.machine(vm), MachineState::Absent);
    let again = bench.engine.cancel(&Caller::innkeeper(), start.task).await.unwrap_err();
    assert_eq!(again.code, Code::WrongState);
}

#[tokio::test]
async fn what_is_asked_is_held_against_what_is_queued() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    *bench.paper.hangs.lock().unwrap() = Some("paper/make");
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.paper.hanging.notified().await;
    // By then it will run, so that it can be stopped, and not started once more.
    bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    let third = bench.submit(Request::Power { vm, verb: START }).await.unwrap_err();
    assert_eq!(third.code, Code::WrongState);
    assert!(third.message.contains("start") && third.message.contains("running"));
    bench.engine.cancel(&Caller::innkeeper(), start.task).await.unwrap();
}

#[tokio::test]
async fn two_creates_of_one_name_at_once_make_one_vm() {
    let bench = Bench::new().await;
    let many = (0..16).map(|_| bench.submit(create(config("web"))));
    let outcomes = futures_util::future::join_all(many).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_err_and(|refusal| refusal.code == Code::NameTaken));
    assert_eq!(refused.count(), 15);
    for accepted in outcomes.iter().flatten() {
        bench.end_of(accepted).await;
    }
    assert_eq!(bench.engine.view().snapshot().vms.len(), 1);
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_is_put_away_and_wanted_stopped() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.power(vm, START).await;
    bench.paper.tell(
        vm,
        Facts {
            machine: MachineState::Ended,
            last_end: Some(EndReason::GuestShutdown),
            ..Facts::default()
        },
    );
    bench
        .until("stopped", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == VmState::Stopped && vm.want == Some(Want::Stopped) && vm.task.is_none()
        })
        .await;
    assert_eq!(bench.paper.performed.lock().unwrap().last().unwrap(), "paper/end");
}

#[tokio::test]
async fn what_was_wanted_running_is_started_with_the_host() {
    let bench = Bench::new().await;
    let (on, off) = (bench.create("on").await, bench.create("off").await);
    bench.power(on, START).await;
    let bench = bench.reopen().await;
    assert_eq!(bench.state(on), VmState::Running);
    assert_eq!(bench.state(off), VmState::Stopped);
}

#[tokio::test]
async fn an_edit_is_refused_when_the_spec_is_another_by_now() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let edit = |memory| {
        let mut wished = config("web");
        wished.memory = Mebibytes(memory);
        Request::Edit { vm, config: Box::new(wished), expected: Some(Revision(1)) }
    };
    assert_eq!(bench.run(edit(256)).await.state, TaskState::Done);
    let refused = bench.submit(edit(1024)).await.unwrap_err();
    assert_eq!(refused.code, Code::RevisionConflict);
    let spec = bench.engine.view().snapshot().vms[&vm].spec.clone().unwrap();
    assert_eq!((spec.config.memory, spec.revision), (Mebibytes(256), Revision(2)));
}

#[tokio::test]
async fn sizes_beyond_the_host_are_refused_with_the_limit() {
    let bench = Bench::new().await;
    let mut wished = config("web");
    wished.memory = Mebibytes(8192);
    let refused = bench.submit(create(wished)).await.unwrap_err();
    assert_eq!(
        (refused.field.as_deref(), refused.limit.as_deref()),
        (Some("memory"), Some("4GiB"))
    );
    let mut wished = config("web");
    wished.cpus = 9;
    let refused = bench.submit(create(wished)).await.unwrap_err();
    assert_eq!((refused.field.as_deref(), refused.limit.as_deref()), (Some("cpus"), Some("8")));
}

/// A machine that an earlier daemon had made, as a driver finds it.
fn found(bench: &Bench, vm: VmId, machine: MachineState, ran: bool) -> Found {
    let incarnation = Arc::new(incarnation(vm));
    bench.paper.incarnation(vm, Some(incarnation.clone()));
    let died = ran && machine == MachineState::Absent;
    let last_end = died.then_some(EndReason::HypervisorDied { status: None });
    let facts = Facts { machine, last_end, ..Facts::default() };
    bench.paper.tell(vm, facts.clone());
    Found { vm, incarnation, facts, ran }
}

fn incarnation(vm: VmId) -> Incarnation {
    serde_json::from_value(serde_json::json!({
        "schema": 1, "id": vm, "vm": vm, "spec_revision": 1, "boot_id": "b",
        "created": "2026-01-01T00:00:00Z", "driver": "paper", "hypervisor_version": "1",
        "machine": "m", "cpu_model": "c", "accelerator": "none", "cpus": 1, "memory": "64MiB",
        "uid": 1_000_000, "run_folder": "/nowhere", "argv": [], "block_nodes": {},
    }))
    .unwrap()
}

#[tokio::test]
async fn a_start_that_a_daemon_died_in_is_gone_on_with() {
    let bench = Bench::new().await;
    let (held, unborn, dead) =
        (bench.create("held").await, bench.create("unborn").await, bench.create("dead").await);
    for vm in [held, unborn, dead] {
        bench.power(vm, START).await;
    }
    let bench = bench.reopen_with(|bench| {
        vec![
            found(bench, held, MachineState::Created, false),
            found(bench, unborn, MachineState::Absent, false),
            found(bench, dead, MachineState::Absent, true),
        ]
    });
    let bench = bench.await;
    bench
        .until("all settled", |snapshot| {
            let of = |vm: &VmId| snapshot.vms[vm].state;
            of(&held) == VmState::Running
                && of(&unborn) == VmState::Running
                // It had run for long when it crashed.
                && of(&dead) == VmState::Running
        })
        .await;
}

#[tokio::test]
async fn what_cannot_be_put_away_is_tried_again_with_patience() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.power(vm, START).await;
    *bench.paper.fails.lock().unwrap() = Some("paper/end");
    bench.paper.set(vm, MachineState::Ended);
    bench.until("in trouble", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    *bench.paper.fails.lock().unwrap() = None;
    bench
        .until("put away", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == VmState::Stopped && vm.problem.is_none()
        })
        .await;
    let snapshot = bench.engine.view().snapshot();
    let tries = snapshot.tasks.values().filter(|task| task.operation == "put-away").count();
    assert!(tries <= 3, "{tries} tries");
}

#[tokio::test]
async fn a_guest_can_be_stopped_and_paused_when_nothing_can_be_written() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.power(vm, START).await;
    // No new segment can be made, so that the journal fills up; and no spec can be written.
    std::fs::remove_dir_all(bench.folder.path().join("journal")).unwrap();
    std::fs::remove_dir_all(bench.folder.path().join("vms")).unwrap();
    let mut fillers = 0;
    while bench.power(vm, PowerVerb::Reset).await.state == TaskState::Done {
        fillers += 1;
        assert!(fillers < 1000, "the journal does not fill up");
    }
    for (verb, state) in [(PowerVerb::Pause, VmState::Paused), (PowerVerb::Kill, VmState::Stopped)]
    {
        let task = bench.power(vm, verb).await;
        assert_eq!((task.state, bench.state(vm)), (TaskState::Done, state), "{:?}", task.error);
        let unrecorded = task.warnings.iter().all(|warning| warning.contains("recorded: false"));
        assert!(unrecorded && !task.warnings.is_empty(), "{:?}", task.warnings);
    }
    let unwritable = bench.submit(create(config("new"))).await.unwrap();
    assert_eq!(bench.end_of(&unwritable).await.state, TaskState::Failed);
}

#[tokio::test]
async fn a_vm_whose_spec_is_damaged_can_be_ended_and_given_up_and_keeps_its_user() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let file = bench.folder.path().join(format!("vms/{vm}.json"));
    bench.engine.stop().await;
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("512MiB", "513MiB")).unwrap();
    let bench =
        bench.reopen_with(|bench| vec![found(bench, vm, MachineState::Running, true)]).await;
    let record = bench.engine.view().snapshot().vms[&vm].clone();
    assert_eq!((record.state, record.name.as_str()), (VmState::Quarantined, "web"));
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap_err();
    assert_eq!(start.code, Code::WrongState);

    assert_eq!(bench.power(vm, PowerVerb::Kill).await.state, TaskState::Done);
    assert_eq!(bench.paper.machine(vm), MachineState::Absent);
    assert!(file.exists(), "a kill gives nothing up");
    assert_eq!(bench.run(Request::Delete { vm, force: true }).await.state, TaskState::Done);
    assert!(!file.exists());
    assert!(bench.engine.view().snapshot().vms.is_empty());
}
