//! The shell of peer discovery.
//!
//! *Role*: knows the other nodes: dials them, asks for their heads, bans those that lie.
//! *Owns*: the peer book and the sessions with dialled peers.
//! *Receives*: `PeerGreeted`, `AddressesRequest`, `AddressesTold` from the server; `PeerMisbehaved`, `SessionBroken`;
//! `PeersRequest`; `Stop`.
//! *Sends*: `PeerConnected`, `PeerLost` to the sync coordinator and the broadcaster; `PeerStatus`, `ForeignChain`,
//! `FirstDialsEnded` to the sync coordinator.
//! *When behind*: a poll is due again only when the last one has ended, so a slow peer is asked less often.
//! *On failure*: the book is a convenience; without it the seeds are dialled.

use super::dial::{DialEnd, Dialler, failure};
use super::messages::*;
use super::report::Clocks;
use super::state::{Dialled, Effect, Failure, FailureKind, Settings, State};
use crate::guard::Stop;
use crate::send::{Inbox, OnTimer, Timed, Timers};
use crate::transport::client::{CallError, ChainIdentity, PeerClient, PeerState as PeerHead, Session};
use crate::transport::hello::Identity;
use crate::transport::sessions::Sessions;
use crate::transport::wire::PeerAddress;
use crate::transport::{NodeId, PeerMetrics, PeerUrl};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use callboard_chain::{Blame, genesis::SealedGenesis};
use callboard_store::NodeStore;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How often is looked whether something is due: finer than a poll a second.
const TICK: Duration = Duration::from_millis(200);

/// What it is told at start.
#[derive(Debug)]
pub struct Config {
    /// Configured seeds.
    pub seeds: Vec<PeerUrl>,
    /// Most peers.
    pub max_peers: usize,
    /// If not empty, nobody else is a peer.
    pub allow: HashSet<NodeId>,
    /// Whether addresses are exchanged.
    pub discovery: bool,
    /// What this node says in hellos.
    pub identity: Identity,
    /// The genesis of this chain.
    pub genesis: SealedGenesis,
    /// For requests.
    pub client: PeerClient,
    /// The server's session table: bans and reserved places go there.
    pub sessions: Sessions,
    /// Where peers are remembered.
    pub store: NodeStore,
    /// What was refused.
    pub metrics: PeerMetrics,
}

/// Where its messages go.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Who wants to know of new peers: the sync coordinator, the broadcaster.
    pub connected: Vec<Inbox<PeerConnected>>,
    /// Who wants to know of lost ones: the same.
    pub lost: Vec<Inbox<PeerLost>>,
    /// The sync coordinator.
    pub status: Inbox<PeerStatus>,
    /// The sync coordinator.
    pub foreign: Inbox<ForeignChain>,
    /// The sync coordinator.
    pub first_dials: Inbox<FirstDialsEnded>,
}

/// Knows the other nodes.
#[derive(Debug)]
pub struct PeerDiscovery {
    ports: Ports,
    state: State,
    dialler: Dialler,
    sessions: Sessions,
    store: NodeStore,
    metrics: PeerMetrics,
    peers: HashMap<NodeId, Session>,
    /// The session whose dial is just being reported to the core.
    arriving: Option<Session>,
    foreign: HashMap<PeerUrl, ForeignChain>,
    timers: Timers<Tick>,
}

/// The one timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tick;

/// What is remembered of a peer, under its node id.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    url: PeerUrl,
}

impl PeerDiscovery {
    /// Reads the remembered peers; dials when started.
    pub fn new(config: Config, ports: Ports) -> Self {
        let settings = Settings {
            seeds: config.seeds,
            max_peers: config.max_peers,
            allow: config.allow,
            discovery: config.discovery,
        };
        let chain = chain_identity(&config.genesis);
        let state = State::new(Instant::now(), settings, remembered(&config.store));
        Self {
            ports,
            state,
            dialler: Dialler { client: config.client, identity: config.identity, chain, genesis: config.genesis },
            sessions: config.sessions,
            store: config.store,
            metrics: config.metrics,
            peers: HashMap::new(),
            arriving: None,
            foreign: HashMap::new(),
            timers: Timers::default(),
        }
    }

