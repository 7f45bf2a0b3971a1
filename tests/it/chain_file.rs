//! `chain export` and `chain import`: the same bytes on every way, and no block that was not checked.

use crate::forge::{Forge, sign};
use crate::support::node::{Node, assert_same_blocks};
use crate::support::wallet::{make_blocks, transfers};
use alloy_consensus::TxEip1559;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Address;
use callboard::dev;
use std::fs;

/// The bytes that a node exports.
#[track_caller]
fn exported(node: &Node, name: &str, more: &[&str]) -> Vec<u8> {
    let arguments = [&["chain", "export", name], more].concat();
    node.run(&arguments).succeeded();
    fs::read(node.path(name)).expect("a file")
}

/// A follower of the authority's chain that knows nobody.
fn follower_of(authority: &Node) -> Node {
    let mut follower = Node::follower("follower", &[]);
    fs::copy(authority.data("genesis.json"), follower.path("genesis.json")).expect("copied");
    follower.set("genesis.file", "genesis.json");
    follower
}

/// Imports a file of these bytes.
fn import(node: &Node, bytes: &[u8]) -> crate::support::Finished {
    fs::write(node.path("blocks"), bytes).expect("written");
    node.run(&["chain", "import", "blocks"])
}

/// Where the frame of a block begins in a file.
fn frame_of(bytes: &[u8], height: u64) -> usize {
    (0..height).fold(66, |at, _| {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        at + 4 + length as usize
    })
}

#[test]
fn exported_blocks_are_byte_equal_after_two_imports_offline_and_over_rpc() {
    let mut a = Node::authority();
    a.start();
    make_blocks(&a, 0, 5);
    let hashes = a.send(&transfers(0, 5, 50));
    a.receipt(*hashes.last().expect("sent"));
    let typed = TxEip1559 { chain_id: 1337, gas_limit: 21_000, to: Address::ZERO.into(), ..Default::default() };
    a.receipt(a.send(&[sign(typed, &dev::key(1)).encoded_2718().into()])[0]);
    // Of a running node, found by its data folder.
    let from_a = exported(&a, "a", &[]);

    // Into an empty data folder.
    let mut b = follower_of(&a);
    import(&b, &from_a).succeeded();
    let from_b = exported(&b, "b", &[]);
    assert_eq!(from_a, from_b);
    b.start();
    assert_same_blocks(&a, &b);

    // Into a running node.
    let mut c = follower_of(&a);
    c.start();
    let answer = import(&c, &from_b).succeeded();
    assert!(answer.contains(&format!("imported       {}", a.height())), "{answer}");
    assert_eq!(from_a, exported(&c, "c", &["--rpc", &c.rpc_url()]));
    assert_same_blocks(&a, &c);
    let again = import(&c, &from_b).succeeded();
    assert!(again.contains("imported       0"), "{again}");

    // A part, and a name that is taken.
    let part = exported(&c, "part", &["--from", "2", "--to", "3"]);
    assert_eq!(part[66..], from_a[frame_of(&from_a, 2)..frame_of(&from_a, 4)]);
    let taken = c.run(&["chain", "export", "part"]).refused(1);
    assert!(taken.contains("exists already"), "{taken}");
}

#[test]
fn a_torn_or_altered_file_is_refused_at_its_block_and_what_came_before_is_kept() {
    let mut forge = Forge::new();
    forge.extend_by(6);
    let mut whole = forge.follower();
    whole.start();
    forge.blocks().iter().for_each(|block| crate::forge::import(&whole, block));
    let file = exported(&whole, "whole", &[]);
    whole.stop();

    let torn = &file[..file.len() - 10];
    let mut altered = file.clone();
    // Inside of the last transaction of block 4.
    altered[frame_of(&file, 5) - 100] ^= 1;
    let mut without_five = file[..frame_of(&file, 5)].to_vec();
    without_five.extend_from_slice(&file[frame_of(&file, 6)..]);

    for (bytes, at) in [(torn, 6), (&altered, 4), (&without_five, 5)] {
        let mut stopped = forge.follower();
        let sentence = import(&stopped, bytes).refused(1);
        assert!(sentence.contains(&format!("block {at}")), "{sentence}");
        assert!(sentence.contains(&format!("the chain ends with block {}", at - 1)), "{sentence}");
        stopped.start();
        assert_eq!(stopped.height(), at - 1);

        let mut running = forge.follower();
        running.start();
        let sentence = import(&running, bytes).refused(1);
        assert!(sentence.contains(&format!("block {at}")), "{sentence}");
        assert_eq!(running.height(), at - 1);
    }
}

#[test]
fn a_file_of_another_chain_or_with_a_gap_before_it_imports_nothing() {
    let mut forge = Forge::new();
    let first = forge.extend_by(3);
    let mut node = forge.follower();
    node.start();
    first.iter().for_each(|block| crate::forge::import(&node, block));
    let (file, part) = (exported(&node, "all", &[]), exported(&node, "part", &["--from", "2"]));

    let mut other = Forge::with_name("another").follower();
    other.start();
    let sentence = import(&other, &file).refused(1);
    assert!(sentence.contains("block 0 differs"), "{sentence}");
    let mut empty = forge.follower();
    empty.start();
    let sentence = import(&empty, &part).refused(1);
    assert!(sentence.contains("begins with block 2, and the next block of this node is 1"), "{sentence}");
    assert_eq!((other.height(), empty.height()), (0, 0));
}

#[test]
fn a_conflicting_block_in_a_file_leaves_its_record_and_the_proof_on_a_stopped_node_too() {
    let mut forge = Forge::new();
    let mut other = forge.twin();
    forge.extend_by(3);
    let block = other.extend(&[crate::forge::transfer(0, 0, 7)]);
    let (mut ours, mut theirs) = (forge.follower(), other.follower());
    ours.start();
    forge.blocks().iter().for_each(|block| crate::forge::import(&ours, block));
    theirs.start();
    crate::forge::import(&theirs, &block);
    let file = exported(&theirs, "theirs", &[]);
    ours.stop();
    let sentence = import(&ours, &file).refused(1);
    assert!(sentence.contains("block 1"), "{sentence}");

    ours.start();
    let refused = ours.call("callboard_rejections", serde_json::json!([]))[0].clone();
    assert_eq!(
        (&refused["check"], &refused["path"], &refused["blame"]),
        (&"hash".into(), &"file".into(), &"nobody".into())
    );
    assert_eq!(refused["hash"], serde_json::json!(block.hash()));
    assert_eq!(refused["actual"], serde_json::json!(block.hash()));
    assert_eq!(refused["expected"], serde_json::json!(forge.header(1).hash_slow()));
    ours.stop();
    ours.run(&["doctor", "--evidence", "proof"]).succeeded();
    let proven = ours.run(&["doctor", "--check", "proof"]).succeeded();
    let hashes = [forge.header(1).hash_slow().to_string(), block.hash().to_string()];
    assert!(hashes.iter().all(|hash| proven.contains(hash)), "{proven}");
}
