//! Whose turn it is: the order in which transactions come into a block.
//!
//! Where gas is free a fee is no reason to be first, so senders take turns: who has waited longest comes first, each
//! sender's first transaction before any sender's second, and nobody gets more than a quarter of the block's gas while
//! somebody else waits. A sender waits since its first transaction came, or since a block last took one of its. So
//! whoever is at the head of the line is in the next block, however big its transaction is, and then goes to the end of
//! the line: a sender that comes behind N others waits for at most N blocks, and for a quarter of that where no
//! transaction's gas limit is above a quarter of the block.

use super::messages::BestTransactions;
use super::queue::{PooledTransaction, Queue};
use callboard_chain::BaseFeePolicy;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;

/// One sender gets one part in so many of a block's gas while others wait.
pub(super) const SHARES: u64 = 4;

/// What a tip counts for when transactions are put in order.
pub(super) fn weight(policy: BaseFeePolicy, tip: u128) -> u128 {
    match policy {
        // Many tools tip 1 wei unasked: that must not put them before everybody who sends none.
        BaseFeePolicy::Zero => 0,
        BaseFeePolicy::Eip1559 => tip,
    }
}

/// The transactions of these senders for a block, in order, within the sums of gas limits and bytes that were asked for.
/// Under EIP-1559 the highest tip comes first, and only among equal ones the senders take turns.
pub(super) fn best<'a>(
    queues: impl Iterator<Item = &'a Queue>,
    policy: BaseFeePolicy,
    asked: BestTransactions,
) -> Vec<PooledTransaction> {
    let mut lines: Vec<_> = queues.map(|queue| Line::new(queue, policy, asked)).collect();
    let mut turns: BinaryHeap<_> = lines.iter_mut().enumerate().filter_map(|(at, line)| line.turn(at)).collect();
    let (mut gas, mut bytes, mut best) = (asked.gas, asked.bytes, Vec::new());
    while let Some(Turn { at, .. }) = turns.pop() {
        // One that does not fit ends its sender's turn: the ones behind it need it.
        let Some(next) = lines[at].ready.next_if(|next| next.gas_limit() <= gas && next.bytes <= bytes) else {
            continue;
        };
        (gas, bytes) = (gas - next.gas_limit(), bytes - next.bytes);
        best.push(next.clone());
        lines[at].on_taken(next);
        turns.extend(lines[at].turn(at));
    }
    best
}

/// The order of transactions in a block; the greatest comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    weight: u128,
    /// It leaves its sender within its share, or is its sender's first.
    within_share: bool,
    round: Reverse<u64>,
    waits_since: Reverse<u64>,
    arrival: Reverse<u64>,
    /// Whose.
    at: usize,
}

/// One sender's transactions, while a block is put together.
struct Line<I: Iterator> {
    ready: Peekable<I>,
    waits_since: u64,
    /// How many were taken.
    round: u64,
    /// Their gas limits.
    taken: u64,
    share: u64,
    base_fee: u64,
    policy: BaseFeePolicy,
}

impl<'a> Line<Box<dyn Iterator<Item = &'a PooledTransaction> + 'a>> {
    fn new(queue: &'a Queue, policy: BaseFeePolicy, asked: BestTransactions) -> Self {
        let ready: Box<dyn Iterator<Item = &'a PooledTransaction> + 'a> = Box::new(queue.ready());
        let (share, base_fee) = (asked.block_gas / SHARES, asked.base_fee);
        let (waits_since, round, taken) = (queue.waits_since(), 0, 0);
        Self { ready: ready.peekable(), waits_since, round, taken, share, base_fee, policy }
    }

    fn on_taken(&mut self, transaction: &PooledTransaction) {
        self.round += 1;
        self.taken = self.taken.saturating_add(transaction.gas_limit());
    }

    /// The turn of the next one; `None` where there is none, or it does not pay the base fee.
    fn turn(&mut self, at: usize) -> Option<Turn> {
        let next = self.ready.peek()?;
        let within_share = self.round == 0 || self.taken.saturating_add(next.gas_limit()) <= self.share;
        Some(Turn {
            weight: weight(self.policy, next.tip(self.base_fee)?),
            within_share,
            round: Reverse(self.round),
            waits_since: Reverse(self.waits_since),
            arrival: Reverse(next.arrival),
            at,
        })
    }
}
