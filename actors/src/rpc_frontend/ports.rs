//! All that the frontend knows of the rest of the node. Everything here can be faked in a test.

use crate::event_stream::{Event, Subscription, Topics};
use crate::importer::{ConfirmedBlock, Explanation, Rejection};
use crate::reconciler::VerifyState;
use crate::tx_pool::{Content, Story};
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::{Blame, Transaction};
use callboard_store::{Evidence, StorageError, Store};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// What the frontend asks of the node.
#[derive(Clone)]
pub struct RpcPorts {
    /// The chain, once there is one.
    pub chain: ChainAccess,
    /// Pending transactions.
    pub pool: Arc<dyn PoolPort>,
    /// Blocks from operators.
    pub import: Arc<dyn ImportPort>,
    /// What the node is doing.
    pub status: Arc<dyn StatusPort>,
    /// What only operators ask for.
    pub admin: Arc<dyn AdminPort>,
    /// What became of blocks.
    pub blocks: Arc<dyn ExplainPort>,
    /// Events to push.
    pub events: Arc<dyn EventsPort>,
}

/// The chain's store, from the moment the genesis is known. Before that everything about the chain is answered
/// with `genesis not known yet`. Cheap to clone; all clones see the same chain.
#[derive(Clone, Default)]
pub struct ChainAccess(Arc<OnceLock<Chain>>);

/// A known chain: where to read it and what its genesis fixed.
#[derive(Clone)]
pub struct Chain {
    /// Snapshot reads.
    pub store: Store,
    /// The configuration every header commits to.
    pub config: Arc<callboard_chain::ChainConfig>,
}

impl ChainAccess {
    /// No chain yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The genesis is known and stored. A second call changes nothing: a node's genesis never does.
    pub fn open(&self, chain: Chain) {
        // A second chain cannot replace the first one.
        let _ = self.0.set(chain);
    }

    /// The chain, where it is known.
    pub fn chain(&self) -> Option<&Chain> {
        self.0.get()
    }
}

/// A transaction that a client sent: decoded, valid by itself, its sender recovered.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
}

/// A transaction in the pool.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
}

/// Why the pool did not take a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It is refused, with the pool's sentence, which begins as Ethereum clients match it.
    #[error("{0}")]
    Refused(String),
    /// The pool could not say.
    #[error(transparent)]
    Unavailable(#[from] PoolUnavailable),
}

/// The pool did not answer in time, or is stopping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the transaction pool does not answer: {0}")]
pub struct PoolUnavailable(pub String);

/// Counts of the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Transactions that the next block could take.
    pub pending: u64,
    /// Transactions behind a nonce gap.
    pub queued: u64,
}

/// The pool, as the frontend sees it. Every answer has a deadline of the implementation's.
pub trait PoolPort: Send + Sync {
    /// Offers a transaction; when it returns, the pool holds it.
    fn submit(&self, submission: Submission) -> BoxFuture<'static, Result<(), SubmitError>>;
    /// The nonce after the sender's gapless pending transactions; `None` where none of the sender's is pending.
    fn pending_nonce(&self, address: Address) -> BoxFuture<'static, Result<Option<u64>, PoolUnavailable>>;
    /// The pending transaction with `hash`.
    fn pending(&self, hash: B256) -> BoxFuture<'static, Result<Option<Pending>, PoolUnavailable>>;
    /// Tells the pool that a transaction was refused before it came there, so that it can be asked for.
    fn refused(&self, hash: B256, reason: String);
    /// Where the transaction with `hash` is or where it ended, and how it came there; `None` where that is not known.
    fn story(&self, hash: B256) -> BoxFuture<'static, Result<Option<Story>, PoolUnavailable>>;
    /// Takes the pending transaction with `hash` out; false where there is none.
    fn drop_transaction(&self, hash: B256) -> BoxFuture<'static, Result<bool, PoolUnavailable>>;
    /// All that the pool holds, or all of one sender.
    fn content(&self, sender: Option<Address>) -> BoxFuture<'static, Result<Content, PoolUnavailable>>;
    /// How much is pending.
    fn status(&self) -> BoxFuture<'static, Result<PoolStatus, PoolUnavailable>>;
}

/// A block from an operator is in the chain: durable and executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Whether this import put it there; false where it was there before.
    pub imported: bool,
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
}

