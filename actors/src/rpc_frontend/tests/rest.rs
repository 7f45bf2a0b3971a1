//! The routes of operators' scripts.

use super::chain::{GENESIS_TIME, TestChain, legacy, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use crate::rpc_frontend::{ImportError, ImportErrorKind, Imported};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use callboard_chain::{Blame, Block};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[actix_web::test]
async fn the_head_has_the_fields_that_scripts_read() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let head = harness.get("/rpc/head").await.json();
    let block = harness.result("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(
        head,
        json!({
            "height": 2,
            "hash": block["hash"],
            "timestamp": "2023-11-14T22:13:22Z",
            "tx_count": 1,
            "state_root": block["stateRoot"],
        })
    );
    assert_eq!(GENESIS_TIME, 1_700_000_000, "the timestamp above is two seconds later");
}

#[actix_web::test]
async fn a_range_has_both_ends_and_every_transaction() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let page = harness.get("/rpc/blocks-range?start=0&end=2").await.json();
    assert_eq!((&page["success"], &page["count"], &page["next"]), (&json!(true), &json!(3), &Value::Null));
    let block = &page["blocks"][1];
    let raw: Bytes = serde_json::from_value(block["raw"].clone()).unwrap();
    let decoded = Block::decode(raw).unwrap();
    assert_eq!(json!(decoded.hash()), block["hash"]);
    assert_eq!(page["blocks"][2]["parent_hash"], block["hash"]);
    let first = &block["transactions"][0];
    assert_eq!(first["tx_hash"], json!(transactions[0].tx_hash()));
    assert_eq!((&first["hash"], &first["block_height"], &first["index"]), (&first["tx_hash"], &json!(1), &json!(0)));
    assert_eq!((&first["sender"], &first["recipient"]), (&json!(user(2).address()), &json!(user(3).address())));
    assert_eq!((&first["value"], &first["nonce"], &first["status"]), (&json!("1000"), &json!(0), &json!("confirmed")));
    assert_eq!(first["timestamp"], "2023-11-14T22:13:21Z");
    let bare = harness.get("/rpc/blocks-range?start=1&end=1&include_tx=false").await.json();
    assert_eq!((&bare["count"], &bare["blocks"][0]["tx_count"]), (&json!(1), &json!(2)));
    assert!(bare["blocks"][0].get("raw").is_none() && bare["blocks"][0].get("transactions").is_none());
}

#[actix_web::test]
async fn ranges_are_bounded_and_say_where_to_go_on() {
    let mut chain = TestChain::new();
    for nonce in 0..4 {
        chain.extend(&[sign(legacy(nonce), &user(2))]);
    }
    let harness = Harness::over(&chain);
    let (mut next, mut heights) = (json!(0), Vec::new());
    while let Some(start) = next.as_u64() {
        let page = harness.get(&format!("/rpc/blocks-range?start={start}&end=99&limit=2")).await.json();
        let blocks = page["blocks"].as_array().unwrap().clone();
        assert!(!blocks.is_empty() && blocks.len() <= 2);
        heights.extend(blocks.iter().map(|block| block["height"].as_u64().unwrap()));
        next = page["next"].clone();
    }
    assert_eq!(heights, [0, 1, 2, 3, 4]);
    let beyond = harness.get("/rpc/blocks-range?start=5&end=9").await.json();
    assert_eq!(beyond, json!({ "success": true, "blocks": [], "count": 0, "next": null }));
    for query in ["start=2&end=1", "start=-1", "start=a", "include_tx=perhaps"] {
        let response = harness.get(&format!("/rpc/blocks-range?{query}")).await;
        assert_eq!((response.status, response.json()["success"].clone()), (400, json!(false)), "{query}");
    }
    let far = harness.get(&format!("/rpc/blocks-range?start=0&end={}&limit={}", u64::MAX, u64::MAX)).await;
    assert_eq!(far.json()["count"], json!(5));
}

#[actix_web::test]
async fn an_import_passes_the_canonical_bytes_on() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let block = harness.get("/rpc/blocks-range?start=1&end=1").await.json()["blocks"][0].clone();
    let hash: B256 = serde_json::from_value(block["hash"].clone()).unwrap();
    for imported in [true, false] {
        *harness.import.answer.lock() = Ok(Imported { imported, height: 1, hash });
        let answer = harness.post("/rpc/importBlock", block.to_string()).await;
        let expected = json!({ "success": true, "imported": imported, "height": 1, "hash": hash });
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
    let only_raw = json!({ "raw": block["raw"] });
    assert_eq!(harness.post("/rpc/importBlock", only_raw.to_string()).await.status, 200);
    let raw: Bytes = serde_json::from_value(block["raw"].clone()).unwrap();
    assert_eq!(*harness.import.received.lock(), vec![raw; 3]);
}

