//! Every actor of a node: opened, wired, started, and stopped in order.

use super::ports::{NodePorts, Running, damage};
use super::{NodeError, RpcAddresses, Shared, print_out, recovery, settings, watching};
use crate::start::{Chain, Start};
use actix::Arbiter;
use alloy_consensus::Header;
use callboard_actors::block_store::{self, BlockStore, CommitMetrics, HeadStored};
use callboard_actors::broadcaster::{self, BroadcastMetrics, Broadcaster};
use callboard_actors::callboard::Role;
use callboard_actors::confirmed_state::{self, ConfirmedState};
use callboard_actors::event_stream::{self, EventMetrics, EventStream};
use callboard_actors::guard::{StopOrder, StorageGuard};
use callboard_actors::importer::{Executors, Importer, OwnBlocks, Passports, Records, SealWatch};
use callboard_actors::monitor::{Alarm, Alarms, Monitor};
use callboard_actors::peer_discovery::{
    self, PeerDiscovery, PeerReport, PeersRequest, chain_identity, clock_alarm, future_head_alarm,
};
use callboard_actors::peer_intake::{self, IntakeMetrics, PeerIntake};
use callboard_actors::proposer::{self, HighWater, Proposer};
use callboard_actors::reconciler::{self, Reconciled, Reconciler, ReconcilerMetrics};
use callboard_actors::rpc_frontend::{Chain as RpcChain, ChainAccess, PoolInboxes};
use callboard_actors::send::{Inbox, Mailbox};
use callboard_actors::sync_coordinator::{
    self, DamageFound, ExpectedGuests, KnownHead, SyncCoordinator, SyncReport, Tools,
};
use callboard_actors::transport::clock::wall_millis;
use callboard_actors::transport::hello::Identity;
use callboard_actors::transport::server::{PeerServer, ServerConfig, ServerPorts};
use callboard_actors::transport::sessions::{Admission, Sessions};
use callboard_actors::transport::{BootId, ChainFacts};
use callboard_actors::tx_pool::{self, AccountState, PoolMetrics, ReadAccount, TxPool};
use callboard_actors::verifier::Verifier;
use callboard_chain::live::LiveState;
use callboard_chain::verify::next_base_fee;
use callboard_chain::{Block, ChainConfig, SecretKey, StateReader};
use callboard_store::{Head, LatestState, NodeStore, Store};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Questions and commands that may wait for one actor.
const MAILBOX: usize = 1_024;
/// Transactions from clients and peers that may wait for the pool.
const POOL_MAILBOX: usize = 8_192;
/// What peers brought and is being checked: each is a request that waits for its answer.
const INTAKE_MAILBOX: usize = 64;
/// Operators who ask how far a check is.
const RECONCILER_MAILBOX: usize = 64;
/// A stop within this time is orderly; committing the largest batch takes a few seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(8);
/// The bookmark that says that an authority has run with this `node.redb`.
const HAS_RUN: &str = "authority_has_run";
/// The bookmark that says at which height the stored chain was found damaged; 0 where it is whole again.
pub(crate) const DAMAGED: &str = "damaged";
/// Said until the background check has looked again.
const REMEMBERED_DAMAGE: &str = "the stored chain was found damaged before this start; stop this node and run \
                                 `callboard chain reconcile --full`";
/// How often `callboard_peers` is brought up to date.
const PEERS_EVERY: Duration = Duration::from_millis(500);

/// The threads of actors, as `top -H` and profiles show them: at most 15 bytes each. The last one is all others'.
const THREADS: [&str; 5] = ["ConfirmedState", "BlockStore", "Proposer", "EventStream", "actors"];

type ConfirmedStateActor = ConfirmedState<LatestState>;

/// A node whose actors run.
pub(super) struct RunningNode {
    peer_server: PeerServer,
    order: StopOrder,
    threads: [Arbiter; 5],
    webhook: Option<JoinHandle<()>>,
}

/// What the node is made of before its actors exist.
struct Parts {
    config: Arc<ChainConfig>,
    chain: Chain,
    node_store: NodeStore,
    authority: Option<(SecretKey, HighWater)>,
    head: Head,
}

