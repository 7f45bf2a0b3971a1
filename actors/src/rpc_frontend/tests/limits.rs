//! Every bound, set low: refused by its name, told with its key, counted once.

use super::chain::*;
use super::eth::busy_chain;
use super::harness::{Harness, Response};
use crate::rpc_frontend::config::RateConfig;
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::{ImportError, ImportErrorKind, PoolUnavailable, RpcConfig, SubmitError};
use alloy_primitives::{Bytes, hex};
use callboard_chain::Blame;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// One bound, how it is set low, and a request that goes beyond it.
struct Case {
    limit: Limit,
    set: fn(&mut RpcConfig),
    body: Value,
    /// The HTTP status, and the code of the JSON-RPC error.
    expected: (u16, i64),
}

fn call(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn rate(requests_per_second: u32, burst: u32) -> Option<RateConfig> {
    let number = |number| NonZeroU32::new(number).unwrap();
    Some(RateConfig { requests_per_second: number(requests_per_second), burst: number(burst), exempt: Vec::new() })
}

fn cases() -> Vec<Case> {
    let listening = || call("net_listening", json!([]));
    let logs = || call("eth_getLogs", json!([{ "fromBlock": "0x0" }]));
    let endless = || call("eth_call", json!([{ "to": ENDLESS }]));
    let traced = |tracer| call("debug_traceCall", json!([{ "to": ENDLESS }, "latest", { "tracer": tracer }]));
    vec![
        Case {
            limit: Limit::Body,
            set: |config| config.max_body_bytes = 20,
            body: listening(),
            expected: (413, -32600),
        },
        Case {
            limit: Limit::Batch,
            set: |config| config.max_batch = 1,
            body: json!([listening(), listening()]),
            expected: (200, -32600),
        },
        Case {
            limit: Limit::BatchAnswer,
            set: |config| config.max_batch_answer_bytes = 20,
            body: json!([listening()]),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::Genesis,
            set: |config| config.max_batch_answer_bytes = 20,
            body: call("callboard_genesis", json!([])),
            expected: (200, -32000),
        },
        Case { limit: Limit::LogRange, set: |config| config.max_log_blocks = 1, body: logs(), expected: (200, -32000) },
        Case { limit: Limit::Logs, set: |config| config.max_logs = 0, body: logs(), expected: (200, -32000) },
        Case { limit: Limit::LogBytes, set: |config| config.max_log_bytes = 20, body: logs(), expected: (200, -32000) },
        Case {
            limit: Limit::CallGas,
            set: |config| config.call_gas = 100_000,
            body: endless(),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::CallGas,
            set: |config| config.call_gas = 100_000,
            body: call("eth_estimateGas", json!([{ "to": ENDLESS }])),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::CallTime,
            set: |config| (config.call_time, config.call_gas) = (Duration::ZERO, 1_000_000_000),
            body: endless(),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::CallTime,
            set: |config| config.call_time = Duration::ZERO,
            body: logs(),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::CallTime,
            set: |config| config.call_time = Duration::ZERO,
            body: call("eth_feeHistory", json!(["0x3", "latest", []])),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::TraceSteps,
            set: |config| config.trace.steps = 1_000,
            body: traced("noopTracer"),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::TraceBytes,
            set: |config| config.trace.bytes = 10_000,
            body: traced(""),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::TraceBytes,
            set: |config| config.trace.bytes = 20,
            body: call("debug_traceTransaction", json!([busy_chain().1[0].tx_hash(), { "tracer": "callTracer" }])),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::TraceTime,
            set: |config| (config.trace.time, config.call_gas) = (Duration::ZERO, 1_000_000_000),
            body: traced("noopTracer"),
            expected: (200, -32000),
        },
        Case {
            limit: Limit::Burst,
            set: |config| config.rate = rate(1, 2),
            body: json!([listening(), listening(), 1]),
            expected: (200, -32600),
        },
    ]
}

#[actix_web::test]
async fn each_bound_refuses_by_its_name_and_is_counted_once() {
    let (chain, _) = busy_chain();
    for Case { limit, set, body, expected } in cases() {
        let harness = Harness::serve(chain.access.clone(), set);
        let answer = harness.post("/", body.to_string()).await;
        let json = answer.json();
        let error = json.get(0).unwrap_or(&json)["error"].clone();
        assert_eq!((answer.status, error["code"].as_i64().unwrap()), expected, "{limit:?}: {error}");
        let key = format!("({})", limit.key().unwrap());
        assert!(error["message"].as_str().unwrap().ends_with(&key), "{limit:?}: {error}");
        assert_eq!(harness.refusals(limit.name()).await, 1, "{limit:?}");
    }
    // Those whose request is no JSON-RPC call, or takes more than one, have tests of their own.
    let elsewhere = [
        Limit::BodyTime,      // hostile::a_body_that_does_not_come_is_given_up
        Limit::ImportBody,    // rest::an_import_body_is_bounded_by_the_chains_block_size
        Limit::BatchTime,     // thirty seconds of calls
        Limit::Traces,        // gate::a_trace_too_many_waits_its_turn_and_is_then_refused_by_its_key
        Limit::Connections,   // guards::only_connections_over_the_limit_are_refused_and_probes_never_are
        Limit::PoolContent,   // txpool::what_is_too_long_for_an_answer_is_refused_and_not_cut
        Limit::Filters,       // filters::filters_are_bounded_in_number_and_the_refusal_names_the_key
        Limit::Subscriptions, // websocket::subscriptions_are_for_sockets_bounded_and_named
        Limit::Requests,      // below
        Limit::Imports,       // below
        Limit::Busy,          // below
        Limit::Reading,       // reading::a_client_that_does_not_read_is_cut_and_what_it_asked_for_is_let_go_of
        Limit::Unread,        // reading::answers_that_nobody_reads_take_no_more_than_their_budget
        Limit::Host,          // below
        Limit::Origin,        // guards::pages_of_other_sites_are_let_in_only_as_configured
        Limit::ContentType,   // below
    ];
    let names = |limits: &[Limit]| limits.iter().map(|limit| limit.name()).collect::<BTreeSet<_>>();
    let tested: Vec<_> = cases().iter().map(|case| case.limit).chain(elsewhere).collect();
    assert_eq!(names(&tested), names(&Limit::ALL));
}

#[actix_web::test]
async fn what_the_headers_refuse_is_counted() {
    let harness = Harness::start();
    let json = ("Content-Type", "application/json");
    for (limit, status, headers) in [
        (Limit::Host, 403, &[json, ("Host", "evil.example")][..]),
        (Limit::ContentType, 415, &[("Content-Type", "text/plain")]),
    ] {
        assert_eq!(harness.request("POST", "/", headers, b"{}").await.status, status);
        assert_eq!(harness.refusals(limit.name()).await, 1, "{limit:?}");
    }
}

#[actix_web::test]
async fn who_is_busy_or_does_not_answer_is_503_and_says_when_to_come_back() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    *harness.pool.refusal.lock() = Some(SubmitError::Unavailable(PoolUnavailable("its mailbox is full".to_owned())));
    let raw = hex::encode_prefixed(encoded(&sign(legacy(0), &user(4))));
    let answer = harness.post("/rpc/transactions", json!({ "raw": raw }).to_string()).await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"), "{}", answer.body);
    assert_eq!(harness.refusals("busy").await, 1);
    *harness.pool.refusal.lock() = Some(SubmitError::Refused("nonce too low: next nonce 1, tx nonce 0".to_owned()));
    let answer = harness.post("/rpc/transactions", json!({ "raw": raw }).to_string()).await;
    assert_eq!((answer.status, answer.headers.get("retry-after")), (422, None));

    let (check, message) = ("busy".to_owned(), "the importer is busy".to_owned());
    let (expected, actual) = (String::new(), String::new());
    let error = ImportError { kind: ImportErrorKind::Busy, check, expected, actual, message, blame: Blame::Nobody };
    *harness.import.answer.lock() = Err(error);
    let answer = harness.post("/rpc/importBlock", r#"{"raw":"0x00"}"#).await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"));
    assert_eq!(harness.error("callboard_importBlock", json!(["0x00"])).await.0, -32000);
    assert_eq!(harness.refusals("busy").await, 3);
}

fn encoded(transaction: &callboard_chain::Transaction) -> Vec<u8> {
    use alloy_eips::eip2718::Encodable2718;
    transaction.encoded_2718()
}

#[actix_web::test]
async fn who_asks_too_often_is_429_with_retry_after_over_every_way_of_asking() {
    let (chain, _) = busy_chain();
    let start = || Harness::serve(chain.access.clone(), |config| config.rate = rate(1, 3));
    let listening = call("net_listening", json!([]));
    let assert_refused = |answer: &Response| {
        assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (429, "1"), "{}", answer.body);
        assert!(answer.body.contains("(rpc.limit.requests_per_second)"), "{}", answer.body);
    };

    let harness = start();
    for _ in 0..3 {
        assert_eq!(harness.get("/rpc/head").await.status, 200);
    }
    assert_refused(&harness.get("/rpc/head").await);
    let single = harness.post("/", listening.to_string()).await;
    assert_refused(&single);
    assert_eq!((&single.json()["id"], &single.json()["error"]["code"]), (&json!(1), &json!(-32000)));
    assert_refused(&harness.post("/", "{").await);
    assert_eq!(harness.get("/health/live").await.status, 200);
    assert_eq!(harness.refusals("requests").await, 3);

    let harness = start();
    assert_eq!(harness.post("/", json!([listening, 5, listening]).to_string()).await.status, 200);
    assert_refused(&harness.post("/", listening.to_string()).await);
}

