//! Refused blocks: counted, logged, and kept with the check that failed.

use super::difference::{Finding, Question};
use super::ledger::{Key, Ledger, Ruling, Sender};
use super::{Connected, ImportFailure};
use crate::callboard::Provenance;
use crate::monitor::Metrics;
use crate::transport::NodeId;
use alloy_primitives::{B256, Bytes};
use callboard_chain::{Blame, Block, Check};
use callboard_store::{NodeStore, RefusedBlock, StorageError};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Refusals being written at a time. Whoever floods this node with bad blocks costs it no more disk than this; what
/// is not written is still counted. What is this node's or the authority's fault is always written: only the authority
/// can make more of that.
const WRITES_AT_A_TIME: usize = 4;
/// Searches for the first difference at a time: each asks peers. One such block stops the node from following, so more
/// than a few are an operator's script; they wait.
const SEARCHES_AT_A_TIME: usize = 4;
/// Most refused blocks in one answer.
pub const MAX_LISTED: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabel {
    check: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

/// The sender has caused as many records as it may for now.
const TOO_MANY: WhyLabel = WhyLabel { why: "sender" };
/// As many are being written as may be.
const BUSY: WhyLabel = WhyLabel { why: "busy" };
/// The disk refused.
const FAILED: WhyLabel = WhyLabel { why: "storage" };

/// Why a block was refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The stable name of the check that failed.
    pub check: String,
    /// The names of those it had passed, in order.
    pub passed: Vec<String>,
    /// What the check expected.
    pub expected: String,
    /// What it found.
    pub actual: String,
    /// One sentence.
    pub message: String,
    /// Who is at fault.
    pub blame: Blame,
}

/// The record of refused blocks. Cheap to clone.
#[derive(Clone)]
pub struct Refusals {
    store: NodeStore,
    connected: Connected,
    counts: Family<CheckLabel, Counter>,
    total: Arc<AtomicU64>,
    unrecorded: Family<WhyLabel, Counter>,
    ledger: Arc<Mutex<Ledger>>,
    newest: Arc<Mutex<Option<String>>>,
    writes: Arc<Semaphore>,
    searches: Arc<Semaphore>,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals").field("newest", &self.newest).finish_non_exhaustive()
    }
}

impl Refusals {
    /// Registers `callboard_block_rejections_total` and `callboard_block_rejections_unrecorded_total`, and writes to
    /// `store`, where the newest refusal is still known from before; `connected` are the peers that are asked where a
    /// block was executed here to another result than its header's.
    pub fn new(store: NodeStore, connected: Connected, metrics: &Metrics) -> Self {
        let counts = Family::<CheckLabel, Counter>::default();
        let unrecorded = Family::<WhyLabel, Counter>::default();
        metrics.register(|registry| {
            registry.register("callboard_block_rejections", "Blocks refused, by the check that failed", counts.clone());
            let help = "Refused blocks that were counted and not recorded: their sender has caused too many, too many \
                        are being written, or the disk refused";
            registry.register("callboard_block_rejections_unrecorded", help, unrecorded.clone());
        });
        let newest = store.refused(1).unwrap_or_else(|error| {
            tracing::error!(%error, "what was refused before this start cannot be read");
            Vec::new()
        });
        let newest = newest.into_iter().next().map(|refused| refused.message);
        Self {
            store,
            connected,
            counts,
            total: Arc::default(),
            unrecorded,
            ledger: Arc::default(),
            newest: Arc::new(Mutex::new(newest)),
            writes: Arc::new(Semaphore::new(WRITES_AT_A_TIME)),
            searches: Arc::new(Semaphore::new(SEARCHES_AT_A_TIME)),
        }
    }

    /// The peers that can be asked.
    pub fn connected(&self) -> &Connected {
        &self.connected
    }

    /// The newest refused blocks, at most `limit` and [`MAX_LISTED`]. Reads the disk.
    pub fn listed(&self, limit: usize) -> Result<Vec<RefusedBlock>, StorageError> {
        self.complete(self.store.refused(limit.min(MAX_LISTED))?)
    }

    /// The newest refused blocks of which `wanted` says yes, as in [`Self::listed`].
    pub fn listed_where(&self, wanted: impl Fn(&RefusedBlock) -> bool) -> Result<Vec<RefusedBlock>, StorageError> {
        self.complete(self.store.refused_where(MAX_LISTED, wanted)?)
    }

    /// With what has come since they were written.
    fn complete(&self, mut records: Vec<RefusedBlock>) -> Result<Vec<RefusedBlock>, StorageError> {
        self.ledger.lock().complete(&mut records);
        Ok(records)
    }

    /// The bytes of a refused block, where they were kept.
    pub fn bytes_of(&self, block: &RefusedBlock) -> Result<Option<Bytes>, StorageError> {
        self.store.refused_bytes(block.number)
    }

    /// How many blocks were refused since the start.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// The newest refusal in words.
    pub fn newest(&self) -> Option<String> {
        self.newest.lock().clone()
    }

    /// Records that these bytes were refused. Call it within a tokio runtime.
    pub(super) fn record(&self, failure: &ImportFailure, provenance: Provenance, bytes: &Bytes) {
        if let Some(refused) = Refused::of(failure) {
            self.keep(refused, provenance, bytes, Question::of(failure, bytes));
        }
    }

    /// Records a block that was refused before anything could be checked: what was posted is no block, or contradicts
    /// itself. Call it within a tokio runtime.
    pub fn record_unchecked(&self, refused: Refused, provenance: Provenance, bytes: &Bytes) {
        self.keep(refused, provenance, bytes, None);
    }

