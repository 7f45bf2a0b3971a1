//! `eth_getLogs` over a real chain.

use super::chain::{CONTRACT, TestChain, dynamic, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

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

/// Rows by height, as the store keeps them.
type Rows = redb::TableDefinition<'static, u64, &'static [u8]>;

#[actix_web::test]
async fn a_search_reads_no_block_of_a_group_and_no_receipt_of_a_block_without_a_log_that_matches() {
    let mut chain = TestChain::new();
    let mut expected = Vec::new();
    for (empty, nonce) in [(9, 0), (181, 1)] {
        chain.extend_by(empty);
        expected.push(chain.extend(&[sign(dynamic(nonce), &user(4))]).height());
    }
    assert_eq!(expected, [10, 192], "in group 0, and the first block of group 3; 1 and 2 hold nothing");
    let tampered = chain.tamper(|write| {
        let mut blocks = write.open_table(Rows::new("blocks")).unwrap();
        blocks.retain(|height, _| !(64..192).contains(&height)).unwrap();
        let mut receipts = write.open_table(Rows::new("receipts")).unwrap();
        receipts.retain(|height, _| [10, 192].contains(&height)).unwrap();
    });
    let harness = Harness::serve(tampered.access.clone(), |_| ());
    assert_eq!(all_logs(&harness).await, ["0xa", "0xc0"]);
    let missing = harness.error("eth_getBlockByNumber", json!(["0x41", false])).await;
    assert_eq!(missing.0, -32603, "what was not read is not there: {missing:?}");
}

#[actix_web::test]
async fn no_log_is_missed_where_the_row_of_its_group_was_of_other_blocks() {
    let rolled_back = || {
        let mut chain = TestChain::new();
        chain.extend_by(130);
        chain.roll_back(70);
        chain.extend(&[sign(dynamic(0), &user(4))]);
        chain
    };
    let mut chain = rolled_back();
    let harness = Harness::over(&chain);
    assert_eq!(all_logs(&harness).await, ["0x47"], "the group is not whole any more");
    chain.extend_by(60);
    assert_eq!(all_logs(&harness).await, ["0x47"], "and whole again, with other blocks");
    let mut chain = rolled_back();
    chain.extend_by(60);
    // As a release leaves it that rolls back and does not know the table.
    let tampered = chain.tamper(|write| {
        let mut blooms = write.open_table(redb::TableDefinition::<u64, &[u8; 288]>::new("blooms")).unwrap();
        for group in 0..2 {
            assert!(blooms.insert(group, &[0; 288]).unwrap().is_some(), "the group had a row");
        }
    });
    let harness = Harness::serve(tampered.access.clone(), |_| ());
    assert_eq!(all_logs(&harness).await, ["0x47"]);
}

/// The heights of all logs of a chain.
async fn all_logs(harness: &Harness) -> Vec<Value> {
    let logs = harness.result("eth_getLogs", json!([{ "fromBlock": "0x0" }])).await;
    logs.as_array().unwrap().iter().map(|log| log["blockNumber"].clone()).collect()
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
