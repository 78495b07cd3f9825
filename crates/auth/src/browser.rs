//! Browsers: sessions whose cookie stands for a credential that was shown once.
//!
//! A page shows its credential and is given a cookie, which no script can read and no other site's page sends.
//! Who shows the cookie is whom the credential stands for *now*: it is judged anew at each request, so a token
//! that is revoked, expires, or loses its rights takes its sessions with it. A session lasts for twelve hours at
//! the most, and never beyond the daemon.
//!
//! The cookie's value is random. Of it only a digest is kept, and the credential is kept sealed under a key that
//! only the cookie gives: what is in memory opens nothing, neither here nor as what was shown. A page proves that
//! it was not sent by another one with a second value, which is derived from the cookie: nobody has it who was not
//! told, and one session's is no use in another.

use crate::{
    Class, Identity, Principal, Revocable, Standing,
    digest::Digest,
    token,
    wallet::expiring::{Expiring, Key},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::{Code, Refusal, Secret, Timestamp};
use jiff::SignedDuration;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// How long a session lasts at the most.
const VALID_FOR: SignedDuration = SignedDuration::from_hours(12);
/// The most sessions at a time; with the longest credentials, 16 MiB.
const MOST: usize = 1024;
/// The most of them that are one caller's: the next one ends the one that would end soonest.
const MOST_OF_ONE: usize = 16;

/// What is derived from a cookie's value, each under a name of its own, so that none tells another.
#[derive(Debug, Clone, Copy)]
enum Derived {
    /// What the session is found by.
    Place,
    /// What its credential is sealed with.
    Seal,
    /// What a page shows with what changes something.
    Csrf,
}

/// A session that was begun. Its cookie is told once, and not kept.
#[derive(Debug, Clone)]
pub struct BrowserSession {
    /// The cookie's value: 43 characters of base64url.
    pub cookie: Secret,
    /// What its pages are told.
    pub known: KnownSession,
}

/// What the pages of a session are told of it.
#[derive(Debug, Clone)]
pub struct KnownSession {
    /// What a page shows beside the cookie with whatever changes something.
    pub csrf: Secret,
    /// Until when the session lasts at the most.
    pub expires: Timestamp,
}

/// The sessions of browsers: at most 1,024, and 16 of one caller. Whoever has most gives one up for another's, and those
/// with more room than anybody last: where everybody is let in, a caller costs nothing.
#[derive(Debug)]
pub(crate) struct BrowserSessions {
    begun: Mutex<Expiring<Begun>>,
}

/// One session.
#[derive(Debug)]
struct Begun {
    whose: Identity,
    class: Class,
    sealed: Sealed,
    expires: Timestamp,
    lasts: Arc<Lasts>,
}

impl Begun {
    /// Ends it; whether it had not ended.
    fn end(&self) -> bool {
        !self.lasts.ended.swap(true, Ordering::AcqRel)
    }
}

/// A session that was found by its cookie.
pub(crate) struct Found {
    /// What was shown when it began.
    pub(crate) credential: String,
    pub(crate) expires: Timestamp,
    lasts: Arc<Lasts>,
}

/// Whether a session was ended.
#[derive(Debug, Default)]
struct Lasts {
    ended: AtomicBool,
}

/// Both a session and the credential that it stands for.
#[derive(Debug)]
struct Both {
    session: Arc<Lasts>,
    credential: Standing,
}

impl Revocable for Both {
    fn holds(&self, now: Timestamp) -> bool {
        !self.session.ended.load(Ordering::Acquire) && self.credential.holds(now)
    }
}

impl Found {
    /// Who its credential stands for, for as long as the session and the credential both last.
    pub(crate) fn stands_for(self, principal: Principal) -> Principal {
        let both = Both { session: self.lasts, credential: principal.standing.clone() };
        principal.while_it_holds(Standing::of(Arc::new(both)).until(self.expires))
    }
}

impl Default for BrowserSessions {
    fn default() -> Self {
        Self { begun: Mutex::new(Expiring::new(MOST)) }
    }
}

impl BrowserSessions {
    /// Begins a session of who showed this credential. Where the caller has 16, the one of them that would end
    /// soonest ends; where there is no room, one of whoever has most.
    ///
    /// # Errors
    /// The host has no random numbers.
    pub(crate) fn begin(
        &self,
        principal: &Principal,
        credential: &str,
        now: Timestamp,
    ) -> Result<BrowserSession, Refusal> {
        let cookie = token::random_text().map_err(|error| {
            Refusal::new(Code::Internal, "this host has no random numbers").caused_by(&error)
        })?;
        let sealed = Sealed::new(credential, &cookie).ok_or_else(|| {
            Refusal::new(Code::Internal, "the credential of the session cannot be sealed")
        })?;
        let latest = now.checked_add(VALID_FOR).unwrap_or(Timestamp::MAX);
        let expires = principal.standing.ends().map_or(latest, |ends| ends.min(latest));
        let (whose, class) = (principal.identity.clone(), principal.class);

        let mut begun = self.lock();
        begun.forget_expired(now);
        let own: Vec<Key> =
            begun.iter().filter(|(_, one, _)| one.whose == whose).map(|(key, ..)| *key).collect();
        if own.len() >= MOST_OF_ONE {
            end(&mut begun, &own[0]);
        }
        if begun.is_full() {
            give_one_up(&mut begun);
        }
        let place = derived(Derived::Place, &cookie);
        begun.insert(
            place,
            Begun { whose, class, sealed, expires, lasts: Arc::default() },
            expires,
        );
        let known = KnownSession { csrf: csrf(&cookie), expires };
        Ok(BrowserSession { cookie: Secret::new(cookie), known })
    }

    /// The session that has this cookie, if it lasts.
    pub(crate) fn find(&self, cookie: &str, now: Timestamp) -> Option<Found> {
        let place = place(cookie)?;
        let (sealed, lasts, expires) = {
            let begun = self.lock();
            let one = begun.get(&place, now)?;
            (one.sealed.clone(), Arc::clone(&one.lasts), one.expires)
        };
        let credential = sealed.open(cookie)?;
        Some(Found { credential, expires, lasts })
    }

    /// Ends the session that has this cookie; what it follows breaks off. Whether there was one.
    pub(crate) fn end(&self, cookie: &str) -> bool {
        place(cookie).is_some_and(|place| end(&mut self.lock(), &place))
    }

    /// Releases those that have expired.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.lock().forget_expired(now);
    }

    fn lock(&self) -> MutexGuard<'_, Expiring<Begun>> {
        // Nothing that is done under the lock leaves it half done.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a page of this cookie's session shows beside it.
pub(crate) fn csrf(cookie: &str) -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(derived(Derived::Csrf, cookie)))
}

