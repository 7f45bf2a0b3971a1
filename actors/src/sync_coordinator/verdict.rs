//! Is a branch that differs from ours alive, and so is this node diverged?
//!
//! A validly sealed block that differs from ours is a fact, whoever shows it. Whether it makes the node *diverged*
//! depends on time: a branch that nobody extends beside a fresh one of our own is an alarm, and the node stays ready.
//! So the rule is applied anew whenever time passes.

use super::messages::{Divergence, Effect, KnownHead, Witness};
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::BTreeMap;
use std::time::Duration;

/// Before a difference is called a divergence, the first differing height is looked for this long: an operator is told
/// where to roll back to in the same breath. Meanwhile the node is not in sync.
const SEARCH_GRACE: Duration = Duration::from_secs(2);
/// Branches kept in mind. Peers are fewer; what is beyond are those whose witness has gone.
const MAX_FORKS: usize = 128;
/// A seed with another genesis that has not shown it for this long is gone. It is dialled more often than that.
const SEED_MEMORY: Duration = Duration::from_secs(900);

/// A branch that differs from ours, as one witness shows it.
#[derive(Debug, Clone)]
pub(super) struct Fork {
    /// The first differing height where that is known, else any differing one.
    pub(super) height: u64,
    pub(super) ours: Option<B256>,
    pub(super) theirs: B256,
    pub(super) last_common: Option<u64>,
    /// Nothing more is to be found out about where it begins.
    pub(super) searched: bool,
    /// The newest block of it.
    pub(super) newest: KnownHead,
    /// The operator knows it and calls it dead.
    pub(super) accepted: bool,
    /// For this reason: this node gave it up.
    given_up: bool,
    /// When its newest block was first shown.
    newest_since: Duration,
    first_seen: Duration,
    last_seen: Duration,
    /// Its witness agrees with us now, or is gone.
    withdrawn: Option<Duration>,
    /// For this reason: it agrees.
    agreed: bool,
    verdict: Option<Life>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    Dead,
}

/// How the rule is to be applied now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// Monotonic time.
    pub(super) now: Duration,
    /// Unix seconds.
    pub(super) wall: u64,
    /// Whether our own branch is alive.
    pub(super) ours_alive: bool,
    /// An authority that has met another living branch of its own waits for its operator.
    pub(super) sticky: bool,
}

/// All branches that differ from ours, and what is said of them.
#[derive(Debug)]
pub(super) struct Verdict {
    forks: BTreeMap<Witness, Fork>,
    /// A block older than this is stale.
    stale_after: Duration,
    told: Option<Divergence>,
    pending: bool,
}

impl Verdict {
    /// No other branch is known.
    pub(super) fn new(stale_after: Duration) -> Self {
        Self { forks: BTreeMap::new(), stale_after, told: None, pending: false }
    }

    /// The divergence that was told last.
    pub(super) fn divergence(&self) -> Option<&Divergence> {
        self.told.as_ref()
    }

    /// Whether a living branch differs and where it begins is still looked for.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// Branches that differ, and are dead.
    pub(super) fn dead_branches(&self) -> impl Iterator<Item = Divergence> {
        let dead = |fork: &Fork| fork.verdict == Some(Life::Dead) && !fork.accepted && fork.withdrawn.is_none();
        self.forks.iter().filter(move |(_, fork)| dead(fork)).map(|(witness, fork)| divergence(witness, fork))
    }

    /// The branch that a peer shows, unless it has withdrawn it.
    pub(super) fn of_peer(&self, peer: NodeId) -> Option<&Fork> {
        self.forks.get(&Witness::Peer(peer)).filter(|fork| fork.withdrawn.is_none())
    }

    /// Branches of peers of which it is not known where they begin.
    pub(super) fn unsearched(&self) -> impl Iterator<Item = (NodeId, &Fork)> {
        self.forks.iter().filter_map(|(witness, fork)| match witness {
            Witness::Peer(peer) if !fork.searched && fork.withdrawn.is_none() => Some((*peer, fork)),
            _ => None,
        })
    }

    /// Blocks that somebody brought, of which no peer is known to show their branch: height and hash.
    pub(super) fn unplaced(&self) -> impl Iterator<Item = (u64, B256)> {
        let is_block = |witness: &Witness| matches!(witness, Witness::Block(_));
        let unplaced = move |(witness, fork): &(&Witness, &Fork)| is_block(witness) && !fork.accepted;
        self.forks.iter().filter(unplaced).map(|(_, fork)| (fork.height, fork.theirs))
    }

    /// The branch that the peer shows holds this block: what was known of the block is known of the branch now.
    pub(super) fn place(&mut self, peer: NodeId, block: B256) {
        let (block, peer) = (Witness::Block(block), Witness::Peer(peer));
        if !self.forks.contains_key(&peer) {
            return;
        }
        let Some(known) = self.forks.remove(&block) else { return };
        if let Some(fork) = self.forks.get_mut(&peer) {
            fork.first_seen = fork.first_seen.min(known.first_seen);
            fork.verdict = fork.verdict.or(known.verdict);
        }
        if let Some(told) = self.told.as_mut().filter(|told| told.witness == block) {
            told.witness = peer;
        }
    }

