//! Filters over a real chain, over HTTP and WebSocket.

use super::chain::*;
use super::harness::Harness;
use super::socket::{Client, connected};
use crate::event_stream::Event;
use crate::tx_pool::PooledTransaction;
use alloy_primitives::B256;
use callboard_chain::Transaction;
use serde_json::{Value, json};
use std::time::Duration;

const LOST: &str = "filter not found";

async fn install(harness: &Harness, method: &str, params: Value) -> Value {
    let id = harness.result(method, params).await;
    let digits = id.as_str().unwrap().strip_prefix("0x").unwrap();
    assert!(!digits.starts_with('0') && digits.len() > 20, "a quantity that cannot be guessed: {id}");
    id
}

async fn changes(harness: &Harness, id: &Value) -> Vec<Value> {
    harness.result("eth_getFilterChanges", json!([id])).await.as_array().unwrap().clone()
}

async fn is_lost(harness: &Harness, id: &Value) -> bool {
    let answer = harness.call("eth_getFilterChanges", json!([id])).await;
    answer["error"] == json!({ "code": -32000, "message": LOST })
}

fn heights(logs: &[Value]) -> Vec<Value> {
    logs.iter().map(|log| log["blockNumber"].clone()).collect()
}

/// A call of the contract, which writes one log.
fn logging(nonce: u64) -> Transaction {
    sign(dynamic(nonce), &user(2))
}

#[actix_web::test]
async fn a_block_filter_tells_each_new_block_once() {
    let mut chain = TestChain::new();
    chain.extend(&[]);
    let harness = Harness::over(&chain);
    let id = install(&harness, "eth_newBlockFilter", json!([])).await;
    assert!(changes(&harness, &id).await.is_empty(), "what was there before is not new");
    let new = [chain.extend(&[]).hash(), chain.extend(&[logging(0)]).hash()];
    assert_eq!(changes(&harness, &id).await, new.map(|hash| json!(hash)));
    assert!(changes(&harness, &id).await.is_empty());
}

#[actix_web::test]
async fn a_log_filter_tells_new_logs_that_match_and_all_of_its_range_when_asked_for_them() {
    let mut chain = TestChain::new();
    chain.extend(&[logging(0)]);
    let harness = Harness::over(&chain);
    let topic = B256::with_last_byte(7);
    let all = json!({ "fromBlock": "0x0", "address": CONTRACT, "topics": [topic] });
    let id = install(&harness, "eth_newFilter", json!([all])).await;
    let other = install(&harness, "eth_newFilter", json!([{ "address": user(2).address() }])).await;
    let range = install(&harness, "eth_newFilter", json!([{ "fromBlock": "0x3", "toBlock": "0x3" }])).await;
    let hash = chain.genesis.hash();
    let named = install(&harness, "eth_newFilter", json!([{ "blockHash": hash }])).await;
    chain.extend(&[logging(1)]);
    let logs = changes(&harness, &id).await;
    assert_eq!(heights(&logs), ["0x2"]);
    assert_eq!(logs[0], harness.result("eth_getLogs", json!([{}])).await[0], "in the shape of eth_getLogs");
    assert_eq!(logs[0]["removed"], false);
    chain.extend(&[logging(2)]);
    chain.extend(&[logging(3)]);
    assert_eq!(heights(&changes(&harness, &id).await), ["0x3", "0x4"]);
    assert!(changes(&harness, &other).await.is_empty());
    assert_eq!(heights(&changes(&harness, &range).await), ["0x3"]);
    assert!(changes(&harness, &named).await.is_empty());
    let found = harness.result("eth_getFilterLogs", json!([id])).await;
    assert_eq!(found, harness.result("eth_getLogs", json!([all])).await);
    assert_eq!(found.as_array().unwrap().len(), 4);
    assert!(changes(&harness, &id).await.is_empty());
}

#[actix_web::test]
async fn a_pending_filter_tells_hashes_that_the_pool_took_since_it_was_asked() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let id = install(&harness, "eth_newPendingTransactionFilter", json!([])).await;
    assert!(changes(&harness, &id).await.is_empty());
    let transaction = logging(0);
    let hash = json!(transaction.tx_hash());
    harness.events.publish(&Event::pending(PooledTransaction::new(transaction, user(2).address(), 0, Duration::ZERO)));
    let told = async {
        loop {
            let told = changes(&harness, &id).await;
            if !told.is_empty() {
                return told;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), told).await.expect("it comes"), [hash]);
    assert!(changes(&harness, &id).await.is_empty());
    assert_eq!(harness.events.subscribers(), 1, "one for all of them");
    install(&harness, "eth_newPendingTransactionFilter", json!([false])).await;
    assert_eq!(harness.events.subscribers(), 1);
    let (code, message) = harness.error("eth_newPendingTransactionFilter", json!([true])).await;
    assert!(code == -32602 && message.contains("eth_subscribe"), "{message}");
    // A stream that ends takes the filters along, so that clients install new ones.
    harness.events.stop();
    let lost = async { while !is_lost(&harness, &id).await {} };
    tokio::time::timeout(Duration::from_secs(20), lost).await.expect("it is lost");
}

