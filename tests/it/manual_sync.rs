//! The seed's operators synchronised by hand: read the peer's head, get its blocks one by one, post each.

use crate::support::node::{Node, assert_same_blocks};
use crate::support::wallet::{address, make_blocks, transfers};
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
