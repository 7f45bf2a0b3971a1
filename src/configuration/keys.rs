//! Every key of the configuration: its name, what it may hold, and a line about it.

use super::kind::Kind;
use callboard_chain::config as chain;

/// The sections, in the order in which they are shown.
pub const SECTIONS: [&str; 11] =
    ["node", "genesis", "authority", "peers", "rpc", "rpc.limit", "sync", "pool", "store", "alerts", "log"];

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Section and name, `rpc.listen`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it means, one line.
    pub about: &'static str,
}

impl Key {
    /// The key with this full name.
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// `rpc.limit` and `burst` of `rpc.limit.burst`.
    pub fn section_and_name(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }

    /// The environment variable that sets this key.
    pub fn variable(&self) -> String {
        format!("{}__{}", super::load::VARIABLE_PREFIX, self.name.replace('.', "__").to_uppercase())
    }
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about }
}

const COUNT: Kind = Kind::Integer { min: 1, max: i64::MAX as u64 };
const COUNT_OR_ZERO: Kind = Kind::Integer { min: 0, max: i64::MAX as u64 };
const CHAIN_ID: Kind = Kind::Integer { min: 1, max: chain::MAX_CHAIN_ID };
const HARDFORK: Kind = Kind::Choice(&["cancun", "prague", "osaka"]);
const BASE_FEE: Kind = Kind::Choice(&["zero", "eip1559"]);
const GAS_LIMIT: Kind = Kind::Integer { min: chain::MIN_GAS_LIMIT, max: chain::MAX_GAS_LIMIT };
const MAX_BLOCK_BYTES: Kind = Kind::Integer { min: chain::MIN_MAX_BLOCK_BYTES, max: chain::MAX_BLOCK_BYTES_LIMIT };
const HEARTBEAT: Kind = Kind::Integer { min: 1, max: chain::MAX_HEARTBEAT_SECONDS };
const NAME: Kind = Kind::Text { max: chain::MAX_NAME_BYTES };
/// The longest DNS name has 253 bytes; an origin adds a scheme and a port.
const HOST: Kind = Kind::Text { max: 270 };
/// An hour: nothing that waits for a block interval should wait longer than the longest heartbeat.
const BLOCK_INTERVAL: Kind = Kind::Integer { min: 0, max: 3_600_000 };
/// No snapshot of the database lives longer than five seconds.
const CALL_TIME: Kind = Kind::Integer { min: 1, max: 5_000 };
/// What the limiter can count.
const RATE: Kind = Kind::Integer { min: 1, max: 1_000_000_000 };
const ROLE: Kind = Kind::Choice(&["authority", "follower"]);
const UNFUNDED: Kind = Kind::Choice(&["limit", "refuse", "accept"]);
const VERIFY_ON_START: Kind = Kind::Choice(&["head", "full"]);
const FORMAT: Kind = Kind::Choice(&["text", "json"]);
const PREDEPLOYS: Kind = Kind::List(&Kind::Choice(&["create2"]));
const SEEDS: Kind = Kind::List(&Kind::PeerUrl);
const NODE_IDS: Kind = Kind::List(&Kind::NodeId);
const ACCOUNTS: Kind = Kind::List(&Kind::Account);
const HOSTS: Kind = Kind::List(&HOST);
const IPS: Kind = Kind::List(&Kind::Ip);

