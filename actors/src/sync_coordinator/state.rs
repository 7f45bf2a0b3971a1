//! The sync coordinator's core: which phase the node is in, from whom it fetches, whether its chain differs from a
//! peer's, and whether it may propose.
//!
//! Pure: events and time come in, effects go out; `now` is monotonic, `wall` unix seconds. A peer's word is a claim:
//! only [`KnownHead`]s, whose header carries the authority's valid seal, move the target, and only durable blocks move
//! the head. Here are the events; what follows from them is decided in `decide.rs`.

use super::guests::Guests;
use super::messages::{
    Answer, Divergence, Effect, FetchEnd, FetchId, ForeignGenesis, ImportEnd, KnownHead, PeerFigures, QuestionId,
    Setup, Standing, Target, Witness,
};
use super::peers::{Compared, PeerView, Peers};
use super::search::{Search, Step};
use super::verdict::Verdict;
use super::window::Window;
use crate::callboard::{Phase, Role};
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::time::Duration;

/// A head older than this many heartbeats is stale: the chain is hidden from us, or its authority is gone.
pub const STALE_HEARTBEATS: u64 = 3;

/// A stream of what a peer confirms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    pub(super) id: FetchId,
    pub(super) peer: NodeId,
    /// The last block that has come on it.
    pub(super) came: Option<u64>,
}

/// A question that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: QuestionId,
    pub(super) peer: NodeId,
    pub(super) height: u64,
    pub(super) since: Duration,
}

/// Whether two peers are on one branch is being asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    pub(super) asked: Asked,
    pub(super) peer: NodeId,
    pub(super) head: KnownHead,
}

/// For how long the range at the front has held everything up.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrontWatch {
    pub(super) id: FetchId,
    /// When it was looked at last, and whether the block at the front had not come then.
    pub(super) looked_at: Duration,
    pub(super) is_missing: bool,
    /// The time in which that was so.
    pub(super) waited: Duration,
}

/// Everything the coordinator knows.
#[derive(Debug)]
pub struct State {
    pub(super) setup: Setup,
    pub(super) head: KnownHead,
    pub(super) head_since: Duration,
    pub(super) phase: Phase,
    pub(super) peers: Peers,
    pub(super) guests: Guests,
    pub(super) peers_answered: bool,
    /// The newest sealed head above ours that was ever shown: a seal proves for ever that the block exists.
    pub(super) target: Option<Target>,
    /// Since when that is the newest.
    pub(super) target_since: Duration,
    /// The highest block with this authority's own seal that was handed to it and that it lacked.
    pub(super) own_block: u64,
    pub(super) window: Window,
    /// Some of what waits there came from somebody who is gone since, while no living head was known.
    pub(super) left_in_doubt: bool,
    pub(super) live: Option<Live>,
    /// When the last block was imported, or the node fell behind.
    pub(super) progress_at: Duration,
    /// When the block at the front was asked for, if it has not come since.
    pub(super) front_asked_at: Duration,
    pub(super) front_watch: Option<FrontWatch>,
    /// How often the front was handed to another peer since the last block.
    pub(super) hand_overs: u32,
    pub(super) was_behind: bool,
    /// Since when, without a break.
    pub(super) behind_since: Duration,
    /// An authority gave up catching up when this was [`Self::progress_at`], because the peer was gone.
    pub(super) gave_up_at: Option<Duration>,
    pub(super) verdict: Verdict,
    pub(super) search: Option<Search>,
    pub(super) search_asked: Option<Asked>,
    pub(super) comparison: Option<Comparison>,
    /// A peer is asked whether its branch is another one.
    pub(super) branch_asked: Option<Asked>,
    pub(super) last_id: u64,
    pub(super) each_block: Option<bool>,
    pub(super) proposing: bool,
    pub(super) halted: Option<String>,
    /// What is wrong with the stored chain, and what to do about it.
    pub(super) damaged: Option<String>,
}

impl State {
    /// Starts at the durable head, catching up until the peers or the head's age say otherwise.
    pub fn new(setup: Setup, now: Duration) -> Self {
        let head = setup.head;
        let stale_after = Duration::from_secs(setup.heartbeat_seconds.saturating_mul(STALE_HEARTBEATS));
        Self {
            window: Window::new(setup.window_blocks, head.height.saturating_add(1)),
            verdict: Verdict::new(stale_after),
            guests: Guests::new(&setup.guests),
            setup,
            head,
            head_since: now,
            phase: Phase::CatchingUp,
            peers: Peers::default(),
            peers_answered: false,
            target: None,
            own_block: 0,
            target_since: now,
            left_in_doubt: false,
            live: None,
            progress_at: now,
            front_asked_at: now,
            front_watch: None,
            hand_overs: 0,
            was_behind: false,
            behind_since: now,
            gave_up_at: None,
            search: None,
            search_asked: None,
            comparison: None,
            branch_asked: None,
            last_id: 0,
            each_block: None,
            proposing: false,
            halted: None,
            damaged: None,
        }
    }

