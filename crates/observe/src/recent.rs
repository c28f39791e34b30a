//! A map that remembers the most recent entries and forgets the oldest first.
//!
//! Invariants: never more than its limit; order of insertion decides what goes, so it is
//! deterministic; putting a key again replaces the value and keeps its place. It is serialised as
//! the list of entries in order, without the index.
//!
//! The index is a hash map, looked into and never walked, so its order reaches nothing. Its hashes
//! have no secret: whoever forges keys that collide makes a lookup walk the map at worst, whose
//! size is bounded.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recent<K: Hash + Eq, V> {
    limit: usize,
    /// Value and the number of its place in `order`.
    values: HashMap<K, (u64, V), BuildHasherDefault<Mixer>>,
    /// Keys by age; one whose number differs from that in `values` was removed since.
    order: VecDeque<(u64, K)>,
    next: u64,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Recent { limit: limit.max(1), values: HashMap::default(), order: VecDeque::new(), next: 0 }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if let Some((_, old)) = self.values.get_mut(&key) {
            *old = value;
            return;
        }
        self.values.insert(key.clone(), (self.next, value));
        self.order.push_back((self.next, key));
        self.next += 1;
        self.shrink();
    }

    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        self.values.remove(key).map(|(_, value)| value)
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
        self.shrink();
    }

    /// Bounds both the values and the places of those already taken.
    fn shrink(&mut self) {
        while self.order.len() > self.limit {
            let Some((place, key)) = self.order.pop_front() else { return };
            if self.values.get(&key).is_some_and(|(number, _)| *number == place) {
                self.values.remove(&key);
            }
        }
    }
}

impl<K: Hash + Eq + Serialize, V: Serialize> Serialize for Recent<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Places of taken entries are kept too (as `None`): they count towards the limit, so that
        // an observer restored from a snapshot forgets at the very same moment.
        let entries: Vec<(&K, Option<&V>)> = self
            .order
            .iter()
            .map(|(place, key)| {
                let value = self.values.get(key).filter(|(number, _)| number == place);
                (key, value.map(|(_, value)| value))
            })
            .collect();
        let mut state = serializer.serialize_struct("Recent", 2)?;
        state.serialize_field("limit", &self.limit)?;
        state.serialize_field("entries", &entries)?;
        state.end()
    }
}

/// Mixes small keys, which are numbers, with a multiplication whose halves are folded.
#[derive(Clone, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Deserialize)]
#[serde(rename = "Recent")]
struct Stored<K, V> {
    limit: usize,
    entries: Vec<(K, Option<V>)>,
}

impl<'de, K, V> Deserialize<'de> for Recent<K, V>
where
    K: Hash + Eq + Clone + Deserialize<'de>,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::<K, V>::deserialize(deserializer)?;
        let mut recent = Recent::new(stored.limit);
        for (key, value) in stored.entries {
            let place = recent.next;
            recent.next += 1;
            recent.order.push_back((place, key.clone()));
            if let Some(value) = value {
                recent.values.insert(key, (place, value));
            }
        }
        recent.shrink();
        Ok(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_at_its_limit() {
        let mut recent = Recent::new(3);
        for key in 0..5 {
            recent.put(key, key * 10);
        }
        assert_eq!((0..5).filter(|key| recent.contains(key)).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(recent.take(&3), Some(30));
        assert_eq!(recent.get(&3), None);
    }

    #[test]
    fn a_key_put_again_after_it_was_taken_is_not_forgotten_with_its_old_place() {
        let mut recent = Recent::new(2);
        recent.put(1, "old");
        recent.take(&1);
        recent.put(1, "new");
        recent.put(2, "two");
        assert_eq!(recent.get(&1), Some(&"new"));
    }

    #[test]
    fn a_snapshot_forgets_at_the_same_moment() {
        let mut recent = Recent::new(4);
        for key in 0..4 {
            recent.put(key, key);
        }
        recent.take(&1);
        let bytes = postcard::to_stdvec(&recent).unwrap();
        let mut restored: Recent<i32, i32> = postcard::from_bytes(&bytes).unwrap();
        for key in 10..13 {
            recent.put(key, key);
            restored.put(key, key);
            let held =
                |recent: &Recent<i32, i32>| (0..20).filter(|key| recent.contains(key)).collect();
            let (a, b): (Vec<_>, Vec<_>) = (held(&recent), held(&restored));
            assert_eq!(a, b);
        }
    }
}
