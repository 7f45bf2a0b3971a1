//! One stream of blocks from one peer: fetched in order, verified ahead on all cores, kept until their turn. And one
//! block, for comparing chains.

use super::batch::{Batch, Weight};
use super::messages::{FetchEnd, FetchId, QuestionId};
use super::order::{OutOfOrder, out_of_order};
use super::pipeline::{Fetched, FetchedBlock, Held, Pipeline};
use crate::callboard::Provenance;
use crate::importer::{ImportFailure, Importer};
use crate::monitor::StageMeter;
use crate::transport::NodeId;
use crate::transport::client::{BlockStream, CallError, Session};
use actix::Message;
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::{Blame, Block};
use callboard_store::Store;
use futures_util::{Stream, StreamExt, stream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a stream needs of the node.
#[derive(Clone)]
pub struct Tools {
    /// Where blocks go.
    pub importer: Importer,
    /// Our own chain.
    pub store: Store,
    /// Counts the time spent waiting for blocks.
    pub fetch: Arc<StageMeter>,
    /// Whose seal makes a block.
    pub authority: Address,
    /// What every header of this chain carries in `extraData`.
    pub commitment: B256,
    /// A live stream that is silent for longer has died: the authority owes a block every heartbeat.
    pub silence: Duration,
}

/// How far a fetch has come: written by its task, read by the coordinator.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Came>);

#[derive(Debug, Default)]
struct Came {
    /// The height of the last block that waits for its turn; 0 where there is none.
    through: AtomicU64,
    bytes: OnceLock<Arc<AtomicU64>>,
}

impl Progress {
    fn reads(&self, blocks: &BlockStream) {
        self.0.bytes.get_or_init(|| blocks.received());
    }

    fn came(&self, height: u64) {
        self.0.through.store(height, Ordering::Relaxed);
    }

    /// The last block that waits for its turn, and the bytes that have come in all.
    pub(super) fn so_far(&self) -> (Option<u64>, u64) {
        let through = self.0.through.load(Ordering::Relaxed);
        let bytes = self.0.bytes.get().map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        ((through > 0).then_some(through), bytes)
    }
}

/// A fetch ended. Signalled by its task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FetchEnded {
    /// Which.
    pub(super) id: FetchId,
    /// From whom.
    pub(super) peer: NodeId,
    /// The highest block that came.
    pub(super) through: Option<u64>,
    /// What the peer did wrong, if it did.
    pub(super) trouble: Option<Trouble>,
}

/// A question for a block was answered, or not. Signalled by its task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct BlockAnswered {
    /// Which.
    pub(super) id: QuestionId,
    /// By whom.
    pub(super) peer: NodeId,
    /// A block at the height asked for with the authority's valid seal.
    pub(super) answer: Result<Block, Trouble>,
}

/// A peer that failed us: how, for people, and how bad it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) fault: PeerFault,
}

/// See [`Trouble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerFault {
    /// Its connection or session broke, or it stopped answering.
    Broken,
    /// It sent what no honest node sends.
    Forged,
    /// It sent what an honest node may send in a bad moment.
    Odd,
    /// None: this node cannot go on now.
    Ours,
}

impl FetchEnded {
    /// For the core.
    pub(super) fn end(&self) -> FetchEnd {
        if self.trouble.is_none() { FetchEnd::Done } else { FetchEnd::Failed }
    }
}

/// Fetches `from..=through`, and returns once the last of them waits for its turn.
pub(super) async fn run_range(
    tools: Tools,
    pipeline: Pipeline,
    session: Session,
    id: FetchId,
    (from, through): (u64, u64),
    progress: Progress,
) -> FetchEnded {
    let peer = session.node_id();
    let count = through.saturating_sub(from).saturating_add(1);
    let (came, trouble) = match session.blocks(from, count).await {
        Ok(blocks) => {
            progress.reads(&blocks);
            bring(&tools, &pipeline, &session, blocks, (from, Some(through)), &progress).await
        }
        Err(error) => (None, Some(broken(&error))),
    };
    let short = || odd(format!("{} sent fewer blocks than it has shown", session.url()));
    let trouble = trouble.or_else(|| (came != Some(through)).then(short));
    FetchEnded { id, peer, through: came, trouble }
}

