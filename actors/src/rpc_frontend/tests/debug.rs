//! `debug_` methods over a real chain.

use super::chain::{CHAIN_ID, CONTRACT, ENDLESS, TestChain, delegating, dynamic, legacy, revert_data, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use alloy_consensus::{TxEip1559, TxLegacy};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy_rlp::Decodable;
use callboard_chain::proof::receipts_root;
use callboard_chain::{Block, Receipt, Transaction};
use serde_json::{Value, json};
use std::time::Duration;

/// Init code that deploys this code.
fn deploying(code: &str) -> Bytes {
    let length = code.len() / 2;
    hex::decode(format!("60{length:02x}600a5f3960{length:02x}5ff3{code}")).unwrap().into()
}

/// Code that calls, or delegates to, [`CONTRACT`] without data, and stops.
fn passing_on(opcode: &str) -> Bytes {
    let value = if opcode == "f1" { "5f" } else { "" };
    deploying(&format!("5f5f5f5f{value}73{}5a{opcode}00", hex::encode(CONTRACT)))
}

fn by_user_2(nonce: u64, to: TxKind, input: Bytes) -> Transaction {
    sign(TxLegacy { to, input, gas_limit: 150_000, value: U256::ZERO, ..legacy(nonce) }, &user(2))
}

fn delegation() -> Transaction {
    let key = user(3);
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: CONTRACT, nonce: 0 };
    let signature = key.sign(authorization.signature_hash());
    let list = vec![authorization.into_signed(Signature::from_raw_array(&signature).unwrap())];
    sign(alloy_consensus::TxEip7702 { authorization_list: list, gas_limit: 200_000, ..delegating(1) }, &user(4))
}

/// Block 1 deploys; block 2 has something of everything; block 3 is on top.
pub(super) fn varied_chain() -> (TestChain, Vec<Block>) {
    let mut chain = TestChain::new();
    let deployed = |nonce| TxKind::Call(user(2).address().create(nonce));
    let none = Bytes::new;
    let deploy = [passing_on("f1"), passing_on("f4"), deploying("33ff")];
    let deploy = deploy.into_iter().enumerate().map(|(nonce, init)| by_user_2(nonce as u64, TxKind::Create, init));
    let first = chain.extend(&deploy.collect::<Vec<_>>());
    let second = chain.extend(&[
        sign(dynamic(0), &user(4)),
        sign(TxLegacy { nonce: 3, ..legacy(3) }, &user(2)),
        by_user_2(4, TxKind::Call(CONTRACT), Bytes::from([1])),
        by_user_2(5, deployed(0), none()),
        by_user_2(6, deployed(1), none()),
        by_user_2(7, deployed(2), none()),
        by_user_2(8, TxKind::Create, Bytes::from([0x33, 0xff])),
        by_user_2(9, TxKind::Create, Bytes::from([0x5f, 0x5f, 0xfd])),
        by_user_2(10, TxKind::Call(ENDLESS), none()),
        delegation(),
        by_user_2(11, TxKind::Call(user(3).address()), none()),
        sign(TxEip1559 { nonce: 2, ..dynamic(2) }, &user(4)),
        by_user_2(12, TxKind::Call(HISTORY_STORAGE_ADDRESS), B256::with_last_byte(1).into()),
    ]);
    let third = chain.extend(&[sign(legacy(13), &user(2))]);
    (chain, vec![first, second, third])
}

