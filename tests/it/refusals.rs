//! What a refused block leaves behind: a record with sender, path, checks, both sides, and the first key that differs.

use crate::forge::*;
use crate::support::node::{Node, SOON};
use crate::support::{callboard, until};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use callboard::dev;
use callboard_chain::{Block, Seal, Transaction};
use redb::{Database, TableDefinition, WriteTransaction};
use serde_json::{Value, json};

const ACCOUNTS: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("accounts");
const STORAGE: TableDefinition<'_, &[u8; 52], &[u8]> = TableDefinition::new("storage");

fn rejections(node: &Node, limit: usize) -> Vec<Value> {
    let answer = node.call("callboard_rejections", json!([{ "limit": limit }]));
    answer.as_array().expect("a list").clone()
}

fn explained(node: &Node, block: &str) -> String {
    let run = callboard().args(["block", "explain", block, "--rpc", &node.rpc_url()]).output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("text")
}

/// Something behind the trie's back, in the state of a stopped node (docs/src/storage.md).
type Damage = Box<dyn FnOnce(&WriteTransaction)>;

/// Gives an account seven wei.
fn seven_wei(account: Address) -> Damage {
    Box::new(move |write| {
        let mut accounts = write.open_table(ACCOUNTS).expect("the table");
        // No nonce, one byte of balance, that byte.
        accounts.insert(&account.0.0, [0u8, 1, 7].as_slice()).expect("written");
    })
}

/// Gives a slot another value.
fn slot_is(contract: Address, slot: u8, value: u8) -> Damage {
    Box::new(move |write| {
        let mut key = [0; 52];
        key[..20].copy_from_slice(contract.as_slice());
        key[51] = slot;
        let mut storage = write.open_table(STORAGE).expect("the table");
        let before = storage.insert(&key, [value].as_slice()).expect("written");
        assert!(before.is_some(), "the slot was set");
    })
}

/// Two followers of a chain of two blocks. One has both; the state of the other is damaged below the second block, and it
/// has refused that.
struct Refusal {
    honest: Node,
    damaged: Node,
    second: Block,
    /// What the damaged node has written down.
    refused: Value,
}

impl Refusal {
    fn of(first: &[Transaction], damage: Damage, second: &[Transaction]) -> Self {
        let mut forge = Forge::new();
        let (mut honest, mut damaged) = (forge.follower(), forge.follower());
        let first = forge.extend(first);
        honest.start();
        import(&honest, &first);
        damaged.start();
        import(&damaged, &first);
        damaged.stop();
        let database = Database::open(damaged.database()).expect("a database");
        let write = database.begin_write().expect("a transaction");
        damage(&write);
        write.commit().expect("committed");
        drop(database);
        damaged.follow(&[&honest]).start();
        damaged.is_phase("following");
        until("the damaged node follows the honest one", SOON, || {
            damaged.status()["peers"].as_array().filter(|peers| !peers.is_empty()).map(drop)
        });
        let second = forge.extend(second);
        import(&honest, &second);
        let refused = until("the block is refused and looked into", SOON, || {
            rejections(&damaged, 1).into_iter().find(|refused| refused["finding"].is_string())
        });
        assert_eq!((&refused["check"], &refused["blame"]), (&json!("stateRoot"), &json!("local")), "{refused}");
        Self { honest, damaged, second, refused }
    }

    /// What a peer has proven.
    #[track_caller]
    fn finds(&self, expected: &str) {
        let finding = self.refused["finding"].as_str().expect("text");
        assert_eq!(finding, format!("{expected} (proven by {})", node_id(&self.honest).as_str().expect("an id")));
    }
}

/// The contract that development account 0 makes with its first transaction.
fn contract() -> Address {
    dev::key(0).address().create(0)
}

fn to_contract(kind: TxKind, nonce: u64, input: Vec<u8>) -> Transaction {
    let transaction = unsigned(nonce, Address::ZERO, 0);
    sign(TxLegacy { to: kind, gas_limit: 5_000_000, input: input.into(), ..transaction }, &dev::key(0))
}

/// A transaction that makes a contract of this code, whose slots 0 and 1 are 1 and 3.
fn deploy(code: &[u8]) -> Transaction {
    let [high, low] = u16::try_from(code.len()).expect("short code").to_be_bytes();
    let stores = [0x60, 1, 0x5f, 0x55, 0x60, 3, 0x60, 1, 0x55];
    let returns = [0x61, high, low, 0x80, 0x60, 20, 0x5f, 0x39, 0x5f, 0xf3, 0x00];
    to_contract(TxKind::Create, 0, [&stores[..], &returns, code].concat())
}

