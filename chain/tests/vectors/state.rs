//! GeneralStateTests: a transaction over a given state, through the executor and the state trie.

use crate::memory::{Described, MemoryState};
use crate::run_set;
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::execution::{BlockContext, BlockExecutor, ExecuteError, InvalidTransaction};
use callboard_chain::transaction::{decode_transaction, recover_sender};
use callboard_chain::{Hardfork, Transaction, keccak256};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Files in the set.
const FILES: usize = 636;
/// Chain id of all cases.
const CHAIN_ID: u64 = 1;

/// Files whose cases create a contract where an account has storage but neither code nor nonce. EIP-7610 calls that a
/// collision; revm does not look at storage there. Such accounts cannot come about by transactions, only by a genesis
/// that allots storage to an account without code and nonce.
const EIP_7610: [&str; 5] = [
    "InitCollisionParis.json",
    "RevertInCreateInInitCreate2Paris.json",
    "RevertInCreateInInit_Paris.json",
    "create2collisionStorageParis.json",
    "dynamicAccountOverwriteEmpty_Paris.json",
];

#[derive(Deserialize)]
struct Case {
    env: Environment,
    pre: BTreeMap<Address, PreAccount>,
    post: BTreeMap<String, Vec<Post>>,
    transaction: Sent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    current_base_fee: U256,
    current_coinbase: Address,
    current_gas_limit: U256,
    current_number: U256,
    current_random: B256,
    current_timestamp: U256,
}

#[derive(Deserialize)]
struct PreAccount {
    balance: U256,
    code: Bytes,
    nonce: U256,
    storage: BTreeMap<U256, U256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    hash: B256,
    logs: B256,
    txbytes: Bytes,
    expect_exception: Option<String>,
}

#[derive(Deserialize)]
struct Sent {
    sender: Address,
}

#[test]
fn general_state_tests_reach_the_expected_roots() {
    let mut wrong = Vec::new();
    let mut collisions = BTreeMap::new();
    run_set("GeneralStateTests", FILES, |path, cases| {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut differing = Vec::new();
        let mut ran = 0;
        for (name, case) in cases {
            ran += run_case(&format!("{}: {name}", path.display()), case, &mut differing);
        }
        match EIP_7610.contains(&file) {
            true => drop(collisions.insert(file.to_owned(), differing.len())),
            false => wrong.extend(differing),
        }
        ran
    });
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // A listed file that passes has no business on the list.
    assert!(collisions.values().all(|differing| *differing > 0), "EIP-7610: {collisions:?}");
    println!("of which {} cases differ by EIP-7610", collisions.values().sum::<usize>());
}

fn run_case(name: &str, case: Value, wrong: &mut Vec<String>) -> usize {
    let case: Case = serde_json::from_value(case).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut ran = 0;
    for (fork, posts) in &case.post {
        let Ok(hardfork) = fork.to_lowercase().parse::<Hardfork>() else { continue };
        for (index, post) in posts.iter().enumerate() {
            if let Err(reason) = run(&case, hardfork, post) {
                wrong.push(format!("{name} {fork}[{index}]: {reason}"));
            }
            ran += 1;
        }
    }
    ran
}

fn run(case: &Case, hardfork: Hardfork, post: &Post) -> Result<(), String> {
    let transaction = match (decode_transaction(&post.txbytes), post.expect_exception.as_deref()) {
        (Ok(transaction), _) => transaction,
        (Err(_), Some(exception)) if has_no_encoding(exception) => return Ok(()),
        (Err(error), _) => return Err(format!("not decoded: {error}")),
    };
    let sender = recover_sender(&transaction).map_err(|error| error.to_string())?;
    if sender != case.transaction.sender {
        return Err(format!("sender {sender}, expected {}", case.transaction.sender));
    }
    let mut state = state_before(case);
    let root_before = state.apply(Default::default());
    let (changes, logs, refusal) = execute(&state, context(case, hardfork), &transaction, sender)?;
    match (&post.expect_exception, refusal) {
        (None, None) => {}
        (None, Some(refusal)) => return Err(format!("refused: {refusal}")),
        (Some(exception), None) => return Err(format!("not refused: {exception}")),
        (Some(exception), Some(refusal)) if !explains(exception, &refusal) => {
            return Err(format!("refused with \"{refusal}\", expected {exception}"));
        }
        (Some(_), Some(_)) if changes != Default::default() => return Err("a refusal left traces".to_owned()),
        (Some(_), Some(_)) => {}
    }
    let root = state.apply(changes);
    if post.expect_exception.is_some() && root != root_before {
        return Err("a refusal changed the state root".to_owned());
    }
    if root != post.hash {
        return Err(format!("state root {root}, expected {}", post.hash));
    }
    if logs != post.logs {
        return Err(format!("logs hash {logs}, expected {}", post.logs));
    }
    Ok(())
}

