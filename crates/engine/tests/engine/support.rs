//! A daemon without its sockets, on a folder and a world that outlive it.

use crate::held::Stop;
use innkeeper_driver::conformance::PaperManager;
use innkeeper_engine::{
    Accepted, Caller, Capacity, Engine, EngineOptions, Noticed, PowerVerb, Remembered, Request,
    Witness,
};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{
    Foreign, Host, MachineState, Mebibytes, ProcessIdentity, Refusal, Task, TaskState, Vm,
    VmConfig, VmId, VmState, Want, config::Disk,
};
use innkeeper_network::{PaperNetworks, UidRange};
use innkeeper_sim::{
    Fault, FaultId, FaultRule, Guest, PowerButton, SimDriver, World, WorldOptions,
};
use innkeeper_storage::{Storage, StorageOptions};
use innkeeper_store::{
    NetworkStore, QuotaStore, SpecStore, TaskHistory,
    journal::{Found, Journal, JournalOptions},
};
use innkeeper_view::{Snapshot, Update, View, ViewOptions};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// How long anything may take; a bound for what is broken, not a measure.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What a cancel may take where the hypervisor answers.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(2);

pub(crate) const START: PowerVerb = PowerVerb::Start { discard_memory: false };
pub(crate) const START_AFRESH: PowerVerb = PowerVerb::Start { discard_memory: true };
pub(crate) const SUSPEND: PowerVerb = PowerVerb::Suspend;
pub(crate) const RESUME: PowerVerb = PowerVerb::Resume;
pub(crate) const STOP: PowerVerb = PowerVerb::Stop { timeout: LONG };
pub(crate) const REBOOT: PowerVerb = PowerVerb::Reboot { timeout: LONG, force: false };

/// What becomes of the records of before.
pub(crate) type Reread = fn(&Path, Vec<Found>) -> Vec<Found>;

/// What may differ from bench to bench.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) world: WorldOptions,
    pub(crate) capacity: Capacity,
    pub(crate) remembered: usize,
    pub(crate) shown_tasks: usize,
    pub(crate) segment_size: u64,
    pub(crate) boot_id: String,
    pub(crate) autostart_parallel: usize,
    pub(crate) uids: Option<UidRange>,
    /// The host's networks, which outlive the daemon.
    pub(crate) networks: Arc<PaperNetworks>,
    /// Another manager on this host, which outlives the daemon.
    pub(crate) neighbour: Option<Arc<PaperManager>>,
    /// What the pool's options are beside the ordinary ones, of a daemon in this folder.
    pub(crate) storage: fn(&Path, &mut StorageOptions),
    /// What is changed in records before the engine reads them.
    pub(crate) reread: Option<Reread>,
}

impl Default for Setup {
    fn default() -> Self {
        let power_button = PowerButton::PowersOff { after: Duration::from_millis(2) };
        let guest = Guest { power_button, ..Guest::default() };
        let noticed_after = Duration::from_millis(20);
        Self {
            world: WorldOptions { guest, noticed_after, ..WorldOptions::default() },
            capacity: Capacity::default(),
            remembered: 1000,
            shown_tasks: 100,
            segment_size: 64 << 10,
            boot_id: "boot-1".into(),
            autostart_parallel: 2,
            uids: None,
            networks: Arc::new(PaperNetworks::new()),
            neighbour: None,
            storage: |_, _| (),
            reread: None,
        }
    }
}

