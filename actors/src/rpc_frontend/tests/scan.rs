//! Whatever the chain, lists, history and logs are what a naive scan of all blocks finds, from page to page in both
//! directions, also while blocks come in between the pages.

use super::chain::{CONTRACT, TestChain, legacy, sign, user};
use super::harness::Harness;
use alloy_consensus::{Transaction as _, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use callboard_chain::Transaction;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Accounts that send: numbers 2 to 4 of the chain.
const USERS: u8 = 3;
/// What each of them has at first.
const BALANCE: u128 = 10u128.pow(19);

/// A transaction to come.
#[derive(Debug, Clone)]
enum Act {
    Pay {
        from: u8,
        to: u8,
        value: u64,
    },
    Say {
        from: u8,
        to: u8,
        data: Vec<u8>,
    },
    /// The contract writes a log.
    Log {
        from: u8,
    },
    /// A contract without code, with a balance.
    Create {
        from: u8,
        value: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let (from, to) = (0..USERS, 0..USERS + 1);
    let data = prop_oneof![
        3 => "[a-zé]{1,8}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop_oneof![
        3 => (from.clone(), to.clone(), 0..1_000u64).prop_map(|(from, to, value)| Act::Pay { from, to, value }),
        3 => (from.clone(), to, data).prop_map(|(from, to, data)| Act::Say { from, to, data }),
        2 => from.clone().prop_map(|from| Act::Log { from }),
        1 => (from, 0..1_000u64).prop_map(|(from, value)| Act::Create { from, value }),
    ]
}

fn blocks(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Act>>> {
    prop::collection::vec(prop::collection::vec(act(), 0..6), count)
}

/// Account number `number`; the last one never sends.
fn account(number: u8) -> Address {
    if number == USERS { Address::repeat_byte(0x55) } else { user(number + 2).address() }
}

/// A confirmed transaction, as the scan finds it.
#[derive(Debug, Clone)]
struct Found {
    height: u64,
    index: usize,
    hash: B256,
    sender: Address,
    /// The recipient, or the contract that was made.
    other: Address,
    transaction: Transaction,
}

impl Found {
    fn is_of(&self, address: Address, direction: &str) -> bool {
        match direction {
            "sent" => self.sender == address,
            "received" => self.other == address,
            _ => self.sender == address || self.other == address,
        }
    }

    fn text(&self) -> Option<&str> {
        self.transaction.to()?;
        std::str::from_utf8(self.transaction.input()).ok().filter(|text| !text.is_empty())
    }

    fn place(&self) -> Value {
        json!([self.height, self.index, self.hash])
    }
}

/// The chain, a node that serves it, and the naive scan.
struct Scan {
    chain: TestChain,
    harness: Harness,
    found: Vec<Found>,
    head: u64,
    nonces: BTreeMap<u8, u64>,
    /// Blocks that come between pages.
    coming: Vec<Vec<Act>>,
}

impl Scan {
    fn new(blocks: Vec<Vec<Act>>, mut coming: Vec<Vec<Act>>) -> Self {
        let chain = TestChain::new();
        let harness = Harness::over(&chain);
        coming.reverse();
        let mut scan = Self { chain, harness, found: Vec::new(), head: 0, nonces: BTreeMap::new(), coming };
        blocks.into_iter().for_each(|block| scan.extend(block));
        scan
    }

    fn extend(&mut self, acts: Vec<Act>) {
        let signed: Vec<_> = acts.into_iter().map(|act| self.transaction(act)).collect();
        let block = self.chain.extend(&signed.iter().map(|(_, tx)| tx.clone()).collect::<Vec<_>>());
        assert_eq!(block.transactions().len(), signed.len());
        self.head = block.height();
        for (index, (sender, transaction)) in signed.into_iter().enumerate() {
            let other = transaction.to().unwrap_or_else(|| sender.create(transaction.nonce()));
            let hash = *transaction.tx_hash();
            self.found.push(Found { height: self.head, index, hash, sender, other, transaction });
        }
    }

    /// The next of the blocks that come; whether there was one.
    fn another(&mut self) -> bool {
        let next = self.coming.pop();
        let came = next.is_some();
        next.into_iter().for_each(|block| self.extend(block));
        came
    }

    fn transaction(&mut self, act: Act) -> (Address, Transaction) {
        let (Act::Pay { from, .. } | Act::Say { from, .. } | Act::Log { from } | Act::Create { from, .. }) = act;
        let nonce = self.nonces.entry(from).or_default();
        let base = TxLegacy { gas_limit: 200_000, value: U256::ZERO, ..legacy(*nonce) };
        *nonce += 1;
        let unsigned = match act {
            Act::Pay { to, value, .. } => TxLegacy { to: account(to).into(), value: U256::from(value), ..base },
            Act::Say { to, data, .. } => TxLegacy { to: account(to).into(), input: data.into(), ..base },
            Act::Log { .. } => TxLegacy { to: CONTRACT.into(), ..base },
            Act::Create { value, .. } => {
                TxLegacy { to: TxKind::Create, value: U256::from(value), input: Bytes::from([0]), ..base }
            }
        };
        (account(from), sign(unsigned, &user(from + 2)))
    }

    /// Everybody of the chain so far.
    fn addresses(&self) -> Vec<Address> {
        let created = self.found.iter().filter(|found| found.transaction.to().is_none()).map(|found| found.other);
        (0..=USERS).map(account).chain([CONTRACT, Address::repeat_byte(0x66)]).chain(created).collect()
    }

    /// The places of an address's transactions, oldest first.
    fn listed(&self, address: Address, direction: &str) -> Vec<Value> {
        self.found.iter().filter(|found| found.is_of(address, direction)).map(Found::place).collect()
    }

    /// The places of the messages, oldest first.
    fn messages(&self, address: Address) -> Vec<Value> {
        let received = self.found.iter().filter(|found| found.is_of(address, "received") && found.text().is_some());
        received.map(Found::place).collect()
    }

    /// Balance and nonce after the block at `height`.
    fn state(&self, address: Address, height: u64) -> (U256, u64) {
        let is_user = (0..USERS).any(|number| account(number) == address);
        let mut balance = if is_user { U256::from(BALANCE) } else { U256::ZERO };
        let mut nonce = u64::from(address == CONTRACT);
        for found in self.found.iter().filter(|found| found.height <= height) {
            if found.sender == address {
                (balance, nonce) = (balance - found.transaction.value(), nonce + 1);
            }
            if found.other == address {
                balance += found.transaction.value();
                nonce += u64::from(found.transaction.to().is_none());
            }
        }
        (balance, nonce)
    }

    /// Places of the logs in blocks of a range.
    fn logs(&self, range: std::ops::RangeInclusive<u64>) -> Vec<Value> {
        let logged = self.found.iter().filter(|found| found.other == CONTRACT && range.contains(&found.height));
        logged.map(Found::place).collect()
    }

    async fn logged(&self, from: u64, to: u64) -> Vec<Value> {
        let filter = json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}"), "address": CONTRACT }]);
        let logs = self.harness.result("eth_getLogs", filter).await;
        let number = |value: &Value| u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
        let place = |log: &Value| {
            json!([number(&log["blockNumber"]), number(&log["transactionIndex"]), log["transactionHash"]])
        };
        logs.as_array().unwrap().iter().map(place).collect()
    }
}

/// One way to ask for a page: entries and `next`.
#[derive(Clone, Copy)]
enum Asked {
    Rest,
    Rpc,
    Messages,
}

impl Asked {
    async fn page(
        self,
        harness: &Harness,
        address: Address,
        direction: &str,
        (name, cursor): (&str, &Value),
        limit: usize,
    ) -> (Vec<Value>, Value) {
        let mut options = json!({ "limit": limit, "direction": direction });
        if !cursor.is_null() {
            options[name] = cursor.clone();
        }
        let (page, entries, names) = match self {
            Self::Rest => {
                let cursor = cursor.as_str().map_or_else(|| cursor.to_string().replace("null", ""), str::to_owned);
                let query = format!("address={address}&direction={direction}&limit={limit}&{name}={cursor}");
                let answer = harness.get(&format!("/rpc/transactions?{query}")).await;
                assert_eq!(answer.status, 200, "{query}: {}", answer.body);
                (answer.json(), "transactions", ["block_height", "index", "hash"])
            }
            Self::Rpc => {
                let method = "callboard_getTransactionsByAddress";
                let page = harness.result(method, json!([address, options])).await;
                (page, "transactions", ["block_height", "index", "hash"])
            }
            Self::Messages => {
                let page = harness.result("callboard_getMessages", json!([address, options])).await;
                (page, "messages", ["height", "index", "hash"])
            }
        };
        let entries = page[entries].as_array().unwrap();
        assert!(entries.len() <= limit && page["count"] == json!(entries.len()), "{page}");
        let place = |entry: &Value| json!(names.map(|name| entry[name].clone()));
        (entries.iter().map(place).collect(), page["next"].clone())
    }
}

/// Newest first: exactly what was there when the walk began, although a block comes after each page.
async fn backward(scan: &mut Scan, asked: Asked, address: Address, direction: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let (entries, next) = asked.page(&scan.harness, address, direction, ("before", &cursor), limit).await;
        all.extend(entries);
        scan.another();
        match next {
            Value::Null => return all,
            next => cursor = next,
        }
    }
}

/// Oldest first: all that is there when the walk ends, also what came while it was under way.
async fn forward(scan: &mut Scan, asked: Asked, address: Address, direction: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::<Value>::new(), json!(0));
    loop {
        let (entries, next) = asked.page(&scan.harness, address, direction, ("after", &cursor), limit).await;
        let last = entries.last().map(|place| json!(format!("{}:{}", place[0], place[1])));
        all.extend(entries);
        assert_ne!(next, cursor, "a page goes forward");
        let came = scan.another();
        match (next, last) {
            (Value::Null, _) if !came => return all,
            (Value::Null, None) => {}
            (Value::Null, Some(last)) => cursor = last,
            (next, _) => cursor = next,
        }
    }
}

