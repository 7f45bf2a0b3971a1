//! Which of the branches that are shown is alive. A follower that has taken a block of a dead branch gets back only by its
//! operator, so while it knows a living head it takes nothing that does not lead there.

use super::messages::{KnownHead, Target};
use super::peers::PeerView;
use super::state::{STALE_HEARTBEATS, State};
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
        let living = self.living(wall);
        let may_come = self.setup.role == Role::Follower && self.setup.has_seeds && !self.start_wait_is_over(now);
        let older_than = wall.saturating_sub(self.setup.heartbeat_seconds.saturating_mul(STALE_HEARTBEATS));
        (living.is_some() || may_come).then_some(LiveFloor { older_than, living })
    }

    /// The living head above ours, where one was shown. It counts until it is stale, also when who showed it fails or is
    /// gone: who shows it and sends nothing holds a follower up no longer than that. Where this node is diverged it may be
    /// of the other branch, and what extends ours is taken.
    pub(super) fn living(&self, wall: u64) -> Option<KnownHead> {
        let may_follow = self.setup.role == Role::Follower && self.verdict.divergence().is_none();
        let head = self.target.filter(|_| may_follow)?.head;
        (!self.is_stale(head.timestamp, wall)).then_some(head)
    }

    /// The head to fetch, of those that lead to a living one where that is known.
    pub(super) fn goal(&self, now: Duration, wall: u64) -> Option<Target> {
        let any_will_do = self.living(wall).is_none();
        self.peers.goal(now, self.imported(), |view| any_will_do || self.is_alive(view, wall))
    }

    /// Whether the peer shows a living head, or is known to be on the branch of one that does.
    fn is_alive(&self, view: &PeerView, wall: u64) -> bool {
        let shows_life = |view: &PeerView| view.head.is_some_and(|head| !self.is_stale(head.timestamp, wall));
        let same = view.compared.filter(|compared| compared.same && Some(compared.head) == view.head);
        shows_life(view) || same.is_some_and(|compared| self.peers.get(compared.with).is_some_and(shows_life))
    }

    /// Of what the first peer to answer shows, a follower that starts takes only a living branch before the others have had
    /// the time to answer.
    pub(super) fn may_be_dead(&self, goal: &Target, now: Duration, wall: u64) -> bool {
        self.live_floor(now, wall).is_some_and(|floor| floor.living.is_none() && floor.holds_back(&goal.head))
    }

    /// Whether what is fetched was asked for before anybody showed a living head: it may not lead there.
    pub(super) fn is_fetched_blindly(&self, wall: u64) -> bool {
        self.fetched_blindly && self.living(wall).is_some()
    }

    /// Whose blocks may be asked for: not this one's, while nothing is known of a living branch.
    pub(super) fn is_blind(&self, goal: &Target, wall: u64) -> bool {
        self.living(wall).is_none() && self.is_stale(goal.head.timestamp, wall)
    }
}
