//! Journals that released versions wrote, and what must become of them today.
//!
//! Each is a state folder as a daemon left it that was ended by SIGKILL in the middle of something: its
//! journal, its specs, and of its pool what matters. The world is made from the journal itself, by doing
//! the driver's steps that it says were done. `UPDATE_GOLDEN=1 cargo test -p innkeeper-engine golden`
//! writes those of this version, or with the name of a shape in place of the 1 that one; those of others are
//! never touched.

use crate::{
    agreement::names,
    held::Stop,
    networks::on_lan,
    support::{Bench, Ended, RESUME, START, STOP, SUSPEND, Setup, copy, create, furnished},
};
use innkeeper_driver::{Driver, Flow, Observer, Step, StepContext};
use innkeeper_engine::{NicChange, PowerVerb, Request};
use innkeeper_model::{
    Code, Facts, HypervisorEvent, Incarnation, MachineState, Mebibytes, TaskId, TaskState, VmId,
    VmState, Want,
};
use innkeeper_sim::{CallKind, Fault, FaultRule, Happening, SimDriver, World};
use innkeeper_store::journal::{Found, Journal, JournalOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

mod damaged;

/// The largest that all of them together may be, in bytes.
const ROOM: u64 = 300 << 10;

/// What cannot be told from the files.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// The folder that paths in the journal begin with.
    root: String,
    /// The VMs, by name.
    vms: BTreeMap<String, VmId>,
    /// What was being done.
    task: Option<TaskId>,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// This version, as far as it makes a difference.
fn this_version() -> &'static str {
    let version = env!("CARGO_PKG_VERSION");
    version.rsplit_once('.').map_or(version, |(release, _)| release)
}

/// The folders of a shape, one a version.
fn versions_of(shape: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        names(&golden()).into_iter().map(|version| golden().join(version).join(shape)).collect();
    folders.retain(|folder| folder.exists());
    folders.sort();
    assert!(!folders.is_empty(), "no golden journal of {shape}");
    folders
}

// How they are made.

fn setup() -> Setup {
    Setup { segment_size: 16 << 10, ..Setup::default() }
}

/// A daemon that stops at a point, with a VM that nothing is done to.
async fn daemon(point: &str) -> (Bench, Arc<Stop>) {
    let stop = Stop::at(point);
    let bench = Bench::witnessed(setup(), Some(stop.clone())).await;
    bench.create("other").await;
    bench.idle().await;
    (bench, stop)
}

async fn save(bench: Bench, shape: &str, task: Option<TaskId>) {
    let vms = bench.vms().into_iter().map(|vm| (vm.name.to_string(), vm.id)).collect();
    let root = bench.path().display().to_string();
    let ended = bench.killed().await;
    let folder = golden().join(this_version()).join(shape);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    for part in ["journal", "vms", "networks", "pool/volumes"] {
        copy(&ended.path().join(part), &folder.join(part));
    }
    let about = serde_json::to_string_pretty(&About { root, vms, task }).unwrap();
    fs::write(folder.join("about.json"), about).unwrap();
    slim(&folder);
}

/// Leaves out what is only large: what guests would have written, and segments without a record.
fn slim(folder: &Path) {
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            slim(&path);
        } else if name.ends_with(".qcow2")
            || (name == "memory.img" && !path.with_extension("json").exists())
        {
            fs::write(&path, "").unwrap();
        } else if fs::read(&path).unwrap().iter().all(|byte| *byte == 0) && name.ends_with(".inn") {
            fs::remove_file(&path).unwrap();
        }
    }
}

#[tokio::test]
async fn golden_journals_are_written_when_asked_for() {
    let Some(asked) = std::env::var_os("UPDATE_GOLDEN") else { return };
    // One by its name, or all.
    let is_asked = |shape: &str| asked == shape || !SHAPES.iter().any(|known| asked == **known);
    for shape in SHAPES.into_iter().filter(|shape| is_asked(shape)) {
        match shape {
            "create" => create_in_the_middle().await,
            "start" => start_past_its_launch().await,
            "owed" => owed().await,
            "suspend-before-no-return" => {
                suspend(shape, "suspend/sim/save-memory/after-act").await;
            }
            "suspend-after-no-return" => suspend(shape, "suspend/set-want/before-journal").await,
            "wishes" => wishes().await,
            "noted" => noted().await,
            "nic-add" => nic_being_added().await,
            other => panic!("nobody knows how to make {other}"),
        }
    }
}

