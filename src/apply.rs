//! Blocks given to the chain of a stopped node. They take the way of every block: verified on all cores, executed to
//! their roots, committed; what was committed before an error stays.

use crate::start::Chain;
use alloy_primitives::Bytes;
use callboard_chain::live::{ConfirmError, LiveState};
use callboard_chain::verify::{VerifyError, verify_block};
use callboard_chain::{Block, ChainConfig, Verified};
use callboard_store::{CommitBatch, CommitError, LatestState, StorageError, Store, StoreWriter};
use std::sync::Arc;

/// Trie nodes kept in memory.
const TRIE_NODES: usize = 400_000;

/// Why a block was not applied. Those before it are in the chain.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It is not what it claims to be.
    #[error("block {height}: {source}")]
    Verify {
        /// Its height.
        height: u64,
        /// Which check failed.
        source: VerifyError,
    },
    /// Another block than the one that was announced.
    #[error("block {expected}: the bytes are those of block {actual}")]
    Height {
        /// The height announced.
        expected: u64,
        /// The block's height.
        actual: u64,
    },
    /// It does not extend the chain, or does not execute to its roots.
    #[error("block {height}: {source}")]
    Confirm {
        /// Its height.
        height: u64,
        /// Which check failed.
        source: ConfirmError,
    },
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A chain that takes blocks.
pub struct Applier<'a> {
    config: Arc<ChainConfig>,
    store: Store,
    writer: &'a mut StoreWriter,
    live: LiveState<LatestState>,
}

/// What became of some blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Blocks that are new in the chain.
    pub imported: u64,
    /// Blocks that were there before.
    pub known: u64,
}

impl<'a> Applier<'a> {
    /// Goes on at the chain's head.
    pub fn new(chain: &'a mut Chain) -> Result<Self, StorageError> {
        let config = Arc::new(chain.genesis.config().clone());
        let snapshot = chain.store.snapshot()?;
        let height = snapshot.head().height;
        let missing = || StorageError::damaged("blocks", format!("head block {height} is missing"));
        let head = snapshot.header(height)?.ok_or_else(missing)?;
        let live = LiveState::new(config.clone(), chain.store.latest()?, head);
        Ok(Self { config, store: chain.store.clone(), writer: &mut chain.writer, live })
    }

    /// The chain's database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Verifies, executes and commits these blocks, whose heights are told beside their bytes.
    pub fn apply(&mut self, blocks: &[(u64, Bytes)]) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        let mut outcome = Ok(());
        for (verified, (height, _)) in verify_all(blocks, &self.config).into_iter().zip(blocks) {
            outcome = self.confirm(*height, verified, &mut applied);
            if outcome.is_err() {
                break;
            }
        }
        self.commit()?;
        outcome.map(|()| applied)
    }

    fn confirm(
        &mut self,
        height: u64,
        verified: Result<Verified<Block>, VerifyError>,
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let verified = verified.map_err(|source| ApplyError::Verify { height, source })?;
        let actual = verified.value().height();
        if actual != height {
            return Err(ApplyError::Height { expected: height, actual });
        }
        match self.live.confirm(verified) {
            Ok(_) => applied.imported += 1,
            Err(ConfirmError::Known { .. }) => applied.known += 1,
            Err(source) => return Err(ApplyError::Confirm { height, source }),
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        if let Some(batch) = self.live.take_batch() {
            self.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie })?;
            self.live.on_durable(self.live.head().number, TRIE_NODES);
        }
        Ok(())
    }
}

/// Verifies the blocks on all cores; the answers are in their order.
fn verify_all(blocks: &[(u64, Bytes)], config: &ChainConfig) -> Vec<Result<Verified<Block>, VerifyError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = blocks.len().div_ceil(threads).max(1);
    let verify =
        |part: &[(u64, Bytes)]| part.iter().map(|(_, bytes)| verify_block(bytes.clone(), config)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let parts: Vec<_> = blocks.chunks(share).map(|part| scope.spawn(move || verify(part))).collect();
        let verified =
            parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        verified.flatten().collect()
    })
}
