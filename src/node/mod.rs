//! The node: assembly and supervision.
//!
//! [`run`] reads as a node lives: take the addresses, open the chain, answer RPC, fetch the genesis where there is no
//! chain, take up what was sealed and not stored, start the actors, and stop them in order when a signal comes or one
//! of them dies.

mod actors;
mod descriptors;
mod files;
mod ports;
mod print_out;
mod recovery;
mod replay;
mod settings;
mod shown;
mod watching;

use crate::configuration::{Configuration, VerifyOnStart};
use crate::node_key::{self, NodeKeyError};
use crate::progress::Console;
use crate::start::{self, Start, StartError};
pub(crate) use actors::DAMAGED;
use actors::RunningNode;
use callboard_actors::callboard::{Callboard, Phase, Role};
use callboard_actors::guard::{ActorDied, StorageFailed, StorageGuard};
use callboard_actors::monitor::{Alarms, Metrics, Stages, WebhookSetupError};
use callboard_actors::proposer::HighWaterError;
use callboard_actors::rpc_frontend::{
    AdminSurface, BindError, ChainAccess, RpcMetrics, RpcPorts, RpcServer, SharedLimits,
};
use callboard_actors::send::ActorRegistry;
use callboard_actors::transport::client::{ClientSetupError, PeerClient};
use callboard_actors::transport::genesis_fetch::fetch_genesis;
use callboard_actors::transport::server::ListenError;
use callboard_actors::transport::{PeerMetrics, StreamBudget, Tls, TlsError};
use callboard_chain::seal::SealError;
use ports::NodePorts;
pub(crate) use recovery::blocks_above;
use replay::Replay;
use shown::Shown;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Why a node did not start, or stopped without having been told to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no chain to start from.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The RPC listener.
    #[error(transparent)]
    Rpc(#[from] BindError),
    /// The peer listener.
    #[error("peers.listen: {0}; stop the program that holds the address, or choose another one")]
    Peers(#[from] ListenError),
    /// The node key.
    #[error(transparent)]
    NodeKey(#[from] NodeKeyError),
    /// Remembered peers and refusals.
    #[error("node.redb: {0}")]
    NodeStore(#[from] callboard_store::OpenError),
    /// The high-water mark.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// What was sealed and not stored cannot be taken up again.
    #[error(transparent)]
    Recovery(#[from] recovery::RecoveryError),
    /// The stored chain is not what its genesis and seals say.
    #[error(transparent)]
    Replay(#[from] replay::ReplayError),
    /// The head in the database is not sealed by the authority.
    #[error("the head {height} in the database: {source}; restore the database, or start from an empty folder")]
    HeadSeal {
        /// Its height.
        height: u64,
        /// What is wrong with its seal.
        source: SealError,
    },
    /// The database could not be read.
    #[error("the chain database cannot be read: {0}")]
    Storage(#[from] callboard_store::StorageError),
    /// A file in the data folder could not be written.
    #[error("{0}")]
    File(String),
    /// Certificates for TLS between peers.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client for peers could not be set up.
    #[error("the client for peers cannot be set up: {0}")]
    Client(#[from] ClientSetupError),
    /// The HTTP client for the webhook could not be set up.
    #[error(transparent)]
    Webhook(#[from] WebhookSetupError),
    /// A setting that only shows when the parts are put together.
    #[error("{key} = {value}: {reason}")]
    Setting {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A thread or actor could not be started.
    #[error("{0}")]
    Threads(String),
    /// An actor died: the node has stopped in order.
    #[error("{0}; the node has stopped")]
    Died(#[from] ActorDied),
    /// A database cannot be used any more: the node has stopped in order.
    #[error(transparent)]
    StorageFailed(#[from] StorageFailed),
    /// The operating system does not deliver signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

impl NodeError {
    /// Whether the operator has to change the configuration (exit code 2).
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Start(error) => error.is_configuration(),
            Self::Rpc(_) | Self::Peers(_) | Self::Tls(_) | Self::Setting { .. } => true,
            Self::HighWater(error) => matches!(error, HighWaterError::InUse { .. }),
            Self::Recovery(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// What all parts of a node share from its first second.
struct Shared {
    configuration: Configuration,
    console: Console,
    callboard: Callboard,
    registry: ActorRegistry,
    stages: Stages,
    metrics: Metrics,
    alarms: Alarms,
    storage: StorageGuard,
    peer_metrics: PeerMetrics,
    streams: StreamBudget,
    tls: Option<Tls>,
    client: PeerClient,
    replay: Replay,
}

/// How often the log says that the chain is still being opened.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Runs a node until it is told to stop by SIGINT or SIGTERM, or one of its actors dies. `console` is where its log goes,
/// and where it shows how far it is.
pub async fn run(configuration: Configuration, console: Console) -> Result<(), NodeError> {
    let mut stop = StopSignal::listen().map_err(NodeError::Signals)?;
    descriptors::provide(&configuration)?;
    let rpc_listener = RpcServer::bind(&settings::rpc(&configuration))?;
    let admin_listener = match configuration.rpc.admin {
        Some(listen) => Some(RpcServer::bind(&settings::admin(&configuration, listen))?),
        None => None,
    };
    check_address(configuration.peers.listen)?;
    let tls = peer_tls(&configuration)?;
    let Some(start) = open(&configuration, &mut stop).await? else { return Ok(()) };
    let (registry, mut deaths) = ActorRegistry::new();
    let shared = Shared::new(configuration, console, registry, tls)?;
    let ports = NodePorts::new(&shared);
    let shown = Shown::start(&ports, &shared.console, shared.configuration.run.progress);
    let chain_access = ChainAccess::new();
    let rpc = RpcServers::start(&shared, rpc_listener, admin_listener, &ports, &chain_access)?;

    let outcome = tokio::select! {
        started = start_chain(&shared, start, &ports, &chain_access, rpc.addresses()) => match started {
            Err(error) => Err(error),
            Ok(node) => {
                let ended = tokio::select! {
                    () = stop.received() => None,
                    failed = shared.storage.failure() => Some(NodeError::from(failed)),
                    died = deaths.next() => died.map(|died| death(died, &shared.storage)),
                };
                tracing::info!(reason = ended.as_ref().map(ToString::to_string), "stopping");
                node.stop().await;
                ended.map_or(Ok(()), Err)
            }
        },
        () = stop.received() => {
            shared.replay.give_up().await;
            Ok(())
        }
    };
    drop(shown);
    rpc.stop().await;
    outcome
}

/// An actor that cannot read or write its database dies of it; the disk is what the operator has to hear of.
fn death(died: ActorDied, storage: &StorageGuard) -> NodeError {
    storage.failure_now().map_or_else(|| died.into(), NodeError::from)
}

/// Opens the chain, which takes minutes where its genesis is huge or the database is being repaired; `None` where the
/// node was told to stop. What is being made then is cut off as by a kill, and leaves nothing that looks like a chain.
async fn open(configuration: &Configuration, stop: &mut StopSignal) -> Result<Option<Start>, NodeError> {
    let configuration = configuration.clone();
    let mut opened = std::pin::pin!(on_thread("open-chain", move || start::open(&configuration)));
    loop {
        tokio::select! {
            opened = &mut opened => return Ok(Some(opened??)),
            () = stop.received() => return Ok(None),
            () = tokio::time::sleep(TELL_EVERY) => tracing::info!("still opening the chain"),
        }
    }
}

/// Does long work on a thread of its own. Dropping the future does not end the work; the end of the process does.
async fn on_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NodeError> {
    let (done, result) = tokio::sync::oneshot::channel();
    // Nobody waits for the result any more where the node is stopping.
    let work = move || drop(done.send(work()));
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|error| NodeError::Threads(format!("the thread {name} cannot be started: {error}")))?;
    result.await.map_err(|_| NodeError::Threads(format!("the thread {name} has panicked")))
}

impl Shared {
    fn new(
        configuration: Configuration,
        console: Console,
        registry: ActorRegistry,
        tls: Option<Tls>,
    ) -> Result<Self, NodeError> {
        // Until the genesis is known every node is a follower of it.
        let callboard = Callboard::new(Role::Follower);
        let stages = Stages::new(settings::workers(&configuration));
        let metrics = Metrics::of(registry.clone(), stages.clone(), callboard.clone());
        let alarms = Alarms::without(&metrics, watching::muted(&configuration.alerts));
        let streams = StreamBudget::register(&metrics);
        let client = PeerClient::new(Default::default(), tls.clone())?.with_budget(streams.clone());
        let (peer_metrics, replay) = (PeerMetrics::register(&metrics), Replay::default());
        let storage = StorageGuard::default();
        Ok(Self {
            configuration,
            console,
            callboard,
            registry,
            stages,
            metrics,
            alarms,
            storage,
            peer_metrics,
            streams,
            tls,
            client,
            replay,
        })
    }
}

/// The public listener, and the admins' where it is on.
struct RpcServers {
    public: RpcServer,
    admin: Option<RpcServer>,
}

/// Where clients reach this node.
#[derive(Debug, Clone, Copy)]
struct RpcAddresses {
    public: SocketAddr,
    admin: Option<SocketAddr>,
}

impl RpcServers {
    /// The RPC answers from the first second on: before the genesis is known it says so.
    fn start(
        shared: &Shared,
        public: TcpListener,
        admin: Option<TcpListener>,
        ports: &NodePorts,
        chain: &ChainAccess,
    ) -> Result<Self, NodeError> {
        let metrics = shared.metrics.register(RpcMetrics::register);
        let configuration = &shared.configuration;
        let rpc_ports = || ports.rpc_ports(chain.clone());
        let limits = SharedLimits::new(&settings::rpc(configuration));
        let admin = match admin {
            Some(listener) => Some(start_admin(configuration, listener, rpc_ports(), metrics.clone(), limits.clone())?),
            None => None,
        };
        let mut config = settings::rpc(configuration);
        if let Some(admin) = &admin {
            config.admin = AdminSurface::At(admin.address());
        }
        let public = RpcServer::start(public, config, rpc_ports(), metrics, limits)?;
        Ok(Self { public, admin })
    }

    fn addresses(&self) -> RpcAddresses {
        RpcAddresses { public: self.public.address(), admin: self.admin.as_ref().map(RpcServer::address) }
    }

    async fn stop(self) {
        if let Some(admin) = self.admin {
            admin.stop().await;
        }
        self.public.stop().await;
    }
}

fn start_admin(
    configuration: &Configuration,
    listener: TcpListener,
    ports: RpcPorts,
    metrics: RpcMetrics,
    limits: SharedLimits,
) -> Result<RpcServer, NodeError> {
    let listen = listener.local_addr().map_err(|error| NodeError::Threads(error.to_string()))?;
    if !listen.ip().to_canonical().is_loopback() {
        tracing::warn!(%listen, "admin methods can be called from other machines; whoever reaches this port may call them");
    }
    Ok(RpcServer::start(listener, settings::admin(configuration, listen), ports, metrics, limits)?)
}

/// Fetches the chain where there is none, and starts everything that works on it.
async fn start_chain(
    shared: &Shared,
    start: Start,
    ports: &NodePorts,
    chain_access: &ChainAccess,
    rpc: RpcAddresses,
) -> Result<RunningNode, NodeError> {
    let node_key = node_key::load_or_create(&shared.configuration.node_key_path())?;
    let start = match start.chain {
        Some(_) => start,
        None => fetch_chain(shared).await?,
    };
    verify_on_start(shared, &start).await?;
    let node = RunningNode::start(shared, ports, start, node_key, chain_access, rpc).await?;
    files::write_addresses(&shared.configuration, rpc, node.peer_address()).map_err(NodeError::File)?;
    Ok(node)
}

/// Applies every block again, where the configuration asks for it.
async fn verify_on_start(shared: &Shared, start: &Start) -> Result<(), NodeError> {
    let Some(chain) =
        start.chain.as_ref().filter(|_| shared.configuration.store.verify_on_start == VerifyOnStart::Full)
    else {
        return Ok(());
    };
    shared.callboard.set_phase(Phase::Replaying);
    let (store, genesis) = (chain.store.clone(), chain.genesis.clone());
    let (folder, replay) = (shared.configuration.node.data_dir.clone(), shared.replay.clone());
    Ok(on_thread("verify-on-start", move || replay::replay(&store, genesis, &folder, &replay)).await??)
}

/// A follower's first start: the genesis comes from its seeds.
async fn fetch_chain(shared: &Shared) -> Result<Start, NodeError> {
    let seeds = &shared.configuration.peers.seeds;
    tracing::info!(seeds = ?shared.configuration.peers.seeds.len(), "asking the seeds for the genesis");
    let pin = shared.configuration.genesis.hash;
    let trouble = |trouble: callboard_actors::transport::genesis_fetch::GenesisTrouble| {
        tracing::warn!(seed = %trouble.url, reason = trouble.reason, again_in = ?trouble.pause, "no genesis yet");
    };
    let fetched = fetch_genesis(&shared.client, seeds, pin, trouble).await.map_err(|error| NodeError::Setting {
        key: "peers.seeds",
        value: "[]".to_owned(),
        reason: error.to_string(),
    })?;
    if pin.is_none() {
        let hash = fetched.genesis.hash();
        tracing::warn!(%hash, from = %fetched.from, "trusting this genesis from now on; pin it with genesis.hash");
    }
    Ok(start::adopt(&shared.configuration, fetched.genesis)?)
}

/// Read before anything is written: a certificate that is of no use is a mistake in the configuration.
pub(crate) fn peer_tls(configuration: &Configuration) -> Result<Option<Tls>, TlsError> {
    crate::install_tls();
    let peers = &configuration.peers;
    match (&peers.tls_cert, &peers.tls_key, &peers.tls_ca) {
        (Some(cert), Some(key), Some(ca)) => Ok(Some(Tls::read(cert, key, ca)?)),
        _ => Ok(None),
    }
}

/// Said before anything is written: another program holds the address.
fn check_address(listen: SocketAddr) -> Result<(), NodeError> {
    TcpListener::bind(listen).map(drop).map_err(|source| ListenError { listen, source }.into())
}

struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
