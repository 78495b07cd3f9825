//! What guests do, and what is told of it.

use crate::support::{Bench, LONG, failed, spec, spec_of, standing, stop};
use innkeeper_driver::Operation;
use innkeeper_model::{Code, EndReason, MachineState};
use innkeeper_sim::{Guest, Happening, PowerButton};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn by_itself(happening: Happening) -> Guest {
    Guest { by_itself: Some((SECOND, happening)), ..Guest::default() }
}

#[tokio::test]
async fn a_guest_powers_itself_off_in_its_own_time() {
    let (bench, spec) = (standing(), spec());
    let after = Duration::from_secs(2);
    let power_button = PowerButton::PowersOff { after };
    bench.world.set_guest(spec.id, Guest { power_button, by_itself: None });
    bench.run(&spec, Operation::Start).await;
    let stop = async { bench.run(&spec, stop()).await };
    let time = async {
        while !bench.told.of(spec.id).events.contains(&"POWERDOWN".to_owned()) {
            tokio::task::yield_now().await;
        }
        bench.world.advance(after - Duration::from_micros(1));
        assert_eq!(bench.state(&spec), MachineState::Running);
        bench.world.advance(Duration::from_micros(1));
        assert_eq!(bench.world.machine(spec.id).unwrap().facts.machine, MachineState::Ended);
    };
    tokio::join!(stop, time);
    let heard = bench.told.of(spec.id);
    assert_eq!(heard.events, ["RESUME", "POWERDOWN", "SHUTDOWN", "STOP", "SHUTDOWN"]);
    assert_eq!(heard.facts.last_end, Some(EndReason::GuestShutdown));
    assert_eq!(heard.incarnation, None);
    assert_eq!(
        heard.states,
        [MachineState::Created, MachineState::Running, MachineState::Ended, MachineState::Absent]
    );
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
}

#[tokio::test]
async fn a_guest_that_ignores_its_button_is_given_up_on_and_runs() {
    let (bench, spec) = (standing(), spec());
    let ignores = Guest { power_button: PowerButton::Ignored, by_itself: None };
    bench.world.set_guest(spec.id, ignores);
    bench.run(&spec, Operation::Start).await;
    let press = bench.step(&spec, &stop(), "sim/power-down").await;
    let pressing = bench.perform(&spec, &press);
    let time = async {
        loop {
            let pressed = bench.told.of(spec.id).events;
            if pressed.iter().filter(|event| *event == "POWERDOWN").count() > 2 {
                break bench.world.advance(LONG);
            }
            bench.world.advance(SECOND);
            tokio::task::yield_now().await;
        }
    };
    let (pressed, ()) = tokio::join!(pressing, time);
    assert_eq!(failed(pressed.unwrap_err()).code, Code::Timeout);
    assert_eq!(bench.state(&spec), MachineState::Running);
}

#[tokio::test]
async fn a_paused_guest_powers_itself_off_when_it_goes_on() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    let press = bench.step(&spec, &stop(), "sim/power-down").await;
    let pressing = bench.perform(&spec, &press);
    let time = async {
        while !bench.told.of(spec.id).events.contains(&"POWERDOWN".to_owned()) {
            tokio::task::yield_now().await;
        }
        assert!(bench.world.pause_behind(spec.id));
        bench.world.advance(SECOND);
        assert_eq!(bench.state(&spec), MachineState::Paused);
        assert!(bench.world.resume_behind(spec.id));
        bench.world.advance(Duration::ZERO);
    };
    let (pressed, ()) = tokio::join!(pressing, time);
    pressed.unwrap();
    assert_eq!(bench.state(&spec), MachineState::Ended);
}

async fn reboots(policy: &str) -> (Bench, innkeeper_model::Spec) {
    let bench = standing();
    let spec = spec_of(json!({ "name": "web", "on": { "reboot": policy } }));
    bench.world.set_guest(spec.id, by_itself(Happening::Reboots));
    bench.run(&spec, Operation::Start).await;
    bench.world.advance(SECOND);
    (bench, spec)
}

