//! eth_sendRawTransaction: every refusal with the code and text that clients match.

use super::chain::{CHAIN_ID, CONTRACT, TestChain, delegating, dynamic, legacy, sign, user};
use super::harness::Harness;
use crate::event_stream::Event;
use crate::rpc_frontend::{PoolUnavailable, SubmitError};
use alloy_consensus::{Signed, TxEip1559, TxEip4844, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, Signature, TxKind, U256, hex};
use callboard_chain::{BaseFeePolicy, Transaction};
use serde_json::json;

/// The order of secp256k1's group.
const ORDER: &str = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

fn raw(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

/// The same signature with the other s and the other parity: valid before EIP-2.
fn with_high_s(transaction: Transaction) -> Transaction {
    let Transaction::Eip1559(signed) = transaction else { panic!("a type 2 transaction") };
    let (inner, signature, _) = signed.into_parts();
    let order: U256 = ORDER.parse().unwrap();
    let high = Signature::new(signature.r(), order - signature.s(), !signature.v());
    Transaction::Eip1559(Signed::new_unhashed(inner, high))
}

#[actix_web::test]
async fn a_valid_transaction_reaches_the_pool_with_its_sender() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    for transaction in [sign(legacy(0), &user(2)), sign(dynamic(1), &user(2))] {
        let hash = harness.result("eth_sendRawTransaction", json!([raw(&transaction)])).await;
        assert_eq!(hash, json!(transaction.tx_hash()));
    }
    let taken = harness.pool.taken.lock();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|submission| submission.sender == user(2).address()));
}

#[actix_web::test]
async fn what_does_not_come_as_far_as_the_pool_is_told_to_it_by_hash() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let wrong = sign(TxLegacy { gas_limit: 20_999, ..legacy(0) }, &user(2));
    let (_, message) = harness.error("eth_sendRawTransaction", json!([raw(&wrong)])).await;
    assert_eq!(*harness.pool.refused.lock(), [(*wrong.tx_hash(), message)]);
    harness.result("eth_sendRawTransaction", json!([raw(&sign(legacy(0), &user(2)))])).await;
    assert_eq!(harness.pool.refused.lock().len(), 1, "what is taken is no refusal");
}

#[actix_web::test]
async fn what_breaks_a_rule_is_refused_with_the_text_clients_match() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let key = user(2);
    let trailing = |transaction: &Transaction| -> Bytes { [raw(transaction).as_ref(), &[0, 1]].concat().into() };
    let blob = TxEip4844 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        max_fee_per_blob_gas: 1,
        blob_versioned_hashes: vec![alloy_primitives::B256::with_last_byte(1)],
        ..TxEip4844::default()
    };
    let creation = TxEip1559 { to: TxKind::Create, gas_limit: 16_000_000, input: vec![0; 49_153].into(), ..dynamic(0) };
    for (name, bytes, code, message) in [
        (
            "legacy of another chain",
            raw(&sign(TxLegacy { chain_id: Some(1), ..legacy(0) }, &key)),
            -32000,
            "invalid chain id for signer",
        ),
        (
            "type 2 of another chain",
            raw(&sign(TxEip1559 { chain_id: 1, ..dynamic(0) }, &key)),
            -32000,
            "invalid chain id for signer",
        ),
        (
            "no chain id",
            raw(&sign(TxLegacy { chain_id: None, ..legacy(0) }, &key)),
            -32000,
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
        ("high s", raw(&with_high_s(sign(dynamic(0), &key))), -32000, "invalid sender: s is "),
        (
            "intrinsic gas",
            raw(&sign(TxLegacy { gas_limit: 20_999, ..legacy(0) }, &key)),
            -32000,
            "intrinsic gas too low",
        ),
        (
            "block gas limit",
            raw(&sign(TxLegacy { gas_limit: 30_000_001, ..legacy(0) }, &key)),
            -32000,
            "transaction gas limit too high",
        ),
        (
            "EIP-7825",
            raw(&sign(TxLegacy { gas_limit: 16_777_217, ..legacy(0) }, &key)),
            -32000,
            "transaction gas limit too high",
        ),
        (
            "tip above cap",
            raw(&sign(TxEip1559 { max_fee_per_gas: 0, ..dynamic(0) }, &key)),
            -32000,
            "max priority fee per gas higher than max fee per gas",
        ),
        ("init code", raw(&sign(creation, &key)), -32000, "max initcode size exceeded"),
        ("blobs", raw(&sign(blob, &key)), -32000, "transaction type not supported"),
        ("blobs beside it", [&[3][..], &[0xf8; 131_073]].concat().into(), -32000, "transaction type not supported"),
        ("empty authorizations", raw(&sign(delegating(0), &key)), -32000, "EIP-7702 transaction with empty auth list"),
        ("unknown type", Bytes::from(hex!("05c0")), -32000, "transaction type not supported"),
        (
            "bytes after a legacy one",
            trailing(&sign(legacy(0), &key)),
            -32602,
            "invalid transaction: 2 bytes after the transaction",
        ),
        (
            "bytes after a type 2",
            trailing(&sign(dynamic(0), &key)),
            -32602,
            "invalid transaction: 2 bytes after the transaction",
        ),
        ("nothing", Bytes::new(), -32602, "invalid transaction"),
        ("no RLP", Bytes::from(hex!("02ff00")), -32602, "invalid transaction"),
        ("too long", vec![0; 131_073].into(), -32602, "invalid transaction: transaction too large"),
    ] {
        let error = harness.error("eth_sendRawTransaction", json!([bytes])).await;
        assert_eq!(error.0, code, "{name}: {error:?}");
        assert!(error.1.starts_with(message), "{name}: {error:?}");
    }
    assert!(harness.pool.taken.lock().is_empty(), "nothing refused reached the pool");
    assert_eq!(harness.error("eth_sendRawTransaction", json!(["0xnothex"])).await.0, -32602);
    assert_eq!(harness.error("eth_sendRawTransaction", json!([])).await.0, -32602);
}

