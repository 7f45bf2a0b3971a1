//! The rules of pool and block that need no state. They are stricter than the executor's, which must run every
//! transaction of the official vectors.

use crate::{Blame, ChainConfig, Hardfork, Transaction};
use alloy_consensus::{Transaction as _, Typed2718};
use alloy_eips::eip2718::{EIP4844_TX_TYPE_ID, EIP7702_TX_TYPE_ID};
use alloy_primitives::U256;

/// Most gas of one transaction from Osaka on (EIP-7825).
pub const MAX_TRANSACTION_GAS: u64 = 16_777_216;
/// Most bytes of the code that creates a contract (EIP-3860).
pub const MAX_INITCODE_BYTES: usize = 49_152;

/// A transaction breaks a rule that needs no state. Each text begins as Ethereum clients match it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Blobs, or a type that comes with a later hardfork.
    #[error("transaction type not supported: {transaction_type} under {hardfork}")]
    TypeNotSupported {
        /// The EIP-2718 type.
        transaction_type: u8,
        /// Whose rules hold.
        hardfork: Hardfork,
    },
    /// A legacy transaction that could be replayed on any chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC: sign with chain id {expected}")]
    NoChainId {
        /// This chain's id.
        expected: u64,
    },
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {actual} want {expected}")]
    WrongChainId {
        /// This chain's id.
        expected: u64,
        /// The transaction's.
        actual: u64,
    },
    /// No nonce would come after this one (EIP-2681).
    #[error("nonce has max value: {nonce}")]
    NonceMax {
        /// The nonce.
        nonce: u64,
    },
    /// More initcode than EIP-3860 allows.
    #[error("max initcode size exceeded: code size {actual}, limit {limit}")]
    InitcodeTooLarge {
        /// [`MAX_INITCODE_BYTES`].
        limit: usize,
        /// Its bytes.
        actual: usize,
    },
    /// More gas than EIP-7825 allows one transaction.
    #[error("transaction gas limit too high (EIP-7825): cap {limit}, tx {actual}")]
    GasLimitTooHigh {
        /// [`MAX_TRANSACTION_GAS`].
        limit: u64,
        /// The transaction's gas limit.
        actual: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit: block {limit}, tx {actual}")]
    ExceedsBlockGasLimit {
        /// The block's gas limit.
        limit: u64,
        /// The transaction's gas limit.
        actual: u64,
    },
    /// Less gas than the transaction costs before it runs (EIP-2028, 2930, 3860, 7623, 7702).
    #[error("intrinsic gas too low: have {actual}, want {required}")]
    IntrinsicGasTooLow {
        /// [`intrinsic_gas`].
        required: u64,
        /// The transaction's gas limit.
        actual: u64,
    },
    /// The tip exceeds the whole price (EIP-1559).
    #[error("max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas {tip}, maxFeePerGas {cap}")]
    TipAboveCap {
        /// Wei a gas.
        tip: u128,
        /// Wei a gas.
        cap: u128,
    },
    /// The price is below what the block burns (EIP-1559).
    #[error("max fee per gas less than block base fee: maxFeePerGas {cap}, baseFee {base_fee}")]
    CapBelowBaseFee {
        /// Wei a gas.
        cap: u128,
        /// Wei a gas.
        base_fee: u64,
    },
    /// Gas, price and value together exceed any possible balance.
    #[error("insufficient funds for gas * price + value: they exceed 256 bits")]
    CostOverflow,
    /// A set-code transaction that sets nothing (EIP-7702).
    #[error("EIP-7702 transaction with empty auth list")]
    NoAuthorizations,
}

impl TransactionError {
    /// Whoever sent the transaction. (Inside a sealed block the block's error decides.)
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }

    /// What the rule asks for, and what the transaction has.
    pub fn expected_and_actual(&self) -> (String, String) {
        fn at_most(limit: impl ToString, actual: impl ToString, what: &str) -> (String, String) {
            (format!("{what} of at most {}", limit.to_string()), actual.to_string())
        }
        match self {
            Self::TypeNotSupported { transaction_type, hardfork } => {
                (format!("a type of {hardfork}, without blobs"), format!("type {transaction_type}"))
            }
            Self::NoChainId { expected } => (format!("chain id {expected}"), "no chain id".to_owned()),
            Self::WrongChainId { expected, actual } => (format!("chain id {expected}"), format!("chain id {actual}")),
            Self::NonceMax { nonce } => at_most(u64::MAX - 1, nonce, "a nonce"),
            Self::InitcodeTooLarge { limit, actual } => at_most(limit, actual, "init code bytes"),
            Self::GasLimitTooHigh { limit, actual } => at_most(limit, actual, "a gas limit (EIP-7825)"),
            Self::ExceedsBlockGasLimit { limit, actual } => at_most(limit, actual, "a gas limit"),
            Self::IntrinsicGasTooLow { required, actual } => {
                (format!("a gas limit of at least {required}"), actual.to_string())
            }
            Self::TipAboveCap { tip, cap } => at_most(cap, tip, "a tip"),
            Self::CapBelowBaseFee { cap, base_fee } => (format!("a fee of at least {base_fee}"), cap.to_string()),
            Self::CostOverflow => at_most("256 bits", "more", "a cost"),
            Self::NoAuthorizations => ("an authorization".to_owned(), "none".to_owned()),
        }
    }
}

