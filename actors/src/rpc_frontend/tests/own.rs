//! The callboard_ methods.

use super::chain::{CONTRACT, TestChain, legacy, sign, user};
use super::eth::busy_chain;
use super::harness::Harness;
use crate::importer::Rejection;
use crate::rpc_frontend::EvidenceDocument;
use crate::transport::NodeId;
use crate::tx_pool::{DropReason, Entry, Fate, Source, Step, Story, Waiting};
use alloy_consensus::TxLegacy;
use alloy_primitives::{B256, Bytes, TxKind, U256};
use callboard_chain::{Blame, Block};
use callboard_store::{Evidence, RefusedBlock, SealedHeader};
use serde_json::{Value, json};

#[actix_web::test]
async fn the_genesis_is_served_as_it_was_written() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "callboard_genesis" });
    let answer = harness.post("/", call.to_string()).await.body;
    // The newline at the end of the file is no part of the JSON.
    let json = std::str::from_utf8(chain.genesis.json()).unwrap().trim_end();
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{json}}}"#));
}

/// Two blocks of this height that the authority of the test chain sealed.
fn pair(chain: &super::chain::TestChain, height: u64) -> Evidence {
    let sealed = |timestamp| {
        let extra_data = chain.genesis.block().header().extra_data.clone();
        let header = alloy_consensus::Header { number: height, timestamp, extra_data, ..Default::default() };
        SealedHeader::of(&Block::sealed(header, Vec::new(), &super::chain::authority()))
    };
    Evidence { height, ours: sealed(1), theirs: sealed(2), time: 9 }
}

#[actix_web::test]
async fn evidence_is_answered_page_by_page_and_proves_what_it_says() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    *harness.status.evidence.lock() = (10..14).map(|height| pair(&chain, height)).collect();
    let ask = async |from: u64| -> EvidenceDocument {
        let options = json!([{ "from": from, "limit": 3 }]);
        serde_json::from_value(harness.result("callboard_evidence", options).await).unwrap()
    };
    let (first, last) = (ask(0).await, ask(13).await);
    assert_eq!((first.evidence.len(), first.next, last.evidence.len(), last.next), (3, Some(13), 1, None));
    let proven = first.check().unwrap();
    assert_eq!((proven[0].height, proven[0].genesis), (10, chain.genesis.hash()));
}

