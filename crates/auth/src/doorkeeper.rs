//! The doorkeeper: from what a caller shows to who it is and what it may.

use crate::{
    accounts::Accounts,
    browser::{self, BrowserSession, BrowserSessions, KnownSession},
    certificate::{Certificates, Fingerprint},
    identity::Identity,
    issued::{IssuedTokens, NotIssued},
    limits::{Entry, Exceeded, Kind, Limits, Quotas, Who},
    oidc::Issuers,
    principal::Principal,
    source::Source,
    token::Token,
    wallet::BadToken,
};
use innkeeper_model::{Code, Refusal, Timestamp};
use innkeeper_store::WriteFailed;
use std::{fmt, sync::Arc, time::Instant};

/// What credentials are known on one listener. A clone knows the same.
#[derive(Clone, Default)]
pub struct Doorkeeper {
    token: Option<Token>,
    issued: Option<Arc<IssuedTokens>>,
    certificates: Option<Arc<Certificates>>,
    accounts: Option<Arc<Accounts>>,
    issuers: Option<Arc<Issuers>>,
    browsers: Arc<BrowserSessions>,
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

    /// One who knows the certificates on this list, too.
    #[must_use]
    pub fn with_certificates(self, certificates: Arc<Certificates>) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// One who knows these wallets' accounts, too, in place of others.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<Accounts>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// One who knows these issuers' tokens, too.
    #[must_use]
    pub fn with_issuers(self, issuers: Arc<Issuers>) -> Self {
        Self { issuers: Some(issuers), ..self }
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

    /// Writes down when tokens and certificates were last used, if any was since the last time. It waits for the disk.
    ///
    /// # Errors
    /// The disk fails; the next call tries again.
    pub fn save_uses(&self) -> Result<(), WriteFailed> {
        let tokens = self.issued.as_ref().map_or(Ok(()), |issued| issued.save_uses());
        let certificates = self.certificates.as_ref().map_or(Ok(()), |issued| issued.save_uses());
        tokens.and(certificates)
    }

    /// Forgets what is over: callers whose quotas are whole again, and of wallets and issuers what has expired. To be
    /// called now and then.
    pub fn forget_what_is_over(&self, now: Timestamp) {
        if let Some(timed) = &self.limits {
            timed.limits.forget(timed.begun.elapsed());
        }
        if let Some(accounts) = &self.accounts {
            accounts.forget_expired(now);
        }
        if let Some(issuers) = &self.issuers {
            issuers.forget_expired(now);
        }
        self.browsers.forget_expired(now);
    }

    /// The tokens that are issued here.
    ///
    /// # Errors
    /// None are: only a view is served.
    pub fn issued(&self) -> Result<&Arc<IssuedTokens>, Refusal> {
        let issued = self.issued.as_ref();
        issued.ok_or_else(|| Refusal::new(Code::Unsupported, "this server issues no tokens"))
    }

    /// The certificates that are issued here, and their authority.
    ///
    /// # Errors
    /// None are, since nothing is served with TLS.
    pub fn certificates(&self) -> Result<&Arc<Certificates>, Refusal> {
        self.certificates.as_ref().ok_or_else(|| {
            Refusal::new(
                Code::Unsupported,
                "no certificates are issued here: nothing is served with TLS",
            )
            .with_hint("inn serve --listen ADDR,tls; docs/tls.md says how to go on")
        })
    }

    /// Who shows this certificate, of which TLS has found that it leads to an authority that is trusted.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`]: it is on no list here, was revoked, or has expired.
    pub fn admit_certificate(
        &self,
        shown: Fingerprint,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        let found = self.certificates.as_ref().ok_or(NotIssued::Unknown);
        found.and_then(|certificates| certificates.find(shown, now)).map_err(|not| {
            let (problem, hint) = match not {
                NotIssued::Unknown => (
                    "this certificate is not known here",
                    "it may have been revoked; an administrator can issue another: inn certificate create",
                ),
                NotIssued::Expired => (
                    "this certificate has expired",
                    "an administrator can issue another: inn certificate create",
                ),
            };
            Refusal::new(Code::Unauthenticated, problem).with_hint(hint)
        })
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

    /// Keeps the keys of issuers new, for as long as it is polled; without issuers, it returns.
    pub async fn keep_keys(&self) {
        if let Some(issuers) = &self.issuers {
            issuers.keep().await;
        }
    }

    /// Waits until it can be known who shows this text: an issuer may have to be asked for a key of its. Of all
    /// else, it waits for nothing.
    pub async fn ready(&self, text: &str) {
        if let Some(issuers) = &self.issuers {
            issuers.ready(text).await;
        }
    }

    /// Whether it can be that something has to be waited for at all.
    pub const fn asks_others(&self) -> bool {
        self.issuers.is_some()
    }

    /// Begins a session of a browser that showed this text as a bearer token and was let in as this caller.
    ///
    /// # Errors
    /// The host has no random numbers.
    pub fn begin_browser_session(
        &self,
        principal: &Principal,
        text: &str,
        now: Timestamp,
    ) -> Result<BrowserSession, Refusal> {
        self.browsers.begin(principal, text, now)
    }

    /// Who shows this cookie: whom the credential stands for now that the session began with.
    ///
    /// # Errors
    /// The session is over or was none, or its credential does not hold any more: in the same words.
    pub fn admit_browser(
        &self,
        cookie: &str,
        source: Source,
        now: Timestamp,
    ) -> Result<Principal, NotAdmitted> {
        let found = self.browsers.find(cookie, now).ok_or_else(no_session)?;
        match self.admit(&found.credential, source, now) {
            Ok(principal) => Ok(found.stands_for(principal)),
            Err(NotAdmitted::Refused(refused)) if refused.code == Code::Unauthenticated => {
                Err(no_session().into())
            }
            Err(other) => Err(other),
        }
    }

    /// What the pages of the session that has this cookie are told, if it lasts.
    pub fn browser_session(&self, cookie: &str, now: Timestamp) -> Option<KnownSession> {
        let found = self.browsers.find(cookie, now)?;
        Some(KnownSession { csrf: browser::csrf(cookie), expires: found.expires })
    }

    /// Whether this is what a page of this cookie's session shows beside it. The time that it takes tells nothing.
    pub fn is_csrf(&self, shown: &str, cookie: &str) -> bool {
        browser::is_csrf(shown, cookie)
    }

    /// Ends the session that has this cookie; what it follows breaks off. Whether there was one.
    pub fn end_browser_session(&self, cookie: &str) -> bool {
        self.browsers.end(cookie)
    }

    /// Who shows this text as a bearer token.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`]. Of a token that is known it says that it has expired; of all others
    /// the same, whatever is wrong with them. Of what a wallet or an issuer should have signed it says what is wrong
    /// with it, since that is in it for all to read; [`Code::Forbidden`] where it holds and its bearer is not
    /// let in. Or too many of those that nobody has seen before came from this source.
    pub fn admit(
        &self,
        text: &str,
        source: Source,
        now: Timestamp,
    ) -> Result<Principal, NotAdmitted> {
        // By whichever entrance, and for whatever: there is one quota of it.
        let count = || -> Result<(), NotAdmitted> {
            Ok(self.count(Who::Unproved(source), Entry::Other, Kind::Read)?)
        };
        let admitted = self.issuers.as_ref().and_then(|issuers| issuers.admit(text, now, count));
        if let Some(admitted) = admitted {
            return admitted;
        }
        if let Some(accounts) = self.accounts.as_ref().filter(|_| Accounts::could_be(text)) {
            return accounts.admit(text, now, count);
        }
        if IssuedTokens::could_be(text) {
            let found = self.issued.as_ref().ok_or(NotIssued::Unknown);
            let found = found.and_then(|issued| issued.find(text, now));
            return Ok(found.map_err(|not| match not {
                NotIssued::Unknown => unknown(),
                NotIssued::Expired => Refusal::new(Code::Unauthenticated, "this token has expired")
                    .with_hint("whoever issued it can issue another: inn token create"),
            })?);
        }
        match &self.token {
            Some(token) if token.matches(text) => Ok(Principal::admin(Identity::Token)),
            _ => Err(unknown().into()),
        }
    }
}

/// Why nobody is let in by what was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It does not hold, or nobody is let in by it.
    Refused(Refusal),
    /// It came too soon after others: of the same caller, or from the same source.
    TooSoon(Exceeded),
}

impl From<Refusal> for NotAdmitted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BadToken> for NotAdmitted {
    fn from(bad: BadToken) -> Self {
        Self::Refused(Refusal::from(&bad))
    }
}

impl From<Exceeded> for NotAdmitted {
    fn from(exceeded: Exceeded) -> Self {
        Self::TooSoon(exceeded)
    }
}

/// That a cookie is of no session, whatever is wrong with it.
fn no_session() -> Refusal {
    Refusal::new(Code::Unauthenticated, "this session is over, or there was none")
        .with_hint("show a credential at /v1/browser-session again")
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
        let text = text.expose().unwrap().to_owned();

        let doorkeeper = Doorkeeper::default().with_token(token).with_issued(issued);
        let admit = |text: &str| doorkeeper.admit(text, Source::ThisHost, now);
        assert_eq!(admit(own.trim_end()).unwrap(), Principal::admin(Identity::Token));
        assert_eq!(admit(&text).unwrap().identity.to_string(), "token:ci");
        let refusals = ["", "x", &text[1..], &format!("{text}x"), "inn_"].map(admit);
        for refused in &refusals {
            let refusal = refused.as_ref().unwrap_err();
            assert_eq!(Some(refusal), refusals[0].as_ref().err(), "one says more than another");
        }
        let later = Timestamp::from_second(9).unwrap();
        let expired = doorkeeper.admit(&text, Source::ThisHost, later).unwrap_err();
        let NotAdmitted::Refused(expired) = expired else { panic!("{expired:?}") };
        assert!(expired.code == Code::Unauthenticated && expired.message.contains("expired"));
        assert!(Doorkeeper::default().admit(&text, Source::ThisHost, now).is_err());
    }
}
