//! A bounded map whose entries leave when they expire.

use innkeeper_model::{Code, Refusal, Timestamp};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// What entries are found by: a digest, or something as random.
pub(crate) type Key = [u8; 32];

/// There are as many as may be, and none of them has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {most} {what} already, the most that there may be")]
pub struct Full {
    /// What there are so many of.
    pub what: &'static str,
    /// How many there may be.
    pub most: usize,
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        Self::new(Code::OutOfCapacity, full.to_string())
            .with_limit(full.most)
            .with_hint("try again when some of them have expired")
    }
}

/// At most `most` values, each until a time of its own. What has expired is never shown, and is released
/// by the next [`Self::forget_expired`]; whoever adds calls that first.
#[derive(Debug)]
pub(crate) struct Expiring<V> {
    entries: HashMap<Key, Entry<V>>,
    /// The same entries, the soonest to expire first.
    order: BTreeSet<(Timestamp, Key)>,
    most: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    expires: Timestamp,
}

impl<V> Expiring<V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: BTreeSet::new(), most }
    }

    pub(crate) fn get(&self, key: &Key, now: Timestamp) -> Option<&V> {
        self.entries.get(key).filter(|entry| entry.expires > now).map(|entry| &entry.value)
    }

    /// When an entry expires.
    pub(crate) fn expires(&self, key: &Key) -> Option<Timestamp> {
        self.entries.get(key).map(|entry| entry.expires)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.most
    }

    /// Adds an entry, in place of one with the same key. Where there is no room, the soonest to expire
    /// makes it.
    pub(crate) fn insert(&mut self, key: Key, value: V, expires: Timestamp) {
        self.remove(&key);
        while self.is_full() {
            let Some(&(_, soonest)) = self.order.first() else { return };
            self.remove(&soonest);
        }
        self.order.insert((expires, key));
        self.entries.insert(key, Entry { value, expires });
    }

    /// Removes an entry, and says what it was, with when it expires.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<(V, Timestamp)> {
        let Entry { value, expires } = self.entries.remove(key)?;
        self.order.remove(&(expires, *key));
        Some((value, expires))
    }

    /// Removes one entry for another, and says what it was: the soonest to expire of whoever has most; of several who
    /// have as many, the soonest of all. What `whose` says is nobody's stays.
    pub(crate) fn give_one_up<W: Eq + Hash>(
        &mut self,
        whose: impl Fn(&V) -> Option<W>,
    ) -> Option<V> {
        let mut each: HashMap<W, (usize, Reverse<usize>, Key)> = HashMap::new();
        for (place, (key, value, _)) in self.iter().enumerate() {
            let Some(owner) = whose(value) else { continue };
            each.entry(owner).or_insert((0, Reverse(place), *key)).0 += 1;
        }
        let (.., soonest) = each.into_values().max()?;
        self.remove(&soonest).map(|(value, _)| value)
    }

    /// All entries, the soonest to expire first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &V, Timestamp)> {
        self.order.iter().filter_map(|(expires, key)| {
            self.entries.get(key).map(|entry| (key, &entry.value, *expires))
        })
    }

    /// Removes an entry that has expired, and says what it was; `None` where none has.
    pub(crate) fn pop_expired(&mut self, now: Timestamp) -> Option<V> {
        let &(_, key) = self.order.first().filter(|(expires, _)| *expires <= now)?;
        self.remove(&key).map(|(value, _)| value)
    }

    /// Releases what has expired.
    pub(crate) fn forget_expired(&mut self, now: Timestamp) {
        while self.pop_expired(now).is_some() {}
        // After a flood, the memory that it took goes, too.
        if self.entries.capacity() / 4 > self.entries.len() {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held(map: &Expiring<i64>) -> Vec<i64> {
        map.iter().map(|(_, value, _)| *value).collect()
    }

    #[test]
    fn an_entry_is_there_until_it_expires_and_then_it_is_released() {
        let mut map = Expiring::new(9);
        map.insert([1; 32], 1, at(10));
        map.insert([2; 32], 2, at(20));
        assert_eq!(map.get(&[1; 32], at(9)), Some(&1));
        assert_eq!(map.get(&[1; 32], at(10)), None);
        assert_eq!(held(&map), [1, 2]);
        map.forget_expired(at(10));
        assert_eq!(held(&map), [2]);
        assert_eq!(map.order.len(), map.entries.len());
    }

    #[test]
    fn a_full_map_gives_up_what_expires_soonest() {
        let mut map = Expiring::new(3);
        for second in [30, 10, 20, 40] {
            map.insert([second as u8; 32], second, at(second));
        }
        assert!(map.is_full());
        assert_eq!(held(&map), [20, 30, 40]);
        map.insert([20; 32], 50, at(50));
        assert_eq!(held(&map), [30, 40, 50], "the same key is one entry");
        assert_eq!(map.remove(&[40; 32]), Some((40, at(40))));
        assert_eq!(map.remove(&[40; 32]), None);
        assert_eq!(map.order.len(), map.entries.len());
    }

    #[test]
    fn whoever_has_most_gives_up_the_soonest_of_theirs() {
        let mut map = Expiring::new(9);
        for (key, expires) in [(10, 4), (21, 9), (22, 1), (31, 2), (32, 3), (40, 0)] {
            map.insert([key as u8; 32], key, at(expires));
        }
        let whose = |value: &i64| (*value < 40).then_some(value / 10);
        let given_up = [(); 4].map(|()| map.give_one_up(whose));
        assert_eq!(given_up, [22, 31, 32, 10].map(Some));
        assert_eq!((map.give_one_up(whose), map.give_one_up(whose)), (Some(21), None));
        assert_eq!(held(&map), [40]);
    }

    #[test]
    fn what_a_flood_took_is_given_back() {
        let mut map = Expiring::new(4096);
        for n in 0..4096_u16 {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&n.to_le_bytes());
            map.insert(key, 0, at(1));
        }
        map.forget_expired(at(1));
        assert!(map.is_empty());
        assert!(map.entries.capacity() < 64, "{}", map.entries.capacity());
    }
}