#[actix_web::test]
async fn a_document_that_was_tampered_with_says_what_is_wrong() {
    let (chain, _) = busy_chain();
    let authority = chain.genesis.config().authority;
    let whole = EvidenceDocument::new(authority, chain.genesis.block(), vec![pair(&chain, 10)]);
    whole.check().unwrap();
    let tampered: [(fn(&mut EvidenceDocument), &str); 8] = [
        (|document| document.format.push('x'), "format"),
        (|document| document.evidence.clear(), "no evidence"),
        (|document| document.evidence[0].height = 11, "height is 11"),
        (|document| document.evidence[0].first.hash = B256::ZERO, "first.hash"),
        (|document| document.evidence[0].second.hash = B256::ZERO, "second.hash"),
        (|document| document.genesis.hash = B256::ZERO, "genesis.hash"),
        (|document| document.commitment = Bytes::new(), "commitment"),
        (|document| document.evidence[0].second = document.evidence[0].first.clone(), "both are the block"),
    ];
    for (tamper, named) in tampered {
        let mut document = whole.clone();
        tamper(&mut document);
        let error = document.check().unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[actix_web::test]
async fn sealed_blocks_are_found_by_number_and_hash() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let by_number: Bytes =
        serde_json::from_value(harness.result("callboard_getSealedBlock", json!([1])).await).unwrap();
    let block = Block::decode(by_number.clone()).unwrap();
    for id in [json!("0x1"), json!(block.hash())] {
        assert_eq!(harness.result("callboard_getSealedBlock", json!([id])).await, json!(by_number));
    }
    for id in [json!(3), json!(B256::ZERO)] {
        let error = harness.error("callboard_getSealedBlock", json!([id])).await;
        assert!(error.0 == -32000 && error.1.starts_with("unknown block"), "{error:?}");
    }
}

#[actix_web::test]
async fn imports_and_listings_are_offered_over_json_rpc_too() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let bytes = harness.result("callboard_getSealedBlock", json!([1])).await;
    assert_eq!(harness.result("callboard_importBlock", json!([bytes])).await["imported"], json!(true));
    assert_eq!(json!(harness.import.received.lock()[0]), bytes);
    let page = harness
        .result("callboard_getTransactionsByAddress", json!([user(2).address(), { "limit": 1, "direction": "sent" }]))
        .await;
    let newest = &page["transactions"][0];
    assert_eq!((&newest["hash"], &newest["timestamp"]), (&json!(transactions[2].tx_hash()), &json!(1_700_000_002)));
    assert_eq!(page["next"], "2:0");
    let older = json!([user(2).address(), { "before": page["next"] }]);
    let older = harness.result("callboard_getTransactionsByAddress", older).await;
    assert_eq!((&older["count"], &older["next"]), (&json!(1), &Value::Null));
    // A height as a number: above it, oldest first; below it, newest first.
    let hashes = async |options: Value| {
        let page = harness.result("callboard_getTransactionsByAddress", json!([user(2).address(), options])).await;
        let transactions = page["transactions"].as_array().unwrap().iter();
        transactions.map(|transaction| transaction["hash"].clone()).collect::<Vec<_>>()
    };
    let [first, last] = [0, 2].map(|place| json!(transactions[place].tx_hash()));
    assert_eq!(hashes(json!({ "after": 0 })).await, [first.clone(), last.clone()]);
    assert_eq!(hashes(json!({ "after": 1 })).await, std::slice::from_ref(&last));
    assert_eq!(hashes(json!({ "after": "1:0" })).await, [last]);
    assert_eq!(hashes(json!({ "before": 2 })).await, std::slice::from_ref(&first));
    assert_eq!(hashes(json!({ "after": 0, "before": 2 })).await, [first]);
    for options in [
        json!({ "limit": "x" }),
        json!({ "before": "x" }),
        json!({ "after": "x" }),
        json!({ "after": -1 }),
        json!({ "before": "1:4294967296" }),
        json!({ "direction": "up" }),
        json!({ "a": 1 }),
    ] {
        let params = json!([user(2).address(), options]);
        assert_eq!(harness.error("callboard_getTransactionsByAddress", params).await.0, -32602, "{options}");
    }
}

#[actix_web::test]
async fn messages_are_the_transactions_with_text_whether_it_went_well_or_not() {
    let mut chain = TestChain::new();
    let say = |nonce, to, input: &'static [u8]| {
        let (gas_limit, input) = (100_000, Bytes::from_static(input));
        sign(TxLegacy { to, gas_limit, input, value: U256::ZERO, ..legacy(nonce) }, &user(2))
    };
    let other = TxKind::Call(user(3).address());
    let sent = [
        say(0, other, "grüß dich".as_bytes()),
        say(1, other, b""),
        say(2, other, &[0xff, 0xfe]),
        // Init code that is text creates a contract and says nothing to anybody.
        say(3, TxKind::Create, b"\0"),
        // The contract reverts where it is given data.
        say(4, TxKind::Call(CONTRACT), b"hello"),
    ];
    chain.extend(&sent);
    let harness = Harness::over(&chain);
    let ask = async |address, options: Value| harness.result("callboard_getMessages", json!([address, options])).await;
    let received = ask(user(3).address(), json!({})).await;
    let expected = json!({ "hash": sent[0].tx_hash(), "from": user(2).address(), "to": user(3).address(),
        "text": "grüß dich", "height": 1, "index": 0, "timestamp": 1_700_000_001, "nonce": 0, "status": "confirmed" });
    assert_eq!(received, json!({ "messages": [expected], "count": 1, "next": null }));
    let sent_by_two = ask(user(2).address(), json!({ "direction": "sent" })).await;
    let texts =
        sent_by_two["messages"].as_array().unwrap().iter().map(|message| (&message["text"], &message["status"]));
    let expected = [("hello", "failed"), ("grüß dich", "confirmed")].map(|(text, status)| (json!(text), json!(status)));
    assert_eq!(texts.collect::<Vec<_>>(), expected.each_ref().map(|(text, status)| (text, status)));
    assert_eq!(ask(user(2).address(), json!({})).await["count"], 0, "received only");
    for options in [json!({ "limit": "x" }), json!({ "after": "x" }), json!({ "direction": "up" }), json!({ "a": 1 })] {
        let params = json!([user(3).address(), options]);
        assert_eq!(harness.error("callboard_getMessages", params).await.0, -32602, "{options}");
    }
}

