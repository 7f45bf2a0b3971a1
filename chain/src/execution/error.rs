//! Why a transaction, or a block, could not be executed.

use super::BlockContext;
use crate::{Blame, Hardfork, StateReadError};
use alloy_primitives::{Address, B256, U256};
use revm::context::TxEnv;
use revm::context::result::{EVMError, InvalidTransaction as Refusal};
use revm::primitives::eip3860::MAX_INITCODE_SIZE;

/// Why a transaction may not run on this state. Each text begins with the words Ethereum clients match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTransaction {
    /// A transaction with this nonce ran already.
    #[error("nonce too low: next nonce {expected}, tx nonce {actual}")]
    NonceTooLow {
        /// The sender's nonce.
        expected: u64,
        /// The transaction's.
        actual: u64,
    },
    /// A transaction before it is missing.
    #[error("nonce too high: next nonce {expected}, tx nonce {actual}")]
    NonceTooHigh {
        /// The sender's nonce.
        expected: u64,
        /// The transaction's.
        actual: u64,
    },
    /// The nonce cannot be raised any more (EIP-2681).
    #[error("nonce has max value: {}", u64::MAX)]
    NonceAtMaximum,
    /// The balance does not cover gas limit × highest price + value (+ blobs).
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {required}")]
    InsufficientFunds {
        /// Wei the transaction may cost.
        required: U256,
        /// Wei the sender has.
        balance: U256,
    },
    /// Gas limit × highest price + value is more than 256 bits hold.
    #[error("insufficient funds for gas * price + value: tx cost exceeds 256 bits")]
    CostOverflows,
    /// The sender's account holds code that is no delegation (EIP-3607).
    #[error("sender not an eoa: {sender} has code")]
    SenderHasCode {
        /// Whose account.
        sender: Address,
    },
    /// The gas limit does not pay for the transaction itself.
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed {required}")]
    IntrinsicGas {
        /// Gas that the transaction costs before any code runs.
        required: u64,
        /// Its gas limit.
        gas_limit: u64,
    },
    /// The gas limit is below the price of the calldata (EIP-7623).
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed for the calldata {required}")]
    CalldataFloor {
        /// The floor.
        required: u64,
        /// The transaction's gas limit.
        gas_limit: u64,
    },
    /// The gas limit is above the block's.
    #[error("exceeds block gas limit: tx gas limit {gas_limit}, block gas limit {block_gas_limit}")]
    ExceedsBlockGasLimit {
        /// The transaction's.
        gas_limit: u64,
        /// The block's.
        block_gas_limit: u64,
    },
    /// The gas limit is above what one transaction may have (EIP-7825).
    #[error("transaction gas limit too high: tx gas limit {gas_limit}, cap {cap}")]
    GasLimitAboveCap {
        /// The transaction's.
        gas_limit: u64,
        /// The hardfork's cap.
        cap: u64,
    },
    /// The highest price offered is below the block's base fee.
    #[error("max fee per gas less than block base fee: max fee {max_fee}, base fee {base_fee}")]
    FeeBelowBaseFee {
        /// Wei per gas offered.
        max_fee: u128,
        /// Wei per gas burned.
        base_fee: u64,
    },
    /// The tip is above the highest price.
    #[error("max priority fee per gas higher than max fee per gas: tip {tip}, max fee {max_fee}")]
    TipAboveFee {
        /// Wei per gas for the beneficiary.
        tip: u128,
        /// Wei per gas at most.
        max_fee: u128,
    },
    /// Signed for another chain.
    #[error("invalid chain id for signer: expected {expected}, actual {}", actual.map_or("none".to_owned(), |id| id.to_string()))]
    ChainId {
        /// This chain's id.
        expected: u64,
        /// The transaction's.
        actual: Option<u64>,
    },
    /// A creation with too much init code (EIP-3860).
    #[error("max initcode size exceeded: code size {actual}, limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of init code.
        actual: usize,
        /// Bytes at most.
        limit: usize,
    },
    /// The hardfork in force does not know this type.
    #[error("transaction type not supported: type {tx_type} under {hardfork}")]
    TypeNotSupported {
        /// EIP-2718 type.
        tx_type: u8,
        /// Whose rules hold.
        hardfork: Hardfork,
    },
    /// A type 4 transaction that authorizes nothing (EIP-7702).
    #[error("EIP-7702 transaction with empty auth list")]
    NoAuthorizations,
    /// A rule for blobs is broken (EIP-4844).
    #[error("invalid blob transaction: {reason}")]
    Blobs {
        /// Which rule.
        reason: String,
    },
    /// A rule that no transaction of this crate's types can break.
    #[error("invalid transaction: {reason}")]
    Other {
        /// revm's words.
        reason: String,
    },
}

