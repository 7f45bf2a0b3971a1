//! `store.verify_on_start = "full"`: what the node says meanwhile, and that it can be stopped.

use crate::support::node::{Node, SOON};
use crate::support::until;
use serde_json::{Value, json};

/// Blocks of the chain: applying them again takes a while.
const BLOCKS: u64 = 3_000;

#[test]
fn a_node_that_verifies_its_chain_at_the_start_says_how_far_it_is_and_stops_when_told() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 1).set("authority.empty_blocks", true).start();
    until("a long chain", 3 * SOON, || (authority.height() >= BLOCKS).then_some(()));
    authority.stop();
    authority.set("authority.empty_blocks", false).set("store.verify_on_start", "full");

    authority.spawn().rpc_answers();
    let seen = until("the first blocks", SOON, || {
        let status = authority.status();
        let left = status["behindBlocks"].as_u64().filter(|left| (1..BLOCKS).contains(left));
        (status["phase"] == "replaying" && left.is_some()).then_some(status)
    });
    assert!(seen["head"]["height"].as_u64() >= Some(BLOCKS), "{seen}");
    let error = authority.try_call("eth_blockNumber", json!([])).expect_err("not before it is verified");
    let message = error["message"].as_str().expect("a message");
    assert!(message.starts_with("the stored chain is being verified: block "), "{message}");
    let (code, reason) = authority.get("/health/ready");
    assert!(code == 503 && reason.to_string().contains("being verified again"), "{reason}");
    authority.stop();
    assert!(!authority.data("verify-on-start.redb").exists(), "its file is put away");
    assert!(!authority.data("addresses.json").exists(), "it had not begun to work");

    authority.start_within(3 * SOON);
    assert_ne!(authority.status()["phase"], Value::from("replaying"));
}
