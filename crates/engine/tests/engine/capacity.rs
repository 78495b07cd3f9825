//! What the host has is given once, and given back.

use crate::support::{Bench, REBOOT, RESUME, START, STOP, SUSPEND, Setup, create};
use innkeeper_engine::{Capacity, PowerVerb, Request};
use innkeeper_model::{
    ByteSize, Code, Mebibytes, Quota, Refusal, TaskState, VmState, diagnosis::UsageDiagnosis,
};
use serde_json::json;

/// A host that may give this much.
async fn bench(host: Quota) -> Bench {
    let quota = Quota { vms: Some(1), cpus: Some(1), ..Quota::default() };
    let quotas = [("small".parse().unwrap(), quota)].into();
    Bench::with(Setup {
        capacity: Capacity { host, quotas, ..Capacity::default() },
        ..Setup::default()
    })
    .await
}

/// What is given; what the pool has is other programs' doing, too.
fn usage(bench: &Bench) -> UsageDiagnosis {
    UsageDiagnosis { pool: None, ..bench.engine.diagnose().usage }
}

fn is_for_lack_of(refusal: &Refusal, field: &str) {
    assert_eq!(
        (refusal.code, refusal.field.as_deref()),
        (Code::OutOfCapacity, Some(field)),
        "{refusal}"
    );
    assert!(refusal.value.is_some() && refusal.hint.is_some());
}

