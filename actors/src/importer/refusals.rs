//! Refused blocks: counted, logged, and kept with the check that failed.

use super::ImportFailure;
use crate::callboard::Provenance;
use crate::monitor::Metrics;
use alloy_primitives::{B256, Bytes};
use callboard_chain::Block;
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    check: &'static str,
}

/// The record of refused blocks. Cheap to clone.
#[derive(Clone)]
pub struct Refusals {
    store: NodeStore,
    counts: Family<Check, Counter>,
    newest: Arc<Mutex<Option<String>>>,
    writes: Arc<Semaphore>,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals").field("newest", &self.newest).finish_non_exhaustive()
    }
}

impl Refusals {
    /// Registers `callboard_block_rejections_total` and writes to `store`.
    pub fn new(store: NodeStore, metrics: &Metrics) -> Self {
        let counts = Family::<Check, Counter>::default();
        metrics.register(|registry| {
            registry.register("callboard_block_rejections", "Blocks refused, by the check that failed", counts.clone());
        });
        Self { store, counts, newest: Arc::default(), writes: Arc::new(Semaphore::new(WRITES_AT_A_TIME)) }
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
        let refused = refused(failure, provenance, bytes);
        tracing::warn!(
            height = refused.height, hash = %refused.hash, sender = refused.sender, check = refused.check,
            expected = refused.expected, actual = refused.actual, reason = %failure, "block refused"
        );
        self.counts.get_or_create(&Check { check: failure.check() }).inc();
        *self.newest.lock() = Some(failure.to_string());
        self.write(move |store| store.add_refused(refused));
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

fn refused(failure: &ImportFailure, provenance: Provenance, bytes: &Bytes) -> RefusedBlock {
    let claimed = Block::decode(bytes.clone()).ok();
    let (expected, actual) = failure.expected_and_actual().unwrap_or_else(|| (String::new(), failure.to_string()));
    RefusedBlock {
        height: claimed.as_ref().map_or(0, Block::height),
        hash: claimed.as_ref().map_or(B256::ZERO, Block::hash),
        check: failure.check().to_owned(),
        expected,
        actual,
        sender: provenance.peer.map_or_else(|| provenance.origin.to_string(), |peer| peer.to_string()),
        time: now(),
        bytes: Some(bytes.clone()),
    }
}
