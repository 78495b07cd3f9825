//! What the files of one VM may take.

use crate::support::{Bench, RESUME, START, STOP, SUSPEND, create};
use innkeeper_engine::Request;
use innkeeper_model::{ByteSize, Code, Refusal, VmId, VmState};
use serde_json::json;
use std::{fs, io::Write};

const MIB: usize = 1 << 20;

async fn vm(bench: &Bench, quota: &str) -> VmId {
    let disk = json!({ "name": "root", "size": "1GiB" });
    let of = json!({ "name": "web", "memory": "16MiB", "quota": quota, "disks": [disk] });
    bench.create_of(of).await
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
    let said = |vm: &innkeeper_model::Vm| vm.problem.clone().unwrap_or_default();
    bench.until_so("why", || said(&bench.vm(vm)).starts_with("over its quota")).await;
    is_about_the_quota(&bench.refused(Request::Power { vm, verb: RESUME }).await);
    bench.must(edit(&bench, vm, Some(8))).await;
    bench.until_so("not any more", || bench.vm(vm).problem.is_none()).await;
    bench.powers(vm, &[RESUME]).await;
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
