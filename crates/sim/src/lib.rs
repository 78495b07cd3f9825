//! A simulated hypervisor.
//!
//! A [`World`] is a host with machines in it that are made of nothing: a record each. It outlives the
//! daemon, as processes do, and goes on where it was when the next one opens it. A [`SimDriver`] is to
//! it what the QEMU driver is to QEMU, and passes the same checks; its plans have more steps, some of
//! them done together, so that there is more to cut short.
//!
//! Time in it can stand still until it is told to pass ([`Clock::Virtual`]). What goes wrong is asked
//! for ([`World::inject`]) or drawn from a seed ([`WorldOptions::fault_rate`]). What happens without
//! anybody's asking (a hypervisor dies, stops answering, is paused by hand; a guest panics, reboots,
//! powers itself off) is a method of [`World`], and for people a word at the guest's serial console.
//!
//! No guest's instruction is run, no disk is opened and nothing is sent: a simulated machine knows the
//! names of its devices, and a few bytes of memory, so that it can be told whether they came back.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod act;
mod agent;
mod assign;
mod belongings;
mod change;
mod clock;
mod console;
mod driver;
mod events;
mod faults;
mod guest;
mod host;
mod image;
mod inspect;
mod ledger;
mod machine;
mod memory;
mod outside;
mod plan;
mod randomness;
mod shell;
mod steps;
mod timers;
mod world;

pub use clock::Clock;
pub use driver::SimDriver;
pub use faults::{CallKind, CallMade, Fault, FaultId, FaultRule};
pub use guest::{Guest, Happening, PowerButton};
pub use inspect::Seen;
pub use world::{World, WorldOptions};

/// The driver's name.
pub(crate) const NAME: &str = "sim";