/// What there are goldens of.
const SHAPES: [&str; 8] = [
    "create",
    "start",
    "owed",
    "suspend-before-no-return",
    "suspend-after-no-return",
    "wishes",
    "noted",
    "nic-add",
];

async fn create_in_the_middle() {
    let (bench, stop) = daemon("create/volumes/create-volume:more/after-act").await;
    let accepted = bench.submit(create(furnished("web"))).await.unwrap();
    stop.reached().await;
    save(bench, "create", Some(accepted.task)).await;
}

async fn start_past_its_launch() {
    let (bench, stop) = daemon("start/sim/plug-nic:lan/before-journal").await;
    let nics = json!([{ "name": "lan", "network": "none" }]);
    let vm = bench.create_of(json!({ "name": "web", "nics": nics })).await;
    bench.idle().await;
    let accepted = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    stop.reached().await;
    bench.until_so("stored", || bench.engine.diagnose().specs.unwritten == 0).await;
    save(bench, "start", Some(accepted.task)).await;
}

async fn owed() {
    let (bench, _) = daemon("").await;
    let vm = bench.create("web").await;
    bench.idle().await;
    let fails = || Fault::Fails(crate::support::as_told());
    bench.world.inject(FaultRule::new("sim/continue", fails()));
    bench.world.inject(FaultRule::new("sim/launch", fails()).when(CallKind::Undo));
    let task = bench.power(vm, START).await;
    assert!(!task.leftovers.is_empty());
    bench.until_so("stored", || bench.engine.diagnose().specs.unwritten == 0).await;
    save(bench, "owed", Some(task.id)).await;
}

async fn suspend(shape: &str, point: &str) {
    let (bench, stop) = daemon(point).await;
    let vm = bench.started("web").await;
    bench.idle().await;
    let accepted = bench.submit(Request::Power { vm, verb: SUSPEND }).await.unwrap();
    stop.reached().await;
    save(bench, shape, Some(accepted.task)).await;
}

async fn wishes() {
    let (bench, _) = daemon("").await;
    let web = bench.create("web").await;
    let gone = bench.create("gone").await;
    bench.idle().await;
    let vms = bench.path().join("vms");
    fs::rename(&vms, bench.path().join("away")).unwrap();
    bench.must(edit(&bench, web, |config| config.memory = Mebibytes(256))).await;
    bench.must(edit(&bench, web, |config| config.memory = Mebibytes(768))).await;
    bench.must(create(json!({ "name": "new" }))).await;
    bench.must(Request::Delete { vm: gone, force: false }).await;
    // As they were: a spec's file is written to a file beside it first.
    copy(&bench.path().join("away"), &vms);
    save(bench, "wishes", None).await;
}

async fn nic_being_added() {
    let (bench, stop) = daemon("nic-add/sim/add-nic:new/after-act").await;
    bench.lan().await;
    let vm = bench.create_of(on_lan("web")).await;
    bench.powers(vm, &[START]).await;
    bench.idle().await;
    let new = serde_json::from_value(json!({ "name": "new", "network": "lan" })).unwrap();
    let add = Request::Nic { vm, change: NicChange::Add(Box::new(new)) };
    let accepted = bench.submit(add).await.unwrap();
    stop.reached().await;
    save(bench, "nic-add", Some(accepted.task)).await;
}

