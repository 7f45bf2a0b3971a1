//! The seed's operators synchronised by hand: read the peer's head, get its blocks one by one, post each.

use crate::forge::{Forge, import, transfer};
use crate::support::node::{Node, SOON, assert_same_blocks, hex_number};
use crate::support::until;
use crate::support::wallet::{address, make_blocks, transfers};
use alloy_primitives::U256;
use serde_json::{Value, json};

/// An authority with blocks of transfers, and a follower of its chain that knows nobody.
fn two_nodes() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    let hashes = authority.send(&transfers(0, 3, 20));
    authority.receipt(*hashes.last().expect("sent"));
    let mut follower = Node::follower("follower", &[]);
    std::fs::copy(authority.data("genesis.json"), follower.path("genesis.json")).expect("copied");
    follower.set("genesis.file", "genesis.json").start();
    (authority, follower)
}

fn range(from: &Node, height: u64, more: &str) -> Vec<Value> {
    let (status, page) = from.get(&format!("/rpc/blocks-range?start={height}&end={height}{more}"));
    assert_eq!((status, &page["success"]), (200, &json!(true)), "{page}");
    page["blocks"].as_array().expect("blocks").clone()
}

#[test]
fn manual_sync_ends_with_equal_state() {
    let (authority, follower) = two_nodes();
    let head = authority.get("/rpc/head").1;
    for height in follower.height() + 1..=head["height"].as_u64().expect("a height") {
        for block in range(&authority, height, "") {
            let (status, answer) = follower.post("/rpc/importBlock", &block);
            assert_eq!((status, &answer["imported"]), (200, &json!(true)), "{answer}");
        }
    }
    assert_eq!(follower.get("/rpc/head").1, head);
    assert_same_blocks(&authority, &follower);
    for account in 0..2 {
        let account = format!("/rpc/accounts/{}", address(account));
        assert_eq!(follower.get(&account), authority.get(&account));
    }
    assert_eq!(follower.routed("BroadcastBlock"), 0);
    assert_eq!(authority.routed("ImportBlock"), 0);
}

#[test]
fn manual_sync_without_transactions_is_refused_and_imports_no_empty_block() {
    let (authority, follower) = two_nodes();
    let before = follower.get("/rpc/head");
    for block in range(&authority, 1, "&include_tx=false") {
        let (status, answer) = follower.post("/rpc/importBlock", &block);
        assert_eq!((status, &answer["error"]["check"]), (422, &json!("body_missing")), "{answer}");
        assert_eq!(answer["success"], false);
    }
    assert_eq!(follower.get("/rpc/head"), before);
}

/// Height and hash of the head, and the recipient's balance, by everything that answers questions.
fn answers(node: &Node) -> Vec<Value> {
    let block = node.call("eth_getBlockByNumber", json!(["latest", false]));
    let head = node.get("/rpc/head").1;
    let status = node.status();
    vec![
        json!([node.height(), block["hash"], node.balance(address(1))]),
        json!([hex_number(&block["number"]), head["hash"], node.balance(address(1))]),
        json!([head["height"], node.hash(node.height()), node.balance(address(1))]),
        json!([status["head"]["height"], status["head"]["hash"], node.balance(address(1))]),
    ]
}

#[test]
fn every_answer_is_of_the_new_head_after_each_import_and_after_a_resync() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let rich = node.balance(address(1));
    let blocks: Vec<_> = (0..4).map(|nonce| forge.extend(&[transfer(0, nonce, 1)])).collect();
    let take = |node: &Node| {
        for block in &blocks {
            import(node, block);
            let expected = json!([block.height(), block.hash(), rich + U256::from(block.height())]);
            let same = || answers(node).iter().all(|answer| *answer == expected);
            // Only the status is brought up to date behind the answer to the import.
            assert_eq!(answers(node)[..3], vec![expected.clone(); 3]);
            until("the status is of that block", SOON, || same().then_some(()));
        }
    };
    take(&node);
    // The seed's RPC was a process of its own, and went on answering what it had read before.
    node.stop();
    std::fs::remove_dir_all(node.data("")).expect("wiped");
    node.start();
    assert_eq!(node.height(), 0);
    take(&node);
}

#[test]
#[should_panic(expected = "block 2")]
fn the_comparison_of_two_nodes_notices_one_block_that_differs() {
    let forge = Forge::new();
    let nodes = [1, 2].map(|value| {
        // The same key seals two chains that differ in one value.
        let mut forge = forge.twin();
        let mut node = forge.follower();
        node.start();
        import(&node, &forge.extend(&[transfer(0, 0, 1)]));
        import(&node, &forge.extend(&[transfer(0, 1, value)]));
        node
    });
    assert_same_blocks(&nodes[0], &nodes[1]);
}