fn number(quantity: &Value) -> u64 {
    u64::from_str_radix(quantity.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[actix_web::test]
async fn every_trace_tells_the_gas_and_the_status_of_the_receipt() {
    let (chain, blocks) = varied_chain();
    let harness = Harness::over(&chain);
    let mut failed = Vec::new();
    for block in &blocks {
        let height = format!("{:#x}", block.height());
        let steps = harness.result("debug_traceBlockByNumber", json!([height])).await;
        let calls = harness.result("debug_traceBlockByHash", json!([block.hash(), { "tracer": "callTracer" }])).await;
        assert_eq!(steps.as_array().unwrap().len(), block.transactions().len());
        for (index, transaction) in block.transactions().iter().enumerate() {
            let hash = transaction.tx_hash();
            let receipt = harness.result("eth_getTransactionReceipt", json!([hash])).await;
            let (gas, ok) = (number(&receipt["gasUsed"]), receipt["status"] == "0x1");
            failed.extend((!ok).then_some((block.height(), index)));
            let told = harness.result("debug_traceTransaction", json!([hash])).await;
            assert_eq!((&told["gas"], &told["failed"]), (&json!(gas), &json!(!ok)), "{height}/{index}");
            assert_eq!(steps[index], json!({ "txHash": hash, "result": told }), "{height}/{index}");
            let root = harness.result("debug_traceTransaction", json!([hash, { "tracer": "callTracer" }])).await;
            assert_eq!((number(&root["gasUsed"]), root.get("error").is_none()), (gas, ok), "{height}/{index}: {root}");
            assert_eq!(root["from"], receipt["from"]);
            // Of a creation that failed geth names no contract.
            let created = if ok { &receipt["contractAddress"] } else { &Value::Null };
            let to = if receipt["to"].is_null() { created } else { &receipt["to"] };
            assert_eq!(&root["to"], to, "{height}/{index}");
            assert_eq!(calls[index], json!({ "txHash": hash, "result": root }), "{height}/{index}");
        }
    }
    // A revert, a creation that reverts, one out of gas, and a transfer to an account that has code by now.
    assert_eq!(failed, [(2, 2), (2, 7), (2, 8), (3, 0)]);
}

#[actix_web::test]
async fn calls_have_geths_shape() {
    let (chain, blocks) = varied_chain();
    let harness = Harness::over(&chain);
    let trace = async |index: usize, config: Value| {
        let hash = blocks[1].transactions()[index].tx_hash();
        harness
            .result("debug_traceTransaction", json!([hash, { "tracer": "callTracer", "tracerConfig": config }]))
            .await
    };
    let reverted = trace(2, json!({})).await;
    let expected = json!({
        "type": "CALL", "from": user(2).address(), "to": CONTRACT, "value": "0x0", "gas": "0x249f0",
        "gasUsed": reverted["gasUsed"], "input": "0x01", "output": hex::encode_prefixed(revert_data()),
        "error": "execution reverted", "revertReason": "no",
    });
    assert_eq!(reverted, expected);
    assert_eq!(trace(2, json!({ "withLog": true })).await, expected, "what is undone has left no logs");
    let nested = trace(3, json!({ "withLog": true })).await;
    let log = &nested["calls"][0]["logs"][0];
    assert_eq!((&nested["calls"][0]["type"], &nested["calls"][0]["to"]), (&json!("CALL"), &json!(CONTRACT)));
    assert_eq!((&log["address"], &log["topics"]), (&json!(CONTRACT), &json!([B256::with_last_byte(7)])));
    assert_eq!(trace(4, json!({})).await["calls"][0]["type"], "DELEGATECALL");
    assert_eq!(trace(5, json!({})).await["calls"][0]["type"], "SELFDESTRUCT");
    assert_eq!(trace(6, json!({})).await["type"], "CREATE");
    assert!(trace(3, json!({ "onlyTopCall": true })).await.get("calls").is_none());
    let parent = trace(12, json!({})).await;
    assert_eq!(parent["output"], json!(blocks[0].hash()), "the block began with its system calls");
}

#[actix_web::test]
async fn other_tracers_answer_as_geth_does() {
    let (chain, blocks) = varied_chain();
    let harness = Harness::over(&chain);
    let trace = async |index: usize, options: Value| {
        harness.result("debug_traceTransaction", json!([blocks[1].transactions()[index].tx_hash(), options])).await
    };
    let (sender, recipient) = (user(2).address(), user(3).address());
    let before = trace(1, json!({ "tracer": "prestateTracer" })).await;
    assert_eq!((&before[sender.to_string().to_lowercase()]["nonce"]), &json!(3));
    let diff = trace(1, json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } })).await;
    let balance = |side: &str| -> U256 {
        serde_json::from_value(diff[side][recipient.to_string().to_lowercase()]["balance"].clone()).unwrap()
    };
    assert_eq!(balance("post") - balance("pre"), U256::from(1_000));
    assert_eq!(trace(1, json!({ "tracer": "noopTracer" })).await, json!({}));
    assert_eq!(trace(1, json!({ "tracer": "4byteTracer" })).await, json!({}));
    let flat = trace(3, json!({ "tracer": "flatCallTracer" })).await;
    assert_eq!((flat.as_array().unwrap().len(), &flat[1]["traceAddress"]), (2, &json!([0])));
    let undone = trace(2, json!({ "tracer": "flatCallTracer" })).await;
    assert_eq!(undone[0]["error"], "execution reverted");
    let parity = json!({ "tracer": "flatCallTracer", "tracerConfig": { "convertParityErrors": true } });
    assert_eq!(trace(2, parity).await[0]["error"], "Reverted");
    let full = json!({ "enableMemory": true, "enableReturnData": true, "limit": 30, "timeout": "4s", "reexec": 128 });
    let steps = trace(0, full).await;
    let last = steps["structLogs"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["op"], last["memory"].as_array().unwrap().len()), (&json!("RETURN"), 1));
    assert_eq!(steps["returnValue"], json!(B256::with_last_byte(0x2a)));
}

