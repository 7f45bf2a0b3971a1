//! Between fetching and executing: the blocks that wait, and the task that imports them one after the other.

use super::batch::{Weight, take_batch};
use super::messages::{ImportEnd, KnownHead};
use super::staging::Staging;
use crate::callboard::Provenance;
use crate::importer::{ImportFailure, Importer, Next};
use crate::send::Inbox;
use crate::transport::NodeId;
use actix::Message;
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use callboard_chain::live::ConfirmError;
use callboard_chain::verify::{HeaderError, VerifyError};
use callboard_chain::{Blame, Block, Transaction, Verified};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;
use tracing::{Instrument, Span};

/// Memory of fetched blocks that wait or are being verified, beyond which only the front is fetched: of transfers 100,000,
/// several seconds' work of two cores.
const MAX_BYTES: usize = 32 << 20;
/// What a decoded transaction takes besides its canonical bytes and a copy of its input: itself and its sender.
const DECODED_TRANSACTION: usize = size_of::<Transaction>() + size_of::<Address>();

/// The hand-over has imported blocks, or could not. Signalled by its task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct HandedOver {
    /// Which run of blocks without a break; a late word of an older one is dropped.
    pub(super) run: u64,
    /// Why it does not go on; `None` where it has no more to do for now.
    pub(super) end: Option<ImportEnd>,
    /// What a peer is to be blamed for.
    pub(super) blame: Option<String>,
}

/// A block on its way to the importer.
pub(super) struct Fetched {
    pub(super) peer: NodeId,
    pub(super) provenance: Provenance,
    pub(super) block: FetchedBlock,
    /// What is done for it is done within.
    pub(super) span: Span,
    /// Its bytes count until it is dropped.
    pub(super) _held: Held,
}

/// See [`Fetched`].
pub(super) enum FetchedBlock {
    /// To be imported.
    Verified(Verified<Block>),
    /// Validly sealed, and against a rule. That matters when its turn comes.
    Unconfirmable(Block, VerifyError),
}

impl FetchedBlock {
    /// The block.
    pub(super) fn block(&self) -> &Block {
        match self {
            Self::Verified(block) => block.value(),
            Self::Unconfirmable(block, _) => block,
        }
    }
}

/// The blocks that wait. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pipeline(Arc<Shared>);

struct Shared {
    staging: Mutex<Staging<Fetched>>,
    bytes: Arc<Bytes>,
    imported: AtomicU64,
    run: AtomicU64,
}

#[derive(Default)]
struct Bytes {
    held: AtomicUsize,
    changed: Notify,
}

/// Bytes that count as waiting while this lives.
pub(super) struct Held {
    bytes: Arc<Bytes>,
    count: usize,
}

impl Held {
    /// The block was decoded, which takes several times its canonical bytes where transactions are small.
    pub(super) fn decoded(&mut self, block: &Block) {
        let of = |transaction: &Transaction| transaction.input().len().saturating_add(DECODED_TRANSACTION);
        let more = block.transactions().iter().map(of).sum();
        self.bytes.held.fetch_add(more, Ordering::AcqRel);
        self.count = self.count.saturating_add(more);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bytes.held.fetch_sub(self.count, Ordering::AcqRel);
        self.bytes.changed.notify_waiters();
    }
}

impl Shared {
    fn has_room(&self, height: u64) -> bool {
        let is_full = self.bytes.held.load(Ordering::Acquire) >= MAX_BYTES;
        self.staging.lock().has_room(height, is_full)
    }
}

impl Pipeline {
    /// Above the durable head at `height`.
    pub(super) fn new(height: u64) -> Self {
        let front = height.saturating_add(1);
        Self(Arc::new(Shared {
            staging: Mutex::new(Staging::new(front)),
            bytes: Arc::default(),
            imported: AtomicU64::new(height),
            run: AtomicU64::new(0),
        }))
    }

    /// Waits until the block of this height may be brought.
    pub(super) async fn room(&self, height: u64) {
        self.wait_for(|shared| shared.has_room(height).then_some(())).await;
    }

    /// Whether the block of this height may be brought now.
    pub(super) fn has_room(&self, height: u64) -> bool {
        self.0.has_room(height)
    }

    /// Counts the bytes of a block that has come.
    pub(super) fn hold(&self, count: usize) -> Held {
        let bytes = self.0.bytes.clone();
        bytes.held.fetch_add(count, Ordering::AcqRel);
        Held { bytes, count }
    }

    /// Keeps a block until its turn.
    pub(super) fn put(&self, height: u64, fetched: Fetched) {
        self.0.staging.lock().put(height, fetched);
        self.0.bytes.changed.notify_waiters();
    }

    /// Everything below `front` is imported.
    pub(super) fn advance(&self, front: u64) {
        self.0.staging.lock().advance(front);
        self.0.bytes.changed.notify_waiters();
    }

    /// Forgets what waits. Blocks from `front` on are fetched anew.
    pub(super) fn clear(&self, front: u64) {
        let mut staging = self.0.staging.lock();
        self.0.run.fetch_add(1, Ordering::AcqRel);
        staging.clear(front);
        drop(staging);
        self.0.bytes.changed.notify_waiters();
    }

    /// The highest block that was imported from here.
    pub(super) fn imported(&self) -> u64 {
        self.0.imported.load(Ordering::Acquire)
    }

