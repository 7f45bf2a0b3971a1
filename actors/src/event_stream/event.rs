//! What subscribers hear of.

use crate::callboard::RouteCount;
use crate::sync_coordinator::SyncReport;
use crate::tx_pool::PooledTransaction;
use alloy_primitives::{B256, Log};
use bytes::Bytes;
use callboard_chain::Block;
use callboard_store::Durable;
use std::sync::{Arc, OnceLock};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Durable blocks, with their transactions.
    Blocks,
    /// Transactions that the pool took.
    Pending,
    /// What the node is doing.
    Sync,
    /// Deliveries of the routing table.
    Routes,
}

impl Topic {
    /// As it appears in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Pending => "pending",
            Self::Sync => "sync",
            Self::Routes => "routes",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Topics(pub(super) u8);

impl Topics {
    /// These topics and `topic`.
    #[must_use]
    pub fn with(self, topic: Topic) -> Self {
        Self(self.0 | topic.bit())
    }

    /// Whether `topic` is one of them.
    pub fn contains(self, topic: Topic) -> bool {
        self.0 & topic.bit() != 0
    }
}

/// An event. All subscribers share it, and each form in which it is written: whoever needs a form first writes it.
#[derive(Debug, Clone)]
pub enum Event {
    /// Consecutive blocks that became durable together.
    Blocks(Arc<[BlockEvent]>),
    /// A transaction that the pool took.
    Pending(Arc<PendingEvent>),
    /// The node's sync status has changed.
    Sync(Arc<SyncEvent>),
    /// The routing table has delivered.
    Routes(Arc<RoutesEvent>),
}

/// A durable block.
#[derive(Debug)]
pub struct BlockEvent {
    /// The block.
    pub block: Durable<Block>,
    pub(crate) forms: BlockForms,
}

/// The forms of a block, each written at most once.
#[derive(Debug, Default)]
pub(crate) struct BlockForms {
    pub(crate) frame: OnceLock<Bytes>,
    pub(crate) transaction_frames: OnceLock<Bytes>,
    pub(crate) head: OnceLock<Bytes>,
    pub(crate) logs: OnceLock<Vec<WrittenLog>>,
    pub(crate) receipts: OnceLock<Vec<WrittenReceipt>>,
}

/// A log and how it is written.
#[derive(Debug)]
pub(crate) struct WrittenLog {
    pub(crate) log: Log,
    pub(crate) text: Bytes,
}

/// A receipt and how it is written.
#[derive(Debug)]
pub(crate) struct WrittenReceipt {
    pub(crate) hash: B256,
    pub(crate) text: Bytes,
}

/// A pending transaction.
#[derive(Debug)]
pub struct PendingEvent {
    /// The transaction.
    pub transaction: PooledTransaction,
    pub(crate) forms: PendingForms,
}

/// The forms of a pending transaction, each written at most once.
#[derive(Debug, Default)]
pub(crate) struct PendingForms {
    pub(crate) frame: OnceLock<Bytes>,
    pub(crate) hash: OnceLock<Bytes>,
    pub(crate) body: OnceLock<Bytes>,
}

/// A new sync status.
#[derive(Debug)]
pub struct SyncEvent {
    /// The answer to `callboard_syncStatus`.
    pub report: SyncReport,
    pub(crate) frame: OnceLock<Bytes>,
}

/// New deliveries.
#[derive(Debug)]
pub struct RoutesEvent {
    /// The counts that have changed, as they are now.
    pub counts: Vec<RouteCount>,
    pub(crate) frame: OnceLock<Bytes>,
}

/// What a small event is counted as, bytes.
const SMALL: usize = 1_024;

impl Event {
    pub(crate) fn blocks(blocks: &[Durable<Block>]) -> Self {
        let event = |block: &Durable<Block>| BlockEvent { block: block.clone(), forms: BlockForms::default() };
        Self::Blocks(blocks.iter().map(event).collect())
    }

    pub(crate) fn pending(transaction: PooledTransaction) -> Self {
        Self::Pending(Arc::new(PendingEvent { transaction, forms: PendingForms::default() }))
    }

    pub(crate) fn sync(report: SyncReport) -> Self {
        Self::Sync(Arc::new(SyncEvent { report, frame: OnceLock::new() }))
    }

    pub(crate) fn routes(counts: Vec<RouteCount>) -> Self {
        Self::Routes(Arc::new(RoutesEvent { counts, frame: OnceLock::new() }))
    }

    /// What it is about.
    pub fn topic(&self) -> Topic {
        match self {
            Self::Blocks(_) => Topic::Blocks,
            Self::Pending(_) => Topic::Pending,
            Self::Sync(_) => Topic::Sync,
            Self::Routes(_) => Topic::Routes,
        }
    }

    /// About how many bytes it keeps in memory, before any form is written.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Blocks(blocks) => blocks.iter().map(|event| SMALL + block_bytes(&event.block)).sum(),
            Self::Pending(event) => SMALL + event.transaction.bytes,
            Self::Sync(_) | Self::Routes(_) => SMALL,
        }
    }
}

fn block_bytes(block: &Durable<Block>) -> usize {
    let logs = block.receipts().iter().flat_map(|receipt| &receipt.logs);
    block.value().bytes().len() + logs.map(|log| SMALL + log.data.data.len()).sum::<usize>()
}
