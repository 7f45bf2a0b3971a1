//! Forgetting the state of old blocks. Blocks, receipts and indexes stay.

use crate::rollback::remove_history_of;
use crate::tables::{METADATA, PRUNED_BELOW};
use crate::{StorageError, StoreWriter};
use callboard_chain::Blame;
use redb::WriteTransaction;

/// Keys one call may remove before it stops at the end of a block: about 50 ms of writing, so that pruning never
/// holds up a block for long.
pub const MAX_PRUNED_KEYS: usize = 10_000;
/// Blocks one call may look at, for chains of nearly empty blocks.
pub const MAX_PRUNED_BLOCKS: u64 = 10_000;

/// What one call of [`StoreWriter::prune_history`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// The oldest block whose state can still be asked for.
    pub below: u64,
    /// Whether everything asked for is gone; if not, call again.
    pub done: bool,
}

/// Why history was not pruned. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The height is above the head.
    #[error("cannot prune the history below block {below}: the head is {head}")]
    Ahead {
        /// The height asked for.
        below: u64,
        /// The head.
        head: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl PruneError {
    /// Whether the node must stop: only where the database failed.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Storage(_))
    }

    /// Whose fault: this node's where the database failed, otherwise nobody's.
    pub fn blame(&self) -> Blame {
        if self.is_fatal() { Blame::Local } else { Blame::Nobody }
    }
}

impl StoreWriter {
    /// Forgets the states of blocks below `below`, a bounded number of keys a call. The state of `below` itself and of
    /// every later block stays, and so does the way back to them.
    pub fn prune_history(&mut self, below: u64) -> Result<Pruned, PruneError> {
        let snapshot = self.store.snapshot()?;
        let (head, first) = (self.head, snapshot.pruned_below());
        if below > head.height {
            return Err(PruneError::Ahead { below, head: head.height });
        }
        if below <= first {
            return Ok(Pruned { below: first, done: true });
        }
        let write = self.begin()?;
        let end = below.min(first.saturating_add(MAX_PRUNED_BLOCKS));
        let (mut removed, mut reached) = (0, first);
        while reached < end && removed < MAX_PRUNED_KEYS {
            // What block n+1 found is the state of block n: it goes when the state of n goes.
            reached += 1;
            let set = snapshot.view().change_set(reached)?;
            removed += set.accounts.len() + set.slots.len();
            remove_history_of(&write, reached, &set)?;
        }
        write_pruned_below(&write, reached)?;
        self.finish(write, head)?;
        Ok(Pruned { below: reached, done: reached == below })
    }
}

fn write_pruned_below(write: &WriteTransaction, height: u64) -> Result<(), StorageError> {
    write.open_table(METADATA)?.insert(PRUNED_BELOW, height.to_be_bytes().as_slice())?;
    Ok(())
}
