//! Blocks that their authority never made so.

use super::peer::{blocks, each_block, frames, with_damaged_end};
use super::trial::Trial;
use crate::forge::{Forge, transfer, with_body, with_header};
use alloy_primitives::B256;
use callboard::dev;
use callboard_chain::{Block, Seal};

const OTHER: B256 = B256::repeat_byte(0xee);

/// A follower whose only peer falsifies every block: refused by this check, and the peer is banned for it.
#[track_caller]
fn is_refused_by(check: &str, reason: &str, falsify: impl Fn(&Block) -> Block + Send + Sync + 'static) {
    let mut trial = Trial::against([each_block(falsify)]);
    trial.refuses_a_block_by(check);
    trial.all_are("banned", reason);
    trial.ends_well();
}

#[test]
fn a_wrong_state_root_under_the_honest_seal_is_refused_by_the_seal_and_its_sender_banned() {
    is_refused_by("seal", "the seal", |block| with_header(block, |header| header.state_root = OTHER));
}

#[test]
fn a_wrong_state_root_under_a_forged_seal_is_refused_by_the_seal_and_its_sender_banned() {
    is_refused_by("seal", "the seal", |block| {
        let header = with_header(block, |header| header.state_root = OTHER).header().clone();
        Block::sealed(header, block.transactions().to_vec(), &dev::key(3))
    });
}

#[test]
fn a_seal_of_another_key_over_an_honest_block_is_refused_and_its_sender_banned() {
    is_refused_by("seal", "the seal", |block| {
        let seal = Seal::sign(&dev::key(3), block.hash());
        Block::from_parts(block.header().clone(), block.transactions().to_vec(), seal)
    });
}

#[test]
fn blocks_that_the_authority_sealed_for_another_of_its_chains_are_refused_and_their_sender_banned() {
    let other_chain = Forge::new().extend_by(3);
    is_refused_by("extraData", "extraData", move |block| {
        let index = usize::try_from(block.height() - 1).expect("a short chain");
        other_chain[index.min(other_chain.len() - 1)].clone()
    });
}

#[test]
fn a_block_with_a_transaction_dropped_is_refused_and_its_sender_banned() {
    is_refused_by("transactionsRoot", "transactions", |block| {
        let mut transactions = block.transactions().to_vec();
        transactions.pop();
        with_body(block, transactions)
    });
}

#[test]
fn a_block_with_a_transaction_added_is_refused_and_its_sender_banned() {
    is_refused_by("transactionsRoot", "transactions", |block| {
        with_body(block, [block.transactions(), &[transfer(2, 0, 1)]].concat())
    });
}

#[test]
fn a_block_with_its_transactions_reordered_is_refused_and_its_sender_banned() {
    is_refused_by("transactionsRoot", "transactions", |block| {
        let mut transactions = block.transactions().to_vec();
        transactions.reverse();
        with_body(block, transactions)
    });
}

#[test]
fn blocks_in_the_wrong_order_are_refused_and_their_sender_banned() {
    let mut trial = Trial::against([blocks(|_, asked| frames(asked.into_iter().rev()))]);
    trial.all_are("banned", "where block 1 was asked for");
    trial.ends_well();
}

#[test]
fn a_block_sent_twice_is_refused_and_its_sender_banned() {
    let twice = blocks(|_, asked| frames(asked.into_iter().flat_map(|block| [block.clone(), block])));
    let mut trial = Trial::against([twice]);
    trial.all_are("banned", "sent block 1 where block 2 was asked for");
    trial.ends_well();
}

#[test]
fn blocks_that_were_not_asked_for_are_refused_and_their_sender_banned() {
    let mut trial = Trial::against([blocks(|honest, _| frames([honest.chain.head().clone()]))]);
    trial.all_are("banned", "where block 1 was asked for");
    trial.ends_well();
}

#[test]
fn bytes_that_are_no_block_are_refused_and_their_sender_banned() {
    let garbage = blocks(|_, _| super::http::frame(&[0xc3; 1_000]));
    let damaged =
        blocks(|_, asked| asked.iter().flat_map(|block| super::http::frame(&with_damaged_end(block))).collect());
    let mut trial = Trial::against([garbage, damaged]);
    trial.refuses_a_block_by("decode");
    trial.is(&trial.peers[0].url(), "banned", "bytes after");
    trial.is(&trial.peers[1].url(), "banned", "is no signature");
    trial.ends_well();
}