#[actix_web::test]
async fn the_state_before_has_the_beneficiary_and_where_wanted_what_is_empty() {
    let (chain, _) = varied_chain();
    let harness = Harness::over(&chain);
    let accounts = async |coinbase: Address, config: Value| {
        let options =
            json!({ "tracer": "prestateTracer", "tracerConfig": config, "blockOverrides": { "coinbase": coinbase } });
        harness.result("debug_traceCall", json!([{ "to": CONTRACT }, "latest", options])).await
    };
    let of = |told: &Value, address: Address| told.get(address.to_string().to_lowercase()).cloned();
    let rich = accounts(user(4).address(), json!({})).await;
    let balance = harness.result("eth_getBalance", json!([user(4).address()])).await;
    assert_eq!(of(&rich, user(4).address()).unwrap()["balance"], balance);
    assert!(of(&rich, CONTRACT).unwrap()["code"].is_string());
    let delegated = accounts(user(3).address(), json!({})).await;
    assert!(of(&delegated, user(3).address()).unwrap()["code"].as_str().unwrap().starts_with("0xef0100"));
    let without = accounts(user(3).address(), json!({ "disableCode": true })).await;
    assert_eq!(of(&without, user(3).address()).unwrap().get("code"), None);
    let nobody = Address::repeat_byte(0xab);
    assert_eq!(of(&accounts(nobody, json!({})).await, nobody), None);
    let empty = accounts(nobody, json!({ "includeEmpty": true })).await;
    assert_eq!(of(&empty, nobody), Some(json!({ "balance": "0x0" })));
}

#[actix_web::test]
async fn a_call_is_traced_with_its_overrides() {
    let (chain, _) = varied_chain();
    let harness = Harness::over(&chain);
    let to = Address::repeat_byte(0xaa);
    let options = json!({
        "tracer": "callTracer",
        "stateOverrides": { to.to_string(): { "code": "0x435f5260205ff3" } },
        "blockOverrides": { "number": "0x77" },
    });
    let root = harness.result("debug_traceCall", json!([{ "to": to }, "latest", options])).await;
    assert_eq!(root["output"], json!(B256::with_last_byte(0x77)));
    let reverting = json!([{ "to": CONTRACT, "data": "0x01" }, null, { "tracer": "callTracer" }]);
    assert_eq!(harness.result("debug_traceCall", reverting).await["revertReason"], "no", "a revert is no error here");
    let bounded = Harness::serve(chain.access.clone(), |config| config.call_gas = 100_000);
    let root =
        bounded.result("debug_traceCall", json!([{ "to": CONTRACT }, "latest", { "tracer": "callTracer" }])).await;
    assert_eq!(number(&root["gas"]), 100_000, "as much as a call may have");
    let poor = json!([{ "from": to, "to": CONTRACT, "value": "0x1" }]);
    let refused = harness.error("debug_traceCall", poor).await;
    assert!(refused.0 == -32000 && refused.1.starts_with("insufficient funds"), "{refused:?}");
}

