//! What a token's header and payload have to say.

use super::{Algorithm, BadToken};
use crate::{
    claims::{Object, Times, check_audience, check_critical, text},
    wallet::{Address, signature::Hash},
};
use innkeeper_model::Timestamp;
use jiff::SignedDuration;
use std::sync::Arc;

/// How far ahead `exp` may be, of now and of `iat`.
pub const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// The longest `jti`, in bytes, so that what is remembered of a token is bounded.
pub const MAX_JTI_LENGTH: usize = 128;

/// What a token proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The account that signed it.
    pub address: Address,
    /// Until when it counts: from this very moment on it does not.
    pub expires: Timestamp,
    /// When it was made, if it says so.
    pub issued: Option<Timestamp>,
    /// Its own name, if it has one: up to [`MAX_JTI_LENGTH`] bytes without control characters.
    pub jti: Option<Arc<str>>,
    /// The SHA-256 of what was signed. Not of the whole token: a signature can be written in more than one way
    /// (v as 0 or as 27), and by anybody who has it.
    pub(in crate::wallet) signed: Hash,
}

/// The algorithm of a token with this header, which is one of those that are allowed.
pub(super) fn algorithm(header: &Object, allowed: &[Algorithm]) -> Result<Algorithm, BadToken> {
    check_critical(header)?;
    if let Some(kind) = text(header, "typ")?
        && !kind.eq_ignore_ascii_case("JWT")
    {
        return Err(BadToken::Type);
    }
    let name = text(header, "alg")?.ok_or(BadToken::Missing("alg"))?;
    let algorithm = allowed.iter().find(|algorithm| algorithm.as_str() == name);
    algorithm.copied().ok_or_else(|| BadToken::Algorithm(name.chars().take(20).collect()))
}

/// A payload's claims, with the types that they must have.
pub(super) struct Claims {
    pub(super) address: Address,
    times: Times,
    jti: Option<Arc<str>>,
}

impl Claims {
    pub(super) fn read(payload: &Object) -> Result<Self, BadToken> {
        let address = text(payload, "iss")?.ok_or(BadToken::Missing("iss"))?.parse()?;
        let jti = text(payload, "jti")?;
        if jti.is_some_and(|jti| !is_name(jti)) {
            return Err(BadToken::WrongType("jti"));
        }
        Ok(Self { address, times: Times::read(payload)?, jti: jti.map(Arc::from) })
    }

    /// Whether these are for this audience and count now.
    pub(super) fn check(
        &self,
        payload: &Object,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), BadToken> {
        check_audience(payload, audience)?;
        Ok(self.times.check(MAX_AHEAD, now)?)
    }

    pub(super) fn verified(self, signed: Hash) -> Verified {
        let Self { address, times: Times { expires, issued, .. }, jti } = self;
        Verified { address, expires, issued, jti, signed }
    }
}

/// Whether a text can be a token's name: something that a log line can show.
fn is_name(text: &str) -> bool {
    (1..=MAX_JTI_LENGTH).contains(&text.len()) && !text.chars().any(char::is_control)
}
