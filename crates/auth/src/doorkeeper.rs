//! The doorkeeper: from what a caller shows to who it is and what it may.

use crate::{
    accounts::Accounts,
    identity::Identity,
    issued::{IssuedTokens, NotIssued},
    limits::{Entry, Exceeded, Kind, Limits, Quotas, Who},
    principal::Principal,
    token::Token,
};
use innkeeper_model::{Code, Refusal, Timestamp};
use std::{fmt, sync::Arc, time::Instant};

/// What credentials are known on one listener. A clone knows the same.
#[derive(Clone, Default)]
pub struct Doorkeeper {
    token: Option<Token>,
    issued: Option<Arc<IssuedTokens>>,
    accounts: Option<Arc<Accounts>>,
    limits: Option<Arc<Timed>>,
}

/// Limits, and since when their time counts.
struct Timed {
    limits: Limits,
    begun: Instant,
}

impl fmt::Debug for Doorkeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorkeeper")
    }
}

impl Doorkeeper {
    /// One who knows this token as the daemon's own; its bearers are administrators.
    #[must_use]
    pub fn with_token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }

    /// One who knows the tokens on this list, too.
    #[must_use]
    pub fn with_issued(self, issued: Arc<IssuedTokens>) -> Self {
        Self { issued: Some(issued), ..self }
    }

    /// One who knows these wallets' accounts, too, in place of others.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<Accounts>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// One who lets nobody in more often than this.
    #[must_use]
    pub fn with_limits(self, quotas: Quotas) -> Self {
        let timed = Timed { limits: Limits::new(quotas), begun: Instant::now() };
        Self { limits: Some(Arc::new(timed)), ..self }
    }

    /// Counts a request; without limits, none counts.
    ///
    /// # Errors
    /// Its caller has called too often.
    pub fn count(&self, who: Who<'_>, entry: Entry, kind: Kind) -> Result<(), Exceeded> {
        let Some(timed) = &self.limits else { return Ok(()) };
        timed.limits.count(who, entry, kind, timed.begun.elapsed())
    }

    /// Forgets callers whose quotas are whole again. To be called now and then.
    pub fn forget_callers(&self) {
        if let Some(timed) = &self.limits {
            timed.limits.forget(timed.begun.elapsed());
        }
    }

    /// The tokens that are issued here.
    ///
    /// # Errors
    /// None are: only a view is served.
    pub fn issued(&self) -> Result<&Arc<IssuedTokens>, Refusal> {
        let issued = self.issued.as_ref();
        issued.ok_or_else(|| Refusal::new(Code::Unsupported, "this server issues no tokens"))
    }

    /// The accounts that are let in here.
    ///
    /// # Errors
    /// None are.
    pub fn accounts(&self) -> Result<&Arc<Accounts>, Refusal> {
        self.accounts.as_ref().ok_or_else(|| {
            Refusal::new(Code::Unsupported, "no wallets are let in here")
                .with_hint("the daemon's operator says which are: [wallets] of the configuration")
        })
    }

    /// Whether what a caller showed can cease to hold while it is answered, and that be known.
    pub const fn can_end(principal: &Principal) -> bool {
        matches!(principal.identity, Identity::Issued { .. })
    }

    /// Whether what a caller showed still holds. Of whoever showed no issued token it is not known, and so
    /// taken to.
    pub fn holds(&self, principal: &Principal, now: Timestamp) -> bool {
        match &self.issued {
            Some(issued) if Self::can_end(principal) => issued.holds(principal, now),
            _ => true,
        }
    }

    /// Who shows this text as a bearer token.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`]. Of a token that is known it says that it has expired; of all others
    /// the same, whatever is wrong with them. Of what a wallet should have signed it says what is wrong with
    /// it, since that is in it for all to read; [`Code::Forbidden`] where it holds and its account is not
    /// let in.
    pub fn admit(&self, text: &str, now: Timestamp) -> Result<Principal, Refusal> {
        if let Some(accounts) = self.accounts.as_ref().filter(|_| Accounts::could_be(text)) {
            return accounts.admit(text, now);
        }
        if IssuedTokens::could_be(text) {
            let found = self.issued.as_ref().ok_or(NotIssued::Unknown);
            return found.and_then(|issued| issued.find(text, now)).map_err(|not| match not {
                NotIssued::Unknown => unknown(),
                NotIssued::Expired => Refusal::new(Code::Unauthenticated, "this token has expired")
                    .with_hint("whoever issued it can issue another: inn token create"),
            });
        }
        match &self.token {
            Some(token) if token.matches(text) => Ok(Principal::admin(Identity::Token)),
            _ => Err(unknown()),
        }
    }
}

/// That what was shown is no credential here, whatever is wrong with it.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(Code::Unauthenticated, "this credential is not known here").with_hint(
        "show a token of inn token create, or what is in the file `token` of the state folder",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewToken, Role};

    #[test]
    fn each_token_is_who_it_stands_for() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("token");
        let token = Token::load_or_create(&own).unwrap();
        let own = std::fs::read_to_string(own).unwrap();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let (now, name) = (Timestamp::UNIX_EPOCH, "ci".parse().unwrap());
        let expires = Some(Timestamp::from_second(9).unwrap());
        let wanted =
            NewToken { name, role: Role::Viewer, project: None, expires, privileged: false };
        let (_, text) = issued.create(wanted, "uid:0", now).unwrap();

        let doorkeeper = Doorkeeper::default().with_token(token).with_issued(issued);
        let admit = |text: &str| doorkeeper.admit(text, now);
        assert_eq!(admit(own.trim_end()).unwrap(), Principal::admin(Identity::Token));
        assert_eq!(admit(&text).unwrap().identity.to_string(), "token:ci");
        let refusals = ["", "x", &text[1..], &format!("{text}x"), "inn_"].map(admit);
        for refused in &refusals {
            let refusal = refused.as_ref().unwrap_err();
            assert_eq!(Some(refusal), refusals[0].as_ref().err(), "one says more than another");
        }
        let expired = doorkeeper.admit(&text, Timestamp::from_second(9).unwrap()).unwrap_err();
        assert!(expired.code == Code::Unauthenticated && expired.message.contains("expired"));
        assert!(Doorkeeper::default().admit(&text, now).is_err());
    }
}
