//! What the block store is told.

use crate::callboard::Provenance;
use actix::Message;
use alloy_primitives::B256;
use callboard_chain::live::Batch;

/// Commit these blocks, their receipts, state, indexes and the head in one transaction. Signalled by ConfirmedState,
/// which hands over the next batch only when this one is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StoreBatch {
    /// The blocks and the trie nodes after them.
    pub batch: Batch,
    /// Where each came from, in order.
    pub origins: Vec<Provenance>,
}

/// The durable head moved. Signalled by the block store to whoever decides by it, once a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct HeadStored {
    /// Height.
    pub height: u64,
    /// Block hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// Blocks in the batch.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Base fee of the next block, wei a gas.
    pub next_base_fee: u64,
}
