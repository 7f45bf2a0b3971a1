//! *Role*: decides what the node is doing (phase), from whom it fetches, and whether it may propose.
//! *Owns*: phase, target, the one open stream. *Receives*: PeerConnected, PeerLost, PeerStatus, ForeignChain,
//! FirstDialsEnded, HeadStored, OwnBlockMet, StreamEnded. *Sends*: CommitPace to ConfirmedState, ProposePermission to the
//! proposer, SessionBroken and PeerMisbehaved to peer discovery; publishes a SyncReport.
//! *When behind*: heads coalesce, only the newest counts. *On failure*: the death guard stops the node.

use super::messages::{
    DifferenceFound, Divergence, Effect, FetchEnd, KnownHead, OwnBlockMet, PeerFault, Sighting, StreamEnded,
    StreamOutcome,
};
use super::report::{DivergenceReport, Pace, PeerReport, SyncReport, TargetReport};
use super::state::State;
use super::stream::{Tools, find_difference, run_live, run_range};
use crate::block_store::HeadStored;
use crate::callboard::{Callboard, Phase};
use crate::confirmed_state::CommitPace;
use crate::guard::Stop;
use crate::monitor::Stages;
use crate::peer_discovery::{
    FirstDialsEnded, ForeignChain, Offence, PeerConnected, PeerLost, PeerMisbehaved, PeerStatus, SessionBroken,
};
use crate::proposer::ProposePermission;
use crate::send::{Inbox, OnTimer, Timed, Timers};
use crate::transport::NodeId;
use crate::transport::client::Session;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How often the core looks at the time. A tenth of the shortest pause it knows.
const TICK: Duration = Duration::from_millis(25);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    Tick,
}

/// Where the coordinator sends.
pub struct Ports {
    /// ConfirmedState.
    pub pace: Inbox<CommitPace>,
    /// The proposer; a follower has none.
    pub proposer: Option<Inbox<ProposePermission>>,
    /// Peer discovery: a peer's session broke.
    pub broken: Inbox<SessionBroken>,
    /// Peer discovery: a peer did what an honest one does not.
    pub misbehaved: Inbox<PeerMisbehaved>,
    /// Its own mailbox, for its streams.
    pub own: Inbox<StreamEnded>,
    /// Its own mailbox, for its searches.
    pub found: Inbox<DifferenceFound>,
}

/// The actor.
pub struct SyncCoordinator {
    ports: Ports,
    state: State,
    callboard: Callboard,
    tools: Tools,
    stages: Stages,
    sessions: BTreeMap<NodeId, Session>,
    stream: Option<SpawnHandle>,
    generation: u64,
    pace: Pace,
    catching_up_from: u64,
    published: watch::Sender<SyncReport>,
    started: Instant,
    timers: Timers<Timer>,
}