#[actix_web::test]
async fn a_filter_that_is_not_there_is_not_found_with_the_code_that_clients_install_a_new_one_on() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let id = install(&harness, "eth_newBlockFilter", json!([])).await;
    assert_eq!(harness.error("eth_getFilterLogs", json!([id])).await, (-32000, LOST.to_owned()), "it has no logs");
    assert_eq!(harness.result("eth_uninstallFilter", json!([id])).await, true);
    assert_eq!(harness.result("eth_uninstallFilter", json!([id])).await, false);
    for id in [id, json!("0x1"), json!("0x"), json!("nonsense")] {
        for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
            assert_eq!(harness.error(method, json!([id])).await, (-32000, LOST.to_owned()), "{id}");
        }
    }
    for (method, params) in [
        ("eth_getFilterChanges", json!([])),
        ("eth_getFilterChanges", json!([1])),
        ("eth_newFilter", json!([])),
        ("eth_newFilter", json!([{ "fromBlock": "0x2", "toBlock": "0x1" }])),
        ("eth_newFilter", json!([{ "topics": [[1]] }])),
        ("eth_newFilter", json!([{ "fromBlock": "0x1", "blockHash": B256::ZERO }])),
    ] {
        assert_eq!(harness.error(method, params.clone()).await.0, -32602, "{method} {params}");
    }
}

#[actix_web::test]
async fn filters_are_the_same_over_http_and_websocket_and_outlive_the_socket() {
    let (mut chain, harness, mut client) = connected().await;
    let id = client.call("eth_newBlockFilter", json!([])).await["result"].clone();
    let first = chain.extend(&[]).hash();
    assert_eq!(client.call("eth_getFilterChanges", json!([id])).await["result"], json!([first]));
    drop(client);
    let second = chain.extend(&[]).hash();
    assert_eq!(changes(&harness, &id).await, [json!(second)]);
}

#[actix_web::test]
async fn a_filter_over_which_more_has_come_than_one_answer_holds_tells_it_bit_by_bit() {
    let mut chain = TestChain::new();
    let small = Harness::serve(chain.access.clone(), |config| (config.max_logs, config.max_log_blocks) = (2, 3));
    let logs = install(&small, "eth_newFilter", json!([{ "address": CONTRACT }])).await;
    let blocks = install(&small, "eth_newBlockFilter", json!([])).await;
    chain.extend(&[logging(0), logging(1), logging(2)]);
    (0..4).for_each(|_| drop(chain.extend(&[])));
    chain.extend(&[logging(3)]);
    let mut told = Vec::new();
    for expected in [2, 1, 1, 0] {
        let new = changes(&small, &logs).await;
        assert_eq!(new.len(), expected, "at most two logs and three blocks at a time");
        told.extend(new);
    }
    let large = Harness::over(&chain);
    assert_eq!(Value::from(told), large.result("eth_getLogs", json!([{ "fromBlock": "0x1" }])).await);
    for expected in [3, 3, 0] {
        assert_eq!(changes(&small, &blocks).await.len(), expected);
    }
}

#[actix_web::test]
async fn long_ranges_are_looked_through_as_well_as_short_ones() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    let logs = install(&harness, "eth_newFilter", json!([{}])).await;
    let blocks = install(&harness, "eth_newBlockFilter", json!([])).await;
    let hashes: Vec<_> = (0..70).map(|number| json!(chain.extend(&[logging(number)]).hash())).collect();
    assert_eq!(changes(&harness, &blocks).await, hashes);
    assert_eq!(changes(&harness, &logs).await.len(), 70);
    assert!(changes(&harness, &logs).await.is_empty() && changes(&harness, &blocks).await.is_empty());
}

