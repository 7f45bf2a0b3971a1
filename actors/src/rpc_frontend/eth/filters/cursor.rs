//! Up to where a filter has told, and what comes after it.

use crate::rpc_frontend::eth::logs::{Found, Position, SearchBounds, search};
use crate::rpc_frontend::jsonrpc::RpcError;
use crate::rpc_frontend::view::{View, storage};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};

/// Where a filter goes on. It holds on to the hash of the last block it has seen: on another chain it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    next: Position,
    seen: (u64, B256),
}

impl Cursor {
    /// After the block at this height.
    pub(super) fn after(height: u64, hash: B256) -> Self {
        Self { next: Position::of_block(height.saturating_add(1)), seen: (height, hash) }
    }

    /// After the head.
    pub(super) fn at_head(view: &View) -> Self {
        Self::after(view.head.height, view.head.hash)
    }

    /// Before a place; the block that it stands on, or in, is in the chain.
    fn before(view: &View, next: Position) -> Result<Self, RpcError> {
        let seen = if next.log > 0 { next.height } else { next.height.saturating_sub(1) };
        Ok(Self { next, seen: (seen, view.hash(seen)?) })
    }

    /// Whether the chain still holds what has been told. There are no reorganisations, but an operator can roll back.
    pub(super) fn is_in(&self, view: &View) -> Result<bool, RpcError> {
        let (height, hash) = self.seen;
        Ok(view.snapshot.hash_of(height).map_err(storage)? == Some(hash))
    }

    /// How many blocks have come since.
    pub(super) fn behind(&self, view: &View) -> u64 {
        view.head.height.saturating_add(1).saturating_sub(self.next.height)
    }

    /// Hashes of the blocks that came since, at most `most`, and the cursor after them.
    pub(super) fn blocks(self, view: &View, most: u64) -> Result<(Vec<B256>, Self), RpcError> {
        let end = view.head.height.saturating_add(1).min(self.next.height.saturating_add(most));
        let hashes = (self.next.height..end).map(|height| view.hash(height)).collect::<Result<Vec<_>, _>>()?;
        let last = hashes.last().copied();
        Ok((hashes, last.map_or(self, |last| Self::after(end.saturating_sub(1), last))))
    }

    /// The logs that came since and match, as many as the bounds allow, and the cursor after them.
    pub(super) fn logs(self, view: &View, filter: &Filter, bounds: SearchBounds) -> Result<(Vec<Log>, Self), RpcError> {
        let (first, end) = named(filter);
        let from = self.next.max(Position::of_block(first));
        let last = view.head.height.min(from.height.saturating_add(bounds.blocks).saturating_sub(1));
        let found = match end.map_or(last, |end| last.min(end)) {
            to if from.height <= to => search(view, filter, from, to, bounds)?,
            _ => Found { logs: Vec::new(), rest: None },
        };
        let next = match found.rest {
            // Not even one log, or block, is within the bounds: whoever asks again gets no further.
            Some((at, refusal)) if at == from => return Err(refusal.into()),
            Some((at, _)) => at,
            None => self.next.max(Position::of_block(last.saturating_add(1))),
        };
        Ok((found.logs, Self::before(view, next)?))
    }
}

/// The first height that a filter names, and the last where it names one. Only new blocks are told of, so a block named by
/// its hash, and the tags of old ones, end before the first.
fn named(filter: &Filter) -> (u64, Option<u64>) {
    let FilterBlockOption::Range { from_block, to_block } = filter.block_option else { return (0, Some(0)) };
    let first = from_block.and_then(|block| block.as_number()).unwrap_or(0);
    match to_block {
        Some(BlockNumberOrTag::Earliest) => (first, Some(0)),
        Some(BlockNumberOrTag::Number(last)) => (first, Some(last)),
        _ => (first, None),
    }
}
