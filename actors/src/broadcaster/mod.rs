//! The broadcaster: blocks and transactions to other nodes.
//!
//! Blocks go to those who follow (streams of the server, see [`Subscribe`]); transactions to the peers that this node
//! has dialled. A peer that is slow or dead has queues of its own and costs nobody else anything.

mod actor;
mod forwards;
mod messages;
mod outbox;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{Broadcaster, Ports, Tick};
pub use messages::{
    Announcement, BroadcastBlock, BroadcastCounts, BroadcastCountsRequest, ForwardOutcome, OutgoingTransaction,
    RelayBlock, Subscribe, TransactionForwarded,
};

pub use state::{Effect, NotDelivered, State};

use std::time::Duration;

/// A transaction that nobody has answered for good after this time is given up; the pool is told.
pub const FORWARD_LIFETIME: Duration = Duration::from_secs(120);
