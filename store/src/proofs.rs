//! Proofs of accounts and slots as of the head and a bounded number of blocks before it.
//!
//! The stored trie is the head's. For an older block the newest change sets are undone in memory, on top of the stored
//! nodes and without touching them, and the root that comes out is compared with that block's header before anything is
//! proven by it.

use crate::codec::ChangeSet;
use crate::{HistoricState, HistoryError, Snapshot, StorageError, history, rollback};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};
use callboard_chain::trie::TrieError;
use callboard_chain::{AccountProof, Blame, SlotProof, StateReadError, StateReader, StateTrie};

/// Most blocks that are undone for a proof: a few minutes of a busy chain, and well under the time a snapshot may live.
pub const MAX_UNDONE_BLOCKS: u64 = 256;
/// Most keys that are put back for a proof, each a few microseconds.
pub const MAX_UNDONE_KEYS: usize = 100_000;

/// Why nothing can be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProvableError {
    /// The block is not there yet, or its state was pruned.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Too many blocks stand above it.
    #[error(
        "the state of block {height} cannot be proven: proofs reach {MAX_UNDONE_BLOCKS} blocks below the head {head}"
    )]
    TooOld {
        /// The height asked for.
        height: u64,
        /// The head.
        head: u64,
    },
    /// The blocks above it changed too much.
    #[error(
        "the state of block {height} cannot be proven: the blocks above it changed more than {MAX_UNDONE_KEYS} keys"
    )]
    TooMuch {
        /// The height asked for.
        height: u64,
    },
    /// Undoing the blocks above it gives another state than its header says.
    #[error("undoing the blocks above block {height} gives state root {actual}, its header says {expected}")]
    StateRoot {
        /// The height asked for.
        height: u64,
        /// The header's state root.
        expected: B256,
        /// The one that came out.
        actual: B256,
    },
    /// The trie could not be read.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateReadError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ProvableError {
    /// Whether only the question was wrong.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::History(error) => !error.is_fatal(),
            Self::TooOld { .. } | Self::TooMuch { .. } => true,
            _ => false,
        }
    }

    /// Whose fault: nobody's where only the question was wrong, otherwise this node's.
    pub fn blame(&self) -> Blame {
        if self.is_refusal() { Blame::Nobody } else { Blame::Local }
    }
}

/// The state after one block, with its trie.
pub struct ProvableState {
    snapshot: Snapshot,
    state: HistoricState,
    header: Header,
    trie: StateTrie,
}

impl Snapshot {
    /// The state after the block at `height`, ready to be proven. Its root is that block's state root.
    pub fn provable_state(&self, height: u64) -> Result<ProvableState, ProvableError> {
        let state = self.state_at(height)?;
        let header =
            self.header(height)?.ok_or_else(|| StorageError::damaged("blocks", format!("no block {height}")))?;
        let head = self.head();
        if head.height - height > MAX_UNDONE_BLOCKS {
            return Err(ProvableError::TooOld { height, head: head.height });
        }
        let touched = bounded_changes(self, height)?;
        let changes = history::difference(self.view(), &touched, height, head.height)?;
        let mut trie = StateTrie::new(head.state_root);
        let actual = trie.revert(self, &changes)?;
        if actual != header.state_root {
            return Err(ProvableError::StateRoot { height, expected: header.state_root, actual });
        }
        Ok(ProvableState { snapshot: self.clone(), state, header, trie })
    }
}

/// The keys that the blocks above `height` touched.
fn bounded_changes(snapshot: &Snapshot, height: u64) -> Result<ChangeSet, ProvableError> {
    let mut keys = 0usize;
    for above in height.saturating_add(1)..=snapshot.head().height {
        let set = snapshot.view().change_set(above)?;
        keys = keys.saturating_add(set.accounts.len()).saturating_add(set.slots.len());
        if keys > MAX_UNDONE_KEYS {
            return Err(ProvableError::TooMuch { height });
        }
    }
    Ok(rollback::touched(snapshot, height.saturating_add(1)..=snapshot.head().height)?)
}

impl ProvableState {
    /// The block whose state it is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Proves an account and some of its slots.
    pub fn prove(&mut self, address: Address, slots: &[U256]) -> Result<AccountProof, ProvableError> {
        let account = self.state.account(address)?;
        let nodes = self.trie.prove_account(&self.snapshot, address)?;
        let proofs = self.trie.prove_storage(&self.snapshot, address, slots)?;
        let slot = |(slot, nodes): (&U256, _)| {
            Ok::<_, StateReadError>(SlotProof { slot: *slot, value: self.state.storage(address, *slot)?, nodes })
        };
        let slots = slots.iter().zip(proofs).map(slot).collect::<Result<_, _>>()?;
        Ok(AccountProof { address, account, nodes, slots })
    }
}

impl std::fmt::Debug for ProvableState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvableState").field("height", &self.header.number).finish_non_exhaustive()
    }
}
