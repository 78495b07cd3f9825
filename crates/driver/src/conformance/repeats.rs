//! That a step whose outcome was lost with its daemon can be done again, or asked after.

use super::{Fixture, bench::Bench};
use crate::{Crash, Operation, Probed, Step};
use innkeeper_model::MachineState;

pub(super) async fn a_step_can_be_done_again_or_asked_after(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    for (operation, then) in [
        (Operation::Start, MachineState::Running),
        (Operation::Pause, MachineState::Paused),
        (Operation::Resume, MachineState::Running),
        (Operation::Kill, MachineState::Absent),
        (Operation::PutAway, MachineState::Absent),
    ] {
        for step in bench.plan(&operation) {
            perform_and_doubt(&bench, &step).await;
        }
        assert_eq!(bench.machine(), then, "after {operation:?} with every step done twice");
    }
    bench.assert_nothing_is_left("a kill with every step done twice");

    let plan = bench.plan(&Operation::Start);
    bench.perform_all(&plan).await;
    bench.undo_all(&plan).await;
    for step in plan.iter().filter(|step| step.crash == Crash::Probe) {
        assert_eq!(probe(&bench, step).await, Probed::DidNot, "{} was undone", step.name);
    }
}

/// Does a step as after a crash that came when it was done and not noted.
async fn perform_and_doubt(bench: &Bench, step: &Step) {
    let name = &step.name;
    if step.crash == Crash::Probe {
        assert_eq!(probe(bench, step).await, Probed::DidNot, "{name} before it was done");
    }
    bench.perform(step).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    match step.crash {
        Crash::Probe => assert_eq!(probe(bench, step).await, Probed::Happened, "{name}"),
        Crash::Repeat => {
            let again = bench.perform(step).await;
            again.unwrap_or_else(|error| panic!("{name} once more: {error}"));
        }
        Crash::Once => {}
    }
}

async fn probe(bench: &Bench, step: &Step) -> Probed {
    let asked = bench.driver.probe(bench.spec.id, step).await;
    asked.unwrap_or_else(|error| panic!("{} cannot be asked after: {error}", step.name))
}

pub(super) async fn what_ends_a_machine_ends_no_newer_one(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    bench.run(Operation::Start).await;
    let kill = bench.plan(&Operation::Kill);
    let put_away = bench.plan(&Operation::PutAway);
    bench.perform_all(&kill).await;
    bench.run(Operation::Start).await;
    let newer = bench.incarnation();
    for step in kill.iter().chain(&put_away) {
        // Whether it says that there was nothing to do, or refuses, is its own.
        let _ = bench.perform(step).await;
        assert_eq!(bench.machine(), MachineState::Running, "after a late {}", step.name);
        assert_eq!(bench.incarnation(), newer, "after a late {}", step.name);
    }
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill");
}