fn reversed(mut places: Vec<Value>) -> Vec<Value> {
    places.reverse();
    places
}

async fn check_lists(scan: &mut Scan, limit: usize) {
    for address in scan.addresses() {
        for direction in ["sent", "received", "both"] {
            for asked in [Asked::Rest, Asked::Rpc] {
                let expected = reversed(scan.listed(address, direction));
                assert_eq!(backward(scan, asked, address, direction, limit).await, expected, "{address} {direction}");
                let found = forward(scan, asked, address, direction, limit).await;
                assert_eq!(found, scan.listed(address, direction), "{address} {direction} forward");
            }
        }
        let expected = reversed(scan.messages(address));
        assert_eq!(backward(scan, Asked::Messages, address, "received", limit).await, expected, "to {address}");
        let found = forward(scan, Asked::Messages, address, "received", limit).await;
        assert_eq!(found, scan.messages(address), "to {address} forward");
    }
}

async fn check_states(scan: &mut Scan, limit: usize) {
    for address in scan.addresses() {
        for height in 0..=scan.head {
            let at = json!([address, format!("{height:#x}")]);
            let balance = scan.harness.result("eth_getBalance", at.clone()).await;
            let nonce = scan.harness.result("eth_getTransactionCount", at).await;
            let (expected_balance, expected_nonce) = scan.state(address, height);
            assert_eq!(balance, json!(expected_balance), "{address} at {height}");
            assert_eq!(nonce, json!(format!("{expected_nonce:#x}")), "{address} at {height}");
        }
        let changed = (1..=scan.head).filter(|height| scan.state(address, *height) != scan.state(address, height - 1));
        let entry = |height: u64| {
            let (balance, nonce) = scan.state(address, height);
            json!([height, balance.to_string(), nonce])
        };
        let expected = reversed(std::iter::once(0).chain(changed).map(entry).collect());
        let (mut found, mut before) = (Vec::new(), Value::Null);
        loop {
            let options = json!({ "limit": limit, "before": before });
            let page = scan.harness.result("callboard_getAccountHistory", json!([address, options])).await;
            assert_eq!(page["prunedBelow"], Value::Null);
            let states = page["states"].as_array().unwrap();
            assert!(states.len() <= limit && page["count"] == json!(states.len()));
            found.extend(states.iter().map(|state| json!([state["height"], state["balance"], state["nonce"]])));
            scan.another();
            match page["next"].clone() {
                Value::Null => break,
                next => before = next,
            }
        }
        assert_eq!(found, expected, "history of {address}");
    }
}

