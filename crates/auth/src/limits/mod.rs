//! How often callers may call: so many reads, writes and streams each, by who they are.
//!
//! ```text
//!   who, by which entrance, what kind ──▶ the caller's numbers, one a kind ──▶ pass, or wait so long
//! ```
//!
//! Reads, writes and streams do not take from one another: a program that reads too much can still stop what
//! it started. Whoever shows nothing that holds is counted by where it comes from ([`Source`]), apart from all callers
//! that are known: a flood of wrong credentials has an end, and locks nobody out who comes from the same place with a
//! right one.
//!
//! A caller takes some fifty bytes here from the first request on until its quotas are whole again; then it is
//! forgotten. There may be [`MAX_CALLERS`] at a time: who comes after that shares one place with all others
//! who do, so that neither memory nor the quotas are without bound.
//!
//! Time is passed in, and nothing here knows HTTP. (The library that is usual for this holds one quota a store, so a
//! caller would be in a dozen stores; and nothing bounds how many are in one. The algorithm is ten lines.)

mod gcra;
mod quota;
#[cfg(test)]
mod tests;

pub use quota::Quota;

use crate::{
    principal::{Class, Principal},
    source::Source,
};
use gcra::{Answer, judge};
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The most callers that are counted one by one at a time.
pub const MAX_CALLERS: usize = 1 << 18;
/// Callers are spread over so many maps, so that they seldom wait for one another.
const SHARDS: usize = 16;
const MAX_IN_SHARD: usize = MAX_CALLERS / SHARDS;
/// The fewest that a map has when it is looked through for what is over.
const FEW: usize = 64;
/// How long after that it is looked through again, at the earliest, in nanoseconds.
const LOOK_AGAIN_AFTER: u64 = 100_000_000;

/// What a request takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It shows something.
    Read,
    /// It changes something, or tries to.
    Write,
    /// It opens something that stays open.
    Stream,
}

/// By which entrance a request came, as far as quotas differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The VMM service's door, whose quotas its protocol names.
    Vmm,
    /// Any other.
    Other,
}

/// Whose request it is.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// A caller who is known.
    Known(&'a Principal),
    /// Somebody who showed nothing that holds, from there.
    Unknown(Source),
    /// Somebody, from there, who asks for what needs no credential: signing in. Counted apart from those who
    /// show a wrong one, which a page in a browser, or a program that lost its token, does without end.
    Anybody(Source),
    /// Somebody, from there, who shows what a wallet or an issuer may have signed and nobody has looked at yet. To look
    /// at it takes a third of a millisecond, so that is counted before; and apart, since most who do it are right.
    Unproved(Source),
}

/// How often who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// At the VMM service's door, of a standard caller; of each kind of request.
    pub vmm_standard: Quota,
    /// Of a privileged one.
    pub vmm_privileged: Quota,
    /// By any other entrance: reads.
    pub reads: Quota,
    /// By any other entrance: what changes something.
    pub writes: Quota,
    /// By any other entrance: streams that are opened.
    pub streams: Quota,
    /// By any entrance, from one source: requests that show nothing that holds; as many that need not; and as many
    /// signatures of wallets and issuers that were not seen before.
    pub unauthenticated: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            vmm_standard: Quota::per_minute(100),
            vmm_privileged: Quota::per_minute(1000),
            reads: Quota::per_second(200),
            writes: Quota::per_second(20),
            streams: Quota::per_second(20),
            unauthenticated: Quota::per_second(20),
        }
    }
}

/// That a caller has called too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// What is allowed.
    pub quota: Quota,
    /// Of which kind of request.
    pub kind: Kind,
    /// How long until the next may come.
    pub wait: Duration,
}

/// When each kind of a caller's requests would be even with its rate, in nanoseconds: see [`gcra`].
type Arrivals = [u64; 3];
/// The digest of who it is. It is keyed at random, and as wide as not to be two callers' by chance.
type Key = u128;

/// Who has called lately, and how often.
#[derive(Debug)]
pub struct Limits {
    quotas: Quotas,
    hashers: [RandomState; 2],
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    callers: HashMap<Key, Arrivals>,
    /// How many there may be before those that are over are looked for,
    look_at: usize,
    /// and when, at the earliest: a full map is not looked through for each who comes.
    not_before: u64,
}

