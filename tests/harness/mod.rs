//! What the tests stand on: a daemon of their own, its API and feed, consoles of guests, and the
//! host's view of QEMU's processes.
//!
//! Every wait is for a condition and has a bound; one that is not met says what was seen last.

mod browser;
mod bystander;
mod console;
mod daemon;
mod documents;
mod feed;
mod files;
mod first_lines;
mod harm_log;
mod http;
mod libvirt;
mod mount;
mod neighbour;
mod network;
mod pages;
mod process;
mod services;
mod slots;
mod wait;

pub(crate) use browser::{Browser, browser_and_novnc};
pub(crate) use bystander::Bystander;
pub(crate) use console::Console;
pub(crate) use daemon::{Daemon, Finished, TCG, is_root, say, skip_without_root};
pub(crate) use documents::{Offered, changes_in, reads_in};
pub(crate) use feed::new_value;
pub(crate) use files::{cgroups_of, files_in, guest_file};
pub(crate) use first_lines::first_lines_of;
pub(crate) use harm_log::Harm;
pub(crate) use http::{Reply, Request, exchange, read_chunk, read_head, try_exchange};
pub(crate) use libvirt::Domain;
pub(crate) use mount::Mount;
pub(crate) use neighbour::Neighbour;
pub(crate) use network::{HOST, OUTSIDE, PrivateNetwork};
pub(crate) use pages::Pages;
pub(crate) use process::{Process, qemus_in, servers_in};
pub(crate) use services::{GREETING, Services, has_ipv6};
pub(crate) use slots::GuestSlots;
pub(crate) use wait::{BOOT, SHORT, until};
