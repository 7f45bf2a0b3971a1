//! What an authority sealed and had not stored when it died.
//!
//! A sealed block is in the high-water file before its seal leaves the signer. If the process died between that and
//! the commit, the same block is confirmed now, before anything else happens: it is never sealed anew.

use callboard_actors::callboard::Provenance;
use callboard_actors::importer::Importer;
use callboard_actors::proposer::{HighWater, HighWaterError};
use callboard_chain::live::{ConfirmError, LiveState};
use callboard_chain::verify::{VerifyError, verify_block};
use callboard_chain::{Block, ChainConfig};
use callboard_store::{
    CommitBatch, CommitError, GivenUpBranch, MAX_GIVEN_UP, MAX_KNOWN, NodeStore, OwnBlock, SealedHeader, StorageError,
    Store, StoreWriter,
};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why the sealed block could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The chain has another block at the height of the mark.
    #[error(
        "the database has {ours} as block {height}, but the high-water file says that this authority sealed {sealed} there; this database is of a chain that was forked away from, restore the right one"
    )]
    OtherBlock {
        /// The height.
        height: u64,
        /// In the database.
        ours: alloy_primitives::B256,
        /// In the high-water file.
        sealed: alloy_primitives::B256,
    },
    /// `--abandon-after` names a height that is not the head.
    #[error("--abandon-after {asked}: the head is {head}; roll the chain back to {asked} first")]
    NotAtHead {
        /// The height asked for.
        asked: u64,
        /// The head.
        head: u64,
    },
    /// It gave up too many branches.
    #[error("{MAX_GIVEN_UP} branches are given up already, which is all there is room for")]
    TooManyGivenUp,
    /// It does not verify.
    #[error("the block in the high-water file does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// It does not extend the chain.
    #[error("the block in the high-water file does not extend the chain: {0}")]
    Confirm(#[from] ConfirmError),
    /// It could not be stored.
    #[error("the block in the high-water file could not be stored: {0}")]
    Commit(#[from] CommitError),
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The mark could not be written.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
}

impl RecoveryError {
    /// Whether the operator has to change a flag or a file.
    pub(super) fn is_configuration(&self) -> bool {
        matches!(self, Self::NotAtHead { .. } | Self::OtherBlock { .. })
    }
}

/// Gives up every block that this authority sealed above `height`, knowingly. What it gives up is remembered before the
/// mark is: from then on it is not taken back, with or without the flag. The mark is kept aside as evidence.
pub(super) fn abandon(
    mark: &mut HighWater,
    store: &Store,
    node_store: &NodeStore,
    height: u64,
) -> Result<(), RecoveryError> {
    let head = store.snapshot()?.head().height;
    if head != height {
        return Err(RecoveryError::NotAtHead { asked: height, head });
    }
    let Some(branch) = branch_above(mark, node_store, store, height)? else {
        tracing::warn!(height, "--abandon-after has no effect: this authority has sealed nothing above this height");
        return Ok(());
    };
    if !node_store.give_up(&branch)? {
        return Err(RecoveryError::TooManyGivenUp);
    }
    let OwnBlock { height: highest, hash, .. } = branch.highest;
    tracing::warn!(height, highest, %hash, "blocks above this height are abandoned: heights will be sealed twice");
    finish(mark, node_store)
}

/// Where the mark is of a branch that was given up, it is kept aside: the process may have died before it was.
pub(super) fn finish(mark: &mut HighWater, node_store: &NodeStore) -> Result<(), RecoveryError> {
    let Some(sealed) = mark.sealed().map(own_block) else { return Ok(()) };
    let known = (sealed.height, sealed.hash);
    if node_store.given_up()?.iter().any(|branch| branch.known.contains(&known))
        && let Some(kept) = mark.abandon()?
    {
        tracing::warn!(evidence = %kept.display(), "the high-water mark of what was abandoned is kept aside");
    }
    Ok(())
}

/// Everything that this authority is known to have sealed above `height`, its head; `None` where that is nothing.
fn branch_above(
    mark: &HighWater,
    node_store: &NodeStore,
    store: &Store,
    height: u64,
) -> Result<Option<GivenUpBranch>, RecoveryError> {
    let mut blocks = node_store.rolled_back_above(height)?;
    blocks.extend(node_store.own_block_met()?.filter(|met| met.height > height));
    if let Some(sealed) = mark.sealed()
        && store.snapshot()?.hash_of(sealed.height())? != Some(sealed.hash())
    {
        blocks.push(own_block(sealed));
    }
    let Some(highest) = blocks.iter().max_by_key(|block| block.height).copied() else { return Ok(None) };
    let known = blocks.iter().map(|block| (block.height, block.hash)).collect();
    let sealed = mark.sealed().filter(|sealed| sealed.hash() == highest.hash).map(SealedHeader::of);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Some(GivenUpBranch { after: height, highest, known, sealed, time, by_follower: false }))
}

