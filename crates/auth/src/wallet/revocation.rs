//! Tokens that were taken back before they expired.
//!
//! A revocation is remembered for as long as the token would count, and never given up for another: where
//! there are as many as may be, the next one is refused. Of one account there may be a small part of them, so
//! that no single one keeps the others from taking theirs back. All that an account signed so far can be taken back at
//! once, which is an operator's to do, and for which there is room of its own. Keeping them over a restart is up to
//! their owner, with [`Revocations::all`] and [`Revocations::revoke`].

use super::{
    Address, LEEWAY, MAX_AHEAD, Verified,
    expiring::{Expiring, Full, Key},
    hex, later,
    signature::sha256,
};
use innkeeper_model::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most revocations that count at a time; about 10 MB.
const MOST: usize = 65_536;
/// The most of them that are one account's.
const MOST_OF_ONE: usize = 1024;
/// The most accounts of which everything was taken back, beside the others.
const MOST_ACCOUNTS: usize = 1024;

/// One token that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose token it was.
    pub account: Address,
    /// A digest of what it is known by.
    pub token: RevokedToken,
    /// Until when it has to be remembered: when no token that it covers counts any more.
    pub expires: Timestamp,
    /// Where it is of all that the account signed: until when. Those that do not say when they were made are taken
    /// to be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_until: Option<Timestamp>,
}

/// What a revoked token is known by: a digest of its address and `jti`, or of what was signed; or what stands for all
/// of its account's. Written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedToken(Key);

impl RevokedToken {
    fn named(address: Address, jti: &str) -> Self {
        // Nothing that is signed begins with this byte, so none has a digest of this kind.
        let name = [b"\0", address.as_bytes().as_slice(), jti.as_bytes()].concat();
        Self(sha256(&name))
    }

    /// What stands for all tokens of an account: its address after zeros, of which no digest has so many.
    fn all_of(address: Address) -> Self {
        let mut key = Key::default();
        key[12..].copy_from_slice(address.as_bytes());
        Self(key)
    }
}

impl Revocation {
    /// Of a token that was shown: of its `jti`, and so of all that its account signed under that and that count
    /// now; or where it has none, of this very token.
    pub fn of(verified: &Verified) -> Self {
        let Verified { address, expires, jti, signed, .. } = verified;
        match jti {
            // Another one may expire later, but what counts while this one does not by more than that.
            Some(jti) => Self::of_jti(*address, jti, later(later(*expires, MAX_AHEAD), LEEWAY)),
            None => Self {
                account: *address,
                token: RevokedToken(*signed),
                expires: *expires,
                signed_until: None,
            },
        }
    }

    /// Of an account's token with this `jti`, which expires then.
    pub fn of_jti(address: Address, jti: &str, expires: Timestamp) -> Self {
        let token = RevokedToken::named(address, jti);
        Self { account: address, token, expires, signed_until: None }
    }

    /// Of an account's tokens with this `jti`, whenever they expire.
    pub fn of_name(address: Address, jti: &str, now: Timestamp) -> Self {
        Self::of_jti(address, jti, later(later(now, MAX_AHEAD), LEEWAY))
    }

    /// Of all that an account has signed until now.
    pub fn of_all(address: Address, now: Timestamp) -> Self {
        // What was signed by a clock that is ahead counts, too.
        let signed_until = later(now, LEEWAY);
        let expires = later(later(signed_until, MAX_AHEAD), LEEWAY);
        let token = RevokedToken::all_of(address);
        Self { account: address, token, expires, signed_until: Some(signed_until) }
    }
}

/// The tokens that were taken back and would still count; at most 65,536, and 1,024 of
/// one account; and beside those, at most 1,024 accounts of which all were.
#[derive(Debug)]
pub struct Revocations {
    revoked: Mutex<List>,
}

/// Whose a revoked token was; and where it stands for all of them, until when those were signed.
#[derive(Debug, Clone, Copy)]
struct Revoked {
    account: Address,
    signed_until: Option<Timestamp>,
}

/// Whose tokens were taken back.
#[derive(Debug)]
struct List {
    tokens: Expiring<Revoked>,
    /// How many of them are whose, so that nobody has to look through all.
    each: HashMap<Address, usize>,
    /// How many stand for all of an account's.
    whole_accounts: usize,
}

impl Default for Revocations {
    fn default() -> Self {
        let tokens = Expiring::new(MOST + MOST_ACCOUNTS);
        Self { revoked: Mutex::new(List { tokens, each: HashMap::new(), whole_accounts: 0 }) }
    }
}

