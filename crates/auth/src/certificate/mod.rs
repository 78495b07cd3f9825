//! Certificates: the authority of this host, the certificates that its listeners show, and those that callers do.
//!
//! ```text
//!   a caller's key ──▶ Request ──▶ Certificates::create ──▶ Authority signs ──▶ a certificate
//!   (stays there)                        │ on the list: its digest, role and project
//!   TLS: a chain to the authority ──▶ Fingerprint ──▶ Certificates::find ──▶ Principal
//! ```
//!
//! TLS finds out whether a certificate leads to an authority that is trusted and whether its time is over. Who that
//! is and what it may, the list says, by the digest of the whole certificate: nothing in a certificate gives a right,
//! and one that is not on the list is nobody's, whoever signed it. So one that is taken off the list ends at once,
//! without lists of revoked ones.

mod authority;
mod fingerprint;
pub mod fuzz;
mod issued;
mod request;
#[cfg(test)]
mod tests;
mod x509;

pub use authority::{Authority, AuthorityError, ServerCertificate};
pub use fingerprint::Fingerprint;
pub use issued::{Certificates, NewCertificate, ShownCertificate};
pub use request::{CannotAsk, KeyAndRequest};
pub use x509::{NotACertificate, common_name, expiry};