impl Limits {
    /// Limits with these quotas.
    pub fn new(quotas: Quotas) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { quotas, hashers: [RandomState::new(), RandomState::new()], shards }
    }

    /// Counts a request at this time, since whenever; later calls have later times, or none is lost but some
    /// room.
    ///
    /// # Errors
    /// It was too much; it does not count then.
    pub fn count(
        &self,
        who: Who<'_>,
        entry: Entry,
        kind: Kind,
        now: Duration,
    ) -> Result<(), Exceeded> {
        let Some(quota) = self.quota(who, entry, kind) else { return Ok(()) };
        // Five centuries fit.
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let key = self.key(who, entry);
        let mut shard = self.shard(key);
        let arrivals = shard.caller(key, self.key_of_all_others(who, entry), now);
        // Whatever it is that somebody asks for whom nobody knows, there is one quota for it.
        let slot = if matches!(who, Who::Known(_)) { kind as usize } else { 0 };
        let arrival = &mut arrivals[slot];
        match judge(quota, *arrival, now) {
            Answer::Pass { arrival: next } => {
                *arrival = next;
                Ok(())
            }
            Answer::Wait { nanoseconds } => {
                Err(Exceeded { quota, kind, wait: Duration::from_nanos(nanoseconds) })
            }
        }
    }

    /// Forgets those whose quotas are whole again. To be called now and then: who calls no more would else be
    /// remembered until others come.
    pub fn forget(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        for shard in &self.shards {
            lock(shard).forget(now);
        }
    }

    /// How many callers are counted.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).callers.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn quota(&self, who: Who<'_>, entry: Entry, kind: Kind) -> Option<Quota> {
        let quotas = &self.quotas;
        let Who::Known(principal) = who else { return Some(quotas.unauthenticated) };
        Some(match (principal.class, entry, kind) {
            (Class::Unlimited, ..) => return None,
            (Class::Standard, Entry::Vmm, _) => quotas.vmm_standard,
            (Class::Privileged, Entry::Vmm, _) => quotas.vmm_privileged,
            (_, Entry::Other, Kind::Read) => quotas.reads,
            (_, Entry::Other, Kind::Write) => quotas.writes,
            (_, Entry::Other, Kind::Stream) => quotas.streams,
        })
    }

    fn key(&self, who: Who<'_>, entry: Entry) -> Key {
        match who {
            Who::Known(principal) => self.digest(&(entry, &principal.identity)),
            Who::Unknown(source) => self.digest(&("unknown", source)),
            Who::Anybody(source) => self.digest(&("anybody", source)),
            Who::Unproved(source) => self.digest(&("unproved", source)),
        }
    }

    /// The place that all share who come when there is no other: apart for those who are known.
    fn key_of_all_others(&self, who: Who<'_>, entry: Entry) -> Key {
        self.digest(&(entry, matches!(who, Who::Known(_)), "others"))
    }

    fn digest(&self, of: &impl Hash) -> Key {
        let [high, low] = self.hashers.each_ref().map(|hasher| Key::from(hasher.hash_one(of)));
        high << 64 | low
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[key as usize % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A map of numbers is whole after any panic.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// A caller's numbers; those that all others share where there is no room for one more.
    fn caller(&mut self, key: Key, others: Key, now: u64) -> &mut Arrivals {
        let is_new = !self.callers.contains_key(&key);
        if is_new && self.callers.len() >= self.look_at.max(FEW) && now >= self.not_before {
            self.forget(now);
        }
        let is_full = is_new && self.callers.len() >= MAX_IN_SHARD;
        self.callers.entry(if is_full { others } else { key }).or_default()
    }

    fn forget(&mut self, now: u64) {
        self.callers.retain(|_, arrivals| arrivals.iter().any(|arrival| *arrival > now));
        // Twice as many may come before it is worth looking again, so that looking costs each a little.
        self.look_at = (2 * self.callers.len()).clamp(FEW, MAX_IN_SHARD);
        self.not_before = now.saturating_add(LOOK_AGAIN_AFTER);
        if self.callers.capacity() > 4 * self.look_at {
            self.callers.shrink_to(self.look_at);
        }
    }
}
