//! Callers whom an OpenID Connect issuer vouches for, if the operator named it.
//!
//! ```text
//!   token ──whose does it say that it is?──▶ that issuer's keys ──▶ claims ──grants──▶ Principal
//! ```
//!
//! A token is looked at here only if it says that it is of an issuer of the configuration; all others are somebody
//! else's. Verifying waits for nothing: each issuer's keys are kept by a task of their own ([`Issuers::keep`]), and
//! who shows a token of a key that is not among them yet is given the time to have it fetched ([`Issuers::ready`]).
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

use crate::principal::Principal;
use fetch::Source;
use innkeeper_model::{Refusal, Timestamp};
use keyring::{KeyRing, Pace};
use std::{collections::BTreeSet, sync::Arc};
use token::{Expected, Parts};
use tokio::task::JoinSet;

/// The issuers whose tokens are taken.
#[derive(Debug)]
pub struct Issuers(Vec<Arc<Issuer>>);

/// One of them.
#[derive(Debug)]
struct Issuer {
    rules: IssuerRules,
    source: Source,
    keys: KeyRing,
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
        Ok(Self(issuers))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps their keys new, for as long as it is polled. One that cannot be reached is asked again and again, and
    /// the log says so.
    pub async fn keep(&self) {
        let mut keepers = JoinSet::new();
        for issuer in &self.0 {
            let issuer = Arc::clone(issuer);
            keepers.spawn(async move { issuer.keys.keep(&issuer.source).await });
        }
        while keepers.join_next().await.is_some() {}
    }

    /// Waits, if this is the token of one of them and names a key that is not known yet, until that one has been
    /// asked; at most some seconds, and only if it was not asked just before.
    pub async fn ready(&self, text: &str) {
        let Some((issuer, token)) = self.of(text) else { return };
        // What cannot be read means no key.
        let Some(key) = token.claimed_key() else { return };
        if !issuer.keys.keys().is_some_and(|keys| keys.has(key.as_deref())) {
            issuer.keys.wait().await;
        }
    }

    /// Whose token this is, if it is of one of these.
    ///
    /// # Errors
    /// It does not hold here and now, or nothing is granted to whom it is of.
    pub(crate) fn admit(&self, text: &str, now: Timestamp) -> Option<Result<Principal, Refusal>> {
        let (issuer, token) = self.of(text)?;
        Some(issuer.admit(token, now))
    }

    /// The issuer of which a text says that it is a token of.
    fn of<'a>(&self, text: &'a str) -> Option<(&Arc<Issuer>, Parts<'a>)> {
        let token = Parts::of(text)?;
        let claimed = token.claimed_issuer()?;
        let issuer = self.0.iter().find(|issuer| issuer.rules.issuer == claimed)?;
        Some((issuer, token))
    }
}

impl Issuer {
    fn admit(&self, token: Parts<'_>, now: Timestamp) -> Result<Principal, Refusal> {
        let Self { rules, keys, .. } = self;
        let expected = Expected { issuer: &rules.issuer, audience: &rules.audience };
        let verified = token.verify(keys.keys().as_deref(), expected, now);
        let verified = verified.map_err(|bad| Refusal::from(&bad))?;
        let identity = rules.subject(&verified.claims).map_err(|bad| Refusal::from(&bad))?;
        rules.principal(identity, &verified.claims, verified.expires)
    }
}
