//! `store.verify_on_start = "full"`: every stored block is verified and executed again from the genesis, in a database
//! of its own that is thrown away. Nothing that the node's database says of state or receipts is believed.

use crate::start::chain_files::create_database;
use crate::start::{Chain, StartError};
use callboard_chain::live::{ConfirmError, LiveState};
use callboard_chain::verify::{VerifyError, verify_block};
use callboard_store::{CommitBatch, CommitError, StorageError, StoreConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Blocks read, executed and committed at a time: a read of the node's database stays short.
const CHUNK_BLOCKS: u64 = 256;
/// Trie nodes kept in memory.
const TRIE_NODES: usize = 400_000;

/// Why the stored chain is not what its seals and its genesis say.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A block is missing.
    #[error(
        "store.verify_on_start: block {height} is missing in the database; restore it, or start from an empty folder"
    )]
    Missing {
        /// Its height.
        height: u64,
    },
    /// A block is not what it claims to be.
    #[error("store.verify_on_start: block {height}: {source}; restore the database, or start from an empty folder")]
    Verify {
        /// Its height.
        height: u64,
        /// Which check failed.
        source: VerifyError,
    },
    /// A block does not execute to its roots.
    #[error("store.verify_on_start: block {height}: {source}; restore the database, or start from an empty folder")]
    Confirm {
        /// Its height.
        height: u64,
        /// Which check failed.
        source: ConfirmError,
    },
    /// The state in the node's database is another one.
    #[error(
        "store.verify_on_start: the state in the database has root {actual}, the head's header says {expected}; restore the database, or start from an empty folder"
    )]
    State {
        /// The header's.
        expected: alloy_primitives::B256,
        /// Recomputed from all accounts.
        actual: alloy_primitives::B256,
    },
    /// The state in the node's database could not be hashed.
    #[error("store.verify_on_start: {0}")]
    Root(#[from] callboard_store::RootError),
    /// The database that is thrown away could not be made.
    #[error("store.verify_on_start: {0}")]
    Create(#[from] StartError),
    /// It could not be written.
    #[error("store.verify_on_start: {0}")]
    Commit(#[from] CommitError),
    /// A database could not be read.
    #[error("store.verify_on_start: {0}")]
    Storage(#[from] StorageError),
}

/// Removes the file when the replay ends, however it ends.
struct ThrownAway(PathBuf);

impl Drop for ThrownAway {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.0.display(), %error, "a temporary database could not be removed");
        }
    }
}

/// Applies every block of `chain` again.
pub(super) fn replay(chain: &Chain, folder: &Path) -> Result<(), ReplayError> {
    let file = ThrownAway(folder.join("verify-on-start.redb"));
    // What a killed replay has left.
    std::fs::remove_file(&file.0).ok();
    let mut scratch = create_database(&file.0, &StoreConfig::default(), chain.genesis.clone())?;
    let config = Arc::new(chain.genesis.config().clone());
    let head = chain.store.snapshot()?.head();
    let mut live = LiveState::new(config.clone(), scratch.store.latest()?, chain.genesis.block().header().clone());
    let mut next = 1;
    while next <= head.height {
        let last = head.height.min(next.saturating_add(CHUNK_BLOCKS - 1));
        for (height, bytes) in (next..=last).zip(read(chain, next, last)?) {
            let verified = verify_block(bytes, &config).map_err(|source| ReplayError::Verify { height, source })?;
            live.confirm(verified).map_err(|source| ReplayError::Confirm { height, source })?;
        }
        if let Some(batch) = live.take_batch() {
            scratch.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie })?;
        }
        live.on_durable(last, TRIE_NODES);
        tracing::info!(height = last, of = head.height, "verified again from the genesis");
        next = last.saturating_add(1);
    }
    check_state(chain, live.head().state_root)
}

fn read(chain: &Chain, first: u64, last: u64) -> Result<Vec<alloy_primitives::Bytes>, ReplayError> {
    let snapshot = chain.store.snapshot()?;
    (first..=last).map(|height| snapshot.block_bytes(height)?.ok_or(ReplayError::Missing { height })).collect()
}

/// The flat state of the node's own database belongs to the head that was just executed.
fn check_state(chain: &Chain, expected: alloy_primitives::B256) -> Result<(), ReplayError> {
    let actual = chain.store.snapshot()?.recompute_state_root()?;
    if actual == expected { Ok(()) } else { Err(ReplayError::State { expected, actual }) }
}
