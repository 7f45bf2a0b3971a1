//! The HTTP server: one listener for JSON-RPC, REST and the dashboard.

use super::config::{AdminSurface, RpcConfig};
use super::connections::{Connections, Patience};
use super::eth::Filters;
use super::gate::{Gate, TraceLane};
use super::guard::guard;
use super::limits::Limit;
use super::metrics::RpcMetrics;
use super::ports::RpcPorts;
use super::rate::{Rate, RateClock};
use super::rest::ImportLimits;
use super::unread::AnswerBudget;
use super::{dashboard, events, jsonrpc, rest};
use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time between two looks at clients that keep the node waiting.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Seconds that requests in flight get when the server stops.
const STOP_SECONDS: u64 = 5;
/// Connections over the limit that are still accepted, to be told so and to answer probes.
pub const SPARE_CONNECTIONS: usize = 64;

/// The listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not an address of this machine.
    #[error("{key} {listen:?} is not an address to listen on, write host:port: {source}")]
    Address {
        /// The key.
        key: &'static str,
        /// The configured value.
        listen: String,
        /// The system's error.
        source: io::Error,
    },
    /// Another program listens there.
    #[error("{key} {listen}: the port is in use, stop the other program or choose another port")]
    InUse {
        /// The key.
        key: &'static str,
        /// The configured value.
        listen: String,
    },
    /// Everything else.
    #[error("{key} {listen} could not be opened: {source}")]
    Io {
        /// The key.
        key: &'static str,
        /// The configured value.
        listen: String,
        /// The system's error.
        source: io::Error,
    },
}

impl BindError {
    fn new(config: &RpcConfig, source: io::Error) -> Self {
        let listen = config.listen.clone();
        let key = if config.admin == AdminSurface::Here { "rpc.admin" } else { "rpc.listen" };
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { key, listen },
            io::ErrorKind::InvalidInput | io::ErrorKind::AddrNotAvailable => Self::Address { key, listen, source },
            _ => Self::Io { key, listen, source },
        }
    }
}

/// Everything a request handler needs. One for all server threads.
pub(crate) struct Frontend {
    pub(crate) config: RpcConfig,
    pub(crate) ports: RpcPorts,
    pub(crate) gate: Gate,
    pub(crate) metrics: RpcMetrics,
    pub(crate) limits: SharedLimits,
    pub(crate) filters: Arc<Filters>,
    pub(crate) connections: Arc<Connections>,
}

/// What clients may ask of all listeners of a node together. Cheap to clone.
#[derive(Clone)]
pub struct SharedLimits {
    pub(crate) import: Arc<ImportLimits>,
    pub(crate) rate: Option<Arc<Rate>>,
    pub(crate) traces: TraceLane,
    pub(crate) answers: AnswerBudget,
}

impl SharedLimits {
    /// As configured, nothing used up.
    pub fn new(config: &RpcConfig) -> Self {
        Self::with_clock(config, RateClock::Running(Instant::now()))
    }

    pub(crate) fn with_clock(config: &RpcConfig, clock: RateClock) -> Self {
        let rate = config.rate.clone().map(|rate| Arc::new(Rate::new(rate, clock)));
        let import = Arc::new(ImportLimits::new(config.import_blocks_per_second));
        let answers = AnswerBudget::new(config.unread_bytes);
        Self { import, rate, traces: TraceLane::new(config.trace.at_once), answers }
    }
}

/// A running server.
pub struct RpcServer {
    address: SocketAddr,
    handle: ServerHandle,
}

impl RpcServer {
    /// Takes the address that the configuration names. Whoever connects waits until [`RpcServer::start`] serves.
    pub fn bind(config: &RpcConfig) -> Result<TcpListener, BindError> {
        TcpListener::bind(&config.listen).map_err(|source| BindError::new(config, source))
    }

    /// Starts to serve. Must be called inside an actix system.
    pub fn start(
        listener: TcpListener,
        config: RpcConfig,
        ports: RpcPorts,
        metrics: RpcMetrics,
        limits: SharedLimits,
    ) -> Result<Self, BindError> {
        let asked = config.clone();
        let fail = |source| BindError::new(&asked, source);
        let address = listener.local_addr().map_err(fail)?;
        let frontend = frontend(config, ports, metrics, limits);
        let server = serve(listener, frontend.clone()).map_err(fail)?;
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            tokio::select! {
                ended = server => if let Err(error) = ended {
                    tracing::error!(%error, "the RPC server ended");
                },
                () = sweep(&frontend) => {}
            }
        });
        tracing::info!(%address, admin = asked.admin == AdminSurface::Here, "RPC is listening");
        Ok(Self { address, handle })
    }

    /// Where it listens; the port is the one the system gave where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more and waits for requests in flight, up to five seconds.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

pub(super) fn frontend(
    config: RpcConfig,
    ports: RpcPorts,
    metrics: RpcMetrics,
    limits: SharedLimits,
) -> web::Data<Frontend> {
    let filters = Arc::new(Filters::new(config.max_filters));
    web::Data::new(Frontend { config, ports, gate: Gate::new(), metrics, limits, filters, connections: Arc::default() })
}

/// Cuts connections whose clients keep the node waiting, for as long as it is polled. Not on a server thread: those may be
/// busy.
async fn sweep(frontend: &Frontend) {
    let patience = Patience { head: frontend.config.head_within, reading: frontend.config.read_within };
    let every = patience.head.min(patience.reading).div_f64(8.0).clamp(Duration::from_millis(1), SWEEP_EVERY);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for from in frontend.connections.sweep(Instant::now(), patience) {
            tracing::info!(?from, "a connection was cut: its client did not read what it asked for");
            frontend.metrics.refused(Limit::Reading);
        }
    }
}

fn serve(listener: TcpListener, frontend: web::Data<Frontend>) -> io::Result<Server> {
    let workers = frontend.config.workers.max(1);
    let most = frontend.config.max_connections;
    let per_worker = most.saturating_add(SPARE_CONNECTIONS).div_ceil(workers);
    let connections = Arc::clone(&frontend.connections);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(frontend.clone())
            .wrap(from_fn(guard))
            .configure(dashboard::routes)
            .configure(jsonrpc::routes)
            .configure(rest::routes)
            .configure(events::routes)
            .default_service(web::to(rest::not_found))
    })
    .on_connect(move |io, extensions: &mut Extensions| {
        let stream = io.downcast_ref::<TcpStream>();
        let socket = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
        extensions.insert(connections.open(most, socket));
    })
    .workers(workers)
    .max_connections(per_worker)
    // Its clock goes on while a server thread is busy, and clients whose requests lie there would hear that they are late:
    // `sweep` looks before it says so.
    .client_request_timeout(Duration::ZERO)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(STOP_SECONDS)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}
