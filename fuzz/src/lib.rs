//! What strangers send, thrown at what reads it. Whatever it is, reading it must come to an end: without a
//! panic, and without more memory than a small multiple of what was sent.
//!
//! ```text
//!   corpus/TARGET/* ──▶ mutation (a seed) ──┐
//!                                           ├──▶ TARGETS ──▶ memory: how much it took
//!   libFuzzer (coverage; `make fuzz`) ──────┘
//! ```
//!
//! - [`TARGETS`] is the list of what is read, each with the memory that it may take;
//! - [`short_run`] is what every test run does: the corpus, and some thousand mutations of it that are
//!   always the same;
//! - the program is the long run: libFuzzer, which looks for inputs that take new paths.
//!
//! What is read is elsewhere, in the crates' modules called `fuzz`, which also say what must hold of what
//! was taken. `docs/fuzzing.md` says how to go about a finding.

mod guest_agent;
mod memory;
mod mutation;
mod short;
mod targets;

pub use short::short_run;
pub use targets::{TARGETS, Target};