    fn apply(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Dial { url, reach, expected, is_seed } => {
                    let known = self.foreign.get(&url).cloned();
                    let dial = self.dialler.clone().dial(url, reach, expected, is_seed, known);
                    ctx.spawn(dial.into_actor(self).map(|end, actor, ctx| actor.on_dial_end(end, ctx)));
                }
                Effect::Poll { peer, number } => self.poll(peer, number, ctx),
                Effect::AskAddresses { peer } => self.ask_addresses(peer, ctx),
                Effect::Connected { peer, is_seed } => self.connect(peer, is_seed),
                Effect::Lost { peer, reason } => self.lose(peer, reason),
                Effect::Status { peer, head } => self.ports.status.signal(PeerStatus { node_id: peer, head: *head }),
                Effect::Ban { peer, until } => self.ban(peer, until),
                Effect::Reserve { peer } => self.sessions.reserve(peer),
                Effect::Remember(address) => self.remember(address),
                Effect::Forget { peer } => self.forget(peer),
                Effect::FirstDialsEnded { connected } => {
                    self.ports.first_dials.signal(FirstDialsEnded { connected });
                }
            }
        }
    }

    fn on_dial_end(&mut self, end: DialEnd, ctx: &mut Context<Self>) {
        self.metrics.dialled(end.outcome());
        if let Err(failure) = &end.result {
            self.log_failure(&end.url, failure);
        }
        if let Some(foreign) = end.foreign {
            self.on_foreign(foreign);
        }
        let result = end.result.map(|session| {
            let (peer, role, remote) = (session.node_id(), session.role(), session.remote());
            self.arriving = Some(session);
            Dialled { peer, role, remote }
        });
        let effects = self.state.on_dialled(Instant::now(), &end.url, result, jitter());
        self.apply(effects, ctx);
        self.arriving = None;
    }

    /// A refusal needs the operator, and is said when it is new: it comes back with every dial.
    fn log_failure(&self, url: &PeerUrl, Failure { kind, reason }: &Failure) {
        let is_new = self.state.reason_at(url) != Some(reason.as_str());
        match kind {
            FailureKind::Unreachable => tracing::debug!(%url, reason, "peer not connected"),
            FailureKind::Refused | FailureKind::Misbehaved if is_new => {
                tracing::warn!(%url, reason, "peer not connected");
            }
            _ => tracing::debug!(%url, reason, "peer not connected"),
        }
    }

    /// Only the seeds' are kept: their number is the operator's.
    fn on_foreign(&mut self, foreign: ForeignChain) {
        if foreign.is_seed && self.foreign.get(&foreign.url) != Some(&foreign) {
            tracing::warn!(url = %foreign.url, differences = foreign.differences.join("; "), "a seed is on another chain");
            self.foreign.insert(foreign.url.clone(), foreign.clone());
        }
        self.ports.foreign.signal(foreign);
    }

    fn connect(&mut self, peer: NodeId, is_seed: bool) {
        let Some(session) = self.arriving.take() else { return };
        tracing::info!(peer = %peer.short(), url = %session.url(), role = %session.role(), "peer connected");
        self.peers.insert(peer, session.clone());
        for port in &self.ports.connected {
            port.signal(PeerConnected { session: session.clone(), is_seed });
        }
    }

    fn lose(&mut self, peer: NodeId, reason: String) {
        tracing::warn!(peer = %peer.short(), reason, "peer lost");
        self.peers.remove(&peer);
        for port in &self.ports.lost {
            port.signal(PeerLost { node_id: peer, reason: reason.clone() });
        }
    }

    fn poll(&mut self, peer: NodeId, number: u64, ctx: &mut Context<Self>) {
        let Some(session) = self.peers.get(&peer).cloned() else { return };
        let poll = async move { session.status().await };
        ctx.spawn(poll.into_actor(self).map(move |result: Result<PeerHead, CallError>, actor, ctx| {
            if let Some(sample) = result.as_ref().ok().and_then(|state| state.clock) {
                actor.state.on_clock(peer, sample);
            }
            let result = result.map(|state| state.head).map_err(|error| failure(&error));
            let effects = actor.state.on_polled(Instant::now(), peer, number, result);
            actor.apply(effects, ctx);
        }));
    }

    fn ask_addresses(&mut self, peer: NodeId, ctx: &mut Context<Self>) {
        let Some(session) = self.peers.get(&peer).cloned() else { return };
        let remote = session.remote();
        let ask = async move { session.addresses().await };
        ctx.spawn(ask.into_actor(self).map(move |result: Result<_, CallError>, actor, ctx| match result {
            Ok(addresses) => actor.on_told(peer, remote, addresses),
            // A list without end, or one that is none.
            Err(error) if error.blame() == Blame::Peer => {
                actor.on_misbehaved(peer, Offence::Forged, &error.to_string(), ctx);
            }
            Err(error) => tracing::debug!(peer = %peer.short(), %error, "peer tells no addresses"),
        }));
    }

    fn on_misbehaved(&mut self, peer: NodeId, offence: Offence, detail: &str, ctx: &mut Context<Self>) {
        tracing::warn!(peer = %peer.short(), ?offence, detail, "peer misbehaved");
        let effects = self.state.on_misbehaved(Instant::now(), peer, offence, detail);
        self.apply(effects, ctx);
    }

    fn on_told(&mut self, teller: NodeId, remote: Option<IpAddr>, addresses: Vec<PeerAddress>) {
        for reason in self.state.on_told(Instant::now(), teller, remote, addresses) {
            self.metrics.ignored(reason);
        }
    }

    fn ban(&self, peer: NodeId, until: Instant) {
        self.metrics.banned("node");
        self.sessions.ban(peer, until);
    }

    fn report(&self) -> Vec<PeerReport> {
        let now = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let clocks = Clocks { now, unix };
        let mut reports = self.state.report(clocks, &self.sessions.guests(now), &self.sessions.turned_away());
        for report in reports.iter_mut().filter(|report| report.direction == Some(Direction::Inbound)) {
            report.clock_skew_seconds = report.id.and_then(|id| self.sessions.clock_of(id));
        }
        reports
    }

    fn remember(&self, PeerAddress { node_id, url }: PeerAddress) {
        let store = self.store.clone();
        self.write(move || store.put_peers([(node_id.to_string().as_str(), &Remembered { url })]));
    }

    fn forget(&self, peer: NodeId) {
        let store = self.store.clone();
        self.write(move || store.remove_peer(&peer.to_string()));
    }

    fn write(&self, write: impl FnOnce() -> Result<(), callboard_store::StorageError> + Send + 'static) {
        actix_rt::task::spawn_blocking(move || {
            if let Err(error) = write() {
                tracing::error!(%error, "the peer book cannot be written to node.redb");
            }
        });
    }
}