fn call() -> Transaction {
    to_contract(TxKind::Call(contract()), 1, Vec::new())
}

/// Code that reads slot 1, and writes 4 there where the condition holds. Where it does not hold, it uses as much gas.
fn writes_where(condition: &[u8]) -> Vec<u8> {
    /// Of JUMPDEST, two times PUSH1, and SSTORE of another value into a slot that was read.
    const GAS: usize = 1 + 3 + 3 + 2_900;
    let reads = [0x60, 1, 0x54, 0x50];
    let branch = reads.len() + condition.len() + 4;
    let [high, low] = u16::try_from(branch + GAS + 1).expect("short code").to_be_bytes();
    // JUMPDEST takes one gas.
    let waits = [vec![0x5b; GAS], vec![0x00]].concat();
    let writes = [0x5b, 0x60, 4, 0x60, 1, 0x55, 0x00];
    [&reads[..], condition, &[0x61, high, low, 0x57], &waits, &writes].concat()
}

#[test]
fn a_slot_that_a_block_changed_here_to_another_value_than_sealed_is_the_finding() {
    // Slot 0 is one more than it was.
    let code = [0x5f, 0x54, 0x60, 1, 0x01, 0x5f, 0x55, 0x00];
    let refusal = Refusal::of(&[deploy(&code)], slot_is(contract(), 0, 7), &[call()]);
    let [slot, here, sealed] = [0, 8, 2].map(|word| B256::from(U256::from(word)));
    refusal.finds(&format!("slot {slot} of {}: here {here}, sealed {sealed}", contract()));
}

#[test]
fn a_slot_that_a_block_only_read_here_and_that_differs_is_the_finding() {
    // What the block changed here is as sealed; what the authority changed besides, it has not changed here.
    let slot_0_is_1 = [0x5f, 0x54, 0x60, 1, 0x14];
    let code = writes_where(&slot_0_is_1);
    let refusal = Refusal::of(&[deploy(&code)], slot_is(contract(), 0, 2), &[call()]);
    let [slot, here, sealed] = [0, 2, 1].map(|word| B256::from(U256::from(word)));
    refusal.finds(&format!("slot {slot} of {}: here {here}, sealed {sealed}", contract()));
}

#[test]
fn an_account_that_a_block_only_read_here_and_that_differs_is_the_finding() {
    let rich = dev::key(2).address();
    let has_more_than_100 = [&[0x60, 100, 0x73][..], rich.as_slice(), &[0x31, 0x11]].concat();
    let code = writes_where(&has_more_than_100);
    let refusal = Refusal::of(&[deploy(&code)], seven_wei(rich), &[call()]);
    assert!(rich < contract(), "the first of two keys that differ");
    refusal.finds(&format!("account {rich}: balance here 7, sealed {}", dev::balance()));
}