#[actix_web::test]
async fn one_page_of_messages_looks_at_a_bounded_number_of_transactions_and_says_where_to_go_on() {
    let mut chain = TestChain::new();
    let to = TxKind::Call(user(3).address());
    let silent = (1..=600).map(|nonce| sign(TxLegacy { to, ..legacy(nonce) }, &user(2)));
    let input = Bytes::from_static(b"first");
    let first = sign(TxLegacy { to, gas_limit: 100_000, input, ..legacy(0) }, &user(2));
    chain.extend(&std::iter::once(first).chain(silent).collect::<Vec<_>>());
    let harness = Harness::over(&chain);
    let (mut pages, mut texts, mut before) = (0, Vec::new(), Value::Null);
    loop {
        let params = json!([user(3).address(), { "before": before }]);
        let page = harness.result("callboard_getMessages", params).await;
        pages += 1;
        texts.extend(page["messages"].as_array().unwrap().iter().map(|message| message["text"].clone()));
        match page["next"].clone() {
            Value::Null => break,
            next => before = next,
        }
    }
    assert!(pages >= 2, "601 transactions in one page");
    assert_eq!(texts, ["first"]);
}

#[actix_web::test]
async fn a_transactions_proof_holds_and_a_changed_one_does_not() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let proof = harness.result("callboard_getTransactionProof", json!([transactions[1].tx_hash()])).await;
    let verdict = harness.result("callboard_verifyTransactionProof", json!([proof])).await;
    assert_eq!(verdict["valid"], json!(true));
    assert_eq!(verdict["transactionHash"], json!(transactions[1].tx_hash()));
    assert_eq!((&verdict["height"], &verdict["index"], &verdict["inThisChain"]), (&json!(1), &json!(1), &json!(true)));
    let mut changed = proof.clone();
    changed["index"] = json!(0);
    let verdict = harness.result("callboard_verifyTransactionProof", json!([changed])).await;
    assert_eq!(verdict["valid"], json!(false), "{verdict}");
    changed["seal"] = json!("0x00");
    assert_eq!(harness.error("callboard_verifyTransactionProof", json!([changed])).await.0, -32602);
    assert_eq!(harness.error("callboard_getTransactionProof", json!([B256::ZERO])).await.0, -32000);
}

