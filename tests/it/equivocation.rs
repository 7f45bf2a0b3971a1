//! Two sealed blocks of one height: kept, alarmed, and proven to anybody; and an authority that meets its own seal.

use crate::forge::{Forge, import, posted, sealed_again, with_header};
use crate::support::guest::Guest;
use crate::support::node::{Node, SOON, assert_same_blocks};
use crate::support::until;
use crate::support::wallet::{make_blocks, sign, transfer, transfers};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Bytes, U256};
use callboard::dev;
use serde_json::{Value, json};
use std::fs;

/// Waits for an alert that contains this.
#[track_caller]
fn is_alerted(node: &Node, text: &str) -> String {
    until(&format!("an alert says {text}"), SOON, || {
        let status = node.status();
        let alerts = status["alerts"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
        alerts.into_iter().find(|alert| alert.contains(text))
    })
}

/// A running authority with five blocks, and a stopped one that is a copy of it: the same keystore, the same chain. The
/// first knows the second from its next start on, the second nobody.
fn copied_authority() -> (Node, Node) {
    let mut original = Node::authority_with_keystore();
    original.start();
    make_blocks(&original, 0, 5);
    original.stop();
    let mut copy = Node::authority_with_keystore();
    fs::create_dir_all(copy.data("")).expect("data folder");
    fs::copy(original.database(), copy.database()).expect("copied");
    let keys = fs::read_dir(original.path("keystore")).expect("keystore").map(|entry| entry.expect("entry").path());
    fs::create_dir_all(copy.path("keystore")).expect("keystore");
    for file in keys.filter(|path| path.is_file()) {
        fs::copy(&file, copy.path("keystore").join(file.file_name().expect("a name"))).expect("copied");
    }
    copy.start();
    original.follow(&[&copy]).start();
    original.is_phase("following");
    (original, copy)
}

/// Blocks 6 and 7, sealed while the first one, which asks the second every second, was down.
fn two_blocks_that_only_the_copy_has(original: &mut Node, copy: &mut Node) -> [Bytes; 2] {
    original.stop();
    make_blocks(copy, 5, 2);
    let blocks = [6, 7].map(|height| copy.block(height));
    copy.stop();
    original.follow(&[]).start();
    original.is_phase("following");
    blocks
}

#[test]
fn a_proposing_authority_that_sees_its_own_unknown_block_at_a_peer_stops_takes_it_back_and_says_so() {
    let (original, copy) = copied_authority();
    make_blocks(&copy, 5, 1);
    let alert = is_alerted(&original, "carries this authority's seal");
    assert!(alert.contains(&format!("block 6 {}", copy.hash(6))), "{alert}");
    original.reaches(6);
    assert_same_blocks(&original, &copy);
    original.is_phase("following");
    // It goes on above, and no height has two seals.
    make_blocks(&original, 6, 1);
    assert_eq!(original.metric("callboard_equivocations"), 0);
    assert_eq!(original.routed("BroadcastBlock"), 1);
}

#[test]
fn a_proposing_authority_that_is_handed_its_own_unknown_block_stops_takes_it_back_and_says_so() {
    let (mut original, mut copy) = copied_authority();
    let blocks = two_blocks_that_only_the_copy_has(&mut original, &mut copy);
    let post = |raw: &Bytes| original.post("/rpc/importBlock", &json!({ "raw": raw }));
    // Its parent is not there: nothing is imported, and nothing is sealed in its place.
    let (status, answer) = post(&blocks[1]);
    assert_eq!(status, 409, "{answer}");
    original.is_phase("stalled");
    is_alerted(&original, "its head 5 is below 7");
    is_alerted(&original, "carries this authority's seal");
    original.send(&transfers(0, 5, 1));
    for block in &blocks {
        assert_eq!(post(block).1["imported"], true);
    }
    original.is_phase("following");
    make_blocks(&original, 7, 1);
    assert_eq!((original.height(), original.metric("callboard_equivocations")), (8, 0));
    assert!(original.routed("AlarmBlock") >= 1);
}

#[test]
fn an_authority_that_was_handed_its_own_unknown_block_seals_nothing_after_a_restart_either() {
    let (mut original, mut copy) = copied_authority();
    let blocks = two_blocks_that_only_the_copy_has(&mut original, &mut copy);
    let post = |node: &Node, raw: &Bytes| node.post("/rpc/importBlock", &json!({ "raw": raw }));
    assert_eq!(post(&original, &blocks[1]).0, 409);
    // Nobody has these blocks any more.
    original.stop().follow(&[]).start();
    original.is_phase("stalled");
    is_alerted(&original, "its head 5 is below 7");
    is_alerted(&original, "carries this authority's seal");
    original.send(&transfers(0, 5, 1));
    for block in &blocks {
        assert_eq!(post(&original, block).1["imported"], true);
    }
    original.is_phase("following");
    make_blocks(&original, 7, 1);
    assert_eq!((original.height(), original.metric("callboard_equivocations")), (8, 0));
}

#[test]
fn two_processes_that_seal_with_one_key_are_proven_to_have_done_so() {
    let (mut original, mut copy) = copied_authority();
    copy.stop();
    make_blocks(&original, 5, 1);
    original.stop();
    copy.start();
    // Another block 6.
    let other = TxLegacy { value: U256::from(2), ..transfer(5) };
    copy.receipt(copy.send(&[sign(&dev::key(0), other)])[0]);
    original.start();
    let alert = is_alerted(&original, "sealed two blocks of height 6");
    assert!(alert.contains(&copy.hash(6).to_string()) && alert.contains(&original.hash(6).to_string()), "{alert}");
    assert_eq!(original.metric("callboard_equivocations"), 1);
    assert!(original.alarm("equivocation"));
    original.is_phase("diverged");
}

#[test]
fn a_second_sealed_block_that_is_posted_is_kept_as_evidence_and_alarmed_by_a_follower() {
    let mut forge = Forge::new();
    let blocks = forge.extend_by(3);
    let mut follower = forge.follower();
    follower.start();
    blocks.iter().for_each(|block| import(&follower, block));
    let second = sealed_again(&with_header(&blocks[1], |header| header.timestamp += 1));
    let (status, answer) = follower.post("/rpc/importBlock", &posted(&second));
    assert_eq!(status, 422, "{answer}");
    is_alerted(&follower, &format!("height 2, {} and {}", blocks[1].hash(), second.hash()));
    assert_eq!(follower.metric("callboard_equivocations"), 1);
    // It is still known after a restart.
    follower.stop().start();
    is_alerted(&follower, "sealed two blocks of height 2");
}

#[test]
fn a_sealed_block_that_cannot_be_confirmed_stops_a_follower_whether_it_is_pushed_or_posted() {
    let mut forge = Forge::new();
    let blocks = forge.extend_by(2);
    let wrong = sealed_again(&with_header(&blocks[1], |header| header.gas_used += 1));
    for is_pushed in [true, false] {
        let mut follower = forge.follower();
        follower.start();
        import(&follower, &blocks[0]);
        if is_pushed {
            Guest::of(&follower, 7).push(&wrong);
        } else {
            assert_eq!(follower.post("/rpc/importBlock", &posted(&wrong)).0, 422);
        }
        follower.is_phase("stalled");
        is_alerted(&follower, "this node or the authority is wrong");
        // What it has is still served.
        assert_eq!(follower.block(1), *blocks[0].bytes());
    }
}
