//! A follower gets the genesis and every block of its authority, over real sockets.

use crate::support::node::{Node, SOON, assert_same_blocks, hex_number};
use crate::support::until;
use crate::support::wallet::{RECIPIENT, address, make_blocks, transfers};
use alloy_primitives::{Address, Bytes, U256};
use callboard_chain::Block;
use callboard_chain::genesis::SealedGenesis;
use serde_json::{Value, json};

#[test]
fn genesis_sync() {
    let mut authority = Node::authority();
    authority.start();
    let written = std::fs::read(authority.data("genesis.json")).expect("genesis.json");
    assert_eq!(authority.peer_get("genesis"), written, "the bytes that peers are served");
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start();
    let fetched = std::fs::read(follower.data("genesis.json")).expect("genesis.json");
    assert_eq!(fetched, written);
    assert_eq!(follower.peer_get("genesis"), written, "the bytes that it serves in turn");
    let genesis = SealedGenesis::from_json(&fetched).expect("a valid seal");
    assert_eq!(genesis.hash(), authority.hash(0));
    assert_eq!(genesis.hash(), follower.hash(0));
    let own: Value = serde_json::from_slice(&written).expect("JSON");
    assert_eq!(follower.call("callboard_genesis", json!([])), own);
}

#[test]
fn block_sync() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 8);
    let last = authority.height();
    assert!(last >= 8, "several blocks: {last}");
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(last);

    let genesis = SealedGenesis::from_json(&follower.peer_get("genesis")).expect("a valid seal");
    let mut parent = genesis.block().clone();
    for height in 1..=last {
        let block = Block::decode(follower.block(height)).expect("a block");
        block.seal().verify(block.hash(), genesis.config().authority).expect("the authority's seal");
        assert_eq!(block.height(), parent.height() + 1);
        assert_eq!(block.header().parent_hash, parent.hash());
        parent = block;
    }
    assert_same_blocks(&authority, &follower);
    follower.is_phase("following");
}

#[test]
fn state_sync() {
    let mut authority = Node::authority();
    authority.start();
    let owner = address(0);
    let genesis: Value = serde_json::from_slice(&authority.peer_get("genesis")).expect("JSON");
    let alloc = genesis["alloc"].as_object().expect("alloc");
    let is_owner = |key: &&String| key.parse::<Address>().is_ok_and(|key| key.to_string() == owner);
    let key = alloc.keys().find(is_owner).expect("the owner");
    let initial: U256 = serde_json::from_value(alloc[key]["balance"].clone()).expect("a balance");
    assert_eq!(authority.balance(&owner), initial);
    make_blocks(&authority, 0, 6);

    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(authority.height());
    let last = |node: &Node| node.call("eth_getBlockByNumber", json!(["latest", false]));
    let (ours, theirs) = (last(&follower), last(&authority));
    assert_eq!(ours["number"], theirs["number"]);
    assert_eq!(ours["parentHash"], theirs["parentHash"]);
    assert_eq!(ours["stateRoot"], theirs["stateRoot"]);
    assert_eq!(follower.balance(&owner), initial - U256::from(6));
    assert_eq!(follower.balance(RECIPIENT), U256::from(6));
}

#[test]
fn transfers_by_raw_transaction_reach_both_nodes() {
    let mut authority = Node::authority();
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start();
    let hashes = authority.send(&transfers(0, 0, 20));
    for hash in &hashes {
        let sealed = authority.receipt(*hash);
        assert_eq!(sealed["status"], "0x1");
        assert_eq!(follower.receipt(*hash), sealed);
    }
    assert_eq!(authority.balance(RECIPIENT), U256::from(20));
    assert_eq!(follower.balance(RECIPIENT), U256::from(20));
    assert_same_blocks(&authority, &follower);
}

#[test]
fn a_transaction_sent_to_a_follower_is_forwarded_and_each_node_keeps_to_its_routes() {
    let mut authority = Node::authority();
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    for transfer in transfers(1, 0, 10) {
        let hash = follower.send(&[transfer])[0];
        assert_eq!(follower.receipt(hash), authority.receipt(hash));
    }
    let blocks = authority.height();
    assert!(follower.routed("ForwardTransaction") >= 10);
    assert_eq!(authority.routed("BroadcastBlock"), blocks);
    assert_eq!(authority.routed("ImportBlock"), 0);
    assert_eq!(follower.routed("ImportBlock"), blocks);
    assert_eq!(follower.routed("BroadcastBlock"), 0);
}

#[test]
fn a_third_node_gets_byte_equal_blocks_from_a_follower() {
    let mut a = Node::authority();
    a.start();
    make_blocks(&a, 0, 5);
    let mut b = Node::follower("middle", &[&a]);
    b.start();
    let mut c = Node::follower("last", &[&b]);
    // It knows nobody but the follower.
    c.set("peers.discovery", false).start();
    c.reaches(5);
    c.is_phase("following");
    make_blocks(&a, 5, 5);
    c.reaches(a.height());
    assert_same_blocks(&a, &b);
    assert_same_blocks(&a, &c);
    let page = |node: &Node| node.get("/rpc/blocks-range?start=0&end=100").1;
    let (first, last) = (page(&a), page(&c));
    assert_eq!(first["count"], a.height() + 1);
    assert_eq!(first, last, "with transactions, seals and everything else");
    for block in last["blocks"].as_array().expect("blocks") {
        let raw: Bytes = serde_json::from_value(block["raw"].clone()).expect("bytes");
        let decoded = Block::decode(raw).expect("a block");
        assert_eq!(json!(decoded.hash()), block["hash"]);
        assert_eq!(decoded.transactions().len(), block["transactions"].as_array().expect("transactions").len());
    }
    let height = a.height();
    // A transaction sent to the last one reaches the authority through the middle.
    let hash = c.send(&transfers(2, 0, 1))[0];
    assert!(hex_number(&c.receipt(hash)["blockNumber"]) > height);
}

#[test]
fn pending_nonce_never_goes_backwards_while_blocks_are_made() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 10).start();
    let (sender, transfers) = (address(3), transfers(3, 0, 2_000));
    let nonce = |tag: &str| hex_number(&authority.call("eth_getTransactionCount", json!([sender, tag])));
    let mut sent = 0;
    while sent < 100 || authority.height() < 20 {
        let hash = authority.send(std::slice::from_ref(&transfers[sent]))[0];
        sent += 1;
        // Whatever blocks were made meanwhile: the next nonce is the one after what was sent.
        assert_eq!(nonce("pending"), sent as u64, "after {hash}");
    }
    until("all are confirmed", SOON, || (nonce("latest") == sent as u64).then_some(()));
    assert_eq!(nonce("pending"), sent as u64);
}

#[test]
fn a_copied_database_seeds_another_node_and_both_then_talk_to_each_other() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 5);
    let mut follower = Node::follower("follower", &[&authority]);
    authority.stop();
    std::fs::create_dir(follower.data("")).expect("data folder");
    std::fs::copy(authority.database(), follower.database()).expect("copied");

    follower.start();
    assert_eq!(follower.height(), 5, "it serves at once, its seed being down");
    authority.start();
    assert_eq!(authority.hash(5), follower.hash(5));
    make_blocks(&authority, 5, 3);
    follower.reaches(8);
    follower.is_phase("following");
    assert_same_blocks(&authority, &follower);
    assert_eq!(follower.routed("ImportBlock"), 3, "what was copied is not fetched again");
    let keys = [&authority, &follower].map(|node| std::fs::read(node.data("node.key")).expect("node.key"));
    assert_ne!(keys[0], keys[1]);
}