impl InvalidTransaction {
    /// Whose fault: nobody's where it may hold on another state, else the sender's.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::NonceTooLow { .. }
            | Self::NonceTooHigh { .. }
            | Self::InsufficientFunds { .. }
            | Self::SenderHasCode { .. }
            | Self::FeeBelowBaseFee { .. } => Blame::Nobody,
            _ => Blame::Peer,
        }
    }

    pub(super) fn from_revm(refusal: Refusal, transaction: &TxEnv, context: &BlockContext) -> Self {
        let (gas_price, tip) = (transaction.gas_price, transaction.gas_priority_fee.unwrap_or_default());
        match refusal {
            Refusal::NonceTooLow { tx, state } => Self::NonceTooLow { expected: state, actual: tx },
            Refusal::NonceTooHigh { tx, state } => Self::NonceTooHigh { expected: state, actual: tx },
            Refusal::NonceOverflowInTransaction => Self::NonceAtMaximum,
            Refusal::LackOfFundForMaxFee { fee, balance } => {
                Self::InsufficientFunds { required: *fee, balance: *balance }
            }
            Refusal::OverflowPaymentInTransaction => Self::CostOverflows,
            Refusal::RejectCallerWithCode => Self::SenderHasCode { sender: transaction.caller },
            Refusal::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                Self::IntrinsicGas { required: initial_gas, gas_limit }
            }
            Refusal::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                Self::CalldataFloor { required: gas_floor, gas_limit }
            }
            Refusal::CallerGasLimitMoreThanBlock => {
                Self::ExceedsBlockGasLimit { gas_limit: transaction.gas_limit, block_gas_limit: context.gas_limit }
            }
            Refusal::TxGasLimitGreaterThanCap { gas_limit, cap } => Self::GasLimitAboveCap { gas_limit, cap },
            Refusal::GasPriceLessThanBasefee => {
                Self::FeeBelowBaseFee { max_fee: gas_price, base_fee: context.base_fee }
            }
            Refusal::PriorityFeeGreaterThanMaxFee => Self::TipAboveFee { tip, max_fee: gas_price },
            Refusal::InvalidChainId | Refusal::MissingChainId => {
                Self::ChainId { expected: context.chain_id, actual: transaction.chain_id }
            }
            Refusal::CreateInitCodeSizeLimit => {
                Self::InitCodeTooLarge { actual: transaction.data.len(), limit: MAX_INITCODE_SIZE }
            }
            Refusal::Eip2930NotSupported
            | Refusal::Eip1559NotSupported
            | Refusal::Eip4844NotSupported
            | Refusal::Eip7702NotSupported => {
                Self::TypeNotSupported { tx_type: transaction.tx_type, hardfork: context.hardfork }
            }
            Refusal::EmptyAuthorizationList => Self::NoAuthorizations,
            Refusal::BlobGasPriceGreaterThanMax { .. }
            | Refusal::EmptyBlobs
            | Refusal::BlobCreateTransaction
            | Refusal::TooManyBlobs { .. }
            | Refusal::BlobVersionNotSupported => Self::Blobs { reason: refusal.to_string() },
            other => Self::Other { reason: other.to_string() },
        }
    }
}

