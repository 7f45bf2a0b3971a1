//! *Role*: decides what the node is doing (phase), from whom it fetches, whether its chain differs from a peer's, and
//! whether it may propose. *Owns*: phase, target, fetches, the blocks that wait for their turn. *Receives*:
//! PeerConnected, PeerLost, PeerStatus, GuestStatus, ForeignChain, FirstDialsEnded, HeadStored, OwnBlockMet, OtherBlockMet,
//! UnconfirmableMet, DamageFound, FetchEnded, HandedOver, BlockAnswered, GivenBack. *Sends*: CommitPace to ConfirmedState,
//! ProposePermission to the proposer, SessionBroken and PeerMisbehaved to peer discovery; publishes a SyncReport.
//! *When behind*: heads coalesce, only the newest counts. *On failure*: the death guard stops the node.

use super::give_back::{Compared, GiveBack, GivenBack, bring};
use super::messages::{
    Answer, DamageFound, Effect, FetchId, ForeignGenesis, GuestStatus, ImportEnd, KnownHead, OtherBlockMet,
    OwnBlockMet, QuestionId, UnconfirmableMet,
};
use super::pipeline::{HandedOver, Pipeline};
use super::report::{DivergenceReport, Pace, SyncReport};
use super::state::State;
use super::stream::{BlockAnswered, FetchEnded, PeerFault, Progress, Tools, Trouble, ask_block, run_live, run_range};
use super::told::Told;
use crate::block_store::HeadStored;
use crate::callboard::{Callboard, Phase, Role};
use crate::confirmed_state::CommitPace;
use crate::guard::Stop;
use crate::importer::Meeting;
use crate::monitor::{Alarm, Alarms, Stages};
use crate::peer_discovery::{
    FirstDialsEnded, ForeignChain, Offence, PeerConnected, PeerLost, PeerMisbehaved, PeerStatus, SessionBroken,
};
use crate::proposer::ProposePermission;
use crate::send::{Inbox, OnTimer, Timed, Timers};
use crate::transport::client::Session;
use crate::transport::{NodeId, SealedHead};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use alloy_primitives::B256;
use callboard_store::NodeStore;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How often it is written down that a guest is still there. A week without it, and nobody waits for it any more.
const REMEMBER_GUEST_EVERY: Duration = Duration::from_secs(86_400);
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
    /// Its own mailbox, for its fetches.
    pub fetched: Inbox<FetchEnded>,
    /// Its own mailbox, for the hand-over to the importer.
    pub handed_over: Inbox<HandedOver>,
    /// Its own mailbox, for its questions.
    pub answered: Inbox<BlockAnswered>,
    /// Its own mailbox, for what it gives back to an authority.
    pub given: Inbox<GivenBack>,
    /// Who is waited for at the next start is remembered there.
    pub node_store: NodeStore,
}

/// A fetch under way.
struct Fetch {
    task: SpawnHandle,
    progress: Progress,
}

