//! What is done about guests that end by themselves.

use crate::support::{Bench, START, Setup, caller};
use innkeeper_engine::PowerVerb;
use innkeeper_model::{EndReason, TaskState, VmId, VmState, Want};
use innkeeper_sim::{Clock, Happening, WorldOptions};
use serde_json::json;
use std::time::Duration;

/// A VM that runs, with these policies.
async fn running(bench: &Bench, policies: serde_json::Value) -> VmId {
    let vm = bench.create_of(json!({ "name": "web", "on": policies })).await;
    bench.powers(vm, &[START]).await;
    vm
}

async fn until_idle_as(bench: &Bench, vm: VmId, state: VmState) {
    bench
        .until(state.as_str(), |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == state && vm.task.is_none() && vm.incarnation.is_some() == vm.is_on()
        })
        .await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_is_put_away_and_wanted_stopped() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    bench.world.watch_calls();
    assert!(bench.world.guest(vm, Happening::PowersOff));
    until_idle_as(&bench, vm, VmState::Stopped).await;
    assert_eq!(bench.want(vm), Want::Stopped);
    assert_eq!(bench.vm(vm).facts.last_end, Some(EndReason::GuestShutdown));
    assert_eq!(bench.world.calls().last().unwrap().step, "sim/put-away");
}

#[tokio::test]
async fn a_guest_that_may_not_power_itself_off_is_started_again() {
    let world = WorldOptions { clock: Clock::Virtual, ..WorldOptions::default() };
    let bench = Bench::with(Setup { world, ..Setup::default() }).await;
    let vm = running(&bench, json!({ "shutdown": "restart" })).await;
    let first = bench.vm(vm).incarnation.unwrap().id;
    // The world's clock began in the past, and is an age ahead after this.
    bench.world.advance(Duration::from_secs(100 * 365 * 24 * 3600));
    bench.world.guest(vm, Happening::PowersOff);
    bench
        .until("started again", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == VmState::Running
                && vm.incarnation.as_ref().is_some_and(|machine| machine.id != first)
        })
        .await;
    bench.is_sound().await;
    assert_eq!(bench.want(vm), Want::Running);
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_at_once_is_not_started_for_ever() {
    let bench = Bench::new().await;
    let vm = running(&bench, json!({ "shutdown": "restart" })).await;
    bench.world.guest(vm, Happening::PowersOff);
    bench
        .until("left", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == VmState::Stopped && vm.problem.is_some()
        })
        .await;
    bench.is_sound().await;
    let left = bench.vm(vm).problem.unwrap();
    assert!(left.contains("powered itself off within 120 s"), "{left}");
    assert_eq!((bench.tasks("start").len(), bench.want(vm)), (1, Want::Running));
}

#[tokio::test]
async fn a_guest_that_reboots_is_reset_in_place_or_as_its_policy_says() {
    for (policy, state, want) in [
        ("restart", VmState::Running, Want::Running),
        ("stop", VmState::Stopped, Want::Stopped),
        ("pause", VmState::Ended, Want::Running),
    ] {
        let bench = Bench::new().await;
        let vm = running(&bench, json!({ "reboot": policy })).await;
        let first = bench.vm(vm).incarnation.unwrap().id;
        bench.world.guest(vm, Happening::Reboots);
        if policy == "restart" {
            bench.until("reset", |snapshot| snapshot.vms[&vm].facts.resets == 1).await;
            assert_eq!(bench.vm(vm).incarnation.unwrap().id, first);
        }
        until_idle_as(&bench, vm, state).await;
        assert_eq!(bench.want(vm), want, "{policy}");
    }
}

#[tokio::test]
async fn a_guest_that_panics_soon_after_its_start_is_not_started_again() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    bench.world.guest(vm, Happening::Panics);
    bench
        .until("left", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == VmState::Stopped && vm.problem.is_some()
        })
        .await;
    bench.is_sound().await;
    let left = bench.vm(vm);
    assert!(left.problem.unwrap().contains("within 120 s"));
    assert_eq!(left.facts.last_end, Some(EndReason::GuestPanic));
    assert_eq!(bench.tasks("start").len(), 1);
    // A person starts it, and what was wrong is past.
    bench.powers(vm, &[START]).await;
    bench.until("well", |snapshot| snapshot.vms[&vm].problem.is_none()).await;
}

#[tokio::test]
async fn a_guest_that_ran_for_long_is_started_again_after_a_panic() {
    let clock = Clock::Virtual;
    let world = WorldOptions { clock, ..WorldOptions::default() };
    let bench = Bench::with(Setup { world, ..Setup::default() }).await;
    let vm = bench.started("web").await;
    let first = bench.vm(vm).incarnation.unwrap().id;
    // The world's clock began in the past, and is an age ahead after this.
    bench.world.advance(Duration::from_secs(100 * 365 * 24 * 3600));
    bench.world.guest(vm, Happening::Panics);
    bench
        .until("started again", |snapshot| {
            let vm = &snapshot.vms[&vm];
            let again = vm.incarnation.as_ref().is_some_and(|machine| machine.id != first);
            vm.state == VmState::Running && again
        })
        .await;
    bench.is_sound().await;
    assert_eq!(bench.tasks("start").len(), 2);
    assert!(bench.vm(vm).problem.is_none());
}

