//! Messages of the broadcaster.

use super::queue::Announcements;
use crate::transport::{NodeId, wire::TransactionAnswer};
use actix::Message;
use alloy_primitives::B256;
use bytes::Bytes;
use callboard_chain::Block;
use callboard_store::Durable;

/// From the block store, on route `BroadcastBlock`: a block sealed here is durable and goes to every subscriber.
/// A subscriber that is behind loses its place in the queue, not the block: its stream goes on from the store.
///
/// ```
/// # use callboard_actors::broadcaster::BroadcastBlock;
/// # use callboard_chain::Block;
/// # use callboard_store::Durable;
/// fn a_durable_block_is_broadcast(block: Durable<Block>) -> BroadcastBlock {
///     BroadcastBlock { block }
/// }
/// ```
///
/// One that is confirmed only is not:
///
/// ```compile_fail,E0308
/// # use callboard_actors::broadcaster::BroadcastBlock;
/// # use callboard_chain::{Block, Confirmed};
/// fn a_confirmed_block_is_not_yet_broadcast(block: Confirmed<Block>) -> BroadcastBlock {
///     BroadcastBlock { block }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct BroadcastBlock {
    /// The block.
    pub block: Durable<Block>,
}

/// From the block store, on route `RelayBlock`: an imported block is durable and goes to every subscriber but its
/// sender. A subscriber that is behind goes on from the store.
///
/// ```
/// # use callboard_actors::broadcaster::RelayBlock;
/// # use callboard_chain::Block;
/// # use callboard_store::Durable;
/// fn a_durable_block_is_relayed(block: Durable<Block>) -> RelayBlock {
///     RelayBlock { block, from: None }
/// }
/// ```
///
/// One that is confirmed only is not:
///
/// ```compile_fail,E0308
/// # use callboard_actors::broadcaster::RelayBlock;
/// # use callboard_chain::{Block, Confirmed};
/// fn a_confirmed_block_is_not_yet_relayed(block: Confirmed<Block>) -> RelayBlock {
///     RelayBlock { block, from: None }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RelayBlock {
    /// The block.
    pub block: Durable<Block>,
    /// Who sent it; `None` for a block that the operator handed in.
    pub from: Option<NodeId>,
}

/// A transaction on its way to other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingTransaction {
    /// Its hash.
    pub hash: B256,
    /// Its EIP-2718 bytes.
    pub bytes: Bytes,
}

/// To the pool: what became of a forwarded transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionForwarded {
    /// Its hash.
    pub hash: B256,
    /// What became of it.
    pub outcome: ForwardOutcome,
}

/// See [`TransactionForwarded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// It was queued for these nodes: the authority and seeds that are connected, which may be none.
    Sent {
        /// Which.
        to: Vec<NodeId>,
    },
    /// A node does not take it now; it is sent again.
    NotNow {
        /// Which.
        by: NodeId,
        /// Its words.
        reason: String,
    },
    /// A peer answered for good.
    Answered {
        /// Who.
        by: NodeId,
        /// What.
        answer: TransactionAnswer,
    },
    /// Nobody answered for good in time, or too many others were waiting.
    Unacknowledged,
}

/// From the server's follow streams: what is new from here on. Blocks that were durable before the answer are in the
/// store. The stream of a subscriber that falls behind ends; it subscribes again and goes on from the store.
#[derive(Debug, Clone, Copy)]
pub struct Subscribe {
    /// Who follows.
    pub peer: NodeId,
}

/// A durable block, announced to one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Its height.
    pub height: u64,
    /// What the subscriber gets of it.
    pub block: Announced,
}

/// See [`Announcement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// Nothing: it sent the block itself.
    Own,
    /// Its canonical bytes.
    Bytes(Bytes),
    /// The block, out of the store: it is long, or the memory of all streams is used up.
    Stored,
}

/// From the monitor: how much was sent, and how much was not.
#[derive(Debug, Clone, Copy)]
pub struct BroadcastCountsRequest;

/// The answer to [`BroadcastCountsRequest`]; all since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BroadcastCounts {
    /// Blocks announced, once for each subscriber.
    pub announced: u64,
    /// Subscribers that fell behind and went on from the store.
    pub subscribers_skipped: u64,
    /// Transactions delivered, once for each peer.
    pub transactions_delivered: u64,
    /// Transactions that a peer missed because its queue was full.
    pub transactions_skipped: u64,
    /// Transactions in batches that a peer did not take.
    pub transactions_not_delivered: u64,
    /// Follow streams now.
    pub subscribers: usize,
    /// Forwarded transactions that wait for an answer now.
    pub unacknowledged: usize,
}

impl Message for BroadcastBlock {
    type Result = ();
}

impl Message for RelayBlock {
    type Result = ();
}

impl Message for TransactionForwarded {
    type Result = ();
}

impl Message for Subscribe {
    type Result = Announcements;
}

impl Message for BroadcastCountsRequest {
    type Result = BroadcastCounts;
}
