//! Accounts: which wallets are let in, and as what.
//!
//! That a wallet is whom it says it is, `wallet` proves. Whether it is let in is an operator's to say: each
//! by its address, or all there are. An account owns the project that has its address for a name.

use crate::{
    doorkeeper::{NotAdmitted, unknown},
    identity::Identity,
    principal::{Class, Principal, Scope},
    revoked::RevokedTokens,
    role::Role,
    standing::{Revocable, Standing},
    wallet::{
        Address, JwtRules, JwtVerifier, Revocation, Revocations, Session, SessionId, Sessions,
        Verified,
        siwe::{BadSignIn, Challenge, SignIns, Site},
    },
};
use innkeeper_model::{Code, Refusal, Timestamp};
use std::{collections::BTreeSet, io, sync::Arc};

/// Which accounts are let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRules {
    /// Whether every account is, as the owner of its project.
    pub open: bool,
    /// Those that are, as the owners of their projects.
    pub owners: BTreeSet<Address>,
    /// Those that are administrators.
    pub admins: BTreeSet<Address>,
    /// Those that have a privileged caller's room in the limits; the administrators have it too. That lets
    /// nobody in.
    pub privileged: BTreeSet<Address>,
}

/// Where accounts sign in, and the sessions that they have.
#[derive(Debug)]
pub struct SigningIn {
    sign_ins: SignIns,
    sessions: Sessions,
}

/// A session, for as long as nobody ends it.
#[derive(Debug)]
struct InSession {
    signing_in: Arc<SigningIn>,
    session: SessionId,
}

impl Revocable for InSession {
    fn holds(&self, now: Timestamp) -> bool {
        self.signing_in.sessions.counts(self.session, now)
    }

    fn ends(&self) -> Option<Timestamp> {
        self.signing_in.sessions.ends(self.session)
    }
}

/// A token that an account signed, for as long as nobody takes it back.
#[derive(Debug)]
struct ByToken {
    revoked: Arc<Revocations>,
    verified: Verified,
}

impl Revocable for ByToken {
    fn holds(&self, now: Timestamp) -> bool {
        !self.revoked.covers(&self.verified, now)
    }
}

/// The accounts that are let in where tokens for one audience are taken.
#[derive(Debug)]
pub struct Accounts {
    rules: AccountRules,
    audience: Box<str>,
    verifier: JwtVerifier,
    /// What the verifier asks.
    list: Arc<Revocations>,
    /// The same with a file, where there is one.
    revoked: Option<Arc<RevokedTokens>>,
    signing_in: Option<Arc<SigningIn>>,
}

impl SigningIn {
    /// To this site; nobody has yet.
    pub fn new(site: Site) -> Self {
        Self { sign_ins: SignIns::new(site), sessions: Sessions::default() }
    }
}

impl AccountRules {
    /// Whether no account is let in.
    pub fn is_nobody(&self) -> bool {
        !self.open && self.owners.is_empty() && self.admins.is_empty()
    }

    /// What an account that proved its address is.
    fn principal(&self, address: Address) -> Option<Principal> {
        let identity = Identity::Wallet(address);
        if self.admins.contains(&address) {
            return Some(Principal::admin(identity));
        }
        let class = match self.privileged.contains(&address) {
            true => Class::Privileged,
            false => Class::of(Role::Owner),
        };
        let owns = self.open || self.owners.contains(&address);
        let scope = Scope::Project(address.project());
        let standing = Standing::of_connection();
        owns.then_some(Principal { identity, role: Role::Owner, scope, class, standing })
    }
}

impl Accounts {
    /// Those that these rules let in, with tokens for this audience.
    pub fn new(rules: AccountRules, audience: &str) -> Self {
        let list = Arc::new(Revocations::default());
        let verifier = verifier(audience, Arc::clone(&list));
        Self { rules, audience: audience.into(), verifier, list, revoked: None, signing_in: None }
    }

    /// But for the tokens on this list; more can be put on it.
    #[must_use]
    pub fn with_revoked(self, revoked: Arc<RevokedTokens>) -> Self {
        let list = revoked.list();
        let verifier = verifier(&self.audience, Arc::clone(&list));
        Self { verifier, list, revoked: Some(revoked), ..self }
    }