impl SyncCoordinator {
    /// Ready to run.
    pub fn new(
        ports: Ports,
        state: State,
        callboard: Callboard,
        tools: Tools,
        stages: Stages,
        published: watch::Sender<SyncReport>,
    ) -> Self {
        callboard.set_phase(state.phase());
        let state_height = state.head().height;
        Self {
            ports,
            state,
            callboard,
            tools,
            stages,
            sessions: BTreeMap::new(),
            stream: None,
            generation: 0,
            pace: Pace::default(),
            catching_up_from: state_height,
            published,
            started: Instant::now(),
            timers: Timers::default(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn decide(&mut self, ctx: &mut Context<Self>) {
        let effects = self.state.on_tick(self.now(), wall_seconds());
        self.apply_all(effects, ctx);
        let report = self.report();
        self.published.send_replace(report);
    }

    fn apply_all(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            self.apply(effect, ctx);
        }
    }

    fn apply(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::FetchRange { peer, from, through } => self.start_range(peer, from, through, ctx),
            Effect::FollowLive { peer, from } => self.start_live(peer, from, ctx),
            Effect::StopStream => self.stop_stream(ctx),
            Effect::PhaseChanged(phase) => self.change_phase(phase),
            Effect::Permission { may_propose } => self.permit(may_propose),
            Effect::Diverged(found) => self.on_diverged(&found, ctx),
            Effect::DeadBranchSeen(found) => report_dead_branch(&DivergenceReport::from(&found)),
            Effect::DivergenceCleared { shown_by } => {
                tracing::info!(peer = shown_by, "the peer that diverged agrees again, or is gone");
            }
        }
    }

    /// Says so, and looks for the first differing height where it is not known.
    fn on_diverged(&mut self, found: &Divergence, ctx: &mut Context<Self>) {
        report_divergence(&DivergenceReport::from(found));
        let Some(session) = found.peer.and_then(|peer| self.sessions.get(&peer)).cloned() else { return };
        if found.last_common_height.is_none() {
            let (tools, height, own) = (self.tools.clone(), found.height, self.ports.found.clone());
            let search = async move {
                let peer = session.node_id();
                own.signal(DifferenceFound { outcome: find_difference(tools, session, height).await, peer });
            };
            ctx.spawn(search.into_actor(self));
        }
    }

    fn on_difference_found(&mut self, found: DifferenceFound, ctx: &mut Context<Self>) {
        match found.outcome {
            StreamOutcome::Diverged(divergence) if divergence.last_common_height.is_some() => {
                let effects = self.state.on_difference(self.now(), divergence, wall_seconds());
                self.apply_all(effects, ctx);
            }
            outcome => tracing::warn!(peer = %found.peer, ?outcome, "the last common block could not be found"),
        }
    }

    fn start_range(&mut self, peer: NodeId, from: u64, through: u64, ctx: &mut Context<Self>) {
        self.ports.pace.signal(CommitPace { each_block: false });
        let tools = self.tools.clone();
        self.start(peer, ctx, move |session| run_range(tools, session, from, through));
    }

    fn start_live(&mut self, peer: NodeId, from: u64, ctx: &mut Context<Self>) {
        self.ports.pace.signal(CommitPace { each_block: true });
        let tools = self.tools.clone();
        self.start(peer, ctx, move |session| run_live(tools, session, from));
    }

    fn start<F>(&mut self, peer: NodeId, ctx: &mut Context<Self>, run: impl FnOnce(Session) -> F)
    where
        F: Future<Output = StreamOutcome> + 'static,
    {
        self.stop_stream(ctx);
        self.generation = self.generation.wrapping_add(1);
        let (generation, own) = (self.generation, self.ports.own.clone());
        let Some(session) = self.sessions.get(&peer) else {
            own.signal(StreamEnded { generation, peer, outcome: StreamOutcome::Done });
            return;
        };
        let running = run(session.clone());
        let task = async move { own.signal(StreamEnded { generation, peer, outcome: running.await }) };
        self.stream = Some(ctx.spawn(task.into_actor(self)));
    }

    fn stop_stream(&mut self, ctx: &mut Context<Self>) {
        self.generation = self.generation.wrapping_add(1);
        if let Some(stream) = self.stream.take() {
            ctx.cancel_future(stream);
        }
    }

    fn change_phase(&mut self, phase: Phase) {
        let head = self.state.head();
        self.callboard.set_phase(phase);
        match phase {
            Phase::Stalled | Phase::Diverged => {
                tracing::warn!(%phase, height = head.height, reason = self.reason(), "phase")
            }
            _ => tracing::info!(%phase, height = head.height, "phase"),
        }
        if phase == Phase::CatchingUp {
            self.catching_up_from = head.height;
        }
        if phase == Phase::Following {
            self.ports.pace.signal(CommitPace { each_block: true });
        }
    }

    fn permit(&self, may_propose: bool) {
        if let Some(proposer) = &self.ports.proposer {
            proposer.signal(ProposePermission { may_propose });
        }
    }

    fn on_stream_ended(&mut self, ended: StreamEnded, ctx: &mut Context<Self>) {
        if ended.generation != self.generation {
            return;
        }
        self.stream = None;
        let (end, effects) = match ended.outcome {
            StreamOutcome::Done => (FetchEnd::Done, Vec::new()),
            StreamOutcome::Refused(reason) => {
                tracing::debug!(reason, "a stream of blocks ended");
                (FetchEnd::Failed, Vec::new())
            }
            StreamOutcome::PeerFailed { reason, fault } => {
                self.blame(ended.peer, reason, fault);
                (FetchEnd::Failed, Vec::new())
            }
            StreamOutcome::Diverged(found) => {
                let effects = self.state.on_difference(self.now(), found, wall_seconds());
                (FetchEnd::Failed, effects)
            }
            StreamOutcome::LocalFault(reason) => {
                tracing::error!(reason, "this node or the authority is wrong: a sealed block cannot be confirmed");
                (FetchEnd::Failed, self.state.on_local_fault(reason))
            }
        };
        self.state.on_fetch_ended(self.now(), ended.peer, end);
        self.apply_all(effects, ctx);
        self.decide(ctx);
    }

    /// Peer discovery bans, or dials anew.
    fn blame(&mut self, node_id: NodeId, reason: String, fault: PeerFault) {
        tracing::warn!(peer = %node_id, reason, "a stream of blocks ended");
        let offence = match fault {
            PeerFault::Broken => return self.ports.broken.signal(SessionBroken { node_id, reason }),
            PeerFault::Forged => Offence::Forged,
            PeerFault::Odd => Offence::Odd,
        };
        self.ports.misbehaved.signal(PeerMisbehaved { node_id, offence, detail: reason });
    }

    /// A configured seed with this chain's id and authority and another genesis: one of the two was made anew.
    fn on_foreign_chain(&mut self, found: &ForeignChain, ctx: &mut Context<Self>) {
        if !(found.is_seed && found.same_chain_and_authority) {
            return;
        }
        let ours = match self.tools.store.snapshot().and_then(|snapshot| snapshot.genesis_hash()) {
            Ok(ours) => ours,
            Err(error) => panic!("the chain database cannot be read: {error}"),
        };
        let wall = wall_seconds();
        let divergence = Divergence {
            height: 0,
            ours: Some(ours),
            theirs: found.genesis_hash,
            peer: None,
            shown_by: found.url.to_string(),
            last_common_height: None,
            theirs_timestamp: wall,
        };
        let effects = self.state.on_difference(self.now(), divergence, wall);
        self.apply_all(effects, ctx);
    }

    fn on_peer_head(&mut self, seen: &PeerStatus, ctx: &mut Context<Self>) {
        let head = KnownHead::from(&seen.head);
        let met = self.tools.importer.seals().meet(&seen.head);
        let sighting = match met.and_then(|_| self.sighting(head)) {
            Ok(sighting) => sighting,
            Err(error) => panic!("the chain database cannot be read: {error}"),
        };
        let effects = self.state.on_peer_head(self.now(), seen.node_id, head, sighting, wall_seconds());
        self.apply_all(effects, ctx);
    }

    fn sighting(&self, theirs: KnownHead) -> Result<Sighting, callboard_store::StorageError> {
        let ours = self.tools.store.snapshot()?.hash_of(theirs.height)?;
        Ok(match ours {
            None => Sighting::Ahead,
            Some(ours) if ours == theirs.hash => Sighting::Agrees,
            Some(ours) => Sighting::Differs { ours },
        })
    }

    fn reason(&self) -> String {
        if let Some(reason) = self.state.halted() {
            return format!("this node or the authority is wrong: {reason}");
        }
        if let Some(found) = self.state.divergence() {
            return format!("block {} differs from that of {}", found.height, found.shown_by);
        }
        self.state.waiting_for(self.now()).unwrap_or_else(|| {
            format!("the newest block is {} s old", wall_seconds().saturating_sub(self.state.head().timestamp))
        })
    }

    fn report(&mut self) -> SyncReport {
        let now = self.now();
        let (blocks_per_second, transactions_per_second) = self.pace.rates(now);
        let head = self.state.head();
        let behind = self.state.behind_blocks();
        let catching_up = self.state.phase() == Phase::CatchingUp;
        let target = self.state.target();
        let stages = self.stages.figures(Instant::now());
        SyncReport {
            phase: self.state.phase(),
            role: self.callboard.role(),
            head: head.into(),
            target: target.map(|target| TargetReport {
                height: target.head.height,
                hash: target.head.hash,
                peer: target.peer.to_string(),
            }),
            behind_blocks: behind,
            head_age_seconds: wall_seconds().saturating_sub(head.timestamp),
            blocks_per_second,
            transactions_per_second,
            eta_seconds: (behind > 0 && blocks_per_second > 0.0).then(|| (behind as f64 / blocks_per_second) as u64),
            bottleneck: catching_up.then(|| Stages::bottleneck(&stages).to_owned()),
            stages,
            peers: self.peer_reports(),
            divergence: self.state.divergence().map(DivergenceReport::from),
            last_rejection: self.tools.importer.refusals().newest(),
            last_reconciled: None,
            alerts: self.alerts(),
            catching_up_from: self.catching_up_from,
            not_ready: self.not_ready(),
        }
    }

    /// Ready: following, and the head is fresh. Otherwise the one reason why not.
    fn not_ready(&self) -> Option<String> {
        match self.state.phase() {
            Phase::Following if self.state.is_fresh(self.now(), wall_seconds()) => None,
            Phase::CatchingUp => Some(match self.state.waiting_for(self.now()) {
                Some(reason) => reason,
                None => format!("catching up: {} blocks behind", self.state.behind_blocks()),
            }),
            _ => Some(self.reason()),
        }
    }

    fn peer_reports(&self) -> Vec<PeerReport> {
        let ours = self.state.head().height;
        let report = |figures: super::messages::PeerFigures| PeerReport {
            id: figures.peer.to_string(),
            url: self.sessions.get(&figures.peer).map(|session| session.url().to_string()).unwrap_or_default(),
            height: figures.head.map(|head| head.height),
            hash: figures.head.map(|head| head.hash),
            state: match figures.head {
                _ if figures.differs => "differs",
                None => "unknown",
                Some(head) if head.height > ours => "ahead",
                Some(_) => "agrees",
            },
        };
        self.state.peers().map(report).collect()
    }

    fn alerts(&self) -> Vec<String> {
        match self.state.phase() {
            Phase::Stalled | Phase::Diverged => vec![self.reason()],
            _ => Vec::new(),
        }
    }
}

fn report_divergence(found: &DivergenceReport) {
    tracing::error!(
        height = found.height, ours = ?found.ours, theirs = %found.theirs, peer = found.peer,
        last_common_height = found.last_common_height, remedy = found.remedy,
        "diverged: a peer shows a validly sealed block that differs from ours"
    );
}

fn report_dead_branch(found: &DivergenceReport) {
    tracing::error!(
        height = found.height, ours = ?found.ours, theirs = %found.theirs, peer = found.peer,
        "a peer shows a validly sealed branch that differs from ours and that nobody extends; two blocks of one height are sealed"
    );
}

/// Unix seconds.
fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Actor for SyncCoordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.decide(ctx);
        self.timers.set(ctx, Timer::Tick, TICK);
    }
}

