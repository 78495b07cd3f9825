//! Sessions of accounts that signed in.
//!
//! A session's token is random and says nothing; only its digest is kept, so that neither a core dump nor a
//! log line can show it, and the time that a look-up takes tells nothing about one. Sessions end with the
//! daemon: signing in again is cheap.

use super::{
    Address,
    expiring::{Expiring, Key},
    later,
    signature::sha256,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::{Secret, Timestamp};
use jiff::SignedDuration;
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long a session lasts.
const VALID_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The most sessions at a time; about 4 MB.
const MOST: usize = 16_384;
/// The most of them that are one account's: the next one ends the one that would
/// end soonest.
const MOST_OF_ONE: usize = 16;
/// What a session's token begins with, so that it is known for what it is wherever it turns up.
const PREFIX: &str = "inn_s_";
/// The random bytes in a token.
const RANDOM_BYTES: usize = 32;
/// The characters of a token: the prefix, and the random bytes in base64url without padding.
const LENGTH: usize = 49;

/// A session that was begun. Its token is told once, and not kept.
#[derive(Debug, Clone)]
pub struct Session {
    /// `inn_s_` and 43 characters of base64url, to be shown like any bearer token.
    pub token: Secret,
    /// Until when it counts.
    pub expires: Timestamp,
}

/// Which session it is; it says nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionId(Key);

/// The sessions that count: at most 16,384, and 16 of one account. Whoever has most gives one up for another's: accounts
/// cost nothing, and where all are let in, one who has many is to keep nobody out.
#[derive(Debug)]
pub struct Sessions {
    begun: Mutex<Expiring<Address>>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { begun: Mutex::new(Expiring::new(MOST)) }
    }
}

impl Sessions {
    /// Begins a session of an hour, or until `until` if that is sooner. Where the account has 16,
    /// the one of them that would end soonest ends; where there is no room, one of whoever has most.
    ///
    /// # Errors
    /// The host has no random numbers.
    pub fn begin(
        &self,
        address: Address,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> io::Result<Session> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::from)?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let hour = later(now, VALID_FOR);
        let expires = until.map_or(hour, |until| until.min(hour));

        let mut begun = self.lock();
        begun.forget_expired(now);
        let own = of(&begun, address);
        if own.len() >= MOST_OF_ONE {
            begun.remove(&own[0]);
        }
        if begun.is_full() {
            begun.give_one_up(|account| Some(*account));
        }
        begun.insert(sha256(token.as_bytes()), address, expires);
        Ok(Session { token: Secret::new(token), expires })
    }

    /// Whether a text can be a session's token: by how it begins, and by its length, since one that was issued begins
    /// alike and is shorter.
    pub fn could_be(token: &str) -> bool {
        token.len() == LENGTH && token.starts_with(PREFIX)
    }

    /// Whose session this token is of, if it is of one that counts.
    pub fn account(&self, token: &str, now: Timestamp) -> Option<(Address, SessionId)> {
        let key = key(token)?;
        self.lock().get(&key, now).map(|account| (*account, SessionId(key)))
    }

    /// Whether a session has not ended.
    pub fn counts(&self, SessionId(key): SessionId, now: Timestamp) -> bool {
        self.lock().get(&key, now).is_some()
    }

    /// When a session ends, if it is there.
    pub fn ends(&self, SessionId(key): SessionId) -> Option<Timestamp> {
        self.lock().expires(&key)
    }

    /// Ends a session, and says whose it was.
    pub fn end(&self, token: &str) -> Option<Address> {
        let key = key(token)?;
        self.lock().remove(&key).map(|(address, _)| address)
    }

    /// Ends all sessions of an account, and says how many those were.
    pub fn end_all(&self, address: Address) -> usize {
        let mut begun = self.lock();
        let own = of(&begun, address);
        own.iter().filter(|key| begun.remove(key).is_some()).count()
    }

    /// Releases those that have expired.
    pub fn forget_expired(&self, now: Timestamp) {
        self.lock().forget_expired(now);
    }

    fn lock(&self) -> MutexGuard<'_, Expiring<Address>> {
        // Nothing that is done under the lock leaves it half done.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a session is found by, of a text that can be its token at all.
fn key(token: &str) -> Option<Key> {
    Sessions::could_be(token).then(|| sha256(token.as_bytes()))
}

