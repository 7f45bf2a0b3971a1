//! Filters, and what the pool holds, of a real node.

use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::{self, make_blocks, sign, transfer};
use callboard::dev;
use serde_json::{Value, json};

/// What filters tell until something that is looked for is among it.
fn told(node: &Node, filter: &Value, wanted: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    until("a filter tells it", SOON, || {
        all.extend(node.call("eth_getFilterChanges", json!([filter])).as_array().expect("a list").clone());
        all.contains(wanted).then_some(())
    });
    all
}

#[test]
fn filters_tell_of_what_a_node_does_and_are_lost_by_a_rollback() {
    let mut node = Node::authority();
    node.start();
    let blocks = node.call("eth_newBlockFilter", json!([]));
    let pending = node.call("eth_newPendingTransactionFilter", json!([]));
    let hash = node.send(&[sign(&dev::key(0), transfer(0))])[0];
    let block = node.receipt(hash)["blockHash"].clone();
    assert_eq!(told(&node, &pending, &json!(hash)), [json!(hash)]);
    assert!(told(&node, &blocks, &block).iter().all(|hash| hash.is_string()));
    make_blocks(&node, 1, 1);
    node.stop();
    node.run(&["chain", "rollback", "--to", "0", "--abandon-after", "0"]).succeeded();
    node.arguments(&["--abandon-after", "0"]).start();
    let expected = json!({ "code": -32000, "message": "filter not found" });
    for filter in [blocks, pending] {
        assert_eq!(node.try_call("eth_getFilterChanges", json!([filter])), Err(expected.clone()));
    }
    let blocks = node.call("eth_newBlockFilter", json!([]));
    let hash = node.send(&[sign(&dev::key(0), transfer(0))])[0];
    let block = node.receipt(hash)["blockHash"].clone();
    told(&node, &blocks, &block);
}

#[test]
fn what_the_pool_holds_is_told_of_each_sender() {
    let mut node = Node::authority();
    node.start();
    let hash = node.send(&[sign(&dev::key(0), transfer(3))])[0];
    let sender = dev::key(0).address().to_checksum(None);
    let content = node.call("txpool_content", json!([]));
    assert_eq!(content["pending"], json!({}));
    assert_eq!(content["queued"][&sender]["3"]["hash"], json!(hash));
    let from = node.call("txpool_contentFrom", json!([wallet::address(0)]));
    assert_eq!(from["queued"], content["queued"][&sender]);
    let said = node.call("txpool_inspect", json!([]))["queued"][&sender]["3"].clone();
    assert!(said.as_str().expect("a sentence").contains(": 1 wei + 21000 gas × 0 wei"), "{said}");
}