impl List {
    fn insert(&mut self, key: Key, revoked: Revoked, expires: Timestamp) {
        self.tokens.insert(key, revoked, expires);
        match revoked.signed_until {
            Some(_) => self.whole_accounts += 1,
            None => *self.each.entry(revoked.account).or_default() += 1,
        }
    }

    /// Removes a token, and says until when it was to be remembered.
    fn remove(&mut self, key: &Key) -> Option<Timestamp> {
        let (revoked, expires) = self.tokens.remove(key)?;
        self.is_one_less(revoked);
        Some(expires)
    }

    fn forget_expired(&mut self, now: Timestamp) {
        while let Some(revoked) = self.tokens.pop_expired(now) {
            self.is_one_less(revoked);
        }
        self.tokens.forget_expired(now);
    }

    fn is_one_less(&mut self, Revoked { account, signed_until }: Revoked) {
        if signed_until.is_some() {
            self.whole_accounts -= 1;
            return;
        }
        if let Entry::Occupied(mut count) = self.each.entry(account) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Until when all that this account signed was taken back, if it was.
    fn all_until(&self, account: Address, now: Timestamp) -> Option<Timestamp> {
        let RevokedToken(all) = RevokedToken::all_of(account);
        self.tokens.get(&all, now)?.signed_until
    }

    /// Why there is no room for one more like this; `None` where there is.
    fn is_full_for(&self, Revoked { account, signed_until }: Revoked) -> Option<Full> {
        if signed_until.is_some() {
            let (what, most) = ("accounts whose tokens are all revoked", MOST_ACCOUNTS);
            return (self.whole_accounts >= most).then_some(Full { what, most });
        }
        let own = self.each.get(&account).copied().unwrap_or_default();
        if self.tokens.len() - self.whole_accounts >= MOST {
            return Some(Full { what: "revoked tokens", most: MOST });
        }
        let most = MOST_OF_ONE;
        (own >= most).then_some(Full { what: "revoked tokens of this account", most })
    }
}

impl Revocations {
    /// Takes a token back, from now on. One that has expired already needs it no more, and is left alone.
    ///
    /// # Errors
    /// There are as many as may be, at all or of this account: the token still counts.
    pub fn revoke(&self, revocation: Revocation, now: Timestamp) -> Result<(), Full> {
        let Revocation { account, token: RevokedToken(key), expires, signed_until } = revocation;
        let taken = Revoked { account, signed_until };
        if expires <= now {
            return Ok(());
        }
        let mut revoked = self.lock();
        revoked.forget_expired(now);
        // The later of the two times counts: another token may have the same `jti`.
        let earlier = revoked.remove(&key).unwrap_or(expires);
        if let Some(full) = revoked.is_full_for(taken) {
            return Err(full);
        }
        revoked.insert(key, taken, expires.max(earlier));
        Ok(())
    }

    /// Whether this token was taken back.
    pub fn covers(&self, verified: &Verified, now: Timestamp) -> bool {
        let revoked = self.lock();
        if revoked.tokens.is_empty() {
            return false;
        }
        let named = verified.jti.as_deref().map(|jti| RevokedToken::named(verified.address, jti));
        let is_revoked = |key: &Key| revoked.tokens.get(key, now).is_some();
        let is_of_all = || {
            let until = revoked.all_until(verified.address, now);
            until.is_some_and(|until| verified.issued.is_none_or(|issued| issued <= until))
        };
        is_revoked(&verified.signed)
            || named.is_some_and(|RevokedToken(key)| is_revoked(&key))
            || is_of_all()
    }

    /// Whether all that this account had signed was taken back after it was asked to sign something.
    pub fn covers_sign_in(&self, account: Address, asked: Timestamp, now: Timestamp) -> bool {
        // Until then, and so much longer, since clocks of others may be ahead. This one is not.
        let until = self.lock().all_until(account, now);
        until.is_some_and(|until| later(asked, LEEWAY) <= until)
    }

    /// All that still count, the soonest to expire first.
    pub fn all(&self, now: Timestamp) -> Vec<Revocation> {
        let revoked = self.lock();
        let all = revoked.tokens.iter().map(|(key, revoked, expires)| {
            let (Revoked { account, signed_until }, token) = (*revoked, RevokedToken(*key));
            Revocation { account, token, expires, signed_until }
        });
        all.filter(|revocation| revocation.expires > now).collect()
    }

    /// Releases those whose tokens have expired.
    pub fn forget_expired(&self, now: Timestamp) {
        self.lock().forget_expired(now);
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        // Nothing that is done under the lock leaves it half done.
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serialize for RevokedToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for RevokedToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digest = hex::decode(&text).map(Self);
        digest.ok_or_else(|| D::Error::custom("a revoked token is 64 hexadecimal digits"))
    }
}
