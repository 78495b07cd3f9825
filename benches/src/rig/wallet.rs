//! Ethereum accounts that sign tokens.

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use k256::ecdsa::SigningKey;
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a token counts: longer than any row takes.
const COUNTS_FOR: Duration = Duration::from_secs(3600);

/// An account, and its key.
#[derive(Debug)]
pub(crate) struct Wallet {
    key: SigningKey,
    address: String,
}

impl Wallet {
    /// Each has another key, which is no secret.
    pub(crate) fn nth(number: usize) -> anyhow::Result<Self> {
        let mut key = [0x1a; 32];
        key[24..].copy_from_slice(&(number as u64).to_be_bytes());
        Self::of(&key)
    }

    fn of(key: &[u8; 32]) -> anyhow::Result<Self> {
        let key = SigningKey::from_slice(key).context("a number that is a key")?;
        let point = key.verifying_key().to_sec1_point(false);
        // Without the first byte, which says that both coordinates follow.
        let hash: [u8; 32] = Keccak256::digest(&point.as_bytes()[1..]).into();
        let address =
            hash[12..].iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        Ok(Self { key, address })
    }

    /// In small letters.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A token of this name that counts for the next hour.
    pub(crate) fn token(&self, name: &str) -> anyhow::Result<String> {
        let until = SystemTime::now().duration_since(UNIX_EPOCH)? + COUNTS_FOR;
        let (address, until) = (&self.address, until.as_secs());
        let claims =
            format!(r#"{{"iss":"{address}","aud":"innkeeper","exp":{until},"jti":"{name}"}}"#);
        let [header, claims] =
            [r#"{"alg":"ES256K","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let text = format!("{header}.{claims}");
        let hash: [u8; 32] = Sha256::digest(&text).into();
        let (signature, _) = self.key.sign_prehash_recoverable(&hash);
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_key() {
        // From the documentation of web3.js.
        let key = [
            0x4c, 0x08, 0x83, 0xa6, 0x91, 0x02, 0x93, 0x7d, 0x62, 0x31, 0x47, 0x1b, 0x5d, 0xbb,
            0x62, 0x04, 0xfe, 0x51, 0x29, 0x61, 0x70, 0x82, 0x79, 0x2a, 0xe4, 0x68, 0xd0, 0x1a,
            0x3f, 0x36, 0x23, 0x18,
        ];
        let address = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";
        assert_eq!(Wallet::of(&key).unwrap().address(), address);
    }
}
