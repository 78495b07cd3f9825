//! Whole-system tests: the `inn` binary as its users have it, with real guests in real QEMU.
//!
//! One test program, so that its tests share a limit on guests that run at once and are linked once.
//! The sample guests come from `make guest`. As root everything is tested; without root, tests of
//! what only root can do say so on the standard error and pass.

#![expect(
    clippy::unwrap_used,
    reason = "whatever goes wrong in a test is to end it, with its place"
)]

mod audit;
mod browsers;
mod contracts;
mod credentials;
mod daemon;
mod diagnosis;
mod doors;
mod dry_runs;
mod guests;
mod harm;
mod harness;
mod independence;
mod issuers;
mod libvirt;
mod limits;
mod networks;
mod projects;
mod refusals;
mod sdk;
mod secrets;
mod setup;
mod simulator;
mod tls;
mod truth;
mod unit;
