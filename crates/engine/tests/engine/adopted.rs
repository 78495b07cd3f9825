//! A machine that somebody else made, taken over by explicit word.

use crate::{
    by_hand::edit_by_hand,
    support::{Bench, Ended, START, STOP, caller, stranger},
};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Code, Foreign, Policy, TaskState, VmId, VmState, Want};
use innkeeper_session::Role;
use innkeeper_sim::Happening;

async fn adopted(bench: &Bench) -> (Foreign, VmId) {
    let foreign = bench.world.add_foreign(stranger());
    let adopt = Request::Adopt { pid: foreign.process.pid, name: None };
    let vm = bench.must(adopt).await.vm.unwrap();
    (foreign, vm)
}

#[tokio::test]
async fn it_becomes_a_vm_and_goes_on_as_it_was() {
    let bench = Bench::new().await;
    let (foreign, vm) = adopted(&bench).await;
    let seen = bench.vm(vm);
    assert_eq!(
        (seen.state, seen.want, seen.name.as_str()),
        (VmState::Running, Some(Want::Running), "stranger")
    );
    let machine = seen.incarnation.unwrap();
    assert!(machine.adopted && machine.process == Some(foreign.process));
    let spec = seen.spec.unwrap();
    assert!(spec.draft);
    assert_eq!((spec.config.cpus, spec.config.memory), (2, foreign.memory.unwrap()));
    assert!(bench.world.foreign().is_empty());
    bench.is_sound().await;
    bench.engine.open_console(&caller(), vm, Role::Write).await.unwrap();
}

#[tokio::test]
async fn it_is_stopped_like_any_other_and_started_when_its_spec_was_confirmed() {
    let bench = Bench::new().await;
    let (_, vm) = adopted(&bench).await;
    bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume]).await;
    let task = bench.power(vm, PowerVerb::Suspend).await;
    assert_eq!(task.error.unwrap().code, Code::Unsupported);
    let reboot = PowerVerb::Reboot { timeout: crate::support::LONG, force: false };
    let refused = bench.power(vm, reboot).await.error.unwrap();
    assert_eq!(refused.code, Code::WrongState, "the next machine would be made of the draft");
    assert_eq!(bench.state(vm), VmState::Running);
    bench.powers(vm, &[STOP]).await;
    let refused = bench.power(vm, START).await.error.unwrap();
    assert_eq!(refused.code, Code::WrongState);
    assert!(refused.message.contains("drafted") && refused.hint.unwrap().contains("inn edit"));
    let refused = bench.engine.dry_run(Request::Power { vm, verb: START }).await.unwrap_err();
    assert!(refused.message.contains("drafted"));
    bench.is_sound().await;
    let config = Box::new(bench.vm(vm).spec.unwrap().config.clone());
    bench.must(Request::Edit { vm, config, expected: None }).await;
    assert!(!bench.vm(vm).spec.unwrap().draft, "a person has saved it");
    bench.powers(vm, &[START, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn it_is_killed_and_deleted_like_any_other() {
    let bench = Bench::new().await;
    let (_, vm) = adopted(&bench).await;
    bench.powers(vm, &[PowerVerb::Kill]).await;
    bench.must(Request::Delete { vm, force: false }).await;
    let (_, vm) = adopted(&bench).await;
    bench.must(Request::Delete { vm, force: true }).await;
    bench.is_empty().await;
}

#[tokio::test]
async fn it_outlives_the_daemon_and_is_not_started_with_the_host() {
    let bench = Bench::new().await;
    let (foreign, vm) = adopted(&bench).await;
    let bench = bench.restart().await;
    assert_eq!(bench.state(vm), VmState::Running);
    assert_eq!(bench.world.machine(vm).unwrap().incarnation.process, Some(foreign.process));
    let bench = bench.restart_with(Ended::reboot_host).await;
    assert_eq!(bench.state(vm), VmState::Stopped);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_cannot_be_adopted_is_refused_and_left_alone() {
    let bench = Bench::new().await;
    let why = Some("libvirt manages it".to_owned());
    let libvirts = bench.world.add_foreign(Foreign { not_adoptable: why, ..stranger() });
    let adopt = |pid, name: Option<&str>| Request::Adopt {
        pid,
        name: name.map(|name| name.parse().unwrap()),
    };
    let refused = bench.refused(adopt(libvirts.process.pid, None)).await;
    assert_eq!(refused.code, Code::Unsupported);
    assert!(refused.message.contains("libvirt"));
    assert_eq!(bench.refused(adopt(1, None)).await.code, Code::NotFound);
    bench.create("stranger").await;
    let theirs = bench.world.add_foreign(stranger());
    assert_eq!(bench.refused(adopt(theirs.process.pid, None)).await.code, Code::NameTaken);
    bench.must(adopt(theirs.process.pid, Some("another"))).await;
    assert_eq!(bench.world.foreign(), [libvirts]);
    bench.is_sound().await;
}

#[tokio::test]
async fn one_that_cannot_be_taken_over_after_all_is_theirs_again() {
    let bench = Bench::new().await;
    let foreign = bench.world.add_foreign(stranger());
    let fault = bench.fails("sim/adopt");
    let task = bench.run(Request::Adopt { pid: foreign.process.pid, name: None }).await;
    assert_eq!(task.state, TaskState::Failed);
    bench.world.take_away(fault);
    assert_eq!(bench.world.foreign(), std::slice::from_ref(&foreign));
    bench.is_empty().await;
    // Two who want it at once: one gets it.
    let adopt = |name: &str| {
        let name = Some(name.parse().unwrap());
        let request = Request::Adopt { pid: foreign.process.pid, name };
        let bench = &bench;
        async move { bench.engine.submit(&caller(), request).await }
    };
    let (one, other) = tokio::join!(adopt("one"), adopt("other"));
    let mut done = 0;
    for accepted in [one, other].into_iter().flatten() {
        done += usize::from(bench.end_of(&accepted).await.state == TaskState::Done);
    }
    assert_eq!(done, 1);
    bench.is_sound().await;
}

/// What a machine would be made of again is a guess until somebody has looked at it.
#[tokio::test]
async fn it_is_not_made_again_before_its_spec_was_confirmed() {
    let bench = Bench::new().await;
    let (_, vm) = adopted(&bench).await;
    // A policy that was written into the file confirms nothing.
    bench.idle().await;
    edit_by_hand(bench.path(), vm, |spec| spec.config.on.shutdown = Policy::Restart);
    bench.engine.survey().await;
    assert!(bench.world.guest(vm, Happening::PowersOff));
    bench.until("left", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    bench.is_sound().await;
    assert_eq!(bench.state(vm), VmState::Stopped);
    let problem = bench.vm(vm).problem.unwrap();
    assert!(problem.contains("inn edit"), "{problem}");
    let bench = bench.restart_with(Ended::reboot_host).await;
    assert_eq!(bench.state(vm), VmState::Stopped);
    // Nor is a copy of it confirmed.
    let clone = Request::Clone { vm, name: "copy".parse().unwrap() };
    let copy = bench.must(clone).await.vm.unwrap();
    assert_eq!(bench.power(copy, START).await.error.unwrap().code, Code::WrongState);
    bench.is_sound().await;
}
