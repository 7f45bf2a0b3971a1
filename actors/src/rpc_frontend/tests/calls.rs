//! Calls and estimates.

use super::chain::{CONTRACT, ENDLESS, TestChain, revert_data, user};
use super::eth::busy_chain;
use super::harness::Harness;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[actix_web::test]
async fn calls_take_every_form_that_clients_send() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let answer = json!(B256::with_last_byte(0x2a));
    for params in [
        json!([{ "to": CONTRACT }]),
        json!([{ "to": CONTRACT, "from": null, "data": "0x" }, "latest"]),
        json!([{ "to": CONTRACT, "input": "0x", "data": "0x", "from": user(2).address(), "gas": "0x100000" }, "pending"]),
        json!([{ "to": CONTRACT, "chain": "x", "hardfork": "y", "networkId": 5, "accessList": [] }, "0x0"]),
        json!([{ "to": CONTRACT, "gas": "0xffffffffff", "type": "0x2" }, { "blockNumber": "latest" }]),
    ] {
        assert_eq!(harness.result("eth_call", params.clone()).await, answer, "{params}");
        assert!(harness.result("eth_estimateGas", params.clone()).await.is_string(), "{params}");
        let list = harness.result("eth_createAccessList", params.clone()).await;
        assert!(list["accessList"].is_array() && list.get("error").is_none(), "{params}: {list}");
    }
    let created = harness.result("eth_call", json!([{ "data": "0x5f5ff3" }])).await;
    assert_eq!(created, "0x");
    for params in [
        json!([]),
        json!([{ "to": "0x12" }]),
        json!([{ "to": CONTRACT, "input": "0x01", "data": "0x02" }]),
        json!([{ "to": CONTRACT, "gas": "much" }]),
        json!([{ "to": CONTRACT }, "latest", {}, { "blockHash": { "1": B256::ZERO } }]),
        json!([{ "to": CONTRACT }, "latest", { "0x00000000000000000000000000000000000000cc": { "state": {}, "stateDiff": {} } }]),
    ] {
        for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
            assert_eq!(harness.error(method, params.clone()).await.0, -32602, "{method} {params}");
        }
    }
}

#[actix_web::test]
async fn whatever_is_asked_of_a_call_is_no_fault_of_the_node() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let (most, from) = ("0xffffffffffffffffffffffffffffffff", user(2).address());
    let whole = format!("0x{}", "ff".repeat(32));
    let precompile = "0x0000000000000000000000000000000000000001";
    let authorization = json!({
        "chainId": "0x539", "address": CONTRACT, "nonce": "0x0", "yParity": "0x1", "r": whole, "s": whole,
    });
    let requests = [
        json!({ "gas": "0x0" }),
        json!({ "to": CONTRACT, "gas": "0x5207" }),
        json!({ "to": CONTRACT, "gas": "0xffffffffffffffff", "gasPrice": most, "from": from }),
        json!({ "to": CONTRACT, "maxFeePerGas": most, "maxPriorityFeePerGas": most }),
        json!({ "to": CONTRACT, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }),
        json!({ "to": CONTRACT, "gasPrice": "0x1", "maxFeePerGas": "0x1" }),
        json!({ "to": CONTRACT, "value": whole, "gasPrice": most, "from": from }),
        json!({ "to": CONTRACT, "nonce": "0xffffffffffffffff", "from": from }),
        json!({ "to": CONTRACT, "chainId": "0x1" }),
        json!({ "to": CONTRACT, "type": "0x3", "maxFeePerBlobGas": most, "blobVersionedHashes": [B256::ZERO] }),
        json!({ "type": "0x4", "authorizationList": [authorization] }),
        json!({ "to": CONTRACT, "authorizationList": [authorization] }),
        json!({ "data": format!("0x{}", "00".repeat(100_000)) }),
        json!({ "data": "0x60ef5f5360015ff3" }),
        json!({ "from": CONTRACT, "to": precompile, "data": "0x00" }),
        json!({ "from": precompile, "to": null, "data": "0xfe" }),
    ];
    let blocks = [
        json!({}),
        json!({ "number": "0xffffffffffffffff", "time": "0xffffffffffffffff", "gasLimit": "0x0" }),
        json!({ "number": "0x0", "time": "0x0", "baseFee": "0xffffffffffffffff", "coinbase": precompile }),
    ];
    let accounts = [
        json!({}),
        json!({ from.to_string(): { "balance": whole, "nonce": "0xffffffffffffffff", "code": "0x5b5f56" } }),
        json!({ precompile: { "code": "0x60015f55", "state": { whole.clone(): whole.clone() } } }),
    ];
    for request in &requests {
        for (block, account) in blocks.iter().flat_map(|block| accounts.iter().map(move |account| (block, account))) {
            for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
                let answer = harness.call(method, json!([request, "latest", account, block])).await;
                assert!(is_answered(&answer), "{method} {request} {account} {block}: {answer}");
            }
            let options = json!({ "tracer": "callTracer", "stateOverrides": account, "blockOverrides": block });
            let answer = harness.call("debug_traceCall", json!([request, "latest", options])).await;
            assert!(is_answered(&answer), "debug_traceCall {request} {account} {block}: {answer}");
        }
    }
}

