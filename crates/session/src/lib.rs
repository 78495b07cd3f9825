//! Sessions: two-way, bounded streams of bytes to one thing of one VM.
//!
//! A session is neither a read nor a task. It never queues behind what is done to its VM, and nothing
//! that is done to a VM waits for it: whoever does not keep up, at either end, is the only one to
//! notice.
//!
//! - [`Hub`]: one serial line and however many look at it.
//! - [`Tickets`]: how a program that cannot show a credential, such as a browser's WebSocket, opens one
//!   session once.
//! - [`agent`]: the calls to a guest's agent, which may be gone, slow, or lie.
//!
//! What is not here: where the bytes come from (a driver), who may have them (`auth`), over what they
//! go (`api`).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod agent;
mod console;
mod ticket;

pub use console::{HISTORY, Hub, Joined, LAG, Role, Viewer};
pub use ticket::{Issued, Purpose, TicketRefused, Tickets};
