//! What can go wrong while the trie reads its stored nodes.

use super::Position;
use crate::{Blame, StateReadError};
use alloy_primitives::{Address, B256};

/// The state trie could not be read or changed. Always this node's fault. After any of these errors the trie is in
/// an undefined state: drop it and open it again from a stored root.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// The reader failed.
    #[error(transparent)]
    Read(#[from] StateReadError),
    /// A node that its parent refers to is not stored.
    #[error("trie node {position} is missing: expected a node with hash {expected}")]
    Missing {
        /// Where it should be.
        position: Position,
        /// The hash its parent carries.
        expected: B256,
    },
    /// A stored node is not the one its parent refers to.
    #[error("trie node {position} is corrupt: expected hash {expected}, stored bytes hash to {actual}")]
    Corrupt {
        /// Where it is stored.
        position: Position,
        /// The hash its parent carries.
        expected: B256,
        /// The hash of the stored bytes.
        actual: B256,
    },
    /// A node has the right hash but is not a trie node.
    #[error("trie node {position} is malformed: {source}")]
    Malformed {
        /// Where it is stored.
        position: Position,
        /// What the decoder says.
        source: alloy_rlp::Error,
    },
    /// A storage trie is not the one that the account refers to.
    #[error("storage trie of {address} has root {actual}, its account says {expected}")]
    StorageRoot {
        /// Whose storage.
        address: Address,
        /// The root in the account.
        expected: B256,
        /// The root of the storage trie.
        actual: B256,
    },
    /// A block was undone, and another state came out than the one before it.
    #[error("the state before a refused block cannot be restored: its root is {actual}, expected {expected}")]
    NotTakenBack {
        /// The root before the block.
        expected: B256,
        /// The root that came out.
        actual: B256,
    },
    /// A slot changed, but its account is not in the list of changed accounts, or the lists are not sorted.
    #[error("storage of {address} changed, but the account is not listed as changed")]
    AccountNotListed {
        /// Whose storage.
        address: Address,
    },
}

impl TrieError {
    /// Always [`Blame::Local`]: the trie reads nothing but what this node stored.
    pub fn blame(&self) -> Blame {
        Blame::Local
    }
}
