//! The sync coordinator's core: which phase the node is in, from whom it fetches, whether it may propose.
//!
//! Pure: events and time come in, effects go out. A peer's word is a claim: only [`KnownHead`]s, whose header carries
//! the authority's valid seal, move the target, and only durable blocks move the head.

use super::messages::{Divergence, Effect, FetchEnd, KnownHead, PeerFigures, Sighting, Target};
use crate::callboard::{Phase, Role};
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::BTreeMap;
use std::time::Duration;

/// A head older than this many heartbeats is stale: the chain is hidden from us, or its authority is gone.
pub const STALE_HEARTBEATS: u64 = 3;
/// A live stream may lag this many blocks before the node says it is catching up.
const LIVE_LAG_BLOCKS: u64 = 64;
/// Behind a sealed target and without progress for this long, a live stream is given up.
const LIVE_LAG_TIME: Duration = Duration::from_secs(2);
/// First pause after a peer failed us; doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause after failures: a seed that comes back is used again within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What the core is told once, at the start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What this node is.
    pub role: Role,
    /// The chain's heartbeat, seconds.
    pub heartbeat_seconds: u64,
    /// The authority waits this long for its peers' first answers.
    pub start_wait: Duration,
    /// A range that makes no block durable for this long is asked of another peer.
    pub stall_after: Duration,
    /// The authority's high-water mark: the highest block it ever sealed.
    pub high_water: Option<u64>,
    /// The durable head at the start.
    pub head: KnownHead,
}

#[derive(Debug, Default)]
struct PeerView {
    head: Option<KnownHead>,
    differs: bool,
    failures: u32,
    paused_until: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Range { peer: NodeId },
    Live { peer: NodeId },
}

/// Everything the coordinator knows.
#[derive(Debug)]
pub struct State {
    setup: Setup,
    head: KnownHead,
    head_since: Duration,
    phase: Phase,
    peers: BTreeMap<NodeId, PeerView>,
    peers_answered: bool,
    /// The highest sealed head that a peer has shown, and who: a seal proves for ever that the block exists. Given up
    /// when that peer's chain turns out to be another one.
    highest_sealed: Option<(NodeId, u64)>,
    /// The highest block with this authority's own seal that was handed to it and that it lacked.
    own_block: u64,
    stream: Option<Stream>,
    stream_since: Duration,
    proposing: bool,
    divergence: Option<Divergence>,
    halted: Option<String>,
}

impl State {
    /// Starts at the durable head, catching up until the peers or the head's age say otherwise.
    pub fn new(setup: Setup, now: Duration) -> Self {
        let head = setup.head;
        Self {
            setup,
            head,
            head_since: now,
            phase: Phase::CatchingUp,
            peers: BTreeMap::new(),
            peers_answered: false,
            highest_sealed: None,
            own_block: 0,
            stream: None,
            stream_since: now,
            proposing: false,
            divergence: None,
            halted: None,
        }
    }

    /// A session with a peer stands.
    pub fn on_peer_connected(&mut self, peer: NodeId, is_seed: bool) -> Vec<Effect> {
        self.peers.entry(peer).or_default();
        // A seed with another genesis has no session; one that greets us has ours. Others are dialled again.
        if is_seed { self.clear_divergence_of(None) } else { Vec::new() }
    }

    /// A session ended; whatever was fetched from that peer ends by itself.
    pub fn on_peer_lost(&mut self, peer: NodeId) -> Vec<Effect> {
        self.peers.remove(&peer);
        self.clear_divergence_of(Some(peer))
    }

    /// The node that showed another chain shows it no longer.
    fn clear_divergence_of(&mut self, peer: Option<NodeId>) -> Vec<Effect> {
        match self.divergence.take_if(|found| found.peer == peer) {
            Some(found) => vec![Effect::DivergenceCleared { shown_by: found.shown_by }],
            None => Vec::new(),
        }
    }

    /// Every seed and remembered peer has answered once, or is known not to.
    pub fn on_peers_answered(&mut self) {
        self.peers_answered = true;
    }

    /// A peer showed a head whose seal is valid; `sighting` is how it compares with our own chain.
    pub fn on_peer_head(
        &mut self,
        now: Duration,
        peer: NodeId,
        head: KnownHead,
        sighting: Sighting,
        wall: u64,
    ) -> Vec<Effect> {
        let view = self.peers.entry(peer).or_default();
        view.differs = matches!(sighting, Sighting::Differs { .. });
        if !view.differs && self.highest_sealed.is_none_or(|(_, highest)| highest < head.height) {
            self.highest_sealed = Some((peer, head.height));
        }
        if view.head.is_none_or(|seen| seen.height <= head.height) || view.differs {
            view.head = Some(head);
        }
        match sighting {
            Sighting::Differs { ours } => self.on_difference(
                now,
                Divergence {
                    height: head.height,
                    ours: Some(ours),
                    theirs: head.hash,
                    peer: Some(peer),
                    shown_by: peer.to_string(),
                    last_common_height: None,
                    theirs_timestamp: head.timestamp,
                },
                wall,
            ),
            Sighting::Agrees => self.clear_divergence_of(Some(peer)),
            Sighting::Ahead => Vec::new(),
        }
    }

