//! Doors: the protocols of four other systems, so that programs written for those work here unmodified.
//!
//! ```text
//!   listener ──▶ DoorGate ──▶ a door's own routes ──▶ the view
//!                who, role     wire types, translation └─▶ Operations ──▶ engine
//! ```
//!
//! A door translates and decides nothing: each has a folder with its wire types, apart from the
//! model's, and says of each of its routes what kind of action it is; who may do that, and everything
//! else that doors share, is here. None is open until an operator names it ([`Door`]).
//!
//! Reads come from the view, as far as the caller may see it (`visit`). What changes something is a task
//! whose end is awaited behind the view's barrier ([`Context::perform`]): when a door answers, every
//! other door's reads and streams show it.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod access;
mod age;
mod body;
pub mod chypervisord;
mod context;
mod door;
mod gate;
mod protocol;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod virtx;
mod visit;
pub mod vminfod;
pub mod vmm;
mod within;

pub use access::Access;
pub use context::Context;
pub use door::Door;
pub use gate::serve;
pub use protocol::Protocol;
