//! JSON-RPC over WebSocket, frame by frame.

use super::chain::*;
use super::harness::Harness;
use super::socket::{Client, connected};
use crate::callboard::{Phase, Role};
use crate::event_stream::Event;
use crate::rpc_frontend::ChainAccess;
use crate::sync_coordinator::{SyncReport, TargetReport};
use crate::tx_pool::PooledTransaction;
use alloy_primitives::{B256, U256};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[actix_web::test]
async fn every_method_is_answered_as_over_http_on_both_paths() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    for path in ["/", "/rpc"] {
        let mut client = Client::open(&harness, path).await;
        assert_eq!(client.call("eth_chainId", json!([])).await["result"], "0x539");
        let block = harness.call("eth_getBlockByNumber", json!(["0x0", true])).await;
        assert_eq!(client.call("eth_getBlockByNumber", json!(["0x0", true])).await, block);
        for (method, params) in [
            ("debug_traceBlockByNumber", json!(["0x0"])),
            ("debug_traceCall", json!([{ "to": CONTRACT }, "latest", { "tracer": "callTracer" }])),
            ("debug_getRawHeader", json!(["0x0"])),
            ("rpc.discover", json!([])),
        ] {
            let over_http = harness.call(method, params.clone()).await;
            assert_eq!(client.call(method, params).await, over_http, "{method}");
        }
        client.send("[{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"eth_blockNumber\"},1]").await;
        let batch = client.next().await;
        assert_eq!((&batch[0]["id"], &batch[0]["result"]), (&json!("a"), &json!("0x0")));
        assert_eq!(batch[1]["error"]["code"], -32600);
        client.send("{").await;
        assert_eq!(client.next().await["error"]["code"], -32700);
    }
}

#[actix_web::test]
async fn long_answers_and_requests_are_one_message_each() {
    let (_chain, _harness, mut client) = connected().await;
    let data = format!("0x{}", "00".repeat(300_000));
    assert!(client.call("web3_sha3", json!([data])).await["result"].is_string());
    let calls: Vec<_> = (0..50)
        .map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["0x0", true] }))
        .collect();
    client.send(&json!(calls).to_string()).await;
    assert_eq!(client.next().await.as_array().unwrap().len(), 50);
}

#[actix_web::test]
async fn heads_and_logs_are_pushed_in_the_shapes_of_the_answers() {
    let (mut chain, harness, mut client) = connected().await;
    let heads = client.subscribe(json!(["newHeads"])).await;
    let topic = format!("0x{:064x}", 7);
    // As cast sends it: with a range, which says nothing about what is to come.
    let filter = json!({ "address": CONTRACT, "topics": [topic], "fromBlock": "0x0", "toBlock": "latest" });
    let logs = client.subscribe(json!(["logs", filter])).await;
    let none = client.subscribe(json!(["logs", { "address": user(2).address() }])).await;
    assert!(heads != logs && logs != none);

    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[sign(dynamic(0), &user(2))])]));
    let mut block = harness.result("eth_getBlockByNumber", json!(["0x1", false])).await;
    for member in ["transactions", "uncles", "withdrawals"] {
        block.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(client.pushed(&heads).await, block);
    let log = harness.result("eth_getLogs", json!([{ "fromBlock": "0x1" }])).await[0].clone();
    assert_eq!(log["removed"], false);
    assert_eq!(client.pushed(&logs).await, log);

    assert_eq!(client.call("eth_unsubscribe", json!([logs])).await["result"], true);
    assert_eq!(client.call("eth_unsubscribe", json!([logs])).await["result"], false);
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[sign(dynamic(1), &user(2))])]));
    assert_eq!(client.pushed(&heads).await["number"], "0x2");
    assert_eq!(client.call("eth_blockNumber", json!([])).await["result"], "0x2");
}

#[actix_web::test]
async fn a_form_that_is_written_is_what_every_subscription_of_every_socket_gets() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    let block = Event::blocks(&[chain.extend_durably(&[])]);
    let Event::Blocks(blocks) = &block else { panic!("{block:?}") };
    // Whoever wrote it anew would write a header.
    blocks[0].forms.head.set("\"written before\"".into()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::open(&harness, "/").await;
        let ids = [client.subscribe(json!(["newHeads"])).await, client.subscribe(json!(["newHeads"])).await];
        clients.push((client, ids));
    }
    harness.events.publish(&block);
    for (client, ids) in &mut clients {
        for id in ids {
            assert_eq!(client.pushed(id).await, "written before");
        }
    }
}