/// Fetches every block the peer confirms from `from` on, until the stream ends.
pub(super) async fn run_live(
    tools: Tools,
    pipeline: Pipeline,
    session: Session,
    id: FetchId,
    from: u64,
    progress: Progress,
) -> FetchEnded {
    let peer = session.node_id();
    let (through, trouble) = match session.follow(from, tools.silence).await {
        Ok(blocks) => bring(&tools, &pipeline, &session, blocks, (from, None), &progress).await,
        Err(error) => (None, Some(broken(&error))),
    };
    let ended = || odd(format!("{} ended its live stream", session.url()));
    FetchEnded { id, peer, through, trouble: Some(trouble.unwrap_or_else(ended)) }
}

/// The height of the last block that came, and why no more do.
async fn bring(
    tools: &Tools,
    pipeline: &Pipeline,
    session: &Session,
    blocks: BlockStream,
    (from, through): (u64, Option<u64>),
    progress: &Progress,
) -> (Option<u64>, Option<Trouble>) {
    let peer = session.node_id();
    // A range has an end, and what is live has none.
    let provenance = if through.is_some() { Provenance::peer(peer) } else { Provenance::live(peer) };
    let verified = frames(tools, pipeline, blocks, from, through)
        .map(|frames| verify(&tools.importer, peer, provenance, frames))
        .buffered(tools.importer.verifies_at_once());
    let mut verified = std::pin::pin!(verified);
    let (mut last, mut expected) = (None, from);
    while let Some(batch) = verified.next().await {
        for fetched in batch {
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(trouble) => return (last, Some(trouble)),
            };
            let actual = fetched.block.block().height();
            let durable = tools.importer.durable_head().height;
            if let Some(wrong) = out_of_order(through.is_none(), expected, actual, durable) {
                let reason = format!("{} sent block {actual} where block {expected} was asked for", session.url());
                let fault = if wrong == OutOfOrder::Lost { PeerFault::Odd } else { PeerFault::Forged };
                return (last, Some(Trouble { reason, fault }));
            }
            fetched.span.in_scope(|| tracing::debug!(actor = "SyncCoordinator", %peer, "block fetched"));
            pipeline.put(actual, fetched);
            progress.came(actual);
            last = Some(actual);
            expected = actual.saturating_add(1);
        }
    }
    (last, None)
}

/// A block's bytes, which count as waiting.
type Frame = (Bytes, Held);

/// The blocks as they come, through the height `through`; each is read when it has room. Small ones that have come
/// together go on together.
fn frames(
    tools: &Tools,
    pipeline: &Pipeline,
    blocks: BlockStream,
    from: u64,
    through: Option<u64>,
) -> impl Stream<Item = Result<Vec<Frame>, CallError>> {
    let (fetch, pipeline) = (tools.fetch.clone(), pipeline.clone());
    stream::unfold((Some(blocks), from), move |(blocks, height)| {
        let (fetch, pipeline) = (fetch.clone(), pipeline.clone());
        async move {
            let mut blocks = blocks.filter(|_| through.is_none_or(|through| height <= through))?;
            let waits = fetch.stalled();
            pipeline.room(height).await;
            drop(waits);
            // On a live stream the next block is not late: it is not sealed yet.
            let busy = through.map(|_| fetch.busy(1));
            let next = blocks.next_block().await;
            drop(busy.unwrap_or_else(|| fetch.busy(1)));
            match next {
                Ok(Some(first)) => {
                    let frames = gather(&pipeline, &mut blocks, first, (height, through));
                    let next_height = height.saturating_add(frames.len() as u64);
                    fetch.count(next_height.saturating_sub(height).saturating_sub(1));
                    Some((Ok(frames), (Some(blocks), next_height)))
                }
                Ok(None) => None,
                Err(error) => Some((Err(error), (None, height))),
            }
        }
    })
}

