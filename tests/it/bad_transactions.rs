//! Transactions that are wrong, sent to a real authority: each is refused with the code and text that clients match,
//! costs nothing, and the next good one is confirmed.

use crate::forge::{CHAIN_ID, sign, unsigned};
use crate::support::node::Node;
use crate::support::wallet::RECIPIENT;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use callboard::dev;
use callboard_chain::{SecretKey, Transaction};
use serde_json::{Value, json};

const REFUSED: i64 = -32_000;
const INVALID_PARAMS: i64 = -32_602;
const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

fn raw(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

fn by(key: &SecretKey, transaction: TxLegacy) -> Bytes {
    raw(&sign(transaction, key))
}

/// Account 0 has sent one transfer; its next nonce is 1.
fn legacy() -> TxLegacy {
    unsigned(1, RECIPIENT, 1)
}

fn dynamic() -> TxEip1559 {
    let to = TxKind::Call(RECIPIENT);
    TxEip1559 { chain_id: CHAIN_ID, nonce: 1, gas_limit: 21_000, to, ..TxEip1559::default() }
}

/// A legacy transaction with a signature of our choice.
fn with_signature(change: impl FnOnce(Signature) -> Signature) -> Bytes {
    let bytes = dev::key(0).sign(legacy().signature_hash());
    let signature = Signature::from_raw_array(&bytes).expect("a signature");
    raw(&legacy().into_signed(change(signature)).into())
}

/// Everything that is wrong with a transaction by itself or for account 0: its name, code and the beginning of the
/// text.
fn wrong() -> Vec<(&'static str, Bytes, i64, &'static str)> {
    let key = dev::key(0);
    let create = TxLegacy { to: TxKind::Create, gas_limit: 16_000_000, ..legacy() };
    let initcode = TxLegacy { input: vec![0; 49_153].into(), ..create.clone() };
    let order = U256::from_be_bytes(callboard_chain::recovery::ORDER);
    let trailing = |bytes: Bytes, more: &[u8]| Bytes::from([&bytes[..], more].concat());
    let good = by(&key, legacy());
    let blobs = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_limit: 21_000,
        to: RECIPIENT,
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        max_fee_per_blob_gas: 1,
        ..TxEip4844::default()
    };
    let delegating = TxEip7702 { chain_id: CHAIN_ID, nonce: 1, gas_limit: 100_000, ..TxEip7702::default() };
    // With its other fields it has a few bytes more than a transaction may have.
    let oversize = TxLegacy { input: vec![0; MAX_TRANSACTION_BYTES].into(), gas_limit: 16_000_000, ..legacy() };
    let chain_id = "invalid chain id for signer";
    let funds = "insufficient funds for gas * price + value";
    vec![
        ("legacy of another chain", by(&key, TxLegacy { chain_id: Some(1), ..legacy() }), REFUSED, chain_id),
        ("type 2 of another chain", raw(&sign(TxEip1559 { chain_id: 1, ..dynamic() }, &key)), REFUSED, chain_id),
        (
            "no chain id",
            by(&key, TxLegacy { chain_id: None, ..legacy() }),
            REFUSED,
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
        ("type 3", raw(&sign(blobs, &key)), REFUSED, "transaction type not supported"),
        ("a type nobody knows", Bytes::from_static(&[5, 0xc0]), REFUSED, "transaction type not supported"),
        ("r of zero", with_signature(|s| Signature::new(U256::ZERO, s.s(), s.v())), REFUSED, "invalid sender"),
        ("s of zero", with_signature(|s| Signature::new(s.r(), U256::ZERO, s.v())), REFUSED, "invalid sender"),
        ("r above the order", with_signature(|s| Signature::new(U256::MAX, s.s(), s.v())), REFUSED, "invalid sender"),
        ("high s", with_signature(|s| Signature::new(s.r(), order - s.s(), !s.v())), REFUSED, "invalid sender"),
        ("used nonce", by(&key, unsigned(0, RECIPIENT, 2)), REFUSED, "nonce too low: next nonce 1, tx nonce 0"),
        ("nonce far ahead", by(&key, unsigned(100_000, RECIPIENT, 2)), REFUSED, "nonce too high"),
        ("the last nonce", by(&key, unsigned(u64::MAX, RECIPIENT, 2)), REFUSED, "nonce"),
        ("value above the balance", by(&key, TxLegacy { value: dev::balance(), ..legacy() }), REFUSED, funds),
        (
            "fee above the balance",
            by(&key, TxLegacy { gas_price: 1, value: dev::balance() - U256::from(10_000), ..legacy() }),
            REFUSED,
            funds,
        ),
        ("a cost beyond 256 bits", by(&key, TxLegacy { gas_price: 1, value: U256::MAX, ..legacy() }), REFUSED, funds),
        ("too little gas", by(&key, TxLegacy { gas_limit: 20_999, ..legacy() }), REFUSED, "intrinsic gas too low"),
        (
            "too little gas for its data",
            by(&key, TxLegacy { input: vec![1; 100].into(), gas_limit: 24_999, ..legacy() }),
            REFUSED,
            "intrinsic gas too low",
        ),
        (
            "more gas than EIP-7825 allows",
            by(&key, TxLegacy { gas_limit: 16_777_217, ..legacy() }),
            REFUSED,
            "transaction gas limit too high",
        ),
        ("initcode", by(&key, initcode), REFUSED, "max initcode size exceeded"),
        (
            "tip above the fee",
            raw(&sign(TxEip1559 { max_priority_fee_per_gas: 1, ..dynamic() }, &key)),
            REFUSED,
            "max priority fee per gas higher than max fee per gas",
        ),
        ("empty EIP-7702 list", raw(&sign(delegating, &key)), REFUSED, "EIP-7702 transaction with empty auth list"),
        ("bytes after a legacy one", trailing(good.clone(), &[0xbe, 0xef]), INVALID_PARAMS, TRAILING_2),
        ("bytes after a type 2", trailing(raw(&sign(dynamic(), &key)), &[0]), INVALID_PARAMS, TRAILING_1),
        ("cut short", Bytes::copy_from_slice(&good[..good.len() - 1]), INVALID_PARAMS, "invalid transaction"),
        ("nothing", Bytes::new(), INVALID_PARAMS, "invalid transaction"),
        ("over 128 KiB", by(&key, oversize), INVALID_PARAMS, "invalid transaction: transaction too large"),
    ]
}

const TRAILING_1: &str = "invalid transaction: 1 bytes after the transaction";
const TRAILING_2: &str = "invalid transaction: 2 bytes after the transaction";

/// Code and text of a refusal.
#[track_caller]
fn refusal(node: &Node, raw: &Bytes) -> (i64, String) {
    let error = node.try_call("eth_sendRawTransaction", json!([raw])).expect_err("must be refused");
    (error["code"].as_i64().expect("a code"), error["message"].as_str().expect("a text").to_owned())
}

fn pool(node: &Node) -> Value {
    node.call("txpool_status", json!([]))
}

#[track_caller]
fn confirmed(node: &Node, transaction: &Bytes) {
    assert_eq!(node.receipt(node.send(std::slice::from_ref(transaction))[0])["status"], "0x1");
}

/// Sends a raw transaction by REST: its status and sentence.
fn by_rest(node: &Node, raw: &Bytes) -> (u16, String) {
    let (status, answer) = node.post("/rpc/transactions", &json!({ "raw": raw }));
    assert_eq!(answer["success"], false, "{answer}");
    (status, answer["error"].as_str().expect("a sentence").to_owned())
}

#[test]
fn every_wrong_transaction_is_refused_by_name_and_costs_nothing() {
    let mut node = Node::authority();
    node.start();
    let key = dev::key(0);
    confirmed(&node, &by(&key, unsigned(0, RECIPIENT, 1)));
    // Behind a gap it stays in the pool: nothing that is refused may push it out.
    node.send(&[by(&key, unsigned(2, RECIPIENT, 1))]);
    let before = pool(&node);
    assert_eq!(before, json!({ "pending": "0x0", "queued": "0x1" }));
    for (what, bytes, code, text) in wrong() {
        let (refused, message) = refusal(&node, &bytes);
        assert_eq!(refused, code, "{what}: {message}");
        assert!(message.starts_with(text), "{what}: {message}");
        assert_eq!(pool(&node), before, "{what}");
        let (status, sentence) = by_rest(&node, &bytes);
        assert_eq!((status, &sentence), (if code == REFUSED { 422 } else { 400 }, &message), "{what}");
    }
    let (code, message) = refusal(&node, &by(&key, unsigned(2, RECIPIENT, 1)));
    assert_eq!((code, message.as_str()), (REFUSED, "already known"));
    let dearer = TxLegacy { gas_price: 10, ..unsigned(2, RECIPIENT, 1) };
    node.send(&[by(&key, dearer)]);
    let (code, message) = refusal(&node, &by(&key, unsigned(2, RECIPIENT, 3)));
    assert_eq!(code, REFUSED);
    assert!(message.starts_with("replacement transaction underpriced"), "{message}");
    // The gap is filled, and both are confirmed.
    confirmed(&node, &by(&key, legacy()));
    let sent = node.call("eth_getTransactionCount", json!([key.address(), "pending"]));
    assert_eq!(sent, "0x3");
}

#[test]
fn sender_without_any_balance_is_refused_by_name() {
    let mut node = Node::authority();
    node.set("pool.unfunded", "refuse").start();
    let poor = SecretKey::from_bytes([7; 32]).expect("a key");
    let (code, message) = refusal(&node, &by(&poor, unsigned(0, RECIPIENT, 0)));
    assert_eq!(code, REFUSED);
    assert!(message.starts_with("insufficient funds for transfer"), "{message}");
    let (code, message) = refusal(&node, &by(&poor, unsigned(0, RECIPIENT, 1)));
    assert_eq!(code, REFUSED);
    assert!(message.starts_with("insufficient funds for gas * price + value"), "{message}");
    confirmed(&node, &by(&dev::key(0), unsigned(0, RECIPIENT, 1)));
}

#[test]
fn more_gas_than_a_block_has_is_refused_by_name() {
    let mut node = Node::authority();
    node.set("genesis.gas_limit", 10_000_000).start();
    let greedy = TxLegacy { gas_limit: 10_000_001, ..unsigned(0, RECIPIENT, 1) };
    let (code, message) = refusal(&node, &by(&dev::key(0), greedy));
    assert_eq!(code, REFUSED);
    assert!(message.starts_with("exceeds block gas limit"), "{message}");
    confirmed(&node, &by(&dev::key(0), unsigned(0, RECIPIENT, 1)));
}