    /// Counts the times that everything was forgotten.
    pub(super) fn run(&self) -> u64 {
        self.0.run.load(Ordering::Acquire)
    }

    /// Imports what comes, in height order, for as long as the node runs.
    pub(super) async fn hand_over(self, importer: Importer, told: Inbox<HandedOver>) {
        loop {
            let (run, batch) = self.next().await;
            match self.import(&importer, run, batch).await {
                Ok(()) => {
                    if !self.0.staging.lock().is_waiting() {
                        told.signal(HandedOver { run, end: None, blame: None });
                    }
                }
                Err((fetched, failure)) => {
                    let blame = (failure.blame() == Blame::Peer).then(|| failure.to_string());
                    let end = judge(&importer, fetched.peer, &fetched.block, failure).await;
                    drop(fetched);
                    told.signal(HandedOver { run, end: Some(end), blame });
                    self.wait_for(|shared| (shared.run.load(Ordering::Acquire) != run).then_some(())).await;
                }
            }
        }
    }

    /// Imports these blocks in their order, for as long as nothing is forgotten meanwhile; or up to one that is not
    /// imported, which comes back with the reason. Of those after it none is tried.
    async fn import(
        &self,
        importer: &Importer,
        run: u64,
        batch: Vec<(u64, Fetched)>,
    ) -> Result<(), (Fetched, ImportFailure)> {
        let mut batch = VecDeque::from(batch);
        while self.run() == run && !batch.is_empty() {
            let (imported, failure) = import_next(importer, batch.make_contiguous()).await;
            for (height, _) in batch.drain(..imported) {
                self.0.imported.fetch_max(height, Ordering::AcqRel);
            }
            if let Some(failure) = failure
                && let Some((_, fetched)) = batch.pop_front()
            {
                return Err((fetched, failure));
            }
        }
        Ok(())
    }

    /// The blocks whose turn it is, small ones together, and the run they belong to: both under one lock, so that a
    /// block that was fetched after everything was forgotten is never taken for one from before.
    async fn next(&self) -> (u64, Vec<(u64, Fetched)>) {
        self.wait_for(|shared| {
            let mut staging = shared.staging.lock();
            let batch = take_batch(&mut staging, |fetched| match &fetched.block {
                FetchedBlock::Verified(block) => Some(Weight::of(block.value())),
                FetchedBlock::Unconfirmable(..) => None,
            });
            (!batch.is_empty()).then(|| (shared.run.load(Ordering::Acquire), batch))
        })
        .await
    }

    async fn wait_for<T>(&self, mut ready: impl FnMut(&Shared) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.0.bytes.changed.notified());
            changed.as_mut().enable();
            if let Some(value) = ready(&self.0) {
                return value;
            }
            changed.await;
        }
    }
}

/// How many of these were imported, from the first on, and why the next one is not, if it is known.
async fn import_next(importer: &Importer, batch: &[(u64, Fetched)]) -> (usize, Option<ImportFailure>) {
    if let [(_, Fetched { block: FetchedBlock::Unconfirmable(block, error), span, .. }), ..] = batch {
        let refused = refuse(importer, block, error).instrument(span.clone()).await;
        return (usize::from(refused.is_ok()), refused.err());
    }
    let verified = batch.iter().map_while(|(_, Fetched { block, provenance, span, .. })| match block {
        FetchedBlock::Verified(block) => {
            Some(Next { block: block.clone(), provenance: *provenance, span: span.clone() })
        }
        FetchedBlock::Unconfirmable(..) => None,
    });
    importer.import_next(verified.collect()).await
}

async fn refuse(importer: &Importer, block: &Block, error: &VerifyError) -> Result<(), ImportFailure> {
    // It only matters if it stands on our chain.
    let below = block.height().saturating_sub(1);
    importer.durable(below).await?;
    let (head, actual) = (importer.durable_head(), block.header().parent_hash);
    if head.height == below && head.hash != actual {
        return Err(ConfirmError::from(HeaderError::ParentHash { expected: head.hash, actual }).into());
    }
    Err(error.clone().into())
}

/// What the end means. A block of another chain is told of when all of ours below it is durable, so that both chains
/// can be compared.
async fn judge(importer: &Importer, peer: NodeId, block: &FetchedBlock, failure: ImportFailure) -> ImportEnd {
    let block = block.block();
    let ours = match &failure {
        ImportFailure::Confirm(ConfirmError::Conflict { ours, .. }) => Some(*ours),
        ImportFailure::Confirm(ConfirmError::Header(HeaderError::ParentHash { .. }))
        | ImportFailure::GivenUp { .. } => None,
        failure if failure.blame() == Blame::Peer => return ImportEnd::PeerFault { peer },
        failure if failure.blame() == Blame::Local => return ImportEnd::Fault { reason: failure.to_string() },
        failure => {
            tracing::debug!(%failure, "a block is not imported now");
            return ImportEnd::NotNow { peer };
        }
    };
    let common = if ours.is_some() { block.height() } else { block.height().saturating_sub(1) };
    if importer.durable(common).await.is_err() {
        return ImportEnd::NotNow { peer };
    }
    let block = KnownHead::from(block);
    ImportEnd::OtherChain { peer, block, ours }
}