/// What kind of refusal an [`ImportError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportErrorKind {
    /// A check failed: the block will never be taken.
    Invalid,
    /// The parent is not in the chain: send it first.
    ParentUnknown,
    /// The node is busy or stopping: send it again.
    Busy,
}

/// Why a block from an operator was not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (check {check}: expected {expected}, actual {actual})")]
pub struct ImportError {
    /// What kind of refusal.
    pub kind: ImportErrorKind,
    /// The check that failed, a stable name.
    pub check: String,
    /// What the check asks for.
    pub expected: String,
    /// What the block has.
    pub actual: String,
    /// One sentence for people.
    pub message: String,
    /// Who is at fault.
    pub blame: Blame,
}

/// Where blocks from operators go.
pub trait ImportPort: Send + Sync {
    /// Imports the block with these canonical bytes; when it returns, the block is durable and executed.
    /// `from` is the operator's address.
    fn import(&self, bytes: Bytes, from: Option<SocketAddr>) -> BoxFuture<'static, Result<Imported, ImportError>>;
    /// Records a block that was refused before it came this far.
    fn refused(&self, bytes: Bytes, error: &ImportError, from: Option<SocketAddr>);
}

/// What is asked of [`ExplainPort::explain`].
#[derive(Debug, Clone, Copy)]
pub struct ExplainQuestion {
    /// The height that was asked for.
    pub height: Option<u64>,
    /// The hash that was asked for.
    pub hash: Option<B256>,
    /// The block of the chain that this is.
    pub confirmed: Option<ConfirmedBlock>,
    /// Whether the bytes of the newest refused block are wanted.
    pub raw: bool,
}

/// What became of blocks. Reads the disk.
pub trait ExplainPort: Send + Sync {
    /// The newest refused blocks.
    fn rejections(&self, limit: usize) -> Result<Vec<Rejection>, StorageError>;
    /// All that is known of a block; `None` where that is nothing.
    fn explain(&self, question: ExplainQuestion) -> Result<Option<Explanation>, StorageError>;
}

/// A check of a range is not running, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VerifyUnavailable(pub String);

/// What only operators ask for.
pub trait AdminPort: Send + Sync {
    /// Begins to check a range of stored blocks, or says how far the check of this range is. Answers at once.
    fn verify(&self, from: Option<u64>, to: Option<u64>) -> BoxFuture<'static, Result<VerifyState, VerifyUnavailable>>;
}

/// The event stream did not answer in time, or is stopping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("events are not available: {0}")]
pub struct EventsUnavailable(pub String);

/// Where events come from.
pub trait EventsPort: Send + Sync {
    /// Subscribes to these topics from now on.
    fn subscribe(&self, topics: Topics) -> BoxFuture<'static, Result<Subscription<Event>, EventsUnavailable>>;
}

/// How far catching up has come, for `eth_syncing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncProgress {
    /// Height at which catching up began.
    pub starting: u64,
    /// The height to reach.
    pub target: u64,
}

/// How far a check of the stored chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifying {
    /// The block it has reached.
    pub at: u64,
    /// The last one.
    pub of: u64,
}

/// What the node is doing. Reads values that actors publish, so it answers at once, however busy they are.
pub trait StatusPort: Send + Sync {
    /// The answer to `callboard_syncStatus`.
    fn sync_status(&self) -> Value;
    /// The answer to `callboard_actors`.
    fn actors(&self) -> Value;
    /// The answer to `callboard_routes`.
    fn routes(&self) -> Value;
    /// The answer to `callboard_peers`.
    fn peers(&self) -> Value;
    /// Peers with a session.
    fn peer_count(&self) -> u64;
    /// `None` while not catching up.
    fn progress(&self) -> Option<SyncProgress>;
    /// How far the check of the stored chain is that is made before the node opens it; `None` where none is made.
    fn verifying(&self) -> Option<Verifying>;
    /// Whether the node is ready, or the one reason why not.
    fn ready(&self) -> Result<(), String>;
    /// At most `limit` pairs of sealed blocks of one height, from height `from` on. Reads the disk.
    fn evidence(&self, from: u64, limit: usize) -> Result<Vec<Evidence>, String>;
    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}
