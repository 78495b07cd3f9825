//! The simulated hypervisor beyond what every driver must do: guests, faults, what happens from
//! outside, consoles, memory images, and a world that outlives its process.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod console;
mod faults;
mod guests;
mod memory;
mod outlives;
mod outside;
mod scale;
mod support;
