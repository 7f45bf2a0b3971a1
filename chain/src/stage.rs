//! How far a block has come, as types.
//!
//! `Verified<Block>` is made only by this crate's verifier, `Confirmed<Block>` only by executing a verified block to
//! its roots, and `Durable<Block>` (in the store) only by committing a confirmed one. What broadcasts, serves or
//! answers takes the last of them, so a block that was not checked cannot get there.

use crate::{Block, BlockChanges, Receipt};
use alloy_primitives::Address;
use std::sync::Arc;

/// A value whose form, hash, seal and body have been checked, with what the check found out.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    senders: Arc<[Address]>,
}

impl<T> Verified<T> {
    pub(crate) fn new(value: T, senders: Arc<[Address]>) -> Self {
        Self { value, senders }
    }

    /// What was verified.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Takes the value out.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl Verified<Block> {
    /// The sender of each transaction, in order.
    pub fn senders(&self) -> &Arc<[Address]> {
        &self.senders
    }
}

/// A verified value that has been executed to exactly the roots it claims.
#[derive(Debug, Clone)]
pub struct Confirmed<T> {
    value: T,
    senders: Arc<[Address]>,
    receipts: Arc<[Receipt]>,
    changes: Arc<BlockChanges>,
}

impl Confirmed<Block> {
    pub(crate) fn new(verified: Verified<Block>, receipts: Arc<[Receipt]>, changes: Arc<BlockChanges>) -> Self {
        Self { value: verified.value, senders: verified.senders, receipts, changes }
    }

    /// The block.
    pub fn value(&self) -> &Block {
        &self.value
    }

    /// The sender of each transaction, in order.
    pub fn senders(&self) -> &Arc<[Address]> {
        &self.senders
    }

    /// The receipts, in order.
    pub fn receipts(&self) -> &Arc<[Receipt]> {
        &self.receipts
    }

    /// What the block changed in the state.
    pub fn changes(&self) -> &Arc<BlockChanges> {
        &self.changes
    }
}

#[cfg(feature = "test-fixtures")]
impl Confirmed<Block> {
    /// For tests of other crates only: takes the parts at their word.
    #[doc(hidden)]
    pub fn fixture(block: Block, senders: Vec<Address>, receipts: Vec<Receipt>, changes: BlockChanges) -> Self {
        Self { value: block, senders: senders.into(), receipts: receipts.into(), changes: Arc::new(changes) }
    }
}