/// Whether it is a result, or an error that says that the caller did something. Clients ask again on others.
fn is_answered(answer: &Value) -> bool {
    answer.get("result").is_some() || [-32000, -32602, 3].contains(&answer["error"]["code"].as_i64().unwrap())
}

#[actix_web::test]
async fn a_revert_is_code_3_with_its_reason_and_its_data() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    for method in ["eth_call", "eth_estimateGas"] {
        let error = harness.call(method, json!([{ "to": CONTRACT, "data": "0x01" }, "latest"])).await["error"].clone();
        let expected = json!({
            "code": 3,
            "message": "execution reverted: no",
            "data": hex::encode_prefixed(revert_data()),
        });
        assert_eq!(error, expected, "{method}");
        // PUSH0 PUSH0 REVERT
        let silent = harness.call(method, json!([{ "data": "0x5f5ffd" }])).await["error"].clone();
        assert_eq!(silent, json!({ "code": 3, "message": "execution reverted", "data": "0x" }), "{method}");
    }
}

#[actix_web::test]
async fn calls_end_by_gas_and_by_time() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let out_of_gas = harness.error("eth_call", json!([{ "to": ENDLESS, "gas": "0x10000" }])).await;
    assert_eq!(out_of_gas, (-32000, "out of gas".to_owned()));
    let begun = Instant::now();
    let bounded = harness.error("eth_call", json!([{ "to": ENDLESS, "gas": "0xffffffffffffffff" }])).await;
    assert_eq!(bounded.0, -32000, "{bounded:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "gas ends it at 50 million, or time after five seconds");
    assert_eq!(harness.error("eth_estimateGas", json!([{ "to": ENDLESS }])).await.0, -32000);
    let invalid = harness.error("eth_call", json!([{ "data": "0xfe" }])).await;
    assert_eq!(invalid, (-32000, "invalid opcode".to_owned()));
}

#[actix_web::test]
async fn estimates_are_enough_and_bounded_by_the_hardfork() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let from = user(2).address();
    let transfer = json!([{ "from": from, "to": user(3).address(), "value": "0x1" }]);
    assert_eq!(harness.result("eth_estimateGas", transfer).await, "0x5208");
    let call = harness.result("eth_estimateGas", json!([{ "from": from, "to": CONTRACT }, "latest"])).await;
    let gas: U256 = serde_json::from_value(call).unwrap();
    assert!(gas > U256::from(21_000) && gas < U256::from(40_000), "{gas}");
    let poor = json!([{ "from": Address::repeat_byte(9), "to": user(3).address(), "value": "0x1" }]);
    let error = harness.error("eth_estimateGas", poor).await;
    assert_eq!(error.0, -32000);
    assert!(error.1.starts_with("insufficient funds"), "{error:?}");
}

