//! `store.verify_on_start = "full"`: every stored block is verified and executed again from the genesis, in a database
//! of its own that is thrown away. Nothing that the node's database says of state or receipts is believed.

use crate::apply::{Applier, ApplyError};
use crate::start::chain_files::create_database;
use crate::start::{Chain, StartError};
use alloy_primitives::{B256, Bytes};
use callboard_store::{Head, StorageError, StoreConfig};
use std::path::{Path, PathBuf};

/// Blocks read, executed and committed at a time: a read of the node's database stays short.
const CHUNK_BLOCKS: u64 = 256;

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
    /// A block is not what it claims to be, or does not execute to its roots.
    #[error(
        "store.verify_on_start: {0}; run `callboard chain reconcile`, restore the database, or start from an empty folder"
    )]
    Block(#[from] ApplyError),
    /// The blocks lead to another head than the database has.
    #[error(
        "store.verify_on_start: the blocks lead to head {actual}, the database says {expected}; restore the database, or start from an empty folder"
    )]
    Head {
        /// In the database.
        expected: B256,
        /// Where the blocks lead.
        actual: B256,
    },
    /// The state in the node's database is another one.
    #[error(
        "store.verify_on_start: the state in the database has root {actual}, the head's header says {expected}; restore the database, or start from an empty folder"
    )]
    State {
        /// The header's.
        expected: B256,
        /// Recomputed from all accounts.
        actual: B256,
    },
    /// The state in the node's database could not be hashed.
    #[error("store.verify_on_start: {0}")]
    Root(#[from] callboard_store::RootError),
    /// The database that is thrown away could not be made.
    #[error("store.verify_on_start: {0}")]
    Create(#[from] StartError),
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
    let mut applier = Applier::new(&mut scratch)?;
    let head = chain.store.snapshot()?.head();
    let mut next = 1;
    while next <= head.height {
        let last = head.height.min(next.saturating_add(CHUNK_BLOCKS - 1));
        applier.apply(&read(chain, next, last)?)?;
        tracing::info!(height = last, of = head.height, "verified again from the genesis");
        next = last.saturating_add(1);
    }
    let executed = applier.store().snapshot()?.head();
    if executed != head {
        return Err(ReplayError::Head { expected: head.hash, actual: executed.hash });
    }
    check_state(chain, executed, folder)
}

fn read(chain: &Chain, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>, ReplayError> {
    let snapshot = chain.store.snapshot()?;
    let read = |height| Ok((height, snapshot.block_bytes(height)?.ok_or(ReplayError::Missing { height })?));
    (first..=last).map(read).collect()
}

/// The flat state of the node's own database belongs to the head that was just executed.
fn check_state(chain: &Chain, head: Head, folder: &Path) -> Result<(), ReplayError> {
    match chain.store.state_root_at(head.height, folder, &mut |_| true)? {
        Some(actual) if actual != head.state_root => Err(ReplayError::State { expected: head.state_root, actual }),
        _ => Ok(()),
    }
}
