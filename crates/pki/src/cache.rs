//! A bounded memory: when it is full, what was not asked for the longest goes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// At most so many values by key; shared by threads.
pub(crate) struct Cache<K, V> {
    entries_max: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Grows with each use: the order of use, without a clock.
    uses: u64,
}

struct Entry<V> {
    value: V,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries_max, state: Mutex::new(State { entries: HashMap::new(), uses: 0 }) }
    }

    /// The value of this key, which thereby was used last.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        let entry = state.entries.get_mut(key)?;
        entry.used = used;
        Some(entry.value.clone())
    }

    /// Holds a value, instead of an earlier one of this key, or of the one that was not used the longest.
    pub(crate) fn insert(&self, key: K, value: V) {
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        if state.entries.len() >= self.entries_max && !state.entries.contains_key(&key) {
            // A walk over all of it, but only when something new comes into a full cache.
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                state.entries.remove(&oldest);
            }
        }
        state.entries.insert(key, Entry { value, used });
    }

    /// Forgets the value of this key.
    pub(crate) fn remove(&self, key: &K) {
        self.state().entries.remove(key);
    }

    /// Forgets what does not fit any more.
    pub(crate) fn retain(&self, fits: impl Fn(&V) -> bool) {
        self.state().entries.retain(|_, entry| fits(&entry.value));
    }

    pub(crate) fn len(&self) -> usize {
        self.state().entries.len()
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        // Nothing in here can be half done: a panic of another thread left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_limit_and_not_one_more() {
        let cache = Cache::new(2);
        cache.insert(1, 'a');
        cache.insert(2, 'b');
        assert_eq!((cache.len(), cache.get(&1)), (2, Some('a')), "at the limit, and 1 was used last");
        cache.insert(3, 'c');
        assert_eq!(
            (cache.len(), cache.get(&1), cache.get(&2), cache.get(&3)),
            (2, Some('a'), None, Some('c'))
        );
        cache.insert(3, 'd');
        assert_eq!((cache.len(), cache.get(&1), cache.get(&3)), (2, Some('a'), Some('d')), "the same key");
        cache.remove(&1);
        cache.retain(|value| *value != 'd');
        assert_eq!(cache.len(), 0);
    }
}
