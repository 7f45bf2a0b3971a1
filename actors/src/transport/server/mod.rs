//! The listener of `/peer/v1`.
//!
//! `hello`, `genesis` and `status` are for everybody; all else carries a session's token. Every body is bounded in
//! length and time, every refusal says why, and blocks come from the store by height, so a reader that is slow costs
//! nobody but itself.

mod body;
mod connections;
mod downloads;
mod meter;
mod ports;
mod proof;
mod refused;
mod routes;
mod stream;
#[cfg(test)]
mod tests;
mod turns;

pub use ports::{PeerBlock, PeerTransactions, ServerPorts};

use super::client::ChainIdentity;
use super::clock::wall_millis;
use super::hello::{HelloAnswerer, Identity};
use super::sessions::Sessions;
use super::wire::StatusBody;
use super::{ChainFacts, NodeId, PeerMetrics, SealedHead, StreamBudget, Tls};
use crate::callboard::Role;
use crate::importer::Passports;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{App, HttpServer, dev::ServerHandle, web};
use callboard_store::{StorageError, Store};
use connections::{Connections, MAX_OF_NODES, MAX_STRANGERS};
use downloads::Downloads;
use parking_lot::Mutex;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use turns::Turns;

/// Threads that serve peers. Blocks are read on others; two keep up with the disk.
const WORKERS: usize = 2;
/// Threads on which each of those reads the store. However many streams want blocks at one time, no more than these, one
/// of which a proof may hold for long, are beside who seals and executes; a chunk is read in a millisecond or two.
const READERS_PER_WORKER: usize = 2;
/// Connections of each thread. At this number nobody is taken in any more and so nobody gives way: even one thread alone
/// holds more than [`Connections`] leaves open.
const CONNECTIONS_PER_WORKER: usize = 512;
const _: () = assert!(CONNECTIONS_PER_WORKER > MAX_STRANGERS + MAX_OF_NODES);
/// A request's head that is not there within this time does not come.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// An idle connection is closed after this: peers poll every second.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long open answers may take to end once the server stops, seconds.
const STOP_SECONDS: u64 = 2;
/// Blocks being pushed at a time, each in memory.
const MAX_PUSHES: usize = 4;

/// What the server needs.
#[derive(Debug)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// To speak TLS, and to ask for a certificate.
    pub tls: Option<Tls>,
    /// What this node says in hellos.
    pub identity: Identity,
    /// The chain.
    pub chain: ChainIdentity,
    /// Where blocks come from.
    pub store: Store,
    /// Who is let in.
    pub sessions: Sessions,
    /// Where requests go.
    pub ports: ServerPorts,
    /// What was refused.
    pub metrics: PeerMetrics,
    /// Who got which block is noted there.
    pub passports: Passports,
    /// The memory of all streams of blocks.
    pub budget: StreamBudget,
}

/// The listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the peer listener cannot listen on {listen}: {source}")]
pub struct ListenError {
    /// The configured address.
    pub listen: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// A running listener. Dropping it does not stop it; [`Self::stop`] does.
#[derive(Debug)]
pub struct PeerServer {
    address: SocketAddr,
    handle: ServerHandle,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Shared {
    node_id: NodeId,
    role: Role,
    chain: ChainIdentity,
    facts: ChainFacts,
    store: Store,
    sessions: Sessions,
    ports: ServerPorts,
    metrics: PeerMetrics,
    answerer: Mutex<HelloAnswerer>,
    meter: Mutex<meter::HelloMeter>,
    connections: Connections,
    downloads: Downloads,
    /// The status as of the head it names; made anew when the head is another.
    status: Mutex<Option<StatusBody>>,
    pushes: Semaphore,
    /// Questions for proofs are answered one after the other: each may put back what hundreds of blocks changed.
    proofs: Turns,
    passports: Passports,
    budget: StreamBudget,
    stop: watch::Receiver<bool>,
}

impl PeerServer {
    /// Opens the listener and serves on threads of its own. Call it within an actix system.
    pub fn start(config: ServerConfig) -> Result<Self, ListenError> {
        let listen = config.listen;
        let fail = |source| ListenError { listen, source };
        let listener = TcpListener::bind(listen).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let (stop, stopped) = watch::channel(false);
        let connections = Connections::new(config.metrics.clone());
        let tls = config.tls.clone();
        let shared = web::Data::new(Shared::new(config, connections.clone(), stopped));
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).configure(routes::configure))
            .workers(WORKERS)
            .worker_max_blocking_threads(READERS_PER_WORKER)
            .on_connect(move |socket, extensions| {
                let plain = socket.downcast_ref::<TcpStream>();
                let socket = plain.or_else(|| Some(socket.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0));
                if let Some(socket) = socket {
                    extensions.insert(connections.open(socket));
                }
            })
            .max_connections(CONNECTIONS_PER_WORKER)
            .client_request_timeout(REQUEST_DEADLINE)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(STOP_SECONDS)
            .disable_signals();
        let server = match tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls.server()),
            None => server.listen(listener),
        };
        let server = server.map_err(fail)?.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Self { address, handle, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends follow streams between two blocks, gives other answers two seconds, and closes the listener.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.handle.stop(true).await;
    }
}

impl Shared {
    fn new(config: ServerConfig, connections: Connections, stop: watch::Receiver<bool>) -> Self {
        let ServerConfig { identity, chain, store, sessions, ports, metrics, passports, budget, .. } = config;
        Self {
            node_id: identity.node_id(),
            role: identity.role,
            chain,
            facts: identity.chain.clone(),
            store,
            sessions,
            ports,
            metrics,
            answerer: Mutex::new(HelloAnswerer::new(identity)),
            meter: Mutex::default(),
            connections,
            downloads: Downloads::default(),
            status: Mutex::default(),
            pushes: Semaphore::new(MAX_PUSHES),
            proofs: Turns::default(),
            passports,
            budget,
            stop,
        }
    }

    fn status(&self) -> Result<Option<StatusBody>, StorageError> {
        let snapshot = self.store.snapshot()?;
        let head = snapshot.head();
        let mut cached = self.status.lock();
        if cached.as_ref().is_none_or(|status| status.hash != head.hash) {
            let head = snapshot.block(head.height)?.map(|block| SealedHead::of(&block));
            *cached = head.map(|head| {
                let ChainIdentity { chain_id, genesis_hash, .. } = self.chain;
                StatusBody::new(self.node_id, self.role, chain_id, genesis_hash, &head)
            });
        }
        let status = cached.clone();
        Ok(status.map(|status| StatusBody { time_ms: Some(wall_millis()), ..status }))
    }
}
