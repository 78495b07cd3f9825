//! Accounts: which wallets are let in, and as what.
//!
//! That a wallet is whom it says it is, `wallet` proves. Whether it is let in is an operator's to say: each
//! by its address, or all there are. An account owns the project that has its address for a name.

use crate::{
    doorkeeper::unknown,
    identity::Identity,
    principal::{Class, Principal, Scope},
    revoked::RevokedTokens,
    role::Role,
    wallet::{
        Address, JwtRules, JwtVerifier, Revocation, Revocations, Session, Sessions, Verified,
        siwe::{Challenge, SignIns, Site},
    },
};
use innkeeper_model::{Code, Refusal, Timestamp};
use std::{collections::BTreeSet, sync::Arc};

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

/// The accounts that are let in where tokens for one audience are taken.
#[derive(Debug)]
pub struct Accounts {
    rules: AccountRules,
    audience: Box<str>,
    verifier: JwtVerifier,
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
        owns.then_some(Principal { identity, role: Role::Owner, scope, class })
    }
}

impl Accounts {
    /// Those that these rules let in, with tokens for this audience.
    pub fn new(rules: AccountRules, audience: &str) -> Self {
        let verifier = verifier(audience, Arc::new(Revocations::default()));
        Self { rules, audience: audience.into(), verifier, revoked: None, signing_in: None }
    }

    /// But for the tokens on this list; more can be put on it.
    #[must_use]
    pub fn with_revoked(self, revoked: Arc<RevokedTokens>) -> Self {
        let verifier = verifier(&self.audience, revoked.list());
        Self { verifier, revoked: Some(revoked), ..self }
    }

    /// The same, with tokens for another audience. Who signed in has signed in to both, and what was taken
    /// back, from both.
    #[must_use]
    pub fn for_audience(&self, audience: &str) -> Self {
        let other = Self::new(self.rules.clone(), audience);
        let other = match &self.revoked {
            Some(revoked) => other.with_revoked(Arc::clone(revoked)),
            None => other,
        };
        Self { signing_in: self.signing_in.clone(), ..other }
    }

    /// And those of them who signed in there.
    #[must_use]
    pub fn with_sign_in(self, signing_in: Arc<SigningIn>) -> Self {
        Self { signing_in: Some(signing_in), ..self }
    }

    /// Whether a text is to be looked for here rather than elsewhere: a JWT has three parts, and a session's
    /// token says that it is one.
    pub(crate) fn could_be(text: &str) -> bool {
        is_of_session(text) || text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// A nonce to be signed.
    ///
    /// # Errors
    /// Nobody signs in here, or the host has no random numbers.
    pub fn challenge(&self, now: Timestamp) -> Result<Challenge, Refusal> {
        self.signing_in()?.sign_ins.challenges().issue(now).map_err(|error| {
            Refusal::new(Code::Internal, "this host has no random numbers").caused_by(&error)
        })
    }

    /// Begins a session of the account that signed this message.
    ///
    /// # Errors
    /// Nobody signs in here; the message or its signature is not right; the account is not let in; or there
    /// are too many sessions.
    pub fn sign_in(
        &self,
        message: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<(Principal, Session), Refusal> {
        let SigningIn { sign_ins, sessions } = self.signing_in()?;
        let signed = sign_ins.verify(message, signature, now).map_err(|bad| Refusal::from(&bad))?;
        let principal = self.principal(signed.address)?;
        let session = sessions.begin(signed.address, signed.until, now).map_err(Refusal::from)?;
        Ok((principal, session))
    }

    /// Has what an account shows refused from now on: its session ends, or the token that it signed itself
    /// is taken back, with all that it signed under the same `jti`. It waits for the disk.
    ///
    /// # Errors
    /// It is neither; too many were taken back; or the disk fails, as [`RevokedTokens`] says.
    pub fn sign_out(&self, text: &str, now: Timestamp) -> Result<(), Refusal> {
        if is_of_session(text) {
            let ended = self.signing_in()?.sessions.end(text);
            return ended.map(drop).ok_or_else(unknown);
        }
        let verified = self.verified(text, now)?;
        let revoked = self.revoked.as_ref().ok_or_else(|| {
            Refusal::new(Code::Unsupported, "tokens of wallets are not taken back here")
        })?;
        revoked.revoke(Revocation::of(&verified), now)
    }

    fn signing_in(&self) -> Result<&SigningIn, Refusal> {
        self.signing_in.as_deref().ok_or_else(|| {
            Refusal::new(Code::Unsupported, "wallets do not sign in here")
                .with_hint("the daemon is told where it is found: `site` in [wallets]")
        })
    }

    /// Whose token this is, if it is somebody's who is let in.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] where it is not a token that counts here and now, [`Code::Forbidden`] where
    /// it is, and its account is not let in.
    pub(crate) fn admit(&self, text: &str, now: Timestamp) -> Result<Principal, Refusal> {
        if is_of_session(text) {
            let sessions = self.signing_in.as_ref().map(|signing_in| &signing_in.sessions);
            let account = sessions.and_then(|sessions| sessions.account(text, now));
            return self.principal(account.ok_or_else(unknown)?);
        }
        let verified = self.verified(text, now)?;
        self.principal(verified.address)
    }

    fn verified(&self, text: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let is_let_in = |address| self.rules.principal(address).is_some();
        self.verifier.verify(text, now, is_let_in).map_err(|bad| Refusal::from(&bad))
    }

    fn principal(&self, address: Address) -> Result<Principal, Refusal> {
        self.rules.principal(address).ok_or_else(|| {
            Refusal::new(Code::Forbidden, format!("the account {address} is not let in here"))
                .with_hint("the daemon's operator says who is: [wallets] of the configuration")
        })
    }
}

fn verifier(audience: &str, revoked: Arc<Revocations>) -> JwtVerifier {
    let rules = JwtRules { audience: audience.into(), ..JwtRules::default() };
    JwtVerifier::new(rules, revoked)
}

/// Whether this can be the token of a session: one that was issued is shorter.
fn is_of_session(text: &str) -> bool {
    text.starts_with("inn_s_") && text.len() == 49
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
        assert!(owns.sees(&owner.project()) && !owns.sees(&other.project()));
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
        assert_eq!(accounts.admit(token, now()).unwrap(), who);
        let refused = accounts.admit(token, session.expires).unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated);
        // A nonce is used once.
        assert!(accounts.sign_in(&message, &signed(&message), now()).is_err());
        accounts.sign_out(token, now()).unwrap();
        assert_eq!(accounts.admit(token, now()), Err(unknown()));
        assert_eq!(accounts.sign_out(token, now()), Err(unknown()));
    }

    /// A token that Alice signed for this audience.
    fn jwt(audience: &str) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let second = now().as_second();
        let claims = json!({ "iss": ALICE, "aud": audience, "exp": second + 60, "jti": "one" });
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
        assert_eq!(accounts.admit(&here, now()).unwrap().identity.to_string(), ALICE);
        assert!(accounts.admit(&there, now()).is_err(), "it is for somebody else");
        assert!(other.admit(&there, now()).is_ok());
        accounts.sign_out(&here, now()).unwrap();
        for accounts in [&accounts, &begin()] {
            let refusal = accounts.admit(&here, now()).unwrap_err();
            assert!(refusal.message.contains("revoked") || refusal.message.contains("taken back"));
        }
        // It has the same `jti`.
        assert!(other.admit(&there, now()).is_err());
        assert!(accounts.sign_out(&here, now()).is_err(), "it is no credential any more");
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
        assert_eq!(accounts.admit(&token, now()), Err(unknown()));
    }
}
