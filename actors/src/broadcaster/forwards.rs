//! Transactions that wait for somebody's answer.

use super::messages::OutgoingTransaction;
use alloy_primitives::B256;
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// Transactions that wait at a time: as many as a pool holds by default.
const MAX_FORWARDS: usize = 16_384;
/// Their bytes together.
const MAX_FORWARD_BYTES: usize = 64 << 20;

/// In the order in which they came; beyond the limits the oldest is given up.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    by_age: BTreeMap<u64, (Instant, OutgoingTransaction)>,
    ages: HashMap<B256, u64>,
    bytes: usize,
    last: u64,
}

impl Forwards {
    /// Adds those that are new; the hashes of those that had to give way.
    pub(super) fn add(&mut self, now: Instant, transactions: &[OutgoingTransaction]) -> Vec<B256> {
        for transaction in transactions {
            if !self.ages.contains_key(&transaction.hash) {
                self.last += 1;
                self.bytes += transaction.bytes.len();
                self.ages.insert(transaction.hash, self.last);
                self.by_age.insert(self.last, (now, transaction.clone()));
            }
        }
        let mut given_up = Vec::new();
        while self.ages.len() > MAX_FORWARDS || self.bytes > MAX_FORWARD_BYTES {
            given_up.extend(self.remove_oldest());
        }
        given_up
    }

    /// Whether it waits.
    pub(super) fn contains(&self, hash: &B256) -> bool {
        self.ages.contains_key(hash)
    }

    /// Removes one; whether it was there.
    pub(super) fn remove(&mut self, hash: &B256) -> bool {
        let Some(age) = self.ages.remove(hash) else { return false };
        if let Some((_, transaction)) = self.by_age.remove(&age) {
            self.bytes -= transaction.bytes.len();
        }
        true
    }

    /// Removes those that have waited for `lifetime`.
    pub(super) fn take_expired(&mut self, now: Instant, lifetime: Duration) -> Vec<B256> {
        let is_expired = |(_, (since, _)): (&u64, &(Instant, _))| now.saturating_duration_since(*since) >= lifetime;
        let mut expired = Vec::new();
        while self.by_age.first_key_value().is_some_and(is_expired) {
            expired.extend(self.remove_oldest());
        }
        expired
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OutgoingTransaction> {
        self.by_age.values().map(|(_, transaction)| transaction)
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ages.len()
    }

    fn remove_oldest(&mut self) -> Option<B256> {
        let hash = self.by_age.first_key_value()?.1.1.hash;
        self.remove(&hash);
        Some(hash)
    }
}