#[actix_web::test]
async fn the_answer_to_a_subscription_comes_before_what_it_pushes() {
    let (mut chain, harness, mut client) = connected().await;
    let block = Event::blocks(&[chain.extend_durably(&[])]);
    for _ in 0..20 {
        let subscribe = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"] });
        client.send(&subscribe.to_string()).await;
        harness.events.publish(&block);
        let answer = client.next().await;
        let id = answer["result"].as_str().unwrap_or_else(|| panic!("a push before its answer: {answer}"));
        let unsubscribe = json!({ "jsonrpc": "2.0", "id": 2, "method": "eth_unsubscribe", "params": [id] });
        client.send(&unsubscribe.to_string()).await;
        // The block may be pushed before this answer, never after it.
        while client.next().await["id"] != 2 {}
    }
}

#[actix_web::test]
async fn pending_transactions_are_pushed_as_hashes_or_bodies() {
    let (_chain, harness, mut client) = connected().await;
    let hashes = client.subscribe(json!(["newPendingTransactions"])).await;
    let bodies = client.subscribe(json!(["newPendingTransactions", true])).await;
    let transaction = sign(legacy(0), &user(2));
    let hash = *transaction.tx_hash();
    let pooled = PooledTransaction {
        transaction: Arc::new(transaction),
        sender: user(2).address(),
        bytes: 100,
        cost: U256::ZERO,
        arrival: 0,
        arrived: Duration::ZERO,
        equal_offers: 0,
    };
    harness.events.publish(&Event::pending(pooled));
    assert_eq!(client.pushed(&hashes).await, json!(hash));
    let body = client.pushed(&bodies).await;
    assert_eq!((&body["hash"], &body["from"]), (&json!(hash), &json!(user(2).address())));
    assert_eq!((&body["blockNumber"], &body["nonce"]), (&Value::Null, &json!("0x0")));
}

#[actix_web::test]
async fn receipts_are_pushed_for_each_block_or_for_the_transactions_that_are_named() {
    let (mut chain, harness, mut client) = connected().await;
    let transactions = [sign(legacy(0), &user(2)), sign(dynamic(0), &user(3)), sign(legacy(1), &user(2))];
    let hashes = transactions.each_ref().map(|transaction| *transaction.tx_hash());
    let all = client.subscribe(json!(["transactionReceipts"])).await;
    let named = client.subscribe(json!(["transactionReceipts", { "transactionHashes": [hashes[1]] }])).await;
    for block in [&transactions[..2], &[], &transactions[2..]] {
        harness.events.publish(&Event::blocks(&[chain.extend_durably(block)]));
    }
    let receipts = harness.result("eth_getBlockReceipts", json!(["0x1"])).await;
    assert_eq!(client.pushed(&all).await, receipts);
    assert_eq!(client.pushed(&named).await, json!([receipts[1]]));
    let last = harness.result("eth_getTransactionReceipt", json!([hashes[2]])).await;
    assert_eq!(client.pushed(&all).await, json!([last]), "nothing for a block without transactions");
    let many: Vec<_> = (0..201u64).map(|number| B256::left_padding_from(&number.to_be_bytes())).collect();
    let error = client.call("eth_subscribe", json!(["transactionReceipts", { "transactionHashes": many }])).await;
    assert_eq!(error["error"]["code"], -32602, "and nothing was pushed for the named one again");
}

#[actix_web::test]
async fn subscriptions_are_for_sockets_bounded_and_named() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    for method in ["eth_subscribe", "eth_unsubscribe"] {
        let expected = (-32601, "notifications not supported".to_owned());
        assert_eq!(harness.error(method, json!(["newHeads"])).await, expected);
    }
    let mut client = Client::open(&harness, "/").await;
    let error = client.call("eth_subscribe", json!(["weather"])).await["error"].clone();
    assert_eq!((&error["code"], error["message"].as_str().unwrap().contains("weather")), (&json!(-32602), true));
    let many: Vec<_> = (0..1_001u64).map(|number| json!(format!("0x{number:040x}"))).collect();
    let error = client.call("eth_subscribe", json!(["logs", { "address": many }])).await["error"].clone();
    assert_eq!(error["code"], -32602, "{error}");
    let calls: Vec<_> = (0..1_024).map(subscribe).collect();
    for calls in calls.chunks(1_000) {
        client.send(&json!(calls).to_string()).await;
        assert!(client.next().await.as_array().unwrap().iter().all(|answer| answer["result"].is_string()));
    }
    let error = client.call("eth_subscribe", json!(["newHeads"])).await["error"].clone();
    assert_eq!(error["message"], "too many subscriptions: at most 1024 on a connection (rpc.max_subscriptions)");
    assert_eq!((&error["code"], harness.refusals("subscriptions").await), (&json!(-32000), 1));
}