#[tokio::test]
async fn a_guest_that_panics_is_stopped_kept_or_preserved_as_its_policy_says() {
    for (policy, state, want) in [
        ("stop", VmState::Stopped, Want::Stopped),
        ("pause", VmState::Ended, Want::Running),
        ("preserve", VmState::Ended, Want::Running),
    ] {
        let bench = Bench::new().await;
        let vm = running(&bench, json!({ "crash": policy })).await;
        bench.world.guest(vm, Happening::Panics);
        if policy == "preserve" {
            bench.until("dumped", |snapshot| snapshot.vms[&vm].dumped.is_some()).await;
        }
        until_idle_as(&bench, vm, state).await;
        assert_eq!(bench.want(vm), want, "{policy}");
        let dump = bench.volumes(vm).join("dump.elf");
        assert_eq!(dump.exists(), policy == "preserve", "{policy}");
        if state == VmState::Ended {
            // It is looked at again and again, and kept as it is.
            for _ in 0..10 {
                bench.engine.reconcile(&caller(), vm);
                bench.idle().await;
            }
            assert!(bench.tasks("preserve").len() <= 1);
            assert_eq!(bench.state(vm), VmState::Ended);
            bench.powers(vm, &[PowerVerb::Kill]).await;
            until_idle_as(&bench, vm, VmState::Stopped).await;
            assert_eq!(dump.exists(), policy == "preserve", "it outlives the machine");
        }
    }
}

#[tokio::test]
async fn a_guest_that_ends_on_purpose_is_preserved_where_that_is_wanted() {
    for (on, happening) in [("shutdown", Happening::PowersOff), ("reboot", Happening::Reboots)] {
        let bench = Bench::new().await;
        let vm = running(&bench, json!({ on: "preserve" })).await;
        bench.world.guest(vm, happening);
        bench.until("dumped", |snapshot| snapshot.vms[&vm].dumped.is_some()).await;
        until_idle_as(&bench, vm, VmState::Ended).await;
        for _ in 0..10 {
            bench.engine.reconcile(&caller(), vm);
            bench.idle().await;
        }
        assert_eq!((bench.state(vm), bench.tasks("preserve").len()), (VmState::Ended, 1), "{on}");
        assert!(bench.volumes(vm).join("dump.elf").exists(), "{on}");
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn of_a_hypervisor_that_died_nothing_is_kept() {
    for policy in ["pause", "preserve", "stop", "restart"] {
        let bench = Bench::new().await;
        let vm = running(&bench, json!({ "crash": policy })).await;
        assert!(bench.world.kill_hypervisor(vm));
        until_idle_as(&bench, vm, VmState::Stopped).await;
        let wanted = if policy == "stop" { Want::Stopped } else { Want::Running };
        assert_eq!(bench.want(vm), wanted, "{policy}");
        let died = Some(EndReason::HypervisorDied { status: Some("signal 9".into()) });
        assert_eq!(bench.vm(vm).facts.last_end, died);
    }
}

#[tokio::test]
async fn a_preserve_that_fails_is_undone_and_tried_again() {
    let bench = Bench::new().await;
    let vm = running(&bench, json!({ "crash": "preserve" })).await;
    let fault = bench.fails("sim/dump");
    bench.world.guest(vm, Happening::Panics);
    bench
        .until("failed", |snapshot| {
            let failed = |state| state == TaskState::Failed;
            let mut tasks = snapshot.tasks.values();
            tasks.any(|task| task.operation == "preserve" && failed(task.state))
        })
        .await;
    assert!(!bench.volumes(vm).join("dump.elf").exists());
    bench.world.take_away(fault);
    bench.until("dumped", |snapshot| snapshot.vms[&vm].dumped.is_some()).await;
    until_idle_as(&bench, vm, VmState::Ended).await;
    assert!(bench.volumes(vm).join("dump.elf").exists());
}

#[tokio::test]
async fn what_cannot_be_put_away_is_tried_again_with_patience() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let fault = bench.fails("sim/put-away");
    bench.world.guest(vm, Happening::PowersOff);
    bench.until("in trouble", |snapshot| snapshot.vms[&vm].problem.is_some()).await;
    bench.world.take_away(fault);
    bench
        .until("put away", |snapshot| {
            let vm = &snapshot.vms[&vm];
            vm.state == VmState::Stopped && vm.problem.is_none()
        })
        .await;
    let tries = bench.tasks("put-away").len();
    assert!(tries <= 3, "{tries} tries");
    bench.is_sound().await;
}

#[tokio::test]
async fn equal_marks_are_one() {
    let bench = Bench::new().await;
    let (ended, well) = (bench.started("ended").await, bench.started("well").await);
    bench.engine.pause_queue(&caller(), ended, true);
    bench.world.guest(ended, Happening::PowersOff);
    for _ in 0..1000 {
        bench.engine.reconcile(&caller(), ended);
        bench.engine.reconcile(&caller(), well);
    }
    bench.until_so("noticed", || !bench.tasks("put-away").is_empty()).await;
    bench.engine.pause_queue(&caller(), ended, false);
    until_idle_as(&bench, ended, VmState::Stopped).await;
    for _ in 0..1000 {
        bench.engine.reconcile(&caller(), ended);
    }
    bench.is_sound().await;
    let all = bench.snapshot().tasks.len();
    assert_eq!((bench.tasks("put-away").len(), all), (1, 5), "two creates, two starts, and that");
}
