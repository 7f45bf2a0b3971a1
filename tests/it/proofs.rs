//! Signing without sending, proofs that are kept and checked, histories, and the table of peers.

use crate::fake_node::FakeNode;
use crate::support::Place;
use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::{address, make_blocks};
use serde_json::{Value, json};

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn a_transaction_is_signed_with_and_without_a_node_and_not_sent() {
    let mut node = Node::authority();
    node.start();
    let (from, to, rpc) = (address(0), address(1), node.rpc_url());
    let sign = |more: &[&str]| {
        let arguments = ["tx", "sign", "--dev", "--json", "--from", &from, "--to", &to, "--value", "5"];
        let signed = Place::new().run(&[&arguments[..], more].concat()).succeeded();
        serde_json::from_str::<Value>(&signed).expect("JSON")
    };
    let online = sign(&["--rpc", &rpc]);
    assert_eq!(node.call("eth_getTransactionByHash", json!([online["hash"]])), Value::Null, "it was not sent");
    let offline = ["--chain-id", "1337", "--nonce", "0", "--gas", "21000", "--gas-price", "0"];
    let offline = [&offline[..], &["--priority-gas-price", "0", "--rpc", NOBODY]].concat();
    assert_eq!(sign(&offline), online);
    let legacy =
        ["--chain-id", "1337", "--nonce", "1", "--gas", "21000", "--gas-price", "0", "--legacy", "--rpc", NOBODY];
    for signed in [online, sign(&legacy)] {
        let (status, answer) = node.post("/rpc/transactions", &json!({ "raw": signed["raw"] }));
        assert_eq!((status, &answer["hash"]), (200, &signed["hash"]), "{answer}");
        let hash = serde_json::from_value(signed["hash"].clone()).expect("a hash");
        assert_eq!(node.receipt(hash)["status"], "0x1");
    }
}

#[test]
fn a_proof_that_is_kept_is_checked_offline_and_by_a_node_and_a_changed_one_is_refused() {
    let mut node = Node::authority();
    node.start();
    make_blocks(&node, 0, 2);
    let rpc = node.rpc_url();
    let hash = node.get("/rpc/blocks-range?start=1&end=1").1["blocks"][0]["transactions"][0]["hash"].clone();
    let hash = hash.as_str().expect("a hash");
    let proof = node.run(&["tx", "prove", hash, "--rpc", &rpc]).succeeded();
    let (own, away) = (node.path("proof.json"), Place::new());
    std::fs::write(&own, &proof).expect("written");
    away.write("proof.json", &proof);
    std::fs::copy(node.data("genesis.json"), away.path("genesis.json")).expect("copied");
    let verdict = |place: &Place, more: &[&str]| place.run(&[&["tx", "verify", "proof.json", "--json"], more].concat());
    let authority = node.call("eth_coinbase", json!([]));
    let authority = authority.as_str().expect("an address");
    for more in [&["--genesis", "genesis.json"][..], &["--authority", authority], &["--rpc", &rpc]] {
        let found: Value = serde_json::from_str(&verdict(&away, more).succeeded()).expect("JSON");
        assert_eq!(
            (&found["valid"], &found["transactionHash"], &found["height"]),
            (&json!(true), &json!(hash), &json!(1))
        );
        assert_eq!(found.get("inThisChain"), more.contains(&"--rpc").then_some(&json!(true)));
    }
    // The folder of a node has a genesis: nobody is asked.
    node.stop();
    let shown = node.run(&["tx", "verify", "proof.json"]).succeeded();
    assert!(shown.contains("the seal and the trie nodes, offline"), "{shown}");

    let stranger = verdict(&away, &["--authority", &address(0)]).refused(1);
    assert!(stranger.contains("proves nothing"), "{stranger}");
    let mut changed: Value = serde_json::from_str(&proof).expect("JSON");
    changed["index"] = json!(1);
    away.write("proof.json", &changed.to_string());
    assert_eq!(verdict(&away, &["--genesis", "genesis.json"]).code, 1);
    // One key may seal several chains.
    away.write("proof.json", &proof);
    let mut other = Node::authority();
    other.set("genesis.chain_id", 77).start();
    std::fs::copy(other.data("genesis.json"), away.path("genesis.json")).expect("copied");
    let foreign = verdict(&away, &["--genesis", "genesis.json"]).refused(1);
    assert!(foreign.contains("another chain"), "{foreign}");
    assert_eq!(verdict(&away, &["--genesis", "proof.json"]).code, 2);
}

#[test]
fn an_accounts_history_is_shown_block_by_block() {
    let mut node = Node::authority();
    node.start();
    let rpc = node.rpc_url();
    make_blocks(&node, 0, 2);
    let account = address(0);
    let history = |more: &[&str]| node.run(&[&["account", "history", &account, "--rpc", &rpc], more].concat());
    let whole = history(&[]).succeeded();
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.len(), 4, "{whole}");
    assert!(lines[3].trim_start().starts_with("0  ") && lines[3].contains("10000 ether"), "{whole}");
    let first = history(&["--limit", "2"]).succeeded();
    assert!(first.ends_with("more: --before 1\n"), "{first}");
    assert!(history(&["--before", "1"]).succeeded().contains("10000 ether"));
}

#[test]
fn a_history_that_begins_where_old_states_were_pruned_says_so() {
    let states = json!([{ "height": 7, "exists": false, "balance": "0", "nonce": 0, "codeHash": null }]);
    let answer = json!({ "states": states, "count": 1, "next": null, "prunedBelow": 7 });
    let node = FakeNode::start(move |_, _| answer.clone());
    let shown = Place::new().run(&["account", "history", &address(0), "--rpc", &node.url]).succeeded();
    assert!(
        shown.contains("no account") && shown.ends_with("states of blocks below 7 were pruned on this node\n"),
        "{shown}"
    );
    assert_eq!(node.calls("callboard_getAccountHistory")[0][1], json!({ "limit": 20, "before": null }));
}

#[test]
fn peers_are_shown_as_a_table() {
    let mut authority = Node::authority();
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    let url = authority.peer_url();
    until("the authority is in the table", SOON, || {
        let table = follower.run(&["peers", "--rpc", &follower.rpc_url()]).succeeded();
        let row = table.lines().nth(1)?.to_owned();
        (row.contains(&url) && row.contains("authority") && row.contains("connected")).then_some(())
    });
    let json: Value =
        serde_json::from_str(&follower.run(&["peers", "--json", "--rpc", &follower.rpc_url()]).succeeded())
            .expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(1));
}