/// One VM that crashed too soon after its start, and one that runs and was reset.
async fn noted() {
    let (bench, _) = daemon("").await;
    let crashed = bench.started("crashed").await;
    bench.world.guest(crashed, Happening::Panics);
    bench.until("left", |snapshot| snapshot.vms[&crashed].problem.is_some()).await;
    let web = bench.started("web").await;
    bench.powers(web, &[PowerVerb::Reset, PowerVerb::Reset]).await;
    bench.is_sound().await;
    let is_noted = |vm: VmId, says: fn(&Value) -> bool| {
        last_note(bench.path(), vm).is_some_and(|note| says(&note))
    };
    bench
        .until_so("noted", || {
            is_noted(crashed, |note| note["problem"].is_string())
                && is_noted(web, |note| note["facts"]["resets"] == 2)
        })
        .await;
    bench.until_so("stored", || bench.engine.diagnose().specs.unwritten == 0).await;
    save(bench, "noted", None).await;
}

/// What a folder's journal says of a VM last.
fn last_note(folder: &Path, vm: VmId) -> Option<Value> {
    let apart = tempfile::tempdir().unwrap();
    copy(&folder.join("journal"), apart.path());
    let opened = Journal::open(JournalOptions {
        segment_size: 16 << 10,
        ..JournalOptions::new(apart.path())
    });
    let records = opened.unwrap().records.into_iter();
    let entries = records.map(|found| serde_json::from_slice::<Value>(&found.bytes).unwrap());
    let noted = |entry: &Value| entry["entry"] == "noted" && entry["note"]["vm"] == json!(vm);
    entries.filter(noted).last().map(|entry| entry["note"].clone())
}

fn edit(bench: &Bench, vm: VmId, edit: impl FnOnce(&mut innkeeper_model::VmConfig)) -> Request {
    let mut config = bench.vm(vm).spec.unwrap().config.clone();
    edit(&mut config);
    Request::Edit { vm, config: Box::new(config), expected: None }
}

// How they are opened.