#[tokio::test]
async fn a_reboot_is_in_place_where_the_policy_says_so_and_an_end_where_not() {
    let (bench, spec) = reboots("restart").await;
    assert_eq!(bench.state(&spec), MachineState::Running);
    assert_eq!(bench.told.of(spec.id).facts.resets, 1);
    assert_eq!(bench.told.of(spec.id).events, ["RESUME", "RESET"]);
    bench.world.advance(SECOND * 3);
    assert_eq!(bench.told.of(spec.id).facts.resets, 4, "it reboots again and again");
    assert_eq!(bench.world.machine(spec.id).unwrap().boots, 5);

    for policy in ["stop", "pause"] {
        let (bench, spec) = reboots(policy).await;
        assert_eq!(bench.state(&spec), MachineState::Ended);
        assert_eq!(bench.told.of(spec.id).facts.last_end, Some(EndReason::GuestReset));
    }
}

#[tokio::test]
async fn a_panic_is_told_as_one() {
    let (bench, spec) = (standing(), spec());
    bench.world.set_guest(spec.id, by_itself(Happening::Panics));
    bench.run(&spec, Operation::Start).await;
    bench.world.advance(SECOND / 2);
    assert_eq!(bench.state(&spec), MachineState::Running);
    bench.world.advance(SECOND / 2);
    assert_eq!(bench.state(&spec), MachineState::Ended);
    let heard = bench.told.of(spec.id);
    assert_eq!(heard.facts.last_end, Some(EndReason::GuestPanic));
    assert_eq!(heard.events, ["RESUME", "GUEST_PANICKED", "STOP", "SHUTDOWN"]);
    bench.run(&spec, Operation::PutAway).await;
    assert_eq!(bench.told.of(spec.id).facts.last_end, Some(EndReason::GuestPanic));
}

#[tokio::test]
async fn a_guest_that_ended_as_soon_as_it_ran_is_not_let_run_again() {
    let (bench, spec) = (standing(), spec());
    let plan = bench.plan(&spec, &Operation::Start).await;
    for step in &plan {
        bench.perform(&spec, step).await.unwrap();
    }
    bench.world.guest(spec.id, Happening::PowersOff);
    bench.perform(&spec, plan.last().unwrap()).await.unwrap();
    assert_eq!(bench.state(&spec), MachineState::Ended);
}

#[tokio::test]
async fn a_guest_that_hangs_hears_nothing_until_it_is_reset() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    assert!(bench.world.guest(spec.id, Happening::Hangs));
    assert!(!bench.world.guest(spec.id, Happening::PowersOff), "it does nothing any more");
    let press = bench.step(&spec, &stop(), "sim/power-down").await;
    let time = async {
        while !bench.told.of(spec.id).events.contains(&"POWERDOWN".to_owned()) {
            tokio::task::yield_now().await;
        }
        bench.world.advance(LONG);
    };
    let (pressed, ()) = tokio::join!(bench.perform(&spec, &press), time);
    assert_eq!(failed(pressed.unwrap_err()).code, Code::Timeout);
    assert_eq!(bench.state(&spec), MachineState::Running);
    bench.run(&spec, Operation::Reset).await;
    assert!(bench.world.guest(spec.id, Happening::PowersOff));
    assert_eq!(bench.state(&spec), MachineState::Ended);
}

#[tokio::test]
async fn what_a_guest_was_about_to_do_is_forgotten_with_a_reset() {
    let (bench, spec) = (standing(), spec());
    bench.world.set_guest(spec.id, by_itself(Happening::Panics));
    bench.run(&spec, Operation::Start).await;
    bench.world.advance(SECOND / 2);
    bench.run(&spec, Operation::Reset).await;
    bench.world.advance(SECOND * 3 / 4);
    assert_eq!(bench.state(&spec), MachineState::Running);
    bench.world.advance(SECOND / 4);
    assert_eq!(bench.state(&spec), MachineState::Ended);
}

#[tokio::test]
async fn a_real_clock_lets_guests_do_things_by_themselves() {
    let world = innkeeper_sim::World::in_memory(Default::default());
    let (bench, spec) = (Bench::new(world), spec());
    let soon = Duration::from_millis(5);
    let guest = Guest { by_itself: Some((soon, Happening::PowersOff)), ..Guest::default() };
    bench.world.set_guest(spec.id, guest);
    bench.run(&spec, Operation::Start).await;
    let ended = bench.world.until(spec.id, MachineState::Ended);
    tokio::time::timeout(LONG, ended).await.unwrap();
    bench.run(&spec, Operation::PutAway).await;
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
}