/// Whether this is what a page of this cookie's session shows beside it. Digests are compared, so the time that it
/// takes tells nothing.
pub(crate) fn is_csrf(shown: &str, cookie: &str) -> bool {
    csrf(cookie).expose().is_some_and(|csrf| Digest::of(shown) == Digest::of(csrf))
}

fn end(begun: &mut Expiring<Begun>, place: &Key) -> bool {
    let ended = begun.remove(place);
    ended.is_some_and(|(one, _)| one.end())
}

/// Ends a session of whoever has most, and of those with more room only where there are no others.
fn give_one_up(begun: &mut Expiring<Begun>) {
    let whose = |one: &Begun| Some(one.whose.clone());
    let of_anybody = |one: &Begun| whose(one).filter(|_| one.class == Class::Standard);
    let given_up = begun.give_one_up(of_anybody).or_else(|| begun.give_one_up(whose));
    if let Some(one) = given_up {
        one.end();
    }
}

/// What a session is found by, of a text that can be its cookie at all.
fn place(cookie: &str) -> Option<Key> {
    (cookie.len() == token::LENGTH).then(|| derived(Derived::Place, cookie))
}

fn derived(what: Derived, cookie: &str) -> [u8; 32] {
    let name: &[u8] = match what {
        Derived::Place => b"innkeeper browser session: place\0",
        Derived::Seal => b"innkeeper browser session: seal\0",
        Derived::Csrf => b"innkeeper browser session: csrf\0",
    };
    Sha256::new().chain_update(name).chain_update(cookie).finalize().into()
}

/// A credential that only a cookie opens.
#[derive(Clone)]
struct Sealed(Box<[u8]>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed")
    }
}

impl Sealed {
    fn new(credential: &str, cookie: &str) -> Option<Self> {
        let mut bytes = credential.as_bytes().to_vec();
        key(cookie)?.seal_in_place_append_tag(only_nonce(), Aad::empty(), &mut bytes).ok()?;
        Some(Self(bytes.into()))
    }

    fn open(&self, cookie: &str) -> Option<String> {
        let mut bytes = self.0.to_vec();
        let text = key(cookie)?.open_in_place(only_nonce(), Aad::empty(), &mut bytes).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

fn key(cookie: &str) -> Option<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &derived(Derived::Seal, cookie)).ok()?;
    Some(LessSafeKey::new(key))
}

