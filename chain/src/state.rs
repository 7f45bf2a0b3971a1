//! Accounts, the readers state comes from, and what a block changes.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// An account as it stands in the state trie (yellow paper §4.1).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    alloy_rlp::RlpEncodable,
    alloy_rlp::RlpDecodable,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Root of the account's storage trie.
    pub storage_root: B256,
    /// keccak256 of the code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, storage_root: EMPTY_ROOT_HASH, code_hash: KECCAK256_EMPTY }
    }
}

impl Account {
    /// Empty by EIP-161: no nonce, no balance, no code.
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }
}

/// State could not be read. Always this node's fault: the caller stops.
#[derive(Debug, thiserror::Error)]
#[error("state could not be read: {0}")]
pub struct StateReadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The flat state at one block.
pub trait StateReader {
    /// The account, or `None` where there is none.
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError>;
    /// The value of a storage slot; zero where it is not set.
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError>;
    /// The code with this hash. Asked only for hashes that an account carries.
    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError>;
    /// The hash of the canonical block at `height`; `None` above this state's block.
    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError>;
    /// Every slot of an account that is not zero, for the rare case that an account with storage disappears.
    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError>;
}

/// Stored trie nodes, keyed by path.
pub trait TrieReader {
    /// The RLP of the node at `path` of the state trie (`owner` is `None`) or of the storage trie of the account
    /// with hashed address `owner`; `None` where nothing is stored there.
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError>;
}

/// What a block did to one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountChange {
    /// Whose account.
    pub address: Address,
    /// Before the block; `None` where it did not exist.
    pub before: Option<Account>,
    /// After the block; `None` where it no longer exists.
    pub after: Option<Account>,
}

/// What a block did to one storage slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageChange {
    /// Whose storage.
    pub address: Address,
    /// Which slot.
    pub slot: U256,
    /// Before the block.
    pub before: U256,
    /// After the block.
    pub after: U256,
}

/// Everything a block changed in the state, with the values before it: enough to apply it and to undo it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockChanges {
    /// Accounts, ascending by address, each at most once; `before != after`.
    pub accounts: Vec<AccountChange>,
    /// Slots, ascending by (address, slot), each at most once; `before != after`.
    pub storage: Vec<StorageChange>,
    /// Code that the block deployed, ascending by hash; it may have been stored before.
    pub code: Vec<(B256, Bytes)>,
}