/// Why [`super::BlockExecutor::execute`] did not run a transaction. The executor stands as before, and can go on
/// after the first two.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// It may not run on this state.
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    /// It may run, but not in this block any more.
    #[error("block gas exhausted: tx gas limit {gas_limit}, left in the block {available}")]
    BlockGasExhausted {
        /// The transaction's gas limit.
        gas_limit: u64,
        /// Gas not yet used in the block.
        available: u64,
    },
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateReadError),
    /// The EVM itself failed.
    #[error("the EVM failed: {reason}")]
    Evm {
        /// Its words.
        reason: String,
    },
}

impl ExecuteError {
    /// What would have let it run, and what stood in its way.
    fn expected_and_actual(&self) -> (String, String) {
        match self {
            Self::Invalid(
                InvalidTransaction::NonceTooLow { expected, actual }
                | InvalidTransaction::NonceTooHigh { expected, actual },
            ) => (format!("nonce {expected}"), format!("nonce {actual}")),
            Self::Invalid(InvalidTransaction::InsufficientFunds { required, balance }) => {
                (format!("a balance of at least {required}"), balance.to_string())
            }
            Self::BlockGasExhausted { gas_limit, available } => {
                (format!("{gas_limit} gas left in the block"), available.to_string())
            }
            _ => ("that it can run here".to_owned(), self.to_string()),
        }
    }

    /// Whose fault.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Invalid(invalid) => invalid.blame(),
            Self::BlockGasExhausted { .. } => Blame::Nobody,
            Self::State(_) | Self::Evm { .. } => Blame::Local,
        }
    }

    pub(super) fn from_revm(error: EVMError<StateReadError>, transaction: &TxEnv, context: &BlockContext) -> Self {
        match error {
            EVMError::Transaction(refusal) => {
                Self::Invalid(InvalidTransaction::from_revm(refusal, transaction, context))
            }
            EVMError::Database(error) => Self::State(error),
            other => Self::Evm { reason: other.to_string() },
        }
    }
}

/// Why a block could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateReadError),
    /// The EVM itself failed.
    #[error("the EVM failed: {reason}")]
    Evm {
        /// Its words.
        reason: String,
    },
    /// A sealed block holds a transaction that may not run there.
    #[error("transaction {index} ({hash}): {reason}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// Its hash.
        hash: B256,
        /// Why: [`ExecuteError::Invalid`] or [`ExecuteError::BlockGasExhausted`].
        reason: Box<ExecuteError>,
    },
}

impl ExecutionError {
    /// Never the sender's: the seal says that the authority executed this block, so this node or the authority is
    /// wrong.
    pub const fn blame(&self) -> Blame {
        Blame::Local
    }

    /// What was expected, and what came.
    pub fn expected_and_actual(&self) -> (String, String) {
        match self {
            Self::Transaction { index, hash, reason } => {
                let (expected, actual) = reason.expected_and_actual();
                (format!("transaction {index} ({hash}): {expected}"), actual)
            }
            Self::State(_) | Self::Evm { .. } => ("a state that can be read".to_owned(), self.to_string()),
        }
    }

    pub(super) fn of_transaction(index: usize, hash: B256, error: ExecuteError) -> Self {
        match error {
            ExecuteError::State(error) => Self::State(error),
            ExecuteError::Evm { reason } => Self::Evm { reason },
            reason => Self::Transaction { index, hash, reason: Box::new(reason) },
        }
    }
}

impl From<EVMError<StateReadError>> for ExecutionError {
    fn from(error: EVMError<StateReadError>) -> Self {
        match error {
            EVMError::Database(error) => Self::State(error),
            other => Self::Evm { reason: other.to_string() },
        }
    }
}

impl ExecutionError {
    /// This node cannot read its own state or run its own EVM: whoever meets it stops.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Transaction { .. })
    }
}