#[actix_web::test]
async fn what_cannot_be_traced_is_said_with_what_can() {
    let (mut chain, blocks) = varied_chain();
    chain.prune(2);
    let harness = Harness::over(&chain);
    let hash = *blocks[2].transactions()[0].tx_hash();
    assert_eq!(harness.result("debug_traceBlockByNumber", json!(["latest"])).await[0]["txHash"], json!(hash));
    let pruned = "block 2 cannot be traced: the state before it was pruned, the oldest block that can be is 3";
    let lost = json!([blocks[1].transactions()[0].tx_hash()]);
    for (method, params, code, begins) in [
        ("debug_traceBlockByNumber", json!(["0x2"]), -32000, pruned),
        ("debug_traceTransaction", lost, -32000, pruned),
        ("debug_traceBlockByNumber", json!(["pending"]), -32000, "the pending block cannot be traced"),
        ("debug_traceBlockByNumber", json!(["earliest"]), -32000, "genesis is not traceable"),
        ("debug_traceBlockByNumber", json!(["0x9"]), -32000, "unknown block"),
        ("debug_traceBlockByHash", json!([B256::ZERO]), -32000, "unknown block"),
        ("debug_traceTransaction", json!([B256::ZERO]), -32000, "transaction not found"),
        ("debug_traceTransaction", json!([]), -32602, "missing value for required argument 0 (transaction hash)"),
        (
            "debug_traceTransaction",
            json!([hash, { "tracer": "bigramTracer" }]),
            -32602,
            "tracer not found: \"bigramTracer\"",
        ),
        ("debug_traceTransaction", json!([hash, { "memory": true }]), -32602, "invalid argument 1 (trace options)"),
        ("debug_traceTransaction", json!([hash, { "timeout": "x" }]), -32602, "timeout \"x\" is no duration"),
        (
            "debug_traceTransaction",
            json!([hash, { "stateOverrides": {} }]),
            -32602,
            "stateOverrides and blockOverrides",
        ),
        ("debug_getRawTransaction", json!([B256::ZERO]), -32000, "transaction not found"),
        ("debug_getRawBlock", json!(["0x9"]), -32000, "unknown block"),
        ("debug_getBadBlocks", json!([]), -32601, "the method debug_getBadBlocks does not exist"),
    ] {
        let error = harness.error(method, params.clone()).await;
        assert!(error.0 == code && error.1.starts_with(begins), "{method} {params}: {error:?}");
    }
}

#[actix_web::test]
async fn timeout_of_the_caller_ends_a_trace_before_the_nodes_own() {
    let (chain, _) = busy_chain();
    let harness = Harness::serve(chain.access.clone(), |config| {
        (config.call_gas, config.trace.time) = (u64::MAX, Duration::from_secs(3_600));
        config.trace.steps = u64::MAX;
    });
    let options = json!({ "tracer": "noopTracer", "timeout": "1ms" });
    let error = harness.error("debug_traceCall", json!([{ "to": ENDLESS }, "latest", options])).await;
    assert_eq!(error, (-32000, "the trace took longer than allowed (rpc.limit.trace_ms)".to_owned()));
}

#[actix_web::test]
async fn raw_bytes_are_the_canonical_ones() {
    let (chain, blocks) = varied_chain();
    let harness = Harness::over(&chain);
    let bytes = |value: Value| -> Bytes { serde_json::from_value(value).unwrap() };
    for block in &blocks {
        let id = json!([format!("{:#x}", block.height())]);
        let header = bytes(harness.result("debug_getRawHeader", id.clone()).await);
        assert_eq!(keccak256(&header), block.hash());
        let raw = bytes(harness.result("debug_getRawBlock", id.clone()).await);
        let canonical: Vec<_> = block.transactions().iter().map(Encodable2718::encoded_2718).collect();
        assert!(raw.windows(header.len()).any(|window| window == header.as_ref()), "the header's own bytes");
        let decoded = alloy_consensus::Block::<Transaction>::decode(&mut raw.as_ref()).unwrap();
        assert_eq!(&decoded.header, block.header());
        assert_eq!(decoded.body.transactions.iter().map(Encodable2718::encoded_2718).collect::<Vec<_>>(), canonical);
        assert_eq!(decoded.body.withdrawals.map(|list| list.len()), Some(0));
        for (transaction, canonical) in block.transactions().iter().zip(&canonical) {
            let raw = bytes(harness.result("debug_getRawTransaction", json!([transaction.tx_hash()])).await);
            assert_eq!(raw.as_ref(), canonical.as_slice());
        }
        let receipts = harness.result("debug_getRawReceipts", id).await;
        let receipts: Vec<Bytes> = serde_json::from_value(receipts).unwrap();
        let decode =
            |raw: &Bytes| alloy_consensus::ReceiptWithBloom::<Receipt>::decode_2718(&mut raw.as_ref()).unwrap();
        let decoded: Vec<_> = receipts.iter().map(|raw| decode(raw).receipt).collect();
        assert_eq!(receipts_root(&decoded), block.header().receipts_root);
    }
    let genesis = bytes(harness.result("debug_getRawHeader", json!(["earliest"])).await);
    assert_eq!(keccak256(&genesis), chain.genesis.hash());
}