/// The actor.
pub struct SyncCoordinator {
    ports: Ports,
    pub(super) state: State,
    pub(super) callboard: Callboard,
    pub(super) tools: Tools,
    pub(super) stages: Stages,
    pub(super) sessions: BTreeMap<NodeId, Session>,
    pipeline: Pipeline,
    fetches: BTreeMap<FetchId, Fetch>,
    give_back: GiveBack,
    told: Told,
    /// When each guest was last remembered on disk.
    guests: BTreeMap<NodeId, Duration>,
    pub(super) pace: Pace,
    pub(super) catching_up_from: u64,
    alarms: Alarms,
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
        alarms: Alarms,
        published: watch::Sender<SyncReport>,
    ) -> Self {
        callboard.set_phase(state.phase());
        let height = state.head().height;
        Self {
            told: Told::new(ports.node_store.clone()),
            ports,
            state,
            callboard,
            tools,
            stages,
            sessions: BTreeMap::new(),
            pipeline: Pipeline::new(height),
            fetches: BTreeMap::new(),
            give_back: GiveBack::default(),
            guests: BTreeMap::new(),
            pace: Pace::default(),
            catching_up_from: height,
            alarms,
            published,
            started: Instant::now(),
            timers: Timers::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells the core of an event, does what it wants done, and publishes what is to be said.
    fn tell(&mut self, ctx: &mut Context<Self>, event: impl FnOnce(&mut State, Duration, u64) -> Vec<Effect>) {
        let now = self.now();
        for (id, fetch) in &self.fetches {
            let (through, bytes) = fetch.progress.so_far();
            self.state.on_came(*id, through, bytes);
        }
        let wall = wall_seconds();
        for effect in event(&mut self.state, now, wall) {
            self.apply(effect, ctx);
        }
        self.pipeline.advance(self.state.front());
        self.tools.importer.set_live_floor(self.state.live_floor(now, wall));
        self.alarms.set(Alarm::Stalled, (self.state.phase() == Phase::Stalled).then(|| self.reason()));
        self.alarms
            .set(Alarm::Diverged, self.state.divergence().map(|found| DivergenceReport::from(found).to_string()));
        let dead = self.state.dead_branches().next();
        self.alarms.set(Alarm::DeadBranch, dead.map(|found| DivergenceReport::from(&found).as_alarm()));
        let report = self.report();
        self.published.send_replace(report);
    }

    fn apply(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::FetchRange { id, peer, from, through } => self.fetch_range(id, peer, from, through, ctx),
            Effect::FollowLive { id, peer, from } => self.follow_live(id, peer, from, ctx),
            Effect::StopFetch { id } => self.stop_fetch(id, ctx),
            Effect::DropStaged => self.pipeline.clear(self.state.front()),
            Effect::AskBlock { id, peer, height } => self.ask_block(id, peer, height, ctx),
            Effect::Pace { each_block } => self.ports.pace.signal(CommitPace { each_block }),
            Effect::PhaseChanged(phase) => self.change_phase(phase),
            Effect::Permission { may_propose } => self.permit(may_propose),
            Effect::Diverged(found) => {
                report_divergence(&DivergenceReport::from(&found));
                self.told.diverged(&found);
            }
            Effect::DeadBranchSeen(found) => report_dead_branch(&DivergenceReport::from(&found)),
            Effect::DivergenceCleared(found) => {
                tracing::info!(peer = %found.witness, "the other chain is not shown any more, or nobody extends it");
                self.told.agrees();
            }
        }
    }

    fn fetch_range(&mut self, id: FetchId, peer: NodeId, from: u64, through: u64, ctx: &mut Context<Self>) {
        let (tools, pipeline) = (self.tools.clone(), self.pipeline.clone());
        self.start_fetch(id, peer, ctx, move |session, progress| {
            run_range(tools, pipeline, session, id, (from, through), progress)
        });
    }

    fn follow_live(&mut self, id: FetchId, peer: NodeId, from: u64, ctx: &mut Context<Self>) {
        let (tools, pipeline) = (self.tools.clone(), self.pipeline.clone());
        self.start_fetch(id, peer, ctx, move |session, progress| {
            run_live(tools, pipeline, session, id, from, progress)
        });
    }

    fn start_fetch<F>(
        &mut self,
        id: FetchId,
        peer: NodeId,
        ctx: &mut Context<Self>,
        run: impl FnOnce(Session, Progress) -> F,
    ) where
        F: Future<Output = FetchEnded> + 'static,
    {
        let own = self.ports.fetched.clone();
        let Some(session) = self.sessions.get(&peer) else {
            own.signal(FetchEnded { id, peer, through: None, trouble: Some(no_session()) });
            return;
        };
        let progress = Progress::default();
        let running = run(session.clone(), progress.clone());
        let task = async move { own.signal(running.await) };
        self.fetches.insert(id, Fetch { task: ctx.spawn(task.into_actor(self)), progress });
    }

    fn stop_fetch(&mut self, id: FetchId, ctx: &mut Context<Self>) {
        if let Some(fetch) = self.fetches.remove(&id) {
            ctx.cancel_future(fetch.task);
        }
    }

    fn ask_block(&mut self, id: QuestionId, peer: NodeId, height: u64, ctx: &mut Context<Self>) {
        let own = self.ports.answered.clone();
        let Some(session) = self.sessions.get(&peer).cloned() else {
            own.signal(BlockAnswered { id, peer, answer: Err(no_session()) });
            return;
        };
        let tools = self.tools.clone();
        ctx.spawn(async move { own.signal(ask_block(tools, session, id, height).await) }.into_actor(self));
    }

    fn change_phase(&mut self, phase: Phase) {
        let head = self.state.head();
        self.callboard.set_phase(phase);
        match phase {
            Phase::Stalled | Phase::Diverged => {
                tracing::warn!(%phase, height = head.height, reason = self.reason(), "phase");
            }
            _ => tracing::info!(%phase, height = head.height, "phase"),
        }
        if phase == Phase::Following {
            self.told.agrees();
        }
        if phase == Phase::CatchingUp {
            self.catching_up_from = head.height;
        }
    }

    fn permit(&self, may_propose: bool) {
        if let Some(proposer) = &self.ports.proposer {
            proposer.signal(ProposePermission { may_propose });
        }
    }

    fn on_fetch_ended(&mut self, ended: FetchEnded, ctx: &mut Context<Self>) {
        if self.fetches.remove(&ended.id).is_none() && self.sessions.contains_key(&ended.peer) {
            return;
        }
        let (id, through, end) = (ended.id, ended.through, ended.end());
        if let Some(trouble) = ended.trouble {
            self.blame(ended.peer, trouble);
        }
        self.tell(ctx, |state, now, wall| state.on_fetch_ended(now, wall, id, through, end));
    }

    /// Peer discovery bans, or dials anew.
    fn blame(&mut self, node_id: NodeId, Trouble { reason, fault }: Trouble) {
        let offence = match fault {
            PeerFault::Broken => {
                tracing::warn!(peer = %node_id, reason, "a stream of blocks ended");
                return self.ports.broken.signal(SessionBroken { node_id, reason });
            }
            PeerFault::Ours => return tracing::debug!(peer = %node_id, reason, "a stream of blocks ended"),
            PeerFault::Forged => Offence::Forged,
            PeerFault::Odd => Offence::Odd,
        };
        tracing::warn!(peer = %node_id, reason, "a stream of blocks ended");
        self.ports.misbehaved.signal(PeerMisbehaved { node_id, offence, detail: reason });
    }

    fn on_handed_over(&mut self, told: HandedOver, ctx: &mut Context<Self>) {
        self.on_imported(ctx);
        let Some(end) = told.end.filter(|_| told.run == self.pipeline.run()) else { return };
        if let (ImportEnd::PeerFault { peer }, Some(reason)) = (&end, told.blame) {
            self.blame(*peer, Trouble { reason, fault: PeerFault::Forged });
        }
        if let ImportEnd::Fault { reason } = &end {
            self.report_fault(reason);
        }
        self.tell(ctx, |state, now, wall| state.on_import_failed(now, wall, end));
    }

    /// Once: whoever brings the block may bring it again and again.
    fn report_fault(&self, reason: &str) {
        if self.state.halted().is_none() {
            tracing::error!(reason, "this node or the authority is wrong: a sealed block cannot be confirmed");
        }
    }

    /// The hand-over runs by itself; now and then it is looked how far it has come.
    fn on_imported(&mut self, ctx: &mut Context<Self>) {
        let height = self.pipeline.imported();
        if height >= self.state.front() {
            self.tell(ctx, |state, now, wall| state.on_imported(now, wall, height));
        }
    }

    fn on_answered(&mut self, answered: BlockAnswered, ctx: &mut Context<Self>) {
        let BlockAnswered { id, peer, answer } = answered;
        let answer = match answer {
            Ok(block) => {
                let ours = self.our_hash(block.height());
                let theirs =
                    KnownHead { height: block.height(), hash: block.hash(), timestamp: block.header().timestamp };
                self.keep_proof(&SealedHead::of(&block));
                Answer::Block { theirs, parent: block.header().parent_hash, ours }
            }
            Err(trouble) => {
                self.blame(peer, trouble);
                Answer::Failed
            }
        };
        self.tell(ctx, |state, now, wall| state.on_answer(now, wall, id, answer));
    }

    /// A configured seed with this chain's id and authority and another genesis: one of the two was made anew.
    fn on_foreign_chain(&mut self, found: &ForeignChain, ctx: &mut Context<Self>) {
        if !(found.is_seed && found.same_chain_and_authority) {
            return;
        }
        let Some(ours) = self.our_hash(0) else { return };
        let found = ForeignGenesis {
            seed: found.url.to_string(),
            ours,
            theirs: found.genesis_hash,
            newest_timestamp: found.newest_timestamp.unwrap_or_else(wall_seconds),
        };
        self.tell(ctx, |state, now, wall| state.on_foreign_genesis(now, wall, found));
    }

    fn on_peer_head(&mut self, peer: NodeId, sealed: &SealedHead, ctx: &mut Context<Self>) {
        let (head, ours) = (KnownHead::from(sealed), self.our_hash(sealed.height()));
        let meeting = self.keep_proof(sealed);
        self.remember_own(meeting, sealed, ctx);
        self.tell(ctx, |state, now, wall| state.on_peer_head(now, wall, peer, head, ours));
        self.give_back(peer, head, ours, ctx);
    }

    /// An authority may lack what this follower has, and cannot dial it.
    fn give_back(&mut self, peer: NodeId, theirs: KnownHead, ours: Option<B256>, ctx: &mut Context<Self>) {
        let is_authority = |session: &&Session| session.role() == Role::Authority;
        let Some(session) = self.sessions.get(&peer).filter(is_authority).cloned() else { return };
        if self.callboard.role() == Role::Authority {
            return;
        }
        let (head, differs_at) = (self.state.head().height, self.state.first_difference(peer));
        if let Some(gift) = self.give_back.on_head(peer, Compared { theirs, ours, head, differs_at }) {
            let (store, own) = (self.tools.store.clone(), self.ports.given.clone());
            ctx.spawn(async move { own.signal(bring(session, store, gift).await) }.into_actor(self));
        }
    }

    /// On an authority: somebody whom it perhaps cannot dial shows a sealed head.
    fn on_guest_status(&mut self, guest: NodeId, sealed: &SealedHead, ctx: &mut Context<Self>) {
        if self.callboard.role() != Role::Authority {
            return;
        }
        self.remember_guest(guest);
        let (head, ours) = (KnownHead::from(sealed), self.our_hash(sealed.height()));
        let meeting = self.keep_proof(sealed);
        self.remember_own(meeting, sealed, ctx);
        self.tell(ctx, |state, now, wall| state.on_guest_head(now, wall, guest, head, ours));
    }

    /// It is waited for at the next start.
    fn remember_guest(&mut self, guest: NodeId) {
        let now = self.now();
        if self.guests.get(&guest).is_some_and(|at| now.saturating_sub(*at) < REMEMBER_GUEST_EVERY) {
            return;
        }
        self.guests.retain(|_, at| now.saturating_sub(*at) < REMEMBER_GUEST_EVERY);
        self.guests.insert(guest, now);
        let node_store = self.ports.node_store.clone();
        actix_rt::task::spawn_blocking(move || {
            if let Err(error) = node_store.put_guest(&guest.to_string(), wall_seconds()) {
                tracing::error!(%error, "the guests cannot be written to node.redb");
            }
        });
    }

    /// Where two blocks of one height are sealed, both are kept.
    fn keep_proof(&self, sealed: &SealedHead) -> Meeting {
        match self.tools.importer.seals().keep_proof(sealed) {
            Ok(meeting) => meeting,
            Err(error) => panic!("the chain database cannot be read: {error}"),
        }
    }

    /// An authority that is told of its own seal above its head knows of it over a restart, too.
    fn remember_own(&self, meeting: Meeting, sealed: &SealedHead, ctx: &mut Context<Self>) {
        if meeting != (Meeting::Ahead { may_extend: true }) {
            return;
        }
        let (seals, met) = (self.tools.importer.seals().clone(), KnownHead::from(sealed));
        let remember = async move {
            if let Err(error) = seals.remember_own(met).await {
                panic!("node.redb cannot be written: {error}");
            }
        };
        ctx.spawn(remember.into_actor(self));
    }

    fn our_hash(&self, height: u64) -> Option<B256> {
        match self.tools.store.snapshot().and_then(|snapshot| snapshot.hash_of(height)) {
            Ok(hash) => hash,
            Err(error) => panic!("the chain database cannot be read: {error}"),
        }
    }
}