#[actix_web::test]
async fn a_filter_that_can_tell_nothing_within_the_bounds_says_which_and_loses_nothing() {
    let mut chain = TestChain::new();
    let small = Harness::serve(chain.access.clone(), |config| config.max_log_bytes = 20);
    let id = install(&small, "eth_newFilter", json!([{}])).await;
    chain.extend(&[logging(0)]);
    for _ in 0..2 {
        let (code, message) = small.error("eth_getFilterChanges", json!([id])).await;
        assert!(code == -32000 && message.ends_with("(rpc.max_log_bytes)"), "{message}");
    }
}

#[actix_web::test]
async fn after_a_rollback_a_filter_that_told_what_is_gone_is_lost_and_another_goes_on() {
    let mut chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_filters = 12);
    let below = install(&harness, "eth_newFilter", json!([{}])).await;
    let old = chain.extend(&[logging(0)]).hash();
    let above = [
        install(&harness, "eth_newBlockFilter", json!([])).await,
        install(&harness, "eth_newFilter", json!([{}])).await,
    ];
    chain.roll_back(0);
    assert!(is_lost(&harness, &above[0]).await, "the head is below what it has told");
    let new = chain.extend(&[sign(legacy(0), &user(2)), logging(1)]).hash();
    assert_ne!(new, old);
    assert!(is_lost(&harness, &above[1]).await, "another block stands at the height that it has told");
    let logs = changes(&harness, &below).await;
    assert_eq!((logs.len(), &logs[0]["blockHash"]), (1, &json!(new)), "it has not told of what is gone");
    for _ in 0..2 {
        // One address may have three, so the places of those that are lost are free.
        install(&harness, "eth_newBlockFilter", json!([])).await;
    }
}

#[actix_web::test]
async fn a_filter_that_has_told_a_part_of_a_block_is_lost_with_it() {
    let mut chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_logs = 2);
    let id = install(&harness, "eth_newFilter", json!([{}])).await;
    chain.extend(&[logging(0), logging(1), logging(2)]);
    assert_eq!(changes(&harness, &id).await.len(), 2);
    chain.roll_back(0);
    chain.extend(&[sign(legacy(0), &user(2)), logging(1), logging(2)]);
    assert!(is_lost(&harness, &id).await, "what is left is of another block");
}

#[actix_web::test]
async fn filters_are_bounded_in_number_and_the_refusal_names_the_key() {
    let chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_filters = 12);
    let addresses: Vec<_> = (0..17u64).map(|number| json!(format!("0x{number:040x}"))).collect();
    let first = install(&harness, "eth_newFilter", json!([{ "address": addresses }])).await;
    install(&harness, "eth_newPendingTransactionFilter", json!([])).await;
    for (method, params) in [
        ("eth_newFilter", json!([{}])),
        ("eth_newBlockFilter", json!([])),
        ("eth_newPendingTransactionFilter", json!([])),
    ] {
        let (code, message) = harness.error(method, params).await;
        let begins = "too many filters: this one takes 1, your address has 3 in use and may have 3 of the 12 places";
        assert!(code == -32000 && message.starts_with(begins), "{message}");
        assert!(message.ends_with("(rpc.max_filters)"), "{message}");
    }
    assert_eq!(harness.refusals("filters").await, 3);
    assert!(!is_lost(&harness, &first).await, "one that is in use does not give way");
    harness.result("eth_uninstallFilter", json!([first])).await;
    install(&harness, "eth_newBlockFilter", json!([])).await;
    let many: Vec<_> = (0..1_001u64).map(|number| json!(format!("0x{number:040x}"))).collect();
    assert_eq!(harness.error("eth_newFilter", json!([{ "address": many }])).await.0, -32602);
}

#[actix_web::test]
async fn who_has_a_share_of_the_filters_over_http_has_it_over_a_socket_too_and_keeps_no_other_address_out() {
    let chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_filters = 8);
    install(&harness, "eth_newBlockFilter", json!([])).await;
    let mut client = Client::open(&harness, "/").await;
    let refused =
        |answer: &Value| answer["error"]["message"].as_str().is_some_and(|text| text.contains("has 2 in use"));
    assert!(client.call("eth_newFilter", json!([{}])).await["result"].is_string());
    for (other, method, params) in [
        (2, "eth_newFilter", json!([{}])),
        (3, "eth_newBlockFilter", json!([])),
        (4, "eth_newPendingTransactionFilter", json!([])),
    ] {
        assert!(refused(&client.call(method, params.clone()).await), "{method}");
        assert!(refused(&harness.call(method, params.clone()).await), "{method}");
        let answer = harness.call_from([127, 0, 0, other], method, params).await;
        assert!(answer["result"].is_string(), "{method}: {answer}");
    }
}
