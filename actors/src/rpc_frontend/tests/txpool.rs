//! What the pool holds, in geth's shapes.

use super::chain::*;
use super::harness::Harness;
use crate::rpc_frontend::Submission;
use alloy_consensus::TxLegacy;
use alloy_primitives::{Bytes, TxKind, U256};
use callboard_chain::Transaction;
use serde_json::{Value, json};

fn submission(transaction: Transaction, number: u8) -> Submission {
    Submission { transaction, sender: user(number).address() }
}

/// A pool of two ready transactions of two senders, and one behind a nonce gap.
fn filled(harness: &Harness) -> [Transaction; 3] {
    let create = TxLegacy { to: TxKind::Create, value: U256::from(5), gas_price: 7, ..legacy(9) };
    let transactions = [sign(legacy(0), &user(2)), sign(dynamic(3), &user(3)), sign(create, &user(2))];
    let [first, second, third] = transactions.clone();
    harness.pool.taken.lock().extend([submission(first, 2), submission(second, 3)]);
    harness.pool.queued.lock().push(submission(third, 2));
    transactions
}

#[actix_web::test]
async fn the_pools_content_is_told_by_sender_and_nonce() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let empty = json!({ "pending": {}, "queued": {} });
    for (method, params) in
        [("txpool_content", json!([])), ("txpool_inspect", json!([])), ("txpool_contentFrom", json!([CONTRACT]))]
    {
        assert_eq!(harness.result(method, params).await, empty, "{method}");
    }
    let transactions = filled(&harness);
    let [first, second] = [2, 3].map(|number| user(number).address().to_checksum(None));
    let content = harness.result("txpool_content", json!([])).await;
    let hashes = [&content["pending"][&first]["0"], &content["pending"][&second]["3"], &content["queued"][&first]["9"]];
    assert_eq!(hashes.map(|one| one["hash"].clone()), transactions.each_ref().map(|one| json!(one.tx_hash())));
    assert_eq!(hashes[0], &harness.result("eth_getTransactionByHash", json!([transactions[0].tx_hash()])).await);
    assert_eq!((&hashes[0]["blockHash"], &hashes[0]["from"]), (&Value::Null, &json!(user(2).address())));
    let count = |of: &str| content[of].as_object().unwrap().len();
    assert_eq!((count("pending"), count("queued")), (2, 1));
    let from = harness.result("txpool_contentFrom", json!([user(2).address()])).await;
    assert_eq!(from, json!({ "pending": content["pending"][&first], "queued": content["queued"][&first] }));
    assert_eq!(harness.result("txpool_contentFrom", json!([CONTRACT])).await, empty);
    assert_eq!(harness.result("txpool_status", json!([])).await, json!({ "pending": "0x2", "queued": "0x1" }));
}

#[actix_web::test]
async fn an_inspection_says_in_geths_words_what_each_transaction_is() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    filled(&harness);
    let [first, second] = [2, 3].map(|number| user(number).address().to_checksum(None));
    let transfer = format!("{}: 1000 wei + 21000 gas × 0 wei", user(3).address().to_checksum(None));
    let call = format!("{}: 0 wei + 100000 gas × 2000000000 wei", CONTRACT.to_checksum(None));
    let expected = json!({
        "pending": { first.clone(): { "0": transfer }, second: { "3": call } },
        "queued": { first: { "9": "contract creation: 5 wei + 21000 gas × 7 wei" } },
    });
    assert_eq!(harness.result("txpool_inspect", json!([])).await, expected);
}

#[actix_web::test]
async fn what_is_too_long_for_an_answer_is_refused_and_not_cut() {
    let chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_batch_answer_bytes = 10_000);
    let large = |nonce| sign(TxLegacy { input: Bytes::from(vec![0; 3_000]), ..legacy(nonce) }, &user(2));
    harness.pool.taken.lock().push(submission(large(0), 2));
    assert!(harness.result("txpool_content", json!([])).await["pending"].is_object());
    harness.pool.queued.lock().push(submission(large(2), 2));
    for (method, params, remedy) in [
        ("txpool_content", json!([]), "txpool_contentFrom"),
        ("txpool_contentFrom", json!([user(2).address()]), "eth_getTransactionByHash"),
    ] {
        let (code, message) = harness.error(method, params).await;
        assert!(code == -32000 && message.contains(remedy), "{message}");
        assert!(message.ends_with("(rpc.max_batch_answer_bytes)"), "{message}");
    }
    assert!(harness.result("txpool_inspect", json!([])).await["queued"].is_object());
    assert_eq!(harness.refusals("pool_content").await, 2);
    for nonce in 0..40 {
        harness.pool.queued.lock().push(submission(sign(legacy(nonce), &user(4)), 4));
    }
    assert_eq!(harness.error("txpool_inspect", json!([])).await.0, -32000);
    assert_eq!(harness.error("txpool_contentFrom", json!([])).await.0, -32602);
}
