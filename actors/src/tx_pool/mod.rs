//! Pending transactions: which are taken, in which order they come into blocks, and why any is turned away.

mod actor;
mod config;
mod error;
mod messages;
mod metrics;
mod queue;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{Ports, ReadAccount, TxPool};
pub use config::{PoolConfig, UNFUNDED_PER_SENDER, UNFUNDED_SHARE, Unfunded};
pub use error::PoolError;
pub use messages::{
    BestTransactions, BlocksStored, ChainRolledBack, DropTransaction, PendingChanged, PendingNonce, PendingTransaction,
    PoolContent, PoolStatus, SubmitTransaction, SubmitTransactions, Taken, TransactionAccepted,
};
pub use metrics::PoolMetrics;
pub use queue::{AccountState, PooledTransaction};
pub use state::{Content, DropReason, Status};
