//! Operators' own executables, run at the turning points of a VM's life.
//!
//! ```text
//!  <hooks>/pre-start/10-dns ──▶ folder ──▶ held by descriptor ──▶ launch ──▶ run ──▶ verdict
//!                          (may it run?)                   (clean child)  (deadline, cancel)
//! ```
//!
//! - `folder` finds an event's hooks and refuses what others than the operator could have written;
//!   `mend` says what is wrong with such a file and which command mends it.
//! - `launch` makes the child, `group` ends it with all that it started, `run` looks after it in
//!   between and keeps the end of its `output`.
//! - `hooks` runs an event's hooks one after the other and judges how each ended; `input` is what
//!   they read.
//!
//! The operator's guide is `docs/hooks.md`. When hooks run, and what is undone when one refuses, is
//! the engine's to say. Nothing is stored here and nothing is kept open between two calls; the folders
//! are read anew each time, so that what an operator changes counts from the next operation on.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod event;
mod folder;
mod group;
mod hooks;
mod input;
mod launch;
mod mend;
mod output;
mod run;

pub use event::{HookEvent, NotAnEvent};
pub use folder::{MAX_SCRIPTS, Script};
pub use hooks::{DEFAULT_DEADLINE, Hooks};
pub use input::{Occasion, input};
pub use mend::OwnerRule;

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod fixture;
