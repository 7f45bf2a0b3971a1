//! Undoing the newest blocks.

use crate::batch::{self, IndexRows};
use crate::codec::{ChangeSet, Head};
use crate::commit::write_head;
use crate::keys::{self, TransactionLocation};
use crate::tables::*;
use crate::{BuildError, Snapshot, StorageError, StoreWriter, TrieBuild, blooms, history};
use alloy_primitives::{Address, B256, U256};
use callboard_chain::trie::{StateTrie, TrieError, TrieUpdates};
use callboard_chain::{Blame, BlockChanges};
use redb::WriteTransaction;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// What a rollback did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback {
    /// The head before it.
    pub from: Head,
    /// The head now.
    pub to: Head,
}

/// Why nothing was rolled back. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The height is above the head.
    #[error("cannot roll back to block {to}: the head is {head}")]
    Ahead {
        /// The height asked for.
        to: u64,
        /// The head.
        head: u64,
    },
    /// What would undo the blocks was pruned.
    #[error("cannot roll back to block {to}: the history below block {oldest} was pruned")]
    Pruned {
        /// The height asked for.
        to: u64,
        /// The lowest height that can be gone back to.
        oldest: u64,
    },
    /// The state that comes out is not the one the header commits to.
    #[error("rolling back to block {to} gives state root {actual}, its header says {expected}; nothing was changed")]
    StateRoot {
        /// The height asked for.
        to: u64,
        /// The header's state root.
        expected: B256,
        /// The recomputed one.
        actual: B256,
    },
    /// The trie could not be built anew.
    #[error("the state trie could not be built: {0}")]
    Build(#[from] BuildError),
    /// The trie could not be taken back.
    #[error("the state trie could not be rolled back: {0}")]
    Trie(#[from] TrieError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RollbackError {
    /// Whether the node must stop: not where only the question was wrong.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Ahead { .. } | Self::Pruned { .. })
    }

    /// Whose fault: this node's where it is fatal, otherwise nobody's.
    pub fn blame(&self) -> Blame {
        if self.is_fatal() { Blame::Local } else { Blame::Nobody }
    }
}

impl StoreWriter {
    /// Takes the chain back to the block at `to` in one transaction. The state that comes out is hashed and compared
    /// with that block's header before anything is committed. Memory grows with the number of keys that the undone
    /// blocks touched.
    pub fn rollback(&mut self, to: u64) -> Result<Rollback, RollbackError> {
        let snapshot = self.store.snapshot()?;
        let (from, target) = (self.head, target(&snapshot, to)?);
        if to == from.height {
            return Ok(Rollback { from, to: from });
        }
        let undone = to + 1..=from.height;
        let touched = touched(&snapshot, undone.clone())?;
        let changes = history::difference(snapshot.view(), &touched, to, from.height)?;
        let trie = reverted_trie(&snapshot, target, &changes)?;
        let write = self.begin()?;
        restore_state(&write, &changes)?;
        batch::write_trie(&write, &trie)?;
        remove_history(&write, &snapshot, undone.clone())?;
        remove_blocks(&write, &snapshot, undone)?;
        write_head(&write, target)?;
        self.finish(write, target)?;
        Ok(Rollback { from, to: target })
    }
}

impl StoreWriter {
    /// As [`Self::rollback`], but believes no stored trie node: the trie is built anew from the flat state that comes
    /// out, and must lead to the header's root. In several transactions, so that memory stays bounded: what is left of
    /// the file after an error is of no use. For copies only.
    pub fn rewind(&mut self, to: u64) -> Result<Rollback, RollbackError> {
        let snapshot = self.store.snapshot()?;
        let (from, target) = (self.head, target(&snapshot, to)?);
        let write = self.begin()?;
        if to < from.height {
            let undone = to + 1..=from.height;
            let touched = touched(&snapshot, undone.clone())?;
            restore_state(&write, &history::difference(snapshot.view(), &touched, to, from.height)?)?;
            remove_history(&write, &snapshot, undone.clone())?;
            remove_blocks(&write, &snapshot, undone)?;
        }
        remove_strays(&write, to)?;
        for table in [ACCOUNT_TRIE, STORAGE_TRIE] {
            write.delete_table(table).map_err(StorageError::from)?;
            write.open_table(table).map_err(StorageError::from)?;
        }
        write_head(&write, target)?;
        drop(snapshot);
        self.finish(write, target)?;
        self.build_trie(target)?;
        Ok(Rollback { from, to: target })
    }

    fn build_trie(&mut self, target: Head) -> Result<(), RollbackError> {
        let mut build = TrieBuild::new(target.height);
        while build.root().is_none() {
            let snapshot = self.store.snapshot()?;
            let nodes = build.step(&snapshot, &snapshot)?;
            let write = self.begin()?;
            batch::write_trie(&write, &nodes)?;
            self.finish(write, target)?;
        }
        match build.root() {
            Some(actual) if actual != target.state_root => {
                Err(RollbackError::StateRoot { to: target.height, expected: target.state_root, actual })
            }
            _ => Ok(()),
        }
    }
}

