//! Trie nodes on disk for a while: a trie that is built to check something, and is larger than memory.

use crate::StorageError;
use crate::keys;
use crate::open::open_or_create;
use alloy_primitives::{B256, Bytes};
use alloy_trie::Nibbles;
use callboard_chain::trie::TrieUpdates;
use callboard_chain::{StateReadError, TrieReader};
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::fs;
use std::path::{Path, PathBuf};

/// Page cache: enough for the upper levels of every trie.
const CACHE_BYTES: usize = 64 << 20;
const NODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");

/// Trie nodes in a file without a name, so that a process that is killed leaves none behind.
pub struct ScratchTrie {
    path: PathBuf,
    database: Database,
}

impl ScratchTrie {
    /// None yet. What a killed process has left at `path` is removed.
    pub fn create(path: &Path) -> Result<Self, crate::OpenError> {
        // Fails where there is nothing to remove; a file that cannot be removed cannot be opened either.
        let _ = fs::remove_file(path);
        let scratch = Self { path: path.to_owned(), database: open_or_create(path, CACHE_BYTES)?.database };
        fs::remove_file(path).map_err(|source| crate::OpenError::File { path: path.to_owned(), source })?;
        scratch.write(&TrieUpdates::default()).map_err(|error| crate::open::unreadable(path, error))?;
        Ok(scratch)
    }

    /// Takes nodes over: from now on they can be read.
    pub fn write(&self, updates: &TrieUpdates) -> Result<(), StorageError> {
        let mut write = self.database.begin_write()?;
        // Nobody will want it after a crash.
        write.set_durability(Durability::None).map_err(|error| StorageError::damaged("nodes", error))?;
        {
            let mut table = write.open_table(NODES)?;
            for ((owner, path), node) in &updates.nodes {
                let key = key(*owner, path);
                match node {
                    Some(node) => drop(table.insert(key.as_slice(), node.as_ref())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        Ok(write.commit()?)
    }

    fn read(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StorageError> {
        let table = self.database.begin_read()?.open_table(NODES)?;
        Ok(table.get(key(owner, path).as_slice())?.map(|node| Bytes::copy_from_slice(node.value())))
    }
}

/// Account nodes begin with 0, storage nodes with 1.
fn key(owner: Option<B256>, path: &Nibbles) -> Vec<u8> {
    let (kind, rest) = match owner {
        None => (0, keys::account_node(path)),
        Some(owner) => (1, keys::storage_node(owner, path)),
    };
    [&[kind], rest.as_slice()].concat()
}

impl TrieReader for ScratchTrie {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.read(owner, path)?)
    }
}

impl std::fmt::Debug for ScratchTrie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScratchTrie").field("path", &self.path).finish_non_exhaustive()
    }
}