/// The open mailboxes.
struct Mailboxes {
    confirmed_state: Mailbox<ConfirmedStateActor>,
    block_store: Mailbox<BlockStore>,
    proposer: Option<Mailbox<Proposer>>,
    pool: Mailbox<TxPool>,
    sync: Mailbox<SyncCoordinator>,
    discovery: Mailbox<PeerDiscovery>,
    broadcaster: Mailbox<Broadcaster>,
    intake: Mailbox<PeerIntake>,
    events: Mailbox<EventStream>,
    monitor: Mailbox<Monitor>,
    reconciler: Mailbox<Reconciler>,
}

impl RunningNode {
    /// Takes up what was sealed and not stored, then opens every mailbox, and only then starts the actors.
    pub(super) async fn start(
        shared: &Shared,
        ports: &NodePorts,
        start: Start,
        node_key: SecretKey,
        chain_access: &ChainAccess,
        rpc: RpcAddresses,
    ) -> Result<Self, NodeError> {
        let (role, created) = (start.role, start.created);
        let parts = Parts::prepare(shared, start)?;
        let webhook = watching::tell_webhook(shared, &parts.chain.genesis)?;
        parts.report_failures_to(&shared.storage);
        shared.callboard.set_role(role);
        let threads = THREADS.map(named_thread);
        let mailboxes = Mailboxes::open(shared, &threads, role).await?;
        let order = mailboxes.stop_order();

        let (head_sender, head) = watch::channel(parts.head);
        let verifier = Verifier::start(
            settings::workers(&shared.configuration),
            parts.config.clone(),
            shared.stages.verify.clone(),
        )
        .map_err(|error| NodeError::Threads(error.to_string()))?;
        let records = Records::new(parts.node_store.clone(), &shared.metrics);
        let importer = Importer::new(
            shared.callboard.clone(),
            verifier,
            Executors { block: mailboxes.confirmed_state.inbox(), blocks: mailboxes.confirmed_state.inbox() },
            head,
            records,
            parts.seal_watch(shared)?,
            mailboxes.own_blocks(),
        );
        importer.seals().report_to(mailboxes.sync.inbox());
        importer.report_faults_to(mailboxes.sync.inbox());
        importer.measure_waits_by(shared.stages.execute.clone());
        settle_seals(importer.seals().clone(), importer.watch_head());
        if let Some(sealed) = parts.sealed_above_head() {
            actix::spawn(recovery::take_up_when_reached(sealed, importer.clone()));
        }
        let sessions = Sessions::new(Admission {
            max_peers: shared.configuration.peers.max,
            allow: shared.configuration.peers.allow.iter().copied().collect(),
        });
        let identity = Identity {
            key: node_key,
            boot_id: boot_id()?,
            genesis_hash: parts.chain.genesis.hash(),
            chain: ChainFacts::of(&parts.chain.genesis),
            role,
            advertise: shared.configuration.peers.advertise.clone(),
        };
        let peer_server = mailboxes.peer_server(shared, &parts, &identity, &sessions, importer.passports().clone())?;
        let (sync_report, sync) = watch::channel(SyncReport::before_genesis(role));
        let (peer_reports, peers) = watch::channel(Vec::new());
        publish_peers(mailboxes.discovery.inbox(), peer_reports, importer.watch_head(), shared.alarms.clone());
        let watched = watching::Sources {
            sync: sync.clone(),
            refusals: importer.refusals().clone(),
            heartbeat_seconds: parts.config.heartbeat_seconds,
        };
        let (reconciled_sender, reconciled) = watch::channel(None);
        tell_of_damage(reconciled.clone(), parts.node_store.clone(), shared.alarms.clone(), mailboxes.sync.inbox())?;
        ports.open(Running {
            importer: importer.clone(),
            pool: PoolInboxes {
                submit: mailboxes.pool.inbox(),
                pending_nonce: mailboxes.pool.inbox(),
                pending: mailboxes.pool.inbox(),
                drop: mailboxes.pool.inbox(),
                content: mailboxes.pool.inbox(),
                status: mailboxes.pool.inbox(),
                fate: mailboxes.pool.inbox(),
                refused: mailboxes.pool.inbox(),
            },
            events: mailboxes.events.inbox(),
            verify: mailboxes.reconciler.inbox(),
            reconciled,
            sync,
            peers,
        });
        chain_access.open(RpcChain { store: parts.chain.store.clone(), config: parts.config.clone() });

        let subject = print_out::Subject {
            name: &shared.configuration.node.name,
            role,
            genesis: &parts.chain.genesis,
            store: &parts.chain.store,
            created,
            rpc,
            peers: peer_server.address(),
            node_id: identity.node_id().to_string(),
            dev_exposed: shared.configuration.node.dev_exposed,
        };
        let text = print_out::text(&subject)?;
        // Where nobody reads it, the node goes on.
        shared.console.without_bars(|| std::io::stdout().write_all(text.as_bytes()).ok());
        let sources = ports.event_sources();
        mailboxes.start(
            shared,
            parts,
            importer,
            sessions,
            identity,
            head_sender,
            sync_report,
            reconciled_sender,
            sources,
            watched,
        )?;
        Ok(Self { peer_server, order, threads, webhook })
    }

