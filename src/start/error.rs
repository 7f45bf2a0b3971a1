//! Why a node cannot start.

use crate::keystore::{KeystoreError, PasswordError};
use alloy_primitives::{Address, B256, U256};
use callboard_chain::genesis::GenesisError;
use callboard_chain::trie::TrieError;
use callboard_store::{CreateError, OpenError, StorageError};
use std::path::{Path, PathBuf};

/// Why a node cannot start, or a chain cannot be made; one sentence each, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is a chain already.
    #[error("{} exists already and is never overwritten; choose another node.data_dir, or remove it yourself", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// Only an authority makes a chain.
    #[error(
        "only an authority makes a chain; set node.role = \"authority\", or let `callboard node` fetch the genesis from its seeds"
    )]
    NotAnAuthority,
    /// A follower has neither chain nor genesis nor seed.
    #[error("there is no chain in node.data_dir = \"{}\"; name a node of the chain in peers.seeds, or its genesis.json in genesis.file, or set node.role = \"authority\" to make a new chain", data_dir.display())]
    NothingToStartFrom {
        /// The empty data folder.
        data_dir: PathBuf,
    },
    /// The authority has sealed, and its chain is gone.
    #[error("{} says that this keystore's authority has sealed blocks, and node.data_dir = \"{}\" holds no chain; restore it, or name the chain's genesis.json in genesis.file so that the blocks are fetched from peers, or make another chain with `callboard init`", mark.display(), data_dir.display())]
    ChainLost {
        /// The high-water file.
        mark: PathBuf,
        /// The empty data folder.
        data_dir: PathBuf,
    },
    /// A file that the configuration names cannot be read.
    #[error("{key} = \"{}\": the file cannot be read ({source}); name an existing file", path.display())]
    Unreadable {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A genesis or alloc file is refused.
    #[error("{key} = \"{}\": {source}", path.display())]
    Refused {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: GenesisError,
    },
    /// The configured values make no genesis.
    #[error("[genesis]: {source}")]
    Genesis {
        /// Why.
        source: GenesisError,
    },
    /// An account that holds nothing.
    #[error("{}: alloc has account {address} with a balance of zero and nothing else; give it a balance or leave it out", path.display())]
    ZeroBalance {
        /// The file.
        path: PathBuf,
        /// The account.
        address: Address,
    },
    /// The owner has a balance already.
    #[error("genesis.owner = \"{owner}\" has a balance of {balance} wei in the alloc already; leave one of them out")]
    OwnerTwice {
        /// The owner.
        owner: Address,
        /// What the alloc gives it.
        balance: U256,
    },
    /// The chain is not what the configuration says.
    #[error(
        "{origin}: {key} = {expected} differs from the chain's genesis, which has {actual}; correct or remove the key, or choose another node.data_dir"
    )]
    Differs {
        /// Where the key stands.
        origin: String,
        /// The key.
        key: &'static str,
        /// What the configuration gives.
        expected: String,
        /// What the genesis has.
        actual: String,
    },
    /// An authority is expected, and its key is not here.
    #[error("node.role = \"authority\", but authority.keystore = \"{}\" does not hold the key of the chain's authority {authority}; set node.role = \"follower\", or import the key with `callboard account import`", keystore.display())]
    NoAuthorityKey {
        /// Whose key is missing.
        authority: Address,
        /// The keystore.
        keystore: PathBuf,
    },
    /// A follower is expected, and the authority's key is here.
    #[error("node.role = \"follower\", but authority.keystore = \"{}\" holds the key of the chain's authority {authority}, so this node would seal blocks; set node.role = \"authority\", or authority.keystore to another folder", keystore.display())]
    HasAuthorityKey {
        /// Whose key it is.
        authority: Address,
        /// The keystore.
        keystore: PathBuf,
    },
    /// A key.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// A password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Two ways to the same state root disagree.
    #[error("the genesis state has root {actual}, and its header says {expected}; this is a defect of this program")]
    StateRoot {
        /// The header's.
        expected: B256,
        /// The trie's.
        actual: B256,
    },
    /// The trie of the genesis state.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// The database could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl StartError {
    pub(super) fn refused(key: &'static str, path: &Path, source: GenesisError) -> Self {
        Self::Refused { key, path: path.to_owned(), source }
    }

    /// Whether the operator has to change the configuration, or a file or key it names (exit code 2); otherwise this
    /// machine or its disk has failed (exit code 1). A database of another process, chain or release is of the first kind.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Keystore(error) => matches!(error, KeystoreError::NotFound { .. } | KeystoreError::Decrypt { .. }),
            Self::Exists { .. }
            | Self::Unwritable { .. }
            | Self::StateRoot { .. }
            | Self::Trie(_)
            | Self::Create(_)
            | Self::Open(
                OpenError::Missing { .. }
                | OpenError::NotADatabase { .. }
                | OpenError::Damaged { .. }
                | OpenError::File { .. },
            )
            | Self::Storage(_) => false,
            _ => true,
        }
    }
}
