//! Specs that a person changed in their files are edits like any other.

use crate::support::{Bench, Ended, START, STOP, disk, furnished};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Mebibytes, Spec, TaskState, VmId, VmState, Want, config::Nic};
use innkeeper_store::{SpecStore, StoredSpec};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Changes a stored spec as a person does who knows the file's shape.
pub(crate) fn edit_by_hand(folder: &Path, vm: VmId, edit: impl FnOnce(&mut Spec)) {
    let specs = SpecStore::open(folder.join("vms")).unwrap();
    let mut spec = stored(folder, vm);
    edit(&mut spec);
    specs.save(&spec).unwrap();
}

/// What a VM's file says.
fn stored(folder: &Path, vm: VmId) -> Spec {
    let specs = SpecStore::open(folder.join("vms")).unwrap();
    let Some(StoredSpec::Whole(spec)) = specs.load_one(vm) else { panic!("it is whole") };
    *spec
}

fn nic(of: serde_json::Value) -> Nic {
    serde_json::from_value(of).unwrap()
}

impl Bench {
    /// What is kept beside a VM's file.
    fn rejected(&self, vm: VmId) -> PathBuf {
        self.path().join(format!("vms/{vm}.json.rej"))
    }

    fn spec(&self, vm: VmId) -> Spec {
        Spec::clone(&self.vm(vm).spec.unwrap())
    }

    /// Surveys, and waits until nothing is being done.
    async fn surveyed(&self) {
        self.engine.survey().await;
        self.idle().await;
    }
}

/// A disk, a NIC, and more memory.
fn extend(spec: &mut Spec) {
    spec.config.memory = Mebibytes(768);
    spec.config.disks.push(disk("data"));
    spec.config.nics.push(nic(json!({ "name": "eth", "network": "lan" })));
}

/// They have been made, claimed and counted.
async fn is_extended(bench: &Bench, vm: VmId) {
    let spec = bench.spec(vm);
    assert_eq!((spec.config.memory, spec.revision.0), (Mebibytes(768), 2));
    assert!(bench.volumes(vm).join("data.qcow2").exists());
    let [address] = bench.assigned(vm, "eth")[..] else { panic!("one address is its") };
    let taken = json!({ "name": "thief", "nics": [
        { "name": "eth", "network": "lan", "addresses": [address] },
    ] });
    let refused = bench.refused(crate::support::create(taken)).await;
    assert!(refused.to_string().contains(&address.to_string()), "{refused}");
    assert_eq!(bench.engine.diagnose().usage.disk.0, 1 << 20);
    let edits = bench.tasks("edit");
    assert_eq!((edits.len(), edits[0].state), (1, TaskState::Done));
    assert_eq!(edits[0].caller, "by-hand");
    assert_eq!(bench.vm(vm).problem, None);
    assert!(!bench.rejected(vm).exists());
    bench.is_sound().await;
}

#[tokio::test]
async fn a_spec_that_was_edited_by_hand_is_edited() {
    let bench = Bench::new().await;
    bench.lan().await;
    let (vm, other) = (bench.create("web").await, bench.create("other").await);
    bench.idle().await;
    edit_by_hand(bench.path(), vm, extend);
    bench.surveyed().await;
    is_extended(&bench, vm).await;
    // What nobody has changed is no change.
    let revision = bench.snapshot().revision;
    bench.surveyed().await;
    assert_eq!(bench.snapshot().revision, revision);
    bench.powers(vm, &[START]).await;
    let machine = bench.world.machine(vm).unwrap();
    assert_eq!((machine.incarnation.memory, machine.devices.len()), (Mebibytes(768), 2));
    bench.powers(vm, &[STOP]).await;
    assert_eq!(bench.state(other), VmState::Stopped);
    bench.is_sound().await;
}

/// Nobody knows then what it was before, but for devices.
#[tokio::test]
async fn a_spec_that_was_edited_by_hand_while_the_daemon_was_away_is_edited() {
    let bench = Bench::new().await;
    bench.lan().await;
    let vm = bench.create("web").await;
    bench.idle().await;
    let bench = bench.restart_with(|ended| edit_by_hand(ended.path(), vm, extend)).await;
    bench.surveyed().await;
    is_extended(&bench, vm).await;
    bench.powers(vm, &[START]).await;
    bench.is_sound().await;
}

/// As it is done with an editor: first the text, then the checksum that the VM's problem names.
#[tokio::test]
async fn a_spec_that_was_quarantined_on_the_way_is_edited() {
    let bench = Bench::new().await;
    bench.lan().await;
    let vm = bench.create("web").await;
    bench.idle().await;
    let before = bench.spec(vm);
    edit_by_hand(bench.path(), vm, extend);
    let file = bench.spec_file(vm);
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replacen("sha256:", "sha256:0", 1)).unwrap();
    bench.engine.survey().await;
    bench.until_state(vm, VmState::Quarantined).await;
    std::fs::write(&file, whole).unwrap();
    bench.surveyed().await;
    is_extended(&bench, vm).await;
    assert_eq!(bench.spec(vm).created, before.created);
}

