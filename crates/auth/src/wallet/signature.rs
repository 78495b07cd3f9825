//! Signatures of Ethereum accounts, over a hash that the format fixes.
//!
//! A signature is checked against the address that claims it, never just recovered: about half of all
//! values recover to some address. Of the two signatures that each one implies, only the one with the
//! lower s counts, so that nobody can make a second out of the first.

use super::Address;
use k256::{
    ecdsa::{RecoveryId, Signature, VerifyingKey},
    elliptic_curve::scalar::IsHigh,
};
use sha2::Sha256;
use sha3::{Digest, Keccak256};

/// The bytes of r and s.
const SCALARS: usize = 64;

/// Why a signature is not that of the account that claims it. Callers are not told which of these it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// It has another length, or is not written as its format wants.
    #[error("the signature has not the form that its format asks for")]
    Form,
    /// r or s is no number that a signature can have.
    #[error("r or s is zero or too large")]
    Scalars,
    /// s is in the upper half.
    #[error("s is high: the other signature of the same message is the one that counts")]
    HighS,
    /// v is something else.
    #[error("v is {0}, neither 0, 1, 27 nor 28")]
    RecoveryId(u8),
    /// It is no signature by anybody, or somebody else's.
    #[error("it was not made by the account that is claimed, or not over this")]
    Signer,
}

/// A hash of 32 bytes that was signed.
pub(super) type Hash = [u8; 32];

/// SHA-256.
pub(crate) fn sha256(message: &[u8]) -> Hash {
    Sha256::digest(message).into()
}

/// What `personal_sign` signs (EIP-191, version 0x45): Keccak-256 of a prefix, the message's length in
/// decimal digits, and the message.
pub(super) fn personal(message: &[u8]) -> Hash {
    let hash = Keccak256::new_with_prefix(b"\x19Ethereum Signed Message:\n");
    let hash = hash.chain_update(message.len().to_string());
    hash.chain_update(message).finalize().into()
}

/// Checks 64 bytes, r and s. Which of the recovered keys it was is not in them, so any will do.
pub(super) fn check_plain(bytes: &[u8], hash: &Hash, claimed: Address) -> Result<(), BadSignature> {
    let signature = scalars(bytes)?;
    // The last two ask for an r that nobody can find; they cost nothing.
    let by_claimed = (0..=RecoveryId::MAX)
        .filter_map(RecoveryId::from_byte)
        .any(|id| recover(hash, &signature, id) == Some(claimed));
    if by_claimed { Ok(()) } else { Err(BadSignature::Signer) }
}

/// Checks 65 bytes: r, s and v.
pub(super) fn check_recoverable(
    bytes: &[u8],
    hash: &Hash,
    claimed: Address,
) -> Result<(), BadSignature> {
    let (&v, bytes) = bytes.split_last().ok_or(BadSignature::Form)?;
    let signature = scalars(bytes)?;
    let id = match v {
        0 | 27 => RecoveryId::new(false, false),
        1 | 28 => RecoveryId::new(true, false),
        _ => return Err(BadSignature::RecoveryId(v)),
    };
    if recover(hash, &signature, id) == Some(claimed) { Ok(()) } else { Err(BadSignature::Signer) }
}

fn scalars(bytes: &[u8]) -> Result<Signature, BadSignature> {
    if bytes.len() != SCALARS {
        return Err(BadSignature::Form);
    }
    let signature = Signature::from_slice(bytes).map_err(|_| BadSignature::Scalars)?;
    if bool::from(signature.s().is_high()) {
        return Err(BadSignature::HighS);
    }
    Ok(signature)
}

fn recover(hash: &Hash, signature: &Signature, id: RecoveryId) -> Option<Address> {
    let key = VerifyingKey::recover_from_prehash(hash, signature, id).ok()?;
    Some(Address::of_key(&key))
}
