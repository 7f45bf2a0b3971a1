//! Answers against the schemas of Ethereum's execution API (`openrpc-refs.json`).

use super::chain::{CONTRACT, dynamic, legacy, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use crate::rpc_frontend::Submission;
use crate::rpc_frontend::eth::METHODS;
use alloy_primitives::B256;
use callboard_chain::Transaction;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The result schemas by method; `None` where `CALLBOARD_VECTORS` is not set.
fn schemas() -> Option<BTreeMap<String, Validator>> {
    let Some(folder) = std::env::var_os("CALLBOARD_VECTORS").map(PathBuf::from) else {
        println!("CALLBOARD_VECTORS is not set: answers are not compared with the schemas");
        return None;
    };
    let candidates = [folder.join("openrpc-refs.json"), folder.join("../openrpc-refs.json")];
    let path = candidates.iter().find(|path| path.exists()).expect("openrpc-refs.json in or beside CALLBOARD_VECTORS");
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let schema = |method: &Value| {
        let root = json!({ "components": document["components"], "allOf": [method["result"]["schema"]] });
        (method["name"].as_str().unwrap().to_owned(), jsonschema::validator_for(&root).unwrap())
    };
    Some(document["methods"].as_array().unwrap().iter().map(schema).collect())
}

/// At least one call of every method that has a schema.
fn calls(transactions: &[Transaction], block: &Value, [logs, blocks]: [&Value; 2]) -> Vec<(&'static str, Value)> {
    let (account, hash) = (user(2).address(), |index: usize| json!([transactions[index].tx_hash()]));
    vec![
        ("eth_accounts", json!([])),
        ("eth_blobBaseFee", json!([])),
        ("eth_blockNumber", json!([])),
        ("eth_call", json!([{ "to": CONTRACT }, "latest"])),
        ("eth_chainId", json!([])),
        ("eth_coinbase", json!([])),
        ("eth_createAccessList", json!([{ "to": CONTRACT }, "latest"])),
        ("eth_estimateGas", json!([{ "to": CONTRACT }, "latest"])),
        ("eth_feeHistory", json!(["0x2", "latest", [25, 75]])),
        ("eth_feeHistory", json!(["0x1", "0x0", []])),
        ("eth_feeHistory", json!(["0x0", "latest", [50]])),
        ("eth_gasPrice", json!([])),
        ("eth_getBalance", json!([account, "latest"])),
        ("eth_getBlockByHash", json!([block["hash"], true])),
        ("eth_getBlockByHash", json!([B256::ZERO, true])),
        ("eth_getBlockByNumber", json!(["0x0", true])),
        ("eth_getBlockByNumber", json!(["0x1", true])),
        ("eth_getBlockByNumber", json!(["latest", false])),
        ("eth_getBlockReceipts", json!(["0x1"])),
        ("eth_getBlockReceipts", json!(["0x9"])),
        ("eth_getBlockTransactionCountByHash", json!([block["hash"]])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x1"])),
        ("eth_getCode", json!([CONTRACT, "latest"])),
        ("eth_getFilterChanges", json!([logs])),
        ("eth_getFilterChanges", json!([blocks])),
        ("eth_getFilterLogs", json!([logs])),
        ("eth_getLogs", json!([{ "fromBlock": "0x0" }])),
        ("eth_newBlockFilter", json!([])),
        ("eth_newFilter", json!([{ "address": CONTRACT }])),
        ("eth_newPendingTransactionFilter", json!([])),
        ("eth_uninstallFilter", json!([logs])),
        ("eth_uninstallFilter", json!([logs])),
        ("eth_getProof", json!([CONTRACT, ["0x0"], "latest"])),
        ("eth_getStorageAt", json!([CONTRACT, "0x0", "latest"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([block["hash"], "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x1"])),
        ("eth_getTransactionByHash", hash(0)),
        ("eth_getTransactionByHash", hash(1)),
        ("eth_getTransactionByHash", hash(2)),
        ("eth_getTransactionByHash", json!([B256::ZERO])),
        ("eth_getTransactionCount", json!([account, "latest"])),
        ("eth_getTransactionReceipt", hash(0)),
        ("eth_getTransactionReceipt", hash(1)),
        ("eth_getTransactionReceipt", hash(2)),
        ("eth_getTransactionReceipt", json!([B256::ZERO])),
        ("eth_maxPriorityFeePerGas", json!([])),
        ("eth_syncing", json!([])),
        ("net_version", json!([])),
        ("txpool_content", json!([])),
        ("txpool_contentFrom", json!([account])),
        ("txpool_status", json!([])),
    ]
}

#[actix_web::test]
async fn answers_have_the_shapes_of_the_execution_api() {
    let Some(schemas) = schemas() else { return };
    let (mut chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    // Of an empty list a schema cannot say what it is a list of, so there is something new.
    let logs = harness.result("eth_newFilter", json!([{ "fromBlock": "0x0" }])).await;
    let blocks = harness.result("eth_newBlockFilter", json!([])).await;
    chain.extend(&[sign(dynamic(1), &user(4))]);
    for (number, transaction) in [(2, sign(legacy(2), &user(2))), (3, sign(dynamic(0), &user(3)))] {
        harness.pool.taken.lock().push(Submission { transaction, sender: user(number).address() });
    }
    harness.pool.queued.lock().push(Submission { transaction: sign(legacy(9), &user(2)), sender: user(2).address() });
    let block = harness.result("eth_getBlockByNumber", json!(["0x1", false])).await;
    let calls = calls(&transactions, &block, [&logs, &blocks]);
    for (method, params) in &calls {
        let result = harness.result(method, params.clone()).await;
        let faults: Vec<_> = schemas[*method].iter_errors(&result).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{method} {params}: {faults:?}\n{result:#}");
    }
    let called: BTreeSet<_> = calls.iter().map(|(method, _)| *method).collect();
    // What it answers is a hash, and it needs a transaction that the pool takes: the tests of sending look at it.
    let with_schema =
        METHODS.iter().filter(|method| schemas.contains_key(**method) && **method != "eth_sendRawTransaction");
    let missing: Vec<_> = with_schema.filter(|method| !called.contains(*method)).collect();
    assert!(missing.is_empty(), "not compared: {missing:?}");
    println!("{} answers of {} methods have the shapes of the execution API", calls.len(), called.len());
}

#[test]
fn a_wrong_shape_is_noticed() {
    let Some(schemas) = schemas() else { return };
    assert!(!schemas["eth_chainId"].is_valid(&json!("0x01")), "leading zero");
    assert!(!schemas["eth_getBlockByNumber"].is_valid(&json!({ "hash": B256::ZERO })), "members missing");
}