#[tokio::test]
async fn memory_is_given_once_and_given_back() {
    let bench = bench(Quota { memory: Some(Mebibytes(1000)), ..Quota::default() }).await;
    let of = |name: &str| json!({ "name": name, "memory": "600MiB" });
    let (one, other) = (bench.create_of(of("one")).await, bench.create_of(of("other")).await);
    bench.powers(one, &[START]).await;
    let refusal = bench.power(other, START).await.error.unwrap();
    is_for_lack_of(&refusal, "memory");
    // Whoever sees the host sees there how much there is: a tenant is refused as well.
    let told = format!("{refusal:?}");
    assert!(!told.contains("1000") && told.contains("inn diagnose"), "{told}");
    assert_eq!(usage(&bench).memory, Mebibytes(600));
    assert_eq!(usage(&bench).bounds.memory, Some(Mebibytes(1000)));
    assert_eq!(bench.state(other), VmState::Stopped);
    bench.is_sound().await;
    for end in [STOP, PowerVerb::Kill, PowerVerb::Suspend] {
        bench.powers(one, &[end]).await;
        assert_eq!(usage(&bench).memory, Mebibytes(0), "{end:?}");
        bench.powers(other, &[START, STOP]).await;
        let again = if end == PowerVerb::Suspend { PowerVerb::Resume } else { START };
        bench.powers(one, &[again]).await;
    }
    // A guest that ends by itself gives back, too; and one that is deleted.
    bench.world.guest(one, innkeeper_sim::Happening::PowersOff);
    bench.until_state(one, VmState::Stopped).await;
    bench.powers(other, &[START]).await;
    bench.must(Request::Delete { vm: other, force: true }).await;
    bench.powers(one, &[START]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn what_fails_gives_back_and_a_reboot_keeps() {
    let bench = bench(Quota { cpus: Some(1), ..Quota::default() }).await;
    let vm = bench.create("web").await;
    let fault = bench.fails("sim/continue");
    assert_eq!(bench.power(vm, START).await.state, TaskState::Failed);
    assert_eq!(usage(&bench).cpus, 0);
    bench.world.take_away(fault);
    bench.powers(vm, &[START, REBOOT]).await;
    assert_eq!(usage(&bench).cpus, 1);
    let fault = bench.fails("sim/power-down");
    assert_eq!(bench.power(vm, REBOOT).await.state, TaskState::Failed);
    bench.world.take_away(fault);
    assert_eq!((usage(&bench).cpus, bench.state(vm)), (1, VmState::Running), "it runs on");
    bench.is_sound().await;
}

#[tokio::test]
async fn a_machine_of_a_spec_that_was_changed_gives_back_what_it_took() {
    let bench = bench(Quota { cpus: Some(8), ..Quota::default() }).await;
    let vm = bench.create_of(json!({ "name": "web", "cpus": 2 })).await;
    bench.powers(vm, &[START]).await;
    let mut edited = bench.vm(vm).spec.unwrap().config.clone();
    edited.cpus = 5;
    bench.must(Request::Edit { vm, config: Box::new(edited), expected: None }).await;
    assert_eq!(usage(&bench).cpus, 2);
    let bench = bench.restart().await;
    assert_eq!(usage(&bench).cpus, 2, "by the machine, not by the wish");
    bench.powers(vm, &[REBOOT]).await;
    assert_eq!(usage(&bench).cpus, 5);
    bench.powers(vm, &[STOP]).await;
    assert_eq!(usage(&bench).cpus, 0);
}

#[tokio::test]
async fn what_a_machine_takes_is_by_the_machine_that_there_is_in_the_end() {
    let edited = async |bench: &Bench, vm| {
        let mut config = bench.vm(vm).spec.unwrap().config.clone();
        config.cpus = 5;
        bench.must(Request::Edit { vm, config: Box::new(config), expected: None }).await;
    };
    // A reboot that fails leaves the old one.
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    edited(&bench, vm).await;
    let fault = bench.fails("sim/power-down");
    assert_eq!(bench.power(vm, REBOOT).await.state, TaskState::Failed);
    bench.world.take_away(fault);
    assert_eq!(usage(&bench).cpus, 1);
    // Memory that was kept is that of the old one.
    bench.powers(vm, &[SUSPEND, RESUME]).await;
    assert_eq!(usage(&bench).cpus, 1);
    bench.is_sound().await;
    // A reboot that the next daemon finishes makes the new one.
    let (bench, stop) = Bench::stopping_at("reboot/sim/power-down/before-journal").await;
    let vm = bench.started("web").await;
    edited(&bench, vm).await;
    let accepted = bench.submit(Request::Power { vm, verb: REBOOT }).await.unwrap();
    stop.reached().await;
    let bench = bench.killed().await.begin().await;
    assert_eq!(bench.end_of(&accepted).await.state, TaskState::Done);
    assert_eq!(usage(&bench).cpus, 5);
    bench.is_sound().await;
}

#[tokio::test]
async fn disks_and_vms_are_bounded_by_what_they_may_grow_to() {
    let bench =
        bench(Quota { disk: Some(ByteSize(5 << 20)), vms: Some(3), ..Quota::default() }).await;
    let of = |name: &str, size: &str| {
        create(json!({ "name": name, "disks": [{ "name": "root", "size": size }] }))
    };
    let one = bench.must(of("one", "3MiB")).await.vm.unwrap();
    is_for_lack_of(&bench.refused(of("two", "3MiB")).await, "disk");
    let clone = Request::Clone { vm: one, name: "copy".parse().unwrap() };
    is_for_lack_of(&bench.refused(clone).await, "disk");
    bench.must(of("two", "2MiB")).await;
    assert_eq!(usage(&bench).disk, ByteSize(5 << 20));
    let mut edited = bench.vm(one).spec.unwrap().config.clone();
    edited.disks.push(crate::support::disk("more"));
    let edit = Request::Edit { vm: one, config: Box::new(edited.clone()), expected: None };
    is_for_lack_of(&bench.run(edit).await.error.unwrap(), "disk");
    bench.must(create(json!({ "name": "three" }))).await;
    is_for_lack_of(&bench.refused(create(json!({ "name": "four" }))).await, "vms");
    bench.is_sound().await;
    let before = usage(&bench);
    let bench = bench.restart().await;
    assert_eq!(usage(&bench), before);
    // A disk less, and there is room for another.
    edited.disks = vec![crate::support::disk("other")];
    bench.must(Request::Edit { vm: one, config: Box::new(edited), expected: None }).await;
    assert_eq!(usage(&bench).disk, ByteSize(3 << 20));
    bench.must(Request::Delete { vm: one, force: false }).await;
    bench.must(of("four", "3MiB")).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_project_has_its_quota_and_others_have_not() {
    let bench = bench(Quota::default()).await;
    let of = |name: &str, project: &str| json!({ "name": name, "project": project, "cpus": 2 });
    let vm = bench.create_of(of("one", "small")).await;
    is_for_lack_of(&bench.refused(create(of("two", "small"))).await, "vms");
    is_for_lack_of(&bench.power(vm, START).await.error.unwrap(), "cpus");
    let other = bench.create_of(of("one", "large")).await;
    bench.powers(other, &[START]).await;
    // It moves to where there is room, and back to where there is none.
    let mut edited = bench.vm(vm).spec.unwrap().config.clone();
    edited.project = "large".parse().unwrap();
    edited.name = "moved".parse().unwrap();
    bench.must(Request::Edit { vm, config: Box::new(edited), expected: None }).await;
    bench.powers(vm, &[START, STOP]).await;
    bench.create_of(of("two", "small")).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn of_two_who_would_fit_alone_one_is_let_in() {
    let bench = bench(Quota { cpus: Some(1), ..Quota::default() }).await;
    let mut vms = Vec::new();
    for name in ["a", "b", "c", "d"] {
        vms.push(bench.create(name).await);
    }
    let starts = vms.iter().map(|vm| bench.power(*vm, START));
    let ends = futures_util::future::join_all(starts).await;
    let done = ends.iter().filter(|task| task.state == TaskState::Done).count();
    assert_eq!((done, usage(&bench).cpus), (1, 1));
    bench.is_sound().await;
}
