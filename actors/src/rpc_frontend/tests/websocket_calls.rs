//! Calls of one WebSocket that take long, beside everything else.

use super::chain::*;
use super::harness::Harness;
use super::reading::{HERE, long_chain, refused, reluctant};
use super::socket::{Client, connected};
use crate::event_stream::Event;
use alloy_consensus::TxLegacy;
use alloy_primitives::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const SOON: Duration = Duration::from_secs(20);
/// Long enough for a call to have stepped aside, several times over.
const A_WHILE: Duration = Duration::from_millis(500);
/// From when on a call that takes long lets others pass.
const STEP_ASIDE: Duration = Duration::from_millis(50);
/// So many calls, one after the other, are answered before so many had stepped aside.
const CALLS: u64 = 100;

fn call(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A call that takes until it is let go.
fn import(id: u64) -> Value {
    call(id, "callboard_importBlock", &json!(["0x00"]))
}

fn holding_imports(harness: &Harness) -> Arc<Semaphore> {
    let held = Arc::new(Semaphore::new(0));
    *harness.import.held.lock() = Some(Arc::clone(&held));
    held
}

/// Waits until so many calls are under way.
async fn under_way(harness: &Harness, imports: usize) {
    let begun = async {
        while harness.import.received.lock().len() < imports {
            harness.get("/health/live").await;
        }
    };
    tokio::time::timeout(SOON, begun).await.expect("they are begun");
}

#[actix_web::test]
async fn a_call_that_takes_long_holds_up_no_ping_no_push_and_no_other_call() {
    let (mut chain, harness, mut client) = connected().await;
    let heads = client.subscribe(json!(["newHeads"])).await;
    let held = holding_imports(&harness);
    client.send(&import(7).to_string()).await;
    under_way(&harness, 1).await;
    client.ping(b"hear me").await;
    assert_eq!(client.message().await, (10, b"hear me".to_vec()));
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
    assert_eq!(client.pushed(&heads).await["number"], "0x1");
    assert_eq!(client.call("eth_blockNumber", json!([])).await["result"], "0x1");
    held.add_permits(1);
    let late = client.next().await;
    assert_eq!((&late["id"], &late["result"]["imported"]), (&json!(7), &json!(true)));
}

#[actix_web::test]
async fn a_connection_has_so_many_calls_under_way_and_further_ones_stay_with_the_client_while_it_is_pushed_to() {
    let (mut chain, harness, mut client) = connected().await;
    let heads = client.subscribe(json!(["newHeads"])).await;
    let held = holding_imports(&harness);
    for id in 0..10 {
        client.send(&import(id).to_string()).await;
    }
    under_way(&harness, 8).await;
    let since = Instant::now();
    while since.elapsed() < A_WHILE {
        harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
        client.pushed(&heads).await;
    }
    assert_eq!(harness.import.received.lock().len(), 8);
    held.add_permits(1);
    assert_eq!(client.next().await["result"]["imported"], true);
    under_way(&harness, 9).await;
    held.add_permits(9);
    for _ in 0..9 {
        assert_eq!(client.next().await["result"]["imported"], true);
    }
}

#[actix_web::test]
async fn long_messages_are_answered_one_at_a_time() {
    let (_chain, harness, mut client) = connected().await;
    let held = holding_imports(&harness);
    let long = |id| call(id, "callboard_importBlock", &json!([format!("0x{}", "00".repeat(40_000))]));
    client.send(&long(0).to_string()).await;
    client.send(&long(1).to_string()).await;
    under_way(&harness, 1).await;
    let since = Instant::now();
    while since.elapsed() < A_WHILE {
        harness.get("/health/live").await;
    }
    assert_eq!(harness.import.received.lock().len(), 1);
    held.add_permits(2);
    for id in [0, 1] {
        assert_eq!(client.next().await["id"], id);
    }
}

#[actix_web::test]
async fn what_a_message_subscribes_to_is_pushed_once_the_message_is_answered() {
    let (mut chain, harness, mut client) = connected().await;
    let before = client.subscribe(json!(["newHeads"])).await;
    let held = holding_imports(&harness);
    client.send(&json!([call(1, "eth_subscribe", &json!(["newHeads"])), import(2)]).to_string()).await;
    under_way(&harness, 1).await;
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
    assert_eq!(client.pushed(&before).await["number"], "0x1");
    held.add_permits(1);
    let answers = client.next().await;
    let id = answers[0]["result"].as_str().unwrap_or_else(|| panic!("a push before its answer: {answers}")).to_owned();
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
    for subscription in [&before, &id] {
        assert_eq!(client.pushed(subscription).await["number"], "0x2");
    }
}

#[actix_web::test]
async fn who_says_goodbye_while_a_call_is_under_way_gets_its_answer_first() {
    let (_chain, harness, mut client) = connected().await;
    let held = holding_imports(&harness);
    client.send(&import(1).to_string()).await;
    client.close(1000).await;
    under_way(&harness, 1).await;
    let since = Instant::now();
    while since.elapsed() < A_WHILE {
        harness.get("/health/live").await;
    }
    held.add_permits(1);
    assert_eq!(client.next().await["id"], 1);
    assert_eq!(client.closed().await, (1000, String::new()));
}

#[actix_web::test]
async fn a_socket_that_is_not_read_is_cut_and_what_it_asked_for_is_let_go_of() {
    let chain = long_chain();
    let harness = Harness::serve(chain.access.clone(), |config| config.read_within = Duration::from_millis(200));
    let mut client = Client::over(reluctant(&harness, HERE).await).await;
    client.subscribe(json!(["newHeads"])).await;
    client.send(&call(1, "eth_getBlockByNumber", &json!(["0x1", true])).to_string()).await;
    refused(&harness, "reading", 1).await;
    let gone = async {
        while harness.events.subscribers() > 0 {
            harness.get("/health/live").await;
        }
    };
    tokio::time::timeout(SOON, gone).await.expect("it is no subscriber any more");
    assert_eq!(harness.limits.answers.held(), 0);
}

#[actix_web::test]
async fn what_one_socket_has_not_read_is_counted_however_short_each_answer_is() {
    let mut chain = long_chain();
    let input = Bytes::from(vec![0; 20_000]);
    chain.extend(&[sign(TxLegacy { input, gas_limit: 2_000_000, ..legacy(8) }, &user(2))]);
    let harness = Harness::serve(chain.access.clone(), |config| config.unread_bytes = 1);
    let mut client = Client::over(reluctant(&harness, HERE).await).await;
    let held = holding_imports(&harness);
    // The first answer is long and keeps the others from being sent, each of which has some 40 KB.
    for (id, height) in (0..8).zip(["0x1", "0x2", "0x2", "0x2", "0x2", "0x2", "0x2", "0x2"]) {
        let block = call(100 + id, "eth_getBlockByNumber", &json!([height, true]));
        client.send(&json!([import(id), block]).to_string()).await;
    }
    under_way(&harness, 8).await;
    held.add_permits(1);
    let counted = async {
        while harness.limits.answers.held() == 0 {
            harness.get("/health/live").await;
        }
    };
    tokio::time::timeout(SOON, counted).await.expect("one alone is longer than the budget, and passes");
    held.add_permits(7);
    refused(&harness, "unread", 6).await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(client.next().await);
    }
    assert!(answers[0][1]["result"].is_object(), "the long one");
    let (given, refused): (Vec<_>, Vec<_>) =
        answers[1..].iter().map(|answer| &answer[1]).partition(|answer| answer["result"].is_object());
    assert_eq!((given.len(), refused.len()), (1, 6), "64 KiB of a connection are not counted");
    assert!(refused.iter().all(|answer| answer["error"]["message"].to_string().contains("rpc.limit.unread_bytes")));
    assert!(client.call("eth_getBlockByNumber", json!(["0x2", true])).await["result"].is_object(), "who has read");
    assert_eq!(harness.limits.answers.held(), 0);
}

#[actix_web::test]
async fn a_call_that_takes_long_lets_the_next_one_pass_after_50_ms_and_one_that_is_answered_at_once() {
    let (_chain, harness, mut client) = connected().await;
    let held = holding_imports(&harness);
    let since = Instant::now();
    client.send(&import(1).to_string()).await;
    client.send(&call(2, "eth_chainId", &json!([])).to_string()).await;
    assert_eq!(client.next().await["id"], 2, "the first is held");
    assert!(since.elapsed() >= STEP_ASIDE, "{:?}", since.elapsed());
    held.add_permits(1);
    assert_eq!(client.next().await["id"], 1);
    let since = Instant::now();
    for id in 0..CALLS {
        client.send(&call(id, "eth_chainId", &json!([])).to_string()).await;
        assert_eq!(client.next().await["id"], id);
    }
    assert!(since.elapsed() < STEP_ASIDE * CALLS as u32, "{:?}", since.elapsed());
}