/// Checks everything about a transaction that neither its signature nor the state says, for the block at `height`
/// with this base fee (wei).
pub fn validate_transaction(
    transaction: &Transaction,
    config: &ChainConfig,
    height: u64,
    base_fee: u64,
) -> Result<(), TransactionError> {
    let hardfork = config.hardfork_at(height);
    check_type(transaction, hardfork)?;
    check_chain_id(transaction, config.chain_id)?;
    if transaction.nonce() == u64::MAX {
        return Err(TransactionError::NonceMax { nonce: u64::MAX });
    }
    check_initcode(transaction)?;
    check_gas(transaction, config.gas_limit, hardfork)?;
    check_fees(transaction, base_fee)?;
    match transaction.authorization_list() {
        Some([]) => Err(TransactionError::NoAuthorizations),
        _ => Ok(()),
    }
}

fn check_type(transaction: &Transaction, hardfork: Hardfork) -> Result<(), TransactionError> {
    let transaction_type = transaction.ty();
    let too_early = transaction_type == EIP7702_TX_TYPE_ID && hardfork < Hardfork::Prague;
    if transaction_type == EIP4844_TX_TYPE_ID || too_early {
        return Err(TransactionError::TypeNotSupported { transaction_type, hardfork });
    }
    Ok(())
}

fn check_chain_id(transaction: &Transaction, expected: u64) -> Result<(), TransactionError> {
    match transaction.chain_id() {
        Some(actual) if actual == expected => Ok(()),
        Some(actual) => Err(TransactionError::WrongChainId { expected, actual }),
        None => Err(TransactionError::NoChainId { expected }),
    }
}

fn check_initcode(transaction: &Transaction) -> Result<(), TransactionError> {
    let actual = transaction.input().len();
    if transaction.is_create() && actual > MAX_INITCODE_BYTES {
        return Err(TransactionError::InitcodeTooLarge { limit: MAX_INITCODE_BYTES, actual });
    }
    Ok(())
}

fn check_gas(transaction: &Transaction, block_limit: u64, hardfork: Hardfork) -> Result<(), TransactionError> {
    let actual = transaction.gas_limit();
    if hardfork >= Hardfork::Osaka && actual > MAX_TRANSACTION_GAS {
        return Err(TransactionError::GasLimitTooHigh { limit: MAX_TRANSACTION_GAS, actual });
    }
    if actual > block_limit {
        return Err(TransactionError::ExceedsBlockGasLimit { limit: block_limit, actual });
    }
    let required = intrinsic_gas(transaction, hardfork);
    if actual < required {
        return Err(TransactionError::IntrinsicGasTooLow { required, actual });
    }
    Ok(())
}

fn check_fees(transaction: &Transaction, base_fee: u64) -> Result<(), TransactionError> {
    let cap = transaction.max_fee_per_gas();
    if let Some(tip) = transaction.max_priority_fee_per_gas().filter(|tip| *tip > cap) {
        return Err(TransactionError::TipAboveCap { tip, cap });
    }
    if cap < u128::from(base_fee) {
        return Err(TransactionError::CapBelowBaseFee { cap, base_fee });
    }
    U256::from(transaction.gas_limit())
        .checked_mul(U256::from(cap))
        .and_then(|fee| fee.checked_add(transaction.value()))
        .map(drop)
        .ok_or(TransactionError::CostOverflow)
}

/// The least gas limit a transaction can have: what it costs before it runs, and from Prague on the floor that
/// EIP-7623 sets by its data.
pub fn intrinsic_gas(transaction: &Transaction, hardfork: Hardfork) -> u64 {
    const BASE: u64 = 21_000;
    const PER_TOKEN: u64 = 4;
    const FLOOR_PER_TOKEN: u64 = 10;
    let input = transaction.input();
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let tokens = zeros + 4 * (input.len() as u64 - zeros);
    let gas = BASE + PER_TOKEN * tokens + creation_gas(transaction) + list_gas(transaction);
    if hardfork >= Hardfork::Prague { gas.max(BASE + FLOOR_PER_TOKEN * tokens) } else { gas }
}

fn creation_gas(transaction: &Transaction) -> u64 {
    const CREATE: u64 = 32_000;
    const PER_INITCODE_WORD: u64 = 2;
    let words = transaction.input().len().div_ceil(32) as u64;
    if transaction.is_create() { CREATE + PER_INITCODE_WORD * words } else { 0 }
}

fn list_gas(transaction: &Transaction) -> u64 {
    const PER_ADDRESS: u64 = 2_400;
    const PER_SLOT: u64 = 1_900;
    const PER_AUTHORIZATION: u64 = 25_000;
    let access = transaction
        .access_list()
        .map_or(0, |list| list.iter().map(|item| PER_ADDRESS + PER_SLOT * item.storage_keys.len() as u64).sum::<u64>());
    access + PER_AUTHORIZATION * transaction.authorization_list().map_or(0, <[_]>::len) as u64
}
