//! Which heights are being fetched: ranges of blocks, in height order, between what is imported and the window's end.

use super::messages::FetchId;
use crate::transport::NodeId;
use std::collections::BTreeMap;

/// Longest range: so short that a range taken over from a broken peer is soon made up for, so long that a request's
/// way to the peer and back is nothing beside it.
pub const RANGE_BLOCKS: u64 = 128;
/// Ranges that a window is cut into at least, so that several peers have work and the next range is on its way while
/// the front is executed.
const RANGES_PER_WINDOW: u64 = 4;

/// Heights that are fetched, or being fetched. What is below the front is imported.
#[derive(Debug)]
pub(super) struct Window {
    blocks: u64,
    front: u64,
    pieces: BTreeMap<u64, Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    through: u64,
    peer: NodeId,
    /// `None`: all of it has come.
    fetch: Option<FetchId>,
    /// The highest block that has come, if any.
    came: Option<u64>,
    /// Bytes that have come, also of a block that is not whole yet.
    bytes: u64,
}

/// The fetch that brings what is at the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Awaited {
    /// Which.
    pub(super) id: FetchId,
    /// From whom.
    pub(super) peer: NodeId,
    /// Bytes it has brought.
    pub(super) bytes: u64,
    /// The block at the front has not come: nothing can be imported before it has.
    pub(super) is_missing: bool,
}

/// A fetch that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// Of whom.
    pub(super) peer: NodeId,
    /// Whether all that was asked for came.
    pub(super) complete: bool,
}

impl Window {
    /// A window of `blocks` above the block before `front`.
    pub(super) fn new(blocks: u64, front: u64) -> Self {
        Self { blocks: blocks.max(1), front, pieces: BTreeMap::new() }
    }

    /// The next height to be imported.
    pub(super) fn front(&self) -> u64 {
        self.front
    }

    /// Whether nothing is being fetched or waits to be imported.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Length of a whole range.
    pub(super) fn range_blocks(&self) -> u64 {
        (self.blocks / RANGES_PER_WINDOW).clamp(1, RANGE_BLOCKS)
    }

    /// Fetches under way.
    pub(super) fn fetches(&self) -> usize {
        self.pieces.values().filter(|piece| piece.fetch.is_some()).count()
    }

    /// Fetches under way from one peer.
    pub(super) fn fetches_of(&self, peer: NodeId) -> usize {
        self.pieces.values().filter(|piece| piece.peer == peer && piece.fetch.is_some()).count()
    }

    /// Everybody from whom blocks come, or have come that are not imported.
    pub(super) fn sources(&self) -> impl Iterator<Item = NodeId> {
        self.pieces.values().map(|piece| piece.peer)
    }

    /// From whom the block at the front comes.
    pub(super) fn source_of_front(&self) -> Option<NodeId> {
        self.piece_of_front().map(|piece| piece.peer)
    }

    /// The fetch of the range at the front, while it is under way.
    pub(super) fn awaited(&self) -> Option<Awaited> {
        let Piece { peer, fetch, came, bytes, .. } = *self.piece_of_front()?;
        fetch.map(|id| Awaited { id, peer, bytes, is_missing: came.is_none_or(|came| came < self.front) })
    }

    fn piece_of_front(&self) -> Option<&Piece> {
        self.pieces.range(..=self.front).next_back().map(|(_, piece)| piece).filter(|piece| piece.through >= self.front)
    }

    /// The lowest heights nobody fetches, as far as `highest` and the window's end. Only whole ranges, the end, gaps
    /// that a broken fetch has left, and what is at the front, where nothing may wait.
    pub(super) fn next_hole(&self, highest: u64) -> Option<(u64, u64)> {
        let mut from = self.front;
        let mut next = None;
        for (start, piece) in &self.pieces {
            if *start > from {
                next = Some(*start);
                break;
            }
            from = from.max(piece.through.saturating_add(1));
        }
        let end = highest.min(self.front.saturating_add(self.blocks - 1));
        let whole = from.saturating_add(self.range_blocks() - 1);
        let through = whole.min(end).min(next.map_or(u64::MAX, |start| start - 1));
        let worth_it = from == self.front || through == whole || through == highest || next.is_some();
        (from <= through && worth_it).then_some((from, through))
    }

    /// A fetch of these heights begins.
    pub(super) fn start(&mut self, id: FetchId, peer: NodeId, from: u64, through: u64) {
        self.pieces.insert(from, Piece { through, peer, fetch: Some(id), came: None, bytes: 0 });
    }

    /// A fetch has come so far.
    pub(super) fn came(&mut self, id: FetchId, through: Option<u64>, bytes: u64) {
        if let Some(piece) = self.pieces.values_mut().find(|piece| piece.fetch == Some(id)) {
            piece.came = through.map(|through| through.min(piece.through));
            piece.bytes = bytes;
        }
    }

    /// A fetch ended; what came of it, through the height `through`, stays. `None` for an id that is not under way.
    pub(super) fn end(&mut self, id: FetchId, through: Option<u64>) -> Option<Ended> {
        let (from, piece) = self.pieces.iter().find(|(_, piece)| piece.fetch == Some(id))?;
        let (from, piece) = (*from, *piece);
        let came = through.filter(|through| *through >= from).map(|through| through.min(piece.through));
        match came {
            Some(through) => {
                self.pieces.insert(from, Piece { through, fetch: None, ..piece });
                self.forget_imported();
            }
            None => {
                self.pieces.remove(&from);
            }
        }
        Some(Ended { peer: piece.peer, complete: came == Some(piece.through) })
    }

    /// Everything below `front` is imported. Returns the fetches that are of no use any more.
    pub(super) fn advance(&mut self, front: u64) -> Vec<FetchId> {
        self.front = self.front.max(front);
        self.forget_imported()
    }

    fn forget_imported(&mut self) -> Vec<FetchId> {
        let front = self.front;
        let mut idle = Vec::new();
        self.pieces.retain(|_, piece| {
            let needed = piece.through >= front;
            idle.extend(piece.fetch.filter(|_| !needed));
            needed
        });
        idle
    }

    /// Whether anything of what is not imported came from `peer`.
    pub(super) fn holds_any_of(&self, peer: NodeId) -> bool {
        self.pieces.values().any(|piece| piece.peer == peer)
    }

    /// Gives up what is under way from `peer`. What has come stays, and the rest is open for others.
    pub(super) fn give_up(&mut self, peer: NodeId) -> Vec<FetchId> {
        let mut stopped = Vec::new();
        self.pieces.retain(|from, piece| {
            let Some(id) = piece.fetch.filter(|_| piece.peer == peer) else { return true };
            stopped.push(id);
            let came = piece.came.filter(|came| came >= from);
            (piece.through, piece.fetch) = (came.unwrap_or_default(), None);
            came.is_some()
        });
        self.forget_imported();
        stopped
    }

    /// Gives up everything.
    pub(super) fn clear(&mut self) -> Vec<FetchId> {
        self.remove(|_| true)
    }

    fn remove(&mut self, unwanted: impl Fn(&Piece) -> bool) -> Vec<FetchId> {
        let mut stopped = Vec::new();
        self.pieces.retain(|_, piece| {
            let unwanted = unwanted(piece);
            stopped.extend(piece.fetch.filter(|_| unwanted));
            !unwanted
        });
        stopped
    }
}
