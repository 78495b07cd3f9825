//! What every driver must pass, whichever hypervisor it drives.
//!
//! A driver's own tests make a [`Fixture`] and call [`check_all`]. Each check begins with no machine
//! and must leave none. They say what the engine relies on: that facts and incarnations are told as
//! they change, that any beginning of a start can be taken back, that taking back twice is harmless,
//! that a step can be done again or asked after when a daemon ended in it, that what ends a machine
//! ends no newer one, that a console has one place, and that a machine outlives its driver. An operation that a driver refuses as
//! unsupported is not checked.

mod bench;
mod consoles;
mod lives;
mod memory;
mod neighbours;
mod nics;
mod paper;
mod repeats;
mod starts;
mod told;

pub use neighbours::{NeighbourFixture, OwnersDeed, WhatIsTold, check_neighbour};
pub use paper::{PaperManager, PaperNeighbour};
pub use told::Told;

use crate::{Driver, Observer};
use async_trait::async_trait;
use innkeeper_model::{
    ByteSize, Incarnation, MemoryImage, Timestamp, VmConfig, VmId, memory::MEMORY_IMAGE_SCHEMA,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How long anything here may take; a bound for broken drivers, not a measure.
const DEADLINE: Duration = Duration::from_secs(60);

/// A hypervisor for the checks, of which drivers can be made again and again, as daemons would.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A new driver in the same world as the last one, which may have been dropped or not.
    async fn driver(&self, observer: Arc<dyn Observer>) -> Arc<dyn Driver>;
    /// A VM that this hypervisor can run, with every field that is not to be checked at its default.
    fn config(&self) -> VmConfig;

    /// Whether the guest of such a VM lets go of a NIC as soon as it runs; one without an operating
    /// system does not. Else taking NICs out is not checked.
    fn lets_go_of_nics(&self) -> bool {
        true
    }

    /// Makes the empty file that a VM's memory is written to, in place of an earlier one; `None` where
    /// suspending and dumping are not to be checked.
    async fn memory_file(&self, _vm: VmId) -> Option<PathBuf> {
        None
    }

    /// Says that the memory of a machine is whole, as the engine does between suspending and restoring.
    async fn sealed(&self, incarnation: &Incarnation) -> MemoryImage {
        MemoryImage {
            schema: MEMORY_IMAGE_SCHEMA,
            incarnation: incarnation.clone(),
            size: ByteSize(0),
            checksum: "not computed".into(),
            created: Timestamp::now(),
        }
    }
}

/// Runs all checks, one after the other.
///
/// # Panics
/// The driver fails one.
pub async fn check_all(fixture: &dyn Fixture) {
    lives::a_life_is_told_as_it_happens(fixture).await;
    lives::a_machine_outlives_its_driver(fixture).await;
    lives::addresses_stay(fixture).await;
    consoles::a_console_has_one_place(fixture).await;
    consoles::what_is_not_there_is_refused(fixture).await;
    starts::any_beginning_of_a_start_can_be_taken_back(fixture).await;
    starts::a_cancelled_start_can_be_taken_back(fixture).await;
    starts::a_start_cancelled_under_way_leaves_nothing(fixture).await;
    starts::the_order_in_a_group_does_not_matter(fixture).await;
    starts::a_step_of_another_version_is_refused(fixture).await;
    repeats::a_step_can_be_done_again_or_asked_after(fixture).await;
    repeats::what_ends_a_machine_ends_no_newer_one(fixture).await;
    memory::a_suspended_machine_goes_on_where_it_was(fixture).await;
    memory::a_suspend_can_be_taken_back(fixture).await;
    nics::a_nic_is_plugged_in_where_there_is_room(fixture).await;
    nics::a_nic_is_plugged_in_and_out(fixture).await;
    memory::a_dump_leaves_the_machine_as_it_is(fixture).await;
}
