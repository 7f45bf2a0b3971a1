//! The members that no client can do without, in every answer that holds a block, a transaction, a receipt or a log; and
//! no null where a member is optional: ethers and cast fail on one.

use super::chain::*;
use super::harness::Harness;
use crate::rpc_frontend::Submission;
use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use callboard_chain::Transaction;
use serde_json::{Value, json};

const BLOCK: &str = "hash parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number \
                     gasLimit gasUsed timestamp extraData mixHash nonce transactions baseFeePerGas uncles size";
const TRANSACTION: &str =
    "hash from to nonce gas value input r s v type blockHash blockNumber transactionIndex gasPrice chainId";
const RECEIPT: &str = "status type from to cumulativeGasUsed gasUsed effectiveGasPrice logsBloom logs transactionHash \
                       transactionIndex blockHash blockNumber contractAddress";
const LOG: &str = "address topics data blockHash blockNumber transactionHash transactionIndex logIndex removed";

#[track_caller]
fn has(value: &Value, members: &str, what: &str) {
    for member in members.split_whitespace() {
        assert!(value.get(member).is_some(), "{what} has no {member}: {value:#}");
    }
}

/// The members that are null, at any depth.
fn nulls(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(nulls).collect(),
        Value::Object(members) => {
            let of = |(name, value): (&String, &Value)| match value {
                Value::Null => vec![name.clone()],
                value => nulls(value),
            };
            members.iter().flat_map(of).collect()
        }
        _ => Vec::new(),
    }
}

/// One transaction of each type, and a creation.
fn one_of_each() -> Vec<Transaction> {
    let list = AccessList(vec![AccessListItem { address: CONTRACT, storage_keys: vec![B256::ZERO] }]);
    let announcing = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_limit: 100_000,
        to: TxKind::Call(CONTRACT),
        access_list: list,
        ..TxEip2930::default()
    };
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: CONTRACT, nonce: 0 };
    let signature = user(4).sign(authorization.signature_hash());
    let authorization = authorization.into_signed(Signature::from_raw_array(&signature).unwrap());
    let delegating = TxEip7702 { authorization_list: vec![authorization], ..delegating(3) };
    let create = TxLegacy {
        to: TxKind::Create,
        gas_limit: 100_000,
        value: U256::ZERO,
        input: Bytes::from_static(&[0]),
        ..legacy(4)
    };
    let key = user(2);
    vec![
        sign(legacy(0), &key),
        sign(announcing, &key),
        sign(dynamic(2), &key),
        sign(delegating, &key),
        sign(create, &key),
    ]
}

/// Members that only some types have, by the type.
fn further(kind: &str) -> &'static str {
    match kind {
        "0x0" => "",
        "0x1" => "accessList yParity",
        "0x2" => "accessList yParity maxFeePerGas maxPriorityFeePerGas",
        _ => "accessList yParity maxFeePerGas maxPriorityFeePerGas authorizationList",
    }
}

fn check_transaction(transaction: &Value, may_be_null: &[&str]) {
    let kind = transaction["type"].as_str().unwrap();
    has(transaction, TRANSACTION, kind);
    has(transaction, further(kind), kind);
    assert!(nulls(transaction).iter().all(|name| may_be_null.contains(&name.as_str())), "{transaction:#}");
}