/// In windows, up from block 0 as far as there are blocks, and down from the head that was there at first.
async fn check_logs(scan: &mut Scan, width: u64) {
    let (mut found, mut from) = (Vec::new(), 0);
    while from <= scan.head {
        let to = (from + width - 1).min(scan.head);
        found.extend(scan.logged(from, to).await);
        from = to + 1;
        scan.another();
    }
    assert_eq!(found, scan.logs(0..=scan.head));
    let (top, mut found, mut to) = (scan.head, Vec::new(), Some(scan.head));
    while let Some(end) = to {
        let from = end.saturating_sub(width - 1);
        found.splice(0..0, scan.logged(from, end).await);
        to = from.checked_sub(1);
        scan.another();
    }
    assert_eq!(found, scan.logs(0..=top));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn lists_history_and_logs_are_what_a_naive_scan_finds_while_blocks_come_between_the_pages(
        built in blocks(1..6), coming in blocks(0..8), limit in 1usize..4, part in 0..3,
    ) {
        actix_web::rt::System::new().block_on(async move {
            let mut scan = Scan::new(built, coming);
            // Whichever is first has the blocks that come; the others walk what is there then.
            for step in 0..3 {
                match (part + step) % 3 {
                    0 => check_lists(&mut scan, limit).await,
                    1 => check_states(&mut scan, limit).await,
                    _ => check_logs(&mut scan, limit as u64).await,
                }
            }
        });
    }
}
