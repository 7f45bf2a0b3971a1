//! The log: one block followed through all actors by its span, and how many lines blocks make.

use crate::forge::Forge;
use crate::support::guest::Guest;
use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::make_blocks;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// What a node has written into its log as JSON.
fn lines(node: &Node) -> Vec<Value> {
    let log = fs::read_to_string(node.path("log")).expect("a log");
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

/// The actors that said something of the block of this height, within its span and no other block's.
fn actors(node: &Node, height: u64) -> BTreeSet<String> {
    let hash = node.hash(height).to_string();
    let of_block = |line: &&Value| line["span"]["name"] == "block" && line["span"]["height"] == height;
    let all = lines(node);
    let found: Vec<_> = all.iter().filter(of_block).collect();
    for line in &found {
        let short = line["span"]["hash"].as_str().expect("a hash");
        assert!(short.len() == 10 && hash.starts_with(short), "{hash}: {line}");
        assert_eq!(line["spans"].as_array().map(Vec::len), Some(1), "{line}");
    }
    found.iter().filter_map(|line| line["actor"].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn goes_through(node: &Node, height: u64, expected: &[&str]) {
    let expected: BTreeSet<_> = expected.iter().map(|&name| name.to_owned()).collect();
    until(&format!("{expected:?} tell of block {height}"), SOON, || (actors(node, height) == expected).then_some(()));
}

#[test]
fn one_block_is_followed_through_all_actors_by_its_span() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 2);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("log.format", "json").set("log.filter", "info,callboard_actors=debug").start();
    follower.is_phase("following");
    make_blocks(&authority, 2, 2);
    follower.reaches(4);
    let all = ["SyncCoordinator", "Verifier", "ConfirmedState", "BlockStore", "Broadcaster"];
    for height in [3, 4] {
        goes_through(&follower, height, &all);
        sealed_here(&authority, height);
    }
}

/// The passport of an authority's own block has the times of what it did with it.
#[track_caller]
fn sealed_here(authority: &Node, height: u64) {
    let passport = until(&format!("the passport of block {height}"), SOON, || {
        let explained = authority.call("callboard_explainBlock", json!([height]));
        Some(explained["confirmed"]["passport"].clone()).filter(|passport| !passport.is_null())
    });
    assert_eq!((&passport["path"], &passport["receivedAt"]), (&json!("sealed"), &Value::Null), "{passport}");
    let [executed, durable] = ["executedAt", "durableAt"].map(|time| passport[time].as_f64().expect(time));
    assert!(executed <= durable, "{passport}");
}

#[test]
fn a_pushed_block_is_followed_through_all_actors_by_its_span() {
    let mut forge = Forge::new();
    let mut follower = forge.follower();
    follower.set("log.format", "json").set("log.filter", "info,callboard_actors=debug").start();
    follower.is_phase("following");
    Guest::of(&follower, 7).push(&forge.extend(&[]));
    follower.reaches(1);
    goes_through(&follower, 1, &["PeerIntake", "Verifier", "ConfirmedState", "BlockStore", "Broadcaster"]);
}

#[test]
fn each_block_is_a_line_while_following_and_none_while_catching_up() {
    const BLOCKS: u64 = 300;
    let mut authority = Node::authority_over(BLOCKS, 1);
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("log.format", "json").start().reaches(BLOCKS);
    follower.is_phase("following");
    let confirmed = |node: &Node| -> Vec<u64> {
        let all = lines(node);
        let confirmed = all.iter().filter(|line| line["message"] == "block confirmed");
        confirmed.map(|line| line["span"]["height"].as_u64().expect("a height")).collect()
    };
    let early = confirmed(&follower).len();
    assert!(early < 30, "{early} lines while catching up over {BLOCKS} blocks");
    let nonce =
        authority.call("eth_getTransactionCount", serde_json::json!([crate::support::wallet::address(1), "latest"]));
    make_blocks_of(&authority, crate::support::node::hex_number(&nonce));
    follower.reaches(BLOCKS + 2);
    until("both are in the log", SOON, || (confirmed(&follower)[early..] == [BLOCKS + 1, BLOCKS + 2]).then_some(()));
}

/// Two blocks of one transfer each from account 1.
fn make_blocks_of(authority: &Node, nonce: u64) {
    for transfer in crate::support::wallet::transfers(1, nonce, 2) {
        authority.receipt(authority.send(&[transfer])[0]);
    }
}
