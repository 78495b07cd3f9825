//! That a neighbour's driver does what was asked, and no more.

use super::{NeighbourFixture, OwnersDeed, witness::Watched};
use crate::{Crash, Operation, StepContext, StepError, conformance::DEADLINE};
use innkeeper_model::{Code, DeviceName, MachineState, VmId};
use std::time::Duration;

async fn put_away(fixture: &dyn NeighbourFixture, watched: &Watched, machine: VmId) {
    if watched.state(machine) != Some(MachineState::Absent) {
        watched.run(machine, Operation::Kill).await;
    }
    fixture.owner(machine, OwnersDeed::Undefine).await;
    watched.told.until("gone", |latest| !latest.machines.contains_key(&machine)).await;
}

pub(super) async fn each_verb_is_told_before_it_returns(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("driven").await;
    let watched = Watched::new(fixture).await;
    let verbs = [
        (Operation::Start, MachineState::Running),
        (Operation::Pause, MachineState::Paused),
        (Operation::Resume, MachineState::Running),
        (Operation::Kill, MachineState::Absent),
    ];
    for (operation, then) in verbs {
        watched.run(machine, operation.clone()).await;
        assert_eq!(watched.state(machine), Some(then), "after {operation:?}");
    }
    if fixture.guests_power_off() {
        watched.run(machine, Operation::Start).await;
        watched.run(machine, Operation::Stop { timeout: DEADLINE }).await;
        assert_eq!(watched.state(machine), Some(MachineState::Absent));
    }
    assert!(watched.told.machine(machine).is_some_and(|it| it.is.persistent), "it is kept");
    put_away(fixture, &watched, machine).await;
}

pub(super) async fn a_step_can_be_done_again(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("again").await;
    let watched = Watched::new(fixture).await;
    for (operation, then) in [
        (Operation::Start, MachineState::Running),
        (Operation::Pause, MachineState::Paused),
        (Operation::Resume, MachineState::Running),
        (Operation::Kill, MachineState::Absent),
    ] {
        let plan = watched.plan(machine, &operation);
        assert!(plan.iter().all(|step| step.crash == Crash::Repeat), "{plan:?}");
        for step in plan {
            watched.perform_all(machine, &[step.clone(), step]).await;
        }
        assert_eq!(watched.state(machine), Some(then), "after {operation:?}, each step twice");
    }
    let start = watched.plan(machine, &Operation::Start);
    watched.perform_all(machine, &start).await;
    for _twice in 0..2 {
        for step in start.iter().rev() {
            watched.driver.undo(machine, step).await.expect("a start can be taken back");
        }
        assert_eq!(watched.state(machine), Some(MachineState::Absent), "the start was undone");
    }
    put_away(fixture, &watched, machine).await;
}

pub(super) async fn what_ends_a_machine_ends_no_later_run(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("later").await;
    let watched = Watched::new(fixture).await;
    watched.run(machine, Operation::Start).await;
    let kill = watched.plan(machine, &Operation::Kill);
    watched.perform_all(machine, &kill).await;
    watched.run(machine, Operation::Start).await;
    for step in &kill {
        // Whether it says that there was nothing to do, or refuses, is its own.
        let _ = watched.perform(machine, step, &StepContext::default()).await;
        assert_eq!(watched.state(machine), Some(MachineState::Running), "after {}", step.name);
    }
    put_away(fixture, &watched, machine).await;
}

pub(super) async fn a_cancelled_stop_leaves_it_running(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("cancelled").await;
    let watched = Watched::new(fixture).await;
    watched.run(machine, Operation::Start).await;
    let stop = watched.plan(machine, &Operation::Stop { timeout: DEADLINE });
    let context = StepContext::default();
    context.cancelled.cancel();
    let [first, ..] = &stop[..] else { panic!("a stop has a step") };
    let cancelled = watched.perform(machine, first, &context).await;
    assert!(matches!(cancelled, Err(StepError::Cancelled)), "{cancelled:?}");
    assert_eq!(watched.state(machine), Some(MachineState::Running));
    if !fixture.guests_power_off() {
        // One whose guest hears nothing ends with its time, or when it is cancelled on the way.
        let context = StepContext::default();
        let cancel = context.cancelled.clone();
        let soon = async {
            // Nothing tells that it waits; where it does not yet, it is cancelled before.
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel();
        };
        let (cancelled, ()) = tokio::join!(watched.perform(machine, first, &context), soon);
        assert!(matches!(cancelled, Err(StepError::Cancelled)), "{cancelled:?}");
        let stop = watched.plan(machine, &Operation::Stop { timeout: Duration::from_millis(50) });
        let late = watched.perform(machine, &stop[0], &StepContext::default()).await;
        let Err(StepError::Failed(late)) = late else { panic!("its time is over: {late:?}") };
        assert_eq!(late.code, Code::Timeout);
        assert_eq!(watched.state(machine), Some(MachineState::Running));
    }
    put_away(fixture, &watched, machine).await;
}

pub(super) async fn all_else_is_refused(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("refusing").await;
    let watched = Watched::new(fixture).await;
    let nic: DeviceName = "nic0".parse().expect("a name");
    for operation in [
        Operation::Reset,
        Operation::Suspend { memory: "/nowhere".into() },
        Operation::Dump { file: "/nowhere".into() },
        Operation::PlugNic { nic: nic.clone() },
        Operation::UnplugNic { nic },
    ] {
        let refused = watched.try_plan(machine, &operation).expect_err("it is beyond it");
        assert_eq!(refused.code, Code::Unsupported, "{operation:?}");
        assert!(refused.message.contains(watched.driver.name()), "{refused}");
    }
    assert!(watched.driver.recover().await.is_empty(), "its machines are told of, not found");
    watched.driver.forget(machine).await.expect("nothing is kept of it");
    put_away(fixture, &watched, machine).await;
}

pub(super) async fn a_step_without_a_connection_fails(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("unreachable").await;
    let watched = Watched::new(fixture).await;
    let start = watched.plan(machine, &Operation::Start);
    fixture.cut().await;
    watched.told.until("lost", |latest| latest.lost.is_some()).await;
    let failed = watched.perform(machine, &start[0], &StepContext::default()).await;
    assert!(matches!(failed, Err(StepError::Failed(_))), "{failed:?}");
    let surveys = watched.told.latest().surveys;
    fixture.mend().await;
    watched.told.until("told again", |latest| latest.surveys > surveys).await;
    assert_eq!(watched.state(machine), Some(MachineState::Absent), "nothing was begun");
    put_away(fixture, &watched, machine).await;
}