type Ran = (callboard_chain::BlockChanges, B256, Option<InvalidTransaction>);

fn execute(
    state: &MemoryState,
    context: BlockContext,
    transaction: &Transaction,
    sender: Address,
) -> Result<Ran, String> {
    let mut executor = BlockExecutor::new(state, context).map_err(|error| error.to_string())?;
    let refusal = match executor.execute(transaction, sender) {
        Ok(_) => None,
        Err(ExecuteError::Invalid(refusal)) => Some(refusal),
        Err(error) => return Err(error.to_string()),
    };
    let executed = executor.finish().map_err(|error| error.to_string())?;
    let logs: Vec<_> = executed.receipts.into_iter().flat_map(|receipt| receipt.logs).collect();
    Ok((executed.changes, keccak256(alloy_rlp::encode(logs)), refusal))
}

fn state_before(case: &Case) -> MemoryState {
    let accounts = case.pre.iter().map(|(address, account)| {
        let storage = account.storage.iter().map(|(slot, value)| (*slot, *value)).collect();
        let (balance, code) = (account.balance, account.code.clone());
        (*address, Described { nonce: account.nonce.to(), balance, code, storage })
    });
    let mut state = MemoryState::new(accounts);
    // The set's own definition of the hash of block N: the hash of N in decimal.
    let height: u64 = case.env.current_number.to();
    state.block_hashes = (0..height).map(|block| (block, keccak256(block.to_string()))).collect();
    state
}

fn context(case: &Case, hardfork: Hardfork) -> BlockContext {
    let height: u64 = case.env.current_number.to();
    BlockContext {
        height,
        timestamp: case.env.current_timestamp.to(),
        beneficiary: case.env.current_coinbase,
        gas_limit: case.env.current_gas_limit.saturating_to(),
        base_fee: case.env.current_base_fee.to(),
        mix_hash: case.env.current_random,
        parent_hash: keccak256(height.saturating_sub(1).to_string()),
        hardfork,
        chain_id: CHAIN_ID,
    }
}

/// Transactions that cannot be written down in this crate's types, so that decoding is what refuses them.
fn has_no_encoding(exception: &str) -> bool {
    ["RLP_INVALID_VALUE", "TYPE_3_TX_CONTRACT_CREATION", "GASLIMIT_PRICE_PRODUCT_OVERFLOW"]
        .iter()
        .any(|kind| exception.contains(kind))
}

fn explains(exception: &str, refusal: &InvalidTransaction) -> bool {
    use InvalidTransaction as Refusal;
    exception.split('|').any(|kind| match kind.trim_start_matches("TransactionException.") {
        "INSUFFICIENT_ACCOUNT_FUNDS" => {
            matches!(refusal, Refusal::InsufficientFunds { .. } | Refusal::CostOverflows)
        }
        "INTRINSIC_GAS_TOO_LOW" => {
            matches!(refusal, Refusal::IntrinsicGas { .. } | Refusal::CalldataFloor { .. })
        }
        "INSUFFICIENT_MAX_FEE_PER_GAS" => matches!(refusal, Refusal::FeeBelowBaseFee { .. }),
        "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS" => matches!(refusal, Refusal::TipAboveFee { .. }),
        "NONCE_IS_MAX" => matches!(refusal, Refusal::NonceAtMaximum),
        "GAS_ALLOWANCE_EXCEEDED" => matches!(refusal, Refusal::ExceedsBlockGasLimit { .. }),
        "INITCODE_SIZE_EXCEEDED" => matches!(refusal, Refusal::InitCodeTooLarge { .. }),
        "TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH" | "TYPE_3_TX_ZERO_BLOBS" | "TYPE_3_TX_BLOB_COUNT_EXCEEDED" => {
            matches!(refusal, Refusal::Blobs { .. })
        }
        _ => false,
    })
}
