//! Tokens, verified, and those that were seen before.
//!
//! Recovering a key takes some 150 µs, and `ES256K` may need it twice. A token that was verified once is
//! known by its SHA-256 until it expires, so that showing it again costs that hash and two look-ups. Only
//! what was verified is kept, and of accounts that are let in: an account of its own is anybody's for the
//! asking.

use super::{
    Address, BadToken, JwtRules, Revocations, Verified,
    expiring::Key,
    jwt::{check_length, read},
    signature::sha256,
};
use crate::seen::Seen;
use innkeeper_model::Timestamp;
use std::sync::Arc;

/// What verifies tokens for one door. Doors with another audience have others; what was revoked, and the room for
/// what was seen, is the same for all of them.
#[derive(Debug)]
pub struct JwtVerifier {
    rules: JwtRules,
    /// What keeps those of one audience apart from another's, among those that were seen.
    salt: Key,
    seen: Arc<Seen<Verified>>,
    revoked: Arc<Revocations>,
}

impl JwtVerifier {
    /// A verifier that has seen no token yet.
    pub fn new(rules: JwtRules, revoked: Arc<Revocations>) -> Self {
        let salt = sha256(rules.audience.as_bytes());
        Self { rules, salt, seen: Arc::default(), revoked }
    }

    /// One of tokens for another audience, which remembers in the same place.
    #[must_use]
    pub fn for_audience(&self, audience: &str) -> Self {
        let rules = JwtRules { audience: audience.into(), ..self.rules.clone() };
        let (seen, revoked) = (Arc::clone(&self.seen), Arc::clone(&self.revoked));
        Self { rules, salt: sha256(audience.as_bytes()), seen, revoked }
    }

    /// Checks a token, which is all that `Authorization: Bearer` says after that word. It is remembered only if
    /// its account is let in; that it is not is no error here.
    ///
    /// # Errors
    /// It is not one that this door takes now, not signed by the account that it names, or was revoked.
    pub fn verify(
        &self,
        token: &str,
        now: Timestamp,
        is_let_in: impl FnOnce(Address) -> bool,
    ) -> Result<Verified, BadToken> {
        self.verify_counted(token, now, is_let_in, || Ok::<_, BadToken>(()))
    }

    /// The same; but before a signature is looked at that was not seen before, `count` is asked whether that may be.
    ///
    /// # Errors
    /// As [`Self::verify`], and what `count` says.
    pub(crate) fn verify_counted<E: From<BadToken>>(
        &self,
        token: &str,
        now: Timestamp,
        is_let_in: impl FnOnce(Address) -> bool,
        count: impl FnOnce() -> Result<(), E>,
    ) -> Result<Verified, E> {
        check_length(token)?;
        let mut digest = sha256(token.as_bytes());
        digest.iter_mut().zip(self.salt).for_each(|(byte, salt)| *byte ^= salt);
        let verified = match self.seen.get(&digest, now) {
            Some(known) => known,
            None => {
                let unproved = read(token, &self.rules, now)?;
                count()?;
                let verified = unproved.prove()?;
                if is_let_in(verified.address) {
                    self.seen.note(digest, verified.clone(), verified.expires, now);
                }
                verified
            }
        };
        // Asked each time, and last: what was revoked while it was being verified is revoked.
        if self.revoked.covers(&verified, now) {
            return Err(BadToken::Revoked.into());
        }
        Ok(verified)
    }

    /// Releases what has expired.
    pub fn forget_expired(&self, now: Timestamp) {
        self.seen.forget_expired(now);
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.seen.count()
    }
}
