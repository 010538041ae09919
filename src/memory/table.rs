//! A map with a fixed number of entries, of which the one that was not written for longest goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(super) struct Table<K, V> {
    most: usize,
    now: u64,
    /// Keys are keyed hashes themselves, or numbers of our own, so that nobody can choose many that meet in one place.
    entries: HashMap<K, (u64, V), foldhash::fast::RandomState>,
    /// When which key was written; of a key's several lines the one with its entry's own number counts.
    written: VecDeque<(u64, K)>,
}

/// A table of whatever keys and values, by its bound.
pub(super) trait Bounded {
    /// Changes the bound to so many entries for each that it had. The oldest go.
    fn scale(&mut self, by: f64);
}

/// With fewer, one burst of requests would drive out what is needed a moment later.
const FEWEST: usize = 16;

impl<K: Clone + Eq + Hash, V: Default> Bounded for Table<K, V> {
    fn scale(&mut self, by: f64) {
        self.most = ((self.most as f64 * by) as usize).max(FEWEST);
        while self.entries.len() > self.most {
            self.drop_oldest();
        }
    }
}

impl<K: Clone + Eq + Hash, V: Default> Table<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Table { most, now: 0, entries: HashMap::default(), written: VecDeque::new() }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn set(&mut self, key: K, value: V) {
        *self.entry(key) = value;
    }

    /// The entry of `key`, made if there is none, and marked as just written.
    pub(super) fn entry(&mut self, key: K) -> &mut V {
        self.now += 1;
        self.written.push_back((self.now, key.clone()));
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.drop_oldest();
        }
        if self.written.len() > 2 * self.most {
            let entries = &self.entries;
            let now = self.now;
            self.written.retain(|(at, key)| *at == now || entries.get(key).is_some_and(|(last, _)| last == at));
        }
        let now = self.now;
        let entry = self.entries.entry(key).or_default();
        entry.0 = now;
        &mut entry.1
    }

    fn drop_oldest(&mut self) {
        while let Some((at, key)) = self.written.pop_front() {
            if self.entries.get(&key).is_some_and(|(last, _)| *last == at) {
                self.entries.remove(&key);
                return;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.entries.len(), self.written.len())
    }
}
