//! Pending transactions: which are taken, in which order they come into blocks, and why any is turned away.

mod actor;
mod barred;
mod config;
mod error;
mod forwarding;
mod messages;
mod metrics;
mod newest;
mod queue;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod turns;

pub use actor::{Ports, ReadAccount, TxPool};
pub use config::{PoolConfig, UNFUNDED_PER_SENDER, UNFUNDED_SHARE, Unfunded};
pub use error::{EqualOffer, PoolError};
pub use messages::{
    BestTransactions, BlocksStored, ChainRolledBack, DropTransaction, HeldTransactions, PendingChanged, PendingNonce,
    PendingTransaction, PoolContent, PoolStatus, SubmitTransaction, SubmitTransactions, Taken, TransactionAccepted,
    TransactionFate, TransactionsRefused,
};
pub use metrics::PoolMetrics;
pub use queue::{AccountState, PooledTransaction, Waiting};
pub use state::{Content, DropReason, Status};
pub use timeline::{Entry, Fate, Source, Step, Story};