    /// A session with the peer at `url` stands: its genesis is ours.
    pub fn on_peer_connected(&mut self, now: Duration, wall: u64, peer: NodeId, url: &str) -> Vec<Effect> {
        self.peers.entry(peer);
        self.verdict.seed_agrees(url);
        self.decide(now, wall)
    }

    /// A session ended.
    pub fn on_peer_lost(&mut self, now: Duration, wall: u64, peer: NodeId) -> Vec<Effect> {
        // Once: what it owed may have failed a moment before.
        if self.owes_something(peer) && self.peers.is_usable(now, peer) {
            self.peers.pause(now, peer);
        }
        // What it has brought stays, unless nobody knew a living head then.
        self.left_in_doubt |= self.living(now, wall).is_none() && self.window.holds_any_of(peer);
        self.peers.remove(peer);
        self.verdict.withdraw(now, peer);
        self.forget_questions_to(peer);
        let mut effects = stop(self.window.give_up(peer));
        effects.extend(self.stop_live_of(peer));
        effects.extend(self.decide(now, wall));
        effects
    }

    /// Every seed and remembered peer has answered once, or is known not to.
    pub fn on_peers_answered(&mut self, now: Duration, wall: u64) -> Vec<Effect> {
        self.peers_answered = true;
        self.decide(now, wall)
    }

    /// A peer showed a head whose seal is valid; `ours` is the hash of our block at that height, if we have one.
    pub fn on_peer_head(
        &mut self,
        now: Duration,
        wall: u64,
        peer: NodeId,
        head: KnownHead,
        ours: Option<B256>,
    ) -> Vec<Effect> {
        let differs = self.is_different(peer, head, ours);
        self.guests.came(peer);
        let view = self.peers.entry(peer);
        view.head = Some(head);
        view.agrees = ours == Some(head.hash);
        let mut effects = Vec::new();
        if differs {
            effects.extend(self.on_difference(now, peer, head, ours));
        } else if ours.is_some() {
            self.on_agreement(now, peer);
        }
        effects.extend(self.decide(now, wall));
        effects
    }

    /// A configured seed shows another genesis of this chain's id and authority.
    pub fn on_foreign_genesis(&mut self, now: Duration, wall: u64, found: ForeignGenesis) -> Vec<Effect> {
        let accepted = self.setup.accepted.contains(&(0, found.theirs));
        let ForeignGenesis { seed, ours, theirs, newest_timestamp } = found;
        self.verdict.show_genesis(now, seed.clone(), ours, theirs, newest_timestamp);
        if accepted {
            self.verdict.accept(&Witness::Seed(seed));
        }
        self.decide(now, wall)
    }

    /// Of a fetch that goes on, the blocks through the height `through` have come and are kept, and `bytes` in all.
    /// Nothing is decided: told before the next event.
    pub fn on_came(&mut self, id: FetchId, through: Option<u64>, bytes: u64) {
        if let Some(live) = self.live.as_mut().filter(|live| live.id == id) {
            live.came = through;
        }
        self.window.came(id, through, bytes);
    }

    /// A fetch ended; the blocks through the height `through` came and are kept.
    pub fn on_fetch_ended(
        &mut self,
        now: Duration,
        wall: u64,
        id: FetchId,
        through: Option<u64>,
        end: FetchEnd,
    ) -> Vec<Effect> {
        if let Some(live) = self.live.take_if(|live| live.id == id) {
            if end == FetchEnd::Failed {
                self.peers.on_stream_failed(now, live.peer);
            }
        } else if let Some(ended) = self.window.end(id, through) {
            match end == FetchEnd::Done && ended.complete {
                true => self.peers.on_range(ended.peer),
                false => self.peers.pause(now, ended.peer),
            }
        }
        self.decide(now, wall)
    }

    /// Everything through `height` is part of the confirmed state, though perhaps not durable yet.
    pub fn on_imported(&mut self, now: Duration, wall: u64, height: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if height >= self.window.front() {
            match (self.window.source_of_front(), self.live) {
                (Some(peer), _) => self.peers.forgive(now, peer),
                (None, Some(live)) => {
                    self.peers.forgive(now, live.peer);
                    self.peers.on_streamed(live.peer);
                }
                (None, None) => {}
            }
            self.hand_overs = 0;
            self.progress_at = now;
            self.front_asked_at = now;
            effects.extend(stop(self.window.advance(height.saturating_add(1))));
        }
        effects.extend(self.decide(now, wall));
        effects
    }