/// An account's sessions, the soonest to end first.
fn of(begun: &Expiring<Address>, address: Address) -> Vec<Key> {
    begun.iter().filter(|(_, of, _)| **of == address).map(|(key, ..)| *key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Address = Address::new([1; 20]);
    const BOB: Address = Address::new([2; 20]);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn whose(sessions: &Sessions, token: &str, second: i64) -> Option<Address> {
        let (address, id) = sessions.account(token, at(second))?;
        assert!(sessions.counts(id, at(second)));
        assert!(sessions.ends(id).unwrap() > at(second));
        Some(address)
    }

    fn begin(sessions: &Sessions, address: Address, second: i64) -> String {
        let session = sessions.begin(address, None, at(second)).unwrap();
        session.token.expose().unwrap().to_owned()
    }

    #[test]
    fn a_session_is_its_accounts_for_an_hour() {
        let sessions = Sessions::default();
        let (alice, bob) = (begin(&sessions, ALICE, 0), begin(&sessions, BOB, 1));
        assert_eq!((alice.len(), &alice[..6]), (LENGTH, PREFIX));
        assert!(URL_SAFE_NO_PAD.decode(&alice[6..]).is_ok_and(|random| random.len() == 32));
        assert_eq!(whose(&sessions, &alice, 3599), Some(ALICE));
        assert_eq!(whose(&sessions, &bob, 3600), Some(BOB));
        assert_eq!(whose(&sessions, &alice, 3600), None);
        sessions.forget_expired(at(3600));
        assert_eq!(sessions.lock().iter().count(), 1);
    }

    #[test]
    fn a_session_ends_with_what_was_signed_for_it() {
        let sessions = Sessions::default();
        assert_eq!(sessions.begin(ALICE, Some(at(60)), at(0)).unwrap().expires, at(60));
        assert_eq!(sessions.begin(ALICE, Some(at(9999)), at(0)).unwrap().expires, at(3600));
    }

    #[test]
    fn a_session_that_was_ended_is_gone() {
        let sessions = Sessions::default();
        let tokens = [ALICE, ALICE, BOB].map(|of| begin(&sessions, of, 0));
        let (_, id) = sessions.account(&tokens[0], at(1)).unwrap();
        assert_eq!(sessions.end(&tokens[0]), Some(ALICE));
        assert!(!sessions.counts(id, at(1)));
        assert_eq!(sessions.end(&tokens[0]), None);
        assert_eq!(whose(&sessions, &tokens[0], 1), None);
        assert_eq!(sessions.end_all(ALICE), 1);
        assert_eq!(whose(&sessions, &tokens[1], 1), None);
        assert_eq!(whose(&sessions, &tokens[2], 1), Some(BOB));
    }

    #[test]
    fn nothing_else_is_a_session() {
        let sessions = Sessions::default();
        let token = begin(&sessions, ALICE, 0);
        let other = format!("{PREFIX}{}", "A".repeat(43));
        for wrong in ["", PREFIX, &token[6..], &token[..48], &format!("{token}A"), &other] {
            assert_eq!(whose(&sessions, wrong, 1), None, "{wrong}");
            assert_eq!(sessions.end(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_accounts_seventeenth_session_ends_its_first_and_nobody_elses() {
        let sessions = Sessions::default();
        let bob = begin(&sessions, BOB, 0);
        let alices: Vec<_> = (1..=17).map(|second| begin(&sessions, ALICE, second)).collect();
        assert_eq!(whose(&sessions, &alices[0], 20), None);
        for token in &alices[1..] {
            assert_eq!(whose(&sessions, token, 20), Some(ALICE));
        }
        assert_eq!(whose(&sessions, &bob, 20), Some(BOB));
    }

    #[test]
    fn whoever_has_most_gives_one_up_for_a_strangers() {
        let sessions = Sessions::default();
        // It would end before all others.
        let bob = sessions.begin(BOB, Some(at(60)), at(0)).unwrap();
        let bob = bob.token.expose().unwrap().to_owned();
        for n in 1..MOST {
            sessions.lock().insert(sha256(&n.to_le_bytes()), ALICE, at(3600));
        }
        let stranger = begin(&sessions, Address::new([3; 20]), 0);
        assert!(whose(&sessions, &bob, 1).is_some() && whose(&sessions, &stranger, 1).is_some());
        assert_eq!(sessions.lock().len(), MOST);
        assert_eq!(sessions.end_all(ALICE), MOST - 2);
    }

    #[test]
    fn a_token_is_not_printed() {
        let sessions = Sessions::default();
        let session = sessions.begin(ALICE, None, at(0)).unwrap();
        let token = session.token.expose().unwrap().to_owned();
        assert!(!format!("{session:?} {sessions:?}").contains(&token[6..]));
    }
}
