//! Ethereum's read methods over a real chain.

use super::chain::{CHAIN_ID, CONTRACT, GENESIS_TIME, TestChain, authority, dynamic, legacy, sign, user};
use super::harness::Harness;
use crate::rpc_frontend::SyncProgress;
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use callboard_chain::{Account, AccountProof, BaseFeePolicy, SlotProof, Transaction};
use serde_json::{Value, json};

/// Blocks 1 (a transfer and a contract call) and 2 (a contract creation) over the genesis.
pub(super) fn busy_chain() -> (TestChain, Vec<Transaction>) {
    let mut chain = TestChain::new();
    let create =
        TxLegacy { to: TxKind::Create, gas_limit: 100_000, value: U256::ZERO, input: Bytes::from([0x00]), ..legacy(1) };
    let transactions = vec![sign(legacy(0), &user(2)), sign(dynamic(0), &user(4)), sign(create, &user(2))];
    chain.extend(&transactions[..2]);
    chain.extend(&transactions[2..]);
    (chain, transactions)
}

#[actix_web::test]
async fn a_node_says_what_chain_it_is_on() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    for (method, expected) in [
        ("eth_chainId", json!(format!("{CHAIN_ID:#x}"))),
        ("net_version", json!(CHAIN_ID.to_string())),
        ("eth_blockNumber", json!("0x2")),
        ("eth_accounts", json!([])),
        ("eth_coinbase", json!(authority().address())),
        ("eth_gasPrice", json!("0x0")),
        ("eth_maxPriorityFeePerGas", json!("0x0")),
        ("eth_blobBaseFee", json!("0x1")),
        ("eth_syncing", json!(false)),
        ("net_listening", json!(true)),
        ("net_peerCount", json!("0x2")),
        ("txpool_status", json!({ "pending": "0x0", "queued": "0x0" })),
    ] {
        assert_eq!(harness.result(method, json!([])).await, expected, "{method}");
    }
    let hash = harness.result("web3_sha3", json!(["0x68656c6c6f"])).await;
    assert_eq!(hash, "0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8");
    *harness.status.progress.lock() = Some(SyncProgress { starting: 1, target: 9 });
    let syncing = harness.result("eth_syncing", json!([])).await;
    assert_eq!(syncing, json!({ "startingBlock": "0x1", "currentBlock": "0x2", "highestBlock": "0x9" }));
}

#[actix_web::test]
async fn blocks_are_found_by_number_tag_and_hash() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let head = harness.result("eth_getBlockByNumber", json!(["0x2", false])).await;
    assert_eq!(head["transactions"], json!([transactions[2].tx_hash()]));
    for tag in ["latest", "pending", "safe", "finalized"] {
        assert_eq!(harness.result("eth_getBlockByNumber", json!([tag, false])).await, head, "{tag}");
    }
    assert_eq!(harness.result("eth_getBlockByHash", json!([head["hash"], false])).await, head);
    let earliest = harness.result("eth_getBlockByNumber", json!(["earliest", false])).await;
    assert_eq!(earliest["hash"], json!(chain.genesis.hash()));
    assert_eq!(earliest["timestamp"], json!(format!("{GENESIS_TIME:#x}")));
    assert_eq!(head["baseFeePerGas"], "0x0");
    assert_eq!(head["extraData"].as_str().unwrap().len(), 66);
    assert_eq!(harness.result("eth_getBlockByNumber", json!(["0x3", true])).await, Value::Null);
    assert_eq!(harness.result("eth_getBlockByHash", json!([B256::repeat_byte(9), true])).await, Value::Null);
    for bad in ["5", "0x", "newest", "0xzz"] {
        assert_eq!(harness.error("eth_getBlockByNumber", json!([bad, false])).await.0, -32602, "{bad}");
    }
}