/// A daemon, and what it would leave behind.
pub(crate) struct Bench {
    pub(crate) world: Arc<World>,
    pub(crate) engine: Engine,
    pub(crate) storage: Arc<Storage>,
    pub(crate) setup: Setup,
    folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        Self::witnessed(setup, None).await
    }

    /// One whose operations stop at a point.
    pub(crate) async fn stopping_at(point: &str) -> (Self, Arc<Stop>) {
        let stop = Stop::at(point);
        let bench = Self::witnessed(Setup::default(), Some(stop.clone())).await;
        (bench, stop)
    }

    pub(crate) async fn witnessed(setup: Setup, witness: Option<Arc<dyn Witness>>) -> Self {
        let world = World::in_memory(setup.world.clone());
        let bench = Self::open(tempfile::tempdir().unwrap(), world, setup, witness).await;
        bench.engine.recover().await;
        bench
    }

    /// Opens an engine, and nothing more: what ran before is still to be found.
    pub(crate) async fn open(
        folder: TempDir,
        world: Arc<World>,
        setup: Setup,
        witness: Option<Arc<dyn Witness>>,
    ) -> Self {
        let path = folder.path();
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let noticed = Noticed::new(view.clone());
        let driver = Arc::new(SimDriver::new(world.clone(), Arc::new(noticed.clone())));
        let host = Host { cpus: 8, memory: Mebibytes(4096), ..Host::default() };
        view.barrier(vec![Update::Host(host)]).await.unwrap();
        let storage = Arc::new(open_storage(path, setup.storage));
        let mut journal = Journal::open(JournalOptions {
            segment_size: setup.segment_size,
            ..JournalOptions::new(path.join("journal"))
        })
        .unwrap();
        if let Some(reread) = setup.reread {
            journal.records = reread(path, journal.records);
        }
        let engine = Engine::open(EngineOptions {
            view,
            driver,
            neighbours: setup.neighbour.iter().map(PaperManager::neighbour).collect(),
            noticed,
            specs: SpecStore::open(path.join("vms")).unwrap(),
            network_store: NetworkStore::open(path.join("networks")).unwrap(),
            networks: setup.networks.clone(),
            quota_store: QuotaStore::open(path.join("projects")).unwrap(),
            metadata: None,
            make_default_network: false,
            storage: storage.clone(),
            journal,
            history: TaskHistory::open(&path.join("tasks.redb")).unwrap().history,
            remembered: Remembered { count: setup.remembered, age: Duration::from_secs(3600) },
            shown_tasks: setup.shown_tasks,
            capacity: setup.capacity.clone(),
            hooks: Hooks::new(path.join("hooks"), LONG, OwnerRule::of_this_process()),
            boot_id: setup.boot_id.clone(),
            uids: setup.uids.clone(),
            autostart_parallel: setup.autostart_parallel,
            witness,
        })
        .await
        .unwrap();
        Self { world, engine, storage, setup, folder }
    }

    /// The daemon ends as by SIGTERM, and the next one begins.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same, with something done in between.
    pub(crate) async fn restart_with(self, between: impl FnOnce(&mut Ended)) -> Self {
        let mut ended = self.end().await;
        between(&mut ended);
        ended.begin().await
    }

    pub(crate) async fn end(self) -> Ended {
        let Self { world, engine, setup, folder, .. } = self;
        engine.stop().await;
        Ended { world, setup, folder }
    }

    /// The daemon ends with the runtime that it is in.
    pub(crate) fn abandon(self) -> Ended {
        let Self { world, setup, folder, .. } = self;
        Ended { world, setup, folder }
    }

    /// The daemon ends as by SIGKILL: what follows finds the files as they are now.
    pub(crate) async fn killed(self) -> Ended {
        let now = tempfile::tempdir().unwrap();
        copy(self.path(), now.path());
        let ended = self.end().await;
        // What is on record names files by their paths, which are to stay.
        let path = ended.folder.path();
        for entry in std::fs::read_dir(path).unwrap() {
            remove(&entry.unwrap().path());
        }
        copy(now.path(), path);
        ended
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    // What is asked.

    pub(crate) async fn submit(&self, request: Request) -> Result<Accepted, Refusal> {
        self.engine.submit(&caller(), request).await
    }

    /// Asks for something that is refused at once.
    pub(crate) async fn refused(&self, request: Request) -> Refusal {
        self.submit(request).await.unwrap_err()
    }

    pub(crate) async fn end_of(&self, accepted: &Accepted) -> Task {
        let task = self.engine.wait(accepted.task, LONG).await.unwrap();
        assert!(task.state.is_final(), "{task:?}");
        task
    }

    /// Has something done, to its end.
    pub(crate) async fn run(&self, request: Request) -> Task {
        let accepted = self.submit(request).await.unwrap();
        self.end_of(&accepted).await
    }

    /// Has something done that must succeed.
    pub(crate) async fn must(&self, request: Request) -> Task {
        let task = self.run(request).await;
        assert_eq!(task.state, TaskState::Done, "{task:?}");
        task
    }

    pub(crate) async fn power(&self, vm: VmId, verb: PowerVerb) -> Task {
        self.run(Request::Power { vm, verb }).await
    }

    /// Has verbs done that must succeed.
    pub(crate) async fn powers(&self, vm: VmId, verbs: &[PowerVerb]) {
        for verb in verbs {
            self.must(Request::Power { vm, verb: *verb }).await;
        }
    }

    pub(crate) async fn create(&self, name: &str) -> VmId {
        self.create_of(json!({ "name": name })).await
    }

    pub(crate) async fn create_of(&self, config: Value) -> VmId {
        let accepted = self.submit(create(config)).await.unwrap();
        let task = self.end_of(&accepted).await;
        assert_eq!(task.state, TaskState::Done, "{:?}", task.error);
        accepted.vm.unwrap()
    }

    /// A VM that runs.
    pub(crate) async fn started(&self, name: &str) -> VmId {
        let vm = self.create(name).await;
        self.powers(vm, &[START]).await;
        vm
    }

    pub(crate) async fn cancel(&self, accepted: &Accepted) -> Result<(), Refusal> {
        self.engine.cancel(&caller(), accepted.task).await
    }

    // What is seen.

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.engine.view().snapshot()
    }

    pub(crate) fn find(&self, vm: VmId) -> Option<Vm> {
        self.snapshot().vms.get(&vm).map(|record| Vm::clone(record))
    }

    pub(crate) fn vm(&self, vm: VmId) -> Vm {
        self.find(vm).expect("there is such a VM")
    }

    pub(crate) fn vms(&self) -> Vec<Vm> {
        self.snapshot().vms.values().map(|record| Vm::clone(record)).collect()
    }

    pub(crate) fn state(&self, vm: VmId) -> VmState {
        self.vm(vm).state
    }

    pub(crate) fn want(&self, vm: VmId) -> Want {
        self.vm(vm).want.unwrap()
    }

    /// What a VM's machine is, whoever knows.
    pub(crate) fn machine(&self, vm: VmId) -> MachineState {
        self.world.machine(vm).map_or(MachineState::Absent, |seen| seen.facts.machine)
    }

    pub(crate) fn tasks(&self, operation: &str) -> Vec<Task> {
        let snapshot = self.snapshot();
        let named = snapshot.tasks.values().filter(|task| task.operation == operation);
        named.map(|task| Task::clone(task)).collect()
    }

    pub(crate) fn spec_file(&self, vm: VmId) -> PathBuf {
        self.path().join(format!("vms/{vm}.json"))
    }

    pub(crate) fn volumes(&self, vm: VmId) -> PathBuf {
        self.path().join(format!("pool/volumes/{vm}"))
    }

    /// Waits until the view says so.
    pub(crate) async fn until(&self, what: &str, said: impl Fn(&Snapshot) -> bool) {
        let mut changes = self.engine.view().subscribe(None);
        let waited = tokio::time::timeout(LONG, async {
            while !said(&self.snapshot()) {
                changes.next().await.unwrap();
            }
        });
        let vms = || self.vms().into_iter().map(|vm| (vm.name, vm.state, vm.problem, vm.task));
        waited.await.unwrap_or_else(|_| panic!("never {what}: {:?}", vms().collect::<Vec<_>>()));
    }

    pub(crate) async fn until_state(&self, vm: VmId, state: VmState) {
        self.until(state.as_str(), |snapshot| snapshot.vms[&vm].state == state).await;
    }

    /// Waits until something holds that the view does not tell.
    pub(crate) async fn until_so(&self, what: &str, holds: impl Fn() -> bool) {
        let waited = tokio::time::timeout(LONG, async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("never {what}: {:?}", self.engine.diagnose()));
    }

    // What goes wrong.

    pub(crate) fn fails(&self, step: &str) -> FaultId {
        self.world.inject(FaultRule::new(step, Fault::Fails(as_told())))
    }

    pub(crate) fn hangs(&self, step: &str) -> FaultId {
        self.world.inject(FaultRule::new(step, Fault::Hangs))
    }
}

