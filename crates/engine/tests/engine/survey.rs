//! What no event tells: files changed by hand, disks, and machines of others.

use crate::{
    by_hand::edit_by_hand,
    support::{Bench, START, furnished, stranger},
};
use innkeeper_engine::Request;
use innkeeper_model::{ByteSize, Code, TaskState, VmState};
use std::process::Command;

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