#[actix_web::test]
async fn full_transactions_say_where_they_stand() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let block = harness.result("eth_getBlockByNumber", json!(["0x1", true])).await;
    let [transfer, call] = [&block["transactions"][0], &block["transactions"][1]];
    assert_eq!(transfer["hash"], json!(transactions[0].tx_hash()));
    assert_eq!(transfer["from"], json!(user(2).address()));
    assert_eq!(
        (&transfer["type"], &transfer["gasPrice"], &transfer["transactionIndex"]),
        (&json!("0x0"), &json!("0x0"), &json!("0x0"))
    );
    assert_eq!(
        (&call["type"], &call["from"], &call["transactionIndex"]),
        (&json!("0x2"), &json!(user(4).address()), &json!("0x1"))
    );
    assert_eq!((&call["gasPrice"], &call["yParity"]), (&json!("0x1"), &call["v"]));
    for (method, params) in [
        ("eth_getTransactionByHash", json!([call["hash"]])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x1"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([block["hash"], "0x1"])),
    ] {
        assert_eq!(&harness.result(method, params).await, call, "{method}");
    }
    assert_eq!(harness.result("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x2"])).await, Value::Null);
    let raw = Bytes::from(alloy_eips::eip2718::Encodable2718::encoded_2718(&transactions[1]));
    for (method, params, expected) in [
        ("eth_getRawTransactionByHash", json!([call["hash"]]), json!(raw)),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x1", "0x1"]), json!(raw)),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([block["hash"], "0x1"]), json!(raw)),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x1", "0x2"]), Value::Null),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x9", "0x0"]), Value::Null),
        ("eth_getRawTransactionByHash", json!([B256::ZERO]), Value::Null),
    ] {
        assert_eq!(harness.result(method, params).await, expected, "{method}");
    }
    assert_eq!(harness.result("eth_getTransactionByHash", json!([B256::ZERO])).await, Value::Null);
    for (method, block, count) in [
        ("eth_getBlockTransactionCountByNumber", json!("0x1"), json!("0x2")),
        ("eth_getBlockTransactionCountByHash", block["hash"].clone(), json!("0x2")),
        ("eth_getBlockTransactionCountByNumber", json!("0x9"), Value::Null),
        ("eth_getUncleCountByBlockNumber", json!("0x1"), json!("0x0")),
        ("eth_getUncleCountByBlockHash", block["hash"].clone(), json!("0x0")),
        ("eth_getUncleCountByBlockHash", json!(B256::ZERO), Value::Null),
    ] {
        assert_eq!(harness.result(method, json!([block])).await, count, "{method}");
    }
    for (method, block) in [
        ("eth_getUncleByBlockNumberAndIndex", json!("0x1")),
        ("eth_getUncleByBlockHashAndIndex", block["hash"].clone()),
    ] {
        assert_eq!(harness.result(method, json!([block, "0x0"])).await, Value::Null, "{method}");
    }
}

#[actix_web::test]
async fn a_pending_transaction_has_no_block() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let transaction = sign(legacy(0), &user(2));
    let raw = alloy_eips::eip2718::Encodable2718::encoded_2718(&transaction);
    harness.result("eth_sendRawTransaction", json!([Bytes::from(raw.clone())])).await;
    let pending = harness.result("eth_getTransactionByHash", json!([transaction.tx_hash()])).await;
    for member in ["blockHash", "blockNumber", "transactionIndex"] {
        assert_eq!(pending.get(member), Some(&Value::Null), "{member}");
    }
    assert_eq!(harness.result("eth_getTransactionReceipt", json!([transaction.tx_hash()])).await, Value::Null);
    let answered = harness.result("eth_getRawTransactionByHash", json!([transaction.tx_hash()])).await;
    assert_eq!(answered, json!(Bytes::from(raw)));
}

#[actix_web::test]
async fn receipts_and_logs_are_numbered_within_their_block() {
    let (chain, transactions) = busy_chain();
    let harness = Harness::over(&chain);
    let receipts = harness.result("eth_getBlockReceipts", json!(["0x1"])).await;
    let call = harness.result("eth_getTransactionReceipt", json!([transactions[1].tx_hash()])).await;
    assert_eq!(receipts[1], call);
    assert_eq!(
        (&call["status"], &call["type"], &call["effectiveGasPrice"]),
        (&json!("0x1"), &json!("0x2"), &json!("0x1"))
    );
    let number = |value: &Value| u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(number(&receipts[0]["gasUsed"]), 21_000);
    assert_eq!(number(&call["cumulativeGasUsed"]), 21_000 + number(&call["gasUsed"]));
    let log = &call["logs"][0];
    assert_eq!((&log["address"], &log["logIndex"], &log["removed"]), (&json!(CONTRACT), &json!("0x0"), &json!(false)));
    assert_eq!(log["topics"], json!([B256::with_last_byte(7)]));
    let created = harness.result("eth_getTransactionReceipt", json!([transactions[2].tx_hash()])).await;
    assert_eq!(created["contractAddress"], json!(user(2).address().create(1)));
    assert_eq!(created["to"], Value::Null);
    for absent in ["blobGasPrice", "blobGasUsed"] {
        assert!(created.get(absent).is_none(), "{absent}");
    }
}

