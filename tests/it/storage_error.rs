//! A disk that takes no more, a node that is killed: what was acknowledged is there, and nothing is half there.

use crate::forge::{Forge, import, posted, sign, unsigned};
use crate::support::node::Node;
use alloy_consensus::TxLegacy;
use alloy_primitives::Address;
use callboard::dev;
use callboard_chain::Block;

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
    let status = node.dies();
    assert_eq!(status.code(), Some(1), "{}", node.log());
    let log = node.log();
    let sentence = log.lines().last().expect("last words");
    assert!(sentence.starts_with("callboard: ") && sentence.contains("the block store cannot write"), "{sentence}");

    node.limit_files(None);
    assert_whole(&mut node, &taken);
    import(&node, &refused);
}