/// What a chain's genesis says its peers must be.
pub fn chain_identity(genesis: &SealedGenesis) -> ChainIdentity {
    let config = genesis.config();
    ChainIdentity {
        chain_id: config.chain_id,
        genesis_hash: genesis.hash(),
        authority: config.authority,
        commitment: config.commitment(),
        max_block_bytes: config.max_block_bytes,
    }
}

fn remembered(store: &NodeStore) -> Vec<PeerAddress> {
    let peers = store.peers::<Remembered>().unwrap_or_else(|error| {
        tracing::error!(%error, "the peer book in node.redb cannot be read; starting from the seeds");
        Vec::new()
    });
    let address = |(id, peer): (String, Remembered)| Some(PeerAddress { node_id: id.parse().ok()?, url: peer.url });
    peers.into_iter().filter_map(address).collect()
}

fn jitter() -> u64 {
    u64::from_le_bytes(crate::transport::random())
}

impl Actor for PeerDiscovery {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.on_timer(Tick, ctx);
    }
}

impl OnTimer<Tick> for PeerDiscovery {
    fn timers(&mut self) -> &mut Timers<Tick> {
        &mut self.timers
    }

    fn on_timer(&mut self, _: Tick, ctx: &mut Self::Context) {
        let effects = self.state.on_tick(Instant::now());
        self.apply(effects, ctx);
        self.timers.set(ctx, Tick, TICK);
    }
}

impl Handler<Timed<PeerMisbehaved>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<PeerMisbehaved>, ctx: &mut Self::Context) {
        timed.answer(ctx, |PeerMisbehaved { node_id, offence, detail }, ctx| {
            self.on_misbehaved(node_id, offence, &detail, ctx);
        });
    }
}

impl Handler<Timed<SessionBroken>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<SessionBroken>, ctx: &mut Self::Context) {
        timed.answer(ctx, |SessionBroken { node_id, reason }, ctx| {
            let effects = self.state.on_session_broken(Instant::now(), node_id, &reason);
            self.apply(effects, ctx);
        });
    }
}

impl Handler<Timed<PeerGreeted>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<PeerGreeted>, ctx: &mut Self::Context) {
        timed.answer(ctx, |PeerGreeted { guest }, _| {
            for reason in self.state.on_greeted(Instant::now(), guest) {
                self.metrics.ignored(reason);
            }
        });
    }
}

impl Handler<Timed<AddressesRequest>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<AddressesRequest>, ctx: &mut Self::Context) {
        timed.answer(ctx, |AddressesRequest { node_id, remote }, _| self.state.addresses_for(node_id, remote));
    }
}

impl Handler<Timed<AddressesTold>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<AddressesTold>, ctx: &mut Self::Context) {
        timed.answer(ctx, |AddressesTold { node_id, remote, addresses }, _| {
            self.on_told(node_id, remote, addresses);
        });
    }
}

impl Handler<Timed<PeersRequest>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<PeersRequest>, ctx: &mut Self::Context) {
        timed.answer(ctx, |PeersRequest, _| self.report());
    }
}

impl Handler<Timed<Stop>> for PeerDiscovery {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |Stop, ctx| ctx.stop());
    }
}
