//! Bounds of the RPC that only a whole process has: old state that it forgets, and open files.

use crate::forge::{Forge, import};
use crate::support::node::{Node, SOON};
use crate::support::until;
use serde_json::{Value, json};

/// States are forgotten in steps of this many blocks.
const STEP: u64 = 256;

#[test]
fn a_node_that_keeps_few_old_states_says_which_it_has_forgotten() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.set("store.history_blocks", 3).start();
    forge.extend_by(STEP + 4).iter().for_each(|block| import(&node, block));
    let account = "0x00000000000000000000000000000000000000aa";
    let ask = |block: Value| node.try_call("eth_getBalance", json!([account, block]));
    let error = until("states to be forgotten", SOON, || ask(json!("0x1")).err());
    let message = error["message"].as_str().expect("a message");
    assert!(message.starts_with("the state of block 1 was pruned: the oldest one kept is "), "{message}");
    let ahead = ask(json!("0xffff")).expect_err("there is none");
    let expected = format!("unknown block: 65535 is ahead of the head {}", STEP + 4);
    assert_eq!((&ahead["code"], &ahead["message"]), (&json!(-32000), &json!(expected)));
    let unknown = ask(json!({ "blockHash": format!("0x{}", "11".repeat(32)) })).expect_err("there is none");
    assert!(unknown["message"].as_str().expect("a message").starts_with("unknown block: 0x1111"), "{unknown}");
    assert_eq!(ask(json!("latest")), Ok(json!("0x0")));
}

#[test]
fn connections_beyond_the_files_a_process_may_open_are_refused_at_the_start() {
    let mut node = Node::authority();
    node.set("rpc.max_connections", 5_000).limit_descriptors(2_000).spawn();
    assert_eq!(node.dies().code(), Some(2));
    assert!(node.has_logged("rpc.max_connections = 5000"), "{}", node.log());
    assert!(node.has_logged("this process may have 2000"), "{}", node.log());
    node.set("rpc.max_connections", 500).start();
}
