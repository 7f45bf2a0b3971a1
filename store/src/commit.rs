//! The write path: a batch of confirmed blocks, all or nothing.

use crate::codec::Head;
use crate::tables::{HEAD, METADATA};
use crate::{StorageError, StoreWriter, batch, blooms};
use alloy_primitives::B256;
use callboard_chain::trie::TrieUpdates;
use callboard_chain::{Blame, Block, Confirmed};
use redb::WriteTransaction;
use std::ops::Deref;

/// Blocks that become durable together.
#[derive(Debug, Clone)]
pub struct CommitBatch {
    /// Consecutive blocks; the first stands on the durable head.
    pub blocks: Vec<Confirmed<Block>>,
    /// The trie nodes that changed from the durable head to the last of `blocks`.
    pub trie: TrieUpdates,
}

/// A confirmed value that is on disk. Only a commit makes it, and only what is durable may be acknowledged,
/// broadcast, served or answered.
///
/// ```
/// # use callboard_chain::{Block, Confirmed};
/// # use callboard_store::Durable;
/// fn what_is_durable_is_confirmed(block: Durable<Block>) -> Confirmed<Block> {
///     block.confirmed().clone()
/// }
/// ```
///
/// The other way there is none:
///
/// ```compile_fail,E0423
/// # use callboard_chain::{Block, Confirmed};
/// # use callboard_store::Durable;
/// fn what_is_confirmed_is_not_yet_durable(block: Confirmed<Block>) -> Durable<Block> {
///     Durable(block)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Durable<T>(Confirmed<T>);

impl<T> Durable<T> {
    /// What was confirmed.
    pub fn confirmed(&self) -> &Confirmed<T> {
        &self.0
    }
}

impl<T> Deref for Durable<T> {
    type Target = Confirmed<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Why a batch was not committed. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// There is no block in it.
    #[error("a batch without blocks cannot be committed")]
    Empty,
    /// A block does not follow the one before it.
    #[error("block {actual} cannot be committed: {expected} is next")]
    Height {
        /// The next height.
        expected: u64,
        /// The block's height.
        actual: u64,
    },
    /// A block stands on another parent.
    #[error("block {height} cannot be committed: its parent is {actual}, the block before it is {expected}")]
    Parent {
        /// The block's height.
        height: u64,
        /// Hash of the block before it.
        expected: B256,
        /// The parent it names.
        actual: B256,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CommitError {
    /// Whether the node must stop: always. Either the disk failed, or memory and disk have parted.
    pub fn is_fatal(&self) -> bool {
        true
    }

    /// Whose fault: this node's. What is committed has been confirmed here.
    pub fn blame(&self) -> Blame {
        Blame::Local
    }
}

impl StoreWriter {
    /// Writes the blocks with their receipts, state, history, indexes, trie nodes and the new head in one
    /// transaction, and returns when it is on disk. On any error nothing of the batch is there.
    pub fn commit(&mut self, batch: CommitBatch) -> Result<Vec<Durable<Block>>, CommitError> {
        let head = self.extended_head(&batch.blocks)?;
        let write = self.begin()?;
        batch::write_blocks(&write, &batch.blocks)?;
        blooms::write_blooms(&write, &batch.blocks)?;
        batch::write_indexes(&write, &batch.blocks)?;
        batch::write_state(&write, &batch.blocks)?;
        batch::write_history(&write, &batch.blocks)?;
        batch::write_trie(&write, &batch.trie)?;
        write_head(&write, head)?;
        self.finish(write, head)?;
        Ok(batch.blocks.into_iter().map(Durable).collect())
    }

    /// The head after `blocks`, which must follow the durable one and each other.
    fn extended_head(&self, blocks: &[Confirmed<Block>]) -> Result<Head, CommitError> {
        if blocks.is_empty() {
            return Err(CommitError::Empty);
        }
        let mut head = self.head;
        for block in blocks.iter().map(Confirmed::value) {
            let expected = head.height.saturating_add(1);
            if block.height() != expected {
                return Err(CommitError::Height { expected, actual: block.height() });
            }
            if block.header().parent_hash != head.hash {
                let actual = block.header().parent_hash;
                return Err(CommitError::Parent { height: expected, expected: head.hash, actual });
            }
            head = Head::of(block);
        }
        Ok(head)
    }
}

pub(crate) fn write_head(write: &WriteTransaction, head: Head) -> Result<(), StorageError> {
    write.open_table(METADATA)?.insert(HEAD, head.encode().as_slice())?;
    Ok(())
}