#[actix_web::test]
async fn every_trace_takes_a_place_of_its_lane_and_nothing_else_does() {
    let (chain, blocks) = varied_chain();
    let harness = Harness::without_traces(&chain);
    let (hash, block) = (blocks[0].transactions()[0].tx_hash(), blocks[0].hash());
    for (method, params) in [
        ("debug_traceTransaction", json!([hash])),
        ("debug_traceBlockByNumber", json!(["0x1"])),
        ("debug_traceBlockByHash", json!([block])),
        ("debug_traceCall", json!([{ "to": CONTRACT }])),
    ] {
        let expected = "busy: at most 0 traces at once, try again later (rpc.limit.traces)";
        assert_eq!(harness.error(method, params).await, (-32000, expected.to_owned()), "{method}");
    }
    assert_eq!(harness.refusals("traces").await, 4);
    for (method, params) in [
        ("debug_getRawBlock", json!(["0x1"])),
        ("eth_call", json!([{ "to": CONTRACT }])),
        ("eth_getLogs", json!([{ "fromBlock": "0x0" }])),
    ] {
        harness.result(method, params).await;
    }
}

#[actix_web::test]
async fn bounds_of_a_trace_are_for_all_transactions_of_a_block_together_but_for_what_is_held_of_each() {
    let mut chain = TestChain::new();
    let block = chain.extend(&[0, 1, 2].map(|nonce| sign(dynamic(nonce), &user(4))));
    let traces = async |harness: &Harness, tracer: &str| {
        let options = json!({ "tracer": tracer });
        let last = block.transactions()[2].tx_hash();
        let one = harness.call("debug_traceTransaction", json!([last, options])).await;
        let all = harness.call("debug_traceBlockByNumber", json!(["0x1", options])).await;
        [one, all].map(|answer| answer["error"]["message"].as_str().map(str::to_owned))
    };
    // The contract runs thirteen instructions.
    for (steps, refused) in [(39, false), (38, true)] {
        let harness = Harness::serve(chain.access.clone(), |config| config.trace.steps = steps);
        let [one, all] = traces(&harness, "noopTracer").await;
        assert_eq!((one, all.is_some()), (None, refused), "{all:?}");
        let key = "(rpc.limit.trace_steps)";
        assert!(all.is_none_or(|message| message.ends_with(key)));
    }
    // A call takes more than a kibibyte while it is recorded, and less as text.
    let harness = Harness::serve(chain.access.clone(), |config| config.trace.bytes = 2_000);
    assert_eq!(traces(&harness, "callTracer").await, [None, None]);
}

#[actix_web::test]
async fn what_runs_otherwise_than_its_receipt_says_is_not_told() {
    let mut chain = TestChain::new();
    let transactions = [sign(legacy(0), &user(2)), sign(dynamic(0), &user(4))];
    transactions.iter().for_each(|transaction| drop(chain.extend(std::slice::from_ref(transaction))));
    let tampered = chain.tamper(|write| {
        let mut receipts = write.open_table(redb::TableDefinition::<u64, &[u8]>::new("receipts")).unwrap();
        let of_another = redb::ReadableTable::get(&receipts, 2).unwrap().unwrap().value().to_vec();
        receipts.insert(1, of_another.as_slice()).unwrap();
    });
    let harness = Harness::serve(tampered.access.clone(), |_| ());
    let hash = transactions[0].tx_hash();
    let expected = (-32603, "transaction 0 of block 1 runs otherwise than its receipt says".to_owned());
    assert_eq!(harness.error("debug_traceTransaction", json!([hash])).await, expected);
    assert_eq!(harness.error("debug_traceBlockByNumber", json!(["0x1"])).await, expected);
    harness.result("debug_traceTransaction", json!([transactions[1].tx_hash()])).await;
}