    /// Where the peer listener listens.
    pub(super) fn peer_address(&self) -> SocketAddr {
        self.peer_server.address()
    }

    /// Stops in order: first what takes in work, then what executes, then what writes.
    pub(super) async fn stop(self) {
        self.peer_server.stop().await;
        for (actor, outcome) in self.order.stop().await {
            tracing::debug!(actor, ?outcome, "stopped");
        }
        for thread in &self.threads {
            thread.stop();
        }
        if let Some(webhook) = self.webhook {
            webhook.abort();
        }
    }
}

impl Parts {
    fn prepare(shared: &Shared, start: Start) -> Result<Self, NodeError> {
        let configuration = &shared.configuration;
        let Some(mut chain) = start.chain else {
            return Err(NodeError::Threads("there is no chain to run".to_owned()));
        };
        let config = Arc::new(chain.genesis.config().clone());
        check_head_seal(&chain)?;
        let node_store = NodeStore::open(configuration.node_database_path())?;
        let authority = match start.key {
            None => match configuration.run.abandon_after {
                None => None,
                Some(height) => {
                    return Err(NodeError::Setting {
                        key: "--abandon-after",
                        value: height.to_string(),
                        reason: "this node is a follower; only the authority gives blocks up, and a follower takes another branch by `callboard chain rollback`".to_owned(),
                    });
                }
            },
            Some(key) => {
                let folder = if configuration.node.dev {
                    &configuration.node.data_dir
                } else {
                    &configuration.authority.keystore
                };
                let mut mark = HighWater::open(folder, chain.genesis.hash())?;
                if let Some(height) = configuration.run.abandon_after {
                    recovery::abandon(&mut mark, &chain.store, &node_store, height)?;
                }
                recovery::finish(&mut mark, &node_store)?;
                recovery::take_up(&mark, &config, &chain.store, &mut chain.writer)?;
                Some((key, mark))
            }
        };
        let head = chain.store.snapshot()?.head();
        Ok(Self { config, chain, node_store, authority, head })
    }

    /// A disk that fails stops the node, whoever meets it.
    fn report_failures_to(&self, guard: &StorageGuard) {
        let told = guard.clone();
        self.chain.store.report_failures_to(move |error| told.failed(StorageGuard::CHAIN, error));
        let told = guard.clone();
        self.node_store.report_failures_to(move |error| told.failed(StorageGuard::NODE, error));
    }

    /// The highest block this authority ever sealed, where its database is older.
    fn sealed_above_head(&self) -> Option<Block> {
        let (_, mark) = self.authority.as_ref()?;
        mark.sealed().filter(|block| block.height() > self.head.height).cloned()
    }

    /// On an authority: the highest block it ever sealed, as its high-water file has it; 0 where it sealed none.
    fn high_water(&self) -> Option<u64> {
        let (_, mark) = self.authority.as_ref()?;
        Some(mark.sealed().map_or(0, Block::height))
    }