#[actix_web::test]
async fn a_fee_below_the_base_fee_is_refused() {
    let chain = TestChain::with(BaseFeePolicy::Eip1559);
    let harness = Harness::over(&chain);
    let cheap = TxEip1559 { max_fee_per_gas: 874_999_999, to: TxKind::Call(CONTRACT), ..dynamic(0) };
    let error = harness.error("eth_sendRawTransaction", json!([raw(&sign(cheap, &user(2)))])).await;
    assert_eq!(error.0, -32000);
    assert!(error.1.starts_with("max fee per gas less than block base fee"), "{error:?}");
}

#[actix_web::test]
async fn sending_and_waiting_answers_with_the_receipt_or_says_that_the_pool_has_it() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    let transaction = sign(legacy(0), &user(2));
    let waiting = harness.call("eth_sendRawTransactionSync", json!([raw(&transaction), 10_000]));
    let sealing = async {
        while harness.pool.taken.lock().is_empty() {
            harness.get("/health/live").await;
        }
        harness.events.publish(&Event::blocks(&[chain.extend_durably(std::slice::from_ref(&transaction))]));
    };
    let (answer, ()) = futures_util::future::join(waiting, sealing).await;
    let receipt = harness.result("eth_getTransactionReceipt", json!([transaction.tx_hash()])).await;
    assert_eq!(answer["result"], receipt);
    let second = sign(legacy(1), &user(2));
    let error = harness.call("eth_sendRawTransactionSync", json!([raw(&second), "0x1"])).await["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(4), &json!(second.tx_hash())), "{error}");
    assert_eq!(harness.pool.taken.lock().len(), 2);
    let foreign = sign(TxLegacy { chain_id: Some(1), ..legacy(0) }, &user(2));
    let error = harness.error("eth_sendRawTransactionSync", json!([raw(&foreign)])).await;
    assert!(error.0 == -32000 && error.1.starts_with("invalid chain id"), "{error:?}");
    for wrong in [json!(-1), json!("soon"), json!(1.5), json!("7")] {
        let error = harness.error("eth_sendRawTransactionSync", json!([raw(&second), wrong])).await;
        assert!(
            error.0 == -32602 && error.1.ends_with("a count is a whole number from 0, as 5 or \"0x5\""),
            "{error:?}"
        );
    }
}

#[actix_web::test]
async fn waiting_ends_at_once_where_a_nonce_before_it_is_missing() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let send = async |nonce, timeout| {
        let params = json!([raw(&sign(legacy(nonce), &user(2))), timeout]);
        harness.call("eth_sendRawTransactionSync", params).await["error"].clone()
    };
    let early = sign(legacy(5), &user(2));
    let error = send(5, 10_000).await;
    assert_eq!((&error["code"], &error["data"]), (&json!(5), &json!(early.tx_hash())), "{error}");
    assert!(error["message"].as_str().unwrap().contains("waits for nonce 0 "), "{error}");
    harness.pool.nonces.lock().insert(user(2).address(), 6);
    assert_eq!(send(5, 1).await["code"], 4, "those before it are in the pool");
    assert!(send(7, 10_000).await["message"].as_str().unwrap().contains("waits for nonce 6 "));
}

#[actix_web::test]
async fn the_pools_refusals_come_through_word_by_word() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let params = json!([raw(&sign(legacy(0), &user(2)))]);
    for message in ["already known", "nonce too low: next nonce 5, tx nonce 0", "replacement transaction underpriced"] {
        *harness.pool.refusal.lock() = Some(SubmitError::Refused(message.to_owned()));
        assert_eq!(harness.error("eth_sendRawTransaction", params.clone()).await, (-32000, message.to_owned()));
    }
    *harness.pool.refusal.lock() = Some(PoolUnavailable("no answer within 5 s".to_owned()).into());
    assert_eq!(harness.error("eth_sendRawTransaction", params).await.0, -32603);
}
