//! What the core decides from what it knows: questions, fetches, phase, permission. Run after each event.

use super::messages::{Effect, QuestionId, Target};
use super::peers::{PeerView, Peers};
use super::search::{Difference, Search, Step};
use super::state::{Asked, Comparison, FrontWatch, Live, STALE_HEARTBEATS, State, stop};
use super::verdict::Circumstances;
use super::window::Awaited;
use crate::callboard::{Phase, Role};
use crate::transport::NodeId;
use std::time::Duration;

/// A live stream may lag this many blocks before the node says it is catching up.
const LIVE_LAG_BLOCKS: u64 = 64;
/// Behind a sealed target and without progress for this long, a live stream is given up.
const LIVE_LAG_TIME: Duration = Duration::from_secs(2);
/// Ranges under way from one peer: one comes while the next one is on its way, so that nothing waits between them.
const FETCHES_PER_PEER: usize = 2;
/// Ranges under way from all peers. Each may hold a block beyond the bound in bytes.
const MAX_FETCHES: usize = 8;
/// The importer waits this long in all for a range at the front, and a second more for each [`FRONT_BYTES_A_SECOND`]
/// that came, before the rest is handed to somebody else. Many times what a range takes, and so short that strangers
/// who bring blocks one by one cost a node little.
const FRONT_PATIENCE: Duration = Duration::from_secs(3);
/// Half a megabit a second: over a slower link nobody is waited for who need not be.
const FRONT_BYTES_A_SECOND: u64 = 64 << 10;
/// Each hand-over without a block between doubles the patience, at most so often: where everybody is slow, the link is
/// this node's own, and a block that is on its way must be let come.
const MAX_PATIENCE_DOUBLINGS: u32 = 4;
/// A question for one block is given up after this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer on another branch that has moved on since is looked at again this often: it may have come back.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl State {
    pub(super) fn decide(&mut self, now: Duration, wall: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.forget_silent_guests(now);
        self.refresh_target(now);
        self.decide_search(now, &mut effects);
        self.ask_for_branches(now, &mut effects);
        effects.extend(self.verdict.judge(self.circumstances(now, wall)));
        self.decide_fetches(now, wall, &mut effects);
        self.decide_pace(&mut effects);
        self.decide_phase(now, wall, &mut effects);
        self.decide_proposing(now, &mut effects);
        effects
    }

    fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// A sealed head above ours stays the target until it is reached or known to be of another branch, also when its
    /// peer is gone.
    fn refresh_target(&mut self, now: Duration) {
        let head = self.head;
        let is_ahead = |target: &Target| target.head.height > head.height && target.head.timestamp >= head.timestamp;
        let verdict = &self.verdict;
        self.target.take_if(|target| !is_ahead(target) || verdict.of_peer(target.peer).is_some());
        let guest = self.guests.newest_above(head.height, |guest| verdict.of_peer(guest).is_none());
        let shown = [self.peers.newest_above(head.height), guest];
        if let Some(newest) = shown.into_iter().flatten().filter(is_ahead).max_by_key(|target| target.head.rank())
            && self.target.is_none_or(|target| target.head.rank() < newest.head.rank())
        {
            self.target = Some(newest);
            self.target_since = now;
        }
        let behind = self.is_behind();
        if behind && !self.was_behind {
            self.progress_at = now;
            self.behind_since = now;
        }
        self.was_behind = behind;
    }

    fn circumstances(&self, now: Duration, wall: u64) -> Circumstances {
        let authority = self.setup.role == Role::Authority;
        let target_is_fresh = self.target.is_some_and(|target| !self.is_stale(target.head.timestamp, wall));
        // An authority that has all it ever sealed can extend its own branch at any time.
        let ours_alive = self.is_fresh(now, wall) || target_is_fresh || (authority && !self.is_below_mark());
        Circumstances { now, wall, ours_alive, sticky: authority }
    }

    fn decide_search(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(asked) = self.search_asked.take_if(|asked| is_late(asked, now)) {
            self.search = None;
            self.peers.pause(now, asked.peer);
        }
        self.comparison.take_if(|comparison| is_late(&comparison.asked, now));
        if self.search.is_none() {
            self.search = self.next_search(now);
            // A difference in block 1 needs no question.
            self.end_search(now);
        }
        if self.search_asked.is_none()
            && let Some(search) = &self.search
            && let Step::Ask(height) = search.step()
        {
            let peer = search.peer;
            self.search_asked = Some(self.ask(now, peer, height, effects));
        }
    }

    fn next_search(&mut self, now: Duration) -> Option<Search> {
        let (our_head, accepted) = (self.head.height, &self.setup.accepted);
        let unsearched = self.verdict.unsearched().find(|(peer, _)| self.peers.is_usable(now, *peer));
        if let Some((peer, fork)) = unsearched {
            let seen = Difference { height: fork.height, ours: fork.ours, theirs: fork.theirs };
            return Some(Search::new(peer, seen, fork.newest, our_head, accepted));
        }
        let moved_on = self.peers.iter().find(|(peer, view)| {
            view.differs
                && view.head.is_some_and(|head| head.height > our_head)
                && view.head_hash() != view.looked_at
                && now >= view.look_again_at
                && self.peers.is_usable(now, *peer)
        });
        let peer = moved_on.map(|(peer, _)| peer)?;
        let fork = self.verdict.of_peer(peer)?;
        let seen = Difference { height: fork.height, ours: fork.ours, theirs: fork.theirs };
        let search = Search::again(peer, seen, fork.newest, accepted);
        if let Some(view) = self.peers.get_mut(peer) {
            view.looked_at = view.head_hash();
            view.look_again_at = now.saturating_add(LOOK_AGAIN);
        }
        (seen.height <= our_head).then_some(search)
    }

    /// The live stream of one peer says nothing of another one that is ahead: its branch may be another one, which can
    /// be seen at our head. And where a block of another branch was brought, peers may show its branch.
    fn ask_for_branches(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(late) = self.branch_asked.take_if(|asked| is_late(asked, now)) {
            self.peers.pause(now, late.peer);
        }
        self.peers.watch_ahead(now, self.head.height);
        if self.branch_asked.is_none()
            && let Some((peer, height)) = self.about_a_block(now).or_else(|| self.at_our_head(now))
        {
            self.branch_asked = Some(self.ask(now, peer, height, effects));
        }
    }

    fn about_a_block(&mut self, now: Duration) -> Option<(NodeId, u64)> {
        let our_head = self.head.height;
        let peers = &self.peers;
        let (peer, height, hash) = self
            .verdict
            .unplaced()
            .filter(|(height, _)| *height <= our_head)
            .find_map(|(height, hash)| Some((peers.to_ask_about(now, height, hash)?, height, hash)))?;
        self.peers.get_mut(peer)?.asked_about = Some(hash);
        Some((peer, height))
    }

    fn at_our_head(&mut self, now: Duration) -> Option<(NodeId, u64)> {
        self.live?;
        let peer = self.peers.stays_ahead(now, LIVE_LAG_TIME)?;
        self.peers.get_mut(peer)?.ask_at_head_at = now.saturating_add(LOOK_AGAIN);
        (self.head.height > 0).then_some((peer, self.head.height))
    }

    fn ask(&mut self, now: Duration, peer: NodeId, height: u64, effects: &mut Vec<Effect>) -> Asked {
        let id: QuestionId = self.next_id();
        effects.push(Effect::AskBlock { id, peer, height });
        Asked { id, peer, height, since: now }
    }

    fn decide_fetches(&mut self, now: Duration, wall: u64, effects: &mut Vec<Effect>) {
        if self.halted.is_some() {
            if !self.window.is_empty() || self.live.is_some() {
                effects.extend(self.drop_fetched());
            }
            return;
        }
        if self.live.is_some() && self.live_stream_lags(now) {
            self.give_live_up(now, effects);
        }
        if self.live.is_some() {
            return;
        }
        self.left_in_doubt &= !self.window.is_empty();
        if self.may_lead_elsewhere(now, wall) {
            effects.extend(self.drop_fetched());
        }
        self.give_up_what_stands_still(now, wall, effects);
        match self.goal(now, wall) {
            Some(goal) if self.may_be_dead(&goal, now, wall) => {}
            Some(goal) => {
                self.compare_peers(now, wall, &goal, effects);
                self.fetch_ranges(now, &goal, effects);
            }
            None => self.follow(now, effects),
        }
    }

    /// Where the next block has come and is not imported yet, this node is the slow one.
    fn give_live_up(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(live) = self.live.take() {
            effects.extend(stop([live.id]));
            if live.came.is_none_or(|came| came < self.window.front()) {
                self.peers.on_stream_failed(now, live.peer);
            }
        }
    }

    fn give_up_what_stands_still(&mut self, now: Duration, wall: u64, effects: &mut Vec<Effect>) {
        self.watch_front(now);
        let Some(awaited) = self.window.awaited() else { return };
        let since = self.progress_at.max(self.front_asked_at);
        if now.saturating_sub(since) > self.setup.stall_after {
            effects.extend(stop(self.window.give_up(awaited.peer)));
            self.peers.pause(now, awaited.peer);
        } else if self.is_kept_waiting(&awaited) && self.could_be_taken_over(now, wall, awaited.peer) {
            effects.extend(stop(self.window.give_up(awaited.peer)));
            self.peers.on_slow(now, awaited.peer);
            self.hand_overs = self.hand_overs.saturating_add(1).min(MAX_PATIENCE_DOUBLINGS);
        }
    }

    /// Counts the time in which nothing could be imported because the block at the front had not come.
    fn watch_front(&mut self, now: Duration) {
        let before = self.front_watch.take();
        self.front_watch = self.window.awaited().map(|awaited| {
            let same = before.filter(|watch| watch.id == awaited.id);
            let waited = same.map_or(Duration::ZERO, |watch| match watch.is_missing {
                true => watch.waited.saturating_add(now.saturating_sub(watch.looked_at)),
                false => watch.waited,
            });
            FrontWatch { id: awaited.id, is_missing: awaited.is_missing, looked_at: now, waited }
        });
    }

    /// Whether who brings the front brings it so slowly that it holds the node up.
    fn is_kept_waiting(&self, awaited: &Awaited) -> bool {
        let patience = FRONT_PATIENCE.saturating_mul(1 << self.hand_overs);
        let earned = Duration::from_millis(awaited.bytes.saturating_mul(1_000) / FRONT_BYTES_A_SECOND);
        self.front_watch.is_some_and(|watch| watch.waited > patience.saturating_add(earned))
    }

    /// Whether somebody else, who has not kept us waiting lately, has the front and nothing better to do.
    fn could_be_taken_over(&self, now: Duration, wall: u64, from: NodeId) -> bool {
        let Some(goal) = self.goal(now, wall) else { return false };
        let front = self.window.front();
        self.peers.usable(now).any(|(peer, view)| {
            peer != from
                && !view.is_slow(now)
                && self.window.fetches_of(peer) < FETCHES_PER_PEER
                && Peers::leads_through(view, peer, &goal).is_some_and(|through| through >= front)
        })
    }

    fn fetch_ranges(&mut self, now: Duration, goal: &Target, effects: &mut Vec<Effect>) {
        while self.window.fetches() < MAX_FETCHES {
            let Some((from, through)) = self.window.next_hole(goal.head.height) else { break };
            let Some((peer, leads_through)) = self.source(now, goal, from) else { break };
            let (id, through) = (self.next_id(), through.min(leads_through));
            if from == self.window.front() {
                self.front_asked_at = now;
            }
            self.window.start(id, peer, from, through);
            effects.push(Effect::FetchRange { id, peer, from, through });
        }
    }

    /// Who is asked for the block at `from`, and how far its blocks lead to the goal: the peer with the least to do.
    /// One that lately kept the front waiting is asked only where it is the only one that could be.
    fn source(&self, now: Duration, goal: &Target, from: u64) -> Option<(NodeId, u64)> {
        let window = &self.window;
        let able = || {
            self.peers
                .usable(now)
                .filter_map(|(peer, view)| Some((peer, view, Peers::leads_through(view, peer, goal)?)))
                .filter(|(_, _, through)| *through >= from)
        };
        let all_are_slow = able().all(|(_, view, _)| view.is_slow(now));
        able()
            .filter(|(peer, view, _)| {
                (all_are_slow || !view.is_slow(now)) && window.fetches_of(*peer) < FETCHES_PER_PEER
            })
            .min_by_key(|(peer, view, _)| {
                // What is at the front holds everything up: whoever has helped before comes first, however busy.
                let is_unproven = from == window.front() && !view.has_helped();
                (is_unproven, window.fetches_of(*peer), view.failures(), *peer != goal.peer)
            })
            .map(|(peer, _, through)| (peer, through))
    }

    /// Blocks of several peers are put together only where the peers are known to be on one branch: a peer on a dead
    /// branch below the target must not lead a node that catches up onto it.
    /// Over a short way that is worth a question only of who helps in no other way.
    fn compare_peers(&mut self, now: Duration, wall: u64, goal: &Target, effects: &mut Vec<Effect>) {
        let front = self.window.front();
        let is_long = goal.head.height.saturating_sub(front) >= self.window.range_blocks();
        if self.comparison.is_some() {
            return;
        }
        let living = self.living(now, wall);
        let helps = |view: &PeerView| living.is_none_or(|living| self.shows_life(view, &living));
        if let Some((peer, head)) = self.peers.to_compare(now, goal, front, |view| is_long || !helps(view)) {
            let asked = self.ask(now, goal.peer, head.height, effects);
            self.comparison = Some(Comparison { asked, peer, head });
        }
    }

    fn follow(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.setup.role == Role::Authority || !self.window.is_empty() || self.lag() > 0 {
            return;
        }
        if let Some(peer) = self.peers.live_source(now) {
            let id = self.next_id();
            self.live = Some(Live { id, peer, came: None });
            effects.push(Effect::FollowLive { id, peer, from: self.window.front() });
        }
    }

    /// The highest block of the confirmed state, durable or not.
    pub(super) fn imported(&self) -> u64 {
        self.window.front().saturating_sub(1)
    }

    /// How many blocks the target is ahead of what is imported.
    fn lag(&self) -> u64 {
        self.target.map_or(0, |target| target.head.height.saturating_sub(self.imported()))
    }

    fn live_stream_lags(&self, now: Duration) -> bool {
        let lag = self.lag();
        lag > LIVE_LAG_BLOCKS || (lag > 0 && now.saturating_sub(self.progress_at) > LIVE_LAG_TIME)
    }

    fn decide_pace(&mut self, effects: &mut Vec<Effect>) {
        let each_block = self.window.is_empty();
        if self.each_block != Some(each_block) {
            self.each_block = Some(each_block);
            effects.push(Effect::Pace { each_block });
        }
    }

    fn decide_phase(&mut self, now: Duration, wall: u64, effects: &mut Vec<Effect>) {
        let phase = self.phase_now(now, wall);
        if phase != self.phase {
            if self.setup.role == Role::Authority && phase == Phase::Stalled && self.is_behind() {
                self.gave_up_at = Some(self.progress_at);
            }
            self.phase = phase;
            effects.push(Effect::PhaseChanged(phase));
        }
    }

    fn phase_now(&self, now: Duration, wall: u64) -> Phase {
        if self.verdict.divergence().is_some() {
            Phase::Diverged
        } else if self.halted.is_some() {
            Phase::Stalled
        } else if self.verdict.is_pending() {
            Phase::CatchingUp
        } else if self.setup.role == Role::Authority {
            self.authority_phase(now)
        } else {
            self.follower_phase(now, wall)
        }
    }

    fn follower_phase(&self, now: Duration, wall: u64) -> Phase {
        if !self.has_heard_a_seed(now) {
            Phase::CatchingUp
        } else if self.is_behind() {
            self.phase_behind(now)
        } else if self.is_fresh(now, wall) {
            Phase::Following
        } else {
            Phase::Stalled
        }
    }

    /// A short lag of the live stream is no gap. Whoever is behind and gets no block for long is stalled, whatever it
    /// tries meanwhile: only a block changes that.
    fn phase_behind(&self, now: Duration) -> Phase {
        if self.live.is_some() && !self.lags_in_time(now) {
            self.phase
        } else if self.is_stuck(now) {
            Phase::Stalled
        } else {
            Phase::CatchingUp
        }
    }

    /// Behind for some time, by more than that time of the chain: whatever the stream brings, this node is not in sync.
    /// The next block of a chain that was idle is no lag, nor is one that is just being executed.
    fn lags_in_time(&self, now: Duration) -> bool {
        let missing = self.target.map_or(0, |target| target.head.timestamp.saturating_sub(self.head.timestamp));
        now.saturating_sub(self.behind_since) > LIVE_LAG_TIME && missing > LIVE_LAG_TIME.as_secs()
    }

    /// An authority that is level with everything it ever sealed, and with its peers, follows itself.
    /// One that has sealed nothing for three heartbeats (its disk is full, its clocks disagree) is stalled.
    fn authority_phase(&self, now: Duration) -> Phase {
        let is_here = self.target.is_some_and(|Target { peer: of, .. }| {
            self.peers.iter().any(|(peer, _)| peer == of) || self.guests.is_here(of)
        });
        // Its going and coming alone is no progress.
        let reachable = is_here && self.gave_up_at != Some(self.progress_at);
        if self.damaged.is_some() {
            Phase::Stalled
        } else if !self.start_wait_is_over(now) || (self.is_behind() && reachable && !self.is_stuck(now)) {
            Phase::CatchingUp
        } else if self.is_below_mark() || now.saturating_sub(self.head_since) > self.stale_after() {
            Phase::Stalled
        } else {
            Phase::Following
        }
    }

    fn decide_proposing(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let may = self.setup.role == Role::Authority
            && self.verdict.divergence().is_none()
            && !self.verdict.is_pending()
            && self.halted.is_none()
            && self.damaged.is_none()
            && self.start_wait_is_over(now)
            && !self.is_below_mark();
        if may != self.proposing {
            self.proposing = may;
            effects.push(Effect::Permission { may_propose: may });
        }
    }

    pub(super) fn start_wait_is_over(&self, now: Duration) -> bool {
        (self.peers_answered && self.guests.have_come()) || now >= self.setup.start_wait
    }

    /// Nobody is in sync who has not asked: while a first answer may still come, the node waits for it.
    fn has_heard_a_seed(&self, now: Duration) -> bool {
        !self.setup.has_seeds || self.peers.any_heard() || self.start_wait_is_over(now)
    }

    /// Below what this authority has sealed, as far as its high-water mark or any peer has shown.
    pub(super) fn is_below_mark(&self) -> bool {
        self.head.height < self.mark()
    }

    pub(super) fn mark(&self) -> u64 {
        let shown = self.target.map_or(0, |target| target.head.height);
        self.setup.high_water.unwrap_or_default().max(shown).max(self.own_block)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind_blocks() > 0
    }

    /// Behind, and no block for so long that it has to be said.
    pub fn is_stuck(&self, now: Duration) -> bool {
        self.is_behind() && now.saturating_sub(self.progress_at) > self.setup.stall_after
    }

    /// Whether the head is younger than three heartbeats: by its timestamp, and by the time it has been the head here,
    /// which a clock that is ahead cannot stretch.
    pub fn is_fresh(&self, now: Duration, wall: u64) -> bool {
        !self.is_stale(self.head.timestamp, wall) && now.saturating_sub(self.head_since) <= self.stale_after()
    }

    pub(super) fn is_stale(&self, timestamp: u64, wall: u64) -> bool {
        wall.saturating_sub(timestamp) > self.stale_seconds()
    }

    pub(super) fn stale_after(&self) -> Duration {
        Duration::from_secs(self.stale_seconds())
    }

    pub(super) fn stale_seconds(&self) -> u64 {
        self.setup.heartbeat_seconds.saturating_mul(STALE_HEARTBEATS)
    }
}

fn is_late(asked: &Asked, now: Duration) -> bool {
    now.saturating_sub(asked.since) > QUESTION_TIMEOUT
}