    /// For whom an authority waits that it cannot dial. One that never had a guest goes on at once; where it has run before
    /// and what it remembered is gone, it cannot know.
    fn expected_guests(&self) -> Result<ExpectedGuests, NodeError> {
        let Some(high_water) = self.high_water() else { return Ok(ExpectedGuests::default()) };
        let has_run = self.head.height > 0 || high_water > 0;
        let remembers = self.node_store.bookmark(HAS_RUN)?.is_some();
        self.node_store.put_bookmark(HAS_RUN, 1)?;
        if has_run && !remembers {
            return Ok(ExpectedGuests::Unknown);
        }
        let guests = self.node_store.guests()?;
        Ok(ExpectedGuests::These(guests.iter().filter_map(|id| id.parse().ok()).collect()))
    }

    /// Knows what was sealed, as the high-water file has it.
    fn seal_watch(&self, shared: &Shared) -> Result<SealWatch, NodeError> {
        Ok(SealWatch::new(
            self.chain.store.clone(),
            self.config.commitment(),
            self.node_store.clone(),
            self.high_water(),
            shared.alarms.clone(),
            &shared.metrics,
            shared.storage.clone(),
        )?)
    }

    fn head_header(&self) -> Result<Header, NodeError> {
        let header = self.chain.store.snapshot()?.header(self.head.height)?;
        header.ok_or_else(|| NodeError::Threads(format!("the header of block {} is missing", self.head.height)))
    }
}

impl Mailboxes {
    async fn open(shared: &Shared, threads: &[Arbiter; 5], role: Role) -> Result<Self, NodeError> {
        let [state, disk, proposing, telling, rest] = threads;
        let registry = &shared.registry;
        let failed = |error: callboard_actors::send::OpenMailboxError| NodeError::Threads(error.to_string());
        macro_rules! open {
            ($thread:expr, $name:literal, $capacity:expr) => {
                Mailbox::open(&$thread.handle(), registry.actor($name, $capacity)).await.map_err(failed)?
            };
        }
        Ok(Self {
            confirmed_state: open!(state, "ConfirmedState", MAILBOX),
            block_store: open!(disk, "BlockStore", MAILBOX),
            proposer: match role {
                Role::Authority => Some(open!(proposing, "Proposer", MAILBOX)),
                Role::Follower => None,
            },
            pool: open!(rest, "TxPool", POOL_MAILBOX),
            sync: open!(rest, "SyncCoordinator", MAILBOX),
            discovery: open!(rest, "PeerDiscovery", MAILBOX),
            broadcaster: open!(rest, "Broadcaster", MAILBOX),
            intake: open!(rest, "PeerIntake", INTAKE_MAILBOX),
            events: open!(telling, "EventStream", MAILBOX),
            monitor: open!(rest, "Monitor", MAILBOX),
            reconciler: open!(rest, "Reconciler", RECONCILER_MAILBOX),
        })
    }

    fn own_blocks(&self) -> Option<OwnBlocks> {
        let proposer = self.proposer.as_ref()?;
        Some(OwnBlocks { hold: proposer.inbox(), met: self.sync.inbox() })
    }

    fn stop_order(&self) -> StopOrder {
        let mut order = StopOrder::new();
        if let Some(proposer) = &self.proposer {
            order = order.then(proposer.inbox(), STOP_DEADLINE);
        }
        order
            .then(self.reconciler.inbox(), STOP_DEADLINE)
            .then(self.intake.inbox(), STOP_DEADLINE)
            .then(self.sync.inbox(), STOP_DEADLINE)
            .then(self.discovery.inbox(), STOP_DEADLINE)
            .then(self.confirmed_state.inbox(), STOP_DEADLINE)
            .then(self.block_store.inbox(), STOP_DEADLINE)
            .then(self.broadcaster.inbox(), STOP_DEADLINE)
            .then(self.pool.inbox(), STOP_DEADLINE)
            .then(self.events.inbox(), STOP_DEADLINE)
            .then(self.monitor.inbox(), STOP_DEADLINE)
    }

    fn peer_server(
        &self,
        shared: &Shared,
        parts: &Parts,
        identity: &Identity,
        sessions: &Sessions,
        passports: Passports,
    ) -> Result<PeerServer, NodeError> {
        Ok(PeerServer::start(ServerConfig {
            listen: shared.configuration.peers.listen,
            tls: shared.tls.clone(),
            identity: identity.clone(),
            chain: chain_identity(&parts.chain.genesis),
            store: parts.chain.store.clone(),
            sessions: sessions.clone(),
            ports: ServerPorts {
                greeted: self.discovery.inbox(),
                addresses: self.discovery.inbox(),
                told: self.discovery.inbox(),
                subscribe: self.broadcaster.inbox(),
                transactions: self.intake.inbox(),
                blocks: self.intake.inbox(),
                shown: self.sync.inbox(),
            },
            metrics: shared.peer_metrics.clone(),
            passports,
            budget: shared.streams.clone(),
        })?)
    }