#[actix_web::test]
async fn state_and_block_can_be_overridden_for_a_call() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let call = async |code: &str, account: Value, block: Value| {
        let mut account = account;
        account["code"] = json!(code);
        let overrides = json!({ Address::repeat_byte(0xaa).to_string(): account });
        let request = json!([{ "to": Address::repeat_byte(0xaa) }, "latest", overrides, block]);
        let answer: Bytes = serde_json::from_value(harness.result("eth_call", request).await).unwrap();
        U256::from_be_slice(&answer)
    };
    let returned = |opcode: &str| format!("0x{opcode}5f5260205ff3");
    let none = Value::Null;
    assert_eq!(call(&returned("47"), json!({ "balance": "0x1234" }), none.clone()).await, U256::from(0x1234));
    let slot = json!({ "stateDiff": { B256::ZERO.to_string(): B256::with_last_byte(9) } });
    assert_eq!(call(&returned("5f54"), slot, none.clone()).await, U256::from(9));
    let number = json!({ "number": "0x77", "time": "0x99" });
    assert_eq!(call(&returned("43"), json!({}), number.clone()).await, U256::from(0x77));
    assert_eq!(call(&returned("42"), json!({}), number).await, U256::from(0x99));
    assert_eq!(harness.result("eth_getBalance", json!([Address::repeat_byte(0xaa)])).await, "0x0", "nothing is kept");
}

#[actix_web::test]
async fn access_lists_name_what_is_touched() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let code = json!({ Address::repeat_byte(0xaa).to_string(): { "code": "0x5f5400" } });
    let answer =
        harness.result("eth_createAccessList", json!([{ "to": Address::repeat_byte(0xaa) }, "latest", code])).await;
    let expected = json!([{ "address": Address::repeat_byte(0xaa), "storageKeys": [B256::ZERO] }]);
    assert_eq!(answer["accessList"], expected);
    assert!(answer.get("error").is_none());
}

#[actix_web::test]
async fn an_access_list_of_code_that_fails_is_given_with_the_reason() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    // Loads slot 0 and then reverts, or meets an invalid opcode.
    for (code, reason) in [("0x5f545f5ffd", "execution reverted"), ("0x5f54fe", "invalid opcode")] {
        let overrides = json!({ Address::repeat_byte(0xaa).to_string(): { "code": code } });
        let params = json!([{ "to": Address::repeat_byte(0xaa), "gas": "0x20000" }, "latest", overrides]);
        let answer = harness.result("eth_createAccessList", params).await;
        let expected = json!([{ "address": Address::repeat_byte(0xaa), "storageKeys": [B256::ZERO] }]);
        assert_eq!((&answer["error"], &answer["accessList"]), (&json!(reason), &expected));
    }
    let answer = harness.result("eth_createAccessList", json!([{ "to": CONTRACT, "data": "0x01" }])).await;
    assert_eq!(answer["error"], "execution reverted: no");
}

#[actix_web::test]
async fn an_access_list_is_run_again_until_it_and_its_gas_are_stable() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    // Loads the slot whose number is in slot 0, then the one that that one names: each is known only after the one before.
    let code = "0x5f545454";
    let slot = |number: u8| B256::with_last_byte(number);
    let storage = json!({ slot(0).to_string(): slot(5), slot(5).to_string(): slot(9) });
    let overrides = json!({ Address::repeat_byte(0xaa).to_string(): { "code": code, "stateDiff": storage } });
    let to = Address::repeat_byte(0xaa);
    let answer = harness.result("eth_createAccessList", json!([{ "to": to }, "latest", overrides])).await;
    assert_eq!(answer["accessList"], json!([{ "address": to, "storageKeys": [slot(0), slot(5), slot(9)] }]));
    // With the list, running it costs exactly what the answer says: one round more changes nothing.
    let again = json!([{ "to": to, "accessList": answer["accessList"] }, "latest", overrides]);
    assert_eq!(harness.result("eth_createAccessList", again).await, answer);
}

