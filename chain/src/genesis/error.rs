//! Why a genesis is refused.

use crate::{Blame, config::ConfigError, seal::SealError};
use alloy_primitives::{Address, U256};

/// A genesis cannot be read, or is not one that a chain can begin with.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON, or not a geth genesis.
    #[error("the genesis cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The committed values are not allowed.
    #[error("the genesis is not allowed: {0}")]
    Config(#[from] ConfigError),
    /// Two places of the file contradict each other, or the file contradicts what it is used for.
    #[error("the genesis contradicts itself: {field} is {actual}, expected {expected}")]
    Contradiction {
        /// Where in the file.
        field: &'static str,
        /// What the rest of the genesis makes it.
        expected: String,
        /// What the file says.
        actual: String,
    },
    /// More accounts than [`MAX_ACCOUNTS`](super::MAX_ACCOUNTS).
    #[error("the genesis has {actual} accounts, at most {limit} are allowed")]
    TooManyAccounts {
        /// How many are allowed.
        limit: usize,
        /// How many it has.
        actual: usize,
    },
    /// Longer than [`MAX_JSON_BYTES`](super::MAX_JSON_BYTES), so that no follower could fetch it.
    #[error(
        "the genesis is {actual} bytes long as JSON, at most {limit} are allowed; leave out accounts, code or storage"
    )]
    TooLong {
        /// How many bytes are allowed.
        limit: usize,
        /// How many it has.
        actual: usize,
    },
    /// All balances together exceed 256 bits.
    #[error("the balances of the genesis exceed 256 bits together, at account {address} with {balance}")]
    SupplyOverflow {
        /// The account at which they do.
        address: Address,
        /// Its balance, wei.
        balance: U256,
    },
    /// Storage of an account without code and nonce, which no chain can come to (EIP-7610): a contract created at its
    /// address would begin with storage it never wrote.
    #[error(
        "the genesis gives {address} storage, but neither code nor a nonce; add its code, or leave the storage out"
    )]
    StorageWithoutContract {
        /// The account.
        address: Address,
    },
    /// Code where a consensus layer's requests contract would be.
    #[error("the genesis has code at {address}, the address of EIP-{eip}, which needs a consensus layer; leave it out")]
    RequestsContract {
        /// The address.
        address: Address,
        /// The EIP's number.
        eip: u16,
    },
    /// No seal, where a sealed genesis is needed.
    #[error("the genesis is not sealed; only its authority can seal it: fetch the sealed one from a node of the chain")]
    NotSealed,
    /// The committed values are missing from a sealed genesis.
    #[error("the genesis has no config.callboard, which a sealed one must have")]
    NotCommitted,
    /// The key that should seal is not the authority's.
    #[error("the genesis names {expected} as its authority, but the key that should seal it is that of {actual}")]
    NotTheAuthority {
        /// The authority in the genesis.
        expected: Address,
        /// The key's address.
        actual: Address,
    },
    /// The seal is not the authority's over this content.
    #[error("the genesis does not match its seal (has it been edited since it was sealed?): {0}")]
    Seal(#[from] SealError),
}

impl GenesisError {
    /// Whoever sent the genesis, where it came from a peer.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }
}
