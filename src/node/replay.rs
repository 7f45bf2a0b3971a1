//! `store.verify_on_start = "full"`: every stored block is verified and executed again from the genesis, in a database
//! of its own that is thrown away. Nothing that the node's database says of state or receipts is believed.

use crate::apply::{Applier, ApplyError};
use crate::start::StartError;
use crate::start::chain_files::create_database;
use alloy_primitives::{B256, Bytes};
use callboard_chain::genesis::SealedGenesis;
use callboard_store::{Head, StorageError, Store, StoreConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Blocks read, executed and committed at a time: few enough that a node told to stop has soon done so.
const CHUNK_BLOCKS: u64 = 64;
/// How often the log says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// A replay that is given up ends within one chunk.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// How far a replay is, for who looks on, and whether it is to go on.
#[derive(Debug, Clone, Default)]
pub(super) struct Replay(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    running: watch::Sender<Option<Replaying>>,
    given_up: AtomicBool,
}

/// A replay that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replaying {
    /// The head that it is to reach.
    pub(super) head: Head,
    /// The block it has reached.
    pub(super) at: u64,
}

impl Replay {
    /// The replay that runs, if one does.
    pub(super) fn running(&self) -> Option<Replaying> {
        *self.0.running.borrow()
    }

    /// Gives a running replay up, and waits until it has put its files away.
    pub(super) async fn give_up(&self) {
        self.0.given_up.store(true, Ordering::Relaxed);
        let mut running = self.0.running.subscribe();
        // One that does not end in time ends with the process, and its file is removed at the next start.
        let _ = tokio::time::timeout(ENDS_WITHIN, running.wait_for(Option::is_none)).await;
    }

    fn reached(&self, head: Head, at: u64) {
        self.0.running.send_replace(Some(Replaying { head, at }));
    }

    fn is_given_up(&self) -> bool {
        self.0.given_up.load(Ordering::Relaxed)
    }
}

/// Says that the replay has ended, however it ends.
struct Ends<'a>(&'a Replay);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.0.running.send_replace(None);
    }
}

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
    /// The node was told to stop.
    #[error("store.verify_on_start: given up, because the node was told to stop")]
    GivenUp,
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
pub(super) fn replay(store: &Store, genesis: SealedGenesis, folder: &Path, replay: &Replay) -> Result<(), ReplayError> {
    let head = store.snapshot()?.head();
    // Dropped last: when nothing runs any more, the file is gone too.
    let _ends = Ends(replay);
    replay.reached(head, 0);
    let file = ThrownAway(folder.join("verify-on-start.redb"));
    // What a killed replay has left.
    std::fs::remove_file(&file.0).ok();
    let mut scratch = create_database(&file.0, &StoreConfig::default(), genesis)?;
    let mut applier = Applier::new(&mut scratch)?;
    let mut told = Instant::now();
    let mut next = 1;
    while next <= head.height {
        if replay.is_given_up() {
            return Err(ReplayError::GivenUp);
        }
        let last = head.height.min(next.saturating_add(CHUNK_BLOCKS - 1));
        applier.apply(&read(store, next, last)?)?;
        replay.reached(head, last);
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::info!(height = last, of = head.height, "verifying the chain again from its genesis");
        }
        next = last.saturating_add(1);
    }
    let executed = applier.store().snapshot()?.head();
    if executed != head {
        return Err(ReplayError::Head { expected: head.hash, actual: executed.hash });
    }
    check_state(store, executed, folder, replay)?;
    tracing::info!(height = head.height, "the whole chain was verified again from its genesis");
    Ok(())
}

fn read(store: &Store, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>, ReplayError> {
    let snapshot = store.snapshot()?;
    let read = |height| Ok((height, snapshot.block_bytes(height)?.ok_or(ReplayError::Missing { height })?));
    (first..=last).map(read).collect()
}

/// The flat state of the node's own database belongs to the head that was just executed.
fn check_state(store: &Store, head: Head, folder: &Path, replay: &Replay) -> Result<(), ReplayError> {
    match store.state_root_at(head.height, folder, &mut |_| !replay.is_given_up())? {
        None => Err(ReplayError::GivenUp),
        Some(actual) if actual != head.state_root => Err(ReplayError::State { expected: head.state_root, actual }),
        Some(_) => Ok(()),
    }
}
