//! TLS: which version, which certificates, and handshakes within bounds.
//!
//! Only TLS 1.3 is spoken. A caller may show a certificate and need not: who shows none shows a token. What came of a
//! handshake is one more thing that is known of a connection; who may do what is decided behind it.

mod connection;
mod listener;
mod settings;
#[cfg(test)]
mod tests;
mod under_way;

pub use settings::{Handshakes, Material, TlsSettings, UnusableMaterial};

pub(crate) use connection::TlsConnection;
pub(crate) use listener::TlsListener;
