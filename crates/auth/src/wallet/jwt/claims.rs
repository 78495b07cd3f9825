//! What a token's header and payload have to say.

use super::{Algorithm, BadToken};
use crate::wallet::{Address, LEEWAY, later, signature::Hash};
use innkeeper_model::Timestamp;
use jiff::SignedDuration;
use serde_json::{Map, Value};
use std::sync::Arc;

/// How far ahead `exp` may be, of now and of `iat`.
pub const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// The longest `jti`, in bytes, so that what is remembered of a token is bounded.
pub const MAX_JTI_LENGTH: usize = 128;

type Object = Map<String, Value>;

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
    // What is critical must be understood, and nothing is (RFC 7515, 4.1.11). An unencoded payload is
    // signed differently, so it is no use to ignore that it was meant (RFC 7797).
    for critical in ["crit", "b64"] {
        if header.contains_key(critical) {
            return Err(BadToken::Critical(critical));
        }
    }
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
    expires: Timestamp,
    not_before: Option<Timestamp>,
    issued: Option<Timestamp>,
    jti: Option<Arc<str>>,
}

impl Claims {
    pub(super) fn read(payload: &Object) -> Result<Self, BadToken> {
        let address = text(payload, "iss")?.ok_or(BadToken::Missing("iss"))?.parse()?;
        let jti = text(payload, "jti")?;
        if jti.is_some_and(|jti| !is_name(jti)) {
            return Err(BadToken::WrongType("jti"));
        }
        Ok(Self {
            address,
            expires: time(payload, "exp")?.ok_or(BadToken::Missing("exp"))?,
            not_before: time(payload, "nbf")?,
            issued: time(payload, "iat")?,
            jti: jti.map(Arc::from),
        })
    }

    /// Whether these are for this audience and count now.
    pub(super) fn check(
        &self,
        payload: &Object,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), BadToken> {
        if !is_for(payload, audience)? {
            return Err(BadToken::Audience);
        }
        let expires = self.expires;
        if expires <= now {
            return Err(BadToken::Expired { expires });
        }
        // By its own clock a token may live for no more than a day, and by ours it may not either.
        let from = self.issued.map_or(now, |issued| issued.min(now));
        if expires > later(later(from, MAX_AHEAD), LEEWAY) {
            return Err(BadToken::TooLongLived { expires });
        }
        let soon = later(now, LEEWAY);
        match (self.not_before, self.issued) {
            (Some(from), _) if from > soon => Err(BadToken::NotYet { from }),
            (_, Some(issued)) if issued > soon => Err(BadToken::IssuedInFuture { issued }),
            _ => Ok(()),
        }
    }

    pub(super) fn verified(self, signed: Hash) -> Verified {
        let Self { address, expires, issued, jti, not_before: _ } = self;
        Verified { address, expires, issued, jti, signed }
    }
}

/// Whether a text can be a token's name: something that a log line can show.
fn is_name(text: &str) -> bool {
    (1..=MAX_JTI_LENGTH).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `aud`, a text or several, names this audience.
fn is_for(payload: &Object, audience: &str) -> Result<bool, BadToken> {
    let wrong = BadToken::WrongType("aud");
    match payload.get("aud").ok_or(BadToken::Missing("aud"))? {
        Value::String(one) => Ok(one == audience),
        Value::Array(several) if several.iter().all(Value::is_string) => {
            Ok(several.iter().any(|one| one == audience))
        }
        _ => Err(wrong),
    }
}

fn text<'a>(object: &'a Object, name: &'static str) -> Result<Option<&'a str>, BadToken> {
    let text = object.get(name).map(|value| value.as_str().ok_or(BadToken::WrongType(name)));
    text.transpose()
}

/// A time in seconds since 1970, which may have a fraction; milliseconds are kept of it.
fn time(object: &Object, name: &'static str) -> Result<Option<Timestamp>, BadToken> {
    let wrong = BadToken::WrongType(name);
    let Some(value) = object.get(name) else { return Ok(None) };
    let time = match (value.as_i64(), value.as_f64()) {
        (Some(seconds), _) => Timestamp::from_second(seconds),
        // Numbers are within 2^53 here, so a thousand times one is still within the range.
        (None, Some(seconds)) => Timestamp::from_millisecond((seconds * 1000.0).floor() as i64),
        (None, None) => return Err(wrong),
    };
    time.map(Some).map_err(|_| wrong)
}