    #[allow(clippy::too_many_arguments)] // each is a different part, used once
    fn start(
        self,
        shared: &Shared,
        parts: Parts,
        importer: Importer,
        sessions: Sessions,
        identity: Identity,
        head: watch::Sender<Head>,
        report: watch::Sender<SyncReport>,
        reconciled: watch::Sender<Option<reconciler::Reconciled>>,
        sources: event_stream::Sources,
        watched: watching::Sources,
    ) -> Result<(), NodeError> {
        let (configuration, callboard, stages) = (&shared.configuration, &shared.callboard, &shared.stages);
        let header = parts.head_header()?;
        let guests = parts.expected_guests()?;
        let high_water = parts.high_water().map(|mark| mark.max(importer.seals().own_block_met()));
        let store = parts.chain.store.clone();

        let live = LiveState::new(parts.config.clone(), store.latest(), header.clone());
        let state = confirmed_state::State::new(live, settings::commit(configuration));
        let ports = confirmed_state::Ports { store: self.block_store.inbox() };
        let (execute, root) = (stages.execute.clone(), stages.root.clone());
        let batch_stored = self.confirmed_state.inbox();
        let (build, seal) = (self.confirmed_state.inbox(), self.confirmed_state.inbox());
        let pace: Inbox<confirmed_state::CommitPace> = self.confirmed_state.inbox();
        self.confirmed_state.start(move |_| ConfirmedState::new(ports, state, execute, root));

        let mut heads: Vec<Inbox<HeadStored>> = vec![self.sync.inbox()];
        heads.extend(self.proposer.as_ref().map(Mailbox::inbox));
        let ports = block_store::Ports {
            confirmed_state: batch_stored,
            heads,
            pool: self.pool.inbox(),
            events: self.events.inbox(),
            broadcast: self.broadcaster.inbox(),
            relay: self.broadcaster.inbox(),
            passports: importer.passports().clone(),
        };
        let (board, config) = (callboard.clone(), parts.config.clone());
        let commits = CommitMetrics::register(&shared.metrics, stages.commit.clone());
        let writer = parts.chain.writer;
        let history = Some(configuration.store.history_blocks).filter(|blocks| *blocks > 0);
        self.block_store.start(move |_| BlockStore::new(ports, board, config, writer, head, commits, history));

        let pool_ports = tx_pool::Ports {
            accepted: self.broadcaster.inbox(),
            events: self.events.inbox(),
            proposer: self.proposer.as_ref().map(Mailbox::inbox),
            accounts: accounts(&store),
            callboard: callboard.clone(),
        };
        let permission = self.proposer.as_ref().map(Mailbox::inbox);
        if let (Some(mailbox), Some((key, mark))) = (self.proposer, parts.authority) {
            let (best, drop, passports) = (self.pool.inbox(), self.pool.inbox(), importer.passports().clone());
            let ports = proposer::Ports { best, drop, build, seal, passports };
            let setup = proposer::Setup {
                schedule: settings::schedule(configuration, parts.config.heartbeat_seconds),
                config: parts.config.clone(),
                key,
                mark,
                next_base_fee: next_base_fee(&header, &parts.config),
                head_height: header.number,
                head_timestamp: header.timestamp,
                has_room: settings::has_room(configuration),
                alarms: shared.alarms.clone(),
                clock: proposer::system_clock(),
            };
            mailbox.start(move |_| Proposer::new(ports, setup));
        }

        let ports = sync_coordinator::Ports {
            pace,
            proposer: permission,
            broken: self.discovery.inbox(),
            misbehaved: self.discovery.inbox(),
            fetched: self.sync.inbox(),
            handed_over: self.sync.inbox(),
            answered: self.sync.inbox(),
            given: self.sync.inbox(),
            node_store: parts.node_store.clone(),
        };
        let known = KnownHead { height: parts.head.height, hash: parts.head.hash, timestamp: parts.head.timestamp };
        let setup = sync_coordinator::Setup {
            role: callboard.role(),
            heartbeat_seconds: parts.config.heartbeat_seconds,
            start_wait: Duration::from_secs(configuration.peers.start_wait_s),
            stall_after: Duration::from_secs(configuration.sync.stall_after_s),
            window_blocks: configuration.sync.window_blocks,
            has_seeds: !configuration.peers.seeds.is_empty(),
            high_water,
            guests,
            given_up: importer.seals().given_up().clone(),
            accepted: parts.node_store.accepted_forks()?,
            head: known,
        };
        let silence =
            Duration::from_secs(parts.config.heartbeat_seconds.saturating_mul(sync_coordinator::STALE_HEARTBEATS));
        let tools = Tools {
            importer: importer.clone(),
            store: store.clone(),
            fetch: stages.fetch.clone(),
            authority: parts.config.authority,
            commitment: parts.config.commitment(),
            silence,
        };
        let (board, all_stages, alarms) = (callboard.clone(), stages.clone(), shared.alarms.clone());
        let (connected, lost) = (self.sync.inbox(), self.sync.inbox());
        let (status, foreign, first_dials) = (self.sync.inbox(), self.sync.inbox(), self.sync.inbox());
        self.sync.start(move |_| {
            let state = sync_coordinator::State::new(setup, Duration::ZERO);
            SyncCoordinator::new(ports, state, board, tools, all_stages, alarms, report)
        });

        let ports = peer_intake::Ports {
            held: self.pool.inbox(),
            pool: self.pool.inbox(),
            refused: self.pool.inbox(),
            misbehaved: self.discovery.inbox(),
        };
        let (config, intake_store) = (parts.config.clone(), store.clone());
        let (policy, base_fee) = (config.base_fee_policy, next_base_fee(&header, &config));
        let intake_metrics = IntakeMetrics::register(&shared.metrics);
        self.intake.start(move |_| PeerIntake::new(ports, importer, config, intake_store, intake_metrics));

        let ports = peer_discovery::Ports {
            connected: vec![connected, self.broadcaster.inbox()],
            lost: vec![lost, self.broadcaster.inbox()],
            status,
            foreign,
            first_dials,
        };
        let setup = reconciler::Setup {
            every: Duration::from_secs(configuration.sync.reconcile_every_s),
            store: store.clone(),
            config: parts.config.clone(),
            node_store: parts.node_store.clone(),
            folder: configuration.node.data_dir.clone(),
            callboard: callboard.clone(),
            metrics: ReconcilerMetrics::register(&shared.metrics),
        };
        let ports_of_reconciler = reconciler::Ports { published: reconciled };
        self.reconciler.start(move |_| Reconciler::new(ports_of_reconciler, setup));

        let config = peer_discovery::Config {
            seeds: configuration.peers.seeds.clone(),
            max_peers: configuration.peers.max,
            allow: configuration.peers.allow.iter().copied().collect(),
            discovery: configuration.peers.discovery,
            identity,
            genesis: parts.chain.genesis,
            client: shared.client.clone(),
            sessions,
            store: parts.node_store,
            metrics: shared.peer_metrics.clone(),
        };
        let ports_of_broadcaster = broadcaster::Ports { forwarded: self.pool.inbox(), broken: self.discovery.inbox() };
        self.discovery.start(move |_| PeerDiscovery::new(config, ports));

        let board = callboard.clone();
        let broadcast_metrics = BroadcastMetrics::register(&shared.metrics);
        let streams = shared.streams.clone();
        self.broadcaster.start(move |_| Broadcaster::new(ports_of_broadcaster, board, broadcast_metrics, streams));
        let (pool_config, pool_metrics) = (settings::pool(configuration), PoolMetrics::register(&shared.metrics));
        let watching = watched.watching(shared, pool_metrics.clone());
        self.pool.start(move |_| TxPool::new(pool_config, policy, base_fee, pool_ports, pool_metrics));
        let event_metrics = EventMetrics::register(&shared.metrics);
        self.events.start(move |_| EventStream::new(sources, event_metrics));
        let (registry, all_stages) = (shared.registry.clone(), stages.clone());
        self.monitor.start(move |_| Monitor::new(registry, all_stages, watching));
        Ok(())
    }
}

