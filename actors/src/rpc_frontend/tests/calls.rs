//! Calls and estimates.

use super::chain::{CONTRACT, ENDLESS, TestChain, revert_data, user};
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
        assert_eq!(harness.error("eth_call", params.clone()).await.0, -32602, "{params}");
    }
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
    let number = json!({ "number": "0x77", "time": "0x99", "blobBaseFee": "0x1" });
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
