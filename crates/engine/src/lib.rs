//! The verbs: what Innkeeper does, in which order, and what of it is taken back when it fails.
//!
//! ```text
//!  request ──▶ admission ──▶ queue ──▶ plan ──▶ journal ──▶ perform ──▶ journal ──▶ barrier ──▶ done
//!             (legal? whose?)  (a place a resource)  (pure)   (undo on failure)      (readers see it)
//! ```
//!
//! - `request` is the closed list of what can be asked, `legality` the one table of when.
//! - `queues` gives each resource to one operation at a time, in the order they were asked;
//!   `accountant` gives out what the host has.
//! - `plan` turns an operation into steps without doing anything; `steps` are the engine's own as data,
//!   `hands` does them, a driver adds its own.
//! - `deed` is a plan being done, `perform` does and undoes it, `journal` is what is written down of it
//!   and `unfinished` what was found there; `taking_up` goes on with that, `owed` with what was left.
//! - `wishes` stores specs, `history` ended tasks, both behind the journal.
//! - `reconcile` turns facts that nobody asked for into operations, by `policy`; `survey` looks for
//!   facts that nobody tells.
//!
//! The engine does not know which hypervisor it drives, nor who listens to its answers.

mod accountant;
mod admission;
mod deed;
mod diagnosis;
mod engine;
mod guarding;
mod hands;
mod history;
mod journal;
mod legality;
mod live;
mod loading;
mod opening;
mod owed;
mod perform;
mod plan;
mod planning;
mod policy;
mod queues;
mod reconcile;
mod request;
mod reservations;
mod sessions;
mod steps;
mod submit;
mod survey;
mod taking_up;
mod turn;
mod unfinished;
mod wishes;
mod witness;
mod work;

pub use accountant::{Bounds, Capacity, Usage};
pub use engine::Engine;
pub use history::Remembered;
pub use opening::EngineOptions;
pub use reconcile::Noticed;
pub use request::{Accepted, AddImage, Caller, ImageFrom, PowerVerb, Request, STOP_TIMEOUT};
pub use taking_up::Resolution;
pub use witness::{Point, Site, Witness};