    /// A validly sealed block differs from ours. A fresh head of our own outweighs a branch that nobody extends any
    /// more: that one is evidence and an alarm, and the node stays ready.
    pub fn on_difference(&mut self, now: Duration, found: Divergence, wall: u64) -> Vec<Effect> {
        self.highest_sealed.take_if(|(by, _)| Some(*by) == found.peer);
        let dead_branch = self.is_fresh(now, wall) && self.is_stale(found.theirs_timestamp, wall);
        if let Some(view) = found.peer.and_then(|peer| self.peers.get_mut(&peer)) {
            view.differs = true;
        }
        if let Some(known) = &self.divergence
            && (*known == found || (known.peer == found.peer && found.last_common_height.is_none()))
        {
            return Vec::new();
        }
        if dead_branch {
            return vec![Effect::DeadBranchSeen(found)];
        }
        self.divergence = Some(found.clone());
        vec![Effect::Diverged(found)]
    }

    /// A validly sealed block could not be confirmed: this node or the authority is wrong. Fetching stops.
    pub fn on_local_fault(&mut self, reason: String) -> Vec<Effect> {
        self.halted = Some(reason);
        self.stop_stream()
    }

    /// On an authority: a block of this height carries its seal, and it lacks it. It does not propose below that.
    pub fn on_own_block(&mut self, height: u64) {
        self.own_block = self.own_block.max(height);
    }

    /// A block became durable.
    pub fn on_durable(&mut self, now: Duration, head: KnownHead) {
        self.head = head;
        self.head_since = now;
        if let Some(Stream::Range { peer } | Stream::Live { peer }) = self.stream
            && let Some(view) = self.peers.get_mut(&peer)
        {
            view.failures = 0;
        }
    }

    /// A range or live stream ended.
    pub fn on_fetch_ended(&mut self, now: Duration, peer: NodeId, end: FetchEnd) {
        if matches!(self.stream, Some(Stream::Range { peer: of } | Stream::Live { peer: of }) if of == peer) {
            self.stream = None;
        }
        if end == FetchEnd::Failed {
            self.pause(now, peer);
        }
    }

    /// Time has passed: decides phase, stream and permission anew.
    pub fn on_tick(&mut self, now: Duration, wall: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.decide_stream(now, &mut effects);
        self.decide_phase(now, wall, &mut effects);
        self.decide_proposing(now, &mut effects);
        effects
    }

    fn decide_stream(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let idle_authority = self.setup.role == Role::Authority && !self.is_behind();
        if self.halted.is_some() || self.divergence.is_some() || idle_authority {
            effects.extend(self.stop_stream());
            return;
        }
        match self.stream {
            None => self.start_stream(now, effects),
            Some(Stream::Range { peer }) if self.range_stands_still(now) => {
                effects.extend(self.stop_stream());
                self.pause(now, peer);
                self.start_stream(now, effects);
            }
            Some(Stream::Live { peer }) if self.live_stream_lags(now) => {
                effects.extend(self.stop_stream());
                self.pause(now, peer);
                self.start_stream(now, effects);
            }
            Some(_) => {}
        }
    }

    fn start_stream(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let from = self.head.height.saturating_add(1);
        if let Some((peer, target)) = self.best_source(now) {
            self.stream = Some(Stream::Range { peer });
            self.stream_since = now;
            effects.push(Effect::FetchRange { peer, from, through: target.height });
        } else if self.setup.role == Role::Follower
            && !self.is_behind()
            && let Some(peer) = self.live_source(now)
        {
            self.stream = Some(Stream::Live { peer });
            effects.push(Effect::FollowLive { peer, from });
        }
    }

    /// The usable peer with the highest sealed head above ours.
    fn best_source(&self, now: Duration) -> Option<(NodeId, KnownHead)> {
        self.usable(now)
            .filter_map(|(peer, view)| Some((peer, view.head?)))
            .filter(|(_, head)| head.height > self.head.height)
            .max_by_key(|(_, head)| head.height)
    }

    fn live_source(&self, now: Duration) -> Option<NodeId> {
        self.usable(now)
            .filter(|(_, view)| view.head.is_some())
            .min_by_key(|(_, view)| view.failures)
            .map(|(peer, _)| peer)
    }

    fn usable(&self, now: Duration) -> impl Iterator<Item = (NodeId, &PeerView)> {
        self.peers
            .iter()
            .filter(move |(_, view)| !view.differs && view.paused_until <= now)
            .map(|(peer, view)| (*peer, view))
    }

    fn pause(&mut self, now: Duration, peer: NodeId) {
        if let Some(view) = self.peers.get_mut(&peer) {
            let pause = FIRST_PAUSE.saturating_mul(1 << view.failures.min(10)).min(LONGEST_PAUSE);
            view.failures = view.failures.saturating_add(1);
            view.paused_until = now.saturating_add(pause);
        }
    }

    fn stop_stream(&mut self) -> Vec<Effect> {
        if self.stream.take().is_some() { vec![Effect::StopStream] } else { Vec::new() }
    }