impl OnTimer<Timer> for SyncCoordinator {
    fn timers(&mut self) -> &mut Timers<Timer> {
        &mut self.timers
    }

    fn on_timer(&mut self, key: Timer, ctx: &mut Context<Self>) {
        self.decide(ctx);
        self.timers.set(ctx, key, TICK);
    }
}

impl Handler<Timed<PeerConnected>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerConnected>, ctx: &mut Context<Self>) {
        message.answer(ctx, |PeerConnected { session, is_seed }, ctx| {
            let effects = self.state.on_peer_connected(session.node_id(), is_seed);
            self.sessions.insert(session.node_id(), session);
            self.apply_all(effects, ctx);
        });
    }
}

impl Handler<Timed<PeerLost>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerLost>, ctx: &mut Context<Self>) {
        message.answer(ctx, |PeerLost { node_id, .. }, ctx| {
            self.sessions.remove(&node_id);
            let effects = self.state.on_peer_lost(node_id);
            self.apply_all(effects, ctx);
        });
    }
}

impl Handler<Timed<PeerStatus>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerStatus>, ctx: &mut Context<Self>) {
        message.answer(ctx, |seen, ctx| self.on_peer_head(&seen, ctx));
    }
}

impl Handler<Timed<ForeignChain>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<ForeignChain>, ctx: &mut Context<Self>) {
        message.answer(ctx, |found, ctx| self.on_foreign_chain(&found, ctx));
    }
}

