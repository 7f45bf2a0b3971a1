//! The newest durable state, for whoever executes on top of it.

use crate::{Snapshot, StorageError, Store};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::Nibbles;
use callboard_chain::{Account, StateReadError, StateReader, TrieReader};

/// Reads the state after the newest durable block: each read looks at the newest commit, so two reads may see
/// different blocks. That is what a state kept in memory ahead of the disk needs (what it holds wins, and everything
/// else is the same in both); whoever needs one consistent block takes a [`Snapshot`].
#[derive(Debug)]
pub struct LatestState {
    store: Store,
}

impl LatestState {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The newest durable snapshot.
    pub fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.store.snapshot()
    }
}

impl StateReader for LatestState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        self.snapshot()?.account(address)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        self.snapshot()?.storage(address, slot)
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        self.snapshot()?.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        self.snapshot()?.block_hash(height)
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        self.snapshot()?.storage_slots(address)
    }
}

impl TrieReader for LatestState {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        self.snapshot()?.trie_node(owner, path)
    }
}