#[actix_web::test]
async fn a_transactions_status_says_where_it_is_and_why() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let node = NodeId::of(&user(5));
    let held = |waiting, acknowledged_by: Option<NodeId>| Fate::Held {
        waiting,
        forwarded: acknowledged_by.is_some(),
        acknowledged_by,
    };
    let nonces = Waiting::Nonces { missing: vec![7..=9, 11..=11] };
    let funds = Waiting::Funds { required: U256::from(8), balance: U256::from(7) };
    let refused = Fate::RefusedBy { by: node, reason: "nonce too low".to_owned() };
    let own = Fate::Refused { reason: "intrinsic gas too low".to_owned() };
    let queued = |waiting: Value| json!({ "status": "queued", "forwarded": false, "acknowledgedBy": null, "waitingFor": waiting });
    let cases = [
        (
            held(Waiting::Ready, Some(node)),
            json!({ "status": "pending", "forwarded": true, "acknowledgedBy": node.to_string(), "waitingFor": null }),
        ),
        (held(nonces, None), queued(json!({ "nonces": [{ "from": 7, "to": 9 }, { "from": 11, "to": 11 }] }))),
        (held(funds, None), queued(json!({ "funds": { "required": "8", "balance": "7" } }))),
        (Fate::Dropped(DropReason::Evicted), json!({ "status": "dropped", "reason": "evicted", "waitingFor": null })),
        (
            refused,
            json!({ "status": "refused", "reason": "nonce too low", "by": node.to_string(), "waitingFor": null }),
        ),
        (own, json!({ "status": "refused", "reason": "intrinsic gas too low", "by": null, "waitingFor": null })),
    ];
    for (fate, mut expected) in cases {
        harness.pool.stories.lock().insert(B256::ZERO, Story { fate, timeline: Vec::new() });
        expected["hash"] = json!(B256::ZERO);
        expected["timeline"] = json!([]);
        assert_eq!(harness.result("callboard_transactionStatus", json!([B256::ZERO])).await, expected);
    }
    let hash = *transactions[1].tx_hash();
    let timeline = json!([{ "at": 1_700_000_001, "step": "included", "height": 1, "index": 1 }]);
    let expected = json!({
        "hash": hash, "status": "included", "height": 1, "index": 1, "waitingFor": null, "timeline": timeline,
    });
    assert_eq!(harness.result("callboard_transactionStatus", json!([hash])).await, expected);
    let error = harness.error("callboard_transactionStatus", json!([B256::repeat_byte(9)])).await;
    assert!(error.0 == -32000 && error.1.starts_with("unknown transaction"), "{error:?}");
}

#[actix_web::test]
async fn the_time_line_of_a_transaction_names_each_step_with_what_belongs_to_it() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let node = NodeId::of(&user(5));
    let (name, other, why) = (node.to_string(), B256::repeat_byte(2), || "why".to_owned());
    let dropped = |reason, by, detail| Step::Dropped { reason, by, detail };
    let steps = [
        (Step::Arrived { from: Source::Rpc }, json!({ "step": "arrived", "from": "rpc" })),
        (Step::Arrived { from: Source::Peer(node) }, json!({ "step": "arrived", "from": name })),
        (Step::Arrived { from: Source::Block }, json!({ "step": "arrived", "from": "block" })),
        (Step::Checked, json!({ "step": "checked" })),
        (Step::Forwarded { to: vec![node] }, json!({ "step": "forwarded", "to": [name] })),
        (Step::Forwarded { to: Vec::new() }, json!({ "step": "forwarded", "to": [] })),
        (Step::Acknowledged { by: node }, json!({ "step": "acknowledged", "by": name })),
        (Step::NotNow { by: node, reason: why() }, json!({ "step": "notNow", "by": name, "reason": "why" })),
        (
            dropped(DropReason::Replaced, Some(other), None),
            json!({ "step": "dropped", "reason": "replaced", "by": other }),
        ),
        (
            dropped(DropReason::Invalid, None, Some(why())),
            json!({ "step": "dropped", "reason": "invalid", "detail": "why" }),
        ),
        (dropped(DropReason::Expired, None, None), json!({ "step": "dropped", "reason": "expired" })),
        (Step::RefusedBy { by: node, reason: why() }, json!({ "step": "refused", "by": name, "reason": "why" })),
        (
            Step::Refused { from: Source::Rpc, reason: why() },
            json!({ "step": "refused", "from": "rpc", "reason": "why" }),
        ),
        (Step::KeptOut { from: Source::Peer(node) }, json!({ "step": "keptOut", "from": name })),
    ];
    let (steps, mut expected): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let entry = |step| Entry { at: 5, last: 5, times: 1, step };
    let mut timeline: Vec<_> = steps.into_iter().map(entry).collect();
    expected.iter_mut().for_each(|step| step["at"] = json!(5));
    (timeline[4].times, timeline[4].last) = (3, 9);
    (expected[4]["times"], expected[4]["last"]) = (json!(3), json!(9));
    let fate = Fate::Dropped(DropReason::Expired);
    harness.pool.stories.lock().insert(B256::ZERO, Story { fate, timeline });
    let answer = harness.result("callboard_transactionStatus", json!([B256::ZERO])).await;
    assert_eq!(answer["timeline"], json!(expected));
}

