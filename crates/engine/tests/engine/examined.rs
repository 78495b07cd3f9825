//! A VM that an operator wants looked at: all that is known of it is asked anew.

use crate::{
    by_hand::edit_by_hand,
    support::{Bench, START, Setup, as_told, caller, furnished},
};
use innkeeper_model::{ByteSize, Mebibytes, TaskState, VmState};
use innkeeper_sim::{CallKind, Fault, FaultRule, Happening, WorldOptions};
use std::{
    process::Command,
    time::{Duration, Instant},
};

#[tokio::test]
async fn the_hypervisor_is_asked() {
    let world = WorldOptions { noticed_after: Duration::from_secs(3600), ..Setup::default().world };
    let bench = Bench::with(Setup { world, ..Setup::default() }).await;
    let (vm, other) = (bench.started("web").await, bench.started("other").await);
    assert!(bench.world.stop_answering(vm) && bench.world.stop_answering(other));
    bench.idle().await;
    assert_eq!(bench.state(vm), VmState::Running, "nobody has noticed");
    bench.engine.reconcile(&caller(), vm);
    bench.until_state(vm, VmState::Unresponsive).await;
    assert_eq!(bench.state(other), VmState::Running, "nobody asked");
}

#[tokio::test]
async fn its_spec_and_its_disks_are_looked_at() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.idle().await;
    let resized = Command::new("qemu-img")
        .args(["resize", "-q", "-f", "qcow2"])
        .arg(bench.volumes(vm).join("root.qcow2"))
        .arg("3M")
        .status();
    assert!(resized.unwrap().success());
    edit_by_hand(bench.path(), vm, |spec| spec.config.memory = Mebibytes(768));
    bench.engine.reconcile(&caller(), vm);
    bench
        .until("seen", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.spec.as_ref().unwrap().config.memory == Mebibytes(768)
                && vm.disks.iter().any(|disk| disk.virtual_size == ByteSize(3 << 20))
        })
        .await;
    assert_eq!(bench.tasks("edit")[0].state, TaskState::Done);
    bench.is_sound().await;
}

/// By itself it is tried after 1 s, 2 s, 4 s, 8 s and 16 s.
#[tokio::test]
async fn what_is_owed_is_tried_at_once() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let fails = || Fault::Fails(as_told());
    let start = bench.world.inject(FaultRule::new("sim/continue", fails()));
    let undo = bench.world.inject(FaultRule::new("sim/launch", fails()).when(CallKind::Undo));
    assert!(!bench.power(vm, START).await.leftovers.is_empty());
    bench.world.take_away(start);
    bench.world.watch_calls();
    let tries = || bench.world.calls().iter().filter(|call| call.kind == CallKind::Undo).count();
    let began = Instant::now();
    for nth in 1..=5 {
        bench.engine.reconcile(&caller(), vm);
        bench.until_so("tried", || tries() >= nth).await;
    }
    bench.world.take_away(undo);
    bench.engine.reconcile(&caller(), vm);
    bench.is_sound().await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(bench.vm(vm).problem, None);
}

/// By itself a put-away that failed is tried again after 1 s, 2 s, 4 s, 8 s and 16 s.
#[tokio::test]
async fn what_its_policy_says_is_done_without_patience() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let fault = bench.fails("sim/put-away");
    bench.world.guest(vm, Happening::PowersOff);
    let tried = |count: usize| {
        let bench = &bench;
        move || {
            let ended = bench.tasks("put-away").into_iter().filter(|task| task.ended.is_some());
            ended.count() >= count
        }
    };
    let began = Instant::now();
    for nth in 1..=5 {
        bench.until_so("tried", tried(nth)).await;
        bench.quiet().await;
        bench.engine.reconcile(&caller(), vm);
    }
    bench.until_so("tried", tried(6)).await;
    bench.world.take_away(fault);
    bench.quiet().await;
    bench.engine.reconcile(&caller(), vm);
    bench.is_sound().await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
