//! Sign-in with Ethereum (EIP-4361).
//!
//! A caller asks for a nonce ([`Challenges`]), has a wallet show and sign a message with it, and sends both
//! here ([`SignIns::verify`]). Who may ask is anybody, so what is kept for them is bounded. The message is
//! taken apart exactly as its standard writes it, and what is signed are its bytes as they came. A contract
//! account cannot sign in: whether it agrees only its chain knows (EIP-1271).

mod challenges;
mod message;
mod site;
mod uri;

pub use challenges::{Challenge, Challenges};
pub use message::{BadMessage, MAX_MESSAGE_LENGTH, Message};
pub use site::{NotASite, Site};

use super::{
    Address, BadSignature, LEEWAY, hex, later,
    signature::{check_recoverable, personal},
};
use innkeeper_model::{Code, Refusal, Timestamp};

/// What a message proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    /// The account that signed it.
    pub address: Address,
    /// The chain that it names. It changes nothing about who the account is.
    pub chain_id: u64,
    /// When its nonce was given: it was not signed before that, whatever it says itself.
    pub asked: Timestamp,
    /// Until when its signer wanted it to count, if they said so.
    pub until: Option<Timestamp>,
}

/// Why a sign-in was refused, for logs. A caller gets the [`Refusal`] of it, which has the same words for
/// everything that is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignIn {
    /// It is no message of the standard. Its nonce, if it has one, can still be used.
    #[error("the message is not as EIP-4361 writes it")]
    Message(#[from] BadMessage),
    /// The nonce was made up, was used, or has expired.
    #[error("the message's nonce is none that can be used")]
    Nonce,
    /// It was meant for another site.
    #[error("the message is for another site: its {0} is not this one's")]
    Site(&'static str),
    /// It does not count any more.
    #[error("the message has expired at {0}")]
    Expired(Timestamp),
    /// It does not count yet.
    #[error("the message does not count before {0}")]
    NotYet(Timestamp),
    /// It says that it was made later than now.
    #[error("the message says that it was made in the future, at {0}")]
    IssuedInFuture(Timestamp),
    /// All that its account had signed was taken back after its nonce was given.
    #[error("what this account had signed was revoked, and the message may be older than that")]
    Revoked,
    /// It was not signed by the account that it names.
    #[error("the signature is not that of the account in the message")]
    Signature(#[from] BadSignature),
}

/// As the caller sees it: 401, with what they can do.
impl From<&BadSignIn> for Refusal {
    fn from(bad: &BadSignIn) -> Self {
        let refusal = Self::new(Code::Unauthenticated, bad.to_string());
        match bad {
            BadSignIn::Message(problem) => refusal.with_hint(problem.to_string()),
            BadSignIn::NotYet(_) | BadSignIn::IssuedInFuture(_) => {
                refusal.with_hint("see whether the clock is right, then ask for a new nonce")
            }
            _ => refusal.with_hint("ask for a new nonce: each is used once, within 5 minutes"),
        }
    }
}

/// Takes sign-ins for one site.
#[derive(Debug)]
pub struct SignIns {
    site: Site,
    challenges: Challenges,
}

impl SignIns {
    /// Sign-ins for this site, none of which has begun.
    pub fn new(site: Site) -> Self {
        Self { site, challenges: Challenges::default() }
    }

    /// The nonces that wait to be signed.
    pub const fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// Checks a message and what `personal_sign` made of it: `0x` and 130 hexadecimal digits, r, s and v.
    /// The nonce is used up by this, whatever else is wrong.
    ///
    /// # Errors
    /// It is not a message for this site that counts now, with a nonce from here, signed by the account
    /// that it names.
    pub fn verify(
        &self,
        message: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<SignedIn, BadSignIn> {
        let parsed = Message::parse(message)?;
        let asked = self.challenges.take(parsed.nonce, now).ok_or(BadSignIn::Nonce)?;
        check(&parsed, &self.site, now)?;
        check_signature(message, signature, parsed.address)?;
        let Message { address, chain_id, expires, .. } = parsed;
        Ok(SignedIn { address, chain_id, asked, until: expires })
    }
}

/// Whether a message is for this site and counts now.
fn check(message: &Message<'_>, site: &Site, now: Timestamp) -> Result<(), BadSignIn> {
    if message.scheme.is_some_and(|scheme| !site.has_scheme(scheme)) {
        return Err(BadSignIn::Site("scheme"));
    }
    if !site.is_domain(message.domain) {
        return Err(BadSignIn::Site("domain"));
    }
    if !site.is_origin_of(message.uri) {
        return Err(BadSignIn::Site("URI"));
    }
    let soon = later(now, LEEWAY);
    match *message {
        Message { expires: Some(expires), .. } if expires <= now => {
            Err(BadSignIn::Expired(expires))
        }
        Message { not_before: Some(from), .. } if from > soon => Err(BadSignIn::NotYet(from)),
        Message { issued, .. } if issued > soon => Err(BadSignIn::IssuedInFuture(issued)),
        _ => Ok(()),
    }
}

/// Whether this account's wallet signed this text.
pub(super) fn check_signature(
    message: &str,
    signature: &str,
    claimed: Address,
) -> Result<(), BadSignature> {
    let digits = signature.strip_prefix("0x").ok_or(BadSignature::Form)?;
    let bytes: [u8; 65] = hex::decode(digits).ok_or(BadSignature::Form)?;
    check_recoverable(&bytes, &personal(message.as_bytes()), claimed)
}
