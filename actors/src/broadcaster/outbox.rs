//! The transactions on their way to one peer.

use super::messages::OutgoingTransaction;
use crate::transport::wire::{MAX_TRANSACTION_BYTES, MAX_TRANSACTIONS, MAX_TRANSACTIONS_BYTES};
use alloy_primitives::B256;
use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

/// Transactions that wait for one peer: about a second of the busiest chain.
pub(super) const MAX_QUEUED: usize = 4_096;
/// Their bytes together.
const MAX_QUEUED_BYTES: usize = 8 << 20;
/// Pause after a batch that was not delivered; doubled with each further one up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// One batch is under way at a time; meanwhile what comes waits here, and beyond the limits it is skipped.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<OutgoingTransaction>,
    bytes: usize,
    under_way: Vec<B256>,
    /// Hashes of all of these.
    known: HashSet<B256>,
    failures: u32,
    paused_until: Option<Instant>,
}

/// What became of a transaction handed to an [`Outbox`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    /// It waits, or waited already.
    Waiting,
    /// No room: this peer misses it.
    Full,
}

impl Outbox {
    /// Puts a transaction at the end of the queue.
    pub(super) fn push(&mut self, transaction: &OutgoingTransaction) -> Queued {
        if self.known.contains(&transaction.hash) {
            return Queued::Waiting;
        }
        let fits_a_request = transaction.bytes.len() as u64 <= MAX_TRANSACTION_BYTES;
        if !fits_a_request
            || self.waiting.len() >= MAX_QUEUED
            || self.bytes + transaction.bytes.len() > MAX_QUEUED_BYTES
        {
            return Queued::Full;
        }
        self.bytes += transaction.bytes.len();
        self.known.insert(transaction.hash);
        self.waiting.push_back(transaction.clone());
        Queued::Waiting
    }

    /// The next batch, which is under way from now on; `None` where nothing waits, a batch is under way, or the last
    /// one failed just now.
    pub(super) fn next_batch(&mut self, now: Instant) -> Option<Vec<OutgoingTransaction>> {
        if !self.under_way.is_empty() || self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let mut batch: Vec<OutgoingTransaction> = Vec::new();
        let mut room = MAX_TRANSACTIONS_BYTES;
        while let Some(transaction) = self.waiting.front() {
            let size = transaction.bytes.len() as u64 + 4;
            if batch.len() == MAX_TRANSACTIONS || size > room {
                break;
            }
            room -= size;
            batch.extend(self.waiting.pop_front());
        }
        self.bytes -= batch.iter().map(|transaction| transaction.bytes.len()).sum::<usize>();
        self.under_way = batch.iter().map(|transaction| transaction.hash).collect();
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// The batch under way has ended; its hashes, in order.
    pub(super) fn finish(&mut self, now: Instant, delivered: bool) -> Vec<B256> {
        let sent = std::mem::take(&mut self.under_way);
        for hash in &sent {
            self.known.remove(hash);
        }
        self.failures = if delivered { 0 } else { self.failures.saturating_add(1) };
        self.paused_until = self.failures.checked_sub(1).map(|earlier| {
            let pause = FIRST_PAUSE.saturating_mul(1u32.checked_shl(earlier).unwrap_or(u32::MAX));
            now + pause.min(LONGEST_PAUSE)
        });
        sent
    }
}
