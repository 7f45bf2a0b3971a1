//! What the RPC frontend can be told. Plain data; the defaults are those of `node.toml`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Default bound of a request body, bytes: geth's 5 MB, so batches made for it fit.
pub(crate) const DEFAULT_MAX_BODY_BYTES: usize = 5_000_000;
/// Default bound of calls in a batch: viem sends up to 1,000.
pub(crate) const DEFAULT_MAX_BATCH: usize = 1_000;
/// Default bound of open connections.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 500;
/// Gas bound of `eth_call` and `eth_estimateGas` (what reth allows a call).
pub(crate) const CALL_GAS: u64 = 50_000_000;
/// Time bound of `eth_call` and `eth_estimateGas`.
pub(crate) const CALL_TIME: Duration = Duration::from_secs(5);

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
    /// Most calls in one batch.
    pub max_batch: usize,
    /// Most open connections; further ones are answered with 503.
    pub max_connections: usize,
    /// Server threads.
    pub workers: usize,
    /// Blocks a second that importBlock lets in; 0 is no limit.
    pub import_blocks_per_second: u32,
    /// What `web3_clientVersion` answers.
    pub client_version: String,
    /// Where admin methods are answered.
    pub admin: AdminSurface,
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
            max_batch: DEFAULT_MAX_BATCH,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            workers: std::thread::available_parallelism().map_or(2, NonZeroUsize::get).min(4),
            import_blocks_per_second: 0,
            client_version: concat!("Callboard/v", env!("CARGO_PKG_VERSION")).to_owned(),
            admin: AdminSurface::Off,
        }
    }
}
