//! Pending transactions: which are taken, in which order they come into blocks, and why any is turned away.

mod actor;
mod config;
mod error;
mod fates;
mod forwarding;
mod messages;
mod metrics;
mod queue;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{Ports, ReadAccount, TxPool};
pub use config::{PoolConfig, UNFUNDED_PER_SENDER, UNFUNDED_SHARE, Unfunded};
pub use error::PoolError;
pub use fates::Fate;
pub use messages::{
    BestTransactions, BlocksStored, ChainRolledBack, DropTransaction, HeldTransactions, PendingChanged, PendingNonce,
    PendingTransaction, PoolContent, PoolStatus, SubmitTransaction, SubmitTransactions, Taken, TransactionAccepted,
    TransactionFate,
};
pub use metrics::PoolMetrics;
pub use queue::{AccountState, PooledTransaction};
pub use state::{Content, DropReason, Status};
