//! One stream of blocks: fetched in order, verified ahead on all cores, imported in order.

use super::messages::{Divergence, PeerFault, StreamOutcome};
use crate::callboard::Provenance;
use crate::confirmed_state::CommitPace;
use crate::importer::{ImportFailure, Importer};
use crate::monitor::StageMeter;
use crate::send::Inbox;
use crate::transport::SealedHead;
use crate::transport::client::{BlockStream, CallError, Session};
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::live::ConfirmError;
use callboard_chain::verify::HeaderError;
use callboard_chain::{Blame, Block, Verified};
use callboard_store::{StorageError, Store};
use futures_util::{Stream, StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;

/// What a stream needs of the node.
#[derive(Clone)]
pub struct Tools {
    /// Where blocks go.
    pub importer: Importer,
    /// Our own chain.
    pub store: Store,
    /// ConfirmedState: how often to commit.
    pub pace: Inbox<CommitPace>,
    /// Counts the time spent waiting for blocks.
    pub fetch: Arc<StageMeter>,
    /// Whose seal makes a block.
    pub authority: Address,
    /// A live stream that is silent for longer has died: the authority owes a block every heartbeat.
    pub silence: Duration,
}

enum StreamError {
    Fetch(CallError),
    Import(Box<(ImportFailure, Option<Verified<Block>>)>),
    OutOfOrder { expected: u64, actual: u64 },
}

/// Imports `from..=through`, and returns once the last of them is durable.
pub(super) async fn run_range(tools: Tools, session: Session, from: u64, through: u64) -> StreamOutcome {
    let count = through.saturating_sub(from).saturating_add(1);
    let blocks = match session.blocks(from, count).await {
        Ok(blocks) => blocks,
        Err(error) => return broken(&error),
    };
    let ended = import_all(&tools, &session, blocks, from).await;
    tools.pace.signal(CommitPace { each_block: true });
    match ended {
        Ok(None) => odd(format!("{} sent none of the blocks it has shown", session.url())),
        Ok(Some(last)) => {
            // An error means that the node is stopping, and then nobody waits for this.
            tools.importer.durable(last).await.ok();
            StreamOutcome::Done
        }
        Err(error) => judge(&tools, &session, error).await,
    }
}

/// Imports every block the peer confirms from `from` on, until the stream ends.
pub(super) async fn run_live(tools: Tools, session: Session, from: u64) -> StreamOutcome {
    let blocks = match session.follow(from, tools.silence).await {
        Ok(blocks) => blocks,
        Err(error) => return broken(&error),
    };
    match import_all(&tools, &session, blocks, from).await {
        Ok(_) => odd(format!("{} ended its live stream", session.url())),
        Err(error) => judge(&tools, &session, error).await,
    }
}

/// The height of the last block that was imported or known.
async fn import_all(
    tools: &Tools,
    session: &Session,
    blocks: BlockStream,
    from: u64,
) -> Result<Option<u64>, StreamError> {
    let importer = &tools.importer;
    let provenance = Provenance::peer(session.node_id());
    let verified = frames(tools, blocks)
        .map(|frame| async move {
            let bytes = frame.map_err(StreamError::Fetch)?;
            importer.verify(bytes, provenance).await.map_err(|failure| StreamError::Import(Box::new((failure, None))))
        })
        .buffered(importer.verifies_at_once());
    let mut verified = std::pin::pin!(verified);
    let (mut last, mut expected) = (None, from);
    while let Some(block) = verified.next().await {
        let block = block?;
        if block.value().height() != expected {
            return Err(StreamError::OutOfOrder { expected, actual: block.value().height() });
        }
        expected = expected.saturating_add(1);
        match tools.importer.import_verified(block.clone(), provenance).await {
            Ok(outcome) => last = Some(outcome.height),
            Err(failure) => return Err(StreamError::Import(Box::new((failure, Some(block))))),
        }
    }
    Ok(last)
}

fn frames(tools: &Tools, blocks: BlockStream) -> impl Stream<Item = Result<Bytes, CallError>> {
    let fetch = tools.fetch.clone();
    stream::unfold(Some(blocks), move |blocks| {
        let fetch = fetch.clone();
        async move {
            let mut blocks = blocks?;
            let busy = fetch.busy(1);
            let next = blocks.next_block().await;
            drop(busy);
            match next {
                Ok(Some(bytes)) => Some((Ok(bytes.into()), Some(blocks))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

/// Who is to blame for the end of a stream, and what follows from it.
async fn judge(tools: &Tools, session: &Session, error: StreamError) -> StreamOutcome {
    let (failure, block) = match error {
        StreamError::Fetch(error) => return broken(&error),
        StreamError::OutOfOrder { expected, actual } => {
            let reason = format!("{} sent block {actual} where block {expected} was asked for", session.url());
            return StreamOutcome::PeerFailed { reason, fault: PeerFault::Forged };
        }
        StreamError::Import(parts) => *parts,
    };
    match (failure, block) {
        (ImportFailure::Stopping { .. }, _) => StreamOutcome::Done,
        (failure @ ImportFailure::NotRouted { .. }, _) => StreamOutcome::Refused(failure.to_string()),
        (ImportFailure::Confirm(ref error), Some(block)) if is_other_chain(error) => {
            diverged(tools, session, block.value()).await
        }
        (failure, _) if failure.blame() == Blame::Local => StreamOutcome::LocalFault(failure.to_string()),
        (failure, _) if failure.blame() == Blame::Peer => {
            StreamOutcome::PeerFailed { reason: failure.to_string(), fault: PeerFault::Forged }
        }
        (failure, _) => odd(failure.to_string()),
    }
}

fn odd(reason: String) -> StreamOutcome {
    StreamOutcome::PeerFailed { reason, fault: PeerFault::Odd }
}

fn broken(error: &CallError) -> StreamOutcome {
    let fault = if error.blame() == Blame::Peer { PeerFault::Forged } else { PeerFault::Broken };
    StreamOutcome::PeerFailed { reason: error.to_string(), fault }
}

/// A validly sealed block that stands on, or in the place of, a block other than ours.
fn is_other_chain(error: &ConfirmError) -> bool {
    matches!(error, ConfirmError::Conflict { .. } | ConfirmError::Header(HeaderError::ParentHash { .. }))
}

/// Looks for the first height at which the peer's chain differs from ours, below a head of it that does.
pub(super) async fn find_difference(tools: Tools, session: Session, height: u64) -> StreamOutcome {
    match fetch_one(&tools, &session, height).await {
        Ok(theirs) => diverged(&tools, &session, &theirs).await,
        Err(SearchError::Fetch(reason)) => odd(reason),
        Err(SearchError::Store(error)) => StreamOutcome::LocalFault(error.to_string()),
    }
}

/// Finds the first height at which the two sealed chains differ.
async fn diverged(tools: &Tools, session: &Session, theirs: &Block) -> StreamOutcome {
    match first_difference(tools, session, theirs).await {
        Ok(found) => StreamOutcome::Diverged(found),
        Err(SearchError::Fetch(error)) => {
            tracing::warn!(%error, peer = %session.node_id(), "the last common block could not be found");
            StreamOutcome::Diverged(divergence(session, theirs, theirs, None, ours_at(tools, theirs.height())))
        }
        Err(SearchError::Store(error)) => StreamOutcome::LocalFault(error.to_string()),
    }
}

enum SearchError {
    Fetch(String),
    Store(StorageError),
}

/// Binary search: the chains agree at 0 (the hello compares genesis hashes) and differ below `theirs`.
async fn first_difference(tools: &Tools, session: &Session, theirs: &Block) -> Result<Divergence, SearchError> {
    let head = tools.store.snapshot().map_err(SearchError::Store)?.head().height;
    let (mut agree, mut differ) = (0u64, theirs.clone());
    let mut upper = theirs.height().min(head.saturating_add(1));
    while agree.saturating_add(1) < upper {
        let middle = agree + (upper - agree) / 2;
        let block = fetch_one(tools, session, middle).await?;
        if ours_at(tools, middle) == Some(block.hash()) {
            agree = middle;
        } else {
            upper = middle;
            differ = block;
        }
    }
    if differ.height() != upper {
        differ = fetch_one(tools, session, upper).await?;
    }
    let snapshot = tools.store.snapshot().map_err(SearchError::Store)?;
    let ours = snapshot.block(upper).map_err(SearchError::Store)?;
    tools.importer.seals().meet(&SealedHead::of(&differ)).map_err(SearchError::Store)?;
    let ours = ours.map(|block| block.hash());
    Ok(divergence(session, &differ, theirs, Some(agree), ours))
}

/// One block of a peer, with the authority's valid seal: a claim that is not sealed proves nothing.
async fn fetch_one(tools: &Tools, session: &Session, height: u64) -> Result<Block, SearchError> {
    let failed = |what: String| SearchError::Fetch(what);
    let mut blocks = session.blocks(height, 1).await.map_err(|error| failed(error.to_string()))?;
    let bytes = blocks.next_block().await.map_err(|error| failed(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| failed(format!("{} does not send block {height}", session.url())))?;
    let block = Block::decode(bytes.into()).map_err(|error| failed(error.to_string()))?;
    if block.height() != height {
        return Err(failed(format!("{} sent block {} for block {height}", session.url(), block.height())));
    }
    block.seal().verify(block.hash(), tools.authority).map_err(|error| failed(error.to_string()))?;
    Ok(block)
}

fn ours_at(tools: &Tools, height: u64) -> Option<B256> {
    tools.store.snapshot().and_then(|snapshot| snapshot.hash_of(height)).ok().flatten()
}

fn divergence(
    session: &Session,
    first: &Block,
    newest: &Block,
    last_common_height: Option<u64>,
    ours: Option<B256>,
) -> Divergence {
    Divergence {
        height: first.height(),
        ours,
        theirs: first.hash(),
        peer: Some(session.node_id()),
        shown_by: session.node_id().to_string(),
        last_common_height,
        theirs_timestamp: newest.header().timestamp,
    }
}