    /// A fetched block was not imported. What was fetched after it is dropped and fetched anew.
    pub fn on_import_failed(&mut self, now: Duration, wall: u64, end: ImportEnd) -> Vec<Effect> {
        let mut effects = self.drop_fetched();
        match end {
            ImportEnd::OtherChain { peer, block, ours } => effects.extend(self.on_difference(now, peer, block, ours)),
            ImportEnd::NotNow { peer } | ImportEnd::PeerFault { peer } => self.peers.pause(now, peer),
            ImportEnd::Fault { reason } => self.halted = Some(reason),
        }
        effects.extend(self.decide(now, wall));
        effects
    }

    /// On an authority: a block of this height carries its seal, and it lacks it. It does not propose below that.
    pub fn on_own_block(&mut self, now: Duration, wall: u64, height: u64) -> Vec<Effect> {
        self.own_block = self.own_block.max(height);
        self.decide(now, wall)
    }

    /// A validly sealed block that stands on our chain cannot be confirmed, whoever brought it.
    pub fn on_unconfirmable(&mut self, now: Duration, wall: u64, reason: String) -> Vec<Effect> {
        self.halted.get_or_insert(reason);
        self.decide(now, wall)
    }

    /// The stored chain was found damaged, or whole. What an authority seals on a wrong state, nobody can follow.
    pub fn on_damage(&mut self, now: Duration, wall: u64, damaged: Option<String>) -> Vec<Effect> {
        self.damaged = damaged;
        self.decide(now, wall)
    }

    /// A sealed block that differs from ours was brought by somebody who is not asked for blocks, or before we had one
    /// of its height. It counts for as long as it is fresh.
    pub fn on_other_block(&mut self, now: Duration, wall: u64, block: KnownHead, ours: B256) -> Vec<Effect> {
        let is_accepted = self.setup.accepted.contains(&(block.height, block.hash));
        let is_given_up = self.setup.given_up.after(&block).is_some();
        if !is_accepted && !is_given_up && !self.is_stale(block.timestamp, wall) {
            self.verdict.show_block(now, block, ours);
        }
        self.decide(now, wall)
    }

    /// A block became durable.
    pub fn on_durable(&mut self, now: Duration, wall: u64, head: KnownHead) -> Vec<Effect> {
        self.head = head;
        self.head_since = now;
        self.progress_at = now;
        let mut effects = stop(self.window.advance(head.height.saturating_add(1)));
        effects.extend(self.decide(now, wall));
        effects
    }

