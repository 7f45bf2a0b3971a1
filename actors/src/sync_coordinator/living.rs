//! Which of the branches that are shown is alive. A follower that has taken a block of a dead branch gets back only by its
//! operator, so while it knows a living head it takes nothing that does not lead there.

use super::messages::{KnownHead, Target, Witness};
use super::peers::PeerView;
use super::state::State;
use crate::callboard::Role;
use std::time::Duration;

/// Until when a block that is brought unasked, pushed or on a live stream, may be of a dead branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveFloor {
    /// A block of before this time, in unix seconds, is no news.
    pub older_than: u64,
    /// The living head that is known; none where seeds may still show one.
    pub living: Option<KnownHead>,
}

impl LiveFloor {
    /// Whether this block is fetched, or not had, rather than taken from whoever brings it.
    pub fn holds_back(&self, block: &KnownHead) -> bool {
        block.timestamp < self.older_than
    }
}

impl State {
    /// What a follower takes of blocks that it did not ask for; `None`: all that extend its chain. What an authority is
    /// brought is its own, whatever its age.
    pub fn live_floor(&self, now: Duration, wall: u64) -> Option<LiveFloor> {
        let living = self.living(now, wall);
        let may_come = self.setup.role == Role::Follower && self.setup.has_seeds && !self.start_wait_is_over(now);
        let older_than = wall.saturating_sub(self.stale_seconds());
        (living.is_some() || may_come).then_some(LiveFloor { older_than, living })
    }

    /// The living head above ours, where one was shown. It counts until it is stale, by its timestamp or by the time since it
    /// was shown, also when who showed it fails or is gone. Where this node is diverged from another branch of its chain it
    /// may be of that one, and what extends ours is taken.
    pub(super) fn living(&self, now: Duration, wall: u64) -> Option<KnownHead> {
        let diverged = self.verdict.divergence().is_some_and(|found| !matches!(found.witness, Witness::Seed(_)));
        let head = self.target.filter(|_| self.setup.role == Role::Follower && !diverged)?.head;
        let is_new = now.saturating_sub(self.target_since) <= self.stale_after();
        (is_new && !self.is_stale(head.timestamp, wall)).then_some(head)
    }

    /// The head to fetch, of those that lead to a living one where that is known.
    pub(super) fn goal(&self, now: Duration, wall: u64) -> Option<Target> {
        let living = self.living(now, wall);
        self.peers.goal(now, self.imported(), |view| match living {
            Some(living) => self.leads_to_life(view, &living),
            None => view.head,
        })
    }

    /// How far the peer's blocks lead to a living head, as far as is known: to its own, or to the one that somebody who shows
    /// life has, too.
    fn leads_to_life(&self, view: &PeerView, living: &KnownHead) -> Option<KnownHead> {
        if self.shows_life(view, living) {
            return view.head;
        }
        let same = view.compared.filter(|compared| compared.same)?;
        self.peers.get(same.with).is_some_and(|with| self.shows_life(with, living)).then_some(same.head)
    }

    /// Whether the peer shows a head about as new as the living one. By that and not by our clock: what it shows does not
    /// grow old while it waits for the next block.
    pub(super) fn shows_life(&self, view: &PeerView, living: &KnownHead) -> bool {
        let oldest = living.timestamp.saturating_sub(self.stale_seconds());
        view.head.is_some_and(|head| head.timestamp >= oldest)
    }

    /// Of what the first peer to answer shows, a follower that starts takes only a living branch before the others have had
    /// the time to answer.
    pub(super) fn may_be_dead(&self, goal: &Target, now: Duration, wall: u64) -> bool {
        self.live_floor(now, wall).is_some_and(|floor| floor.living.is_none() && floor.holds_back(&goal.head))
    }

    /// Whether something that is being fetched, or waits to be imported, was asked for before anybody showed a living head,
    /// of a peer that is not known to lead there.
    pub(super) fn may_lead_elsewhere(&self, now: Duration, wall: u64) -> bool {
        let Some(living) = self.living(now, wall) else { return false };
        let leads = |peer| match self.peers.get(peer) {
            Some(view) => self.leads_to_life(view, &living).is_some(),
            None => !self.left_in_doubt,
        };
        self.window.sources().any(|peer| !leads(peer))
    }
}
