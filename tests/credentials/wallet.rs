//! An Ethereum account that signs as it should, and in each way in which it should not.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use k256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use std::time::{SystemTime, UNIX_EPOCH};

/// This second.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An account.
pub(crate) struct Wallet(SigningKey);

impl Wallet {
    pub(crate) fn alice() -> Self {
        Self(SigningKey::from_slice(&[0xa1; 32]).unwrap())
    }

    /// One that nobody let in.
    pub(super) fn nobody() -> Self {
        Self(SigningKey::from_slice(&[0xb0; 32]).unwrap())
    }

    fn public_key(&self) -> Vec<u8> {
        self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    /// With its checksum, as ERC-55 has it: a letter is large where the digit of the address's hash is.
    pub(super) fn address(&self) -> String {
        let hash = Keccak256::digest(&self.public_key()[1..]);
        let small = hex(&hash[12..]);
        let sums = hex(&Keccak256::digest(&small));
        let letters = small.chars().zip(sums.chars());
        let cased = letters.map(|(letter, sum)| match sum >= '8' {
            true => letter.to_ascii_uppercase(),
            false => letter,
        });
        format!("0x{}", cased.collect::<String>())
    }

    /// The claim of an address with one letter in the other case.
    pub(super) fn bad_checksum(&self) -> Value {
        let mut letters: Vec<char> = self.address().chars().collect();
        let letter =
            letters.iter().skip(2).position(|letter| letter.is_ascii_alphabetic()).unwrap() + 2;
        let other = match letters[letter].is_ascii_uppercase() {
            true => letters[letter].to_ascii_lowercase(),
            false => letters[letter].to_ascii_uppercase(),
        };
        letters[letter] = other;
        json!({ "iss": letters.into_iter().collect::<String>() })
    }

    /// What a token says that counts for the next hour.
    pub(super) fn claims(&self, name: &str) -> Value {
        let now = now();
        json!({ "iss": self.address(), "aud": "innkeeper", "iat": now, "exp": now + 3600, "jti": name })
    }

    /// A token that is right.
    pub(super) fn token(&self, name: &str) -> String {
        self.sign("ES256K", &self.claims(name))
    }

    pub(super) fn sign(&self, alg: &str, claims: &Value) -> String {
        self.sign_with_header(&json!({ "alg": alg, "typ": "JWT" }), claims)
    }

    /// Signed as ES256K is, whatever the header says.
    pub(super) fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        let text = text(header, claims);
        let (signature, _) = self.signature(&sha256(&text));
        with(&text, &signature.to_bytes())
    }

    pub(super) fn unsigned(&self, claims: &Value) -> String {
        with(&text(&json!({ "alg": "none" }), claims), b"")
    }

    /// What a verifier takes that lets the token choose, and has the public key at hand.
    pub(super) fn hs256_with_public_key(&self, claims: &Value) -> String {
        let text = text(&json!({ "alg": "HS256" }), claims);
        with(&text, &hmac_sha256(&self.public_key(), text.as_bytes()))
    }

    /// The signature's other half: s and n - s both satisfy the equation.
    pub(super) fn high_s(&self, claims: &Value) -> String {
        let text = text(&json!({ "alg": "ES256K" }), claims);
        let (low, _) = self.signature(&sha256(&text));
        let high = Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
        with(&text, &high.to_bytes())
    }

    pub(super) fn swapped_recovery_id(&self, claims: &Value) -> String {
        let text = text(&json!({ "alg": "ES256K-R" }), claims);
        let (signature, id) = self.signature(&sha256(&text));
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(id ^ 1);
        with(&text, &bytes)
    }

    pub(super) fn wrong_hash(&self, claims: &Value) -> String {
        let text = text(&json!({ "alg": "ES256K" }), claims);
        let (signature, _) = self.signature(&Keccak256::digest(&text).into());
        with(&text, &signature.to_bytes())
    }

    /// What `personal_sign` answers (ERC-191, version 0x45).
    pub(crate) fn personal_sign(&self, message: &str) -> String {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let (signature, id) = self.signature(&Keccak256::digest(&prefixed).into());
        format!("0x{}{:02x}", hex(&signature.to_bytes()), 27 + id)
    }

    /// The text that signs in at a site (EIP-4361).
    pub(crate) fn sign_in_message(&self, site: &str, nonce: &str) -> String {
        let issued = innkeeper_model::Timestamp::now();
        let address = self.address();
        format!(
            "{site} wants you to sign in with your Ethereum account:\n{address}\n\n\n\
             URI: http://{site}\nVersion: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: {issued}"
        )
    }

    fn signature(&self, hash: &[u8; 32]) -> (Signature, u8) {
        let (signature, id) = self.0.sign_prehash_recoverable(hash);
        (signature, id.to_byte())
    }
}

fn text(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

fn with(text: &str, signature: &[u8]) -> String {
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// RFC 2104.
fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    match key.len() > block.len() {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let hash = |mask: u8, text: &[u8]| -> [u8; 32] {
        let masked = block.map(|byte| byte ^ mask);
        Sha256::digest([&masked[..], text].concat()).into()
    };
    hash(0x5c, &hash(0x36, text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
