//! The state trie built from the flat state, part by part, out of nothing.

use crate::scan::{FlatEntry, FlatScan, ScanError};
use crate::{Snapshot, StorageError};
use alloy_primitives::{Address, B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use callboard_chain::trie::{StateTrie, TrieError, TrieUpdates};
use callboard_chain::{Account, AccountChange, Blame, BlockChanges, StorageChange, TrieReader};
use std::collections::VecDeque;

/// Keys read through one snapshot: some tens of milliseconds.
const PART: usize = 4_000;
/// Trie nodes kept in memory between parts.
const TRIE_NODES: usize = 100_000;

/// Why no trie was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The flat state could not be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Slots do not make the storage root that their account carries, or a node written before cannot be read back.
    #[error(transparent)]
    Trie(#[from] TrieError),
}

impl BuildError {
    /// Whose fault: this node's, but where the state was only pruned.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Scan(error) => error.blame(),
            Self::Trie(error) => error.blame(),
        }
    }
}

impl From<StorageError> for BuildError {
    fn from(error: StorageError) -> Self {
        Self::Scan(error.into())
    }
}

/// A trie that is being built. Its nodes go where the caller keeps them, and are read back from there.
pub struct TrieBuild {
    scan: FlatScan,
    trie: StateTrie,
    open: Option<OpenAccount>,
    root: Option<B256>,
}

/// An account whose slots may not all be read yet, as it stands in the trie.
struct OpenAccount {
    address: Address,
    in_trie: Account,
    expected_root: B256,
}

impl TrieBuild {
    /// Of the state after the block at `height`.
    pub fn new(height: u64) -> Self {
        Self { scan: FlatScan::new(height), trie: StateTrie::new(EMPTY_ROOT_HASH), open: None, root: None }
    }

    /// The height of the state.
    pub fn height(&self) -> u64 {
        self.scan.height()
    }

    /// The state root, once everything has been read.
    pub fn root(&self) -> Option<B256> {
        self.root
    }

    /// Reads on, and gives the nodes that have changed. Before the next call the caller makes them readable in `nodes`.
    pub fn step(&mut self, snapshot: &Snapshot, nodes: &impl TrieReader) -> Result<TrieUpdates, BuildError> {
        // What was given the last time is readable by now.
        self.trie.shrink(TRIE_NODES);
        let entries = self.scan.read(snapshot, PART)?;
        let (mut changes, expected) = changes_of(&entries, self.open.as_ref());
        let root = self.trie.apply(nodes, &mut changes)?;
        let mut closed = self.accounts(&changes, expected);
        if entries.is_empty() {
            self.root = Some(root);
        } else {
            self.open = closed.pop();
        }
        for OpenAccount { address, in_trie, expected_root: expected } in closed {
            let actual = in_trie.storage_root;
            if actual != expected {
                return Err(TrieError::StorageRoot { address, expected, actual }.into());
            }
        }
        Ok(self.trie.take_updates())
    }

    /// The accounts of a part, with the one that was open before it; the last may have more slots to come.
    fn accounts(&mut self, changes: &BlockChanges, mut expected: VecDeque<B256>) -> Vec<OpenAccount> {
        let mut accounts: Vec<_> = self.open.take().into_iter().collect();
        for change in &changes.accounts {
            let in_trie = change.after.unwrap_or_default();
            match accounts.last_mut() {
                Some(last) if last.address == change.address => last.in_trie = in_trie,
                _ => {
                    let expected_root = expected.pop_front().unwrap_or(EMPTY_ROOT_HASH);
                    accounts.push(OpenAccount { address: change.address, in_trie, expected_root });
                }
            }
        }
        accounts
    }

    /// The finished trie.
    pub fn into_trie(self) -> StateTrie {
        self.trie
    }
}

/// Entries of the flat state as changes that make them out of nothing, and the storage root that each account carries
/// which begins here. `open` is the account whose slots the entries may go on with.
fn changes_of(entries: &[FlatEntry], open: Option<&OpenAccount>) -> (BlockChanges, VecDeque<B256>) {
    let (mut changes, mut expected) = (BlockChanges::default(), VecDeque::new());
    for entry in entries {
        match *entry {
            FlatEntry::Account(address, account) => {
                expected.push_back(account.storage_root);
                let after = Some(Account { storage_root: EMPTY_ROOT_HASH, ..account });
                changes.accounts.push(AccountChange { address, before: None, after });
            }
            FlatEntry::Slot(address, slot, after) => {
                if let Some(open) = open.filter(|_| changes.accounts.is_empty()) {
                    let account = Some(open.in_trie);
                    changes.accounts.push(AccountChange { address, before: account, after: account });
                }
                changes.storage.push(StorageChange { address, slot, before: U256::ZERO, after });
            }
        }
    }
    (changes, expected)
}
