//! What the tests stand on: a daemon of their own, its API and feed, consoles of guests, and the
//! host's view of QEMU's processes.
//!
//! Every wait is for a condition and has a bound; one that is not met says what was seen last.

mod console;
mod daemon;
mod feed;
mod http;
mod neighbour;
mod process;
mod slots;
mod wait;

pub(crate) use console::Console;
pub(crate) use daemon::{
    Daemon, TCG, cgroups_of, files_in, guest_file, is_root, skip_without_root,
};
pub(crate) use feed::new_value;
pub(crate) use http::{Reply, Request, exchange};
pub(crate) use neighbour::{GREETING, Greeter, Neighbour};
pub(crate) use process::{Process, qemus_in};
pub(crate) use slots::GuestSlots;
pub(crate) use wait::{BOOT, SHORT, until};
