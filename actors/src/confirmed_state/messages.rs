//! What ConfirmedState is told and asked.

use super::error::ImportError;
use crate::callboard::Provenance;
use actix::Message;
use alloy_primitives::B256;
use callboard_chain::live::{BuildError, Built, Proposal, SealCandidateError};
use callboard_chain::{Block, Seal, Verified};
use std::time::Instant;
use tracing::Span;

/// Execute a block from outside and make it the head. Asked by the importer. Answered once it is executed; it is
/// durable when the store's head reaches its height. Behind: [`ImportError::Backlogged`].
#[derive(Debug, Message)]
#[rtype(result = "Result<Imported, ImportError>")]
pub struct ImportBlock {
    /// The block.
    pub block: Verified<Block>,
    /// Where it came from.
    pub provenance: Provenance,
}

/// Execute consecutive blocks from outside, each as [`ImportBlock`] does, and stop at the first that is neither taken nor
/// known. Asked by the importer while it catches up; as many as are little work. Answered with what became of each
/// block, in order, through the one that was stopped at; of those after it nothing is said, and nothing was done.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Result<Imported, ImportError>>")]
pub struct ImportBlocks {
    /// The blocks, each with the span that what is done for it is done within.
    pub blocks: Vec<(ImportBlock, Span)>,
}

/// An imported block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
}

/// Build the next block and keep it until its seal comes. Asked by the proposer, one at a time.
#[derive(Debug, Message)]
#[rtype(result = "Result<Built, BuildError>")]
pub struct BuildBlock {
    /// Timestamp and candidates.
    pub proposal: Proposal,
    /// No transaction is begun after this instant.
    pub until: Instant,
}

/// Make the built block the head with this seal. Asked by the proposer.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), SealCandidateError>")]
pub struct SealBlock {
    /// The hash of the built block.
    pub hash: B256,
    /// The authority's seal over it.
    pub seal: Seal,
}

/// The batch that was handed to the block store is durable. Signalled by the block store, once a batch.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct BatchStored {
    /// The height of its last block.
    pub height: u64,
}

/// Commit each block at once, or gather batches. Signalled by the sync coordinator at each change of phase.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CommitPace {
    /// The node is level with its peers: every block is committed as soon as the disk is free.
    pub each_block: bool,
}
