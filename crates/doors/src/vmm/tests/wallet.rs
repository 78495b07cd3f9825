//! An Ethereum account that signs tokens, over any hash and in any form.

use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::Timestamp;
use k256::ecdsa::{Signature, SigningKey};
use sha2::Sha256;
use sha3::{Digest, Keccak256, Sha3_256};

/// The account of the examples in web3.js' documentation.
pub(super) const ALICE: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
const KEY: [u8; 32] = [
    0x4c, 0x08, 0x83, 0xa6, 0x91, 0x02, 0x93, 0x7d, 0x62, 0x31, 0x47, 0x1b, 0x5d, 0xbb, 0x62, 0x04,
    0xfe, 0x51, 0x29, 0x61, 0x70, 0x82, 0x79, 0x2a, 0xe4, 0x68, 0xd0, 0x1a, 0x3f, 0x36, 0x23, 0x18,
];

pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// What a token of Alice's says that counts for the next hour.
pub(super) fn claims() -> Value {
    json!({ "iss": ALICE, "aud": "innkeeper", "iat": now(), "exp": now() + 3600, "jti": "one" })
}

/// What is signed: a token but for its signature.
pub(super) fn text(algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(&header), encode(claims))
}

/// The token of a text and these bytes.
pub(super) fn with(text: &str, signature: &[u8]) -> String {
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Alice's r, s and v, which is 0 or 1.
pub(super) fn sign(hash: [u8; 32]) -> [u8; 65] {
    let (signature, id) = SigningKey::from_slice(&KEY).unwrap().sign_prehash_recoverable(&hash);
    let mut bytes = [id.to_byte(); 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes
}

/// The other signature of the same: n - s in place of s, and the other v.
pub(super) fn with_high_s(signature: [u8; 65]) -> [u8; 65] {
    let low = Signature::from_slice(&signature[..64]).unwrap();
    let high = Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
    let mut bytes = [signature[64] ^ 1; 65];
    bytes[..64].copy_from_slice(&high.to_bytes());
    bytes
}

pub(super) fn sha256(text: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub(super) fn keccak256(text: impl AsRef<[u8]>) -> [u8; 32] {
    Keccak256::digest(text).into()
}

/// NIST's, which differs from Keccak-256 in its padding alone.
pub(super) fn sha3_256(text: impl AsRef<[u8]>) -> [u8; 32] {
    Sha3_256::digest(text).into()
}

/// What `personal_sign` signs (EIP-191).
pub(super) fn personal(text: &str) -> [u8; 32] {
    keccak256(format!("\x19Ethereum Signed Message:\n{}{text}", text.len()))
}
