//! The ways in which an account signs a token.

use crate::wallet::{
    Address, BadSignature,
    signature::{check_plain, check_recoverable, personal, sha256},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Algorithm {
    /// SHA-256; 64 bytes, r and s (RFC 8812).
    #[serde(rename = "ES256K")]
    Es256k,
    /// SHA-256; 65 bytes, r, s and v.
    #[serde(rename = "ES256K-R")]
    Es256kR,
    /// What wallets do in `personal_sign` (EIP-191): Keccak-256 of a prefix and the text; 65 bytes, r, s
    /// and v.
    #[serde(rename = "EIP191")]
    Eip191,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256k, Self::Es256kR, Self::Eip191];

    /// The algorithm's name, as `alg` has it. Case counts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256k => "ES256K",
            Self::Es256kR => "ES256K-R",
            Self::Eip191 => "EIP191",
        }
    }

    /// Whether this account signed this text in this way.
    pub(super) fn check(
        self,
        signed: &str,
        signature: &[u8],
        claimed: Address,
    ) -> Result<(), BadSignature> {
        let signed = signed.as_bytes();
        match self {
            Self::Es256k => check_plain(signature, &sha256(signed), claimed),
            Self::Es256kR => check_recoverable(signature, &sha256(signed), claimed),
            Self::Eip191 => check_recoverable(signature, &personal(signed), claimed),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
