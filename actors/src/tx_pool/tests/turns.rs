//! Who comes into the next block, and who waits for how long.

use super::core::{NOW, RICH, sender};
use crate::tx_pool::state::{Included, State};
use crate::tx_pool::turns::SHARES;
use crate::tx_pool::{AccountState, BestTransactions, PoolConfig, PooledTransaction};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Signature, TxKind};
use callboard_chain::{BaseFeePolicy, Transaction};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Gas of a block. Small, so that every way of filling one is met.
const BLOCK: u64 = 8;
const SHARE: u64 = BLOCK / SHARES;

fn of_gas(byte: u8, nonce: u64, gas_limit: u64, fee: u128) -> Transaction {
    let to = TxKind::Call(sender(byte));
    let (max_fee_per_gas, max_priority_fee_per_gas) = (fee, fee);
    TxEip1559 { chain_id: 1337, nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, to, ..Default::default() }
        .into_signed(Signature::test_signature())
        .into()
}

/// A pool, and the nonces of those who send.
struct Chain {
    pool: State,
    nonces: BTreeMap<Address, u64>,
}

impl Chain {
    fn new(policy: BaseFeePolicy) -> Self {
        Self { pool: State::new(PoolConfig::default(), policy), nonces: BTreeMap::new() }
    }

    fn send(&mut self, byte: u8, nonces: std::ops::Range<u64>, gas: u64, fee: u128) {
        let from = sender(byte);
        let nonce = *self.nonces.entry(from).or_default();
        for next in nonces {
            let account = AccountState { nonce, ..RICH };
            self.pool.on_submit(NOW, of_gas(byte, next, gas, fee), from, account).expect("taken");
        }
    }

    fn offered(&self) -> Vec<PooledTransaction> {
        // As the proposer asks: for more than a block, as transactions mostly use less than they may.
        let gas = 4 * BLOCK;
        self.pool.best(BestTransactions { gas, bytes: usize::MAX, base_fee: 0, block_gas: BLOCK })
    }

    /// Makes a block as the build does, of transactions that use all their gas; who is in it, in order.
    fn block(&mut self) -> Vec<u8> {
        let (mut left, mut passed_over, mut block) = (BLOCK, BTreeSet::new(), Vec::new());
        for pooled in self.offered() {
            if passed_over.contains(&pooled.sender) {
                continue;
            }
            match left.checked_sub(pooled.gas_limit()) {
                Some(rest) => {
                    left = rest;
                    block.push(pooled);
                }
                None => _ = passed_over.insert(pooled.sender),
            }
        }
        let included: Included = block.iter().map(|pooled| ((pooled.sender, pooled.nonce()), pooled.hash())).collect();
        for pooled in &block {
            self.nonces.insert(pooled.sender, pooled.nonce() + 1);
        }
        let accounts: Vec<_> =
            self.nonces.iter().map(|(from, nonce)| (*from, AccountState { nonce: *nonce, ..RICH })).collect();
        self.pool.on_accounts(&accounts, &included);
        block.iter().map(|pooled| pooled.sender[0]).collect()
    }
}

#[test]
fn where_gas_is_free_a_sender_with_a_thousand_transactions_does_not_hold_up_one_with_one() {
    let mut chain = Chain::new(BaseFeePolicy::Zero);
    chain.send(1, 0..1_024, SHARE, 1);
    chain.send(2, 0..1, SHARE, 0);
    assert_eq!(chain.block(), [1, 2, 1, 1], "a tip of 1 wei is no reason to be first, and what is left over is used");
    chain.send(2, 1..2, BLOCK, 0);
    chain.send(3, 0..1, 1, 0);
    assert_eq!(chain.block(), [1, 3, 1, 1], "the big one waits: it comes behind, and does not fit");
    assert_eq!(chain.block(), [2], "it has waited longest, and is alone");
}

#[test]
fn everybody_has_a_quarter_before_anybody_has_more() {
    let mut chain = Chain::new(BaseFeePolicy::Zero);
    chain.send(1, 0..1, 1, 0);
    chain.send(1, 1..2, BLOCK / 2, 0);
    chain.send(2, 0..2, 1, 0);
    chain.send(3, 0..1, 1, 0);
    assert_eq!(chain.block(), [1, 2, 3, 2, 1]);
}

