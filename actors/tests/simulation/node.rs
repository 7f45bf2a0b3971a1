//! An honest node: the real cores of its actors, and around them what their shells do, in virtual time.

use super::chain::{FIXTURES, HEARTBEAT};
use super::disk::Disk;
use super::env::{Env, Event, Guard};
use super::fetch::Fetch;
use super::import::Pipeline;
use super::network::{Message, Packet};
use super::serve::Follower;
use super::talk::{Request, Session};
use alloy_primitives::B256;
use callboard_actors::callboard::{Callboard, Delivery, Kind, Phase, Provenance, Role};
use callboard_actors::confirmed_state::{self, CommitPolicy};
use callboard_actors::sync_coordinator::{self, Divergence, GivenUp, KnownHead};
use callboard_actors::transport::NodeId;
use callboard_actors::transport::wire::PeerAddress;
use callboard_actors::{broadcaster, peer_discovery, proposer};
use callboard_chain::genesis::SealedGenesis;
use callboard_chain::live::{Batch, Built, LiveState};
use callboard_chain::{Block, Seal};
use callboard_store::{GivenUpBranch, OwnBlock};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a node looks at its clock: the shells do so more often, which changes nothing but the cost.
pub(crate) const TICK: Duration = Duration::from_millis(200);
/// Queues are counted once in so many ticks.
const TICKS_BETWEEN_COUNTS: u64 = 10;
/// The authority waits this long for its peers' answers.
const START_WAIT: Duration = Duration::from_secs(5);
/// A range that stands still for this long is asked of another peer.
const STALL_AFTER: Duration = Duration::from_secs(6);
/// Blocks that are fetched ahead.
const WINDOW_BLOCKS: u64 = 32;
/// Peers of one node.
const MAX_PEERS: usize = 32;

/// A node and what outlives its process.
pub(crate) struct Node {
    pub(crate) place: usize,
    pub(crate) role: Role,
    pub(crate) genesis: SealedGenesis,
    pub(crate) disk: Disk,
    /// The high-water file: the highest block ever sealed with this key.
    pub(crate) mark: Option<Block>,
    pub(crate) seeds: Vec<usize>,
    pub(crate) remembered: BTreeMap<NodeId, PeerAddress>,
    /// How far its wall clock is ahead, milliseconds.
    pub(crate) clock_ahead: i64,
    pub(crate) backup: Option<Disk>,
    /// Blocks of other branches that the operator has accepted.
    pub(crate) accepted: BTreeSet<(u64, B256)>,
    /// Branches that the operator has given up.
    pub(crate) given_up: Vec<GivenUpBranch>,
    pub(crate) process: Option<Process>,
    /// Counts the runs of the process: what an older one began is not for this one.
    pub(crate) epoch: u64,
}

/// What dies with the process.
pub(crate) struct Process {
    pub(crate) started: Duration,
    ticks: u64,
    pub(crate) sync: sync_coordinator::State,
    pub(crate) given_up: GivenUp,
    pub(crate) confirmed: confirmed_state::State<Disk>,
    pub(crate) discovery: peer_discovery::State,
    pub(crate) proposer: Option<proposer::State>,
    pub(crate) broadcaster: broadcaster::State,
    pub(crate) callboard: Callboard,
    pub(crate) requests: BTreeMap<u64, Request>,
    /// Peers that this node has dialled.
    pub(crate) sessions: BTreeMap<NodeId, Session>,
    /// Nodes that have dialled this one, by the token that they were given.
    pub(crate) guests: BTreeMap<u64, (usize, NodeId)>,
    pub(crate) banned: BTreeMap<NodeId, Duration>,
    pub(crate) followers: BTreeMap<u64, Follower>,
    /// Streams of blocks that this node has asked for, by their number.
    pub(crate) fetches: BTreeMap<u64, Fetch>,
    pub(crate) pipeline: Pipeline,
    pub(crate) committing: Option<(Batch, Vec<Provenance>)>,
    pub(crate) sealing: Option<(Built, Seal)>,
    /// The highest block that was ever sealed, where the database is older.
    pub(crate) above_head: Option<Block>,
    /// Sealed heads above our own, until this chain reaches them.
    pub(crate) above: BTreeMap<(u64, B256), KnownHead>,
}