/// The block at `to` as a head, where its state can still be had.
fn target(snapshot: &Snapshot, to: u64) -> Result<Head, RollbackError> {
    let (head, oldest) = (snapshot.head().height, snapshot.pruned_below());
    if to > head {
        return Err(RollbackError::Ahead { to, head });
    }
    if to < oldest {
        return Err(RollbackError::Pruned { to, oldest });
    }
    let block = snapshot.block(to)?.ok_or_else(|| StorageError::damaged("blocks", format!("no block {to}")))?;
    Ok(Head::of(&block))
}

/// Every key that the blocks touched, ascending.
pub(crate) fn touched(snapshot: &Snapshot, heights: RangeInclusive<u64>) -> Result<ChangeSet, StorageError> {
    let mut accounts: BTreeSet<Address> = BTreeSet::new();
    let mut slots: BTreeSet<(Address, U256)> = BTreeSet::new();
    for height in heights {
        let set = snapshot.view().change_set(height)?;
        accounts.extend(set.accounts);
        slots.extend(set.slots);
    }
    Ok(ChangeSet { accounts: accounts.into_iter().collect(), slots: slots.into_iter().collect() })
}

/// The trie changes that undo `changes`, which must lead to the target's state root.
fn reverted_trie(snapshot: &Snapshot, target: Head, changes: &BlockChanges) -> Result<TrieUpdates, RollbackError> {
    let mut trie = StateTrie::new(snapshot.head().state_root);
    let actual = trie.revert(snapshot, changes)?;
    if actual != target.state_root {
        return Err(RollbackError::StateRoot { to: target.height, expected: target.state_root, actual });
    }
    Ok(trie.take_updates())
}

fn restore_state(write: &WriteTransaction, changes: &BlockChanges) -> Result<(), StorageError> {
    let accounts: BTreeMap<_, _> =
        changes.accounts.iter().map(|change| (&change.address, change.before.as_ref())).collect();
    let storage = changes.storage.iter().map(|change| ((change.address, change.slot), change.before)).collect();
    batch::write_accounts(write, accounts)?;
    batch::write_storage(write, &storage)
}

/// Removes history and change sets. Code stays: it is found by its hash only.
fn remove_history(
    write: &WriteTransaction,
    snapshot: &Snapshot,
    heights: RangeInclusive<u64>,
) -> Result<(), StorageError> {
    for height in heights {
        let set = snapshot.view().change_set(height)?;
        remove_history_of(write, height, &set)?;
    }
    Ok(())
}

/// Removes the history entries and the change set of one block.
pub(crate) fn remove_history_of(write: &WriteTransaction, height: u64, set: &ChangeSet) -> Result<(), StorageError> {
    let mut accounts = write.open_table(ACCOUNT_HISTORY)?;
    for address in &set.accounts {
        accounts.remove(&keys::account_at(*address, height))?;
    }
    let mut storage = write.open_table(STORAGE_HISTORY)?;
    for (address, slot) in &set.slots {
        storage.remove(&keys::slot_at(*address, *slot, height))?;
    }
    write.open_table(CHANGE_SETS)?.remove(height)?;
    Ok(())
}

/// Removes the blocks, their receipts and their index entries.
fn remove_blocks(
    write: &WriteTransaction,
    snapshot: &Snapshot,
    heights: RangeInclusive<u64>,
) -> Result<(), StorageError> {
    for height in heights {
        let missing = || StorageError::damaged("blocks", format!("block {height} is missing"));
        let block = snapshot.block(height)?.ok_or_else(missing)?;
        let senders = snapshot.senders(height)?.ok_or_else(missing)?;
        let mut rows = IndexRows::default();
        rows.add(&block, &senders);
        remove_indexes(write, &rows)?;
        write.open_table(BLOCKS)?.remove(height)?;
        write.open_table(BLOCK_HASHES)?.remove(height)?;
        write.open_table(RECEIPTS)?.remove(height)?;
        write.open_table(SENDERS)?.remove(height)?;
        // It is not whole any more.
        write.open_table(BLOOMS)?.remove(blooms::group_of(height))?;
    }
    Ok(())
}

/// Whatever the look-ups list above a height, also what belongs to no block.
fn remove_strays(write: &WriteTransaction, to: u64) -> Result<(), StorageError> {
    write.open_table(HEIGHTS)?.retain(|_, height| height <= to)?;
    write.open_table(BLOOMS)?.retain(|group, _| blooms::last_of(group) <= to)?;
    let is_below = |location: TransactionLocation| location.height <= to;
    write.open_table(TRANSACTIONS)?.retain(|_, location| is_below(TransactionLocation::from_bytes(*location)))?;
    write.open_table(ADDRESSES)?.retain(|key, _| is_below(keys::entry_location(key)))?;
    Ok(())
}

fn remove_indexes(write: &WriteTransaction, rows: &IndexRows) -> Result<(), StorageError> {
    let mut heights = write.open_table(HEIGHTS)?;
    for (hash, _) in &rows.heights {
        heights.remove(&hash.0)?;
    }
    let mut transactions = write.open_table(TRANSACTIONS)?;
    for (hash, _) in &rows.transactions {
        transactions.remove(&hash.0)?;
    }
    let mut addresses = write.open_table(ADDRESSES)?;
    for (key, _) in &rows.addresses {
        addresses.remove(key)?;
    }
    Ok(())
}
