//! What every neighbour must keep, whichever manager it speaks to.
//!
//! A neighbour's own tests make a [`NeighbourFixture`] and call [`check_neighbour`]. The checks say what
//! the engine relies on: that all is told after every connection and survey, that whatever the owner
//! does is told, that a loss is told, that the machine's state is told before a step returns, that a step
//! can be done again, that what ends a machine ends no later run of it, and that all else is refused.

mod driven;
mod seen;
mod witness;

use crate::Neighbour;
use async_trait::async_trait;
use innkeeper_model::VmId;
use std::sync::Arc;

pub use witness::WhatIsTold;

/// A manager with machines, of which neighbours can be made again and again, as daemons would.
///
/// What it does to machines it does as their owner would: past the neighbour.
#[async_trait]
pub trait NeighbourFixture: Send + Sync {
    /// A new neighbour of the same manager. An earlier one has been dropped.
    async fn neighbour(&self) -> Arc<dyn Neighbour>;
    /// Defines a machine of exactly this name, with 1 virtual CPU and 64 MiB, that is off and stays defined
    /// when it ends.
    async fn define(&self, name: &str) -> VmId;
    /// The owner does something to a machine, whose state allows it.
    async fn owner(&self, machine: VmId, does: OwnersDeed);
    /// The manager ends, with its machines as they are, and no connection to it is possible.
    async fn cut(&self);
    /// It is back.
    async fn mend(&self);

    /// Whether guests here power themselves off when they are asked to.
    fn guests_power_off(&self) -> bool;

    /// Whether the manager can be cut off and mended.
    fn can_be_cut(&self) -> bool {
        true
    }
}

/// What an owner does to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnersDeed {
    /// Has it run.
    Start,
    /// Holds its CPUs.
    Pause,
    /// Lets them go on.
    Resume,
    /// Ends it at once.
    End,
    /// Has the manager forget it; it is off.
    Undefine,
}

/// Runs all checks, one after the other.
///
/// # Panics
/// The neighbour fails one.
pub async fn check_neighbour(fixture: &dyn NeighbourFixture) {
    seen::all_is_told_after_connecting(fixture).await;
    seen::what_its_owner_does_is_told(fixture).await;
    seen::a_survey_tells_all(fixture).await;
    if fixture.can_be_cut() {
        seen::a_loss_is_told_and_all_is_told_again(fixture).await;
        driven::a_step_without_a_connection_fails(fixture).await;
    }
    driven::each_verb_is_told_before_it_returns(fixture).await;
    driven::a_step_can_be_done_again(fixture).await;
    driven::what_ends_a_machine_ends_no_later_run(fixture).await;
    driven::a_cancelled_stop_leaves_it_running(fixture).await;
    driven::all_else_is_refused(fixture).await;
}
