//! Client commands against a node.

use crate::fake_node::FakeNode;
use crate::support::Place;
use alloy_consensus::{Transaction as _, Typed2718};
use alloy_primitives::{B256, Bytes, U256, address};
use callboard_chain::transaction::{decode_transaction, recover_sender};
use serde_json::{Value, json};

const FROM: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const TO: &str = "0x00000000000000000000000000000000000000aa";

fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// A node whose block at height h has the hash `branch`, but for height 0, which all have in common.
fn at_height(height: u64, branch: u8) -> FakeNode {
    FakeNode::start(move |method, params| match method {
        "eth_blockNumber" => json!(format!("{height:#x}")),
        "eth_getBlockByNumber" => {
            let asked = params[0].as_str().expect("a block");
            let asked = asked.strip_prefix("0x").map_or(height, |hex| u64::from_str_radix(hex, 16).expect("hex"));
            let hash = if asked == 0 { hash(0) } else { hash(branch) };
            json!({ "number": format!("{asked:#x}"), "hash": hash, "transactions": [] })
        }
        other => panic!("{other} is not asked for"),
    })
}

#[test]
fn height_of_one_node_is_the_bare_number() {
    let node = at_height(31, 1);
    let place = Place::new();
    assert_eq!(place.run(&["chain", "height", "--rpc", &node.url]).succeeded(), "31\n");
    assert_eq!(place.run_with(&["chain", "height"], &[("CALLBOARD_RPC_URL", &node.url)]).succeeded(), "31\n");
    assert_eq!(place.run_with(&["chain", "height", "--json"], &[("NODE_URL", &node.url)]).succeeded(), "31\n");
}

#[test]
fn heads_are_compared_by_hash_at_the_lowest_height() {
    let place = Place::new();
    let (ahead, behind, other) = (at_height(31, 1), at_height(30, 1), at_height(31, 2));
    let compare = |a: &FakeNode, b: &FakeNode| place.run(&["chain", "height", "--rpc", &a.url, "--rpc", &b.url]);
    let same = compare(&ahead, &behind).succeeded();
    let expected = format!("{}  30  {}  equal (1 behind)", behind.url, hash(1));
    assert_eq!(same.lines().nth(1), Some(expected.as_str()));
    let differ = compare(&ahead, &other);
    assert_eq!(differ.code, 1);
    assert!(differ.stdout.lines().all(|line| line.ends_with("differ")), "{}", differ.stdout);
}

#[test]
fn what_is_no_block_is_neither_height_zero_nor_equal() {
    let place = Place::new();
    for answer in [json!(null), json!({}), json!("404 page not found"), json!({ "number": "0x0", "hash": "none" })] {
        let node = || {
            let answer = answer.clone();
            FakeNode::start(move |_, _| answer.clone())
        };
        let (one, other) = (node(), node());
        let compared = place.run(&["chain", "height", "--rpc", &one.url, "--rpc", &other.url]);
        assert_eq!(compared.code, 1, "{answer}: {}", compared.stdout);
        assert!(!compared.stdout.contains("equal"), "{answer}: {}", compared.stdout);
    }
}

/// Takes what is sent; its base fee is 7 wei and its tip 1 wei.
fn wallet_node() -> FakeNode {
    FakeNode::start(|method, _| match method {
        "eth_chainId" => json!("0x539"),
        "eth_getBalance" => json!("0x0"),
        "eth_getTransactionCount" => json!("0x5"),
        "eth_estimateGas" => json!("0x5208"),
        "eth_maxPriorityFeePerGas" => json!("0x1"),
        "eth_getBlockByNumber" => json!({ "baseFeePerGas": "0x7" }),
        "eth_sendRawTransaction" => json!(hash(9)),
        "eth_getTransactionReceipt" => json!({ "status": "0x1", "blockNumber": "0x20" }),
        other => panic!("{other} is not asked for"),
    })
}

fn sent(node: &FakeNode) -> callboard_chain::Transaction {
    let calls = node.calls("eth_sendRawTransaction");
    let raw: Bytes = serde_json::from_value(calls.last().expect("sent")[0].clone()).expect("bytes");
    decode_transaction(&raw).expect("a transaction")
}

#[test]
fn sent_transaction_is_signed_by_its_sender_and_filled_in() {
    let node = wallet_node();
    let place = Place::new();
    let send = ["tx", "send", "--rpc", &node.url, "--from", FROM, "--to", TO];
    let printed = place.run(&[&send[..], &["--value", "0.5ether", "--data", "0x1234"]].concat()).succeeded();
    assert_eq!(printed.trim(), hash(9).to_string());
    let tx = sent(&node);
    assert_eq!(recover_sender(&tx).expect("sender"), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    assert_eq!((tx.ty(), tx.chain_id(), tx.nonce(), tx.gas_limit()), (2, Some(1337), 5, 21_000));
    assert_eq!((tx.max_fee_per_gas(), tx.max_priority_fee_per_gas()), (15, Some(1)));
    assert_eq!(tx.value(), U256::from(500_000_000_000_000_000u64));
    assert_eq!((tx.to().expect("to").to_string().to_lowercase(), tx.input().as_ref()), (TO.into(), &[0x12, 0x34][..]));

    let given = ["--legacy", "--gas-price", "3", "--nonce", "8", "--gas", "50000", "--wait", "--json"];
    let printed: Value = serde_json::from_str(&place.run(&[&send[..], &given].concat()).succeeded()).expect("JSON");
    assert_eq!(printed["receipt"]["blockNumber"], "0x20");
    let tx = sent(&node);
    assert_eq!((tx.ty(), tx.chain_id(), tx.nonce(), tx.gas_limit()), (0, Some(1337), 8, 50_000));
    assert_eq!(tx.gas_price(), Some(3));
}

#[test]
fn keystore_key_signs_with_its_password() {
    let node = wallet_node();
    let place = Place::with("[node]\nrole = \"follower\"");
    place.write("key", &"11".repeat(32));
    let variables = [("CALLBOARD_PASSWORD", "secret")];
    let imported = place.run_with(&["account", "import", "key"], &variables).succeeded();
    let from = &imported[..42];
    let send = |from: &str, password: &str| {
        let arguments = ["tx", "send", "--rpc", &node.url, "--from", from, "--to", TO];
        place.run_with(&arguments, &[("CALLBOARD_PASSWORD", password)])
    };
    send(from, "secret").succeeded();
    assert_eq!(recover_sender(&sent(&node)).expect("sender").to_string(), from);
    assert!(send(from, "secrets").refused(2).contains("the password is wrong"));
    // No development key where the chain is not a development chain.
    assert!(send(FROM, "secret").refused(2).contains("holds no key for"));
}

#[test]
fn unknown_blocks_and_transactions_are_said() {
    let node = FakeNode::start(|method, _| if method == "eth_blockNumber" { json!("0x5") } else { Value::Null });
    let place = Place::new();
    let refused = place.run(&["block", "get", "9", "--rpc", &node.url]).refused(1);
    assert!(refused.contains("no block 9") && refused.contains("height 5"), "{refused}");
    let refused = place.run(&["tx", "get", &hash(1).to_string(), "--rpc", &node.url]).refused(1);
    assert!(refused.contains("knows no transaction"), "{refused}");
}
