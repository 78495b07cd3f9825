//! The engine in a simulated world: what is promised, undone, overtaken, refused and found again.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod actions;
mod adopted;
mod agreement;
mod autostart;
mod by_hand;
mod cancels;
mod capacity;
mod commits;
mod damaged;
mod defects;
mod diagnosed;
mod examined;
mod exports;
mod faulty;
mod golden;
mod held;
mod hooks;
mod images;
mod interrupted;
mod lives;
mod lost;
mod model;
mod neighbours;
mod networks;
mod noted;
mod owed;
mod policies;
mod projects;
mod quotas;
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
