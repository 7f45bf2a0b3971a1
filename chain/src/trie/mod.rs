//! The state trie: a Merkle Patricia trie (yellow paper appendix D) in memory, loaded from stored nodes when needed.
//!
//! [`StateTrie`] is the account trie with a storage trie for each account touched; [`MerkleTrie`] is one trie.
//! Nodes are stored by path, not by hash: a change overwrites the node it replaces, so nothing has to be collected
//! later, and neighbours in the trie are neighbours on disk. What is read back is checked against the hash that the
//! parent carries, so a damaged row cannot go unnoticed.
//!
//! | file | what it holds |
//! |---|---|
//! | `node` | nodes and the links between them |
//! | `codec` | their RLP |
//! | `edit` | insertion and removal |
//! | `hash` | hashing what changed |
//! | `merkle` | one trie: root, proofs, updates |
//! | `shrink` | dropping what memory cannot hold |
//! | `state` | accounts and storage together |

mod codec;
mod edit;
mod error;
mod hash;
mod merkle;
mod node;
mod shrink;
mod state;
#[cfg(test)]
mod tests;

pub use error::TrieError;
pub use merkle::MerkleTrie;
pub use state::StateTrie;

use alloy_primitives::{B256, Bytes};
use alloy_trie::Nibbles;
use std::{collections::BTreeMap, fmt};

/// Stored nodes that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrieUpdates {
    /// By owner (`None` for the account trie, else the account's hashed address) and path: the node's new RLP, or
    /// `None` where no node is stored any more. Applied in any order, they turn the stored trie of the last
    /// `take_updates` into the present one, exactly.
    pub nodes: BTreeMap<(Option<B256>, Nibbles), Option<Bytes>>,
}

/// Where a trie node is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The hashed address whose storage trie it belongs to; `None` for the account trie.
    pub owner: Option<B256>,
    /// The nibbles from the root.
    pub path: Nibbles,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(owner) = self.owner {
            write!(f, "{owner}:")?;
        }
        f.write_str("/")?;
        self.path.iter().try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}
