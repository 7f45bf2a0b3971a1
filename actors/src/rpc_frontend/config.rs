//! What the RPC frontend can be told. Plain data; the defaults are those of `node.toml`.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// Default bound of a request body, bytes: geth's 5 MB, so batches made for it fit.
pub(crate) const DEFAULT_MAX_BODY_BYTES: usize = 5_000_000;
/// Default time for a body to arrive: a body of the default size over a line of 2 Mbit/s.
pub(crate) const DEFAULT_BODY_WITHIN: Duration = Duration::from_secs(30);
/// Default bound of calls in a batch: viem sends up to 1,000.
pub(crate) const DEFAULT_MAX_BATCH: usize = 1_000;
/// Default bound of the answer to a batch, bytes (geth's).
pub(crate) const DEFAULT_MAX_BATCH_ANSWER_BYTES: usize = 25_000_000;
/// Default bound of the blocks of a search for logs (reth's).
pub(crate) const DEFAULT_MAX_LOG_BLOCKS: u64 = 100_000;
/// Default bound of the logs of an answer (reth's).
pub(crate) const DEFAULT_MAX_LOGS: usize = 20_000;
/// Default bound of the bytes of the logs of an answer: as a batch's answer.
pub(crate) const DEFAULT_MAX_LOG_BYTES: usize = 25_000_000;
/// Default gas bound of `eth_call` and `eth_estimateGas` (what reth allows a call).
pub(crate) const DEFAULT_CALL_GAS: u64 = 50_000_000;
/// Default time bound of calls and searches, and the longest that can be configured: no snapshot lives longer.
pub(crate) const DEFAULT_CALL_TIME: Duration = Duration::from_secs(5);
/// Default bound of the steps of a trace: what a block of the default gas limit runs of instructions that cost three gas.
pub(crate) const DEFAULT_TRACE_STEPS: u64 = 10_000_000;
/// Default bound of the bytes of a trace: two of them and their text are what a small machine can spare.
pub(crate) const DEFAULT_TRACE_BYTES: usize = 50_000_000;
/// Default bound of traces at once.
pub(crate) const DEFAULT_TRACES: usize = 2;
/// Default bound of open connections.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 500;
/// Default bound of the subscriptions of a connection (reth's).
pub(crate) const DEFAULT_MAX_SUBSCRIPTIONS: usize = 1_024;

/// Default bound of filters: a client that polls has one or two, and with what each may hold they are some 20 MB.
pub(crate) const DEFAULT_MAX_FILTERS: usize = 4_096;

/// Default bound of the bytes of answers that clients have not read: ten of the longest, and what a small machine can spare.
pub(crate) const DEFAULT_UNREAD_BYTES: usize = 268_435_456;
/// Time for the head of a connection's first request to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Time for a client to read an answer, or the next part of a long one.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Configuration of the frontend: the `[rpc]` and `[rpc.limit]` sections.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// Address to listen on, `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Host names, besides loopback names and IP addresses, that a request may name; `*` allows every one.
    pub hosts: Vec<String>,
    /// Origins that browsers may call from; `*` allows every one.
    pub cors: Vec<String>,
    /// Longest request body, bytes (importBlock has a bound of its own).
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_within: Duration,
    /// Most calls in one batch.
    pub max_batch: usize,
    /// Longest answer to a batch, bytes. Calls that do not fit any more are answered with an error.
    pub max_batch_answer_bytes: usize,
    /// Most blocks of a search for logs.
    pub max_log_blocks: u64,
    /// Most logs of an answer.
    pub max_logs: usize,
    /// Most bytes of the logs of an answer.
    pub max_log_bytes: usize,
    /// Most gas of a call.
    pub call_gas: u64,
    /// How long a call or a search may take.
    pub call_time: Duration,
    /// Bounds of `debug_trace*`.
    pub trace: TraceConfig,
    /// Most bytes of answers that clients have not read yet, of all listeners together.
    pub unread_bytes: usize,
    /// How long the head of a connection's first request may take to arrive.
    pub head_within: Duration,
    /// How long a client may take to read an answer, or the next part of a long one.
    pub read_within: Duration,
    /// Most open connections; further ones are answered with 503.
    pub max_connections: usize,
    /// Most subscriptions of one connection.
    pub max_subscriptions: usize,
    /// Most filters; one of many addresses and topics counts as several.
    pub max_filters: usize,
    /// Server threads.
    pub workers: usize,
    /// How often one address may ask; `None` is no limit.
    pub rate: Option<RateConfig>,
    /// Blocks a second that importBlock lets in; 0 is no limit.
    pub import_blocks_per_second: u32,
    /// What `web3_clientVersion` answers.
    pub client_version: String,
    /// Where admin methods are answered.
    pub admin: AdminSurface,
}

/// Bounds of `debug_trace*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceConfig {
    /// Most instructions of one request.
    pub steps: u64,
    /// Most bytes of one answer, and of what is recorded of one transaction.
    pub bytes: usize,
    /// How long one request may take.
    pub time: Duration,
    /// Most requests at once, of all listeners together.
    pub at_once: usize,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            steps: DEFAULT_TRACE_STEPS,
            bytes: DEFAULT_TRACE_BYTES,
            time: DEFAULT_CALL_TIME,
            at_once: DEFAULT_TRACES,
        }
    }
}

/// How often one address may ask.
#[derive(Debug, Clone)]
pub struct RateConfig {
    /// Requests a second.
    pub requests_per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
    /// Addresses without a limit.
    pub exempt: Vec<IpAddr>,
}

/// Where admin methods are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdminSurface {
    /// Nowhere.
    #[default]
    Off,
    /// On this listener.
    Here,
    /// On another listener, at this address.
    At(SocketAddr),
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8545".to_owned(),
            hosts: Vec::new(),
            cors: Vec::new(),
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
            body_within: DEFAULT_BODY_WITHIN,
            max_batch: DEFAULT_MAX_BATCH,
            max_batch_answer_bytes: DEFAULT_MAX_BATCH_ANSWER_BYTES,
            max_log_blocks: DEFAULT_MAX_LOG_BLOCKS,
            max_logs: DEFAULT_MAX_LOGS,
            max_log_bytes: DEFAULT_MAX_LOG_BYTES,
            call_gas: DEFAULT_CALL_GAS,
            call_time: DEFAULT_CALL_TIME,
            trace: TraceConfig::default(),
            unread_bytes: DEFAULT_UNREAD_BYTES,
            head_within: HEAD_WITHIN,
            read_within: READ_WITHIN,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_subscriptions: DEFAULT_MAX_SUBSCRIPTIONS,
            max_filters: DEFAULT_MAX_FILTERS,
            workers: std::thread::available_parallelism().map_or(2, NonZeroUsize::get).min(4),
            rate: None,
            import_blocks_per_second: 0,
            client_version: concat!("Callboard/v", env!("CARGO_PKG_VERSION")).to_owned(),
            admin: AdminSurface::Off,
        }
    }
}
