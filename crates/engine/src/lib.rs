//! The verbs: what Innkeeper does, in which order, and what of it is taken back when it fails.
//!
//! ```text
//!  request ──▶ admission ──▶ queue ──▶ plan ──▶ journal ──▶ perform ──▶ journal ──▶ barrier ──▶ done
//!             (legal? whose?)  (a place a resource)  (pure)   (undo on failure)      (readers see it)
//! ```
//!
//! A room a purpose:
//!
//! - `accept`: from a request to accepted work, or to the reason why not.
//! - `turn`: each resource goes to one operation at a time, in the order they were asked; in its turn it is
//!   planned, done and told.
//! - `plan`: an operation as steps, without doing anything.
//! - `perform`: does the steps of a plan, and takes them back; gives out what the host has.
//! - `projects`: what each project may take of that, and has.
//! - `journal`: what is written down, of deeds, of wishes, of tasks that have ended, and of what nobody
//!   could be asked again.
//! - `begin`: what is stored, what runs, and what an earlier daemon was in the middle of.
//! - `neighbours`: other managers' machines: shown, left alone, adopted, and driven through their manager.
//! - `reconcile`: what the driver tells, what nobody tells, and what is still owed, turned into operations.
//! - `diagnose`: answers while everything else is stuck.
//!
//! The engine does not know which hypervisor it drives, nor who listens to its answers.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod accept;
#[cfg(feature = "agreement")]
pub mod agreement;
mod begin;
mod diagnose;
mod engine;
mod journal;
mod neighbours;
mod networks;
mod perform;
mod plan;
mod projects;
mod reconcile;
mod sessions;
mod turn;

pub use accept::request::{
    Accepted, AddImage, Caller, ImageFrom, ImportVm, NetworkRequest, NicChange, Origin, PowerVerb,
    Request, ReservationWish, STOP_TIMEOUT,
};
pub use begin::{opening::EngineOptions, taking_up::Resolution};
pub use engine::Engine;
pub use innkeeper_storage::{Arrival, Export, FlatDisk, ImageFile, StagedVm, Upload};
pub use journal::history::Remembered;
pub use perform::{
    accountant::Capacity,
    witness::{Point, Site, Witness},
};
pub use projects::Projects;
pub use reconcile::noticed::Noticed;
pub use sessions::{
    OpenedAgent, OpenedArrival, OpenedConsole, OpenedDisk, OpenedExport, OpenedImage, OpenedUpload,
    SessionGuard, SessionSubject, Sessions,
};
pub use turn::live::AtEnd;
