//! The sections of the configuration, typed. What each key means is said in [`super::KEYS`] too.

use crate::amount::Wei;
use alloy_primitives::{Address, B256};
pub use callboard_actors::callboard::Role;
use callboard_actors::transport::{NodeId, PeerUrl};
use callboard_chain::{BaseFeePolicy, Hardfork};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use url::Url;

/// `[node]`
#[derive(Debug, Clone, Deserialize)]
pub struct NodeSection {
    /// What this node calls itself.
    pub name: String,
    /// What the operator expects this node to be; `None` where it is derived from key and genesis.
    pub role: Option<Role>,
    /// Folder of the database and the node key.
    pub data_dir: PathBuf,
    /// A development chain.
    pub dev: bool,
    /// A development chain may listen beyond loopback.
    pub dev_exposed: bool,
}

/// `[genesis]`
#[derive(Debug, Clone, Deserialize)]
pub struct GenesisSection {
    /// genesis.json to start from.
    pub file: Option<PathBuf>,
    /// The only genesis hash this node accepts.
    pub hash: Option<B256>,
    /// Name of a new chain.
    pub chain_name: String,
    /// EIP-155 chain id of a new chain.
    pub chain_id: u64,
    /// Ethereum rules of a new chain.
    pub hardfork: Hardfork,
    /// Base fee policy of a new chain.
    pub base_fee: BaseFeePolicy,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Longest block, canonical bytes.
    pub max_block_bytes: u64,
    /// Heartbeat, seconds.
    pub heartbeat_s: u64,
    /// Contracts put into the genesis beside those of EIP-4788 and EIP-2935.
    pub predeploys: Vec<Predeploy>,
    /// Who holds the initial balance.
    pub owner: Option<Owner>,
    /// The initial balance.
    pub owner_balance: Wei,
    /// File with the password of the created owner account.
    pub owner_password_file: Option<PathBuf>,
    /// geth alloc or genesis file with the initial accounts.
    pub alloc: Option<PathBuf>,
}

/// A contract that a new chain may start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Predeploy {
    /// The common CREATE2 deployer at 0x4e59…956C.
    Create2,
}

/// Who holds the initial balance of a new chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Owner {
    /// An account made at the first start.
    Create,
    /// An account that exists already.
    Account(Address),
}

impl TryFrom<String> for Owner {
    type Error = alloy_primitives::hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "create" { Ok(Self::Create) } else { text.parse().map(Self::Account) }
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Lines.
    Plain,
    /// Nothing.
    None,
}

/// What holds for one run only, and is set by flags of `callboard node`.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Knowingly fork the chain after this height.
    pub abandon_after: Option<u64>,
    /// How catching up is shown.
    pub progress: Progress,
}

/// `[authority]`
#[derive(Debug, Clone, Deserialize)]
pub struct AuthoritySection {
    /// Folder of the V3 key files.
    pub keystore: PathBuf,
    /// The account whose key seals a new chain; `None` makes a new key.
    pub address: Option<Address>,
    /// File with the password of the authority's key.
    pub password_file: Option<PathBuf>,
    /// Milliseconds between blocks; 0 = as soon as a transaction is pending.
    pub block_interval_ms: u64,
    /// Seal a block at every interval, with transactions or without.
    pub empty_blocks: bool,
}

/// `[peers]`
#[derive(Debug, Clone, Deserialize)]
pub struct PeersSection {
    /// Where peers reach this node.
    pub listen: SocketAddr,
    /// The URL under which other nodes should dial this node.
    pub advertise: Option<PeerUrl>,
    /// Peers to start from.
    pub seeds: Vec<PeerUrl>,
    /// An authority waits this long for its peers before its first block, seconds.
    pub start_wait_s: u64,
    /// Connected peers.
    pub max: usize,
    /// Nodes that may connect; empty = any.
    pub allow: Vec<NodeId>,
    /// This node's certificate for TLS between peers.
    pub tls_cert: Option<PathBuf>,
    /// The private key of that certificate.
    pub tls_key: Option<PathBuf>,
    /// The authority whose certificates peers must have.
    pub tls_ca: Option<PathBuf>,
    /// Learn further peers from peers.
    pub discovery: bool,
}