    /// The same, with tokens for another audience. Who signed in has signed in to both, and what was taken
    /// back, from both.
    #[must_use]
    pub fn for_audience(&self, audience: &str) -> Self {
        Self {
            rules: self.rules.clone(),
            audience: audience.into(),
            verifier: self.verifier.for_audience(audience),
            list: Arc::clone(&self.list),
            revoked: self.revoked.clone(),
            signing_in: self.signing_in.clone(),
        }
    }

    /// And those of them who signed in there.
    #[must_use]
    pub fn with_sign_in(self, signing_in: Arc<SigningIn>) -> Self {
        Self { signing_in: Some(signing_in), ..self }
    }

    /// Whether a text is to be looked for here rather than elsewhere: a JWT has three parts, and a session's
    /// token says that it is one.
    pub(crate) fn could_be(text: &str) -> bool {
        Sessions::could_be(text) || text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// A nonce to be signed.
    ///
    /// # Errors
    /// Nobody signs in here, or the host has no random numbers.
    pub fn challenge(&self, now: Timestamp) -> Result<Challenge, Refusal> {
        self.signing_in()?.sign_ins.challenges().issue(now).map_err(no_randomness)
    }

    /// Begins a session of the account that signed this message.
    ///
    /// # Errors
    /// Nobody signs in here; the message or its signature is not right, or may be older than what was taken back of
    /// its account; the account is not let in; or the host has no random numbers.
    pub fn sign_in(
        &self,
        message: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<(Principal, Session), Refusal> {
        let SigningIn { sign_ins, sessions } = self.signing_in()?;
        let signed = sign_ins.verify(message, signature, now).map_err(|bad| Refusal::from(&bad))?;
        let principal = self.principal(signed.address)?;
        let session = sessions.begin(signed.address, signed.until, now).map_err(no_randomness)?;
        // Last: whoever takes all back has that on the list before they end the sessions that there are.
        if self.list.covers_sign_in(signed.address, signed.asked, now) {
            sessions.end(session.token.expose().unwrap_or_default());
            return Err(Refusal::from(&BadSignIn::Revoked));
        }
        Ok((principal, session))
    }

    /// Has what an account shows refused from now on: its session ends, or the token that it signed itself
    /// is taken back, with all that it signed under the same `jti`. It waits for the disk.
    ///
    /// # Errors
    /// It is neither; too many were taken back; or the disk fails, as [`RevokedTokens`] says.
    pub fn sign_out(&self, text: &str, now: Timestamp) -> Result<(), Refusal> {
        if Sessions::could_be(text) {
            let ended = self.signing_in()?.sessions.end(text);
            return ended.map(drop).ok_or_else(unknown);
        }
        // It was let in with it a moment ago, so it was counted then.
        let verified = self.verifier.verify(text, now, |_| true);
        let verified = verified.map_err(|bad| Refusal::from(&bad))?;
        self.revoked()?.revoke(Revocation::of(&verified), now)
    }

    /// Has all that an account showed so far refused from now on: its sessions end, and what it signed is taken
    /// back, or of that only what has this `jti`. It waits for the disk.
    ///
    /// # Errors
    /// Too many were taken back; or the disk fails, as [`RevokedTokens`] says.
    pub fn take_back(
        &self,
        account: Address,
        jti: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let revocation = match jti {
            Some(jti) => Revocation::of_name(account, jti, now),
            None => Revocation::of_all(account, now),
        };
        // In memory first, so that no message of before begins a session once they have ended.
        let taken_back = self.list.revoke(revocation, now);
        if jti.is_none()
            && let Some(signing_in) = &self.signing_in
        {
            signing_in.sessions.end_all(account);
        }
        taken_back.map_err(Refusal::from)?;
        self.revoked()?.revoke(revocation, now)
    }

    /// Releases what has expired: sessions, nonces, and tokens that are known. To be called now and then.
    pub fn forget_expired(&self, now: Timestamp) {
        self.verifier.forget_expired(now);
        self.list.forget_expired(now);
        if let Some(signing_in) = &self.signing_in {
            signing_in.sessions.forget_expired(now);
            signing_in.sign_ins.challenges().forget_expired(now);
        }
    }

    fn revoked(&self) -> Result<&RevokedTokens, Refusal> {
        self.revoked.as_deref().ok_or_else(|| {
            Refusal::new(Code::Unsupported, "tokens of wallets are not taken back here")
        })
    }

    fn signing_in(&self) -> Result<&SigningIn, Refusal> {
        self.signing_in.as_deref().ok_or_else(|| {
            Refusal::new(Code::Unsupported, "wallets do not sign in here")
                .with_hint("the daemon is told where it is found: `site` in [wallets]")
        })
    }

    /// Whose token this is, if it is somebody's who is let in. Before a signature is looked at that was not seen
    /// before, `count` is asked.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] where it is not a token that counts here and now, [`Code::Forbidden`] where
    /// it is, and its account is not let in; and what `count` says.
    pub(crate) fn admit(
        &self,
        text: &str,
        now: Timestamp,
        count: impl FnOnce() -> Result<(), NotAdmitted>,
    ) -> Result<Principal, NotAdmitted> {
        if Sessions::could_be(text) {
            let signing_in = self.signing_in.as_ref().ok_or_else(unknown)?;
            let (account, session) = signing_in.sessions.account(text, now).ok_or_else(unknown)?;
            let in_session = InSession { signing_in: Arc::clone(signing_in), session };
            let standing = Standing::of(Arc::new(in_session));
            return Ok(self.principal(account)?.while_it_holds(standing));
        }
        let is_let_in = |address| self.rules.principal(address).is_some();
        let verified = self.verifier.verify_counted(text, now, is_let_in, count)?;
        let principal = self.principal(verified.address)?;
        let expires = verified.expires;
        let by_token = ByToken { revoked: Arc::clone(&self.list), verified };
        Ok(principal.while_it_holds(Standing::of(Arc::new(by_token)).until(expires)))
    }

    fn principal(&self, address: Address) -> Result<Principal, Refusal> {
        self.rules.principal(address).ok_or_else(|| {
            Refusal::new(Code::Forbidden, format!("the account {address} is not let in here"))
                .with_hint("the daemon's operator says who is: [wallets] of the configuration")
        })
    }
}

fn no_randomness(error: io::Error) -> Refusal {
    Refusal::new(Code::Internal, "this host has no random numbers").caused_by(&error)
}

fn verifier(audience: &str, revoked: Arc<Revocations>) -> JwtVerifier {
    let rules = JwtRules { audience: audience.into(), ..JwtRules::default() };
    JwtVerifier::new(rules, revoked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use k256::ecdsa::SigningKey;
    use serde_json::json;
    use sha3::{Digest as _, Keccak256};

    fn address(last: u8) -> Address {
        Address::new([last; 20])
    }

    #[test]
    fn an_account_is_what_the_operator_says() {
        let [owner, admin, other] = [1, 2, 3].map(address);
        let rules = AccountRules {
            owners: [owner].into(),
            admins: [admin].into(),
            privileged: [other].into(),
            ..AccountRules::default()
        };
        let owns = rules.principal(owner).unwrap();
        assert_eq!((owns.role, owns.class), (Role::Owner, Class::Standard));
        assert_eq!(owns.scope, Scope::Project(owner.project()));
        assert_eq!(rules.principal(admin), Some(Principal::admin(Identity::Wallet(admin))));
        assert_eq!(rules.principal(other), None, "who may call often is not let in by that");
        let open = AccountRules { open: true, ..rules };
        assert_eq!(open.principal(other).unwrap().class, Class::Privileged);
        assert_eq!(open.principal(admin).unwrap().role, Role::Admin);
    }

    #[test]
    fn who_lets_nobody_in_says_so() {
        assert!(AccountRules::default().is_nobody());
        assert!(
            AccountRules { privileged: [address(1)].into(), ..AccountRules::default() }.is_nobody()
        );
        assert!(!AccountRules { open: true, ..AccountRules::default() }.is_nobody());
    }

    /// The account whose key the documentation of web3.js tells everybody.
    const ALICE: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    const KEY: [u8; 32] = [
        0x4c, 0x08, 0x83, 0xa6, 0x91, 0x02, 0x93, 0x7d, 0x62, 0x31, 0x47, 0x1b, 0x5d, 0xbb, 0x62,
        0x04, 0xfe, 0x51, 0x29, 0x61, 0x70, 0x82, 0x79, 0x2a, 0xe4, 0x68, 0xd0, 0x1a, 0x3f, 0x36,
        0x23, 0x18,
    ];

    fn now() -> Timestamp {
        "2027-01-15T08:00:00Z".parse().unwrap()
    }

    fn admit(accounts: &Accounts, text: &str, now: Timestamp) -> Result<Principal, Refusal> {
        accounts.admit(text, now, || Ok(())).map_err(|not| match not {
            NotAdmitted::Refused(refusal) => refusal,
            NotAdmitted::TooSoon(exceeded) => panic!("{exceeded:?}"),
        })
    }

    /// What Alice's wallet makes of a text in `personal_sign`.
    fn signed(text: &str) -> String {
        let hashed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
        let hash: [u8; 32] = Keccak256::digest(hashed.as_bytes()).into();
        let (signature, id) = SigningKey::from_slice(&KEY).unwrap().sign_prehash_recoverable(&hash);
        let bytes = signature.to_bytes().into_iter().chain([id.to_byte() + 27]);
        bytes.fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }

    fn message(nonce: &str) -> String {
        format!(
            "localhost:7100 wants you to sign in with your Ethereum account:\n{ALICE}\n\n\n\
             URI: http://localhost:7100/\nVersion: 1\nChain ID: 1\nNonce: {nonce}\n\
             Issued At: 2027-01-15T08:00:00Z"
        )
    }

    fn accounts(rules: AccountRules) -> Accounts {
        let site = "http://localhost:7100".parse().unwrap();
        Accounts::new(rules, "innkeeper").with_sign_in(Arc::new(SigningIn::new(site)))
    }

    #[test]
    fn an_account_that_signed_in_is_known_by_its_session_until_it_signs_out() {
        let open = AccountRules { open: true, ..AccountRules::default() };
        let accounts = accounts(open);
        let message = message(&accounts.challenge(now()).unwrap().nonce);
        let (who, session) = accounts.sign_in(&message, &signed(&message), now()).unwrap();
        assert_eq!(who.identity.to_string(), ALICE);
        let token = session.token.expose().unwrap();
        assert!(Accounts::could_be(token));
        assert_eq!(admit(&accounts, token, now()).unwrap(), who);
        let refused = admit(&accounts, token, session.expires).unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated);
        // A nonce is used once.
        assert!(accounts.sign_in(&message, &signed(&message), now()).is_err());
        accounts.sign_out(token, now()).unwrap();
        assert_eq!(admit(&accounts, token, now()), Err(unknown()));
        assert_eq!(accounts.sign_out(token, now()), Err(unknown()));
    }

    /// A token that Alice signed for this audience.
    fn jwt(audience: &str) -> String {
        jwt_with(json!({ "aud": audience, "exp": now().as_second() + 60 }))
    }

    /// One that says that it was made so many seconds from now.
    fn jwt_of(made: i64) -> String {
        let second = now().as_second();
        jwt_with(json!({ "aud": "innkeeper", "exp": second + 600, "iat": second + made }))
    }

    fn jwt_with(mut claims: serde_json::Value) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        claims["iss"] = json!(ALICE);
        claims["jti"] = json!("one");
        let text = format!("{}.{}", part(json!({ "alg": "EIP191", "typ": "JWT" })), part(claims));
        let signature = signed(&text);
        let bytes: Vec<u8> = (2..signature.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap())
            .collect();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    #[test]
    fn a_token_that_was_taken_back_is_refused_and_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revoked.json");
        let open = AccountRules { open: true, ..AccountRules::default() };
        let begin = || {
            let revoked = Arc::new(RevokedTokens::open(&file, now()).unwrap());
            Accounts::new(open.clone(), "innkeeper").with_revoked(revoked)
        };
        let accounts = begin();
        let other = accounts.for_audience("other");
        let (here, there) = (jwt("innkeeper"), jwt("other"));
        assert_eq!(admit(&accounts, &here, now()).unwrap().identity.to_string(), ALICE);
        assert!(admit(&accounts, &there, now()).is_err(), "it is for somebody else");
        assert!(admit(&other, &there, now()).is_ok());
        accounts.sign_out(&here, now()).unwrap();
        for accounts in [&accounts, &begin()] {
            let refusal = admit(accounts, &here, now()).unwrap_err();
            assert!(refusal.message.contains("revoked") || refusal.message.contains("taken back"));
        }
        // It has the same `jti`.
        assert!(admit(&other, &there, now()).is_err());
        assert!(accounts.sign_out(&here, now()).is_err(), "it is no credential any more");
    }

    #[test]
    fn what_an_account_opened_holds_until_it_signs_out_or_its_time_is_over() {
        let open = AccountRules { open: true, ..AccountRules::default() };
        let folder = tempfile::tempdir().unwrap();
        let revoked = RevokedTokens::open(&folder.path().join("revoked.json"), now()).unwrap();
        let accounts = accounts(open).with_revoked(Arc::new(revoked));
        let message = message(&accounts.challenge(now()).unwrap().nonce);
        let (_, session) = accounts.sign_in(&message, &signed(&message), now()).unwrap();
        for token in [session.token.expose().unwrap(), &jwt("innkeeper")] {
            let standing = admit(&accounts, token, now()).unwrap().standing;
            let hour = Timestamp::from_second(now().as_second() + 3600).unwrap();
            assert!(standing.can_end() && standing.holds(now()) && !standing.holds(hour));
            accounts.sign_out(token, now()).unwrap();
            assert!(!standing.holds(now()), "{token}");
        }
    }

    #[test]
    fn all_that_an_account_showed_can_be_taken_back_and_what_it_signs_later_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revoked.json");
        let open = AccountRules { open: true, ..AccountRules::default() };
        let begin = || {
            let revoked = Arc::new(RevokedTokens::open(&file, now()).unwrap());
            accounts(open.clone()).with_revoked(revoked)
        };
        let accounts = begin();
        let message = message(&accounts.challenge(now()).unwrap().nonce);
        let (_, session) = accounts.sign_in(&message, &signed(&message), now()).unwrap();
        let (session, token) = (session.token.expose().unwrap(), jwt("innkeeper"));
        let held_back = self::message(&accounts.challenge(now()).unwrap().nonce);
        let opened = [session, &token].map(|text| admit(&accounts, text, now()).unwrap());
        accounts.take_back(ALICE.parse().unwrap(), Some("two"), now()).unwrap();
        assert!(admit(&accounts, &token, now()).is_ok(), "it is another one");
        accounts.take_back(ALICE.parse().unwrap(), None, now()).unwrap();
        for principal in opened {
            assert!(!principal.standing.holds(now()));
        }
        assert_eq!(admit(&accounts, session, now()), Err(unknown()));
        // What it had signed to sign in with is no younger.
        let refused = accounts.sign_in(&held_back, &signed(&held_back), now()).unwrap_err();
        assert!(refused.message.contains("revoked"), "{refused}");
        let a_second_later = Timestamp::from_second(now().as_second() + 1).unwrap();
        let again = self::message(&accounts.challenge(a_second_later).unwrap().nonce);
        accounts.sign_in(&again, &signed(&again), a_second_later).unwrap();
        for accounts in [&accounts, &begin()] {
            assert!(admit(accounts, &token, now()).is_err(), "it does not say when it was made");
            assert!(admit(accounts, &jwt_of(0), now()).is_err());
            // Whoever signs afterwards is let in.
            let later = Timestamp::from_second(now().as_second() + 60).unwrap();
            assert!(admit(accounts, &jwt_of(60), later).is_ok());
        }
    }