#[actix_web::test]
async fn state_is_answered_as_of_the_block_asked_for() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let (sender, recipient) = (user(2).address(), user(3).address());
    let before = U256::from(10u128.pow(19));
    for (block, balance, nonce) in [
        (json!("0x0"), before, "0x0"),
        (json!("earliest"), before, "0x0"),
        (json!("0x1"), before - U256::from(1_000), "0x1"),
        (json!("latest"), before - U256::from(1_000), "0x2"),
        (json!({ "blockNumber": "0x1" }), before - U256::from(1_000), "0x1"),
        (json!({ "blockHash": chain.genesis.hash(), "requireCanonical": true }), before, "0x0"),
    ] {
        assert_eq!(harness.result("eth_getBalance", json!([sender, block])).await, json!(balance), "{block}");
        assert_eq!(harness.result("eth_getTransactionCount", json!([sender, block])).await, nonce, "{block}");
    }
    assert_eq!(harness.result("eth_getBalance", json!([recipient])).await, json!(before + U256::from(1_000)));
    assert_eq!(harness.result("eth_getBalance", json!([Address::repeat_byte(1), "latest"])).await, "0x0");
    harness.pool.nonces.lock().insert(sender, 5);
    assert_eq!(harness.result("eth_getTransactionCount", json!([sender, "pending"])).await, "0x5");
    harness.pool.nonces.lock().insert(sender, 1);
    assert_eq!(harness.result("eth_getTransactionCount", json!([sender, "pending"])).await, "0x2", "never backwards");
    assert_eq!(harness.result("eth_getCode", json!([sender, "latest"])).await, "0x");
    assert!(harness.result("eth_getCode", json!([CONTRACT, "latest"])).await.as_str().unwrap().len() > 100);
}

#[actix_web::test]
async fn storage_slots_are_read_in_every_form_clients_send() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let value = json!(B256::with_last_byte(0x2a));
    for slot in ["0x0", "0x00", &format!("0x{}", "0".repeat(64))] {
        assert_eq!(harness.result("eth_getStorageAt", json!([CONTRACT, slot, "latest"])).await, value, "{slot}");
    }
    assert_eq!(harness.result("eth_getStorageAt", json!([CONTRACT, "0x1"])).await, json!(B256::ZERO));
    for slot in [&format!("0x{}", "0".repeat(70)), "0x", "0", "0xg"] {
        assert_eq!(harness.error("eth_getStorageAt", json!([CONTRACT, slot, "latest"])).await.0, -32602, "{slot}");
    }
}

#[actix_web::test]
async fn accounts_and_slots_are_proven_at_the_head_and_before_it() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let word = format!("0x{}", "0".repeat(64));
    for (address, block) in [(CONTRACT, "0x1"), (user(2).address(), "0x0"), (Address::repeat_byte(1), "latest")] {
        let answer = harness.result("eth_getProof", json!([address, ["0x0", word], block])).await;
        let header = harness.result("eth_getBlockByNumber", json!([block, false])).await;
        let read = |value: &Value| serde_json::from_value::<U256>(value.clone()).unwrap();
        let nodes = |value: &Value| serde_json::from_value::<Vec<Bytes>>(value.clone()).unwrap();
        let hash = |value: &Value| serde_json::from_value::<B256>(value.clone()).unwrap();
        let account = Account {
            nonce: read(&answer["nonce"]).to(),
            balance: read(&answer["balance"]),
            storage_root: hash(&answer["storageHash"]),
            code_hash: hash(&answer["codeHash"]),
        };
        let slot = |slot: &Value| SlotProof {
            slot: read(&slot["key"]),
            value: read(&slot["value"]),
            nodes: nodes(&slot["proof"]),
        };
        let proof = AccountProof {
            address,
            account: (!account.is_empty()).then_some(account),
            nodes: nodes(&answer["accountProof"]),
            slots: answer["storageProof"].as_array().unwrap().iter().map(slot).collect(),
        };
        proof.verify(hash(&header["stateRoot"])).unwrap();
        assert_eq!(proof.account.is_none(), address == Address::repeat_byte(1));
        let expected = if address == CONTRACT { 0x2a } else { 0 };
        assert!(proof.slots.len() == 2 && proof.slots.iter().all(|slot| slot.value == U256::from(expected)));
        let keys: Vec<&Value> = answer["storageProof"].as_array().unwrap().iter().map(|slot| &slot["key"]).collect();
        assert_eq!(keys, [&json!("0x0"), &json!(word)], "in the form of the question");
    }
    assert_eq!(harness.error("eth_getProof", json!([CONTRACT, vec!["0x0"; 1_025], "latest"])).await.0, -32602);
    let (code, message) = harness.error("eth_getProof", json!([CONTRACT, [], "0x9"])).await;
    assert!(code == -32000 && message.starts_with("unknown block"), "{message}");
}