    fn keep(&self, refused: Refused, provenance: Provenance, bytes: &Bytes, question: Option<Question>) {
        self.counts.get_or_create(&CheckLabel { check: refused.check.clone() }).inc();
        self.total.fetch_add(1, Relaxed);
        *self.newest.lock() = Some(refused.message.clone());
        let refused = refused.into_record(provenance, self.url_of(provenance), bytes);
        let sender = Sender::of(provenance);
        let key = Key::of(&refused, sender);
        let ruling = self.ledger.lock().on_refused(Instant::now(), refused.time, &key, sender);
        match ruling {
            Ruling::Write => tracing::warn!(
                height = refused.height, hash = %refused.hash, sender = refused.sender, path = refused.path,
                check = refused.check, expected = refused.expected, actual = refused.actual, reason = refused.message,
                "block refused"
            ),
            Ruling::Repeated { times, .. } => tracing::warn!(
                height = refused.height, hash = %refused.hash, sender = refused.sender, check = refused.check, times,
                "block refused again"
            ),
            Ruling::Counted => return,
            Ruling::TooMany => return self.leave_out(&TOO_MANY),
        }
        let work = Work { key, ruling, refused, bytes: bytes.clone(), question, sender: provenance.peer };
        // What is this node's or the authority's fault waits for nobody, and nobody can keep it from being written.
        let permit = match work.refused.blame {
            Blame::Local => None,
            Blame::Peer | Blame::Nobody => match self.writes.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    self.ledger.lock().on_not_written(&work.key);
                    return self.leave_out(&BUSY);
                }
            },
        };
        let refusals = self.clone();
        tokio::spawn(async move {
            refusals.work(work).await;
            drop(permit);
        });
    }

    #[cfg(test)]
    pub(super) async fn hold_all_writes(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = self.writes.clone().acquire_many_owned(WRITES_AT_A_TIME as u32).await;
        all.expect("the semaphore is never closed")
    }

    fn leave_out(&self, why: &WhyLabel) {
        self.unrecorded.get_or_create(why).inc();
    }

    /// Writes a refusal down and looks, at the same time, for what differs.
    async fn work(&self, work: Work) {
        let Work { key, ruling, refused, bytes, question, sender } = work;
        let store = self.store.clone();
        let write = tokio::task::spawn_blocking(move || write(&store, ruling, refused, &bytes));
        let (written, finding) = tokio::join!(write, self.search(question, sender));
        let number = match written {
            Ok(Ok(number)) => number,
            Ok(Err(error)) => {
                tracing::error!(%error, "what was refused could not be written");
                self.ledger.lock().on_not_written(&key);
                return self.leave_out(&FAILED);
            }
            // The node is stopping.
            Err(_) => return,
        };
        self.ledger.lock().on_written(&key, number);
        let Some(Finding { text, certain }) = finding else { return };
        let store = self.store.clone();
        let added = tokio::task::spawn_blocking(move || store.add_finding(number, text, certain)).await;
        if let Ok(Err(error)) = added {
            tracing::error!(%error, "what was found out about a refused block could not be written");
        }
    }

    fn url_of(&self, provenance: Provenance) -> Option<String> {
        provenance.peer.and_then(|peer| self.connected.url(peer))
    }

    /// Asks peers for the first key or transaction that differs.
    async fn search(&self, question: Option<Question>, sender: Option<NodeId>) -> Option<Finding> {
        let question = question?;
        let _permit = self.searches.acquire().await.ok()?;
        let finding = question.answer(&self.connected, sender).await;
        let height = question.height();
        tracing::error!(height, finding = finding.text, "a sealed block cannot be confirmed here");
        Some(finding)
    }
}

/// A refusal that is to be written down.
struct Work {
    key: Key,
    ruling: Ruling,
    refused: RefusedBlock,
    bytes: Bytes,
    question: Option<Question>,
    sender: Option<NodeId>,
}

/// Where the refusal stands now.
fn write(store: &NodeStore, ruling: Ruling, mut refused: RefusedBlock, bytes: &[u8]) -> Result<u64, StorageError> {
    if let Ruling::Repeated { number, times } = ruling {
        if store.add_repeats(number, times, refused.time)? {
            return Ok(number);
        }
        // Its record has been forgotten for newer ones meanwhile.
        refused.count = times;
    }
    store.add_refused(refused, bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Refused {
    /// What is said of `failure`; `None` where the block was not judged.
    pub fn of(failure: &ImportFailure) -> Option<Self> {
        use ImportFailure::{Busy, NotRouted, Stopping};
        if matches!(failure, NotRouted { .. } | Busy { .. } | Stopping { .. }) {
            return None;
        }
        let (expected, actual) = failure.expected_and_actual();
        let passed = failure.failed().map(Check::passed_before).unwrap_or_default();
        Some(Self {
            check: failure.check().to_owned(),
            passed: passed.iter().map(|check| check.name().to_owned()).collect(),
            expected,
            actual,
            message: failure.to_string(),
            blame: failure.blame(),
        })
    }

    /// The record of these bytes, which came this way; `url` is where their sender answers.
    pub fn into_record(self, provenance: Provenance, url: Option<String>, bytes: &Bytes) -> RefusedBlock {
        let claimed = Block::decode(bytes.clone()).ok();
        let now = now();
        RefusedBlock {
            number: 0,
            height: claimed.as_ref().map_or(0, Block::height),
            hash: claimed.as_ref().map_or(B256::ZERO, Block::hash),
            check: self.check,
            passed: self.passed,
            expected: self.expected,
            actual: self.actual,
            message: self.message,
            blame: self.blame,
            sender: provenance.sender(),
            url,
            path: provenance.path.name().to_owned(),
            finding: None,
            time: now,
            last_time: now,
            count: 1,
            length: bytes.len() as u64,
        }
    }
}
