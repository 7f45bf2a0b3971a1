//! TransactionTests: the hash and sender of a signed transaction, or that it is refused.

use crate::run_set;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, hex};
use callboard_chain::{
    BaseFeePolicy, ChainConfig, Hardfork, Transaction,
    transaction::{decode_transaction, intrinsic_gas, recover_sender, validate_transaction},
};
use serde_json::Value;
use std::path::Path;

/// The forks to run, newest first. The vectors end with Cancun, and cases that nobody touched since have earlier
/// forks only, whose rules for transactions ours contain.
const FORKS: [&str; 6] = ["Osaka", "Prague", "Cancun", "Shanghai", "Paris", "London"];

/// What the vectors allow and we refuse: a gas price of 2^128 wei or more, and a cost of 2^256 wei or more. No account
/// could pay for one of these.
const DEVIATIONS: [(&str, &str); 4] = [
    ("GasLimitPriceProductOverflowtMinusOne", "transaction is not well-formed: overflow"),
    ("TransactionWithHighGasPrice", "transaction is not well-formed: overflow"),
    ("V_equals38", "transaction is not well-formed: overflow"),
    ("TransactionWithHighValue", "insufficient funds for gas * price + value: they exceed 256 bits"),
];

#[test]
fn transactions_have_the_hash_and_sender_of_the_vectors_or_are_refused() {
    run_set("TransactionTests", 210, |path, cases| {
        for (name, case) in &cases {
            run(path, name, case);
        }
        cases.len()
    });
}

fn run(path: &Path, name: &str, case: &Value) {
    let results = case["result"].as_object().expect("result");
    let fork = FORKS.into_iter().find(|fork| results.contains_key(*fork)).expect("a fork we know");
    let place = format!("{}: {name} under {fork}", path.display());
    let expected = &results[fork];
    // Some invalid cases are not even hexadecimal.
    let outcome = hex::decode(case["txbytes"].as_str().expect("txbytes"))
        .map_err(|error| error.to_string())
        .and_then(|bytes| examine(&bytes));
    match (expected.get("exception"), outcome) {
        (Some(_), Err(_)) => {}
        (Some(exception), Ok(accepted)) => panic!("{place}: accepted {accepted:?}, expected {exception}"),
        (None, Err(error)) => assert!(DEVIATIONS.contains(&(name, error.as_str())), "{place}: refused: {error}"),
        (None, Ok(accepted)) => {
            assert_eq!(accepted.hash, parsed::<B256>(&expected["hash"]), "{place}");
            assert_eq!(accepted.sender, parsed::<Address>(&expected["sender"]), "{place}");
            let gas = expected["intrinsicGas"].as_str().expect("intrinsicGas");
            assert_eq!(format!("{:#x}", accepted.intrinsic_gas), trimmed(gas), "{place}");
        }
    }
}

#[derive(Debug)]
struct Accepted {
    hash: B256,
    sender: Address,
    intrinsic_gas: u64,
}

fn examine(bytes: &[u8]) -> Result<Accepted, String> {
    let transaction = decode_transaction(bytes).map_err(|error| error.to_string())?;
    let sender = recover_sender(&transaction).map_err(|error| error.to_string())?;
    validate(&transaction)?;
    let intrinsic_gas = intrinsic_gas(&transaction, Hardfork::Cancun);
    Ok(Accepted { hash: *transaction.tx_hash(), sender, intrinsic_gas })
}

/// Our rules under Cancun, on chain 1. The one that Ethereum does not have is left out: transactions without a chain
/// id are refused by us and valid there.
fn validate(transaction: &Transaction) -> Result<(), String> {
    let config = ChainConfig {
        chain_id: 1,
        name: "vectors".to_owned(),
        authority: Address::ZERO,
        forks: vec![(Hardfork::Cancun, 0)],
        base_fee_policy: BaseFeePolicy::Zero,
        initial_base_fee: 0,
        gas_limit: u64::MAX,
        max_block_bytes: 0,
        heartbeat_seconds: 0,
    };
    if transaction.chain_id().is_none() {
        return with_chain_id(transaction, &config);
    }
    validate_transaction(transaction, &config, 0, 0).map_err(|error| error.to_string())
}

/// Validates a legacy transaction as if it had been signed for the chain.
fn with_chain_id(transaction: &Transaction, config: &ChainConfig) -> Result<(), String> {
    let mut signed = transaction.as_legacy().expect("only legacy transactions lack a chain id").clone();
    signed.tx_mut().chain_id = Some(config.chain_id);
    validate_transaction(&signed.into(), config, 0, 0).map_err(|error| error.to_string())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().expect("a string").parse().expect("hexadecimal of the right length")
}

/// A hexadecimal number without leading zeros.
fn trimmed(number: &str) -> String {
    format!("0x{}", number.trim_start_matches("0x").trim_start_matches('0'))
}