#[actix_web::test]
async fn state_overrides_are_bounded_in_accounts_slots_and_code() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let accounts = |count: u64| -> Value {
        let account =
            |number: u64| (Address::left_padding_from(&number.to_be_bytes()).to_string(), json!({ "nonce": "0x1" }));
        Value::Object((0..count).map(account).collect())
    };
    let slots = |count: u64, of: &str| {
        let slot = |number: u64| (B256::left_padding_from(&number.to_be_bytes()).to_string(), json!(B256::ZERO));
        json!({ user(3).address().to_string(): { of: Value::Object((0..count).map(slot).collect()) } })
    };
    let code = |bytes: usize| json!({ user(3).address().to_string(): { "code": format!("0x{}", "00".repeat(bytes)) } });
    for overrides in [accounts(1_000), slots(10_000, "state"), slots(10_000, "stateDiff"), code(1 << 20)] {
        harness.result("eth_call", json!([{ "to": CONTRACT }, "latest", overrides])).await;
    }
    for (overrides, text) in [
        (accounts(1_001), "too many accounts in the state overrides: 1001 are given, at most 1000 are allowed"),
        (slots(10_001, "state"), "too many slots in the state overrides: 10001 are given, at most 10000 are allowed"),
        (
            slots(10_001, "stateDiff"),
            "too many slots in the state overrides: 10001 are given, at most 10000 are allowed",
        ),
        (
            code((1 << 20) + 1),
            "too many bytes of code in the state overrides: 1048577 are given, at most 1048576 are allowed",
        ),
    ] {
        for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
            let error = harness.error(method, json!([{ "to": CONTRACT }, "latest", overrides])).await;
            assert_eq!(error, (-32602, text.to_owned()), "{method}");
        }
    }
}

#[actix_web::test]
async fn an_estimate_takes_overrides_as_a_call_does() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let poor = Address::repeat_byte(9);
    let transfer = json!({ "from": poor, "to": user(3).address(), "value": "0x1" });
    let rich = json!({ poor.to_string(): { "balance": "0x10" } });
    assert_eq!(harness.result("eth_estimateGas", json!([transfer, "latest", rich])).await, "0x5208");
    // TIMESTAMP PUSH1 9 EQ PUSH1 8 JUMPI INVALID JUMPDEST: goes through at second 9 only.
    let code = json!({ poor.to_string(): { "code": "0x42600914600857fe5b00" } });
    let at = |time: &str| json!([{ "to": poor }, "latest", code, { "time": time }]);
    assert!(harness.call("eth_estimateGas", at("0x8")).await["error"].is_object());
    assert!(harness.call("eth_estimateGas", at("0x9")).await["result"].is_string());
}

#[actix_web::test]
async fn an_override_without_effect_is_refused_and_named() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    for member in ["blobBaseFee", "difficulty", "beaconRoot", "withdrawals", "gaslimit"] {
        let error = harness.error("eth_call", json!([{ "to": CONTRACT }, "latest", {}, { member: "0x1" }])).await;
        let begins = format!("invalid argument 3 (block overrides): unknown field `{member}`, expected one of `");
        assert!(error.0 == -32602 && error.1.starts_with(&begins), "{error:?}");
        let account = json!({ CONTRACT.to_string(): { member: "0x1" } });
        let error = harness.error("eth_call", json!([{ "to": CONTRACT }, "latest", account])).await;
        assert!(error.0 == -32602 && error.1.contains(&format!("unknown field `{member}`")), "{error:?}");
    }
    let moved = json!({ CONTRACT.to_string(): { "movePrecompileToAddress": user(2).address() } });
    let expected = (-32602, "state override movePrecompileToAddress is not supported".to_owned());
    assert_eq!(harness.error("eth_call", json!([{ "to": CONTRACT }, "latest", moved])).await, expected);
}