fn no_session() -> Trouble {
    Trouble { reason: "the session has ended".to_owned(), fault: PeerFault::Ours }
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
        last_common_height = found.last_common_height,
        "a peer shows a validly sealed branch that differs from ours and that nobody extends; two blocks of one height are sealed"
    );
}

/// Unix seconds.
pub(super) fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Actor for SyncCoordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (pipeline, importer) = (self.pipeline.clone(), self.tools.importer.clone());
        ctx.spawn(pipeline.hand_over(importer, self.ports.handed_over.clone()).into_actor(self));
        self.on_timer(Timer::Tick, ctx);
    }
}

impl OnTimer<Timer> for SyncCoordinator {
    fn timers(&mut self) -> &mut Timers<Timer> {
        &mut self.timers
    }

    fn on_timer(&mut self, key: Timer, ctx: &mut Context<Self>) {
        self.on_imported(ctx);
        self.tell(ctx, State::on_tick);
        self.timers.set(ctx, key, TICK);
    }
}

impl Handler<Timed<PeerConnected>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerConnected>, ctx: &mut Context<Self>) {
        message.answer(ctx, |PeerConnected { session, .. }, ctx| {
            let (peer, url) = (session.node_id(), session.url().to_string());
            self.tools.importer.refusals().connected().insert(session.clone());
            self.sessions.insert(peer, session);
            self.tell(ctx, |state, now, wall| state.on_peer_connected(now, wall, peer, &url));
        });
    }
}

