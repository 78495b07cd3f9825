//! The engine in a simulated world: what is promised, undone, overtaken, refused and found again.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod actions;
mod adopted;
mod agreement;
mod capacity;
mod damaged;
mod faulty;
mod golden;
mod held;
mod hooks;
mod images;
mod interrupted;
mod lives;
mod model;
mod networks;
mod noted;
mod owed;
mod policies;
mod refusals;
mod restarts;
mod sequences;
mod sessions;
mod stuck;
mod support;
mod survey;
mod suspended;
mod turns;
mod unwritable;
