//! The broadcaster: blocks and transactions to other nodes.
//!
//! Blocks go to those who follow (streams of the server, see [`Subscribe`]); transactions to the peers that this node
//! has dialled. A peer that is slow or dead has queues of its own, bounded in number and bytes, and costs nobody else
//! anything: a stream that falls behind loses its place in the queue and goes on from the store; transactions that do not
//! fit a peer's queue, or were in a batch that it did not take, are skipped for that peer and counted, and what was to be
//! forwarded is sent again.

mod actor;
mod forwards;
mod messages;
mod metrics;
mod outbox;
mod queue;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{Broadcaster, Ports, Tick};
pub use messages::{
    Announced, Announcement, BroadcastBlock, BroadcastCounts, BroadcastCountsRequest, ForwardOutcome,
    OutgoingTransaction, RelayBlock, Subscribe, TransactionForwarded,
};
pub use metrics::BroadcastMetrics;
pub use queue::Announcements;

pub use state::{Effect, NotDelivered, State};

use std::time::Duration;

/// A transaction that nobody has answered for good after this time is given up; the pool is told.
pub const FORWARD_LIFETIME: Duration = Duration::from_secs(120);
