//! What a token in JSON has to say, whoever signed it: an account its own, or an issuer those of its people
//! (RFC 7519, RFC 7515).
//!
//! What holds for both is here. Each kind has further rules, and its own words for what is wrong.

use crate::wallet::{LEEWAY, later};
use innkeeper_model::Timestamp;
use jiff::SignedDuration;
use serde_json::{Map, Value};

/// A token's header, or its payload.
pub(crate) type Object = Map<String, Value>;

/// What is wrong with what a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadClaim {
    /// Something that every token must have is not there.
    Missing(&'static str),
    /// Something has another type than it must have, or is beyond its range.
    WrongType(&'static str),
    /// Its header asks for something that is not understood.
    Critical(&'static str),
    /// It is for somebody else.
    Audience,
    /// It does not count any more.
    Expired { expires: Timestamp },
    /// It would count for longer than any may.
    TooLongLived { expires: Timestamp, max_age: SignedDuration },
    /// It does not count yet.
    NotYet { from: Timestamp },
    /// It says that it was made later than now.
    IssuedInFuture { issued: Timestamp },
}

/// When a token counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) expires: Timestamp,
    not_before: Option<Timestamp>,
    /// When it was made, if it says so.
    pub(crate) issued: Option<Timestamp>,
}

impl Times {
    /// Those of a payload.
    ///
    /// # Errors
    /// It does not say until when it counts, or one of them is no time.
    pub(crate) fn read(payload: &Object) -> Result<Self, BadClaim> {
        Ok(Self {
            expires: time(payload, "exp")?.ok_or(BadClaim::Missing("exp"))?,
            not_before: time(payload, "nbf")?,
            issued: time(payload, "iat")?,
        })
    }

    /// Whether it counts now.
    ///
    /// # Errors
    /// It does not, or would for longer than this.
    pub(crate) fn check(self, max_age: SignedDuration, now: Timestamp) -> Result<(), BadClaim> {
        let Self { expires, not_before, issued } = self;
        if expires <= now {
            return Err(BadClaim::Expired { expires });
        }
        // By its signer's clock it may last no longer than that, and by ours it may not either.
        let from = issued.map_or(now, |issued| issued.min(now));
        if expires > later(later(from, max_age), LEEWAY) {
            return Err(BadClaim::TooLongLived { expires, max_age });
        }
        let soon = later(now, LEEWAY);
        match (not_before, issued) {
            (Some(from), _) if from > soon => Err(BadClaim::NotYet { from }),
            (_, Some(issued)) if issued > soon => Err(BadClaim::IssuedInFuture { issued }),
            _ => Ok(()),
        }
    }
}

/// Refuses a header that asks for what is not understood.
///
/// # Errors
/// It does.
pub(crate) fn check_critical(header: &Object) -> Result<(), BadClaim> {
    // What is critical must be understood, and nothing is (RFC 7515, 4.1.11). An unencoded payload is
    // signed differently, so it is no use to ignore that it was meant (RFC 7797).
    let asked = ["crit", "b64"].into_iter().find(|name| header.contains_key(*name));
    asked.map_or(Ok(()), |name| Err(BadClaim::Critical(name)))
}

/// Refuses a payload whose `aud`, a text or several, does not name this audience.
///
/// # Errors
/// It does not, or is neither.
pub(crate) fn check_audience(payload: &Object, audience: &str) -> Result<(), BadClaim> {
    let is_for = match payload.get("aud").ok_or(BadClaim::Missing("aud"))? {
        Value::String(one) => one == audience,
        Value::Array(several) if several.iter().all(Value::is_string) => {
            several.iter().any(|one| one == audience)
        }
        _ => return Err(BadClaim::WrongType("aud")),
    };
    if is_for { Ok(()) } else { Err(BadClaim::Audience) }
}

/// A text, where there is one of this name.
///
/// # Errors
/// It is something else.
pub(crate) fn text<'a>(
    object: &'a Object,
    name: &'static str,
) -> Result<Option<&'a str>, BadClaim> {
    let text = object.get(name).map(|value| value.as_str().ok_or(BadClaim::WrongType(name)));
    text.transpose()
}

/// A time in seconds since 1970, which may have a fraction; milliseconds are kept of it.
fn time(object: &Object, name: &'static str) -> Result<Option<Timestamp>, BadClaim> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let time = match (value.as_i64(), value.as_f64()) {
        (Some(seconds), _) => Timestamp::from_second(seconds).ok(),
        // Numbers are within 2^53 here, so a thousand times one is still within the range.
        (None, Some(seconds)) => {
            Timestamp::from_millisecond((seconds * 1000.0).floor() as i64).ok()
        }
        (None, None) => None,
    };
    time.map(Some).ok_or(BadClaim::WrongType(name))
}
