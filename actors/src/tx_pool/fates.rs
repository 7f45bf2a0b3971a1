//! What became of transactions that are in the pool no longer.

use super::error::PoolError;
use super::state::DropReason;
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::{HashMap, VecDeque};

/// Transactions whose end is remembered: minutes of a busy chain, and less than a megabyte.
pub(super) const REMEMBERED: usize = 4_096;

/// Where a transaction is, or where it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// In the pool.
    Held {
        /// Whether it could come into the next block; otherwise it waits for one before it, or for funds.
        ready: bool,
        /// Whether this node brings it to the authority.
        forwarded: bool,
        /// The node that took it last from here: the authority, or one on the way there.
        acknowledged_by: Option<NodeId>,
    },
    /// It left the pool.
    Dropped(DropReason),
    /// The authority, or the node on the way there, did not take it, and it was dropped here.
    RefusedBy {
        /// Who.
        by: NodeId,
        /// Its words.
        reason: String,
    },
    /// The pool did not take it.
    Refused(PoolError),
}

/// The newest ends, each transaction once. It is a memory for questions only: what it remembers is taken again when it
/// is sent again.
#[derive(Debug, Default)]
pub(super) struct Fates {
    by_hash: HashMap<B256, Fate>,
    order: VecDeque<B256>,
}

impl Fates {
    /// Remembers how it ended; the oldest gives way.
    pub(super) fn record(&mut self, hash: B256, fate: Fate) {
        if self.by_hash.insert(hash, fate).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.by_hash.remove(&oldest));
        }
    }

    /// How it ended, where that is remembered.
    pub(super) fn of(&self, hash: &B256) -> Option<&Fate> {
        self.by_hash.get(hash)
    }
}
