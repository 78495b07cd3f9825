//! What the files of one VM may take.

use crate::support::{Bench, RESUME, START, STOP, SUSPEND, caller, create};
use innkeeper_engine::Request;
use innkeeper_model::{ByteSize, Code, Refusal, TaskState, VmId, VmState};
use innkeeper_sim::{Fault, FaultRule};
use serde_json::{Value, json};
use std::{fs, io::Write};

const MIB: usize = 1 << 20;

fn of(name: &str, quota: &str) -> Value {
    let disk = json!({ "name": "root", "size": "1GiB" });
    json!({ "name": name, "memory": "16MiB", "quota": quota, "disks": [disk] })
}

async fn vm(bench: &Bench, quota: &str) -> VmId {
    bench.create_of(of("web", quota)).await
}

/// What is said to be wrong with it.
fn said(bench: &Bench, vm: VmId) -> String {
    bench.vm(vm).problem.unwrap_or_default()
}

/// What its guest writes to its disk.
fn grows(bench: &Bench, vm: VmId, bytes: usize) {
    let volume = bench.volumes(vm).join("root.qcow2");
    let mut file = fs::OpenOptions::new().append(true).open(volume).unwrap();
    file.write_all(&vec![1; bytes]).unwrap();
    file.sync_all().unwrap();
}

fn edit(bench: &Bench, vm: VmId, quota: Option<u64>) -> Request {
    let mut config = bench.vm(vm).spec.unwrap().config.clone();
    config.quota = quota.map(ByteSize::from_mebibytes);
    Request::Edit { vm, config: Box::new(config), expected: None }
}

fn is_about_the_quota(refusal: &Refusal) {
    assert_eq!(
        (refusal.code, refusal.field.as_deref()),
        (Code::OutOfCapacity, Some("quota")),
        "{refusal}"
    );
    assert!(refusal.value.is_some() && refusal.limit.is_some());
}

#[tokio::test]
async fn a_running_vm_over_its_quota_is_paused_and_goes_on_when_it_is_raised() {
    let bench = Bench::new().await;
    let vm = vm(&bench, "4MiB").await;
    bench.powers(vm, &[START]).await;
    grows(&bench, vm, 5 * MIB);
    bench.until_state(vm, VmState::Paused).await;
    bench.until_so("why", || said(&bench, vm).starts_with("over its quota")).await;
    is_about_the_quota(&bench.refused(Request::Power { vm, verb: RESUME }).await);
    bench.must(edit(&bench, vm, Some(8))).await;
    bench.until_so("not any more", || bench.vm(vm).problem.is_none()).await;
    bench.powers(vm, &[RESUME]).await;
    bench.is_sound().await;
}

/// Its guest decides how long a stop takes, and its owner how long that is waited for.
#[tokio::test]
async fn what_waits_for_its_guest_keeps_no_vm_from_being_paused() {
    let bench = Bench::new().await;
    let vm = vm(&bench, "4MiB").await;
    bench.powers(vm, &[START]).await;
    let hung = bench.hangs("sim/power-down");
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.world.until_hit(hung).await;
    grows(&bench, vm, 5 * MIB);
    bench.until_state(vm, VmState::Paused).await;
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    bench.until_so("why", || said(&bench, vm).ends_with("and paused for it")).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_that_cannot_be_paused_delays_no_other_and_is_not_said_to_be() {
    let bench = Bench::new().await;
    let (first, second) = (vm(&bench, "4MiB").await, bench.create_of(of("second", "4MiB")).await);
    bench.powers(first, &[START]).await;
    bench.powers(second, &[START]).await;
    let hung = bench.world.inject(FaultRule::new("sim/pause", Fault::Hangs).of(first));
    grows(&bench, first, 5 * MIB);
    bench.world.until_hit(hung).await;
    grows(&bench, second, 5 * MIB);
    bench.until_state(second, VmState::Paused).await;
    assert_eq!(said(&bench, first), "", "nothing has come of it");
    let pauses = bench.tasks("pause");
    let held = pauses.iter().find(|task| task.vm == Some(first)).unwrap();
    bench.engine.cancel(&caller(), held.id).await.unwrap();
    bench.until_so("that it failed", || said(&bench, first).ends_with("could not be paused")).await;
    bench.world.take_away(hung);
    bench.until_so("paused", || said(&bench, first).ends_with("and paused for it")).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn what_would_take_more_than_the_quota_is_refused_before_it_begins() {
    let bench = Bench::new().await;
    let vm = vm(&bench, "10MiB").await;
    bench.powers(vm, &[START]).await;
    // Its memory alone is more.
    is_about_the_quota(&bench.refused(Request::Power { vm, verb: SUSPEND }).await);
    bench.must(edit(&bench, vm, Some(20))).await;
    bench.powers(vm, &[SUSPEND, RESUME, STOP]).await;
    grows(&bench, vm, 6 * MIB);
    is_about_the_quota(&bench.refused(edit(&bench, vm, Some(5))).await);
    bench.must(edit(&bench, vm, Some(7))).await;
    grows(&bench, vm, 6 * MIB);
    is_about_the_quota(&bench.refused(Request::Power { vm, verb: START }).await);
    bench.must(edit(&bench, vm, None)).await;
    bench.powers(vm, &[START]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_quota_that_no_files_would_fit_in_is_refused() {
    let bench = Bench::new().await;
    let refusal = bench.refused(create(json!({ "name": "web", "quota": "512KiB" }))).await;
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::InvalidField, Some("quota")));
    assert_eq!(refusal.limit.as_deref(), Some("1MiB"));
}