    /// A question was answered, or is known not to be.
    pub fn on_answer(&mut self, now: Duration, wall: u64, id: QuestionId, answer: Answer) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(asked) = self.search_asked.take_if(|asked| asked.id == id) {
            self.on_search_answer(now, asked, answer);
        } else if let Some(comparison) = self.comparison.take_if(|comparison| comparison.asked.id == id) {
            self.on_comparison(now, comparison, answer);
        } else if let Some(asked) = self.branch_asked.take_if(|asked| asked.id == id) {
            effects.extend(self.on_branch_answer(now, asked.peer, answer));
        }
        effects.extend(self.decide(now, wall));
        effects
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Duration, wall: u64) -> Vec<Effect> {
        self.decide(now, wall)
    }

    /// Whether a sealed head, beside our block of its height, is of another branch than ours.
    pub(super) fn is_different(&self, peer: NodeId, head: KnownHead, ours: Option<B256>) -> bool {
        match ours {
            Some(ours) => ours != head.hash,
            // Nothing that stands on our head is older than it.
            None => {
                head.timestamp < self.head.timestamp
                    || self.verdict.of_peer(peer).is_some()
                    || self.setup.given_up.after(&head).is_some()
            }
        }
    }

    /// The peer is on another branch than we: nothing of it is imported until it agrees again.
    pub(super) fn on_difference(
        &mut self,
        now: Duration,
        peer: NodeId,
        seen: KnownHead,
        ours: Option<B256>,
    ) -> Vec<Effect> {
        self.verdict.show(now, Witness::Peer(peer), seen, ours);
        self.look_for_what_was_given_up(now, peer, seen);
        if let Some(view) = self.peers.get_mut(peer) {
            view.differs = true;
        }
        let fetches_from_it = self.window.holds_any_of(peer) || self.live.is_some_and(|live| live.peer == peer);
        if fetches_from_it { self.drop_fetched() } else { Vec::new() }
    }

    /// A branch that was given up needs no search. Where somebody has extended it since, it is one like any
    /// other: then it begins where it was given up, and while our head is that block no search would find it.
    fn look_for_what_was_given_up(&mut self, now: Duration, peer: NodeId, seen: KnownHead) {
        if let Some(after) = self.holds_what_is_dead(peer, seen) {
            return self.verdict.give_up(peer, after);
        }
        let Some(after) = self.setup.given_up.after(&seen) else { return self.verdict.look_anew(peer) };
        let shown = self.peers.get_mut(peer).and_then(|view| view.head).or_else(|| self.guests.head_of(peer));
        let newest = shown.filter(|head| head.rank() > seen.rank());
        match newest.filter(|head| self.setup.given_up.after(head).is_none()) {
            None => self.verdict.give_up(peer, after),
            Some(newest) => {
                self.verdict.show(now, Witness::Peer(peer), newest, None);
                self.verdict.look_anew(peer);
                if Some(seen.height) == after.checked_add(1) {
                    self.verdict.found(peer, seen.height, None, seen.hash);
                }
            }
        }
    }

    /// Above our head a peer's block that the operator has accepted as dead is nothing that a search could find. Whoever has
    /// shown it keeps it for as long as it is connected: a node changes its chain only while it is stopped.
    fn holds_what_is_dead(&mut self, peer: NodeId, seen: KnownHead) -> Option<u64> {
        let is_dead = self.setup.accepted.contains(&(seen.height, seen.hash));
        let view = self.peers.get_mut(peer)?;
        if is_dead {
            view.dead_above = seen.height.checked_sub(1);
        }
        view.dead_above.filter(|after| *after >= self.head.height)
    }

    pub(super) fn on_agreement(&mut self, now: Duration, peer: NodeId) {
        self.verdict.agree(now, peer);
        if let Some(view) = self.peers.get_mut(peer) {
            view.differs = false;
        }
        if self.search.as_ref().is_some_and(|search| search.peer == peer) {
            (self.search, self.search_asked) = (None, None);
        }
    }

    fn on_search_answer(&mut self, now: Duration, asked: Asked, answer: Answer) {
        let Some(search) = &mut self.search else { return };
        match answer {
            // Of our own chain every height up to the head is there.
            Answer::Block { theirs, parent, ours } if ours.is_some() => {
                search.on_answer(asked.height, theirs.hash, parent, ours);
            }
            _ => {
                self.search = None;
                self.peers.pause(now, asked.peer);
                return;
            }
        }
        self.end_search(now);
    }

    pub(super) fn end_search(&mut self, now: Duration) {
        let Some(search) = &self.search else { return };
        let (peer, step) = (search.peer, search.step());
        match step {
            Step::Ask(_) => {}
            Step::Agrees => {
                self.on_agreement(now, peer);
                // It has shown something else a moment ago.
                self.peers.pause(now, peer);
            }
            // It is asked again after a while; others that show the branch are asked, too.
            Step::Contradicts => {
                self.search = None;
                self.peers.pause(now, peer);
            }
            Step::Found { difference, accepted } => {
                self.search = None;
                self.verdict.found(peer, difference.height, difference.ours, difference.theirs);
                let newest = self.verdict.of_peer(peer).map(|fork| fork.newest);
                let given_up = newest.and_then(|newest| self.setup.given_up.after(&newest));
                match given_up {
                    Some(after) => self.verdict.give_up(peer, after),
                    None if accepted => self.verdict.accept(&Witness::Peer(peer)),
                    None => {}
                }
            }
        }
    }

    /// A peer that is ahead has answered with its block of a height that we have.
    fn on_branch_answer(&mut self, now: Duration, peer: NodeId, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Block { theirs, ours: Some(ours), .. } if theirs.hash != ours => {
                let effects = self.on_difference(now, peer, theirs, Some(ours));
                if let Some(head) = self.peers.get_mut(peer).and_then(|view| view.head) {
                    self.verdict.show(now, Witness::Peer(peer), head, None);
                }
                self.verdict.place(peer, theirs.hash);
                effects
            }
            Answer::Block { .. } => Vec::new(),
            Answer::Failed => {
                self.peers.pause(now, peer);
                Vec::new()
            }
        }
    }

    fn on_comparison(&mut self, now: Duration, comparison: Comparison, answer: Answer) {
        let Comparison { asked, peer, head } = comparison;
        if matches!(answer, Answer::Failed) {
            self.peers.pause(now, asked.peer);
        }
        let same = matches!(answer, Answer::Block { theirs, .. } if theirs.hash == head.hash);
        if let Some(view) = self.peers.get_mut(peer) {
            view.compared = Some(Compared { with: asked.peer, head, same });
        }
    }

    /// Whether the peer has been asked for something and has not answered. Who hangs up then has failed us, as much as who
    /// is silent: or else a peer that shows the newest head and hangs up whenever it is asked would be asked again and again.
    fn owes_something(&self, peer: NodeId) -> bool {
        let comparison = self.comparison.map(|comparison| comparison.asked);
        let mut asked = [self.search_asked, comparison, self.branch_asked].into_iter().flatten();
        self.window.fetches_of(peer) > 0 || asked.any(|asked| asked.peer == peer)
    }

    fn forget_questions_to(&mut self, peer: NodeId) {
        if self.search.as_ref().is_some_and(|search| search.peer == peer) {
            (self.search, self.search_asked) = (None, None);
        }
        self.comparison.take_if(|comparison| comparison.asked.peer == peer || comparison.peer == peer);
        self.branch_asked.take_if(|asked| asked.peer == peer);
    }

    fn stop_live_of(&mut self, peer: NodeId) -> Vec<Effect> {
        stop(self.live.take_if(|live| live.peer == peer).map(|live| live.id))
    }

    /// Gives everything up that is fetched and not imported.
    pub(super) fn drop_fetched(&mut self) -> Vec<Effect> {
        let mut effects = stop(self.window.clear());
        effects.extend(stop(self.live.take().map(|live| live.id)));
        effects.push(Effect::DropStaged);
        effects
    }

    /// The newest sealed head above ours that any peer of our branch has shown.
    pub fn target(&self) -> Option<Target> {
        self.target
    }

    /// The height that is imported next.
    pub fn front(&self) -> u64 {
        self.window.front()
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The durable head.
    pub fn head(&self) -> KnownHead {
        self.head
    }

    /// How many blocks the target is ahead of the head.
    pub fn behind_blocks(&self) -> u64 {
        self.target.map_or(0, |target| target.head.height.saturating_sub(self.head.height))
    }

    /// The divergence found, if any.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.verdict.divergence()
    }

    /// The first height at which a peer's chain differs from ours, where it is known.
    pub(super) fn first_difference(&self, peer: NodeId) -> Option<u64> {
        self.verdict.of_peer(peer).filter(|fork| fork.searched).map(|fork| fork.height)
    }

    /// Branches that differ from ours and that nobody extends: alarms, but no divergence.
    pub fn dead_branches(&self) -> impl Iterator<Item = Divergence> {
        self.verdict.dead_branches()
    }

    /// Why the node stopped following, if it did.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// Whether the node is in sync: following, and its head is fresh.
    pub fn is_ready(&self, now: Duration, wall: u64) -> bool {
        self.phase == Phase::Following && self.is_fresh(now, wall)
    }

    /// Why the authority does not propose, in words; `None` while it may.
    pub fn waiting_for(&self, now: Duration) -> Option<String> {
        if self.setup.role != Role::Authority || self.proposing {
            return None;
        }
        let mark = self.mark();
        Some(if let Some(damaged) = &self.damaged {
            damaged.clone()
        } else if !self.start_wait_is_over(now) {
            "waiting for its peers to answer".to_owned()
        } else if self.is_behind() {
            format!(
                "its head {} is below {mark}; taking its own blocks back from a peer that has them",
                self.head.height
            )
        } else if self.is_below_mark() {
            format!(
                "its head {} is below {mark}, the highest block it ever sealed; restore a newer database or start a peer that has these blocks; if they are lost for good, stop this node and start it once with --abandon-after {}",
                self.head.height, self.head.height
            )
        } else {
            format!("phase is {}", self.phase.name())
        })
    }

    /// What is known of each peer.
    pub fn peers(&self) -> impl Iterator<Item = PeerFigures> {
        self.peers.iter().map(|(peer, view)| PeerFigures { peer, head: view.head, standing: self.standing(peer, view) })
    }

    fn standing(&self, peer: NodeId, view: &PeerView) -> Standing {
        match (self.verdict.of_peer(peer), view.head) {
            (Some(fork), _) if fork.accepted => Standing::Accepted,
            (Some(_), _) => Standing::Differs,
            (None, None) => Standing::Unknown,
            (None, Some(_)) if view.agrees => Standing::Agrees,
            (None, Some(head)) if head.height > self.head.height => Standing::Ahead,
            (None, Some(_)) => Standing::Agrees,
        }
    }
}

pub(super) fn stop(ids: impl IntoIterator<Item = FetchId>) -> Vec<Effect> {
    ids.into_iter().map(|id| Effect::StopFetch { id }).collect()
}