impl Handler<Timed<FirstDialsEnded>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<FirstDialsEnded>, ctx: &mut Context<Self>) {
        message.answer(ctx, |FirstDialsEnded { .. }, _| self.state.on_peers_answered());
    }
}

impl Handler<Timed<HeadStored>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<HeadStored>, ctx: &mut Context<Self>) {
        message.answer(ctx, |stored, _| {
            let head = KnownHead { height: stored.height, hash: stored.hash, timestamp: stored.timestamp };
            let now = self.now();
            self.pace.record(now, stored.blocks, stored.transactions);
            self.state.on_durable(now, head);
        });
    }
}

impl Handler<Timed<OwnBlockMet>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<OwnBlockMet>, ctx: &mut Context<Self>) {
        message.answer(ctx, |OwnBlockMet { height }, ctx| {
            self.state.on_own_block(height);
            self.decide(ctx);
        });
    }
}

impl Handler<Timed<StreamEnded>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<StreamEnded>, ctx: &mut Context<Self>) {
        message.answer(ctx, |ended, ctx| self.on_stream_ended(ended, ctx));
    }
}

impl Handler<Timed<DifferenceFound>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<DifferenceFound>, ctx: &mut Context<Self>) {
        message.answer(ctx, |found, ctx| self.on_difference_found(found, ctx));
    }
}

impl Handler<Timed<Stop>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| {
            self.stop_stream(ctx);
            ctx.stop();
        });
    }
}