/// A spec that nobody could have asked for is no better for having been written by hand.
#[tokio::test]
async fn a_spec_that_is_not_allowed_is_refused_and_what_was_in_force_stays() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.create("other").await;
    bench.idle().await;
    let before = bench.spec(vm);
    type Edit = fn(&mut Spec);
    let edits: [(&str, &str, Edit); 7] = [
        ("a value out of range", "cpus", |spec| spec.config.cpus = 0),
        ("more than there is", "memory", |spec| spec.config.memory = Mebibytes(1 << 30)),
        ("another VM's name", "other", |spec| spec.config.name = "other".parse().unwrap()),
        ("another disk", "root", |spec| spec.config.disks[0].size = None),
        ("no network", "nowhere", |spec| {
            spec.config.nics.push(nic(json!({ "name": "eth", "network": "nowhere" })));
        }),
        ("what verbs do", "inn start", |spec| spec.want = Want::Running),
        ("what is not a person's", "assigned", |spec| spec.assigned.machine = "m".into()),
    ];
    for (what, why, edit) in edits {
        edit_by_hand(bench.path(), vm, edit);
        let written = stored(bench.path(), vm);
        bench.surveyed().await;
        let problem = bench.vm(vm).problem.unwrap_or_default();
        assert!(problem.contains("by hand") && problem.contains(why), "{what}: {problem}");
        assert!(problem.contains(bench.rejected(vm).to_str().unwrap()), "{what}: {problem}");
        assert_eq!(bench.spec(vm), before, "{what}");
        assert_eq!(stored(bench.path(), vm), before, "{what}");
        assert_ne!(written, before, "{what}");
    }
    // Nor does it come into force by the back door.
    let bench = bench.restart().await;
    bench.surveyed().await;
    assert_eq!(bench.spec(vm), before);
    assert!(bench.vm(vm).problem.unwrap().contains("by hand"));
    edit_by_hand(bench.path(), vm, |spec| spec.config.cpus = 3);
    bench.surveyed().await;
    assert_eq!((bench.spec(vm).config.cpus, bench.vm(vm).problem), (3, None));
    assert!(!bench.rejected(vm).exists());
    bench.is_sound().await;
}

#[tokio::test]
async fn what_was_refused_goes_with_its_vm() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.idle().await;
    edit_by_hand(bench.path(), vm, |spec| spec.config.cpus = 0);
    bench.surveyed().await;
    assert!(bench.rejected(vm).exists());
    bench.must(Request::Delete { vm, force: false }).await;
    bench.is_empty().await;
}

/// Its volume cannot be made, which shows in its turn only.
#[tokio::test]
async fn an_edit_by_hand_that_fails_is_undone() {
    let gate = crate::networks::Gate::failing("edit/save-spec/before-journal", &[]);
    let bench = Bench::witnessed(Default::default(), Some(gate)).await;
    let vm = bench.create("web").await;
    bench.idle().await;
    let before = bench.spec(vm);
    edit_by_hand(bench.path(), vm, |spec| spec.config.disks.push(disk("data")));
    bench.surveyed().await;
    bench.until("told", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    assert!(bench.vm(vm).problem.unwrap().contains("as it was told to"));
    assert_eq!((bench.spec(vm), stored(bench.path(), vm)), (before.clone(), before));
    assert!(bench.rejected(vm).exists());
}

#[tokio::test]
async fn a_spec_that_was_edited_by_hand_while_its_vm_was_busy_is_taken_over_later() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    bench.idle().await;
    let fault = bench.hangs("sim/reset");
    let reset = bench.submit(Request::Power { vm, verb: PowerVerb::Reset }).await.unwrap();
    bench.until("busy", |snapshot| snapshot.vms[&vm].task == Some(reset.task)).await;
    edit_by_hand(bench.path(), vm, |spec| spec.config.memory = Mebibytes(768));
    bench.engine.survey().await;
    assert_ne!(bench.spec(vm).config.memory, Mebibytes(768));
    bench.world.take_away(fault);
    assert_eq!(bench.end_of(&reset).await.state, TaskState::Done);
    bench.surveyed().await;
    assert_eq!(bench.spec(vm).config.memory, Mebibytes(768), "nobody stored it since");
    bench.is_sound().await;
}

/// One that is wanted running is started with the host as it was; what was added is for its next start.
#[tokio::test]
async fn a_spec_that_was_edited_by_hand_is_started_with_the_host() {
    let bench = Bench::new().await;
    bench.lan().await;
    let vm = bench.started("web").await;
    bench.idle().await;
    let change = |ended: &mut Ended| {
        edit_by_hand(ended.path(), vm, extend);
        ended.reboot_host();
    };
    let bench = bench.restart_with(change).await;
    bench.until_state(vm, VmState::Running).await;
    bench.surveyed().await;
    assert!(bench.volumes(vm).join("data.qcow2").exists());
    bench.powers(vm, &[STOP, START]).await;
    assert_eq!(bench.world.machine(vm).unwrap().devices.len(), 2);
    bench.is_sound().await;
}