impl Node {
    pub(crate) fn new(place: usize, role: Role, seeds: Vec<usize>) -> Self {
        Self {
            place,
            role,
            genesis: FIXTURES.genesis.clone(),
            disk: Disk::new(&FIXTURES.genesis),
            mark: None,
            seeds,
            remembered: BTreeMap::new(),
            clock_ahead: 0,
            backup: None,
            accepted: BTreeSet::new(),
            given_up: Vec::new(),
            process: None,
            epoch: 0,
        }
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.process.as_ref().map(|process| process.sync.phase())
    }

    pub(crate) fn id(&self) -> NodeId {
        FIXTURES.ids[self.place]
    }

    pub(crate) fn wall(&self, env: &Env) -> Duration {
        env.wall(self.clock_ahead)
    }

    /// Time as the process measures it: since its start.
    pub(crate) fn uptime(&self, env: &Env) -> Duration {
        self.process.as_ref().map_or(Duration::ZERO, |process| env.now.saturating_sub(process.started))
    }

    pub(crate) fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("only a running node is told anything")
    }

    /// What was sealed above the durable head is given up, knowingly.
    pub(crate) fn abandon(&mut self) {
        if let Some(sealed) = self.mark.take() {
            let (height, hash, timestamp) = (sealed.height(), sealed.hash(), sealed.header().timestamp);
            let highest = OwnBlock { height, hash, timestamp };
            let (after, known) = (self.disk.height(), BTreeSet::from([(height, hash)]));
            self.given_up.push(GivenUpBranch {
                after,
                highest,
                known,
                sealed: None,
                time: timestamp,
                by_follower: false,
            });
        }
    }

    /// Starts the process from what is on disk.
    pub(crate) fn start(&mut self, env: &mut Env) {
        if self.process.is_some() {
            return;
        }
        self.epoch += 1;
        env.properties.restarted(self.place, |height| self.disk.hash(height));
        self.take_up_mark(env);
        let head = self.disk.head();
        env.note(format_args!("node {} starts at {} {}", self.place, head.height(), head.hash()));
        let live = LiveState::new(FIXTURES.config.clone(), self.disk.clone(), head.header().clone());
        let policy = CommitPolicy { transactions: 64, bytes: 64 << 10, age: Duration::from_secs(1) };
        let high_water = self.mark.as_ref().map(Block::height).filter(|_| !env.is_removed(Guard::HighWater));
        let given_up = GivenUp::new(self.given_up.clone());
        let setup = sync_coordinator::Setup {
            role: self.role,
            heartbeat_seconds: HEARTBEAT,
            start_wait: START_WAIT,
            stall_after: STALL_AFTER,
            window_blocks: WINDOW_BLOCKS,
            has_seeds: true,
            high_water,
            guests: Default::default(),
            given_up: given_up.clone(),
            accepted: self.accepted.clone(),
            head: known(&head),
        };
        let sync = sync_coordinator::State::new(setup, Duration::ZERO);
        let callboard = Callboard::new(self.role);
        callboard.set_phase(sync.phase());
        self.process = Some(Process {
            started: env.now,
            ticks: 0,
            sync,
            given_up,
            confirmed: confirmed_state::State::new(live, policy),
            discovery: peer_discovery::State::new(
                env.instant(),
                self.discovery_settings(),
                self.remembered.values().cloned().collect(),
            ),
            proposer: (self.role == Role::Authority).then(|| self.new_proposer(env, &head)),
            broadcaster: broadcaster::State::default(),
            callboard,
            requests: BTreeMap::new(),
            sessions: BTreeMap::new(),
            guests: BTreeMap::new(),
            banned: BTreeMap::new(),
            followers: BTreeMap::new(),
            fetches: BTreeMap::new(),
            pipeline: Pipeline::new(head.height()),
            committing: None,
            sealing: None,
            above: BTreeMap::new(),
            above_head: self.mark.clone().filter(|mark| high_water.is_some() && mark.height() > head.height()),
        });
        let (place, epoch) = (self.place, self.epoch);
        let first = env.rng.between(Duration::ZERO, TICK);
        env.after(first, Event::Tick { place, epoch });
    }

    fn discovery_settings(&self) -> peer_discovery::Settings {
        peer_discovery::Settings {
            seeds: self.seeds.iter().map(|seed| FIXTURES.urls[*seed].clone()).collect(),
            max_peers: MAX_PEERS,
            allow: Default::default(),
            discovery: true,
        }
    }

    /// The process died between sealing and committing: the sealed block lies beside the database, and is confirmed.
    fn take_up_mark(&mut self, env: &mut Env) {
        let Some(mark) = self.mark.clone().filter(|mark| mark.height() == self.disk.height() + 1) else { return };
        if env.is_removed(Guard::HighWater) {
            return;
        }
        let verified = env.memo.verify_block(mark.bytes()).expect("the authority sealed it itself");
        let mut live = LiveState::new(FIXTURES.config.clone(), self.disk.clone(), self.disk.header());
        if live.confirm(verified).is_ok() {
            self.disk.commit(&live.take_batch().expect("a block was confirmed"));
            env.publish(&mark);
            env.properties.durable(self.place, mark.height(), mark.hash());
        }
    }

    /// The operator decides for the other branch: what this node has from where they part on is given up, and what he
    /// decided against before is not.
    pub(crate) fn decide_for(&mut self, found: &Divergence) {
        let theirs = (found.height, found.theirs);
        self.given_up.retain(|branch| !(branch.by_follower && branch.known.contains(&theirs)));
        let own = (found.height..=self.disk.height()).filter_map(|height| self.disk.block(height));
        let own: Vec<OwnBlock> = own.map(|block| known(&block).into()).collect();
        let Some(highest) = own.last().copied() else { return };
        self.given_up.push(GivenUpBranch {
            after: found.height.saturating_sub(1),
            highest,
            known: own.iter().map(|block| (block.height, block.hash)).collect(),
            sealed: None,
            time: highest.timestamp,
            by_follower: true,
        });
    }

    /// Takes every block above `height` off the disk, as `callboard chain rollback` does.
    pub(crate) fn roll_back(&mut self, height: u64, env: &mut Env) {
        let disk = Disk::new(&self.genesis);
        let mut live = LiveState::new(FIXTURES.config.clone(), disk.clone(), disk.header());
        for block in (1..=height).filter_map(|height| self.disk.block(height)) {
            let verified = env.memo.verify_block(block.bytes()).expect("it was verified before");
            live.confirm(verified).expect("it was confirmed before");
        }
        if let Some(batch) = live.take_batch() {
            disk.commit(&batch);
        }
        self.disk = disk;
        env.properties.restored(self.place, height);
    }

    /// The process dies. Of a commit under way either all is on disk or nothing.
    pub(crate) fn crash(&mut self, env: &mut Env) {
        let Some(process) = self.process.take() else { return };
        let committed = process.committing.filter(|_| env.rng.chance(300));
        env.note(format_args!("node {} dies, its last commit is {}", self.place, committed.is_some()));
        if let Some((batch, _)) = committed {
            self.disk.commit(&batch);
            for block in &batch.blocks {
                env.properties.durable(self.place, block.value().height(), block.value().hash());
                env.publish(block.value());
            }
        }
        if let Some((built, seal)) = process.sealing.filter(|_| env.rng.chance(500)) {
            self.mark_sealed(&built.with_seal(seal), env);
        }
    }

    pub(crate) fn on_message(&mut self, packet: Packet, env: &mut Env) {
        if self.process.is_none() {
            return;
        }
        let Packet { from, message, .. } = packet;
        match message {
            Message::Hello { .. }
            | Message::GetStatus { .. }
            | Message::GetAddresses { .. }
            | Message::GetBlocks { .. }
            | Message::Cancel { .. } => self.serve(from, message, env),
            Message::Push { session, block } => self.on_push(session, block, env),
            Message::Frame { stream, block } => self.on_frame(from, stream, block, env),
            Message::End { stream } => self.on_end(from, stream, env),
            answer => self.on_answer(from, answer, env),
        }
    }

    pub(crate) fn on_tick(&mut self, epoch: u64, env: &mut Env) {
        if self.process.is_none() || epoch != self.epoch {
            return;
        }
        self.tick_discovery(env);
        self.tick_fetches(env);
        self.tick_proposer(env);
        self.tick_followers(env);
        let now = self.uptime(env);
        if let Some(confirmed_state::Effect::Store { batch, origins }) = self.running().confirmed.on_tick(now) {
            self.store(batch, origins, env);
        }
        self.check(env);
        let place = self.place;
        env.after(TICK, Event::Tick { place, epoch });
    }

    /// Whether the node says that it is at the head of a live chain.
    pub(crate) fn is_ready(&self, env: &Env) -> bool {
        let (now, wall) = (self.uptime(env), self.wall(env).as_secs());
        self.process.as_ref().is_some_and(|process| process.sync.is_ready(now, wall))
    }

    fn check(&mut self, env: &mut Env) {
        if self.is_ready(env) {
            let (now, wall) = (env.now, self.wall(env));
            env.properties.in_sync(now, self.place, wall, |height| self.disk.hash(height));
        }
        let process = self.running();
        process.ticks += 1;
        if !process.ticks.is_multiple_of(TICKS_BETWEEN_COUNTS) {
            return;
        }
        let unstored = process.confirmed.live().unstored().len();
        let clocks = peer_discovery::Clocks { now: env.instant(), unix: 0 };
        let known = process.discovery.report(clocks, &[], &[]).len();
        let mut bounded = |what, actual, limit| env.properties.bounded(what, actual, limit);
        bounded("blocks not stored", unstored, 512);
        bounded("addresses", known, 256 + 1_024 + super::chain::PLACES);
        bounded("questions", process.requests.len(), 128);
        bounded("follow streams", process.followers.len(), 8 * super::chain::PLACES);
        bounded("peers of the sync coordinator", process.sync.peers().count(), MAX_PEERS + super::chain::PLACES);
    }

    /// Hands a batch to the disk, which takes its time.
    pub(crate) fn store(&mut self, batch: Batch, origins: Vec<Provenance>, env: &mut Env) {
        if env.is_removed(Guard::DurableBeforeAnnounced) {
            for block in &batch.blocks {
                env.properties.confirmed(self.place, block.value().height(), block.value().hash());
            }
        }
        let slow = env.rng.chance(30);
        let delay = if slow { env.rng.millis(200, 900) } else { env.rng.millis(1, 30) };
        let (place, epoch) = (self.place, self.epoch);
        self.running().committing = Some((batch, origins));
        env.after(delay, Event::Committed { place, epoch });
    }

    /// A batch is durable: everybody who acts on blocks hears of it.
    pub(crate) fn on_committed(&mut self, epoch: u64, env: &mut Env) {
        if self.process.is_none() || epoch != self.epoch {
            return;
        }
        let Some((batch, origins)) = self.running().committing.take() else { return };
        self.disk.commit(&batch);
        let head = self.disk.head();
        env.note(format_args!("node {} holds {} {}", self.place, head.height(), head.hash()));
        for (block, provenance) in batch.blocks.iter().zip(origins) {
            env.properties.durable(self.place, block.value().height(), block.value().hash());
            env.publish(block.value());
            self.route(block.value(), provenance, env);
        }
        let (now, clocks) = (self.uptime(env), self.clocks(env));
        let process = self.running();
        if let Some(proposer) = &mut process.proposer {
            proposer.on_head(clocks, head.height(), head.header().timestamp);
        }
        if let Some(confirmed_state::Effect::Store { batch, origins }) = process.confirmed.on_stored(now, head.height())
        {
            self.store(batch, origins, env);
        }
        self.tell(env, |sync, now, wall| sync.on_durable(now, wall, known(&head)));
        self.settle_seals(env);
        self.take_up_when_reached(env);
        self.hand_over(env);
    }

    /// What the routing table says happens to a block once it is durable.
    fn route(&mut self, block: &Block, provenance: Provenance, env: &mut Env) {
        let deliveries = self.running().callboard.deliveries(provenance.origin, Kind::Block);
        for delivery in deliveries {
            if matches!(delivery, Delivery::BroadcastBlock | Delivery::RelayBlock) {
                env.properties.confirmed(self.place, block.height(), block.hash());
                self.announce(block, provenance.peer, env);
            }
        }
    }
}

/// A block of our own chain, as the sync coordinator knows it.
pub(crate) fn known(block: &Block) -> KnownHead {
    KnownHead::from(block)
}
