//! Entrances for fuzzers: anything may be thrown at these, and they must come back.

use super::{
    jwks::Keys,
    token::{Expected, Parts, Unproved},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::Timestamp;
use jiff::SignedDuration;

/// A time at which there are tokens that count.
const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// Keys whose private halves no mutation finds.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"one",
    "x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"},
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A token's header, payload and signature before they are in base64, with a line feed after each of the first two.
///
/// # Panics
/// There is a mistake: one was taken that nobody signed.
pub fn token_parts(bytes: &[u8]) {
    let parts: Vec<_> =
        bytes.splitn(3, |byte| *byte == b'\n').map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    let text = parts.join(".");
    let Some(token) = Parts::of(&text) else { return };
    // What it says of itself is read before anything else of it.
    let _ = (token.claimed_issuer(), token.claimed_key());
    let expected = Expected {
        issuer: "https://login.example.org",
        audience: "innkeeper",
        max_age: SignedDuration::from_hours(24),
    };
    let keys = Keys::parse(KEYS.as_bytes()).ok();
    let verified = token.read(keys.as_ref(), expected, NOW).and_then(Unproved::prove);
    assert!(verified.is_err(), "{text}");
}

/// What an issuer publishes as its keys.
///
/// # Panics
/// There is a mistake: a set has too many keys, or one takes nothing for its signature.
pub fn keys(bytes: &[u8]) {
    let Ok(keys) = Keys::parse(bytes) else { return };
    assert!(keys.count() <= 64);
    for algorithm in ["ES256", "ES384", "EdDSA", "RS256"] {
        if let Ok(key) = keys.of_token(None, algorithm) {
            // Of a weak key somebody may make that up; what matters is that it is looked at.
            let _ = key.made(&[0; 64], b"text");
            assert!(!key.made(&[], b"text"));
        }
    }
}
