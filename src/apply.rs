//! Blocks given to the chain of a stopped node. They take the way of every block: verified on all cores, executed to
//! their roots, committed; what was committed before an error stays.

use crate::start::Chain;
use alloy_primitives::Bytes;
use callboard_actors::callboard::Provenance;
use callboard_actors::importer::{ImportFailure, Refused};
use callboard_chain::live::{ConfirmError, LiveState};
use callboard_chain::verify::{VerifyError, verify_block};
use callboard_chain::{Block, ChainConfig, Verified};
use callboard_store::{
    CommitBatch, CommitError, Evidence, LatestState, NodeStore, OpenError, SealedHeader, StorageError, Store,
    StoreWriter,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Trie nodes kept in memory.
const TRIE_NODES: usize = 400_000;

/// Why a block was not applied. Those before it are in the chain.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It is not what it claims to be, does not extend the chain, or does not execute to its roots.
    #[error("block {height}: {failure}")]
    Refused {
        /// Its height.
        height: u64,
        /// Which check failed.
        #[source]
        failure: ImportFailure,
    },
    /// Another block than the one that was announced.
    #[error("block {expected}: the bytes are those of block {actual}")]
    Height {
        /// The height announced.
        expected: u64,
        /// The block's height.
        actual: u64,
    },
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A block was refused, and that could not be written down.
    #[error("{refused}; this could not be remembered: {source}")]
    NotRemembered {
        /// Why the block was refused.
        refused: String,
        /// Why that was not written.
        source: OpenError,
    },
}

/// A chain that takes blocks.
pub struct Applier<'a> {
    records: Option<PathBuf>,
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
    /// Transactions of the blocks that are new.
    pub transactions: u64,
}

impl<'a> Applier<'a> {
    /// Goes on at the chain's head.
    pub fn new(chain: &'a mut Chain) -> Result<Self, StorageError> {
        let config = Arc::new(chain.genesis.config().clone());
        let snapshot = chain.store.snapshot()?;
        let height = snapshot.head().height;
        let missing = || StorageError::damaged("blocks", format!("head block {height} is missing"));
        let head = snapshot.header(height)?.ok_or_else(missing)?;
        let live = LiveState::new(config.clone(), chain.store.latest(), head);
        Ok(Self { records: None, config, store: chain.store.clone(), writer: &mut chain.writer, live })
    }

    /// From now on a refused block is remembered in the node's own database at `path`, and a second block of one height
    /// under the authority's seal kept as evidence, as a running node does.
    pub fn remember_in(&mut self, path: PathBuf) {
        self.records = Some(path);
    }

    /// The chain's database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Verifies, executes and commits these blocks, whose heights are told beside their bytes.
    pub fn apply(&mut self, blocks: &[(u64, Bytes)]) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        let mut outcome = Ok(());
        let mut refused = None;
        for (verified, (height, bytes)) in verify_all(blocks, &self.config).into_iter().zip(blocks) {
            outcome = self.confirm(*height, verified, &mut applied);
            if outcome.is_err() {
                refused = Some(bytes);
                break;
            }
        }
        self.commit()?;
        if let (Err(ApplyError::Refused { failure, .. }), Some(bytes), Some(path)) = (&outcome, refused, &self.records)
        {
            remember(path, &self.store, failure, bytes)?;
        }
        outcome.map(|()| applied)
    }

    fn confirm(
        &mut self,
        height: u64,
        verified: Result<Verified<Block>, VerifyError>,
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let verified = verified.map_err(|error| ApplyError::Refused { height, failure: error.into() })?;
        let actual = verified.value().height();
        if actual != height {
            return Err(ApplyError::Height { expected: height, actual });
        }
        let transactions = verified.value().transactions().len() as u64;
        match self.live.confirm(verified) {
            Ok(_) => {
                applied.imported += 1;
                applied.transactions = applied.transactions.saturating_add(transactions);
            }
            Err(ConfirmError::Known { .. }) => applied.known += 1,
            Err(error) => return Err(ApplyError::Refused { height, failure: error.into() }),
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

/// Keeps what a running node keeps of a refused block.
fn remember(path: &Path, chain: &Store, failure: &ImportFailure, bytes: &Bytes) -> Result<(), ApplyError> {
    let not_remembered = |source| ApplyError::NotRemembered { refused: failure.to_string(), source };
    let kept = NodeStore::open(path).map_err(not_remembered)?;
    if let Some(refused) = Refused::of(failure) {
        kept.add_refused(refused.into_record(Provenance::FILE, None, bytes), bytes)?;
    }
    if let Some(block) = failure.is_sealed().then(|| Block::decode(bytes.clone()).ok()).flatten()
        && let Some(ours) = chain.snapshot()?.block(block.height())?
        && ours.hash() != block.hash()
        && ours.header().extra_data == block.header().extra_data
    {
        let (ours, theirs) = (SealedHeader::of(&ours), SealedHeader::of(&block));
        kept.add_evidence(&Evidence { height: block.height(), ours, theirs, time: unix_seconds() })?;
    }
    Ok(())
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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