fn refused(height: u64) -> Rejection {
    RefusedBlock {
        number: 1,
        height,
        hash: B256::repeat_byte(7),
        check: "transactionsRoot".to_owned(),
        passed: vec!["decode".to_owned(), "seal".to_owned()],
        expected: "0x01".to_owned(),
        actual: "0x02".to_owned(),
        message: "the body is another one".to_owned(),
        blame: Blame::Peer,
        sender: "03aa".to_owned(),
        url: None,
        path: "live".to_owned(),
        finding: None,
        time: 5,
        last_time: 9,
        count: 3,
        length: 600,
    }
    .into()
}

#[actix_web::test]
async fn refusals_are_listed_newest_first_with_a_bounded_limit() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    assert_eq!(harness.result("callboard_rejections", json!([])).await, json!([]));
    *harness.blocks.rejections.lock() = vec![refused(9), refused(8)];
    let one = harness.result("callboard_rejections", json!([{ "limit": 1 }])).await;
    let failed = json!({ "check": "transactionsRoot", "stage": "verify",
        "demands": "the transactions are those of the header", "outcome": "failed", "passed": false, "at": 5.0,
        "expected": "0x01", "actual": "0x02" });
    let checks = one[0]["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| (&check["check"], &check["passed"])).collect();
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(names, [(&json!("decode"), &yes), (&json!("seal"), &yes), (&json!("transactionsRoot"), &no)]);
    assert_eq!(checks[2], failed);
    assert_eq!((&one[0]["height"], &one[0]["bytes"], one.as_array().unwrap().len()), (&json!(9), &json!(600), 1));
    assert!(one[0]["remedy"].as_str().unwrap().starts_with("nothing is wrong on this node"));
    for options in [json!({ "limit": 101 }), json!({ "limit": -1 }), json!({ "before": 1 })] {
        assert_eq!(harness.error("callboard_rejections", json!([options])).await.0, -32602, "{options}");
    }
}

#[actix_web::test]
async fn a_block_is_explained_by_number_hash_and_tag() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let bytes: Bytes = serde_json::from_value(harness.result("callboard_getSealedBlock", json!([1])).await).unwrap();
    let block = Block::decode(bytes).unwrap();
    for id in [json!(1), json!("0x1"), json!(block.hash())] {
        assert_eq!(harness.result("callboard_explainBlock", json!([id])).await["hash"], json!(block.hash()));
        let asked = harness.blocks.asked.lock().pop().unwrap();
        let confirmed = asked.confirmed.unwrap();
        assert_eq!((confirmed.height, confirmed.hash), (1, block.hash()));
        assert_eq!(confirmed.proposer, block.header().beneficiary);
        assert!(asked.height == Some(1) && asked.hash.is_none() || asked.hash == Some(block.hash()));
    }
    harness.result("callboard_explainBlock", json!(["latest", { "raw": true }])).await;
    let asked = harness.blocks.asked.lock().pop().unwrap();
    assert_eq!((asked.height, asked.raw), (Some(2), true));
    // Nobody knows them: refused ones would be told.
    for id in [json!(3), json!(B256::ZERO)] {
        let error = harness.error("callboard_explainBlock", json!([id])).await;
        assert!(error.0 == -32000 && error.1.starts_with("unknown block"), "{error:?}");
        assert!(harness.blocks.asked.lock().pop().unwrap().confirmed.is_none());
    }
}
