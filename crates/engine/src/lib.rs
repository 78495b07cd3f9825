//! The verbs: what Innkeeper does, in which order, and what of it is taken back when it fails.
//!
//! ```text
//!  request ──▶ admission ──▶ queue ──▶ plan ──▶ perform ──▶ barrier ──▶ done
//!             (legal? whose?)  (a place a resource)  (pure)  (undo on failure)  (readers see it)
//! ```
//!
//! - `request` is the closed list of what can be asked, `legality` the one table of when.
//! - `queues` gives each resource to one operation at a time, in the order they were asked.
//! - `plan` turns an operation into steps without doing anything; `steps` are the engine's own,
//!   a driver adds its own as data; `perform` does them and undoes them.
//! - `reconcile` turns facts that nobody asked for into operations.
//!
//! The engine does not know which hypervisor it drives, nor who listens to its answers.

mod admission;
mod engine;
mod guarding;
mod legality;
mod live;
mod opening;
mod perform;
mod plan;
mod queues;
mod reconcile;
mod request;
mod reservations;
mod steps;
mod submit;
mod turn;
mod work;

pub use engine::Engine;
pub use opening::EngineOptions;
pub use reconcile::Noticed;
pub use request::{Accepted, AddImage, Caller, ImageFrom, PowerVerb, Request, STOP_TIMEOUT};
