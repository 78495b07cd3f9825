//! Callers who are Ethereum accounts.
//!
//! An account proves itself by a signature, in one of two ways: a JWT that its owner signed
//! ([`JwtVerifier`]), or a message that a wallet showed and signed ([`siwe`], EIP-4361), for which there is
//! a short session ([`Sessions`]). Either proves one thing, an [`Address`]. Each way says exactly which
//! bytes are signed and with which hash; recovery alone proves nothing, since nearly every signature is
//! *somebody's*: an address counts only if it is the one that was claimed.
//!
//! What is here reads no clock and no file; times are passed in. It keeps four things in memory, all
//! bounded, all forgotten when they expire: tokens that were verified, tokens that were revoked, nonces
//! that wait for their signature, and sessions. Whoever owns them calls `forget_expired` now and then and
//! persists revocations. What an address may do is not decided here.
//!
//! `docs/wallets.md` has the formats byte for byte.

mod address;
pub(crate) mod expiring;
pub mod fuzz;
mod hex;
mod jwt;
mod revocation;
mod sessions;
mod signature;
pub mod siwe;
#[cfg(test)]
mod tests;
mod verifier;

pub use address::{Address, NotAnAddress};
pub use expiring::Full;
pub(crate) use jwt::strict_json;
pub use jwt::{
    Algorithm, BadToken, JwtRules, MAX_AHEAD, MAX_JTI_LENGTH, MAX_TOKEN_LENGTH, Part, Verified,
    verify,
};
pub use revocation::{Revocation, Revocations};
pub use sessions::{Session, SessionId, Sessions};
pub use signature::BadSignature;
pub(crate) use signature::sha256;
pub use verifier::JwtVerifier;

use innkeeper_model::Timestamp;
use jiff::SignedDuration;

/// How far a caller's clock may be ahead of this host's. It is not granted to what has expired.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(30);

/// That much later, or the end of time.
pub(crate) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