impl Handler<Timed<PeerLost>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerLost>, ctx: &mut Context<Self>) {
        message.answer(ctx, |PeerLost { node_id, .. }, ctx| {
            self.tools.importer.refusals().connected().remove(node_id);
            self.sessions.remove(&node_id);
            self.give_back.on_lost(node_id);
            self.tell(ctx, |state, now, wall| state.on_peer_lost(now, wall, node_id));
        });
    }
}

impl Handler<Timed<PeerStatus>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerStatus>, ctx: &mut Context<Self>) {
        message.answer(ctx, |PeerStatus { node_id, head }, ctx| self.on_peer_head(node_id, &head, ctx));
    }
}

impl Handler<Timed<GuestStatus>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<GuestStatus>, ctx: &mut Context<Self>) {
        message.answer(ctx, |GuestStatus { node_id, head }, ctx| self.on_guest_status(node_id, &head, ctx));
    }
}

impl Handler<Timed<GivenBack>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<GivenBack>, ctx: &mut Context<Self>) {
        message.answer(ctx, |GivenBack { peer }, _| self.give_back.on_given(peer));
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
        message.answer(ctx, |FirstDialsEnded { .. }, ctx| self.tell(ctx, State::on_peers_answered));
    }
}

impl Handler<Timed<HeadStored>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<HeadStored>, ctx: &mut Context<Self>) {
        message.answer(ctx, |stored, ctx| {
            let head = KnownHead { height: stored.height, hash: stored.hash, timestamp: stored.timestamp };
            self.pace.record(self.now(), stored.blocks, stored.transactions);
            self.tell(ctx, |state, now, wall| state.on_durable(now, wall, head));
        });
    }
}

