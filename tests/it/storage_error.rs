//! A disk that takes no more, a node that is killed: what was acknowledged is there, and nothing is half there.

use crate::check_chain::{BLOCKS, damage};
use crate::forge::{Forge, import, posted, sealed_again, sign, unsigned, with_header};
use crate::support::node::{Node, SOON};
use crate::support::until;
use alloy_consensus::TxLegacy;
use alloy_primitives::Address;
use callboard::dev;
use callboard_chain::Block;
use serde_json::json;

/// A block with this many transactions that nearly fill a transaction each with data.
fn long_block(forge: &mut Forge, nonce: u64, transactions: u64) -> Block {
    let long = |nonce| {
        let data = vec![1; 100_000].into();
        let transaction = TxLegacy { input: data, gas_limit: 5_000_000, ..unsigned(nonce, Address::ZERO, 1) };
        sign(transaction, &dev::key(0))
    };
    let transactions: Vec<_> = (nonce..nonce + transactions).map(long).collect();
    forge.extend(&transactions)
}

/// The node's chain is whole: it starts with a check of all of it, and has these blocks.
#[track_caller]
fn assert_whole(node: &mut Node, blocks: &[Block]) {
    node.set("store.verify_on_start", "full").start();
    assert_eq!(node.height(), blocks.len() as u64);
    for block in blocks {
        assert_eq!(node.block(block.height()), *block.bytes());
    }
    let newest = blocks.last().expect("a block");
    let (_, head) = node.get("/rpc/head");
    assert_eq!(head["state_root"], newest.header().state_root.to_string());
}

/// What a node says that stops of its own accord.
#[track_caller]
fn last_words(node: &mut Node) -> String {
    let status = node.dies();
    let log = node.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let sentence = log.lines().last().expect("last words");
    assert!(sentence.starts_with("callboard: "), "{sentence}");
    sentence.to_owned()
}

#[test]
fn a_block_that_was_acknowledged_survives_a_kill_in_the_next_instant() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    let mut blocks = Vec::new();
    for height in 0..5 {
        // The longer the block, the longer the disk takes for it.
        let block = long_block(&mut forge, 6 * height, 6);
        node.start();
        import(&node, &block);
        node.kill();
        blocks.push(block);
    }
    assert_whole(&mut node, &blocks);
}

#[test]
fn a_storage_error_stops_the_node_with_a_sentence_and_loses_nothing_that_was_acknowledged() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let mut taken = vec![forge.extend(&[sign(unsigned(0, Address::ZERO, 1), &dev::key(0))])];
    import(&node, &taken[0]);
    node.stop();
    let size = std::fs::metadata(node.database()).expect("a database").len();
    node.limit_files(Some(size.div_ceil(1024))).start();
    // The file takes a little more before it has to grow.
    let refused = loop {
        assert!(taken.len() < 60, "the file limit has no effect");
        let block = long_block(&mut forge, 1 + 6 * (taken.len() as u64 - 1), 6);
        let (status, answer) = node.post("/rpc/importBlock", &posted(&block));
        if status != 200 {
            assert_eq!(status, 503, "{answer}");
            break block;
        }
        taken.push(block);
    };
    let sentence = last_words(&mut node);
    assert!(sentence.contains("chain.redb cannot be used: File too large"), "{sentence}");

    node.limit_files(None);
    assert_whole(&mut node, &taken);
    import(&node, &refused);
}

/// A stranger's bad block is written to the node's own database. Where that cannot be written, nothing of what the node
/// is to remember can: also no proof, and no block of its own that an authority has met.
#[test]
fn a_node_that_cannot_write_what_it_has_to_remember_stops_with_a_sentence() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    let block = long_block(&mut forge, 0, 6);
    let unsealed = |number: u8| with_header(&block, |header| header.timestamp += u64::from(number));
    let refuse = |node: &Node, number: u8| node.post("/rpc/importBlock", &posted(&unsealed(number)));
    let size = |name: &str, node: &Node| std::fs::metadata(node.data(name)).expect("a database").len();
    node.start();
    let mut number = 0;
    // Only this database is at its limit then.
    while size("node.redb", &node) < size("chain.redb", &node) + (4 << 20) {
        number += 1;
        assert_eq!(refuse(&node, number).0, 422);
        until("it is recorded", SOON, || {
            (node.call("callboard_rejections", json!([{ "limit": 100 }])).as_array()?.len() == usize::from(number))
                .then_some(())
        });
    }
    node.stop();
    let limit = size("node.redb", &node).div_ceil(1_024);
    node.limit_files(Some(limit)).start();
    loop {
        number = number.checked_add(1).expect("the file limit has no effect");
        if node.try_post("/rpc/importBlock", &posted(&unsealed(number))).is_none() {
            break;
        }
    }
    let sentence = last_words(&mut node);
    assert!(sentence.contains("node.redb cannot be used: File too large"), "{sentence}");
    node.limit_files(None).start();
    import(&node, &block);
}

/// The authority's seal on another block than ours is held against ours: where ours cannot be read, nothing that the node
/// says of seals could be relied on.
#[test]
fn a_stored_block_that_makes_no_sense_stops_the_node_when_a_seal_is_held_against_it() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let blocks = forge.extend_by(2);
    blocks.iter().for_each(|block| import(&node, block));
    node.stop();
    damage(&node.database(), |write| {
        write.open_table(BLOCKS).expect("table").insert(1, b"no block".as_slice()).expect("written");
    });
    node.start();
    let other = sealed_again(&with_header(&blocks[0], |header| header.timestamp += 1));
    let answered = node.try_post("/rpc/importBlock", &posted(&other));
    assert!(answered.is_none_or(|(status, answer)| status != 200 && answer["success"] == json!(false)));
    let sentence = last_words(&mut node);
    assert!(sentence.contains("chain.redb cannot be used: the database is damaged: table blocks"), "{sentence}");
}