/// Each key seals one text, so each needs one nonce.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn somebody(name: &str) -> Principal {
        Principal::admin(Identity::Issued { name: name.into() })
    }

    fn begin(sessions: &BrowserSessions, name: &str, second: i64) -> String {
        let session = sessions.begin(&somebody(name), "inn_shown", at(second)).unwrap();
        session.cookie.expose().unwrap().to_owned()
    }

    #[test]
    fn a_cookie_is_good_for_what_was_shown_until_its_time() {
        let sessions = BrowserSessions::default();
        let cookie = begin(&sessions, "ci", 0);
        assert_eq!(cookie.len(), 43);
        let found = sessions.find(&cookie, at(12 * 3600 - 1)).unwrap();
        assert_eq!((&*found.credential, found.expires), ("inn_shown", at(12 * 3600)));
        assert!(sessions.find(&cookie, at(12 * 3600)).is_none());
        sessions.forget_expired(at(12 * 3600));
        assert_eq!(sessions.lock().iter().count(), 0);
    }

    #[test]
    fn a_session_is_over_no_later_than_what_was_shown() {
        let sessions = BrowserSessions::default();
        let short = somebody("ci").while_it_holds(Standing::of_connection().until(at(60)));
        assert_eq!(sessions.begin(&short, "x", at(0)).unwrap().known.expires, at(60));
        let long = somebody("ci").while_it_holds(Standing::of_connection().until(at(99_999)));
        assert_eq!(sessions.begin(&long, "x", at(0)).unwrap().known.expires, at(12 * 3600));
    }

    #[test]
    fn who_follows_something_is_told_of_the_sessions_end() {
        let sessions = BrowserSessions::default();
        let cookie = begin(&sessions, "ci", 0);
        let who = sessions.find(&cookie, at(1)).unwrap().stands_for(somebody("ci"));
        assert!(who.standing.can_end() && who.standing.holds(at(1)));
        assert!(!who.standing.holds(at(12 * 3600)), "it outlasts the session");
        assert!(sessions.end(&cookie) && !sessions.end(&cookie));
        assert!(!who.standing.holds(at(1)));
        assert!(sessions.find(&cookie, at(1)).is_none());
    }

    #[test]
    fn nothing_else_is_a_cookie() {
        let sessions = BrowserSessions::default();
        let cookie = begin(&sessions, "ci", 0);
        let other = "A".repeat(43);
        for wrong in ["", "x", &cookie[1..], &format!("{cookie}A"), &other] {
            assert!(sessions.find(wrong, at(1)).is_none(), "{wrong}");
            assert!(!sessions.end(wrong), "{wrong}");
        }
    }

    #[test]
    fn each_session_has_a_second_value_of_its_own() {
        let sessions = BrowserSessions::default();
        let [one, two] = ["ci", "ci"].map(|name| begin(&sessions, name, 0));
        let csrf = csrf(&one).expose().unwrap().to_owned();
        assert!(is_csrf(&csrf, &one) && !is_csrf(&csrf, &two));
        assert!(!is_csrf("", &one) && !is_csrf(&one, &one));
    }

    #[test]
    fn what_is_kept_opens_nothing_and_is_not_printed() {
        let sessions = BrowserSessions::default();
        let session = sessions.begin(&somebody("ci"), "inn_shown", at(0)).unwrap();
        let cookie = session.cookie.expose().unwrap();
        let sealed = Sealed::new("inn_shown", cookie).unwrap();
        assert!(!sealed.0.windows(9).any(|piece| piece == b"inn_shown"));
        assert!(sealed.open(&"A".repeat(43)).is_none());
        let printed = format!("{session:?} {sessions:?}");
        assert!(!printed.contains(cookie) && !printed.contains("inn_shown"), "{printed}");
    }

    #[test]
    fn a_callers_seventeenth_session_ends_its_first_and_nobody_elses() {
        let sessions = BrowserSessions::default();
        let bob = begin(&sessions, "bob", 0);
        let own: Vec<_> = (1..=17).map(|second| begin(&sessions, "ci", second)).collect();
        assert!(sessions.find(&own[0], at(20)).is_none());
        assert!(own[1..].iter().chain([&bob]).all(|one| sessions.find(one, at(20)).is_some()));
    }

    #[test]
    fn whoever_has_most_gives_one_up_for_a_strangers_and_administrators_last() {
        let sessions = BrowserSessions::default();
        let begin_as = |name: &str, second| {
            let whose = Identity::Issued { name: name.into() };
            let stranger = Principal::anonymous(whose, Role::Operator);
            let session = sessions.begin(&stranger, "x", at(second)).unwrap();
            session.cookie.expose().unwrap().to_owned()
        };
        let lasts = |cookie: &str| sessions.find(cookie, at(9)).is_some();
        let admins: Vec<_> = (0..16).map(|_| begin(&sessions, "root", 0)).collect();
        let bob = begin_as("bob", 0);
        let of_many: Vec<_> = (17..MOST).map(|n| begin_as(&format!("t{}", n / 8), 1)).collect();
        let follow = |one: &String| sessions.find(one, at(1)).unwrap().stands_for(somebody("x"));
        let followed: Vec<_> = of_many.iter().map(follow).collect();
        let late = begin_as("late", 2);
        assert!(lasts(&late) && lasts(&bob) && admins.iter().all(|admin| lasts(admin)));
        let goes_on: Vec<_> = followed.iter().map(|who| who.standing.holds(at(9))).collect();
        assert_eq!(goes_on, of_many.iter().map(|one| lasts(one)).collect::<Vec<_>>());
        assert_eq!(goes_on.iter().filter(|goes_on| !**goes_on).count(), 1);
        assert_eq!(sessions.lock().len(), MOST);
    }

    #[test]
    fn where_there_are_administrators_alone_the_one_with_most_gives_one_up() {
        let sessions = BrowserSessions::default();
        let few = begin(&sessions, "few", 0);
        for n in 1..MOST {
            drop(begin(&sessions, &format!("t{}", n / MOST_OF_ONE), 1));
        }
        begin(&sessions, "late", 1);
        assert!(sessions.find(&few, at(1)).is_some());
        assert_eq!(sessions.lock().len(), MOST);
    }
}