    #[test]
    fn a_signature_that_nobody_saw_before_is_counted_before_it_is_looked_at() {
        let open = AccountRules { open: true, ..AccountRules::default() };
        let accounts = accounts(open);
        let token = jwt("innkeeper");
        let too_soon = || Err(unknown().into());
        let refused = accounts.admit(&token, now(), too_soon);
        assert_eq!(refused, Err(unknown().into()), "it was looked at");
        // What is wrong on its face takes from nobody.
        let expired = Timestamp::from_second(now().as_second() + 60).unwrap();
        let NotAdmitted::Refused(refusal) = accounts.admit(&token, expired, too_soon).unwrap_err()
        else {
            panic!("it was counted")
        };
        assert!(refusal.message.contains("expired"), "{refusal}");
        assert!(accounts.admit(&token, now(), || Ok(())).is_ok());
        assert!(accounts.admit(&token, now(), too_soon).is_ok(), "it was seen before");
    }

    #[test]
    fn an_account_that_is_not_let_in_gets_no_session() {
        let accounts = accounts(AccountRules::default());
        let message = message(&accounts.challenge(now()).unwrap().nonce);
        let refusal = accounts.sign_in(&message, &signed(&message), now()).unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden);
        assert!(refusal.message.contains(ALICE), "{refusal}");
    }

    #[test]
    fn where_nobody_signs_in_that_is_said() {
        let accounts = Accounts::new(AccountRules::default(), "innkeeper");
        assert_eq!(accounts.challenge(now()).unwrap_err().code, Code::Unsupported);
        assert_eq!(accounts.sign_in("", "", now()).unwrap_err().code, Code::Unsupported);
        let token = format!("inn_s_{}", "A".repeat(43));
        assert_eq!(admit(&accounts, &token, now()), Err(unknown()));
    }
}
