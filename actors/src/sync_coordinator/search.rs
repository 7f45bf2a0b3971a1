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
    differ: Difference,
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
            differ: seen,
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
        match self.to_ask.iter().find(|height| **height > self.differ.height) {
            Some(height) if !self.is_accepted => Step::Ask(*height),
            _ => Step::Found { difference: self.differ, accepted: self.is_accepted },
        }
    }

    /// The peer's block at the height that was asked for, and ours.
    pub(super) fn on_answer(&mut self, height: u64, theirs: B256, ours: Option<B256>) {
        self.is_accepted |= self.accepted.contains(&(height, theirs));
        self.to_ask.retain(|asked| *asked != height);
        let first = self.first.take().is_some();
        if ours == Some(theirs) {
            // Where the first question is answered so, nothing of ours differs.
            self.agree = if first { u64::MAX } else { self.agree.max(height) };
        } else if height <= self.differ.height {
            self.differ = Difference { height, ours, theirs };
        }
    }
}