#[test]
fn where_gas_has_a_price_the_tip_comes_first_and_equal_ones_take_turns() {
    let mut chain = Chain::new(BaseFeePolicy::Eip1559);
    chain.send(1, 0..9, SHARE, 5);
    chain.send(2, 0..9, SHARE, 1);
    chain.send(3, 0..1, SHARE, 1);
    assert_eq!(chain.block(), [1, 1, 1, 1]);
    assert_eq!(chain.block(), [1, 1, 1, 1]);
    assert_eq!(chain.block(), [1, 2, 3, 2]);
}

#[test]
fn a_sender_whose_last_block_is_longest_ago_comes_first() {
    let mut chain = Chain::new(BaseFeePolicy::Zero);
    for byte in 1..=5 {
        chain.send(byte, 0..9, SHARE, 0);
    }
    assert_eq!(chain.block(), [1, 2, 3, 4]);
    assert_eq!(chain.block(), [5, 1, 2, 3]);
    assert_eq!(chain.block(), [4, 5, 1, 2]);
    assert_eq!(chain.block(), [3, 4, 5, 1]);
}

/// So that senders have several within their share.
fn mostly_small() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(1), 1 => 1..=BLOCK]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_comes_behind_others_is_in_a_block_within_as_many_blocks(
        greedy in proptest::collection::vec(1..=BLOCK, 1..8),
        late in 1..=BLOCK,
        before in 0..5usize,
    ) {
        let mut chain = Chain::new(BaseFeePolicy::Zero);
        for (byte, gas) in (1..).zip(&greedy) {
            chain.send(byte, 0..120, *gas, 1);
        }
        for _ in 0..before {
            chain.block();
        }
        chain.send(99, 0..1, late, 0);
        let small = greedy.iter().chain([&late]).all(|gas| *gas <= SHARE);
        let bound = if small { (greedy.len() + 1).div_ceil(4) } else { greedy.len() + 1 };
        prop_assert!((0..bound).any(|_| chain.block().contains(&99)), "not within {bound} blocks");
    }

    #[test]
    fn nobody_gets_more_than_a_quarter_while_another_one_has_work_below_its_own(
        senders in proptest::collection::vec(proptest::collection::vec(mostly_small(), 0..10), 1..6),
        before in 0..3usize,
    ) {
        let mut chain = Chain::new(BaseFeePolicy::Zero);
        for (byte, gas) in (1..).zip(&senders) {
            for (nonce, gas) in (0..).zip(gas) {
                chain.send(byte, nonce..nonce + 1, *gas, u128::from(byte % 2));
            }
        }
        for _ in 0..before {
            chain.block();
        }
        let mut waiting: BTreeMap<Address, Vec<u64>> = BTreeMap::new();
        for pooled in chain.pool.content(None).pending {
            waiting.entry(pooled.sender).or_default().push(pooled.gas_limit());
        }
        let (mut taken, mut left) = (BTreeMap::<Address, u64>::new(), 4 * BLOCK);
        for pooled in chain.offered() {
            let mine = taken.get(&pooled.sender).copied().unwrap_or_default();
            let is_beyond = mine > 0 && mine + pooled.gas_limit() > SHARE;
            for (other, gas) in waiting.iter().filter(|(other, _)| is_beyond && **other != pooled.sender) {
                let Some(next) = gas.first().filter(|next| **next <= left) else { continue };
                let theirs = taken.get(other).copied().unwrap_or_default();
                prop_assert!(theirs > 0 && theirs + next > SHARE, "{other} waits with {next} after {theirs}");
            }
            waiting.get_mut(&pooled.sender).expect("pending").remove(0);
            *taken.entry(pooled.sender).or_default() += pooled.gas_limit();
            left -= pooled.gas_limit();
        }
        // Nothing that fits was left out.
        prop_assert!(waiting.values().all(|gas| gas.first().is_none_or(|next| *next > left)));
    }
}