#[actix_web::test]
async fn a_field_that_disagrees_with_raw_is_named() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let block = harness.get("/rpc/blocks-range?start=1&end=1").await.json()["blocks"][0].clone();
    for (pointer, wrong) in [
        ("/height", json!(7)),
        ("/hash", json!(B256::ZERO)),
        ("/parent_hash", json!(B256::ZERO)),
        ("/timestamp", json!("2023-11-14T22:13:29Z")),
        ("/proposer", json!(user(2).address())),
        ("/state_root", json!(B256::ZERO)),
        ("/tx_count", json!(0)),
        ("/transactions", json!([])),
        ("/transactions", Value::Null),
        ("/transactions/0/tx_hash", json!(B256::ZERO)),
        ("/transactions/0/hash", json!(B256::ZERO)),
        ("/transactions/0/block_height", json!(7)),
        ("/transactions/0/index", json!(7)),
        ("/transactions/0/sender", json!(user(4).address())),
        ("/transactions/0/recipient", json!(user(4).address())),
        ("/transactions/0/value", json!("7")),
        ("/transactions/0/nonce", json!(7)),
        ("/transactions/0/data", json!("0x07")),
        ("/transactions/0/timestamp", json!("2023-11-14T22:13:29Z")),
        ("/transactions/0/timestamp", Value::Null),
        ("/transactions/0/recipient", Value::Null),
        ("/transactions/0/sender", Value::Null),
        ("/hash", Value::Null),
    ] {
        let mut changed = block.clone();
        *changed.pointer_mut(pointer).unwrap() = wrong;
        let answer = harness.post("/rpc/importBlock", changed.to_string()).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["check"]), (422, &json!("field_mismatch")), "{pointer}: {error}");
        let field = pointer.trim_start_matches('/').replace("/0/", "[0].");
        assert!(error["message"].as_str().unwrap().contains(&format!("the field {field} disagrees")), "{error}");
        assert_ne!(error["expected"], error["actual"]);
    }
    let mut whole = block.clone();
    whole["transactions"][0]["status"] = json!("failed");
    whole["unknown"] = json!({ "is": "ignored" });
    assert_eq!(harness.post("/rpc/importBlock", whole.to_string()).await.status, 200);
    assert_eq!(harness.import.received.lock().len(), 1, "what disagrees never reached the importer");
}

#[actix_web::test]
async fn a_block_without_its_bytes_is_never_an_empty_block() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let bare = harness.get("/rpc/blocks-range?start=1&end=1&include_tx=false").await.json()["blocks"][0].clone();
    for body in [bare.to_string(), "{}".to_owned(), r#"{"raw":null}"#.to_owned()] {
        let answer = harness.post("/rpc/importBlock", &body).await;
        assert_eq!((answer.status, &answer.json()["error"]["check"]), (422, &json!("body_missing")), "{body}");
    }
    for (body, check) in [("[]", "json"), ("{", "json"), (r#"{"raw":"0x0"}"#, "json"), (r#"{"raw":5}"#, "json")] {
        let answer = harness.post("/rpc/importBlock", body).await;
        assert_eq!((answer.status, &answer.json()["error"]["check"]), (422, &json!(check)), "{body}");
        assert_eq!(answer.json()["success"], json!(false));
    }
    assert!(harness.import.received.lock().is_empty());
}

#[actix_web::test]
async fn bytes_that_are_no_block_are_left_to_the_importer_which_records_refusals() {
    let harness = Harness::over(&TestChain::new());
    harness.post("/rpc/importBlock", r#"{"raw":"0x00","height":7}"#).await;
    assert_eq!(*harness.import.received.lock(), [Bytes::from_static(&[0])]);
}

#[actix_web::test]
async fn refusals_of_the_importer_keep_their_reason() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let block = harness.get("/rpc/blocks-range?start=1&end=1").await.json()["blocks"][0].clone();
    for (kind, status) in
        [(ImportErrorKind::Invalid, 422), (ImportErrorKind::ParentUnknown, 409), (ImportErrorKind::Busy, 503)]
    {
        *harness.import.answer.lock() = Err(ImportError {
            kind,
            check: "state_root".to_owned(),
            expected: "0xaa".to_owned(),
            actual: "0xbb".to_owned(),
            message: "state root 0xbb, the header says 0xaa".to_owned(),
            blame: Blame::Local,
        });
        let answer = harness.post("/rpc/importBlock", block.to_string()).await;
        let expected = json!({
            "success": false,
            "error": {
                "check": "state_root",
                "expected": "0xaa",
                "actual": "0xbb",
                "message": "state root 0xbb, the header says 0xaa",
                "blame": "local",
            },
        });
        assert_eq!((answer.status, answer.json()), (status, expected));
    }
    let error = harness.call("callboard_importBlock", json!([block["raw"]])).await["error"].clone();
    assert_eq!((&error["code"], &error["data"]["check"]), (&json!(-32000), &json!("state_root")));
}

#[actix_web::test]
async fn an_import_body_is_bounded_by_the_chains_block_size() {
    let chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.max_body_bytes = 10);
    let padded = format!("{{}}{}", " ".repeat(8_000_000 - 2));
    assert_eq!(harness.post("/rpc/importBlock", padded.clone()).await.status, 422, "not bounded by max_body_bytes");
    let over = harness.post("/rpc/importBlock", padded + " ").await;
    assert_eq!((over.status, over.error()), (413, "request body too large: at most 8000000 bytes".to_owned()));
}

