//! What must hold in every run, checked as it goes on. The first violation ends the run.

use super::chain::HEARTBEAT;
use super::env::is_stale;
use alloy_primitives::B256;
use callboard_actors::callboard::Phase;
use callboard_actors::sync_coordinator::{Divergence, KnownHead, STALE_HEARTBEATS};
use callboard_actors::transport::NodeId;
use callboard_chain::Block;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A block that was shown so long ago counts no more.
const STALE_AFTER: Duration = Duration::from_secs(HEARTBEAT * STALE_HEARTBEATS);
/// The place of the authority.
const AUTHORITY: usize = 0;
/// A node decides anew within this time after it was shown something.
const TIME_TO_DECIDE: Duration = Duration::from_millis(500);
/// A node's phase changes at most this often before it has made a block durable or was shown a newer sealed head: to
/// catching up, to stalled, to diverged, and back for each of the few peers that may come and go meanwhile.
const CHANGES_WITHOUT_PROGRESS: usize = 8;

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
    /// The newest of them, by time and height.
    newest: (u64, u64),
    /// The newest head that peers have shown of a branch that is not dead, by its time.
    living: Option<(KnownHead, Duration)>,
    /// Phases since the node last got on.
    phases: Vec<Phase>,
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
    /// Blocks of branches that somebody else shows under the authority's seal, in the stories that have such.
    pub(crate) other_branches: BTreeSet<B256>,
    /// Those of them that nobody extends: no node that follows them is ever in sync.
    pub(crate) dead_branch: BTreeSet<B256>,
    /// A block that the authority has sealed and that no honest node can confirm.
    pub(crate) unconfirmable: Option<(u64, B256)>,
    /// Height and parent of every block that the authority's key has sealed.
    parents: BTreeMap<B256, (u64, B256)>,
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

    /// Somebody has sealed this block with the authority's key.
    pub(crate) fn exists(&mut self, block: &Block) {
        self.parents.insert(block.hash(), (block.height(), block.header().parent_hash));
    }

    /// Agreement: honest nodes hold one block a height, unless the authority sealed two.
    pub(crate) fn durable(&mut self, place: usize, height: u64, hash: B256) {
        self.gets_on(place);
        if place == AUTHORITY {
            // The authority takes what it once sealed back and extends it: then it is not dead.
            self.dead_branch.remove(&hash);
        }
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
        let node = self.nodes.entry(place).or_default();
        node.shown.clear();
        node.newest = (0, 0);
        node.living = None;
        node.phases.clear();
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
        let node = self.nodes.entry(place).or_default();
        node.shown.entry((height, hash)).or_insert(Shown { timestamp, at: now });
        if (timestamp, height) > node.newest {
            node.newest = (timestamp, height);
            node.phases.clear();
        }
    }

    /// A peer showed its head.
    pub(crate) fn shown_head(&mut self, now: Duration, place: usize, head: KnownHead) {
        let living = &mut self.nodes.entry(place).or_default().living;
        if !self.dead_branch.contains(&head.hash) && living.is_none_or(|(newest, _)| newest.timestamp < head.timestamp)
        {
            *living = Some((head, now));
        }
    }

    /// No follower that was shown a living head takes the first block of a dead branch.
    pub(crate) fn imports(&mut self, now: Duration, place: usize, wall: Duration, block: &Block) {
        let is_first =
            self.dead_branch.contains(&block.hash()) && !self.dead_branch.contains(&block.header().parent_hash);
        let Some((head, at)) = self.nodes.entry(place).or_default().living.filter(|_| is_first) else { return };
        let is_known = (TIME_TO_DECIDE..STALE_AFTER).contains(&now.saturating_sub(at));
        let is_living = is_known && !is_stale(head.timestamp, wall);
        if is_living && head.height >= block.height() && place != AUTHORITY {
            let KnownHead { height, hash, .. } = head;
            self.violate(format!(
                "node {place} was shown a living head, {hash} at {height}, and takes {} of a dead branch",
                block.hash()
            ));
        }
    }

    /// The node has made progress, or what it measures time with was changed.
    pub(crate) fn gets_on(&mut self, place: usize) {
        self.nodes.entry(place).or_default().phases.clear();
    }

    /// No phase toggles without progress.
    pub(crate) fn phase_changed(&mut self, place: usize, phase: Phase) {
        let phases = &mut self.nodes.entry(place).or_default().phases;
        phases.push(phase);
        if phases.len() > CHANGES_WITHOUT_PROGRESS {
            let what = format!("node {place} makes no progress, and its phase toggles: {phases:?}");
            self.violate(what);
        }
    }

    /// The node tells its operator where another chain parts from its own: that is where it does.
    pub(crate) fn diverged(&mut self, place: usize, found: &Divergence, ours: impl Fn(u64) -> Option<B256>) {
        let Some(told) = found.last_common_height else { return };
        let (mut height, mut hash) = (found.height, found.theirs);
        while ours(height) != Some(hash) {
            // A peer that lied about its genesis: nothing is common, and nobody can know that.
            if height == 0 {
                return;
            }
            let Some((_, parent)) = self.parents.get(&hash) else {
                let what = format!("node {place} diverges from {hash} at {height}, which nobody has sealed");
                return self.violate(what);
            };
            (height, hash) = (height.saturating_sub(1), *parent);
        }
        if told != height || found.height != height + 1 {
            let Divergence { height: at, theirs, .. } = found;
            self.violate(format!(
                "node {place} says {told} is the last common height with {theirs} at {at}, and it is {height}"
            ));
        }
    }

    /// The node says that it is in sync: then it differs from no fresh sealed block that it was shown.
    pub(crate) fn in_sync(&mut self, now: Duration, place: usize, wall: Duration, ours: impl Fn(u64) -> Option<B256>) {
        let heights =
            self.dead_branch.iter().filter_map(|hash| self.parents.get(hash).map(|(height, _)| (*height, *hash)));
        if let Some((height, hash)) = heights.rev().find(|(height, hash)| ours(*height) == Some(*hash)) {
            self.violate(format!("node {place} says it is in sync on a dead branch, with {hash} at {height}"));
        }
        let node = self.nodes.entry(place).or_default();
        // As a follower has it: by its time, or by how long ago it was shown.
        let counts = |at| place == AUTHORITY || now.saturating_sub(at) <= STALE_AFTER;
        node.shown.retain(|_, shown| !is_stale(shown.timestamp, wall) && counts(shown.at));
        let differs = node.shown.iter().find(|((height, hash), shown)| {
            now.saturating_sub(shown.at) > TIME_TO_DECIDE && ours(*height).is_some_and(|ours| ours != *hash)
        });
        if let Some(((height, hash), _)) = differs {
            let what = format!("node {place} says it is in sync, and differs from {hash} at {height}");
            self.violate(what);
        }
    }

    /// The node says that it cannot confirm this block, which the authority has sealed.
    pub(crate) fn cannot_confirm(&mut self, place: usize, block: &Block, reason: &str) {
        if self.unconfirmable != Some((block.height(), block.hash())) {
            self.violate(format!("node {place} cannot confirm a sealed block: {reason}"));
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
