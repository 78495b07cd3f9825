//! A map with text keys for a handful of entries, read often and hardly ever changed.
//!
//! A `BTreeMap` of three entries takes the room of eleven; ten thousand VMs have forty thousand such
//! maps in memory.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{collections::BTreeMap, fmt, marker::PhantomData, ops::Index};

/// A sorted list of keys and values. In JSON it is an object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SmallMap<V>(Box<[(Box<str>, V)]>);

impl<V> SmallMap<V> {
    /// The value under this key.
    pub fn get(&self, key: &str) -> Option<&V> {
        let found = self.0.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        Some(&self.0[found].1)
    }

    /// Whether there is a value under this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for SmallMap<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<V: fmt::Debug> fmt::Debug for SmallMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V> Index<&str> for SmallMap<V> {
    type Output = V;

    fn index(&self, key: &str) -> &V {
        self.get(key).unwrap_or_else(|| panic!("there is no entry {key:?}"))
    }
}

/// Of several values under one key the last one stays.
impl<K: Into<Box<str>>, V> FromIterator<(K, V)> for SmallMap<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let sorted: BTreeMap<Box<str>, V> =
            entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self(sorted.into_iter().collect())
    }
}

impl<K: Into<Box<str>>, V, const N: usize> From<[(K, V); N]> for SmallMap<V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<V: Serialize> Serialize for SmallMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for SmallMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> de::Visitor<'de> for Entries<V> {
            type Value = SmallMap<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<SmallMap<V>, M::Error> {
                let mut entries = BTreeMap::<Box<str>, V>::new();
                while let Some((key, value)) = map.next_entry()? {
                    entries.insert(key, value);
                }
                Ok(entries.into_iter().collect())
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_map_that_it_stands_for(entries: Vec<(String, u8)>, other: String) {
            let reference: BTreeMap<String, u8> = entries.iter().cloned().collect();
            let map: SmallMap<u8> = entries.into_iter().collect();
            prop_assert_eq!(map.len(), reference.len());
            prop_assert_eq!(map.get(&other), reference.get(&other));
            for (key, value) in &reference {
                prop_assert_eq!(map.get(key), Some(value));
            }
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(&text, &serde_json::to_string(&reference).unwrap());
            prop_assert_eq!(serde_json::from_str::<SmallMap<u8>>(&text).unwrap(), map);
        }
    }
}