/// `[rpc]`
#[derive(Debug, Clone, Deserialize)]
pub struct RpcSection {
    /// JSON-RPC, REST, WebSocket and the dashboard.
    pub listen: SocketAddr,
    /// Further host names under which the RPC may be called.
    pub hosts: Vec<String>,
    /// Origins whose pages may call the RPC.
    pub cors: Vec<String>,
    /// Longest request body, bytes.
    pub max_body_bytes: usize,
    /// Time for a request body to arrive, milliseconds.
    pub body_ms: u64,
    /// Calls in one batch.
    pub max_batch: usize,
    /// Longest answer to a batch, bytes.
    pub max_batch_answer_bytes: usize,
    /// Blocks of one search for logs.
    pub max_log_blocks: u64,
    /// Logs of one answer.
    pub max_logs: usize,
    /// Bytes of the logs of one answer.
    pub max_log_bytes: usize,
    /// Gas of one call.
    pub call_gas: u64,
    /// Time of one call or search, milliseconds.
    pub call_ms: u64,
    /// Open connections.
    pub max_connections: usize,
    /// Subscriptions of one WebSocket.
    pub max_subscriptions: usize,
    /// Installed filters of a listener.
    pub max_filters: usize,
    /// Listener of the admin methods.
    pub admin: Option<SocketAddr>,
    /// `[rpc.limit]`
    pub limit: LimitSection,
}

/// `[rpc.limit]`
#[derive(Debug, Clone, Deserialize)]
pub struct LimitSection {
    /// Limit requests by address.
    pub enabled: bool,
    /// Requests a second from one address.
    pub requests_per_second: NonZeroU32,
    /// Requests at once from one address.
    pub burst: NonZeroU32,
    /// Addresses without a limit.
    pub exempt: Vec<IpAddr>,
    /// Blocks a second by importBlock; 0 = no limit.
    pub import_blocks_per_second: u64,
    /// Instructions of one debug_trace request.
    pub trace_steps: u64,
    /// Bytes of the answer to one, and of what is recorded of one transaction.
    pub trace_bytes: usize,
    /// Time of one, milliseconds.
    pub trace_ms: u64,
    /// How many of them at once.
    pub traces: usize,
    /// Bytes of long answers that clients have not read yet, of all together.
    pub unread_bytes: usize,
}

/// `[sync]`
#[derive(Debug, Clone, Deserialize)]
pub struct SyncSection {
    /// Threads that verify; 0 = all cores.
    pub workers: usize,
    /// Blocks in flight between fetch and execution.
    pub window_blocks: u64,
    /// Transactions in one commit while catching up.
    pub commit_transactions: u64,
    /// Bytes in one commit while catching up.
    pub commit_bytes: u64,
    /// Milliseconds between commits while catching up.
    pub commit_ms: u64,
    /// Without progress for this long, catching up is stalled, seconds.
    pub stall_after_s: u64,
    /// Seconds between background checks of old state; 0 = never.
    pub reconcile_every_s: u64,
}

/// What becomes of transactions whose sender has no balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfunded {
    /// 16 a sender, a tenth of the pool.
    Limit,
    /// None.
    Refuse,
    /// As everybody's.
    Accept,
}

/// `[pool]`
#[derive(Debug, Clone, Deserialize)]
pub struct PoolSection {
    /// Pending transactions.
    pub max_transactions: usize,
    /// Bytes of pending transactions.
    pub max_bytes: usize,
    /// Pending transactions of one sender.
    pub max_per_sender: usize,
    /// A pending transaction is dropped after this long, seconds.
    pub ttl_s: u64,
    /// Accounts whose transactions are taken; empty = all.
    pub senders: Vec<Address>,
    /// Transactions of accounts without a balance.
    pub unfunded: Unfunded,
}

/// What is verified of the stored chain before the node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyOnStart {
    /// Genesis and head.
    Head,
    /// Every block is applied again.
    Full,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
pub struct StoreSection {
    /// Memory of the database's cache, bytes.
    pub cache_bytes: usize,
    /// Blocks whose old state is kept; 0 = all.
    pub history_blocks: u64,
    /// What is verified before the node starts.
    pub verify_on_start: VerifyOnStart,
    /// Below this much free disk the authority stops sealing, bytes.
    pub min_free_bytes: u64,
}

/// `[alerts]`
#[derive(Debug, Clone, Deserialize)]
pub struct AlertsSection {
    /// URL that alerts are posted to.
    pub webhook: Option<Url>,
    /// Alert when the head is older, seconds; 0 = 3 × heartbeat.
    pub head_age_s: u64,
    /// Alert when sync stalls.
    pub stall: bool,
    /// Alert when a peer shows another chain.
    pub diverged: bool,
    /// Alert when no peer is connected though seeds are configured.
    pub no_peers: bool,
    /// Alert above this many refused blocks a minute; 0 = never.
    pub rejected_per_minute: u64,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
pub struct LogSection {
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// How lines are written.
    pub format: LogFormat,
}
