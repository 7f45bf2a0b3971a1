//! Callboard's embedded database.
//!
//! One file, `chain.redb`, holds the chain and nothing that identifies a node, so that copying it to another stopped
//! node seeds that node. A block, its receipts, its state, its history, its index entries and the head are written in
//! **one** redb transaction: whatever the instant at which the process dies, they belong to the same block.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | [`Store`]: creating, opening, and handing out readers and the one writer |
//! | [`commit`] | [`StoreWriter::commit`], and [`Durable`]: proof that a block is on disk |
//! | [`rollback`] | [`StoreWriter::rollback`]: undo the newest blocks in one transaction |
//! | [`prune`] | [`StoreWriter::prune_history`]: forget the state of old blocks |
//! | [`snapshot`] | [`Snapshot`]: everything that can be read, as of one block |
//! | [`address`] | look-up of transactions by address |
//! | [`blooms`] | logs blooms over groups of blocks |
//! | [`strays`] | rows of the look-up by address that belong to no block |
//! | [`state`] | [`LatestState`]: the newest durable state, for the executor |
//! | [`history`] | [`HistoricState`]: the state at an old block |
//! | [`scan`] | the flat state at one height, part by part |
//! | [`proofs`] | [`ProvableState`]: proofs of accounts and slots at recent blocks |
//! | [`root`] | the state root recomputed from the flat state |
//! | [`build`] | the state trie built from the flat state |
//! | [`compare`] | the flat state held against the stored trie |
//! | [`scratch`] | trie nodes on disk for a while |
//! | [`node`] | [`NodeStore`]: what one node remembers for itself (`node.redb`) |
//!
//! A storage error is fatal: [`StorageError::is_fatal`] and its siblings say so, and the caller stops the node. What the
//! operating system refuses is told besides, whoever met it: [`Store::report_failures_to`] and
//! [`NodeStore::report_failures_to`].

pub mod address;
mod batch;
pub mod blooms;
pub mod build;
mod codec;
pub mod commit;
pub mod compare;
pub mod confirmed;
mod create;
mod disk;
pub mod error;
pub mod history;
mod keys;
mod leaves;
pub mod node;
pub mod open;
pub mod own;
pub mod proofs;
pub mod prune;
pub mod rollback;
pub mod root;
pub mod scan;
pub mod scratch;
pub mod snapshot;
pub mod state;
pub mod store;
pub mod strays;
mod tables;
pub mod told;
mod view;

pub use address::{AddressDifference, AddressEntry, AddressPage, AddressQuery, Direction, Role};
pub use blooms::BLOOM_GROUP;
pub use build::{BuildError, TrieBuild};
pub use codec::Head;
pub use commit::{CommitBatch, CommitError, Durable};
pub use compare::Difference;
pub use confirmed::{ConfirmedReader, ConfirmedTransaction};
pub use create::{CreateError, NewChain};
pub use error::{StorageError, is_disk_failure};
pub use history::{AccountHistory, AccountState, HistoricState, HistoryError, MAX_HISTORY_STATES};
pub use keys::TransactionLocation;
pub use node::{Evidence, MAX_ACCEPTED, MAX_EVIDENCE, MAX_REFUSED_BLOCKS, NodeStore, RefusedBlock, SealedHeader};
pub use open::{OpenError, print_only_uncaught_panics};
pub use own::{GivenUpBranch, MAX_GIVEN_UP, MAX_KNOWN, OwnBlock};
pub use proofs::{MAX_UNDONE_BLOCKS, ProvableError, ProvableState};
pub use prune::{PruneError, Pruned};
pub use rollback::{Rollback, RollbackError};
pub use root::{RootComputation, RootError};
pub use scan::{FlatEntry, FlatScan, ScanError};
pub use scratch::ScratchTrie;
pub use snapshot::{BlockPart, Snapshot};
pub use state::LatestState;
pub use store::{Store, StoreConfig, StoreWriter};
pub use strays::{AddressRows, StrayRow, address_rows};
pub use told::ToldDivergence;

#[cfg(test)]
mod tests;