/// The genesis was checked when it was read, and the head's hash and state root when the database was opened.
fn check_head_seal(chain: &Chain) -> Result<(), NodeError> {
    let snapshot = chain.store.snapshot()?;
    let height = snapshot.head().height;
    let Some(block) = snapshot.block(height)? else { return Ok(()) };
    let authority = chain.genesis.config().authority;
    block.seal().verify(block.hash(), authority).map_err(|source| NodeError::HeadSeal { height, source })
}

/// Accounts as of the newest durable block.
fn accounts(store: &Store) -> ReadAccount {
    let latest = store.latest();
    Arc::new(move |address| {
        let account = latest.account(address)?.unwrap_or_default();
        Ok(AccountState { nonce: account.nonce, balance: account.balance })
    })
}

/// actix names all its threads alike in what the system shows of a name.
fn named_thread(name: &'static str) -> Arbiter {
    let thread = Arbiter::new();
    // Linux's way to name the thread that writes; elsewhere, or where it is not allowed, the thread keeps its name.
    thread.spawn_fn(move || _ = std::fs::write("/proc/thread-self/comm", name));
    thread
}

fn boot_id() -> Result<BootId, NodeError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| NodeError::Threads(format!("no random bytes: {error}")))?;
    Ok(BootId(bytes))
}

