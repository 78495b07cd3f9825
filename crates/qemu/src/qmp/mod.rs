//! QMP, QEMU's control protocol: JSON lines over a unix socket.
//!
//! [`Qmp`] is one connection. It tolerates events and enum values that it does not know, answers
//! that come late or to nobody, and callers that give up waiting. It does not reconnect; the
//! machine's keeper does, because after a reconnect the state must be asked again anyway.

mod client;
pub(crate) mod commands;
pub(crate) mod fuzz;
mod wire;

pub(crate) use client::{ANSWER_WITHIN, Qmp, QmpError};
pub(crate) use wire::Event;
