//! JSON-RPC 2.0: what is a request, and what is answered to what is none.

use super::chain::TestChain;
use super::harness::Harness;
use crate::rpc_frontend::jsonrpc::{Caller, MAX_ID_BYTES, answer};
use crate::rpc_frontend::unread::Reader;
use serde_json::{Value, json};
use std::future::{Future, poll_fn};
use std::pin::pin;

async fn code(harness: &Harness, body: impl AsRef<[u8]>) -> i64 {
    harness.post("/", body).await.json()["error"]["code"].as_i64().unwrap()
}

#[actix_web::test]
async fn malformed_requests_get_the_codes_of_the_standard() {
    let harness = Harness::start();
    for (body, expected) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"} x"#, -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{]"#, -32700),
        ("1", -32600),
        ("\"text\"", -32600),
        ("[]", -32600),
        ("{}", -32600),
        (r#"{"id":1,"method":"eth_chainId"}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"net_listening","method":"net_listening"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_sign"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"callboard_nothing"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_sign","params":{}}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":[]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":["no hex"]}"#, -32602),
    ] {
        assert_eq!(code(&harness, body).await, expected, "{body}");
    }
}

#[actix_web::test]
async fn hostile_bodies_are_refused_and_the_server_goes_on() {
    let harness = Harness::start();
    let bad_utf8 = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}";
    assert_eq!(code(&harness, bad_utf8).await, -32700);
    for deep in ["[".repeat(1_000_000), "{\"a\":".repeat(500_000)] {
        assert_eq!(code(&harness, deep).await, -32700);
    }
    let nested = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":[{}1{}]}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    assert_eq!(code(&harness, nested).await, -32700);
    let brackets_in_text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}\"[["}}"#, "[".repeat(100));
    assert_eq!(code(&harness, brackets_in_text).await, -32601);
    let params = |more: usize| vec![json!("0x"); 1 + more];
    assert!(harness.result("web3_sha3", json!(params(15))).await.is_string(), "what is not asked for is passed over");
    let too_many = harness.error("web3_sha3", json!(params(16))).await;
    assert_eq!(too_many, (-32602, "too many parameters: at most 16".to_owned()));
    assert_eq!(harness.result("net_listening", json!([])).await, json!(true));
}

#[actix_web::test]
async fn ids_of_any_type_come_back_as_they_were_sent() {
    let harness = Harness::start();
    for id in ["1", "\"a\\u0020b\"", "null", "1.50", "true", "{\"a\":[1]}", "[]", "123456789012345678901234567890"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"net_listening"}}"#);
        let response = harness.post("/rpc", body).await;
        assert_eq!(response.body, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":true}}"#));
        assert_eq!(response.headers["content-type"], "application/json");
    }
}

