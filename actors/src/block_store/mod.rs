//! The database's write side: one transaction a batch, then everybody who may act on durable blocks is told.

mod actor;
mod messages;
mod metrics;

pub use actor::{BlockStore, Ports};
pub use messages::{HeadStored, StoreBatch};
pub use metrics::CommitMetrics;
