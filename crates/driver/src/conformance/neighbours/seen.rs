//! That a neighbour tells what its manager has.

use super::{NeighbourFixture, OwnersDeed, witness::Watched};
use innkeeper_model::{MachineState, Mebibytes};

pub(super) async fn all_is_told_after_connecting(fixture: &dyn NeighbourFixture) {
    let off = fixture.define("told-off").await;
    let on = fixture.define("told on, by another name").await;
    fixture.owner(on, OwnersDeed::Start).await;
    let watched = Watched::new(fixture).await;
    let told = watched.told.machine(off).expect("what is off is told");
    assert_eq!((told.is.name.as_str(), told.machine), ("told-off", MachineState::Absent));
    assert_eq!((told.is.cpus, told.is.memory, told.is.persistent), (1, Mebibytes(64), true));
    assert_eq!((told.is.pid, told.is.run), (None, None), "it does not run");
    let told = watched.told.machine(on).expect("what runs is told");
    assert_eq!(told.is.name, "told on, by another name");
    assert_eq!(told.machine, MachineState::Running);
    assert!(told.is.run.is_some());
    drop(watched);
    // Nothing was done to them, and another daemon sees the same.
    let again = Watched::new(fixture).await;
    assert_eq!(again.told.machine(on), Some(told));
    fixture.owner(on, OwnersDeed::End).await;
    for machine in [off, on] {
        fixture.owner(machine, OwnersDeed::Undefine).await;
        again.told.until("gone", |latest| !latest.machines.contains_key(&machine)).await;
    }
}

pub(super) async fn what_its_owner_does_is_told(fixture: &dyn NeighbourFixture) {
    let watched = Watched::new(fixture).await;
    let machine = fixture.define("owned").await;
    watched.until_state(machine, MachineState::Absent).await;
    for (deed, state) in [
        (OwnersDeed::Start, MachineState::Running),
        (OwnersDeed::Pause, MachineState::Paused),
        (OwnersDeed::Resume, MachineState::Running),
        (OwnersDeed::End, MachineState::Absent),
    ] {
        fixture.owner(machine, deed).await;
        watched.until_state(machine, state).await;
    }
    fixture.owner(machine, OwnersDeed::Undefine).await;
    watched.told.until("gone", |latest| !latest.machines.contains_key(&machine)).await;
}

pub(super) async fn a_survey_tells_all(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("surveyed").await;
    let watched = Watched::new(fixture).await;
    let before = watched.told.latest().surveys;
    fixture.owner(machine, OwnersDeed::Start).await;
    watched.neighbour.survey().await.expect("there is a connection");
    assert!(watched.told.latest().surveys > before);
    assert_eq!(watched.state(machine), Some(MachineState::Running));
    fixture.owner(machine, OwnersDeed::End).await;
    fixture.owner(machine, OwnersDeed::Undefine).await;
    watched.neighbour.survey().await.expect("there is a connection");
    assert_eq!(watched.state(machine), None);
}

pub(super) async fn a_loss_is_told_and_all_is_told_again(fixture: &dyn NeighbourFixture) {
    let machine = fixture.define("lost").await;
    let watched = Watched::new(fixture).await;
    fixture.cut().await;
    watched.told.until("lost", |latest| latest.lost.is_some()).await;
    assert!(watched.told.machine(machine).is_some(), "it is not gone for all that is known");
    watched.neighbour.survey().await.expect_err("there is no connection");
    let surveys = watched.told.latest().surveys;
    fixture.mend().await;
    watched.told.until("told again", |latest| latest.surveys > surveys).await;
    assert_eq!(watched.told.latest().losses, 1, "one loss is told once");
    fixture.owner(machine, OwnersDeed::Undefine).await;
    watched.told.until("gone", |latest| !latest.machines.contains_key(&machine)).await;
    drop(watched);

    // A manager that is not there to begin with is none to wait for.
    fixture.cut().await;
    let neighbour = fixture.neighbour().await;
    let told = std::sync::Arc::new(super::WhatIsTold::default());
    let observer = told.clone();
    let watching = tokio::spawn(async move { neighbour.watch(observer).await });
    told.until("lost", |latest| latest.lost.is_some()).await;
    fixture.mend().await;
    told.until("told", |latest| latest.surveys > 0).await;
    watching.abort();
}