/// Operations, with the steps of the driver that were done of each.
type Did<'a> = &'a [(&'a str, &'a [&'a str])];

/// A daemon's folder as an earlier one left it, in the world that it left.
struct Left {
    ended: Ended,
    about: About,
}

impl Left {
    /// A copy, in whose world that was done.
    async fn of(golden: &Path, did: Did<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(golden, folder.path());
        let about = fs::read(folder.path().join("about.json")).unwrap();
        let about = serde_json::from_slice(&about).unwrap();
        let setup = Setup { reread: Some(in_its_folder), ..setup() };
        let world = World::in_memory(setup.world.clone());
        do_again(&world, folder.path(), did).await;
        Self { ended: Ended::of(folder, world, setup), about }
    }

    fn vm(&self, name: &str) -> VmId {
        self.about.vms[name]
    }
}

/// The records with the paths that they would have, had they been written here.
fn in_its_folder(folder: &Path, records: Vec<Found>) -> Vec<Found> {
    let about: About =
        serde_json::from_slice(&fs::read(folder.join("about.json")).unwrap()).unwrap();
    let here = folder.to_str().unwrap();
    let moved = |mut found: Found| {
        found.bytes = String::from_utf8(found.bytes).unwrap().replace(&about.root, here).into();
        found
    };
    records.into_iter().map(moved).collect()
}

/// Nobody listens.
struct Nobody;

impl Observer for Nobody {
    fn facts(&self, _: VmId, _: Facts) {}
    fn incarnation(&self, _: VmId, _: Option<Arc<Incarnation>>) {}
    fn problem(&self, _: VmId, _: Option<String>) {}
    fn event(&self, _: VmId, _: HypervisorEvent) {}
}

async fn do_again(world: &Arc<World>, folder: &Path, did: Did<'_>) {
    let apart = tempfile::tempdir().unwrap();
    copy(&folder.join("journal"), apart.path());
    let opened = Journal::open(JournalOptions {
        segment_size: 16 << 10,
        ..JournalOptions::new(apart.path())
    });
    let records = in_its_folder(folder, opened.unwrap().records);
    let entries =
        records.iter().map(|found| serde_json::from_slice::<Value>(&found.bytes).unwrap());
    let begun: Vec<Value> = entries.filter(|entry| entry["entry"] == "begun").collect();
    let driver = SimDriver::new(world.clone(), Arc::new(Nobody));
    for (operation, steps) in did {
        let of_it = |entry: &&Value| entry["task"]["operation"] == *operation;
        let entry = begun.iter().rfind(of_it).unwrap();
        let vm: VmId = serde_json::from_value(entry["task"]["vm"].clone()).unwrap();
        let flow: Vec<Flow<Step>> = serde_json::from_value(entry["plan"]["flow"].clone()).unwrap();
        let all: Vec<Step> = flow.into_iter().flat_map(Flow::into_steps).collect();
        for name in *steps {
            let step = all.iter().find(|step| step.name == *name).unwrap();
            driver.perform(vm, step, &StepContext::default()).await.unwrap();
        }
    }
}

// What must become of them.

const MADE: &[&str] = &["sim/prepare", "sim/launch"];
const RUNS: &[&str] = &["sim/prepare", "sim/launch", "sim/continue"];

/// Waits for the end of what was being done.
async fn end_of(bench: &Bench, about: &About) -> innkeeper_model::Task {
    let task = bench.engine.wait(about.task.unwrap(), crate::support::LONG).await.unwrap();
    assert!(task.state.is_final(), "{task:?}");
    task
}

/// The VM that nothing was done to is served as ever.
async fn serves_the_other(bench: &Bench, about: &About) {
    bench.powers(about.vms["other"], &[START, STOP]).await;
}

#[tokio::test]
async fn a_create_is_undone() {
    for folder in versions_of("create") {
        let left = Left::of(&folder, &[]).await;
        let about = left.about;
        let bench = left.ended.begin().await;
        let task = end_of(&bench, &about).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Failed, 1), "{task:?}");
        assert_eq!(task.error.unwrap().code, Code::Cancelled);
        bench.is_sound().await;
        assert_eq!(bench.vms().len(), 1);
        bench.create("web").await;
        serves_the_other(&bench, &about).await;
    }
}

#[tokio::test]
async fn a_start_is_finished_with_the_machine_that_was_made() {
    for folder in versions_of("start") {
        let left = Left::of(&folder, &[("start", MADE)]).await;
        let (vm, about) = (left.vm("web"), left.about);
        let machine = left.ended.world.machine(vm).unwrap().incarnation.id;
        let bench = left.ended.begin().await;
        let task = end_of(&bench, &about).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Done, 1), "{task:?}");
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
        let made = bench.world.machine(vm).unwrap();
        assert_eq!((made.incarnation.id, made.boots, made.devices.len()), (machine, 1, 1));
        bench.is_sound().await;
        bench.powers(vm, &[STOP, START]).await;
        serves_the_other(&bench, &about).await;
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn what_was_owed_is_cleared() {
    for folder in versions_of("owed") {
        let left = Left::of(&folder, &[("start", MADE)]).await;
        let (vm, about) = (left.vm("web"), left.about);
        let bench = left.ended.begin().await;
        bench.idle().await;
        let task = bench.engine.task(about.task.unwrap()).await.unwrap();
        assert_eq!(task.state, TaskState::Failed);
        assert!(task.leftovers.is_empty(), "{:?}", task.leftovers);
        assert_eq!(bench.machine(vm), MachineState::Absent);
        bench.is_sound().await;
        bench.powers(vm, &[START, STOP]).await;
        serves_the_other(&bench, &about).await;
    }
}

#[tokio::test]
async fn a_suspend_before_its_point_of_no_return_is_undone() {
    for folder in versions_of("suspend-before-no-return") {
        let did = [("start", RUNS), ("suspend", &["sim/pause", "sim/save-memory"])];
        let left = Left::of(&folder, &did).await;
        let (vm, about) = (left.vm("web"), left.about);
        let before = left.ended.world.machine(vm).unwrap();
        let bench = left.ended.begin().await;
        assert_eq!(end_of(&bench, &about).await.state, TaskState::Failed);
        let after = bench.world.machine(vm).unwrap();
        assert_eq!((after.incarnation, after.memory), (before.incarnation, before.memory));
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
        bench.is_sound().await;
        bench.powers(vm, &[SUSPEND, RESUME, STOP]).await;
        serves_the_other(&bench, &about).await;
    }
}

#[tokio::test]
async fn a_suspend_past_its_point_of_no_return_is_finished() {
    for folder in versions_of("suspend-after-no-return") {
        let left = Left::of(&folder, &[("start", RUNS), ("suspend", &["sim/pause"])]).await;
        let (vm, about) = (left.vm("web"), left.about);
        let memory = left.ended.world.machine(vm).unwrap().memory;
        let bench = left.ended.begin().await;
        assert_eq!(end_of(&bench, &about).await.state, TaskState::Done);
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Suspended, Want::Suspended));
        bench.is_sound().await;
        bench.powers(vm, &[RESUME]).await;
        assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
        serves_the_other(&bench, &about).await;
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn a_nic_that_was_being_added_is_taken_out() {
    for folder in versions_of("nic-add") {
        let on = ["sim/prepare", "sim/launch", "sim/plug-nic", "sim/continue"];
        let did = [("start", &on[..]), ("nic-add", &["sim/add-nic"])];
        let left = Left::of(&folder, &did).await;
        let (vm, about) = (left.vm("web"), left.about);
        let bench = left.ended.begin().await;
        let task = end_of(&bench, &about).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Failed, 1), "{task:?}");
        let nics = bench.vm(vm).spec.unwrap().config.nics.len();
        assert_eq!((nics, bench.state(vm)), (1, VmState::Running));
        assert_eq!(bench.world.machine(vm).unwrap().devices.len(), 1);
        bench.is_sound().await;
        bench.powers(vm, &[STOP, START]).await;
        serves_the_other(&bench, &about).await;
    }
}