/// Every key there is, in the order of the sections.
pub const KEYS: &[Key] = &[
    key("node.name", NAME, "what this node calls itself, in its log and towards its peers"),
    key("node.role", ROLE, "what you expect this node to be; checked against key and genesis"),
    key("node.data_dir", Kind::Path, "folder of the database and the node key"),
    key("node.dev", Kind::Flag, "a development chain with the keys everybody knows"),
    key("node.dev_exposed", Kind::Flag, "let a development chain listen beyond loopback"),
    key("genesis.file", Kind::Path, "genesis.json to start from"),
    key("genesis.hash", Kind::Hash, "the only genesis this node accepts"),
    key("genesis.chain_name", NAME, "name of the chain, for people"),
    key("genesis.chain_id", CHAIN_ID, "EIP-155 chain id"),
    key("genesis.hardfork", HARDFORK, "Ethereum rules in force"),
    key("genesis.base_fee", BASE_FEE, "zero: gas is free; eip1559: the base fee moves and is burned"),
    key("genesis.gas_limit", GAS_LIMIT, "gas limit of every block"),
    key("genesis.max_block_bytes", MAX_BLOCK_BYTES, "longest block, canonical bytes"),
    key("genesis.heartbeat_s", HEARTBEAT, "an idle authority still seals a block this often"),
    key("genesis.predeploys", PREDEPLOYS, "contracts put into the genesis beside those of EIP-4788 and EIP-2935"),
    key("genesis.owner", Kind::Owner, "account that holds the initial balance, or \"create\""),
    key("genesis.owner_balance", Kind::Amount, "initial balance of the owner"),
    key("genesis.owner_password_file", Kind::Path, "file with the password of the created owner account"),
    key("genesis.alloc", Kind::Path, "geth alloc or genesis file with the initial accounts"),
    key("authority.keystore", Kind::Path, "folder of the V3 key files"),
    key("authority.address", Kind::Account, "account whose key seals a new chain; unset = a new key is made"),
    key("authority.password_file", Kind::Path, "file with the password of the authority's key"),
    key("authority.block_interval_ms", BLOCK_INTERVAL, "time between blocks; 0 = as soon as a transaction is pending"),
    key("authority.empty_blocks", Kind::Flag, "seal a block at every interval, with transactions or without"),
    key("peers.listen", Kind::Socket, "where peers reach this node"),
    key("peers.advertise", Kind::PeerUrl, "the URL under which other nodes should dial this node"),
    key("peers.seeds", SEEDS, "peers to start from"),
    key(
        "peers.start_wait_s",
        COUNT_OR_ZERO,
        "an authority waits this long for its peers before its first block, a follower before it fetches a branch that is stale",
    ),
    key("peers.max", COUNT, "connected peers"),
    key("peers.allow", NODE_IDS, "node ids that may connect; empty = any"),
    key("peers.tls_cert", Kind::Path, "this node's certificate: with it peers speak TLS, and both sides show one"),
    key("peers.tls_key", Kind::Path, "the private key of that certificate"),
    key("peers.tls_ca", Kind::Path, "the authority whose certificates peers must have"),
    key("peers.discovery", Kind::Flag, "learn further peers from peers"),
    key("rpc.listen", Kind::Socket, "JSON-RPC, REST, WebSocket and the dashboard"),
    key("rpc.hosts", HOSTS, "further host names under which the RPC may be called"),
    key("rpc.cors", HOSTS, "origins whose pages may call the RPC; \"*\" = any"),
    key("rpc.max_body_bytes", COUNT, "longest request body"),
    key("rpc.body_ms", COUNT, "time for a request body to arrive"),
    key("rpc.max_batch", COUNT, "calls in one batch"),
    key("rpc.max_batch_answer_bytes", COUNT, "longest answer to a batch; a longer genesis is given to peers only"),
    key("rpc.max_log_blocks", COUNT, "blocks of one eth_getLogs"),
    key("rpc.max_logs", COUNT, "logs of one eth_getLogs"),
    key("rpc.max_log_bytes", COUNT, "bytes of the logs of one eth_getLogs"),
    key("rpc.call_gas", COUNT, "gas of one eth_call, eth_estimateGas or eth_createAccessList"),
    key("rpc.call_ms", CALL_TIME, "time of one call or search"),
    key("rpc.max_connections", COUNT, "open connections"),
    key("rpc.max_subscriptions", COUNT, "subscriptions of one WebSocket"),
    key("rpc.max_filters", COUNT, "installed filters; one of many addresses and topics counts as several"),
    key("rpc.admin", Kind::AdminListener, "listener of the admin methods: false, true (127.0.0.1:8547) or IP:PORT"),
    key("rpc.limit.enabled", Kind::Flag, "limit requests by address"),
    key("rpc.limit.requests_per_second", RATE, "requests a second from one address"),
    key("rpc.limit.burst", RATE, "requests at once from one address; each call of a batch is one"),
    key("rpc.limit.exempt", IPS, "addresses without a limit"),
    key("rpc.limit.import_blocks_per_second", COUNT_OR_ZERO, "blocks a second by importBlock; 0 = no limit"),
    key("rpc.limit.trace_steps", COUNT, "instructions of one debug_trace request, of all its transactions together"),
    key("rpc.limit.trace_bytes", COUNT, "bytes of the answer to one, and of what is recorded of one transaction"),
    key("rpc.limit.trace_ms", CALL_TIME, "time of one"),
    key("rpc.limit.traces", COUNT, "how many of them at once; further ones wait 5 s for their turn"),
    key(
        "rpc.limit.unread_bytes",
        COUNT,
        "bytes of long answers that clients have not read yet, of all together; a quarter for one address",
    ),
    key("sync.workers", Kind::Integer { min: 0, max: 1_024 }, "threads that verify; 0 = all cores"),
    key("sync.window_blocks", COUNT, "blocks in flight between fetch and execution"),
    key("sync.commit_transactions", COUNT, "transactions in one commit while catching up"),
    key("sync.commit_bytes", COUNT, "bytes in one commit while catching up"),
    key("sync.commit_ms", COUNT, "milliseconds between commits while catching up"),
    key("sync.stall_after_s", COUNT, "without progress for this long, catching up is stalled"),
    key("sync.reconcile_every_s", COUNT_OR_ZERO, "time between background checks of old state; 0 = never"),
    key("pool.max_transactions", COUNT, "pending transactions"),
    key("pool.max_bytes", COUNT, "bytes of pending transactions"),
    key("pool.max_per_sender", COUNT, "pending transactions of one sender"),
    key("pool.ttl_s", COUNT, "a pending transaction is dropped after this long"),
    key("pool.senders", ACCOUNTS, "accounts whose transactions are taken; empty = all"),
    key("pool.unfunded", UNFUNDED, "transactions of accounts without a balance"),
    key("store.cache_bytes", COUNT, "memory of the database's cache"),
    key("store.history_blocks", COUNT_OR_ZERO, "blocks whose old state is kept; 0 = all"),
    key("store.verify_on_start", VERIFY_ON_START, "head: check the head; full: apply every block again"),
    key("store.min_free_bytes", COUNT_OR_ZERO, "below this much free disk the authority stops sealing"),
    key("alerts.webhook", Kind::WebUrl, "URL that alerts are posted to"),
    key("alerts.head_age_s", COUNT_OR_ZERO, "alert when the head is older; 0 = 3 x heartbeat"),
    key("alerts.stall", Kind::Flag, "alert when sync stalls"),
    key("alerts.diverged", Kind::Flag, "alert when a peer shows another chain"),
    key("alerts.no_peers", Kind::Flag, "alert when no peer is connected though seeds are configured"),
    key("alerts.rejected_per_minute", COUNT_OR_ZERO, "alert above this many refused blocks; 0 = never"),
    key("log.filter", Kind::Filter, "what is logged: a level, or target=level, comma-separated"),
    key("log.format", FORMAT, "text for people, json for machines"),
];