fn own_block(block: &Block) -> OwnBlock {
    OwnBlock { height: block.height(), hash: block.hash(), timestamp: block.header().timestamp }
}

/// The blocks above `height`, lowest first: what a rollback is about to take out of the chain.
pub(crate) fn blocks_above(store: &Store, height: u64) -> Result<Vec<OwnBlock>, StorageError> {
    let snapshot = store.snapshot()?;
    let (head, mut blocks) = (snapshot.head(), Vec::new());
    for height in height.saturating_add(1)..=head.height {
        // Of a long branch these are enough; and its highest block.
        if blocks.len() >= MAX_KNOWN && height < head.height {
            continue;
        }
        if let Some(header) = snapshot.header(height)? {
            let hash = snapshot.hash_of(height)?.unwrap_or_default();
            blocks.push(OwnBlock { height, hash, timestamp: header.timestamp });
        }
    }
    Ok(blocks)
}

/// Confirms the sealed block if it is the one that follows the stored head.
pub(super) fn take_up(
    mark: &HighWater,
    config: &Arc<ChainConfig>,
    store: &Store,
    writer: &mut StoreWriter,
) -> Result<(), RecoveryError> {
    let Some(sealed) = mark.sealed() else { return Ok(()) };
    let head = store.snapshot()?.head();
    if sealed.height() <= head.height {
        return check_is_ours(store, sealed);
    }
    if sealed.height() != head.height.saturating_add(1) || sealed.header().parent_hash != head.hash {
        return Ok(());
    }
    tracing::info!(height = sealed.height(), hash = %sealed.hash(), "taking up the block that was sealed and not stored");
    let snapshot = store.snapshot()?;
    let Some(parent) = snapshot.header(head.height)? else { return Ok(()) };
    drop(snapshot);
    let mut live = LiveState::new(config.clone(), store.latest(), parent);
    live.confirm(verify_block(sealed.bytes().clone(), config)?)?;
    if let Some(batch) = live.take_batch() {
        writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie })?;
    }
    Ok(())
}

/// Imports the sealed block once its parent is the head. An authority that takes its blocks back from its peers may
/// find the newest of them nowhere but in its own high-water file.
pub(super) async fn take_up_when_reached(sealed: Block, importer: Importer) {
    let below = sealed.height().saturating_sub(1);
    let mut head = importer.watch_head();
    if head.wait_for(|head| head.height >= below).await.is_err() {
        return;
    }
    let is_next = head.borrow().hash == sealed.header().parent_hash;
    if !is_next {
        return;
    }
    tracing::info!(height = sealed.height(), hash = %sealed.hash(), "taking up the block that was sealed and not stored");
    if let Err(error) = importer.import(sealed.bytes().clone(), Provenance::OPERATOR).await {
        tracing::error!(%error, "the block that was sealed and not stored is not taken up");
    }
}

fn check_is_ours(store: &Store, sealed: &Block) -> Result<(), RecoveryError> {
    match store.snapshot()?.hash_of(sealed.height())? {
        Some(ours) if ours != sealed.hash() => {
            Err(RecoveryError::OtherBlock { height: sealed.height(), ours, sealed: sealed.hash() })
        }
        _ => Ok(()),
    }
}
