//! Fingerprints: what a certificate is known by.

use crate::digest::Digest;
use std::fmt;

/// The SHA-256 of a whole certificate in DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) Digest);

impl Fingerprint {
    /// That of these bytes.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Digest::of_bytes(certificate))
    }
}

/// In hexadecimal.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
