//! libvirt's domains: seen, and driven once they are adopted.
//!
//! libvirt is asked over its own socket, in its own protocol: nothing is linked, and the daemon starts
//! without it. What comes from the socket is read as if it were hostile.
//!
//! - `xdr` and `protocol` are the protocol as data, with the table of the procedures that are called;
//! - `connection` sends calls, awaits their answers, and notices when libvirt is gone; `client` has one
//!   method for each question;
//! - `domain` makes sense of what libvirt says of a domain, `survey` asks for it, `process` finds its
//!   QEMU;
//! - `link` is what is shared between the neighbour, which watches ([`Libvirt`]), and its driver, which
//!   acts.
//!
//! Nothing is stored: what libvirt says is told, and asked for anew when it was lost. A loss is never an
//! error of a caller's who only reads; who wants something done is told that libvirt cannot be asked.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod client;
mod connection;
mod domain;
mod driver;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod link;
mod neighbour;
mod process;
mod protocol;
mod survey;
mod xdr;

pub use neighbour::{Libvirt, LibvirtOptions};