    /// `witness` shows `seen`, which is not on our chain. What is known already of its branch stays, unless `seen`
    /// differs from ours further below.
    pub(super) fn show(&mut self, now: Duration, witness: Witness, seen: KnownHead, ours: Option<B256>) {
        self.make_room(&witness);
        let fork = self.forks.entry(witness).or_insert_with(|| Fork {
            height: seen.height,
            ours,
            theirs: seen.hash,
            last_common: None,
            searched: false,
            newest: seen,
            accepted: false,
            given_up: false,
            newest_since: now,
            first_seen: now,
            last_seen: now,
            withdrawn: None,
            agreed: false,
            verdict: None,
        });
        let another =
            ours.is_some() && (seen.height < fork.height || seen.height == fork.height && seen.hash != fork.theirs);
        if another {
            *fork = Fork {
                height: seen.height,
                ours,
                theirs: seen.hash,
                last_common: None,
                searched: false,
                accepted: false,
                given_up: false,
                ..fork.clone()
            };
        }
        fork.last_seen = now;
        (fork.withdrawn, fork.agreed) = (None, false);
        if another || seen.rank() > fork.newest.rank() {
            fork.newest = seen;
            fork.newest_since = now;
        }
    }

    /// A configured seed has another genesis.
    pub(super) fn show_genesis(&mut self, now: Duration, seed: String, ours: B256, theirs: B256, newest: u64) {
        let witness = Witness::Seed(seed);
        if self.forks.get(&witness).is_some_and(|known| known.theirs != theirs) {
            self.forks.remove(&witness);
        }
        let seen = KnownHead { height: 0, hash: theirs, timestamp: newest };
        self.show(now, witness.clone(), seen, Some(ours));
        if let Some(fork) = self.forks.get_mut(&witness) {
            fork.searched = true;
        }
    }

    /// Somebody brought this block, and nobody can take it back. Peers whose chain may hold it are asked; one that has it
    /// is searched, and says more.
    pub(super) fn show_block(&mut self, now: Duration, seen: KnownHead, ours: B256) {
        let shows_it = |fork: &Fork| fork.withdrawn.is_none() && [fork.theirs, fork.newest.hash].contains(&seen.hash);
        if self.forks.values().any(shows_it) {
            return;
        }
        let witness = Witness::Block(seen.hash);
        self.show(now, witness.clone(), seen, Some(ours));
        if let Some(fork) = self.forks.get_mut(&witness) {
            fork.withdrawn = Some(now);
        }
    }

    /// Where the peer's branch begins is known.
    pub(super) fn found(&mut self, peer: NodeId, height: u64, ours: Option<B256>, theirs: B256) {
        if let Some(fork) = self.forks.get_mut(&Witness::Peer(peer)) {
            (fork.height, fork.ours, fork.theirs) = (height, ours, theirs);
            fork.last_common = height.checked_sub(1);
            fork.searched = true;
        }
    }

    /// The operator knows the branch of this witness.
    pub(super) fn accept(&mut self, witness: &Witness) {
        if let Some(fork) = self.forks.get_mut(witness) {
            fork.accepted = true;
        }
    }

    /// All that the peer shows of its branch is what this node gave up, above this height.
    pub(super) fn give_up(&mut self, peer: NodeId, after: u64) {
        if let Some(fork) = self.forks.get_mut(&Witness::Peer(peer)) {
            fork.last_common = Some(after);
            (fork.searched, fork.accepted, fork.given_up) = (true, true, true);
        }
    }

    /// What the peer shows now is more than was given up: it is looked at as any other branch.
    pub(super) fn look_anew(&mut self, peer: NodeId) {
        if let Some(fork) = self.forks.get_mut(&Witness::Peer(peer)).filter(|fork| fork.given_up) {
            (fork.searched, fork.accepted, fork.given_up) = (false, false, false);
            fork.last_common = None;
        }
    }

    /// The peer agrees with us. That does not undo what it has shown: the branch counts until it is stale.
    pub(super) fn agree(&mut self, now: Duration, peer: NodeId) {
        self.withdraw(now, peer);
        if let Some(fork) = self.forks.get_mut(&Witness::Peer(peer)) {
            fork.agreed = true;
        }
    }

    /// The peer is gone. That does not undo what it has shown: the branch counts until it is stale.
    pub(super) fn withdraw(&mut self, now: Duration, peer: NodeId) {
        if let Some(fork) = self.forks.get_mut(&Witness::Peer(peer)) {
            fork.withdrawn.get_or_insert(now);
        }
    }

    /// The seed has our genesis.
    pub(super) fn seed_agrees(&mut self, seed: &str) {
        self.forks.remove(&Witness::Seed(seed.to_owned()));
    }

