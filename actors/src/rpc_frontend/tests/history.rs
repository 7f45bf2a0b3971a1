//! Answers at old blocks: as things were then, and an error of its own for each block that has no answer.

use super::chain::*;
use super::harness::Harness;
use crate::rpc_frontend::{ChainAccess, Verifying};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use serde_json::{Value, json};

/// Code that stores the word it is called with in slot 0; called without data it answers what is there.
fn cell() -> Vec<u8> {
    let store_at = 12;
    let mut code = vec![0x36, 0x60, store_at, 0x57]; // CALLDATASIZE, PUSH1 store_at, JUMPI
    code.extend([0x5f, 0x54, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]); // MSTORE(0, SLOAD(0)), RETURN 32 bytes
    code.extend([0x5b, 0x5f, 0x35, 0x5f, 0x55, 0x00]); // JUMPDEST, SSTORE(0, CALLDATALOAD(0)), STOP
    code
}

/// Init code that leaves `code`.
fn deploying(code: &[u8]) -> Bytes {
    let length = code.len() as u8;
    // PUSH1 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
    let mut init = vec![0x60, length, 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3, 0xfe];
    init.extend(code);
    init.into()
}

/// Six blocks: the cell is made in block 1, holds 7 from block 2 on and 8 from block 4 on.
fn chain_of_a_cell() -> (TestChain, Address) {
    let mut chain = TestChain::new();
    let owner = user(2);
    let cell_address = owner.address().create(0);
    let send = |nonce, to, input: Bytes, value| {
        let value = U256::from(value);
        sign(TxLegacy { to, input, value, gas_limit: 200_000, ..legacy(nonce) }, &owner)
    };
    let word = |value: u8| Bytes::from(B256::with_last_byte(value).to_vec());
    chain.extend(&[send(0, TxKind::Create, deploying(&cell()), 0)]);
    chain.extend(&[send(1, TxKind::Call(cell_address), word(7), 0)]);
    chain.extend(&[send(2, TxKind::Call(user(3).address()), Bytes::new(), 5)]);
    chain.extend(&[send(3, TxKind::Call(cell_address), word(8), 0)]);
    chain.extend(&[]);
    chain.extend(&[]);
    (chain, cell_address)
}

fn at(height: u64) -> Value {
    json!(format!("{height:#x}"))
}

/// Every method that asks for state, and what it asks.
fn questions(cell: Address, block: &Value) -> [(&'static str, Value); 5] {
    let owner = user(2).address();
    [
        ("eth_getBalance", json!([user(3).address(), block])),
        ("eth_getTransactionCount", json!([owner, block])),
        ("eth_getCode", json!([cell, block])),
        ("eth_getStorageAt", json!([cell, "0x0", block])),
        ("eth_call", json!([{ "to": cell }, block])),
    ]
}

#[actix_web::test]
async fn each_height_answers_as_things_were_then() {
    let (chain, address) = chain_of_a_cell();
    let harness = Harness::over(&chain);
    let code = json!(hex::encode_prefixed(cell()));
    let word = |value: u8| json!(B256::with_last_byte(value));
    let rich = |more: u64| json!(format!("{:#x}", U256::from(10u128.pow(19)) + U256::from(more)));
    let none = || json!("0x");
    let expected = [
        [rich(0), json!("0x0"), none(), word(0), none()],
        [rich(0), json!("0x1"), code.clone(), word(0), word(0)],
        [rich(0), json!("0x2"), code.clone(), word(7), word(7)],
        [rich(5), json!("0x3"), code.clone(), word(7), word(7)],
        [rich(5), json!("0x4"), code.clone(), word(8), word(8)],
        [rich(5), json!("0x4"), code.clone(), word(8), word(8)],
        [rich(5), json!("0x4"), code, word(8), word(8)],
    ];
    for (height, expected) in expected.into_iter().enumerate() {
        let block = at(height as u64);
        let hash = harness.result("eth_getBlockByNumber", json!([block, false])).await["hash"].clone();
        for ((method, params), expected) in questions(address, &block).into_iter().zip(expected) {
            assert_eq!(harness.result(method, params.clone()).await, expected, "{method} at {height}");
            let mut by_hash = params;
            *by_hash.as_array_mut().unwrap().last_mut().unwrap() = json!({ "blockHash": hash });
            assert_eq!(harness.result(method, by_hash).await, expected, "{method} at {hash}");
        }
    }
}

#[actix_web::test]
async fn unknown_ahead_and_pruned_blocks_are_three_errors_and_never_zero() {
    let (mut chain, cell) = chain_of_a_cell();
    chain.prune(3);
    let harness = Harness::over(&chain);
    let unknown = json!({ "blockHash": B256::repeat_byte(9) });
    let pruned_hash = harness.result("eth_getBlockByNumber", json!(["0x2", false])).await["hash"].clone();
    for (block, message) in [
        (unknown, format!("unknown block: {}", B256::repeat_byte(9))),
        (at(7), "unknown block: 7 is ahead of the head 6".to_owned()),
        (at(2), "the state of block 2 was pruned: the oldest one kept is 3".to_owned()),
        (at(0), "the state of block 0 was pruned: the oldest one kept is 3".to_owned()),
        (json!("earliest"), "the state of block 0 was pruned: the oldest one kept is 3".to_owned()),
        (json!({ "blockHash": pruned_hash }), "the state of block 2 was pruned: the oldest one kept is 3".to_owned()),
    ] {
        for (method, params) in questions(cell, &block) {
            assert_eq!(harness.error(method, params).await, (-32000, message.clone()), "{method} at {block}");
        }
    }
    for (method, params) in questions(cell, &at(3)) {
        harness.result(method, params).await;
    }
}

#[actix_web::test]
async fn while_the_stored_chain_is_verified_its_methods_say_how_far_that_is() {
    let harness = Harness::serve(ChainAccess::new(), |_| ());
    *harness.status.verifying.lock() = Some(Verifying { at: 64, of: 3_000 });
    let message = "the stored chain is being verified: block 64 of 3000".to_owned();
    assert_eq!(harness.error("eth_blockNumber", json!([])).await, (-32000, message.clone()));
    let head = harness.get("/rpc/head").await;
    assert_eq!((head.status, head.error(), head.headers["retry-after"].as_str()), (503, message, "1"));
}