/// A daemon that has ended: its files, its world.
pub(crate) struct Ended {
    pub(crate) world: Arc<World>,
    pub(crate) setup: Setup,
    folder: TempDir,
}

impl Ended {
    pub(crate) fn of(folder: TempDir, world: Arc<World>, setup: Setup) -> Self {
        Self { world, setup, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The same, in a world that was changed.
    pub(crate) fn with_world(self, change: impl FnOnce(Arc<World>) -> Arc<World>) -> Self {
        Self { world: change(self.world), ..self }
    }

    /// The host is booted.
    pub(crate) fn reboot_host(&mut self) {
        self.world.reboot_host();
        self.setup.boot_id.push('+');
    }

    /// The next daemon.
    pub(crate) async fn begin(self) -> Bench {
        self.begin_witnessed(None).await
    }

    pub(crate) async fn begin_witnessed(self, witness: Option<Arc<dyn Witness>>) -> Bench {
        let bench = self.open_only(witness).await;
        bench.engine.recover().await;
        bench
    }

    /// The next daemon, which has not looked yet for what runs.
    pub(crate) async fn open_only(self, witness: Option<Arc<dyn Witness>>) -> Bench {
        let Self { world, setup, folder } = self;
        Bench::open(folder, world, setup, witness).await
    }
}

fn open_storage(path: &Path, change: fn(&Path, &mut StorageOptions)) -> Storage {
    let mut options = StorageOptions::new(path.join("pool"));
    options.allowed_paths = vec![path.join("allowed")];
    change(path, &mut options);
    Storage::open(options).unwrap()
}

pub(crate) fn caller() -> Caller {
    Caller { name: "test".into(), request_id: Some("r-1".into()), origin: None }
}

pub(crate) fn as_told() -> Refusal {
    Refusal::new(innkeeper_model::Code::HypervisorFailed, "as it was told to")
}

pub(crate) fn config(config: Value) -> VmConfig {
    serde_json::from_value(config).unwrap()
}

pub(crate) fn create(of: Value) -> Request {
    Request::Create { config: Box::new(config(of)), id: None }
}

pub(crate) fn disk(name: &str) -> Disk {
    serde_json::from_value(json!({ "name": name, "size": "1MiB" })).unwrap()
}

/// A VM with a disk of each kind and a NIC without a way out.
pub(crate) fn furnished(name: &str) -> Value {
    json!({
        "name": name,
        "memory": "32MiB",
        "disks": [
            { "name": "root", "size": "1MiB" },
            { "name": "more", "size": "1MiB", "read_only": true },
        ],
        "nics": [{ "name": "lan", "network": "none" }],
    })
}

/// A machine of somebody else's.
pub(crate) fn stranger() -> Foreign {
    Foreign {
        driver: "sim".into(),
        process: ProcessIdentity { pid: 0, start_ticks: 0 },
        name: Some("stranger".into()),
        uid: 0,
        manager: None,
        cpus: Some(2),
        memory: Some(Mebibytes(64)),
        socket: Some("/nowhere/qmp".into()),
        not_adoptable: None,
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    // Nor was a folder that has just been removed.
    let Ok(entries) = std::fs::read_dir(from) else { return };
    std::fs::create_dir_all(to).unwrap();
    for entry in entries {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            // One that has just been removed was never there.
            let copied = std::fs::copy(&from, &to);
            assert!(copied.is_ok() || !from.exists(), "{copied:?}");
        }
    }
}

fn remove(path: &Path) {
    let removed =
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.unwrap();
}