#[actix_web::test]
async fn posted_blocks_are_never_counted_as_requests() {
    let (chain, _) = busy_chain();
    let harness = Harness::serve(chain.access.clone(), |config| config.rate = rate(1, 1));
    let import = call("callboard_importBlock", json!(["0x00"]));
    for _ in 0..5 {
        assert_eq!(harness.post("/rpc/importBlock", r#"{"raw":"0x00"}"#).await.status, 200);
        assert_eq!(harness.post("/", import.to_string()).await.status, 200);
        assert_eq!(harness.post("/", json!([import, import]).to_string()).await.status, 200);
    }
    assert_eq!(harness.get("/rpc/head").await.status, 200);
    assert_eq!(harness.get("/rpc/head").await.status, 429);
}

#[actix_web::test]
async fn exempt_addresses_are_not_limited() {
    let (chain, _) = busy_chain();
    let exempt = vec!["127.0.0.1".parse().unwrap()];
    let set = |config: &mut RpcConfig| config.rate = rate(1, 1).map(|rate| RateConfig { exempt, ..rate });
    let harness = Harness::serve(chain.access.clone(), set);
    for _ in 0..5 {
        assert_eq!(harness.get("/rpc/head").await.status, 200);
    }
}

#[actix_web::test]
async fn imports_over_the_limit_are_counted_and_told_over_json_rpc_as_well() {
    let harness = Harness::serve(TestChain::new().access.clone(), |config| config.import_blocks_per_second = 1);
    let body = call("callboard_importBlock", json!(["0x00"])).to_string();
    let mut answers: futures_util::stream::FuturesUnordered<_> = (0..13).map(|_| harness.post("/", &body)).collect();
    while let Some(answer) = futures_util::StreamExt::next(&mut answers).await {
        if answer.status == 429 {
            assert_eq!(answer.headers["retry-after"], "1");
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.ends_with("(rpc.limit.import_blocks_per_second)"), "{message}");
            assert!(harness.refusals("imports").await >= 1);
            return;
        }
    }
    panic!("thirteen blocks at one a second: somebody waits longer than ten seconds");
}

/// Clients that announce a body and send one byte of it.
async fn dripping(harness: &Harness, count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(harness.server.address()).await.unwrap();
        let head = "POST /rpc/importBlock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        stream.write_all(format!("{head}Content-Length: 1000000\r\n\r\n{{").as_bytes()).await.unwrap();
        clients.push(stream);
    }
    clients
}

#[actix_web::test]
async fn clients_that_drip_their_blocks_keep_nobody_waiting() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let _clients = dripping(&harness, 5).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), harness.post("/rpc/importBlock", r#"{"raw":"0x00"}"#));
    assert_eq!(answer.await.expect("an answer at once").status, 200);
}

#[actix_web::test]
async fn blocks_that_are_being_imported_hold_no_place_that_others_need() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    *harness.import.endless.lock() = 5;
    let block = r#"{"raw":"0x00"}"#;
    let waiting = futures_util::future::join_all((0..5).map(|_| harness.post("/rpc/importBlock", block)));
    let another = async {
        while harness.import.received.lock().len() < 5 {
            harness.get("/health/live").await;
        }
        harness.post("/rpc/importBlock", block).await
    };
    let answer = tokio::select! {
        _ = waiting => panic!("they never end"),
        answer = tokio::time::timeout(Duration::from_secs(5), another) => answer.expect("an answer at once"),
    };
    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn a_batchs_answer_stays_within_its_bound_and_malformed_calls_are_still_named() {
    let chain = TestChain::new();
    let most = 3_000;
    let harness = Harness::serve(chain.access.clone(), |config| config.max_batch_answer_bytes = most);
    let id = |id: Value, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let block = id(json!("large"), "eth_getBlockByNumber", json!(["0x0", true]));
    let calls =
        json!([block, block, 7, id(json!("small"), "net_listening", json!([])), { "jsonrpc": "2.0", "method": "x" }]);
    let answer = harness.post("/", calls.to_string()).await;
    let answers = answer.json();
    let codes: Vec<_> =
        answers.as_array().unwrap().iter().map(|one| (one["id"].clone(), one["error"]["code"].clone())).collect();
    let refused = |id: &str| (json!(id), json!(-32000));
    let expected = [(json!("large"), Value::Null), refused("large"), (Value::Null, json!(-32600)), refused("small")];
    assert_eq!(codes, expected);
    assert!(answers[0].to_string().len() < most && answer.body.len() < 2 * most, "{}", answer.body.len());
    assert_eq!(harness.refusals("batch_answer").await, 2);
}

#[actix_web::test]
async fn a_page_of_large_transactions_is_cut_and_goes_on_where_it_ended() {
    let mut chain = TestChain::new();
    let from = user(2).address();
    let large = |nonce| {
        let input = Bytes::from(vec![0; 120_000]);
        sign(alloy_consensus::TxLegacy { input, gas_limit: 2_000_000, ..legacy(nonce) }, &user(2))
    };
    let mut hashes = Vec::new();
    for first in [0, 8, 16, 24, 32] {
        let transactions: Vec<_> = (first..first + 8).map(large).collect();
        hashes.extend(transactions.iter().map(|transaction| json!(transaction.tx_hash())));
        chain.extend(&transactions);
    }
    hashes.reverse();
    let harness = Harness::over(&chain);
    let first = harness.get(&format!("/rpc/transactions?address={from}")).await.json();
    assert_eq!((&first["count"], first["next"].is_string()), (&json!(35), true), "cut by its bytes");
    let next = first["next"].as_str().unwrap();
    let second = harness.get(&format!("/rpc/transactions?address={from}&before={next}")).await.json();
    let listed = [&first, &second].map(|page| page["transactions"].as_array().unwrap().clone()).concat();
    assert_eq!(listed.iter().map(|one| one["hash"].clone()).collect::<Vec<_>>(), hashes);
    assert_eq!(second["next"], Value::Null);
}

#[actix_web::test]
async fn what_one_listener_gives_out_the_other_has_no_more() {
    let (chain, _) = busy_chain();
    let set = |config: &mut RpcConfig| (config.rate, config.import_blocks_per_second) = (rate(1, 1), 1);
    let public = Harness::serve(chain.access.clone(), set);
    let admin = public.beside(chain.access.clone());
    assert_eq!(public.get("/rpc/head").await.status, 200);
    assert_eq!(admin.get("/rpc/head").await.status, 429);

    let block = r#"{"raw":"0x00"}"#;
    let posts = (0..13).map(|number| [&public, &admin][number % 2].post("/rpc/importBlock", block));
    let mut answers: futures_util::stream::FuturesUnordered<_> = posts.collect();
    while let Some(answer) = futures_util::StreamExt::next(&mut answers).await {
        if answer.status == 429 {
            return;
        }
    }
    panic!("thirteen blocks at one a second over two listeners: somebody waits longer than ten seconds");
}
