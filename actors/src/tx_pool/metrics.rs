//! The pool's metrics.

use super::state::Status;
use crate::monitor::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What `GET /metrics` shows of the pool.
#[derive(Debug, Clone, Default)]
pub struct PoolMetrics {
    transactions: Family<State, Gauge>,
    accepted: Counter,
    refused: Family<Reason, Counter>,
    dropped: Family<Reason, Counter>,
    /// Transactions and bytes of all states, for whoever watches how full it is.
    fill: Arc<(AtomicUsize, AtomicUsize)>,
}

impl PoolMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let pool = Self::default();
        metrics.register(|registry| {
            registry.register("callboard_pool_transactions", "Transactions in the pool", pool.transactions.clone());
            registry.register("callboard_pool_accepted", "Transactions taken", pool.accepted.clone());
            registry.register("callboard_pool_refused", "Transactions not taken", pool.refused.clone());
            registry.register("callboard_pool_dropped", "Transactions that left the pool", pool.dropped.clone());
        });
        pool
    }

    /// What the pool holds: transactions and bytes.
    pub fn fill(&self) -> (usize, usize) {
        (self.fill.0.load(Relaxed), self.fill.1.load(Relaxed))
    }

    pub(super) fn holds(&self, status: Status) {
        let set = |state, count| {
            self.transactions.get_or_create(&State { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        set("pending", status.pending);
        set("queued", status.queued);
        self.fill.0.store(status.pending.saturating_add(status.queued), Relaxed);
        self.fill.1.store(status.bytes, Relaxed);
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&Reason { reason }).inc();
    }
}