#[actix_web::test]
async fn a_proof_that_reaches_too_far_back_is_refused_and_says_for_which_blocks_there_are_some() {
    let mut chain = TestChain::new();
    chain.extend_by(300);
    let harness = Harness::over(&chain);
    assert!(harness.result("eth_getProof", json!([CONTRACT, ["0x0"], "0x2c"])).await["accountProof"].is_array());
    let (code, message) = harness.error("eth_getProof", json!([CONTRACT, ["0x0"], "0x2b"])).await;
    let text = "the state of block 43 cannot be proven: proofs reach 256 blocks below the head 300";
    assert_eq!((code, message.as_str()), (-32000, text));
    let keys: Vec<_> = (0..1_024u64).map(|slot| json!(format!("{slot:#x}"))).collect();
    let answer = harness.result("eth_getProof", json!([CONTRACT, keys, "latest"])).await;
    assert_eq!(answer["storageProof"].as_array().unwrap().len(), 1_024);
}

#[actix_web::test]
async fn a_block_that_is_not_known_is_an_error_where_the_standard_has_no_null() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let address = user(2).address();
    for block in [json!("0x3"), json!(B256::repeat_byte(1)), json!({ "blockHash": B256::repeat_byte(1) })] {
        for (method, params) in [
            ("eth_getBalance", json!([address, block])),
            ("eth_getTransactionCount", json!([address, block])),
            ("eth_getCode", json!([address, block])),
            ("eth_getStorageAt", json!([address, "0x0", block])),
            ("eth_call", json!([{ "to": CONTRACT }, block])),
            ("eth_estimateGas", json!([{ "to": CONTRACT }, block])),
            ("eth_createAccessList", json!([{ "to": CONTRACT }, block])),
            ("eth_getProof", json!([address, [], block])),
            ("eth_feeHistory", json!(["0x1", block, []])),
            ("debug_traceCall", json!([{ "to": CONTRACT }, block])),
            ("debug_getRawHeader", json!([block])),
            ("debug_getRawBlock", json!([block])),
            ("debug_getRawReceipts", json!([block])),
        ] {
            let (code, message) = harness.error(method, params).await;
            assert_eq!(code, -32000, "{method} {block}");
            assert!(message.starts_with("unknown block"), "{method}: {message}");
        }
    }
}

#[actix_web::test]
async fn fee_history_is_zeros_where_gas_is_free() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let history = harness.result("eth_feeHistory", json!(["0x2", "latest", [25.0, 50.0, 75.0]])).await;
    assert_eq!(history["oldestBlock"], "0x1");
    assert_eq!(history["baseFeePerGas"], json!(["0x0", "0x0", "0x0"]));
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
    // Block 1: 21,000 gas at no tip, then a call at 1 wei; block 2: no tip.
    assert_eq!(history["reward"], json!([["0x0", "0x1", "0x1"], ["0x0", "0x0", "0x0"]]));
    let empty = harness.result("eth_feeHistory", json!([1, "0x0", [50]])).await;
    assert_eq!(empty["reward"], json!([["0x0"]]));
    let all = harness.result("eth_feeHistory", json!(["0x400", "latest", []])).await;
    assert_eq!(all["baseFeePerGas"].as_array().unwrap().len(), 4, "as many blocks as there are, and the next one");
    assert!(all.get("reward").is_none());
    for percentiles in [json!([50, 25]), json!([101]), json!([-1]), json!(vec![1; 101])] {
        assert_eq!(harness.error("eth_feeHistory", json!(["0x1", "latest", percentiles])).await.0, -32602);
    }
}

