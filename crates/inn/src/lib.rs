//! Innkeeper's one binary: the daemon (`inn serve`) and the command line that talks to it.
//!
//! [`config`] is what an operator may write down, [`options`] what the daemon is started with once
//! that, the flags and the defaults have been put together, and `daemon` the wiring of all the other
//! crates. `cli` has a file a command; `client` speaks HTTP over the daemon's unix socket; `output`
//! is the only place that writes to the terminal. The command line knows the API and the model, and
//! nothing of what the daemon is made of.

mod cli;
mod client;
pub mod config;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod daemon;
mod difference;
mod document;
mod failure;
mod figures;
mod folders;
mod mutation;
pub mod options;
mod output;
mod transfer;

pub use cli::main;
