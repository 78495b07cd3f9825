//! Handshakes that are under way, by who is at them.

use innkeeper_auth::Source;
use std::collections::{BTreeMap, HashMap};
use tokio::task::{AbortHandle, Id};

/// Handshakes that have not ended.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// Of each: whose it is, and how many were begun before it.
    each: HashMap<Id, (Source, u64)>,
    /// Each source's, the oldest first. None has no entry.
    by_source: HashMap<Source, BTreeMap<u64, AbortHandle>>,
    begun: u64,
}

impl UnderWay {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    /// Notes that one has begun.
    pub(super) fn add(&mut self, source: Source, handshake: AbortHandle) {
        let number = self.begun;
        self.begun += 1;
        self.each.insert(handshake.id(), (source, number));
        self.by_source.entry(source).or_default().insert(number, handshake);
    }

    /// Notes that one has ended, and says whose it was; nothing where it was given up.
    pub(super) fn remove(&mut self, handshake: Id) -> Option<Source> {
        let (source, number) = self.each.remove(&handshake)?;
        if let Some(own) = self.by_source.get_mut(&source) {
            own.remove(&number);
            if own.is_empty() {
                self.by_source.remove(&source);
            }
        }
        Some(source)
    }

    /// Ends one: the oldest of the source that has most; of several sources, of the one whose oldest is older.
    pub(super) fn give_one_up(&mut self) {
        let oldest = |own: &BTreeMap<u64, AbortHandle>| own.keys().next().copied();
        let most =
            self.by_source.values().max_by_key(|own| (own.len(), std::cmp::Reverse(oldest(own))));
        let Some((_, handshake)) = most.and_then(BTreeMap::first_key_value) else { return };
        handshake.abort();
        let id = handshake.id();
        self.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::task::JoinSet;

    fn host(last: u8) -> Source {
        Source::of_address([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn whoever_has_most_gives_up_the_oldest_of_theirs() {
        let (mut tasks, mut under_way) = (JoinSet::<()>::new(), UnderWay::default());
        let mut begin = |under_way: &mut UnderWay, source| {
            let handshake = tasks.spawn(pending());
            let id = handshake.id();
            under_way.add(source, handshake);
            id
        };
        let victim = begin(&mut under_way, host(1));
        let greedy = [(); 3].map(|()| begin(&mut under_way, host(2)));
        let other = begin(&mut under_way, host(3));
        let left = |under_way: &UnderWay| {
            let is_there = |id: &Id| under_way.each.contains_key(id);
            (is_there(&victim), greedy.each_ref().map(is_there), is_there(&other))
        };
        under_way.give_one_up();
        assert_eq!(left(&under_way), (true, [false, true, true], true));
        under_way.give_one_up();
        assert_eq!(left(&under_way), (true, [false, false, true], true));
        // Where all have as many, it is the oldest of all.
        under_way.give_one_up();
        assert_eq!(left(&under_way), (false, [false, false, true], true));
        assert_eq!(under_way.remove(victim), None, "it was given up");
        assert_eq!(under_way.remove(other), Some(host(3)));
        assert_eq!((under_way.len(), under_way.by_source.len()), (1, 1));
        under_way.give_one_up();
        under_way.give_one_up();
        assert!(under_way.each.is_empty() && under_way.by_source.is_empty());
    }
}
