//! The first height at which a peer's chain differs from ours, by binary search: one question at a time.

use super::messages::KnownHead;
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::BTreeSet;

/// Accepted blocks that a branch is asked for, beside those the search meets. An operator accepts one a fork.
const MAX_ACCEPTED_ASKED: usize = 16;

/// A search under way. The chains agree at 0, which the hello has compared; each answer halves what is left, so it ends.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) peer: NodeId,
    agree: u64,
    /// The block there, which both have; `None` at 0.
    agree_hash: Option<B256>,
    differ: Difference,
    /// The block below the peer's that differs, by the header under the seal; `None` until it is known.
    parent: Option<B256>,
    /// Asked first: our head, where the difference seen is above it; the old difference, where it is looked at again.
    first: Option<u64>,
    accepted: BTreeSet<(u64, B256)>,
    to_ask: Vec<u64>,
    is_accepted: bool,
}

/// Two blocks of one height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) height: u64,
    pub(super) ours: Option<B256>,
    pub(super) theirs: B256,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask for the block at this height.
    Ask(u64),
    /// This is the first height that differs.
    Found {
        /// The two blocks.
        difference: Difference,
        /// Whether the branch holds a block that the operator has accepted.
        accepted: bool,
    },
    /// The peer has our chain, as far as ours goes.
    Agrees,
    /// The peer's block that differs does not stand on the block below it that the peer says it has: it lies, or has
    /// changed its chain meanwhile.
    Contradicts,
}

impl Search {
    /// Looks below `seen`, a block of the peer that is not on our chain. `accepted`: blocks known to the operator.
    pub(super) fn new(
        peer: NodeId,
        seen: Difference,
        newest: KnownHead,
        our_head: u64,
        accepted: &BTreeSet<(u64, B256)>,
    ) -> Self {
        let above = seen.height > our_head;
        let is_accepted =
            [(seen.height, seen.theirs), (newest.height, newest.hash)].iter().any(|at| accepted.contains(at));
        let heights: BTreeSet<u64> = accepted.iter().map(|(height, _)| *height).collect();
        let to_ask = heights.into_iter().filter(|height| *height < newest.height).take(MAX_ACCEPTED_ASKED).collect();
        Self {
            peer,
            agree: 0,
            agree_hash: None,
            differ: seen,
            parent: None,
            first: above.then_some(our_head),
            accepted: accepted.clone(),
            to_ask,
            is_accepted,
        }
    }

    /// Looks again at a peer that showed `seen` once and may have gone back to our chain since.
    pub(super) fn again(peer: NodeId, seen: Difference, newest: KnownHead, accepted: &BTreeSet<(u64, B256)>) -> Self {
        Self { first: Some(seen.height), ..Self::new(peer, seen, newest, u64::MAX, accepted) }
    }

    /// What to do now.
    pub(super) fn step(&self) -> Step {
        if let Some(first) = self.first {
            return Step::Ask(first);
        }
        if self.differ.height <= self.agree {
            return Step::Agrees;
        }
        let left = self.differ.height - self.agree;
        if left > 1 {
            return Step::Ask(self.agree + left / 2);
        }
        // That a peer has our block proves nothing, everybody has it. What its own block stands on is sealed.
        match (self.agree_hash, self.parent) {
            (Some(_), None) => return Step::Ask(self.differ.height),
            (Some(below), Some(parent)) if below != parent => return Step::Contradicts,
            _ => {}
        }
        match self.to_ask.iter().find(|height| **height > self.differ.height) {
            Some(height) if !self.is_accepted => Step::Ask(*height),
            _ => Step::Found { difference: self.differ, accepted: self.is_accepted },
        }
    }

    /// The peer's block at the height that was asked for, the block it stands on, and ours.
    pub(super) fn on_answer(&mut self, height: u64, theirs: B256, parent: B256, ours: Option<B256>) {
        self.is_accepted |= self.accepted.contains(&(height, theirs));
        self.to_ask.retain(|asked| *asked != height);
        let first = self.first.take().is_some();
        if ours == Some(theirs) {
            // Where the first question is answered so, nothing of ours differs.
            let agree = if first { u64::MAX } else { height };
            if agree >= self.agree {
                (self.agree, self.agree_hash) = (agree, ours);
            }
        } else if height <= self.differ.height {
            self.differ = Difference { height, ours, theirs };
            self.parent = Some(parent);
        }
    }
}