#[actix_web::test]
async fn a_fee_history_ends_at_so_many_blocks_as_in_geth() {
    let mut chain = TestChain::new();
    chain.extend_by(1_030);
    let harness = Harness::over(&chain);
    let history = harness.result("eth_feeHistory", json!(["0x405", "latest", []])).await;
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 1_024);
    assert_eq!(history["oldestBlock"], "0x7", "the newest of them");
}

#[actix_web::test]
async fn gas_is_priced_by_the_next_block_where_it_is_not_free() {
    let chain = TestChain::with(BaseFeePolicy::Eip1559);
    let harness = Harness::over(&chain);
    // Block 0 is empty, so block 1 costs an eighth less than 1 gwei; an eighth on top for a full block after it.
    let next = 875_000_000_u64;
    let history = harness.result("eth_feeHistory", json!(["0x1", "latest", null])).await;
    assert_eq!(history["baseFeePerGas"], json!(["0x3b9aca00", format!("{next:#x}")]));
    assert_eq!(harness.result("eth_gasPrice", json!([])).await, json!(format!("{:#x}", next + next / 8)));
}

#[actix_web::test]
async fn answers_move_with_the_head_at_once() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    for height in 1..=5_u64 {
        chain.extend(&[sign(legacy(height - 1), &user(2))]);
        assert_eq!(harness.result("eth_blockNumber", json!([])).await, json!(format!("{height:#x}")));
        let count = harness.result("eth_getTransactionCount", json!([user(2).address(), "latest"])).await;
        assert_eq!(count, json!(format!("{height:#x}")));
        assert_eq!(harness.get("/rpc/head").await.json()["height"], json!(height));
    }
}

#[actix_web::test]
async fn methods_by_hash_take_a_hash_and_nothing_else() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let hash = harness.result("eth_getBlockByNumber", json!(["0x1"])).await["hash"].clone();
    for (method, rest) in [
        ("eth_getBlockByHash", json!([false])),
        ("eth_getBlockTransactionCountByHash", json!([])),
        ("eth_getUncleCountByBlockHash", json!([])),
        ("eth_getUncleByBlockHashAndIndex", json!(["0x0"])),
        ("eth_getTransactionByBlockHashAndIndex", json!(["0x0"])),
        ("eth_getRawTransactionByBlockHashAndIndex", json!(["0x0"])),
        ("debug_traceBlockByHash", json!([])),
    ] {
        let with = |id: &Value| {
            let mut params = vec![id.clone()];
            params.extend(rest.as_array().unwrap().iter().cloned());
            json!(params)
        };
        harness.result(method, with(&hash)).await;
        for wrong in [json!("0x1"), json!("latest"), json!({ "blockHash": hash }), json!(1), json!("0x12345678")] {
            let error = harness.error(method, with(&wrong)).await;
            assert!(error.0 == -32602 && error.1.starts_with("invalid argument 0 (block hash)"), "{method}: {error:?}");
        }
    }
}

#[actix_web::test]
async fn a_member_of_a_block_id_that_is_null_is_absent() {
    let (chain, _) = busy_chain();
    let harness = Harness::over(&chain);
    let block = harness.result("eth_getBlockByNumber", json!(["0x1"])).await["hash"].clone();
    let number = json!({ "blockNumber": "0x1", "blockHash": null });
    let hash = json!({ "blockNumber": null, "blockHash": block, "requireCanonical": null });
    let address = user(2).address();
    for id in [number, hash] {
        let at = harness.result("eth_getTransactionCount", json!([address, id])).await;
        assert_eq!(at, harness.result("eth_getTransactionCount", json!([address, "0x1"])).await);
        let receipts = harness.result("eth_getBlockReceipts", json!([id])).await;
        assert_eq!(receipts[0]["blockNumber"], "0x1");
    }
    for none in [json!({ "blockNumber": null }), json!({})] {
        assert_eq!(harness.error("eth_getTransactionCount", json!([address, none])).await.0, -32602);
    }
    let both = json!({ "blockNumber": "0x1", "blockHash": block });
    assert_eq!(harness.error("eth_getTransactionCount", json!([address, both])).await.0, -32602);
}