/// The known key or section nearest to an unknown one, if any is near.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    /// Below this similarity a suggestion confuses more than it helps.
    const NEAR: f64 = 0.6;
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let similarity = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(unknown, known);
        let ends = strsim::normalized_damerau_levenshtein(&last(unknown), &last(known));
        // A right name in the wrong section is near, but a slip within the right section is nearer.
        whole.max(ends * 0.9)
    };
    let known = KEYS.iter().map(|key| key.name).chain(SECTIONS);
    known
        .map(|name| (similarity(name), name))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_slips_and_misplaced_keys() {
        assert_eq!(nearest("rpc.lisen"), Some("rpc.listen"));
        assert_eq!(nearest("peers.lisen"), Some("peers.listen"));
        assert_eq!(nearest("chain_id"), Some("genesis.chain_id"));
        assert_eq!(nearest("rcp"), Some("rpc"));
        assert_eq!(nearest("rpc.limit.burts"), Some("rpc.limit.burst"));
        assert_eq!(nearest("xyzzy"), None);
    }

    #[test]
    fn names_are_unique_and_in_known_sections() {
        for (position, key) in KEYS.iter().enumerate() {
            assert!(SECTIONS.contains(&key.section_and_name().0), "{}", key.name);
            assert!(KEYS[position + 1..].iter().all(|other| other.name != key.name), "{} twice", key.name);
            assert!(!key.about.is_empty());
        }
    }
}
