//! Large blocks and a large genesis.

use crate::support::node::{Node, assert_same_blocks, hex_number};
use crate::support::wallet::{RECIPIENT, address, sign, transfer, transfers};
use alloy_consensus::TxLegacy;
use alloy_primitives::{B256, Bytes, U256};
use callboard::dev;
use callboard_chain::Block;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;

/// Longest batch, in transactions and in bytes of them.
const BATCH: (usize, usize) = (1_000, 1 << 20);
/// Between two blocks: time for every sender's first transaction to arrive.
const INTERVAL_MS: u64 = 3_000;
/// The account whose transaction makes a block first.
const TRIGGER: u32 = 9;

/// One block of all of these, by sender. The pool holds back what lies behind a nonce gap, so that all senders' first
/// transactions, sent last and just after another block, release the whole block at once.
fn one_block(authority: &Node, senders: Vec<Vec<Bytes>>) -> u64 {
    let (mut firsts, mut behind) = (Vec::new(), Vec::new());
    for mut transactions in senders {
        behind.extend(transactions.split_off(1));
        firsts.extend(transactions);
    }
    let length = behind.first().map_or(1, |first| first.len());
    behind.chunks(BATCH.0.min(BATCH.1 / length)).for_each(|batch| drop(authority.send(batch)));
    authority.receipt(authority.send(&transfers(TRIGGER, 0, 1))[0]);
    let released: Vec<B256> = authority.send(&firsts);
    let heights: Vec<_> = released.iter().map(|hash| hex_number(&authority.receipt(*hash)["blockNumber"])).collect();
    assert!(heights.iter().all(|height| *height == heights[0]), "one block: {heights:?}");
    heights[0]
}

fn transactions_of(node: &Node, height: u64) -> usize {
    Block::decode(node.block(height)).expect("a block").transactions().len()
}

/// The block is there with all it holds after a kill, on a node that fetches it, and on one that fetches it from
/// that; and nothing was spent twice.
fn survives(authority: &mut Node, height: u64, transactions: usize) {
    assert_eq!(transactions_of(authority, height), transactions);
    let (bytes, balance) = (authority.block(height), authority.balance(RECIPIENT));
    let nonce = |node: &Node| hex_number(&node.call("eth_getTransactionCount", json!([address(0), "latest"])));
    let spent = nonce(authority);
    authority.kill().start();
    assert_eq!(authority.block(height), bytes);
    assert_eq!((authority.balance(RECIPIENT), nonce(authority)), (balance, spent));

    let mut follower = Node::follower("follower", &[authority]);
    follower.start().reaches(height);
    let mut second = Node::follower("second", &[&follower]);
    second.start().reaches(height);
    follower.kill().start();
    for node in [&follower, &second] {
        assert_eq!((node.balance(RECIPIENT), nonce(node)), (balance, spent));
        assert_same_blocks(authority, node);
    }
}

#[test]
fn a_block_of_10_000_transactions_survives_restart_sync_and_serving() {
    let mut authority = Node::authority();
    authority.set("genesis.gas_limit", 210_000_000).set("authority.block_interval_ms", INTERVAL_MS);
    authority.set("pool.max_per_sender", 1_250).start();
    let height = one_block(&authority, (0..8).map(|account| transfers(account, 0, 1_250)).collect());
    assert_eq!(authority.balance(RECIPIENT), U256::from(10_001));
    survives(&mut authority, height, 10_000);
}

#[test]
fn a_block_of_the_full_default_gas_limit_survives_restart_sync_and_serving() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", INTERVAL_MS).start();
    let limit = 30_000_000;
    let senders = vec![transfers(0, 0, 1_000), transfers(1, 0, limit / 21_000 - 1_000)];
    let height = one_block(&authority, senders);
    survives(&mut authority, height, 1_428);
}

#[test]
fn a_block_full_of_the_longest_transactions_survives_restart_sync_and_serving() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", INTERVAL_MS).start();
    // Each a little below 128 KiB of zeros, at 10 gas a byte: 22 of them are just below 30,000,000 gas.
    let data = Bytes::from(vec![0; 130_900]);
    let gas_limit = 21_000 + 10 * data.len() as u64;
    let long = |nonce| sign(&dev::key(0), TxLegacy { gas_limit, input: data.clone(), ..transfer(nonce) });
    let height = one_block(&authority, vec![(0..22).map(long).collect()]);
    assert!(authority.block(height).len() > 22 * data.len());
    survives(&mut authority, height, 22);
}

/// A chain with this many accounts is made, started and fetched, each node's first start within this time.
fn genesis_of(accounts: u64, within: Duration) {
    let mut authority = Node::authority();
    let mut alloc = String::from("{");
    for account in 1..=accounts {
        let separator = if account == 1 { "" } else { "," };
        write!(alloc, "{separator}\"{}\":{{\"balance\":\"{account:#x}\"}}", account_address(account))
            .expect("a string");
    }
    std::fs::write(authority.path("alloc.json"), alloc + "}").expect("written");
    authority.set("genesis.alloc", "alloc.json").start_within(within);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start_within(within);
    assert_eq!(follower.hash(0), authority.hash(0));
    assert_eq!(follower.peer_get("genesis"), authority.peer_get("genesis"));
    for account in [1, accounts / 2, accounts] {
        assert_eq!(follower.balance(account_address(account)), U256::from(account));
    }
    // And it goes on: a transfer over that state.
    let hash = authority.send(&transfers(0, 0, 1))[0];
    authority.receipt(hash);
    follower.receipt(hash);
    assert_same_blocks(&authority, &follower);
}

fn account_address(account: u64) -> String {
    format!("0x{:040x}", 0x1_0000_0000 + account)
}

#[test]
fn a_genesis_of_100_000_accounts_is_made_and_fetched() {
    genesis_of(100_000, Duration::from_secs(60));
}

#[test]
#[ignore = "minutes in a debug build; run by `just full`"]
fn a_genesis_of_1_000_000_accounts_is_made_and_fetched() {
    genesis_of(1_000_000, Duration::from_secs(300));
}
