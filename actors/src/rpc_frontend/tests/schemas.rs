//! Answers against the schemas of Ethereum's execution API (`openrpc-refs.json`), and against those that `rpc.discover` states.

use super::chain::{CONTRACT, TestChain, dynamic, legacy, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use super::socket::Client;
use crate::rpc_frontend::{Submission, debug, eth};
use alloy_consensus::TxLegacy;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
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
    Some(results(&document))
}

/// The result schemas of an OpenRPC document.
fn results(document: &Value) -> BTreeMap<String, Validator> {
    let schema = |method: &Value| {
        let root = json!({ "components": document["components"], "allOf": [method["result"]["schema"]] });
        (method["name"].as_str().unwrap().to_owned(), jsonschema::validator_for(&root).unwrap())
    };
    document["methods"].as_array().unwrap().iter().map(schema).collect()
}

/// At least one call of every method.
fn calls(transactions: &[Transaction], block: &Value, [logs, blocks]: [&Value; 2]) -> Vec<(&'static str, Value)> {
    let (account, hash) = (user(2).address(), |index: usize| json!([transactions[index].tx_hash()]));
    let traced = |tracer, config| json!([transactions[1].tx_hash(), { "tracer": tracer, "tracerConfig": config }]);
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
        ("txpool_inspect", json!([])),
        ("txpool_status", json!([])),
        ("web3_clientVersion", json!([])),
        ("web3_sha3", json!(["0x"])),
        ("net_listening", json!([])),
        ("net_peerCount", json!([])),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([block["hash"], "0x0"])),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getRawTransactionByHash", hash(0)),
        ("eth_getUncleByBlockHashAndIndex", json!([block["hash"], "0x0"])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getUncleCountByBlockHash", json!([block["hash"]])),
        ("eth_getUncleCountByBlockNumber", json!(["0x1"])),
        ("debug_getRawBlock", json!(["0x1"])),
        ("debug_getRawHeader", json!(["0x1"])),
        ("debug_getRawReceipts", json!(["0x1"])),
        ("debug_getRawTransaction", hash(0)),
        ("debug_traceBlockByHash", json!([block["hash"], { "tracer": "callTracer" }])),
        ("debug_traceBlockByNumber", json!(["0x1"])),
        ("debug_traceBlockByNumber", json!(["0x1", { "enableMemory": true, "enableReturnData": true }])),
        ("debug_traceCall", json!([{ "to": CONTRACT, "data": "0x01" }, "latest", { "tracer": "callTracer" }])),
        ("debug_traceTransaction", json!([transactions[1].tx_hash()])),
        ("debug_traceTransaction", traced("callTracer", json!({ "withLog": true }))),
        ("debug_traceTransaction", traced("flatCallTracer", json!(null))),
        ("debug_traceTransaction", traced("prestateTracer", json!(null))),
        ("debug_traceTransaction", traced("prestateTracer", json!({ "diffMode": true }))),
        ("debug_traceTransaction", traced("4byteTracer", json!(null))),
        ("debug_traceTransaction", traced("noopTracer", json!(null))),
        (
            "debug_traceTransaction",
            traced("muxTracer", json!({ "callTracer": null, "prestateTracer": {}, "4byteTracer": null })),
        ),
    ]
}

/// A node, and at least one call of every method that it answers. The chain is there for as long as the node is asked.
async fn prepared() -> (TestChain, Harness, Vec<(&'static str, Value)>) {
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
    (chain, harness, calls)
}

#[actix_web::test]
async fn every_method_answers_over_a_socket_as_over_http() {
    let (_chain, harness, mut calls) = prepared().await;
    let wrong = sign(TxLegacy { chain_id: Some(1), ..legacy(0) }, &user(2));
    calls.extend([
        ("eth_sendRawTransaction", json!([Bytes::from(wrong.encoded_2718())])),
        ("eth_sendRawTransactionSync", json!(["0x05c0"])),
        ("eth_call", json!([{ "to": CONTRACT, "data": "0x01" }])),
        ("eth_getBalance", json!([CONTRACT, "0x99"])),
        ("eth_getStorageAt", json!([CONTRACT, "no slot"])),
        ("eth_getFilterChanges", json!(["0x1"])),
        ("eth_sendTransaction", json!([{}])),
    ]);
    let mut client = Client::open(&harness, "/").await;
    for (method, params) in &calls {
        let (over_http, over_socket) =
            (harness.call(method, params.clone()).await, client.call(method, params.clone()).await);
        match *method {
            "eth_newFilter" | "eth_newBlockFilter" | "eth_newPendingTransactionFilter" => {
                assert!(over_http["result"].is_string() && over_socket["result"].is_string(), "{over_socket}");
                assert_ne!(over_http["result"], over_socket["result"], "each time another filter");
            }
            // The first to ask has been told.
            "eth_getFilterChanges" if over_http.get("error").is_none() => {
                assert!(over_http["result"].is_array(), "{over_http}");
                assert_eq!(over_socket["result"], json!([]));
            }
            "eth_uninstallFilter" => assert!(over_socket["result"].is_boolean(), "{over_socket}"),
            method => assert_eq!(over_socket, over_http, "{method} {params}"),
        }
    }
}

#[actix_web::test]
async fn answers_have_the_shapes_of_the_execution_api_and_those_that_are_stated() {
    let (_chain, harness, calls) = prepared().await;
    let official = schemas().unwrap_or_default();
    let stated = results(&harness.result("rpc.discover", json!([])).await);
    for (method, params) in &calls {
        let result = harness.result(method, params.clone()).await;
        for schema in official.get(*method).into_iter().chain([&stated[*method]]) {
            let faults: Vec<_> = schema.iter_errors(&result).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{method} {params}: {faults:?}\n{result:#}");
        }
    }
    let called: BTreeSet<_> = calls.iter().map(|(method, _)| *method).collect();
    // They need a transaction that the pool takes: the tests of sending look at what they answer.
    let sends = ["eth_sendRawTransaction", "eth_sendRawTransactionSync"];
    let all = eth::METHODS.iter().chain(debug::METHODS).filter(|method| !sends.contains(*method));
    let missing: Vec<_> = all.filter(|method| !called.contains(*method)).collect();
    assert!(missing.is_empty(), "not compared: {missing:?}");
    println!("{} answers of {} methods have their shapes", calls.len(), called.len());
}

#[test]
fn a_wrong_shape_is_noticed() {
    let Some(schemas) = schemas() else { return };
    assert!(!schemas["eth_chainId"].is_valid(&json!("0x01")), "leading zero");
    assert!(!schemas["eth_getBlockByNumber"].is_valid(&json!({ "hash": B256::ZERO })), "members missing");
}