#[actix_web::test]
async fn notifications_get_no_answer() {
    let harness = Harness::start();
    let notification = r#"{"jsonrpc":"2.0","method":"net_listening"}"#;
    for body in [notification.to_owned(), format!("[{notification},{notification}]")] {
        let response = harness.post("/", body).await;
        assert_eq!((response.status, response.body.as_str()), (204, ""));
    }
    let mixed = format!(r#"[{notification},{{"jsonrpc":"2.0","id":7,"method":"net_listening"}}]"#);
    assert_eq!(harness.post("/", mixed).await.body, r#"[{"jsonrpc":"2.0","id":7,"result":true}]"#);
}

#[actix_web::test]
async fn a_batch_is_answered_in_order_each_call_for_itself() {
    let harness = Harness::start();
    let body = json!([
        { "jsonrpc": "2.0", "id": "a", "method": "net_listening" },
        1,
        { "jsonrpc": "2.0", "id": "b", "method": "no_such" },
        { "jsonrpc": "2.0", "id": "c", "method": "eth_chainId" },
    ]);
    let answer = harness.post("/", body.to_string()).await.json();
    assert_eq!(answer[1]["error"]["message"], "invalid request: a request is a JSON object");
    let codes: Vec<_> =
        answer.as_array().unwrap().iter().map(|one| (one["id"].clone(), one["error"]["code"].clone())).collect();
    assert_eq!(
        codes,
        [
            (json!("a"), Value::Null),
            (Value::Null, json!(-32600)),
            (json!("b"), json!(-32601)),
            (json!("c"), json!(-32000)),
        ]
    );
}

#[actix_web::test]
async fn a_batch_has_a_bound() {
    let harness = Harness::with(|config| config.max_batch = 3);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"net_listening"}"#;
    let full = harness.post("/", format!("[{}]", [call; 3].join(","))).await.json();
    assert_eq!(full.as_array().unwrap().len(), 3);
    let over = harness.post("/", format!("[{}]", [call; 4].join(","))).await.json();
    assert_eq!(over["error"]["code"], json!(-32600));
    assert!(over["error"]["message"].as_str().unwrap().starts_with("batch too large"), "{over}");
}

#[actix_web::test]
async fn a_body_has_a_bound() {
    let harness = Harness::with(|config| config.max_body_bytes = 200);
    let response = harness.post("/", " ".repeat(201)).await;
    assert_eq!(response.status, 413);
    assert_eq!(
        response.json()["error"]["message"],
        "request body too large: at most 200 bytes; a longer block is posted to /rpc/importBlock (rpc.max_body_bytes)"
    );
    let mut call = r#"{"jsonrpc":"2.0","id":1,"method":"net_listening"}"#.to_owned();
    call.push_str(&" ".repeat(200 - call.len()));
    assert_eq!(harness.post("/", call).await.json()["result"], json!(true));
}

#[actix_web::test]
async fn unknown_methods_are_named_as_clients_match_it() {
    let harness = Harness::start();
    // What clients probe for. Of eth_fillTransaction viem takes nothing but exactly this as "there is none".
    for method in [
        "eth_sign",
        "eth_signTransaction",
        "eth_signTypedData_v4",
        "eth_sendTransaction",
        "eth_fillTransaction",
        "eth_getAccountInfo",
        "personal_sign",
        "personal_unlockAccount",
        "anvil_nodeInfo",
        "hardhat_metadata",
        "eth_simulateV1",
        "ots_getApiLevel",
        "trace_transaction",
        "evm_snapshot",
        "web3_unknown",
        "rpc_modules",
    ] {
        let error = harness.error(method, json!([])).await;
        assert_eq!(error, (-32601, format!("the method {method} does not exist/is not available")));
    }
}

#[actix_web::test]
async fn before_the_genesis_is_known_the_chain_is_not_invented() {
    let harness = Harness::start();
    for method in ["eth_chainId", "eth_blockNumber", "eth_accounts", "net_version", "eth_gasPrice", "callboard_genesis"]
    {
        assert_eq!(harness.error(method, json!([])).await, (-32000, "genesis not known yet".to_owned()), "{method}");
    }
    let head = harness.get("/rpc/head").await;
    assert_eq!((head.status, head.error()), (503, "genesis not known yet".to_owned()));
    assert_eq!(harness.post("/rpc/importBlock", "{}").await.status, 503);
    assert!(harness.result("web3_clientVersion", json!([])).await.as_str().unwrap().starts_with("Callboard/v"));
    assert_eq!(harness.result("callboard_syncStatus", json!([])).await["phase"], "following");
}

#[actix_web::test]
async fn every_listed_method_is_dispatched() {
    let harness = Harness::start();
    for method in crate::rpc_frontend::eth::METHODS.iter().chain(crate::rpc_frontend::callboard::METHODS) {
        let answer = harness.call(method, json!([])).await;
        assert_ne!(answer["error"]["code"], json!(-32601), "{method}");
    }
}

#[actix_web::test]
async fn requests_are_counted_by_known_names_only() {
    let harness = Harness::start();
    harness.result("net_listening", json!([])).await;
    harness.error("made_up_by_a_stranger", json!([])).await;
    let metrics = harness.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains(r#"callboard_rpc_requests_total{method="net_listening",outcome="ok"} 1"#));
    assert!(metrics.body.contains(r#"callboard_rpc_requests_total{method="unknown",outcome="error"} 1"#));
    assert!(metrics.body.contains("callboard_rpc_seconds_count{method=\"net_listening\"} 1"));
    assert!(!metrics.body.contains("stranger"));
}

fn batch_of(calls: usize, method: &str) -> String {
    let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
    format!("[{}]", vec![call; calls].join(","))
}

/// Each is answered without a wait, so that nothing else would run on a server's thread before the last of them.
#[actix_web::test]
async fn a_long_batch_of_small_calls_makes_way_for_others() {
    let frontend = Harness::frontend(&TestChain::new(), |_| ());
    let body = batch_of(1_000, "eth_blockNumber");
    let caller = Caller { from: None, reader: &Reader::at(None), subscriptions: None };
    let mut answering = pin!(answer(&frontend, body.as_bytes(), caller));
    let mut ways = 0;
    let reply = poll_fn(|context| {
        let polled = answering.as_mut().poll(context);
        ways += u32::from(polled.is_pending());
        polled
    })
    .await;
    assert_eq!(
        reply.text.unwrap().len(),
        "[]".len() + 999 + 1_000 * r#"{"jsonrpc":"2.0","id":1,"result":"0x0"}"#.len()
    );
    assert!(ways >= 1, "a thousand calls take longer than a turn");
}

/// A call is answered with its id, also where there is no room for its result.
#[actix_web::test]
async fn refusals_of_a_batch_that_has_become_too_long_are_counted_with_it() {
    let frontend = Harness::frontend(&TestChain::new(), |config| config.unread_bytes = 8 << 20);
    let (budget, reader) = (&frontend.limits.answers, Reader::at(None));
    let caller = Caller { from: None, reader: &reader, subscriptions: None };
    let other = budget.room_for(&reader, 100 << 10).unwrap();
    let held = budget.held();
    let body = batch_of(1_000, "callboard_genesis");
    let reply = answer(&frontend, body.as_bytes(), caller).await;
    let text = reply.text.unwrap();
    assert!(budget.held() - held >= text.len(), "{} bytes, {} counted", text.len(), budget.held() - held);
    drop(reply.room);
    assert_eq!(budget.held(), held);

    let rest = budget.room_for(&reader, (2 << 20) - (200 << 10)).unwrap();
    let mut reply = answer(&frontend, body.as_bytes(), caller).await;
    let text = reply.text.as_mut().unwrap().piece(usize::MAX).unwrap();
    let refused: Value = serde_json::from_slice(&text).unwrap();
    assert!(refused["id"].is_null(), "no room for a refusal of each call: {refused}");
    assert!(refused["error"]["message"].as_str().unwrap().ends_with("(rpc.limit.unread_bytes)"), "{refused}");
    drop((other, rest));
}

#[actix_web::test]
async fn an_id_that_would_make_the_answer_long_is_refused() {
    let harness = Harness::start();
    for (bytes, expected) in [(MAX_ID_BYTES, Value::Null), (MAX_ID_BYTES + 1, json!(-32600))] {
        let id = "x".repeat(bytes - 2);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "net_listening" });
        let answer = harness.post("/", body.to_string()).await.json();
        assert_eq!(answer["error"]["code"], expected);
        assert_eq!(answer["id"].is_null(), !expected.is_null(), "{answer}");
    }
}
