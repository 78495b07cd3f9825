//! Nonces that wait to be signed.

use crate::wallet::{
    expiring::{Expiring, Key},
    later,
};
use innkeeper_model::Timestamp;
use jiff::SignedDuration;
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long a nonce can be used.
const VALID_FOR: SignedDuration = SignedDuration::from_mins(5);
/// The most nonces that wait; about 3 MB. Anybody may ask for one: the next one takes the place of the
/// oldest, so that a flood must bring more than these in the time that a person takes to sign.
const MOST: usize = 16_384;
/// The letters of nonces.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A nonce to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// 32 letters and digits: 190 random bits.
    pub nonce: String,
    /// Until when it can be used.
    pub expires: Timestamp,
}

/// The nonces that can be used, each once: at most 16,384.
#[derive(Debug)]
pub struct Challenges {
    /// Each with when it was given.
    waiting: Mutex<Expiring<Timestamp>>,
}

impl Default for Challenges {
    fn default() -> Self {
        Self { waiting: Mutex::new(Expiring::new(MOST)) }
    }
}

impl Challenges {
    /// Issues a nonce, to be used within five minutes.
    ///
    /// # Errors
    /// The host has no random numbers.
    pub fn issue(&self, now: Timestamp) -> io::Result<Challenge> {
        let nonce = random()?;
        let expires = later(now, VALID_FOR);
        let mut waiting = self.lock();
        waiting.forget_expired(now);
        waiting.insert(nonce, now, expires);
        let nonce = nonce.map(char::from).iter().collect();
        Ok(Challenge { nonce, expires })
    }

    /// Uses a nonce up, and says when it was given; nothing where it cannot be used.
    pub(super) fn take(&self, nonce: &str, now: Timestamp) -> Option<Timestamp> {
        let key = Key::try_from(nonce.as_bytes()).ok()?;
        let (given, expires) = self.lock().remove(&key)?;
        (expires > now).then_some(given)
    }

    /// Releases those that have expired.
    pub fn forget_expired(&self, now: Timestamp) {
        self.lock().forget_expired(now);
    }

    fn lock(&self) -> MutexGuard<'_, Expiring<Timestamp>> {
        // Nothing that is done under the lock leaves it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random letters, each as likely as any other.
fn random() -> io::Result<Key> {
    let mut letters = [0; 32];
    let mut missing = letters.iter_mut();
    loop {
        let mut bytes = [0_u8; 48];
        getrandom::fill(&mut bytes)?;
        // The last whole number of alphabets that a byte can count; the few bytes beyond are drawn again.
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < 4 * 62);
        for byte in fair {
            match missing.next() {
                Some(letter) => *letter = LETTERS[byte % 62],
                None => return Ok(letters),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_nonce_is_used_once_and_within_five_minutes() {
        let challenges = Challenges::default();
        let [one, two] = [0, 1].map(|second| challenges.issue(at(second)).unwrap());
        assert_eq!(one.expires, at(300));
        assert_eq!(challenges.take(&one.nonce, at(299)), Some(at(0)));
        assert_eq!(challenges.take(&one.nonce, at(299)), None, "used");
        assert_eq!(challenges.take(&two.nonce, at(301)), None, "expired");
        assert_eq!(challenges.take(&two.nonce, at(2)), None, "shown when it had expired, so used");
        for made_up in ["", "0", &"0".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            assert_eq!(challenges.take(made_up, at(2)), None, "{made_up}");
        }
    }

    #[test]
    fn nonces_are_letters_and_digits_and_no_two_are_the_same() {
        let challenges = Challenges::default();
        let nonces: HashSet<_> =
            (0..1000).map(|_| challenges.issue(at(0)).unwrap().nonce).collect();
        assert_eq!(nonces.len(), 1000);
        let letters: HashSet<_> = nonces.iter().flat_map(|nonce| nonce.bytes()).collect();
        assert_eq!(letters, LETTERS.iter().copied().collect(), "each letter comes up");
        assert!(nonces.iter().all(|nonce| nonce.len() == 32));
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_and_then_leaves() {
        let challenges = Challenges::default();
        let first = challenges.issue(at(0)).unwrap();
        let later: Vec<_> = (0..MOST).map(|_| challenges.issue(at(1)).unwrap()).collect();
        assert_eq!(challenges.lock().iter().count(), MOST);
        assert_eq!(challenges.take(&first.nonce, at(2)), None);
        assert_eq!(challenges.take(&later[0].nonce, at(2)), Some(at(1)));
        challenges.forget_expired(at(301));
        assert!(challenges.lock().is_empty());
    }
}
