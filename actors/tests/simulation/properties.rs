//! What must hold in every run, checked as it goes on. The first violation ends the run.

use super::env::is_stale;
use alloy_primitives::B256;
use callboard_actors::transport::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A node decides anew within this time after it was shown something.
const TIME_TO_DECIDE: Duration = Duration::from_millis(500);

/// A block that was shown under the authority's valid seal.
#[derive(Debug, Clone, Copy)]
struct Shown {
    timestamp: u64,
    at: Duration,
}

#[derive(Debug, Default)]
struct OfNode {
    /// Blocks that this node has announced, served or answered for.
    confirmed: BTreeMap<u64, B256>,
    /// Sealed blocks that others showed to the process that runs now.
    shown: BTreeMap<(u64, B256), Shown>,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    violation: Option<String>,
    /// The block of each height that the first honest node made durable.
    agreed: BTreeMap<u64, B256>,
    /// What left the authority's signer.
    sealed: BTreeMap<u64, B256>,
    /// The authority has sealed two chains, so that nodes may differ, as long as they say so.
    pub(crate) equivocated: bool,
    /// The authority has lost its mark: then it may equivocate.
    pub(crate) mark_is_lost: bool,
    /// Blocks of branches that somebody else shows under the authority's seal.
    pub(crate) other_branches: BTreeSet<B256>,
    /// Nodes that do not lie.
    pub(crate) honest: BTreeSet<NodeId>,
    nodes: BTreeMap<usize, OfNode>,
}

impl Properties {
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(crate) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// Agreement: honest nodes hold one block a height, unless the authority sealed two.
    pub(crate) fn durable(&mut self, place: usize, height: u64, hash: B256) {
        if self.other_branches.contains(&hash) {
            return;
        }
        let agreed = *self.agreed.entry(height).or_insert(hash);
        if agreed != hash && !self.equivocated {
            self.violate(format!("agreement: node {place} holds {hash} at {height}, another one {agreed}"));
        }
    }

    /// The authority never seals two blocks of a height.
    pub(crate) fn sealed(&mut self, height: u64, hash: B256) {
        let first = *self.sealed.entry(height).or_insert(hash);
        if first == hash {
            return;
        }
        self.equivocated = true;
        if !self.mark_is_lost {
            self.violate(format!("the authority sealed {hash} at {height} after {first}"));
        }
    }

    /// The first block of each height that left the signer.
    pub(crate) fn all_sealed(&self) -> impl Iterator<Item = (u64, B256)> {
        self.sealed.iter().map(|(height, hash)| (*height, *hash))
    }

    /// The node announced, served or answered for this block.
    pub(crate) fn confirmed(&mut self, place: usize, height: u64, hash: B256) {
        self.nodes.entry(place).or_default().confirmed.insert(height, hash);
    }

    /// A process starts from its disk.
    pub(crate) fn restarted(&mut self, place: usize, stored: impl Fn(u64) -> Option<B256>) {
        self.nodes.entry(place).or_default().shown.clear();
        self.kept(place, stored);
    }

    /// Nothing confirmed is lost.
    pub(crate) fn kept(&mut self, place: usize, stored: impl Fn(u64) -> Option<B256>) {
        let node = self.nodes.entry(place).or_default();
        let lost = node.confirmed.iter().find(|(height, hash)| stored(**height) != Some(**hash));
        if let Some((height, hash)) = lost {
            let what = format!("node {place} confirmed {hash} at {height} and has lost it");
            self.violate(what);
        }
    }

    /// The operator has put an older database in the place of the one that was there.
    pub(crate) fn restored(&mut self, place: usize, height: u64) {
        self.nodes.entry(place).or_default().confirmed.split_off(&(height + 1));
    }

    /// The operator has begun another chain.
    pub(crate) fn forget_genesis(&mut self, place: usize) {
        self.nodes.entry(place).or_default().confirmed.clear();
    }

    /// Somebody showed a block or header with the authority's valid seal.
    pub(crate) fn shown(&mut self, now: Duration, place: usize, height: u64, hash: B256, timestamp: u64) {
        let shown = &mut self.nodes.entry(place).or_default().shown;
        shown.entry((height, hash)).or_insert(Shown { timestamp, at: now });
    }

    /// The node says that it is in sync: then it differs from no fresh sealed block that it was shown.
    pub(crate) fn in_sync(&mut self, now: Duration, place: usize, wall: Duration, ours: impl Fn(u64) -> Option<B256>) {
        let node = self.nodes.entry(place).or_default();
        node.shown.retain(|_, shown| !is_stale(shown.timestamp, wall));
        let differs = node.shown.iter().find(|((height, hash), shown)| {
            now.saturating_sub(shown.at) > TIME_TO_DECIDE && ours(*height).is_some_and(|ours| ours != *hash)
        });
        if let Some(((height, hash), _)) = differs {
            let what = format!("node {place} says it is in sync, and differs from {hash} at {height}");
            self.violate(what);
        }
    }

    /// No honest node is ever banned by an honest one.
    pub(crate) fn banned(&mut self, place: usize, peer: NodeId) {
        if self.honest.contains(&peer) {
            self.violate(format!("node {place} has banned an honest node, {}", peer.short()));
        }
    }

    pub(crate) fn bounded(&mut self, what: &str, actual: usize, limit: usize) {
        if actual > limit {
            self.violate(format!("unbounded: {actual} {what}, at most {limit} are allowed"));
        }
    }
}