    /// Applies the rule, and tells what is different from when it was applied last.
    pub(super) fn judge(&mut self, at: Circumstances) -> Vec<Effect> {
        self.forget(at);
        let stale_after = self.stale_after;
        let mut effects = Vec::new();
        self.pending = false;
        for (witness, fork) in &mut self.forks {
            let alive = fork.is_alive(at, stale_after);
            let known = fork.searched || at.now.saturating_sub(fork.first_seen) >= SEARCH_GRACE;
            if !known {
                self.pending |= alive;
                continue;
            }
            let life = if alive { Life::Alive } else { Life::Dead };
            if fork.verdict != Some(life) {
                fork.verdict = Some(life);
                if life == Life::Dead && !fork.accepted {
                    effects.push(Effect::DeadBranchSeen(divergence(witness, fork)));
                }
            }
        }
        effects.extend(self.tell());
        effects
    }

    fn tell(&mut self) -> Option<Effect> {
        let alive = |fork: &Fork| fork.verdict == Some(Life::Alive) && !fork.accepted;
        let told = self.told.as_ref().map(|told| &told.witness);
        // Who is told of stays, unless somebody else shows where the chains part.
        let is_placed = |fork: &Fork| fork.height == 0 || fork.last_common.is_some();
        let any_placed = self.forks.values().any(|fork| alive(fork) && is_placed(fork));
        let alive = |fork: &Fork| alive(fork) && (is_placed(fork) || !any_placed);
        let kept = told.and_then(|witness| self.forks.get_key_value(witness)).filter(|(_, fork)| alive(fork));
        let newest = || self.forks.iter().filter(|(_, fork)| alive(fork)).max_by_key(|(_, fork)| fork.newest.rank());
        let Some((witness, fork)) = kept.or_else(newest) else {
            return self.told.take().map(Effect::DivergenceCleared);
        };
        let found = divergence(witness, fork);
        let news = self.told.as_ref().is_none_or(|told| !told.is_same_difference(&found));
        self.told = Some(found.clone());
        news.then_some(Effect::Diverged(found))
    }

    fn forget(&mut self, at: Circumstances) {
        let stale_after = self.stale_after;
        self.forks.retain(|witness, fork| match (fork.withdrawn, witness) {
            // Only a living branch of our own excuses another one: where ours is as old, nobody knows which is right.
            (Some(since), _) => {
                fork.waits_for_operator(at)
                    || !at.ours_alive
                    || !fork.is_stale(at, stale_after) && at.now.saturating_sub(since) <= stale_after
            }
            (None, Witness::Seed(_)) => at.now.saturating_sub(fork.last_seen) <= SEED_MEMORY,
            (None, Witness::Peer(_) | Witness::Block(_)) => true,
        });
    }

    fn make_room(&mut self, witness: &Witness) {
        if self.forks.len() < MAX_FORKS || self.forks.contains_key(witness) {
            return;
        }
        let withdrawn = self.forks.iter().filter(|(_, fork)| fork.withdrawn.is_some());
        let oldest = withdrawn.min_by_key(|(_, fork)| fork.newest.rank()).or_else(|| self.forks.first_key_value());
        if let Some(oldest) = oldest.map(|(witness, _)| witness.clone()) {
            self.forks.remove(&oldest);
        }
    }
}

impl Fork {
    /// The rule. To be called dead again after it was alive, a branch has to be silent for twice as long: one that
    /// grows now and then does not make the verdict change with each of its blocks.
    fn is_alive(&self, at: Circumstances, stale_after: Duration) -> bool {
        if self.accepted {
            return false;
        }
        let was_alive = self.verdict == Some(Life::Alive);
        let silent = if was_alive { stale_after.saturating_mul(2) } else { stale_after };
        !(at.ours_alive && self.is_stale(at, silent)) || self.waits_for_operator(at)
    }

    /// An authority does not get over a living branch of its own because nobody shows it any more, only because who
    /// showed it has ours now.
    fn waits_for_operator(&self, at: Circumstances) -> bool {
        at.sticky && self.verdict == Some(Life::Alive) && !self.agreed
    }

    /// Nobody extends it: by its newest block's timestamp, or, where that lies in the future, by the time it has been
    /// the newest here.
    fn is_stale(&self, at: Circumstances, after: Duration) -> bool {
        at.wall.saturating_sub(self.newest.timestamp) > after.as_secs()
            || at.now.saturating_sub(self.newest_since) > after
    }
}

impl Divergence {
    /// Whether both say the same but for how far the other branch has grown.
    fn is_same_difference(&self, other: &Self) -> bool {
        *self == Self { theirs_timestamp: self.theirs_timestamp, ..other.clone() }
    }
}

fn divergence(witness: &Witness, fork: &Fork) -> Divergence {
    Divergence {
        height: fork.height,
        ours: fork.ours,
        theirs: fork.theirs,
        witness: witness.clone(),
        last_common_height: fork.last_common,
        theirs_timestamp: fork.newest.timestamp,
    }
}
