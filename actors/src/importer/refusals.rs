//! Refused blocks: counted, logged, and kept with the check that failed.

use super::difference::Question;
use super::{Connected, ImportFailure};
use crate::callboard::Provenance;
use crate::monitor::Metrics;
use alloy_primitives::{B256, Bytes};
use callboard_chain::{Blame, Block, Check};
use callboard_store::{NodeStore, RefusedBlock, StorageError};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Refusals being written at a time. Whoever floods this node with bad blocks costs it no more disk than this; what
/// is not written is still counted.
const WRITES_AT_A_TIME: usize = 4;
/// Searches for the first difference at a time: each asks peers. One such block stops the node from following, so more
/// than a few are an operator's script.
const SEARCHES_AT_A_TIME: usize = 4;
/// Most refused blocks in one answer.
pub const MAX_LISTED: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabel {
    check: String,
}

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
    /// Registers `callboard_block_rejections_total` and writes to `store`; `connected` are the peers that are asked
    /// where a block was executed here to another result than its header's.
    pub fn new(store: NodeStore, connected: Connected, metrics: &Metrics) -> Self {
        let counts = Family::<CheckLabel, Counter>::default();
        metrics.register(|registry| {
            registry.register("callboard_block_rejections", "Blocks refused, by the check that failed", counts.clone());
        });
        Self {
            store,
            connected,
            counts,
            newest: Arc::default(),
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
        self.store.refused(limit.min(MAX_LISTED))
    }

    /// The newest refused blocks of which `wanted` says yes, as in [`Self::listed`].
    pub fn listed_where(&self, wanted: impl Fn(&RefusedBlock) -> bool) -> Result<Vec<RefusedBlock>, StorageError> {
        self.store.refused_where(MAX_LISTED, wanted)
    }

    /// The bytes of a refused block, where they were kept.
    pub fn bytes_of(&self, block: &RefusedBlock) -> Result<Option<Bytes>, StorageError> {
        self.store.refused_bytes(block.number)
    }

    /// The newest refusal in words.
    pub fn newest(&self) -> Option<String> {
        self.newest.lock().clone()
    }

    /// Records that these bytes were refused. Call it within a tokio runtime.
    pub(super) fn record(&self, failure: &ImportFailure, provenance: Provenance, bytes: &Bytes) {
        use ImportFailure::{Busy, NotRouted, Stopping};
        if matches!(failure, NotRouted { .. } | Busy { .. } | Stopping { .. }) {
            return;
        }
        let (expected, actual) = failure.expected_and_actual();
        let passed = failure.failed().map(Check::passed_before).unwrap_or_default();
        let refused = Refused {
            check: failure.check().to_owned(),
            passed: passed.iter().map(|check| check.name().to_owned()).collect(),
            expected,
            actual,
            message: failure.to_string(),
            blame: failure.blame(),
        };
        self.keep(refused, provenance, bytes, Question::of(failure, bytes));
    }

    /// Records a block that was refused before anything could be checked: what was posted is no block, or contradicts
    /// itself. Call it within a tokio runtime.
    pub fn record_unchecked(&self, refused: Refused, provenance: Provenance, bytes: &Bytes) {
        self.keep(refused, provenance, bytes, None);
    }

    fn keep(&self, refused: Refused, provenance: Provenance, bytes: &Bytes, question: Option<Question>) {
        self.counts.get_or_create(&CheckLabel { check: refused.check.clone() }).inc();
        *self.newest.lock() = Some(refused.message.clone());
        let refused = refused.into_record(provenance, self.url_of(provenance), bytes);
        tracing::warn!(
            height = refused.height, hash = %refused.hash, sender = refused.sender, path = refused.path,
            check = refused.check, expected = refused.expected, actual = refused.actual, reason = refused.message,
            "block refused"
        );
        let (bytes, refusals) = (bytes.clone(), self.clone());
        self.write(move |store| {
            let number = store.add_refused(refused, &bytes)?;
            refusals.search(number, provenance, question);
            Ok(())
        });
    }

    fn url_of(&self, provenance: Provenance) -> Option<String> {
        provenance.peer.and_then(|peer| self.connected.url(peer))
    }

    /// Asks peers for the first key or transaction that differs, and adds what comes out to the record.
    fn search(&self, number: u64, provenance: Provenance, question: Option<Question>) {
        let Some(question) = question else { return };
        let Ok(permit) = self.searches.clone().try_acquire_owned() else { return };
        let refusals = self.clone();
        tokio::spawn(async move {
            let finding = question.answer(&refusals.connected, provenance.peer).await;
            tracing::error!(height = question.height(), finding, "a sealed block cannot be confirmed here");
            let written = tokio::task::spawn_blocking(move || refusals.store.add_finding(number, finding)).await;
            if let Ok(Err(error)) = written {
                tracing::error!(%error, "what was found out about a refused block could not be written");
            }
            drop(permit);
        });
    }

    fn write(&self, write: impl FnOnce(&NodeStore) -> Result<(), StorageError> + Send + 'static) {
        let Ok(permit) = self.writes.clone().try_acquire_owned() else { return };
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = write(&store) {
                tracing::error!(%error, "what was refused could not be written");
            }
            drop(permit);
        });
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Refused {
    fn into_record(self, provenance: Provenance, url: Option<String>, bytes: &Bytes) -> RefusedBlock {
        let claimed = Block::decode(bytes.clone()).ok();
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
            time: now(),
            length: bytes.len() as u64,
        }
    }
}
