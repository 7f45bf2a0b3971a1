//! The rules of a Callboard chain.
//!
//! Everything here is synchronous and deterministic: no I/O, no clock, no runtime, no database. State is read
//! through [`StateReader`] and [`TrieReader`]; what a block does comes back as plain values ([`BlockChanges`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | the configuration every header commits to |
//! | [`block`] | blocks and their one canonical byte form |
//! | [`genesis`] | block 0: geth's `genesis.json`, completed and sealed |
//! | [`keys`] | secret keys and signing |
//! | [`proof`] | transaction and receipt roots, proofs of inclusion |
//! | [`evidence`] | proof that an authority sealed two blocks of one height |
//! | [`recovery`] | from a signature to its signer |
//! | [`seal`] | the authority's signature over a block hash |
//! | [`transaction`] | decoding, senders and stateless rules of transactions |
//! | [`verify`] | the rules of a block that need no state |
//! | [`stage`] | [`Verified`] and [`Confirmed`]: what has been checked, as types |
//! | [`live`] | the confirmed state in memory, ahead of disk |
//! | [`execution`] | running transactions with revm |
//! | [`state`] | accounts, readers, and what a block changes |
//! | [`trie`] | the state trie: roots, proofs, stored nodes |

pub mod block;
pub mod check;
pub mod config;
pub mod error;
pub mod evidence;
pub mod execution;
pub mod genesis;
pub mod keccak;
pub mod keys;
pub mod live;
pub mod proof;
pub mod recovery;
pub mod seal;
pub mod stage;
pub mod state;
pub mod state_proof;
#[cfg(test)]
pub(crate) mod testing;
pub mod transaction;
pub mod trie;
pub mod verify;

pub use block::{Block, Receipt, Transaction};
pub use check::Check;
pub use config::{BaseFeePolicy, ChainConfig, Hardfork};
pub use error::Blame;
pub use genesis::{Genesis, SealedGenesis};
pub use keccak::keccak256;
pub use keys::SecretKey;
pub use seal::Seal;
pub use stage::{Confirmed, Verified};
pub use state::{Account, AccountChange, BlockChanges, StateReadError, StateReader, StorageChange, TrieReader};
pub use state_proof::{AccountProof, SlotProof};
pub use trie::{StateTrie, TrieError, TrieUpdates};
