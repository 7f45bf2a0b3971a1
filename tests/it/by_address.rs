//! Transactions by address answer what a naive scan of all blocks answers.

use crate::forge::{Forge, import, sign, unsigned};
use crate::support::node::Node;
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, TxKind};
use callboard::dev;
use serde_json::{Value, json};

/// A follower with 12 blocks: transfers among accounts 0 to 3 in all directions, to themselves and to a stranger, and
/// contracts being created.
fn busy() -> (Node, Vec<Address>) {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let accounts: Vec<Address> = (0..4).map(|index| dev::key(index).address()).collect();
    let stranger = Address::repeat_byte(0x55);
    let mut created = Vec::new();
    let mut nonces = [0; 4];
    for height in 1..=12usize {
        let mut transactions = Vec::new();
        for step in 0..height % 5 {
            let from = (height + step) % 3;
            let to = if step == 3 { stranger } else { accounts[(height * step + 1) % 4] };
            transactions.push(sign(unsigned(nonces[from], to, 1), &dev::key(from as u32)));
            nonces[from] += 1;
        }
        if height % 4 == 0 {
            created.push(accounts[3].create(nonces[3]));
            let create = TxLegacy { to: TxKind::Create, gas_limit: 100_000, ..unsigned(nonces[3], stranger, 0) };
            transactions.push(sign(create, &dev::key(3)));
            nonces[3] += 1;
        }
        import(&node, &forge.extend(&transactions));
    }
    (node, [accounts, vec![stranger, Address::repeat_byte(0x66)], created].concat())
}

/// Every transaction of the chain, newest first, as blocks-range has them.
fn all(node: &Node) -> Vec<Value> {
    let (_, range) = node.get("/rpc/blocks-range?start=0&end=100");
    let blocks = range["blocks"].as_array().expect("blocks").iter();
    let mut all: Vec<Value> =
        blocks.flat_map(|block| block["transactions"].as_array().expect("transactions").clone()).collect();
    all.reverse();
    all
}

/// Whether a transaction is one of an address in a direction.
fn is_of(transaction: &Value, address: Address, direction: &str) -> bool {
    let parse = |name: &str| serde_json::from_value::<Option<Address>>(transaction[name].clone()).expect("an address");
    let sender = parse("sender").expect("a sender");
    let nonce = transaction["nonce"].as_u64().expect("a nonce");
    let sent = sender == address;
    let received = parse("recipient").unwrap_or_else(|| sender.create(nonce)) == address;
    match direction {
        "sent" => sent,
        "received" => received,
        _ => sent || received,
    }
}

/// Follows the cursor from page to page.
fn paged(node: &Node, address: Address, direction: &str, limit: usize) -> Vec<Value> {
    let mut listed = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("/rpc/transactions?address={address}&direction={direction}&limit={limit}{before}");
        let (status, page) = node.get(&path);
        assert_eq!(status, 200, "{page}");
        let transactions = page["transactions"].as_array().expect("transactions");
        assert!(transactions.len() <= limit);
        assert_eq!(page["count"], transactions.len());
        listed.extend(transactions.iter().cloned());
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return listed,
        }
    }
}

#[test]
fn transactions_by_address_equal_a_naive_scan_of_all_blocks() {
    let (node, addresses) = busy();
    let all = all(&node);
    assert!(all.len() > 20, "{}", all.len());
    for address in addresses {
        for direction in ["sent", "received", "both"] {
            let naive: Vec<_> = all.iter().filter(|tx| is_of(tx, address, direction)).cloned().collect();
            for limit in [1, 3, 50] {
                assert_eq!(paged(&node, address, direction, limit), naive, "{address} {direction}, {limit} a page");
            }
        }
        let by_default = node.get(&format!("/rpc/transactions?address={address}")).1["count"].clone();
        assert_eq!(by_default, all.iter().filter(|tx| is_of(tx, address, "both")).count());
        // From the middle of the chain on, and over JSON-RPC.
        let below: Vec<_> =
            all.iter().filter(|tx| is_of(tx, address, "both") && tx["block_height"].as_u64() < Some(7)).collect();
        let page = node.call("callboard_getTransactionsByAddress", json!([address, { "before": "7", "limit": 50 }]));
        let hashes = |list: &[Value]| list.iter().map(|tx| tx["hash"].clone()).collect::<Vec<_>>();
        let below: Vec<Value> = below.into_iter().cloned().collect();
        assert_eq!(hashes(page["transactions"].as_array().expect("transactions")), hashes(&below));
    }
}
