//! What no event tells: files changed by hand, disks, and machines of others.

use crate::support::{Bench, START, furnished, stranger};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{ByteSize, Code, Mebibytes, TaskState, VmId, VmState};
use innkeeper_store::{SpecStore, StoredSpec};
use innkeeper_view::Delivery;
use std::{path::Path, process::Command};

/// Changes a stored spec as a person does who knows the file's shape.
pub(crate) fn edit_by_hand(folder: &Path, vm: VmId, edit: impl FnOnce(&mut innkeeper_model::Spec)) {
    let specs = SpecStore::open(folder.join("vms")).unwrap();
    let Some(StoredSpec::Whole(mut spec)) = specs.load_one(vm) else { panic!("it is whole") };
    edit(&mut spec);
    specs.save(&spec).unwrap();
}

#[tokio::test]
async fn a_spec_that_was_edited_by_hand_becomes_an_ordinary_change() {
    let bench = Bench::new().await;
    let (vm, other) = (bench.create("web").await, bench.create("other").await);
    bench.idle().await;
    let mut changes = bench.engine.view().subscribe(None);
    edit_by_hand(bench.path(), vm, |spec| spec.config.memory = Mebibytes(768));
    bench.engine.survey().await;
    bench
        .until("taken over", |snapshot| {
            snapshot.vms[&vm].spec.as_ref().unwrap().config.memory == Mebibytes(768)
        })
        .await;
    let Delivery::Changes(batch) = changes.next().await.unwrap() else { panic!("no gap") };
    assert_eq!(batch.entries().len(), 1, "and nothing else: {batch:?}");
    bench.is_sound().await;
    // What nobody has changed is no change.
    let revision = bench.snapshot().revision;
    bench.engine.survey().await;
    bench.idle().await;
    assert_eq!(bench.snapshot().revision, revision);
    bench.powers(vm, &[START]).await;
    assert_eq!(bench.world.machine(vm).unwrap().incarnation.memory, Mebibytes(768));
    assert_eq!(bench.state(other), VmState::Stopped);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_spec_that_was_damaged_by_hand_is_quarantined_and_mended_is_served() {
    let bench = Bench::new().await;
    let (vm, other) = (bench.started("web").await, bench.create("other").await);
    bench.idle().await;
    let (file, whole) = (bench.spec_file(vm), std::fs::read(bench.spec_file(vm)).unwrap());
    std::fs::write(&file, "{").unwrap();
    bench.engine.survey().await;
    bench.until_state(vm, VmState::Quarantined).await;
    let quarantined = bench.vm(vm);
    assert!(quarantined.problem.unwrap().contains(file.to_str().unwrap()));
    assert_eq!(quarantined.name.as_str(), "web");
    assert_eq!(bench.machine(vm), innkeeper_model::MachineState::Running, "its guest runs on");
    bench.powers(other, &[START]).await;
    let refused = bench.refused(Request::Power { vm, verb: START }).await;
    assert_eq!(refused.code, Code::WrongState);
    assert_eq!(std::fs::read(&file).unwrap(), b"{", "nothing is erased");

    std::fs::write(&file, whole).unwrap();
    bench.engine.survey().await;
    bench.until_state(vm, VmState::Running).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_spec_that_was_edited_by_hand_while_the_daemon_was_away_is_taken_as_it_is() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.idle().await;
    let bench = bench
        .restart_with(|ended| edit_by_hand(ended.path(), vm, |spec| spec.config.cpus = 3))
        .await;
    assert_eq!(bench.vm(vm).spec.unwrap().config.cpus, 3);
    bench.powers(vm, &[START]).await;
    bench.is_sound().await;
}

/// A spec that nobody could have asked for is no better for having been written by hand.
#[tokio::test]
async fn a_spec_that_is_not_allowed_is_not_taken_over() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.create("other").await;
    bench.idle().await;
    type Edit = fn(&mut innkeeper_model::Spec);
    let edits: [(&str, Edit); 2] = [
        ("a value out of range", |spec| spec.config.cpus = 0),
        ("another VM's name", |spec| spec.config.name = "other".parse().unwrap()),
    ];
    for (what, edit) in edits {
        let whole = std::fs::read(bench.spec_file(vm)).unwrap();
        edit_by_hand(bench.path(), vm, edit);
        bench.engine.survey().await;
        bench.idle().await;
        let seen = bench.vm(vm);
        let config = seen.spec.map(|spec| (spec.config.cpus, spec.config.name.to_string()));
        let taken = config.is_some_and(|config| config != (1, "web".into()));
        assert!(!taken && seen.problem.is_some(), "{what}: {:?}", seen.problem);
        std::fs::write(bench.spec_file(vm), whole).unwrap();
        bench.engine.survey().await;
        bench.until_state(vm, VmState::Stopped).await;
    }
}

#[tokio::test]
async fn a_disk_that_was_resized_offline_is_seen() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    let size = |name: &str| {
        let disks = bench.vm(vm).disks;
        disks.iter().find(|disk| disk.name.as_str() == name).map(|disk| disk.virtual_size)
    };
    bench.engine.survey().await;
    bench.until_so("looked at", || size("root") == Some(ByteSize(1 << 20))).await;
    let resized = Command::new("qemu-img")
        .args(["resize", "-q", "-f", "qcow2"])
        .arg(bench.volumes(vm).join("root.qcow2"))
        .arg("3M")
        .status();
    assert!(resized.unwrap().success());
    bench.engine.survey().await;
    bench.until_so("seen", || size("root") == Some(ByteSize(3 << 20))).await;
    assert_eq!(size("more"), Some(ByteSize(1 << 20)));
    bench.is_sound().await;
}

#[tokio::test]
async fn what_is_being_done_is_not_disturbed() {
    let (bench, stop) = Bench::stopping_at("edit/save-spec/before-journal").await;
    let vm = bench.create("web").await;
    bench.idle().await;
    let mut edited = bench.vm(vm).spec.unwrap().config.clone();
    edited.cpus = 2;
    let edit = Request::Edit { vm, config: Box::new(edited), expected: None };
    let accepted = bench.submit(edit).await.unwrap();
    stop.reached().await;
    edit_by_hand(bench.path(), vm, |spec| spec.config.cpus = 7);
    bench.engine.survey().await;
    assert_eq!(bench.vm(vm).spec.unwrap().config.cpus, 1);
    assert_eq!(bench.engine.task(accepted.task).await.unwrap().state, TaskState::Running);
    drop(bench.end().await);
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
    let memory = || bench.vm(vm).spec.unwrap().config.memory;
    bench.engine.survey().await;
    assert_ne!(memory(), Mebibytes(768));
    bench.world.take_away(fault);
    assert_eq!(bench.end_of(&reset).await.state, TaskState::Done);
    bench.idle().await;
    bench.engine.survey().await;
    assert_eq!(memory(), Mebibytes(768), "nobody stored it since");
    bench.is_sound().await;
}

#[tokio::test]
async fn machines_of_others_are_shown_while_they_are_there_and_never_touched() {
    let bench = Bench::new().await;
    let foreign = bench.world.add_foreign(stranger());
    bench.engine.survey().await;
    bench.until("seen", |snapshot| snapshot.host.foreign == [foreign.clone()]).await;
    let vm = bench.started("stranger").await;
    bench.must(Request::Delete { vm, force: true }).await;
    assert_eq!(bench.world.foreign(), std::slice::from_ref(&foreign));
    assert!(bench.world.end_foreign(foreign.process));
    bench.engine.survey().await;
    bench.until("gone", |snapshot| snapshot.host.foreign.is_empty()).await;
}
