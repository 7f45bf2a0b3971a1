//! Guests: nodes that dialled this one and that it cannot dial. They tell an authority which sealed head they have.
//!
//! In the plainest network only the follower has a seed, and sits behind a router: nobody but the follower can say that
//! the authority's database is an older copy.

use super::messages::{Effect, ExpectedGuests, KnownHead, Target, Witness};
use super::state::State;
use super::verdict::Fork;
use crate::callboard::Role;
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A guest behind whose head the authority is tells it about once a second. One that is silent for longer than this is
/// gone.
const GUEST_SILENCE: Duration = Duration::from_secs(10);
/// Guests whose heads are kept in mind; sessions are bounded besides.
const MAX_GUESTS: usize = 256;

/// The guests of this run, and those that are waited for.
#[derive(Debug)]
pub(super) struct Guests {
    awaited: Option<BTreeSet<NodeId>>,
    heads: BTreeMap<NodeId, (KnownHead, Duration)>,
}

impl Guests {
    /// None has come yet.
    pub(super) fn new(expected: &ExpectedGuests) -> Self {
        let awaited = match expected {
            ExpectedGuests::These(guests) => Some(guests.clone()),
            ExpectedGuests::Unknown => None,
        };
        Self { awaited, heads: BTreeMap::new() }
    }

    /// Whether nobody is waited for any more.
    pub(super) fn have_come(&self) -> bool {
        self.awaited.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// It has shown its head, as a guest or as a peer.
    pub(super) fn came(&mut self, node: NodeId) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&node);
        }
    }

    fn shows(&mut self, now: Duration, guest: NodeId, head: KnownHead) {
        self.came(guest);
        if self.heads.len() < MAX_GUESTS || self.heads.contains_key(&guest) {
            self.heads.insert(guest, (head, now));
        }
    }

    /// Forgets those that are gone: who they are.
    fn take_silent(&mut self, now: Duration) -> Vec<NodeId> {
        let is_gone = |at: Duration| now.saturating_sub(at) > GUEST_SILENCE;
        let gone: Vec<_> = self.heads.iter().filter(|(_, (_, at))| is_gone(*at)).map(|(guest, _)| *guest).collect();
        gone.iter().for_each(|guest| _ = self.heads.remove(guest));
        gone
    }

    /// What the guest has shown last.
    pub(super) fn head_of(&self, guest: NodeId) -> Option<KnownHead> {
        self.heads.get(&guest).map(|(head, _)| *head)
    }

    /// Whether it was heard of lately.
    pub(super) fn is_here(&self, guest: NodeId) -> bool {
        self.heads.contains_key(&guest)
    }

    /// The newest head above `height` of a guest that `is_wanted`.
    pub(super) fn newest_above(&self, height: u64, is_wanted: impl Fn(NodeId) -> bool) -> Option<Target> {
        let heads = self.heads.iter().filter(|(guest, _)| is_wanted(**guest));
        let targets = heads.map(|(guest, (head, _))| Target { peer: *guest, head: *head });
        targets.filter(|target| target.head.height > height).max_by_key(|target| target.head.rank())
    }
}

impl State {
    /// On an authority: a node that dialled this one shows a head whose seal is valid; `ours` is the hash of our block at
    /// that height, if we have one. One that was dialled, too, is asked for its head and its blocks.
    pub fn on_guest_head(
        &mut self,
        now: Duration,
        wall: u64,
        guest: NodeId,
        head: KnownHead,
        ours: Option<B256>,
    ) -> Vec<Effect> {
        if self.setup.role != Role::Authority || self.peers.iter().any(|(peer, _)| peer == guest) {
            self.guests.came(guest);
            return self.decide(now, wall);
        }
        self.guests.shows(now, guest, head);
        let mut effects = Vec::new();
        if self.is_different(guest, head, ours) {
            effects.extend(self.on_difference(now, guest, head, ours));
        } else if ours.is_some() {
            self.on_agreement(now, guest);
        }
        effects.extend(self.decide(now, wall));
        effects
    }

    /// A guest that shows another branch has pushed a block of another branch that stands on ours. It cannot be asked, and
    /// looks for where the chains part by itself: this is what it has found.
    pub fn on_first_difference(&mut self, guest: NodeId, block: KnownHead, ours: B256) {
        let shows_it = |fork: &Fork| !fork.searched && fork.height >= block.height;
        if !self.guests.is_here(guest) || !self.verdict.of_peer(guest).is_some_and(shows_it) {
            return;
        }
        self.verdict.found(guest, block.height, Some(ours), block.hash);
        if self.setup.accepted.contains(&(block.height, block.hash)) {
            self.verdict.accept(&Witness::Peer(guest));
        }
    }

    /// What a guest has shown counts as that of a peer that is gone once it is silent.
    pub(super) fn forget_silent_guests(&mut self, now: Duration) {
        for guest in self.guests.take_silent(now) {
            if !self.peers.iter().any(|(peer, _)| peer == guest) {
                self.verdict.withdraw(now, guest);
            }
        }
    }
}
