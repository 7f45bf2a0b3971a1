//! `eth_getLogs` over a real chain.

use super::chain::{CONTRACT, TestChain, dynamic, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use alloy_primitives::{Address, B256};
use serde_json::json;

#[actix_web::test]
async fn logs_are_found_by_range_hash_address_and_topic() {
    let (mut chain, _) = busy_chain();
    let second = chain.extend(&[sign(dynamic(1), &user(4))]);
    let harness = Harness::over(&chain);
    let topic = B256::with_last_byte(7);
    for (filter, expected) in [
        (json!({ "fromBlock": "earliest", "toBlock": "latest" }), vec!["0x1", "0x3"]),
        (json!({ "fromBlock": "0x0" }), vec!["0x1", "0x3"]),
        (json!({ "fromBlock": "0x2", "toBlock": "0x99" }), vec!["0x3"]),
        (json!({}), vec!["0x3"]),
        (json!({ "blockHash": second.hash() }), vec!["0x3"]),
        (json!({ "fromBlock": "0x0", "address": CONTRACT, "topics": [topic] }), vec!["0x1", "0x3"]),
        (
            json!({ "fromBlock": "0x0", "address": [CONTRACT, Address::ZERO], "topics": [[topic, B256::ZERO]] }),
            vec!["0x1", "0x3"],
        ),
        (json!({ "fromBlock": "0x0", "blockHash": null, "limit": 1 }), vec!["0x1", "0x3"]),
        (json!({ "fromBlock": "0x0", "address": user(2).address() }), vec![]),
        (json!({ "fromBlock": "0x0", "topics": [B256::ZERO] }), vec![]),
        (json!({ "fromBlock": "0x0", "topics": [null, topic] }), vec![]),
        (json!({ "fromBlock": "0x2", "toBlock": "0x2" }), vec![]),
    ] {
        let logs = harness.result("eth_getLogs", json!([filter])).await;
        let heights: Vec<_> = logs.as_array().unwrap().iter().map(|log| log["blockNumber"].clone()).collect();
        assert_eq!(heights, expected, "{filter}");
    }
    let many: Vec<_> = (0..1_001_u64).map(|number| Address::left_padding_from(&number.to_be_bytes())).collect();
    for (filter, code, message) in [
        (json!({ "fromBlock": "0x2", "toBlock": "0x1" }), -32602, "invalid block range"),
        (json!({ "fromBlock": "0x9" }), -32000, "unknown block"),
        (json!({ "blockHash": B256::repeat_byte(3) }), -32000, "unknown block"),
        (json!({ "address": many }), -32602, "at most 1000"),
        (
            json!({ "topics": ["0x12"] }),
            -32602,
            "invalid argument 0 (filter): topics[0] is \"0x12\", expected 32 bytes",
        ),
    ] {
        let error = harness.error("eth_getLogs", json!([filter])).await;
        assert_eq!(error.0, code, "{error:?}");
        assert!(error.1.starts_with(message), "{error:?}");
    }
}

#[actix_web::test]
async fn logs_are_found_across_groups_of_blocks_that_are_passed_over() {
    let mut chain = TestChain::new();
    let mut expected = Vec::new();
    for (empty, nonce) in [(62, 0), (0, 1), (130, 2), (70, 3), (3, 4)] {
        chain.extend_by(empty);
        expected.push(chain.extend(&[sign(dynamic(nonce), &user(4))]).height());
    }
    let harness = Harness::over(&chain);
    let head = expected[4];
    let topic = B256::with_last_byte(7);
    for (from, to) in [(0, head), (0, 63), (63, 64), (64, 64), (65, 200), (expected[2], expected[3]), (head, head)] {
        let within: Vec<_> = expected.iter().filter(|height| (from..=to).contains(*height)).collect();
        for (filter, found) in
            [(json!({}), true), (json!({ "topics": [topic] }), true), (json!({ "topics": [B256::ZERO] }), false)]
        {
            let mut filter = filter;
            (filter["fromBlock"], filter["toBlock"]) = (format!("{from:#x}").into(), format!("{to:#x}").into());
            let logs = harness.result("eth_getLogs", json!([filter])).await;
            let heights: Vec<_> = logs.as_array().unwrap().iter().map(|log| log["blockNumber"].clone()).collect();
            let expected: Vec<_> =
                within.iter().filter(|_| found).map(|height| json!(format!("{height:#x}"))).collect();
            assert_eq!(heights, expected, "{filter}");
        }
    }
}

/// What a search over the longest range costs: `cargo nextest run --run-ignored only -E 'test(rare_topic)' --no-capture`.
#[actix_web::test]
#[ignore = "a measurement: it makes 100,000 blocks"]
async fn a_rare_topic_is_found_among_a_hundred_thousand_blocks() {
    let mut chain = TestChain::new();
    chain.extend_by(60_000);
    chain.extend(&[sign(dynamic(0), &user(4))]);
    chain.extend_by(39_990);
    let harness = Harness::over(&chain);
    let ask = async |topic: u8| {
        let begun = std::time::Instant::now();
        let filter = json!({ "fromBlock": "0x0", "topics": [B256::with_last_byte(topic)] });
        let found = harness.result("eth_getLogs", json!([filter])).await.as_array().unwrap().len();
        println!("{found} logs with topic {topic} among 100,000 blocks in {:?}", begun.elapsed());
        found
    };
    assert_eq!((ask(7).await, ask(7).await, ask(8).await), (1, 1, 0));
}
