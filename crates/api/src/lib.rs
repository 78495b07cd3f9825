//! The native API: HTTP/1.1 on a unix socket, on loopback, and with TLS on any address, there for whoever shows a
//! credential: a token, a certificate, a browser session's cookie.
//!
//! A read is answered from the view and never waits; a write becomes a task of the engine. So a
//! handler is short: it reads the request, asks the view or [`Operations`](innkeeper_surface::Operations), and writes what it is
//! told. Nothing here decides anything about a VM. What it reads is what its caller sees (`visit`): to whoever is
//! bound to a project, another's VM is one that does not exist.
//!
//! ```text
//!   server ──▶ gate ──▶ router ──▶ resources/… ──▶ view, operations
//!   sockets,   who,     paths,     one file each
//!   limits     ids,     openapi
//!              problem documents
//! ```
//!
//! Guests are served as well, from a listener of their own that has none of these routes: see
//! [`serve_metadata`].
//!
//! Every refusal is a problem document (RFC 9457) with a stable code. Every answer says the view's
//! revision from which on what it says can be read. Unknown parameters and fields are refused.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(test)]
mod api_tests;
mod flattened;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod metadata;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod nic_tests;
#[cfg(test)]
mod owners_tests;
mod protocol;
mod resources;
mod router;
mod server;
mod state;
#[cfg(test)]
mod test_support;
mod visit;

pub use metadata::{Peer, Peers, SeedDocument, Seeds, serve_metadata};
pub use protocol::json::decode_value;
pub use router::{document, router};
pub use server::{serve_diagnostics, serve_tcp, serve_unix};
pub use state::ApiState;