#[tokio::test]
async fn wishes_that_had_not_reached_their_files_are_fulfilled() {
    for folder in versions_of("wishes") {
        let left = Left::of(&folder, &[]).await;
        let about = left.about;
        let bench = left.ended.begin().await;
        bench.is_sound().await;
        let names: Vec<String> = bench.vms().iter().map(|vm| vm.name.to_string()).collect();
        assert_eq!(names, ["other", "web", "new"]);
        let spec = bench.vm(about.vms["web"]).spec.unwrap();
        assert_eq!((spec.config.memory, spec.revision.0), (Mebibytes(768), 3));
        serves_the_other(&bench, &about).await;
        bench.is_sound().await;
    }
}

/// What nobody could be asked again.
#[tokio::test]
async fn what_was_noted_is_known() {
    for folder in versions_of("noted") {
        let left = Left::of(&folder, &[("start", RUNS)]).await;
        let (crashed, web, about) = (left.vm("crashed"), left.vm("web"), left.about);
        let noted = [crashed, web].map(|vm| last_note(left.ended.path(), vm).unwrap());
        let bench = left.ended.begin().await;
        bench.is_sound().await;
        assert_eq!((bench.state(crashed), bench.want(crashed)), (VmState::Stopped, Want::Running));
        assert_eq!(json!(bench.vm(crashed).problem), noted[0]["problem"]);
        assert_eq!(json!(bench.vm(crashed).facts), noted[0]["facts"]);
        let facts = bench.vm(web).facts;
        assert_eq!((bench.state(web), facts.resets), (VmState::Running, 2));
        assert_eq!(json!(facts.since), noted[1]["facts"]["since"]);
        assert!(bench.tasks("start").iter().all(|task| task.taken_up == 0), "nothing was done");
        assert_eq!(bench.tasks("start").len(), 2);
        serves_the_other(&bench, &about).await;
        // In another boot it is past, and what is wanted is started.
        let bench = bench.restart_with(Ended::reboot_host).await;
        assert_eq!((bench.state(crashed), bench.vm(crashed).problem), (VmState::Running, None));
        bench.is_sound().await;
    }
}

#[test]
fn they_are_small() {
    fn size(folder: &Path) -> u64 {
        let of = |name: &String| {
            let path = folder.join(name);
            if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() }
        };
        names(folder).iter().map(of).sum()
    }
    let size = size(&golden());
    assert!(size < ROOM, "{size} bytes");
}
