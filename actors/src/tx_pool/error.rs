//! Why the pool did not take a transaction.

use crate::callboard::Phase;
use alloy_primitives::{Address, U256};
use callboard_chain::Blame;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Whether an offer that is as high as the one it would replace will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EqualOffer {
    /// Not here, or this one is lower.
    Never,
    /// This one will, after some time.
    In {
        /// How long that is.
        wait: Duration,
    },
    /// It would, but the nonce has changed hands like that too often.
    UsedUp,
}

impl Display for EqualOffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => Ok(()),
            Self::In { wait } => {
                write!(f, "; an offer as high as the old one is taken in {} s", wait.as_millis().div_ceil(1_000))
            }
            Self::UsedUp => f.write_str("; this nonce has been replaced by equal offers too often"),
        }
    }
}

/// A transaction was refused. Each text begins as Ethereum clients match it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It is in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// The account has used this nonce.
    #[error("nonce too low: next nonce {expected}, tx nonce {actual}")]
    NonceTooLow {
        /// The account's next nonce.
        expected: u64,
        /// The transaction's.
        actual: u64,
    },
    /// Further ahead of the account's nonce than the pool holds.
    #[error("nonce too high: next nonce {expected}, tx nonce {actual}, at most {limit} ahead are held")]
    NonceTooHigh {
        /// The account's next nonce.
        expected: u64,
        /// The transaction's.
        actual: u64,
        /// `max_per_sender`.
        limit: usize,
    },
    /// Another transaction with this nonce is there, and this one does not offer enough more.
    #[error(
        "replacement transaction underpriced: maxFeePerGas {cap} and maxPriorityFeePerGas {tip} must be at least \
         {required_cap} and {required_tip}{equal}"
    )]
    Underpriced {
        /// Wei a gas.
        cap: u128,
        /// Wei a gas.
        tip: u128,
        /// Wei a gas.
        required_cap: u128,
        /// Wei a gas.
        required_tip: u128,
        /// Whether, and when, an equal offer will do.
        equal: EqualOffer,
    },
    /// The balance does not cover the sender's pending transactions with this one.
    #[error("insufficient funds for gas * price + value: address {sender} have {balance} want {required}")]
    InsufficientFunds {
        /// Whose balance.
        sender: Address,
        /// Wei.
        balance: U256,
        /// Wei, for all of the sender's transactions up to this one.
        required: U256,
    },
    /// The sender has no balance, and this node holds no, or no more, transactions of such senders.
    #[error(
        "insufficient funds for transfer: sender {sender} has no balance, and this node holds {limit} transactions of such senders"
    )]
    Unfunded {
        /// Whose.
        sender: Address,
        /// How many are held.
        limit: usize,
    },
    /// Not on this node's list.
    #[error("sender {sender} is not on this node's list of senders")]
    SenderNotAllowed {
        /// Who.
        sender: Address,
    },
    /// The sender has as many transactions in the pool as one may have.
    #[error("account limit exceeded: {sender} has {limit} transactions in the pool")]
    SenderFull {
        /// Who.
        sender: Address,
        /// `max_per_sender`.
        limit: usize,
    },
    /// The pool is full of transactions that this one does not displace.
    #[error("txpool is full: {transactions} transactions, {bytes} bytes")]
    PoolFull {
        /// Transactions held.
        transactions: usize,
        /// Bytes held.
        bytes: usize,
    },
    /// The routing table turns transactions away now.
    #[error("transactions are not taken while this node is {phase}")]
    NotNow {
        /// What the node is doing.
        phase: Phase,
    },
    /// The sender's account could not be read.
    #[error("the account of {sender} could not be read: {reason}")]
    State {
        /// Whose.
        sender: Address,
        /// What the store says.
        reason: String,
    },
    /// The operator has taken it out.
    #[error("the operator of this node has dropped this transaction; it is taken again over the node's own RPC only")]
    DroppedByOperator,
    /// It failed a moment ago.
    #[error("this transaction could not be executed when a block was built: {reason}")]
    Invalid {
        /// Why, as the build said.
        reason: String,
    },
}

impl PoolError {
    /// Whose fault it is that the transaction was offered. Peers see other heads and hold other transactions, so
    /// hardly anything here is theirs.
    pub fn blame(&self) -> Blame {
        match self {
            Self::State { .. } => Blame::Local,
            _ => Blame::Nobody,
        }
    }

    /// Whether this says no more than why the transaction left the pool a while ago.
    pub(super) fn is_barred(&self) -> bool {
        matches!(self, Self::DroppedByOperator | Self::Invalid { .. })
    }

    /// Whether the same transaction may be taken when it is offered again later. Of a sender without balance it may where
    /// some are held: others make room.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NonceTooHigh { .. }
                | Self::SenderFull { .. }
                | Self::PoolFull { .. }
                | Self::NotNow { .. }
                | Self::State { .. }
                | Self::Underpriced { equal: EqualOffer::In { .. }, .. }
        ) || matches!(self, Self::Unfunded { limit, .. } if *limit > 0)
    }

    /// A short name for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AlreadyKnown => "already_known",
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::NonceTooHigh { .. } => "nonce_too_high",
            Self::Underpriced { .. } => "underpriced",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::Unfunded { .. } => "unfunded",
            Self::SenderNotAllowed { .. } => "sender_not_allowed",
            Self::SenderFull { .. } => "sender_full",
            Self::PoolFull { .. } => "pool_full",
            Self::NotNow { .. } => "not_now",
            Self::State { .. } => "state",
            Self::DroppedByOperator => "dropped_by_operator",
            Self::Invalid { .. } => "invalid",
        }
    }
}