    fn live_stream_lags(&self, now: Duration) -> bool {
        let behind = self.behind();
        behind > LIVE_LAG_BLOCKS || (behind > 0 && now.saturating_sub(self.head_since) > LIVE_LAG_TIME)
    }

    fn range_stands_still(&self, now: Duration) -> bool {
        now.saturating_sub(self.head_since.max(self.stream_since)) > self.setup.stall_after
    }

    fn decide_phase(&mut self, now: Duration, wall: u64, effects: &mut Vec<Effect>) {
        let phase = self.phase_now(now, wall);
        if phase != self.phase {
            self.phase = phase;
            effects.push(Effect::PhaseChanged(phase));
        }
    }

    fn phase_now(&self, now: Duration, wall: u64) -> Phase {
        if self.divergence.is_some() {
            Phase::Diverged
        } else if self.halted.is_some() {
            Phase::Stalled
        } else if matches!(self.stream, Some(Stream::Range { .. })) {
            Phase::CatchingUp
        } else if self.setup.role == Role::Authority {
            self.authority_phase(now)
        } else if self.is_behind() {
            if matches!(self.stream, Some(Stream::Live { .. })) { self.phase } else { Phase::CatchingUp }
        } else if self.is_fresh(now, wall) {
            Phase::Following
        } else {
            Phase::Stalled
        }
    }

    /// An authority that is level with everything it ever sealed, and with its peers, follows itself.
    /// One that has sealed nothing for three heartbeats (its disk is full, its clocks disagree) is stalled.
    fn authority_phase(&self, now: Duration) -> Phase {
        if !self.start_wait_is_over(now) || self.is_behind() {
            Phase::CatchingUp
        } else if self.is_below_mark() || now.saturating_sub(self.head_since) > self.stale_after() {
            Phase::Stalled
        } else {
            Phase::Following
        }
    }

    fn stale_after(&self) -> Duration {
        Duration::from_secs(self.setup.heartbeat_seconds.saturating_mul(STALE_HEARTBEATS))
    }

    fn decide_proposing(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let may = self.setup.role == Role::Authority
            && self.divergence.is_none()
            && self.halted.is_none()
            && self.start_wait_is_over(now)
            && !self.is_behind()
            && !self.is_below_mark();
        if may != self.proposing {
            self.proposing = may;
            effects.push(Effect::Permission { may_propose: may });
        }
    }

    fn start_wait_is_over(&self, now: Duration) -> bool {
        self.peers_answered || now >= self.setup.start_wait
    }

    /// Below what this authority has sealed, as far as its high-water mark or any peer has shown.
    fn is_below_mark(&self) -> bool {
        self.head.height < self.mark()
    }

    fn mark(&self) -> u64 {
        let shown = self.highest_sealed.map_or(0, |(_, highest)| highest);
        self.setup.high_water.unwrap_or_default().max(shown).max(self.own_block)
    }

    fn is_behind(&self) -> bool {
        self.behind() > 0
    }

    fn behind(&self) -> u64 {
        self.target().map_or(0, |target| target.head.height.saturating_sub(self.head.height))
    }

    /// Whether the head is younger than three heartbeats: by its timestamp, and by the time it has been the head here,
    /// which a clock that is ahead cannot stretch.
    pub fn is_fresh(&self, now: Duration, wall: u64) -> bool {
        !self.is_stale(self.head.timestamp, wall) && now.saturating_sub(self.head_since) <= self.stale_after()
    }

    fn is_stale(&self, timestamp: u64, wall: u64) -> bool {
        wall.saturating_sub(timestamp) > self.setup.heartbeat_seconds.saturating_mul(STALE_HEARTBEATS)
    }

    /// The highest sealed head that an agreeing peer has shown.
    pub fn target(&self) -> Option<Target> {
        self.peers
            .iter()
            .filter(|(_, view)| !view.differs)
            .filter_map(|(peer, view)| Some(Target { peer: *peer, head: view.head? }))
            .max_by_key(|target| target.head.height)
            .filter(|target| target.head.height > self.head.height)
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
        self.behind()
    }

    /// The divergence found, if any.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.divergence.as_ref()
    }

    /// Why the node stopped following, if it did.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// Why the authority does not propose, in words; `None` while it may.
    pub fn waiting_for(&self, now: Duration) -> Option<String> {
        if self.setup.role != Role::Authority || self.proposing {
            return None;
        }
        let mark = self.mark();
        Some(if !self.start_wait_is_over(now) {
            "waiting for its peers to answer".to_owned()
        } else if self.is_behind() {
            "taking its own blocks back from a peer".to_owned()
        } else if self.is_below_mark() {
            format!(
                "its head {} is below {mark}, the highest block it ever sealed; restore a newer database or start a peer that has these blocks",
                self.head.height
            )
        } else {
            format!("phase is {}", self.phase.name())
        })
    }

    /// What is known of each peer.
    pub fn peers(&self) -> impl Iterator<Item = PeerFigures> {
        self.peers.iter().map(|(peer, view)| PeerFigures { peer: *peer, head: view.head, differs: view.differs })
    }

    /// The hash of the head.
    pub fn head_hash(&self) -> B256 {
        self.head.hash
    }
}
