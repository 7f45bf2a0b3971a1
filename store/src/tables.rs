//! The tables of `chain.redb`, byte by byte. [`SCHEMA_VERSION`] changes whenever a line of this list does.
//!
//! Numbers inside composite keys are big-endian, so that byte order is number order; a bare height is redb's `u64`.
//!
//! | table | key | value |
//! |---|---|---|
//! | `blocks` | height | canonical block bytes |
//! | `block_hashes` | height | block hash (32) |
//! | `heights` | block hash (32) | height |
//! | `transactions` | transaction hash (32) | height (8) index (4) |
//! | `addresses` | address (20) height (8) index (4) | role bits: 1 sender, 2 recipient, 4 created |
//! | `senders` | height | sender (20) of each transaction |
//! | `receipts` | height | RLP list of \[type, success, cumulative gas, logs\]; blooms are recomputed |
//! | `blooms` | group of 64 blocks, once it is whole | hash of its last block (32), logs bloom of all (256) |
//! | `accounts` | address (20) | account, see [`crate::codec`] |
//! | `storage` | address (20) slot (32) | value without leading zero bytes; never empty |
//! | `code` | code hash (32) | code; kept for ever, since history may refer to it |
//! | `account_history` | address (20) height (8) | account **before** that block; empty: there was none |
//! | `storage_history` | address (20) slot (32) height (8) | value before that block; empty: zero |
//! | `change_sets` | height | n (4), n × address (20), then slots: address (20) slot (32) each |
//! | `account_trie` | path, one byte a nibble | node RLP |
//! | `storage_trie` | keccak256(address) (32), path, one byte a nibble | node RLP |
//! | `genesis` | chunk number | up to 1 MiB of `genesis.json` |
//! | `metadata` | name | see below |
//!
//! The value at block h is the first history entry above h, or the current one where there is none; so a balance at
//! any old block is one range read. Genesis writes no history and no change set: nothing lies before it.
//!
//! Trie paths take a byte a nibble: no two paths share a key, prefixes sort before what they begin, and at a million
//! accounts a path is five or six bytes, shorter than a packed one of fixed length.
//!
//! Metadata: `schema` (4), `chain_id` (8), `genesis_hash` (32), `genesis_length` (8), `head` (height 8, hash 32,
//! timestamp 8, state root 32), `pruned_below` (8; states of blocks below it are gone).

use crate::blooms::ROW_BYTES;
use redb::TableDefinition;

/// Version of this layout.
pub(crate) const SCHEMA_VERSION: u32 = 1;
/// Size of a stored piece of `genesis.json`: large enough that a million accounts are some 200 rows, small enough
/// that serving one never holds much memory.
pub(crate) const GENESIS_CHUNK_BYTES: usize = 1 << 20;

pub(crate) type Bytes20 = &'static [u8; 20];
pub(crate) type Bytes32 = &'static [u8; 32];
pub(crate) type Variable = &'static [u8];

pub(crate) const BLOCKS: TableDefinition<'_, u64, Variable> = TableDefinition::new("blocks");
pub(crate) const BLOCK_HASHES: TableDefinition<'_, u64, Bytes32> = TableDefinition::new("block_hashes");
pub(crate) const HEIGHTS: TableDefinition<'_, Bytes32, u64> = TableDefinition::new("heights");
pub(crate) const TRANSACTIONS: TableDefinition<'_, Bytes32, &'static [u8; 12]> = TableDefinition::new("transactions");
pub(crate) const ADDRESSES: TableDefinition<'_, Bytes32, u8> = TableDefinition::new("addresses");
pub(crate) const SENDERS: TableDefinition<'_, u64, Variable> = TableDefinition::new("senders");
pub(crate) const RECEIPTS: TableDefinition<'_, u64, Variable> = TableDefinition::new("receipts");
pub(crate) const ACCOUNTS: TableDefinition<'_, Bytes20, Variable> = TableDefinition::new("accounts");
pub(crate) const STORAGE: TableDefinition<'_, &'static [u8; 52], Variable> = TableDefinition::new("storage");
pub(crate) const CODE: TableDefinition<'_, Bytes32, Variable> = TableDefinition::new("code");
pub(crate) const ACCOUNT_HISTORY: TableDefinition<'_, &'static [u8; 28], Variable> =
    TableDefinition::new("account_history");
pub(crate) const STORAGE_HISTORY: TableDefinition<'_, &'static [u8; 60], Variable> =
    TableDefinition::new("storage_history");
pub(crate) const BLOOMS: TableDefinition<'_, u64, &'static [u8; ROW_BYTES]> = TableDefinition::new("blooms");
pub(crate) const CHANGE_SETS: TableDefinition<'_, u64, Variable> = TableDefinition::new("change_sets");
pub(crate) const ACCOUNT_TRIE: TableDefinition<'_, Variable, Variable> = TableDefinition::new("account_trie");
pub(crate) const STORAGE_TRIE: TableDefinition<'_, Variable, Variable> = TableDefinition::new("storage_trie");
pub(crate) const GENESIS: TableDefinition<'_, u64, Variable> = TableDefinition::new("genesis");
pub(crate) const METADATA: TableDefinition<'_, &'static str, Variable> = TableDefinition::new("metadata");

pub(crate) const SCHEMA: &str = "schema";
pub(crate) const CHAIN_ID: &str = "chain_id";
pub(crate) const GENESIS_HASH: &str = "genesis_hash";
pub(crate) const GENESIS_LENGTH: &str = "genesis_length";
pub(crate) const HEAD: &str = "head";
pub(crate) const PRUNED_BELOW: &str = "pruned_below";
