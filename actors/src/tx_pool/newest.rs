//! A bounded memory by hash: what was put in last stays longest.

use alloy_primitives::B256;
use std::collections::{BTreeMap, HashMap};

/// Transactions that one memory keeps: minutes of a busy chain, and with their time lines a few megabytes.
pub(super) const REMEMBERED: usize = 4_096;

/// The newest [`REMEMBERED`] values, each hash once. Putting one in again makes it the newest.
#[derive(Debug)]
pub(super) struct Newest<V> {
    by_hash: HashMap<B256, (u64, V)>,
    by_age: BTreeMap<u64, B256>,
    last: u64,
}

impl<V> Default for Newest<V> {
    fn default() -> Self {
        Self { by_hash: HashMap::new(), by_age: BTreeMap::new(), last: 0 }
    }
}

impl<V> Newest<V> {
    /// Keeps the value; the oldest gives way.
    pub(super) fn put(&mut self, hash: B256, value: V) {
        self.remove(&hash);
        self.last += 1;
        self.by_hash.insert(hash, (self.last, value));
        self.by_age.insert(self.last, hash);
        while self.by_age.len() > REMEMBERED {
            let oldest = self.by_age.pop_first();
            oldest.and_then(|(_, oldest)| self.by_hash.remove(&oldest));
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<&V> {
        self.by_hash.get(hash).map(|(_, value)| value)
    }

    /// To be changed where it is; it does not become newer by it.
    pub(super) fn get_mut(&mut self, hash: &B256) -> Option<&mut V> {
        self.by_hash.get_mut(hash).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, hash: &B256) -> Option<V> {
        let (age, value) = self.by_hash.remove(hash)?;
        self.by_age.remove(&age);
        Some(value)
    }
}
