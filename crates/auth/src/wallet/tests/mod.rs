//! What wallets show, right and wrong.

mod known_answers;
mod known_tokens;
mod refused_tokens;
mod sign_ins;
mod strangers;

use super::{
    Address, Algorithm,
    signature::{Hash, personal, sha256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::Timestamp;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

/// A second at which all that is signed here counts: 2027-01-15T08:00:00Z.
const SECOND: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn now() -> Timestamp {
    at(SECOND)
}

/// An account that signs.
struct Wallet(SigningKey);

impl Wallet {
    /// The account of the examples in web3.js' documentation.
    fn alice() -> Self {
        Self::of("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
    }

    fn bob() -> Self {
        Self::of("00000000000000000000000000000000000000000000000000000000000000b0")
    }

    fn of(key: &str) -> Self {
        let key: [u8; 32] = super::hex::decode(key).unwrap();
        Self(SigningKey::from_slice(&key).unwrap())
    }

    fn address(&self) -> Address {
        Address::of_key(self.0.verifying_key())
    }

    /// r, s and v, which is 0 or 1.
    fn sign_hash(&self, hash: &Hash) -> [u8; 65] {
        let (signature, id) = self.0.sign_prehash_recoverable(hash);
        let mut bytes = [id.to_byte(); 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes
    }

    /// What `personal_sign` answers.
    fn personal_sign(&self, text: &str) -> String {
        let mut signature = self.sign_hash(&personal(text.as_bytes()));
        signature[64] += 27;
        format!("0x{}", super::hex::encode(&signature))
    }

    fn sign(&self, algorithm: Algorithm, text: &str) -> Vec<u8> {
        match algorithm {
            Algorithm::Es256k => self.sign_hash(&sha256(text.as_bytes()))[..64].to_vec(),
            Algorithm::Es256kR => self.sign_hash(&sha256(text.as_bytes())).to_vec(),
            Algorithm::Eip191 => self.sign_hash(&personal(text.as_bytes())).to_vec(),
        }
    }

    fn token(&self, algorithm: Algorithm, payload: &Value) -> String {
        let signed = signed_part(&json!({"alg": algorithm, "typ": "JWT"}), payload);
        let signature = self.sign(algorithm, &signed);
        with_signature(&signed, &signature)
    }

    /// Claims with which a token of this account counts for an hour.
    fn claims(&self) -> Value {
        json!({
            "iss": self.address(),
            "aud": "innkeeper",
            "iat": SECOND,
            "exp": SECOND + 3600,
            "jti": "one",
        })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signed_part(header: &Value, payload: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(payload.to_string()))
}

fn with_signature(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", encode(signature))
}

/// A valid signature's other form: n - s in place of s, and the other v.
fn with_high_s(signature: &[u8]) -> Vec<u8> {
    let parsed = k256::ecdsa::Signature::from_slice(&signature[..64]).unwrap();
    let high =
        k256::ecdsa::Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes());
    let mut bytes = high.unwrap().to_bytes().to_vec();
    bytes.extend(signature.get(64).map(|v| v ^ 1));
    bytes
}