#[test]
fn a_sealed_block_with_another_state_here_is_explained_by_the_first_key_that_differs() {
    let damage = seven_wei(dev::key(2).address());
    let refusal = Refusal::of(&[transfer(0, 0, 1)], damage, &[transfer(1, 0, 5)]);
    let Refusal { mut honest, damaged, second, refused } = refusal;
    let account = dev::key(2).address();
    let sealed = dev::balance() + U256::from(5);
    let finding = refused["finding"].as_str().expect("text");
    let expected = format!("account {account}: balance here 12, sealed {sealed} (proven by ");
    assert!(finding.starts_with(&expected), "{finding}");
    assert_eq!((&refused["height"], &refused["hash"]), (&json!(2), &json!(second.hash())));
    assert_eq!(refused["expected"], json!(second.header().state_root));
    assert_ne!(refused["actual"], refused["expected"]);
    assert_eq!(refused["url"].as_str().map(|url| url.trim_end_matches('/')), Some(&*honest.peer_url()));
    let passed: Vec<&Value> = refused["checks"].as_array().expect("checks").iter().collect();
    assert_eq!(passed.len(), callboard_chain::Check::ALL.len());
    assert!(passed.iter().rev().skip(1).all(|check| check["passed"] == true));

    // It stops following and says why, and what it has is still served.
    damaged.is_phase("stalled");
    assert_eq!(damaged.get("/rpc/head").1["height"], 1);
    let text = explained(&damaged, "2");
    for part in
        ["2 ", "refused", "FAILED  stateRoot", "passed  seal", finding, "what to do: this node or the authority"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let by_hash = explained(&damaged, &second.hash().to_string());
    assert_eq!(by_hash, text);

    // Where it was confirmed, its passport tells whence it came and to whom it went on.
    let passport = until("the honest node's passport", SOON, || {
        let explained = honest.call("callboard_explainBlock", json!([2]));
        let passport = explained["confirmed"]["passport"].clone();
        passport["served"].as_array().is_some_and(|served| !served.is_empty()).then_some(passport)
    });
    assert_eq!((&passport["origin"], &passport["path"]), (&json!("operator"), &json!("importBlock")));
    assert_eq!(passport["routes"], json!(["ImportBlock", "RelayBlock"]));
    let times =
        ["receivedAt", "verifiedAt", "executedAt", "durableAt"].map(|time| passport[time].as_f64().expect(time));
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(passport["served"][0]["peer"], node_id(&damaged));
    assert!(explained(&honest, "2").contains("served to"), "in words too");
    honest.stop();
    honest.start();
    let text = explained(&honest, "2");
    assert!(text.contains("known from disk") && !text.contains("received"), "no invented times: {text}");
}

fn node_id(node: &Node) -> Value {
    let status: Value = serde_json::from_slice(&node.peer_get("status")).expect("a status");
    status["nodeId"].clone()
}

#[test]
fn the_record_of_a_refused_block_says_what_the_answer_to_its_sender_said() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let honest = forge.extend(&[transfer(0, 0, 1)]);
    let (header, transactions) = (honest.header().clone(), honest.transactions().to_vec());
    let no_signature = Block::from_parts(header, transactions, Seal([0xff; 65]));
    let receipts = sealed_again(&with_header(&honest, |header| header.receipts_root = B256::ZERO));
    let gas = sealed_again(&with_header(&honest, |header| header.gas_used += 1));
    let foreign = sign(TxLegacy { chain_id: Some(1), ..unsigned(0, dev::key(1).address(), 1) }, &dev::key(0));
    let foreign = consistent(&with_body(&honest, vec![foreign]));
    let cases = [
        ("decode", json!({ "raw": Bytes::from_static(b"no block") })),
        ("seal", posted(&no_signature)),
        ("receiptsRoot", posted(&receipts)),
        ("gasUsed", posted(&gas)),
        ("transaction", posted(&foreign)),
        ("body_missing", json!({})),
        ("field_mismatch", json!({ "raw": honest.bytes(), "height": 7 })),
        ("json", json!({ "raw": 5 })),
    ];
    for (index, (check, body)) in cases.iter().enumerate() {
        let (status, answer) = node.post("/rpc/importBlock", body);
        assert_eq!((status, &answer["error"]["check"]), (422, &json!(check)), "{answer}");
        let refused = until("it is written down", SOON, || {
            let all = rejections(&node, 100);
            (all.len() == index + 1).then(|| all[0].clone())
        });
        for name in ["check", "expected", "actual", "message", "blame"] {
            assert_eq!(refused[name], answer["error"][name], "{check}: {name}");
        }
        for side in ["expected", "actual"] {
            assert!(refused[side].as_str().is_some_and(|side| !side.is_empty()), "{check}: {refused}");
        }
        assert_eq!(refused["path"], "importBlock");
        assert!(refused["sender"].as_str().expect("text").starts_with("operator at 127.0.0.1:"), "{refused}");
        assert!(refused["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
    }
    // Nobody is connected who could be asked, so what came out here is told.
    let gas_used = until("the search has ended", SOON, || {
        let all = rejections(&node, 100);
        all.into_iter().find(|refused| refused["check"] == "gasUsed" && refused["finding"].is_string())
    });
    let finding = gas_used["finding"].as_str().expect("text");
    assert!(finding.ends_with("here transaction 0 succeeds with 21000 gas and 0 logs"), "{finding}");
    // Bytes that are no block stand under no height; the others are found by theirs.
    let explained = node.call("callboard_explainBlock", json!([1]));
    let checks: Vec<_> = explained["refusals"].as_array().expect("a list").iter().map(|one| &one["check"]).collect();
    assert_eq!(checks, ["field_mismatch", "transaction", "gasUsed", "receiptsRoot", "seal"]);
    assert_eq!(explained["confirmed"], Value::Null);
    let newest = node.call("callboard_explainBlock", json!([1, { "raw": true }]));
    assert_eq!(newest["refusals"][0]["raw"], json!(honest.bytes()));
    let error = node.try_call("callboard_explainBlock", json!([9])).expect_err("unknown");
    assert!(error["message"].as_str().expect("text").starts_with("unknown block"), "{error}");
    import(&node, &honest);
    let explained = node.call("callboard_explainBlock", json!([1]));
    assert!(!explained["confirmed"].is_null() && !explained["refusals"].as_array().expect("a list").is_empty());
}
