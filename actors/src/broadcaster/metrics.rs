//! The broadcaster's metrics.

use super::messages::BroadcastCounts;
use crate::monitor::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use std::sync::atomic::Ordering;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Skipped {
    what: &'static str,
    reason: &'static str,
}

/// What `GET /metrics` shows of the broadcaster.
#[derive(Debug, Clone, Default)]
pub struct BroadcastMetrics {
    sent: Family<What, Counter>,
    skipped: Family<Skipped, Counter>,
    streams: Gauge,
    unacknowledged: Gauge,
}

impl BroadcastMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let help = "Blocks announced to streams, and transactions delivered to peers, once for each";
            registry.register("callboard_broadcast_sent", help, own.sent.clone());
            let help = "Streams that fell behind and went on from the store, and transactions that a peer missed";
            registry.register("callboard_broadcast_skipped", help, own.skipped.clone());
            registry.register("callboard_broadcast_streams", "Peers that follow this node", own.streams.clone());
            let help = "Forwarded transactions that nobody has answered for good";
            registry.register("callboard_broadcast_unacknowledged", help, own.unacknowledged.clone());
        });
        own
    }

    pub(super) fn set(&self, counts: &BroadcastCounts) {
        let sent = |what, count| {
            self.sent.get_or_create(&What { what }).inner().store(count, Ordering::Relaxed);
        };
        sent("block", counts.announced);
        sent("transaction", counts.transactions_delivered);
        let skipped = |what, reason, count| {
            self.skipped.get_or_create(&Skipped { what, reason }).inner().store(count, Ordering::Relaxed);
        };
        skipped("stream", "queue_full", counts.subscribers_skipped);
        skipped("transaction", "queue_full", counts.transactions_skipped);
        skipped("transaction", "not_delivered", counts.transactions_not_delivered);
        let gauge = |gauge: &Gauge, count| {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        gauge(&self.streams, counts.subscribers);
        gauge(&self.unacknowledged, counts.unacknowledged);
    }
}
