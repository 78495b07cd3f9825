//! libvirt's RPC, as data: what a message is made of and which procedures there are.
//!
//! The facts are libvirt's: `src/rpc/virnetprotocol.x`, `src/rpc/virkeepaliveprotocol.x` and
//! `src/remote/remote_protocol.x` in its source, whose names stand in the comments.

mod frame;
mod procedures;
mod types;

pub(crate) use frame::{Frame, FrameError, Frames, Header, Kind, Status, message};
pub(crate) use procedures::{Deadline, Procedure, keepalive, remote};
pub(crate) use types::{DomainEvent, DomainRef, DomainStatistics, Happened, RemoteError};
