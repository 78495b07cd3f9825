//! JSON web tokens that an Ethereum account signed (RFC 7519, RFC 7515).
//!
//! `header.payload.signature`, each part base64url without padding. The account is the one in `iss`, and
//! what is signed are the ASCII bytes of `header.payload`. The hash and the form of the signature follow
//! from `alg`, which only ever chooses among those that the door's [`JwtRules`] allow; no key is taken from
//! a token. What is cheap to refuse is refused before the signature is looked at: all of that stands in the
//! token in clear, so it tells its bearer nothing.

mod algorithm;
mod claims;
mod json;
mod refused;

pub use algorithm::Algorithm;
pub use claims::{MAX_AHEAD, MAX_JTI_LENGTH, Verified};
pub(crate) use json::strict_json;
pub use refused::{BadToken, Part};

use super::{BadSignature, signature::sha256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use claims::Claims;
use innkeeper_model::Timestamp;

/// The longest token, in bytes. What is longer is not looked at.
pub const MAX_TOKEN_LENGTH: usize = 4096;

/// Which tokens a door takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtRules {
    /// What `aud` must be or contain.
    pub audience: Box<str>,
    /// The values of `alg` that are allowed.
    pub algorithms: Vec<Algorithm>,
}

/// The audience `innkeeper`, and all algorithms.
impl Default for JwtRules {
    fn default() -> Self {
        Self { audience: "innkeeper".into(), algorithms: Algorithm::ALL.to_vec() }
    }
}

/// Reads and checks a token, which is all that `Authorization: Bearer` says after that word. Whether it
/// was revoked is not asked here: see [`super::JwtVerifier`].
///
/// # Errors
/// It is not a token that these rules allow now, or not signed by the account that it names.
pub fn verify(token: &str, rules: &JwtRules, now: Timestamp) -> Result<Verified, BadToken> {
    read(token, rules, now)?.prove()
}

/// A token of which all but the signature was found right.
pub(super) struct Unproved<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    claims: Claims,
}

/// Checks what is cheap to check, and that is all but the signature.
pub(super) fn read<'a>(
    token: &'a str,
    rules: &JwtRules,
    now: Timestamp,
) -> Result<Unproved<'a>, BadToken> {
    check_length(token)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::NotThreeParts)?;
    let (header, payload) = signed.split_once('.').ok_or(BadToken::NotThreeParts)?;
    if payload.contains('.') {
        return Err(BadToken::NotThreeParts);
    }

    let header = decode(header).ok_or(BadToken::Encoding(Part::Header))?;
    let algorithm = claims::algorithm(&json::object(Part::Header, &header)?, &rules.algorithms)?;
    let payload = decode(payload).ok_or(BadToken::Encoding(Part::Payload))?;
    let payload = json::object(Part::Payload, &payload)?;
    let claims = Claims::read(&payload)?;
    claims.check(&payload, &rules.audience, now)?;

    let signature = decode(signature).ok_or(BadSignature::Form)?;
    Ok(Unproved { signed, signature, algorithm, claims })
}

impl Unproved<'_> {
    /// Checks the signature: this is what takes time.
    pub(super) fn prove(self) -> Result<Verified, BadToken> {
        let Self { signed, signature, algorithm, claims } = self;
        algorithm.check(signed, &signature, claims.address)?;
        Ok(claims.verified(sha256(signed.as_bytes())))
    }
}

pub(super) const fn check_length(token: &str) -> Result<(), BadToken> {
    if token.len() > MAX_TOKEN_LENGTH {
        return Err(BadToken::TooLong { length: token.len() });
    }
    Ok(())
}

/// Base64url without padding, and with no bits left over that would make two texts of the same bytes.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
