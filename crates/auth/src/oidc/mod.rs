//! Callers whom an OpenID Connect issuer vouches for, if the operator named it.
//!
//! ```text
//!   token ──whose does it say that it is?──▶ that issuer's keys ──▶ claims ──grants──▶ Principal
//! ```
//!
//! A token is looked at here only if it says that it is of an issuer of the configuration; all others are somebody
//! else's. Verifying waits for nothing: each issuer's keys are kept by a task of their own ([`Issuers::keep`]), and
//! who shows a token of a key that is not among them yet is given the time to have it fetched ([`Issuers::ready`]).
//! Whoever shows one is counted before its signature is looked at, and what was found right is known again until it
//! expires, or its issuer takes its key back; what it opened goes on for no longer.
//!
//! Signatures are checked by `ring`, which is the process's TLS provider anyway. (The usual library for such tokens has
//! no backend of that: one that it has is a second provider, the other brings an RSA that leaks keys by its timing.)

mod fetch;
pub mod fuzz;
mod jwks;
mod keyring;
mod refused;
mod rules;
#[cfg(test)]
mod tests;
mod token;

pub use rules::{BadIssuer, ClaimGrant, IssuerRules};

use crate::{
    doorkeeper::NotAdmitted,
    principal::Principal,
    seen::Seen,
    standing::{Revocable, Standing},
    wallet::{expiring, sha256},
};
use fetch::Source;
use innkeeper_model::{Refusal, Timestamp};
use jwks::Key;
use keyring::{KeyRing, Pace};
use refused::BadToken;
use std::{collections::BTreeSet, sync::Arc};
use token::{Expected, Parts, Verified};
use tokio::task::JoinSet;

/// The issuers whose tokens are taken.
#[derive(Debug)]
pub struct Issuers {
    each: Vec<Arc<Issuer>>,
    /// Those that were let in before.
    seen: Seen<Principal>,
}

/// One of them.
#[derive(Debug)]
struct Issuer {
    rules: IssuerRules,
    source: Source,
    keys: KeyRing,
}

/// A key that made a token's signature, for as long as its issuer has it.
#[derive(Debug)]
struct ByKey {
    issuer: Arc<Issuer>,
    key: Arc<Key>,
}

impl Revocable for ByKey {
    fn holds(&self, _now: Timestamp) -> bool {
        self.issuer.keys.contain(&self.key)
    }
}

impl Issuers {
    /// These; nothing was asked of them yet.
    ///
    /// # Errors
    /// One of them makes no sense, or is there twice.
    pub fn new(rules: Vec<IssuerRules>) -> Result<Self, BadIssuer> {
        Self::at_pace(rules, Pace::default())
    }

    fn at_pace(rules: Vec<IssuerRules>, pace: Pace) -> Result<Self, BadIssuer> {
        let mut known = BTreeSet::new();
        let mut issuers = Vec::new();
        for rules in rules {
            let address = rules.check()?;
            for name in [&rules.name, &rules.issuer] {
                if !known.insert(name.clone()) {
                    return Err(BadIssuer::Twice(name.clone()));
                }
            }
            let source = Source::new(&rules.issuer, &address, rules.allow_http);
            let keys = KeyRing::new(&rules.name, pace);
            issuers.push(Arc::new(Issuer { rules, source, keys }));
        }
        Ok(Self { each: issuers, seen: Seen::default() })
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Keeps their keys new, for as long as it is polled. One that cannot be reached is asked again and again, and
    /// the log says so.
    pub async fn keep(&self) {
        let mut keepers = JoinSet::new();
        for issuer in &self.each {
            let issuer = Arc::clone(issuer);
            keepers.spawn(async move { issuer.keys.keep(&issuer.source).await });
        }
        while keepers.join_next().await.is_some() {}
    }

    /// Waits, if this is the token of one of them and names a key that is not known yet, until that one has been
    /// asked; at most some seconds, and only if it was not asked just before.
    pub async fn ready(&self, text: &str) {
        let Some(token) = Parts::of(text) else { return };
        if self.known(&digest(text), Timestamp::now()).is_some() {
            return;
        }
        let Some(issuer) = self.of(token) else { return };
        // What cannot be read means no key.
        let Some(key) = token.claimed_key() else { return };
        if !issuer.keys.keys().is_some_and(|keys| keys.has(key.as_deref())) {
            issuer.keys.wait().await;
        }
    }

    /// Whose token this is, if it is of one of these. Before a signature is looked at that was not seen before, `count`
    /// is asked whether that may be.
    ///
    /// # Errors
    /// It does not hold here and now, or nothing is granted to whom it is of; and what `count` says.
    pub(crate) fn admit(
        &self,
        text: &str,
        now: Timestamp,
        count: impl FnOnce() -> Result<(), NotAdmitted>,
    ) -> Option<Result<Principal, NotAdmitted>> {
        let token = Parts::of(text)?;
        let digest = digest(text);
        if let Some(known) = self.known(&digest, now) {
            return Some(Ok(known));
        }
        let issuer = self.of(token)?;
        let admitted = issuer.admit(token, now, count);
        Some(admitted.map(|(principal, expires)| {
            self.seen.note(digest, principal.clone(), expires, now);
            principal
        }))
    }

    /// Who shows a token that was let in before, and would be again: an issuer's key that it took back counts no more.
    fn known(&self, digest: &expiring::Key, now: Timestamp) -> Option<Principal> {
        self.seen.get(digest, now).filter(|principal| principal.standing.holds(now))
    }

    /// Releases what has expired.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.seen.forget_expired(now);
    }

    /// The issuer of which a text says that it is a token of.
    fn of(&self, token: Parts<'_>) -> Option<&Arc<Issuer>> {
        let claimed = token.claimed_issuer()?;
        self.each.iter().find(|issuer| issuer.rules.issuer == claimed)
    }
}

impl Issuer {
    fn admit(
        self: &Arc<Self>,
        token: Parts<'_>,
        now: Timestamp,
        count: impl FnOnce() -> Result<(), NotAdmitted>,
    ) -> Result<(Principal, Timestamp), NotAdmitted> {
        let Self { rules, keys, .. } = &**self;
        let IssuerRules { issuer, audience, max_age, .. } = rules;
        let expected = Expected { issuer, audience, max_age: *max_age };
        let refused = |bad: BadToken| Refusal::from(&bad);
        let unproved = token.read(keys.keys().as_deref(), expected, now).map_err(refused)?;
        count()?;
        let Verified { claims, expires, key } = unproved.prove().map_err(refused)?;
        let identity = rules.subject(&claims).map_err(refused)?;
        let by_key = Arc::new(ByKey { issuer: Arc::clone(self), key });
        let standing = Standing::of(by_key).until(expires);
        Ok((rules.principal(identity, &claims, standing)?, expires))
    }
}

/// What a token is known by.
fn digest(text: &str) -> expiring::Key {
    sha256(text.as_bytes())
}