#[actix_web::test]
async fn limited_imports_wait_their_turn_and_all_succeed() {
    let (chain, _) = busy_chain();
    let harness = Harness::serve(chain.access.clone(), |config| config.import_blocks_per_second = 20);
    let block = harness.get("/rpc/blocks-range?start=1&end=1").await.json()["blocks"][0].to_string();
    let begun = Instant::now();
    let answers = futures_util::future::join_all((0..100).map(|_| harness.post("/rpc/importBlock", &block))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(4_900) && took < Duration::from_secs(9), "{took:?}");
}

#[actix_web::test]
async fn an_import_over_the_limit_is_told_when_to_come_back() {
    let chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.import_blocks_per_second = 1);
    let mut answers: futures_util::stream::FuturesUnordered<_> =
        (0..13).map(|_| harness.post("/rpc/importBlock", "{}")).collect();
    while let Some(answer) = futures_util::StreamExt::next(&mut answers).await {
        if answer.status == 429 {
            assert_eq!(answer.headers["retry-after"], "1");
            assert_eq!(answer.json()["success"], json!(false));
            return;
        }
        assert_eq!(answer.status, 422);
    }
    panic!("thirteen blocks at one a second: somebody waits longer than ten seconds");
}

#[actix_web::test]
async fn transactions_are_found_by_hash_on_both_paths() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    for path in ["transactions", "transaction"] {
        let found = harness.get(&format!("/rpc/{path}/{}", transactions[1].tx_hash())).await.json();
        assert_eq!(found["success"], json!(true));
        assert_eq!(found["transaction"]["sender"], json!(user(4).address()));
        let missing = harness.get(&format!("/rpc/{path}/{}", B256::ZERO)).await;
        assert_eq!(
            (missing.status, missing.body.as_str()),
            (404, r#"{"error":"Transaction not found","success":false}"#)
        );
        assert_eq!(harness.get(&format!("/rpc/{path}/0x12")).await.status, 400);
    }
    let pending = sign(legacy(2), &user(2));
    let sent =
        harness.post("/rpc/transactions", json!({ "raw": Bytes::from(pending.encoded_2718()) }).to_string()).await;
    assert_eq!(sent.json(), json!({ "success": true, "hash": pending.tx_hash() }));
    let found = harness.get(&format!("/rpc/transaction/{}", pending.tx_hash())).await.json()["transaction"].clone();
    assert_eq!((&found["status"], &found["block_height"]), (&json!("pending"), &Value::Null));
    let foreign = sign(alloy_consensus::TxLegacy { chain_id: Some(5), ..legacy(3) }, &user(2));
    let refused = harness.post("/rpc/transactions", json!(Bytes::from(foreign.encoded_2718())).to_string()).await;
    assert_eq!(refused.status, 422);
    assert!(refused.error().starts_with("invalid chain id for signer"), "{}", refused.body);
    assert_eq!(harness.post("/rpc/transactions", "5").await.status, 400);
}

#[actix_web::test]
async fn transactions_by_address_equal_a_naive_scan() {
    let mut chain = TestChain::new();
    for nonce in 0..7 {
        let block: Vec<_> = [2, 4].iter().map(|number| sign(legacy(nonce), &user(*number))).collect();
        chain.extend(&block);
    }
    let harness = Harness::over(&chain);
    let mut scanned = Vec::new();
    for block in harness.get("/rpc/blocks-range?start=0&end=99").await.json()["blocks"].as_array().unwrap() {
        scanned.extend(block["transactions"].as_array().unwrap().clone());
    }
    scanned.reverse();
    for (number, direction) in [(2, "sent"), (3, "received"), (2, "both"), (3, "sent"), (4, "both")] {
        let address = user(number).address();
        let is = |transaction: &Value, side: &str| transaction[side] == json!(address);
        let expected: Vec<_> = scanned
            .iter()
            .filter(|transaction| match direction {
                "sent" => is(transaction, "sender"),
                "received" => is(transaction, "recipient"),
                _ => is(transaction, "sender") || is(transaction, "recipient"),
            })
            .cloned()
            .collect();
        let (mut found, mut before) = (Vec::new(), String::new());
        loop {
            let path = format!("/rpc/transactions?address={address}&limit=3&direction={direction}&before={before}");
            let page = harness.get(&path).await.json();
            found.extend(page["transactions"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => before = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(found, expected, "{number} {direction}");
    }
    for query in ["", "address=0x12", &format!("address={}&direction=up", user(2).address())] {
        assert_eq!(harness.get(&format!("/rpc/transactions?{query}")).await.status, 400, "{query}");
    }
}

#[actix_web::test]
async fn accounts_have_decimal_balances() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let address = user(2).address();
    let account = harness.get(&format!("/rpc/accounts/{address}")).await.json();
    assert_eq!(account, json!({ "address": address, "balance": "9999999999999999000", "nonce": 2 }));
    assert_eq!(harness.get("/rpc/accounts/nobody").await.status, 400);
    for path in ["/rpc/sync", "/rpc/actors", "/rpc/peers"] {
        assert_eq!(harness.get(path).await.status, 200);
    }
}