impl Handler<Timed<OwnBlockMet>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<OwnBlockMet>, ctx: &mut Context<Self>) {
        message.answer(ctx, |OwnBlockMet { height }, ctx| {
            self.tell(ctx, |state, now, wall| state.on_own_block(now, wall, height));
        });
    }
}

impl Handler<Timed<OtherBlockMet>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<OtherBlockMet>, ctx: &mut Context<Self>) {
        message.answer(ctx, |OtherBlockMet { block, ours, from, stands_on_ours }, ctx| {
            if let Some(guest) = from.filter(|_| stands_on_ours) {
                self.state.on_first_difference(guest, block, ours);
            }
            self.tell(ctx, |state, now, wall| state.on_other_block(now, wall, block, ours));
        });
    }
}

impl Handler<Timed<UnconfirmableMet>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<UnconfirmableMet>, ctx: &mut Context<Self>) {
        message.answer(ctx, |UnconfirmableMet { reason, .. }, ctx| {
            self.report_fault(&reason);
            self.tell(ctx, |state, now, wall| state.on_unconfirmable(now, wall, reason));
        });
    }
}

impl Handler<Timed<DamageFound>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<DamageFound>, ctx: &mut Context<Self>) {
        message.answer(ctx, |DamageFound { damaged }, ctx| {
            self.tell(ctx, |state, now, wall| state.on_damage(now, wall, damaged));
        });
    }
}

impl Handler<Timed<FetchEnded>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<FetchEnded>, ctx: &mut Context<Self>) {
        message.answer(ctx, |told, ctx| self.on_fetch_ended(told, ctx));
    }
}

impl Handler<Timed<HandedOver>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<HandedOver>, ctx: &mut Context<Self>) {
        message.answer(ctx, |told, ctx| self.on_handed_over(told, ctx));
    }
}

impl Handler<Timed<BlockAnswered>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<BlockAnswered>, ctx: &mut Context<Self>) {
        message.answer(ctx, |told, ctx| self.on_answered(told, ctx));
    }
}

impl Handler<Timed<Stop>> for SyncCoordinator {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| {
            ctx.stop();
        });
    }
}