/// The block at `height`, and those right after it that have come as well and are small.
fn gather(
    pipeline: &Pipeline,
    blocks: &mut BlockStream,
    first: bytes::Bytes,
    (height, through): (u64, Option<u64>),
) -> Vec<Frame> {
    let (mut batch, mut next) = (Batch::default(), height.saturating_add(1));
    batch.add(Weight::of_bytes(first.len()));
    let held = pipeline.hold(first.len());
    let mut frames = vec![(first.into(), held)];
    while through.is_none_or(|through| next <= through)
        && pipeline.has_room(next)
        && let Some(bytes) = blocks.ready_block(batch.room())
    {
        batch.add(Weight::of_bytes(bytes.len()));
        let held = pipeline.hold(bytes.len());
        frames.push((bytes.into(), held));
        next = next.saturating_add(1);
    }
    frames
}

async fn verify(
    importer: &Importer,
    peer: NodeId,
    provenance: Provenance,
    frames: Result<Vec<Frame>, CallError>,
) -> Vec<Result<Fetched, Trouble>> {
    let frames = match frames {
        Ok(frames) => frames,
        Err(error) => return vec![Err(broken(&error))],
    };
    let (blocks, held): (Vec<_>, Vec<_>) =
        frames.into_iter().map(|(bytes, held)| ((bytes, importer.block_span()), held)).unzip();
    let verdicts = importer.verify_each(blocks.clone(), provenance).await;
    let fetched = |((verdict, (bytes, span)), mut held): (_, Held)| {
        let block = match verdict {
            Ok(block) => FetchedBlock::Verified(block),
            Err(failure) => against_a_rule(bytes, failure)?,
        };
        held.decoded(block.block());
        Ok(Fetched { peer, provenance, block, span, _held: held })
    };
    verdicts.into_iter().zip(blocks).zip(held).map(fetched).collect()
}

/// A sealed block that breaks a rule is nobody's forgery: it waits for its turn like any other.
fn against_a_rule(bytes: Bytes, failure: ImportFailure) -> Result<FetchedBlock, Trouble> {
    let reason = failure.to_string();
    match (failure, Block::decode(bytes)) {
        (ImportFailure::Refused(error), Ok(block)) if error.blame() == Blame::Local => {
            Ok(FetchedBlock::Unconfirmable(block, error))
        }
        (failure, _) => {
            let fault = if failure.blame() == Blame::Peer { PeerFault::Forged } else { PeerFault::Ours };
            Err(Trouble { reason, fault })
        }
    }
}

/// One block of a peer, with the authority's valid seal: a claim that is not sealed proves nothing.
pub(super) async fn ask_block(tools: Tools, session: Session, id: QuestionId, height: u64) -> BlockAnswered {
    BlockAnswered { id, peer: session.node_id(), answer: fetch_one(&tools, &session, height).await }
}

async fn fetch_one(tools: &Tools, session: &Session, height: u64) -> Result<Block, Trouble> {
    let forged = |reason: String| Trouble { reason, fault: PeerFault::Forged };
    let mut blocks = session.blocks(height, 1).await.map_err(|error| broken(&error))?;
    let bytes = blocks.next_block().await.map_err(|error| broken(&error))?;
    let bytes = bytes.ok_or_else(|| odd(format!("{} does not send block {height}", session.url())))?;
    let block = Block::decode(bytes.into()).map_err(|error| forged(error.to_string()))?;
    if block.height() != height {
        return Err(forged(format!("{} sent block {} for block {height}", session.url(), block.height())));
    }
    block.seal().verify(block.hash(), tools.authority).map_err(|error| forged(error.to_string()))?;
    if *block.header().extra_data != *tools.commitment.as_slice() {
        return Err(forged(format!("{} sent block {height} of another chain of this authority", session.url())));
    }
    Ok(block)
}

fn odd(reason: String) -> Trouble {
    Trouble { reason, fault: PeerFault::Odd }
}

/// A frame that is none is a forgery; where this node has no memory for more the session stands; anything else is how a
/// connection breaks.
fn broken(error: &CallError) -> Trouble {
    let fault = match error.blame() {
        Blame::Peer => PeerFault::Forged,
        _ if error.is_ours() => PeerFault::Ours,
        _ => PeerFault::Broken,
    };
    Trouble { reason: error.to_string(), fault }
}
