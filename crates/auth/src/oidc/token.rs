//! One token of an issuer: read, and checked.
//!
//! What is cheap to refuse is refused before the signature is looked at, and all of that stands in the token in
//! clear. Nothing that a token says of how it is signed chooses anything: its issuer's key does, and the token has to
//! agree. No key and no address is ever taken from a token.

use super::{
    jwks::{Key, Keys, NoKey},
    refused::BadToken,
};
use crate::{
    claims::{Object, Times, check_audience, check_critical, text},
    wallet::strict_json,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::Timestamp;
use jiff::SignedDuration;
use serde::Deserialize;
use std::sync::Arc;

/// The longest token, in bytes: one may carry the groups of somebody who is in many.
pub(super) const MAX_TOKEN_LENGTH: usize = 16 << 10;

/// The claims of a token.
pub(super) type Claims = Object;

/// A token's three parts, each still as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// What is signed: the first two and the dot between them.
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What a token has to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    /// How long it may count in all.
    pub(super) max_age: SignedDuration,
}

/// A token of which everything was looked at but its signature.
#[derive(Debug)]
pub(super) struct Unproved<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    key: Arc<Key>,
    claims: Claims,
    expires: Timestamp,
}

/// What a token proved.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) claims: Claims,
    pub(super) expires: Timestamp,
    /// By which key.
    pub(super) key: Arc<Key>,
}

impl<'a> Parts<'a> {
    /// The parts of a text that can be a token.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN_LENGTH {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        (!payload.contains('.')).then_some(Self { signed, header, payload, signature })
    }

    /// Whose token this says that it is, of which nothing was checked.
    pub(super) fn claimed_issuer(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Claimed {
            iss: String,
        }
        let payload = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        serde_json::from_slice(&payload).ok().map(|Claimed { iss }| iss)
    }

    /// Which key this says that it is signed with, if it says so; `None` where it cannot be read.
    pub(super) fn claimed_key(&self) -> Option<Option<String>> {
        let header = object("header", self.header).ok()?;
        text(&header, "kid").ok().map(|id| id.map(str::to_owned))
    }

    /// Checks all of it but the signature: all that costs little.
    ///
    /// # Errors
    /// It does not hold here and now, or none of these keys can have signed it.
    pub(super) fn read(
        self,
        keys: Option<&Keys>,
        expected: Expected<'_>,
        now: Timestamp,
    ) -> Result<Unproved<'a>, BadToken> {
        let header = object("header", self.header)?;
        let algorithm = algorithm(&header)?;
        let claims = object("payload", self.payload)?;
        let expires = check(&claims, expected, now)?;
        let signature = URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| BadToken::Signature)?;

        let keys = keys.ok_or(BadToken::NoKeys)?;
        let key = keys.of_token(text(&header, "kid")?, algorithm).map_err(|none| match none {
            NoKey::None => BadToken::NoKeysNow,
            NoKey::Unknown => BadToken::UnknownKey,
            NoKey::Unnamed => BadToken::UnnamedKey,
            NoKey::Algorithm => BadToken::Algorithm,
        })?;
        Ok(Unproved { signed: self.signed, signature, key: Arc::clone(key), claims, expires })
    }
}

impl Unproved<'_> {
    /// Checks the signature.
    ///
    /// # Errors
    /// Its key did not make it.
    pub(super) fn prove(self) -> Result<Verified, BadToken> {
        let Self { signed, signature, key, claims, expires } = self;
        match key.made(&signature, signed.as_bytes()) {
            true => Ok(Verified { claims, expires, key }),
            false => Err(BadToken::Signature),
        }
    }
}

/// The `alg` of a header that asks for nothing that is not understood.
fn algorithm(header: &Claims) -> Result<&str, BadToken> {
    check_critical(header)?;
    // An issuer signs other things with the same keys, such as that somebody has logged out.
    if let Some(kind) = text(header, "typ")? {
        let kind = kind.to_ascii_lowercase();
        if !["jwt", "at+jwt", "application/at+jwt"].contains(&&*kind) {
            return Err(BadToken::Type);
        }
    }
    text(header, "alg")?.ok_or(BadToken::Missing("alg"))
}

/// Whether these claims are of this issuer, for this audience, and count now; says until when.
fn check(claims: &Claims, expected: Expected<'_>, now: Timestamp) -> Result<Timestamp, BadToken> {
    if text(claims, "iss")? != Some(expected.issuer) {
        return Err(BadToken::Issuer);
    }
    check_audience(claims, expected.audience)?;
    let times = Times::read(claims)?;
    times.check(expected.max_age, now)?;
    Ok(times.expires)
}

fn object(part: &'static str, text: &str) -> Result<Claims, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Form(part))?;
    strict_json(&bytes).ok_or(BadToken::Form(part))
}