#[actix_web::test]
async fn a_socket_does_not_open_before_the_chain_is_there_so_that_its_client_tries_again() {
    let (chain, access) = (TestChain::new(), ChainAccess::new());
    let harness = Harness::serve(access.clone(), |_| ());
    for path in ["/", "/rpc"] {
        let (status, _) = Client::try_open(&harness, path, "").await;
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    }
    let upgrade = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    let refused = harness.request("GET", "/", &upgrade, b"").await;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"));
    access.open(chain.access.chain().unwrap().clone());
    assert!(Client::open(&harness, "/").await.call("eth_subscribe", json!(["newHeads"])).await["result"].is_string());
}

fn subscribe(id: u32) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "eth_subscribe", "params": ["newHeads"] })
}

#[actix_web::test]
async fn a_socket_hears_why_it_is_closed() {
    let mut chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_body_bytes = 2_000);
    let mut large = Client::open(&harness, "/").await;
    large.send(&"x".repeat(2_001)).await;
    assert_eq!(large.closed().await, (1009, "message too large: at most 2000 bytes (rpc.max_body_bytes)".to_owned()));

    harness.events.allow_waiting(0);
    let mut slow = Client::open(&harness, "/").await;
    slow.subscribe(json!(["newHeads"])).await;
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
    let (code, reason) = slow.closed().await;
    assert_eq!((code, reason.as_str()), (1013, "too slow: more than 0 events were waiting to be read"));

    let mut waiting = Client::open(&harness, "/").await;
    waiting.subscribe(json!(["newHeads"])).await;
    harness.events.stop();
    assert_eq!(waiting.closed().await, (1001, "the node is stopping".to_owned()));
}

#[actix_web::test]
async fn a_page_of_another_site_gets_no_socket() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let (status, _) = Client::try_open(&harness, "/", "Origin: http://evil.example\r\n").await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    let (status, _) = Client::try_open(&harness, "/", "Origin: http://localhost\r\n").await;
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
}

#[actix_web::test]
async fn a_close_is_answered_with_the_code_it_came_with() {
    let (_chain, harness, mut client) = connected().await;
    // FIN and opcode 8, masked with zeros: code 1000 and a reason.
    client.0.write_all(&[0x88, 0x80 | 5, 0, 0, 0, 0, 0x03, 0xe8, b'b', b'y', b'e']).await.unwrap();
    assert_eq!(client.closed().await, (1000, String::new()));
    let mut silent = Client::open(&harness, "/").await;
    silent.0.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    let (kind, payload) = silent.message().await;
    assert_eq!((kind, payload.len()), (8, 0), "a close without a code is answered by one without a code");
}

fn catching_up(from: u64, at: u64, to: u64) -> Event {
    let mut report = SyncReport::before_genesis(Role::Follower);
    report.phase = Phase::CatchingUp;
    report.catching_up_from = from;
    report.head.height = at;
    report.target = Some(TargetReport { height: to, hash: B256::ZERO, peer: "peer".to_owned() });
    Event::sync(report)
}

fn following() -> Event {
    let mut report = SyncReport::before_genesis(Role::Follower);
    report.phase = Phase::Following;
    Event::sync(report)
}

#[actix_web::test]
async fn catching_up_is_pushed_as_it_goes_on_and_its_end_once() {
    let (_chain, harness, mut client) = connected().await;
    let id = client.subscribe(json!(["syncing"])).await;
    for event in
        [following(), catching_up(2, 3, 16), catching_up(2, 3, 16), catching_up(2, 5, 16), following(), following()]
    {
        harness.events.publish(&event);
    }
    for current in ["0x3", "0x5"] {
        let status = json!({ "startingBlock": "0x2", "currentBlock": current, "highestBlock": "0x10" });
        assert_eq!(client.pushed(&id).await, json!({ "syncing": true, "status": status }));
    }
    assert_eq!(client.pushed(&id).await, json!(false));
    assert_eq!(client.call("eth_blockNumber", json!([])).await["result"], "0x0", "and nothing after it");
}