/// Compares the sealed heads that peers have shown with this chain as it reaches them, until the node stops.
fn settle_seals(seals: SealWatch, mut head: watch::Receiver<Head>) {
    actix::spawn(async move {
        // A storage error has been reported there, and stops the node.
        while head.changed().await.is_ok() && seals.settle().is_ok() {}
    });
}

/// What the background check finds decides whether an authority may go on, also after a restart: until the chain is
/// repaired, or found whole.
fn tell_of_damage(
    mut reconciled: watch::Receiver<Option<Reconciled>>,
    node_store: NodeStore,
    alarms: Alarms,
    sync: Inbox<DamageFound>,
) -> Result<(), NodeError> {
    let mut was_damaged = node_store.bookmark(DAMAGED)?.is_some_and(|height| height > 0);
    if was_damaged {
        let damaged = Some(REMEMBERED_DAMAGE.to_owned());
        alarms.set(Alarm::Damaged, damaged.clone());
        sync.signal(DamageFound { damaged });
    }
    actix::spawn(async move {
        while reconciled.changed().await.is_ok() {
            let Some(result) = reconciled.borrow_and_update().clone() else { continue };
            let damaged = damage(&result);
            if damaged.is_some() != was_damaged {
                was_damaged = damaged.is_some();
                remember_damage(node_store.clone(), if was_damaged { result.height.max(1) } else { 0 });
            }
            alarms.set(Alarm::Damaged, damaged.clone());
            sync.signal(DamageFound { damaged });
        }
    });
    Ok(())
}

fn remember_damage(node_store: NodeStore, height: u64) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = node_store.put_bookmark(DAMAGED, height) {
            // It stops the node, by `report_failures_to`; and so do the others of its kind.
            tracing::error!(%error, "what the background check found cannot be written to node.redb");
        }
    });
}

/// Keeps the answer to `callboard_peers` current until the node stops, and watches the clocks.
fn publish_peers(
    discovery: Inbox<PeersRequest>,
    reports: watch::Sender<Vec<PeerReport>>,
    head: watch::Receiver<Head>,
    alarms: Alarms,
) {
    actix::spawn(async move {
        while !reports.is_closed() {
            // A late answer leaves the last one standing.
            if let Ok(peers) = discovery.ask(PeersRequest, PEERS_EVERY).await {
                alarms.set(Alarm::PeerClock, clock_alarm(&peers));
                reports.send_replace(peers);
            }
            let Head { height, timestamp, .. } = *head.borrow();
            alarms.set(Alarm::FutureHead, future_head_alarm(height, timestamp, wall_millis() / 1_000));
            tokio::time::sleep(PEERS_EVERY).await;
        }
    });
}