#[actix_web::test]
async fn blocks_and_transactions_have_every_member_that_clients_need_and_no_null() {
    let mut chain = TestChain::new();
    let transactions = one_of_each();
    chain.extend(&transactions);
    let harness = Harness::over(&chain);
    for height in ["0x0", "0x1"] {
        for full in [false, true] {
            let block = harness.result("eth_getBlockByNumber", json!([height, full])).await;
            has(&block, BLOCK, "the block");
            assert!(nulls(&block).iter().all(|name| name == "to"), "{block:#}");
            assert!(block["extraData"].as_str().unwrap().len() <= 66, "web3.py takes at most 32 bytes");
            let zero = (&block["difficulty"], &block["nonce"], &block["baseFeePerGas"]);
            assert_eq!(zero, (&json!("0x0"), &json!("0x0000000000000000"), &json!("0x0")));
        }
    }
    let block = harness.result("eth_getBlockByNumber", json!(["0x1", true])).await;
    let types: Vec<_> = block["transactions"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(types, ["0x0", "0x1", "0x2", "0x4", "0x0"]);
    for (index, (in_block, sent)) in block["transactions"].as_array().unwrap().iter().zip(&transactions).enumerate() {
        let may_be_null: &[&str] = if index == 4 { &["to"] } else { &[] };
        check_transaction(in_block, may_be_null);
        let found = harness.result("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
        assert_eq!(&found, in_block);
        // A pending one has no block: those members are there, and null.
        let pending = Submission { transaction: sign(legacy(9), &user(2)), sender: user(2).address() };
        let hash = *pending.transaction.tx_hash();
        harness.pool.taken.lock().push(pending);
        let pending = harness.result("eth_getTransactionByHash", json!([hash])).await;
        check_transaction(&pending, &["blockHash", "blockNumber", "transactionIndex"]);
        for member in ["blockHash", "blockNumber", "transactionIndex"] {
            assert_eq!(pending[member], Value::Null);
        }
    }
}

#[actix_web::test]
async fn receipts_and_logs_have_every_member_that_clients_need_and_no_null() {
    let mut chain = TestChain::new();
    let transactions = one_of_each();
    chain.extend(&transactions);
    let harness = Harness::over(&chain);
    let receipts = harness.result("eth_getBlockReceipts", json!(["0x1"])).await;
    for (receipt, sent) in receipts.as_array().unwrap().iter().zip(&transactions) {
        has(receipt, RECEIPT, "the receipt");
        assert_eq!(&harness.result("eth_getTransactionReceipt", json!([sent.tx_hash()])).await, receipt);
        let is_creation = receipt["to"].is_null();
        let expected = if is_creation { "to" } else { "contractAddress" };
        assert_eq!(nulls(receipt), [expected], "nothing else is null, and neither is left out");
        receipt["logs"].as_array().unwrap().iter().for_each(|log| has(log, LOG, "the log"));
    }
    let logs = harness.result("eth_getLogs", json!([{ "fromBlock": "0x0" }])).await;
    assert!(logs.as_array().unwrap().len() >= 2);
    for log in logs.as_array().unwrap() {
        has(log, LOG, "the log");
        assert!(nulls(log).is_empty() && log["removed"] == false, "{log:#}");
    }
}

#[actix_web::test]
async fn fee_histories_have_every_array_and_full_rows_whatever_is_asked() {
    let mut chain = TestChain::new();
    chain.extend(&[]);
    chain.extend(&[sign(dynamic(0), &user(2))]);
    let harness = Harness::over(&chain);
    for (count, newest, percentiles, blocks) in [
        (json!("0x1"), "latest", json!([]), 1),
        (json!("0x3"), "latest", json!([0, 50.5, 100]), 3),
        (json!(4), "pending", json!([10]), 3),
        (json!("0x1"), "0x1", json!([5, 5, 5]), 1),
        (json!("0x0"), "latest", json!([5]), 0),
        (json!("0x2"), "safe", Value::Null, 2),
    ] {
        let history = harness.result("eth_feeHistory", json!([count, newest, percentiles])).await;
        let length = |member: &str| history[member].as_array().unwrap_or_else(|| panic!("{member}: {history}")).len();
        assert!(nulls(&history).is_empty() && history["oldestBlock"].is_string(), "{history}");
        assert_eq!(length("gasUsedRatio"), blocks, "{history}");
        assert_eq!(length("baseFeePerGas"), if blocks == 0 { 0 } else { blocks + 1 }, "{history}");
        let wanted = percentiles.as_array().map_or(0, Vec::len);
        if wanted > 0 && blocks > 0 {
            assert_eq!(length("reward"), blocks);
            let rows = history["reward"].as_array().unwrap();
            assert!(rows.iter().all(|row| row.as_array().unwrap().len() == wanted), "{history}");
        }
    }
}
