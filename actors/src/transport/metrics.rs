//! What `GET /metrics` shows of the peers.

use crate::monitor::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Refusals between nodes, each under its reason. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PeerMetrics {
    refusals: Family<Reason, Counter>,
    dials: Family<Outcome, Counter>,
    bans: Family<Reason, Counter>,
    ignored: Family<Reason, Counter>,
}

impl PeerMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let peers = Self::default();
        metrics.register(|registry| {
            let help = "Requests and connections of other nodes that were refused, by the refusal's code";
            registry.register("callboard_peer_refusals", help, peers.refusals.clone());
            registry.register("callboard_peer_dials", "Dials of other nodes by how they ended", peers.dials.clone());
            registry.register("callboard_peer_bans", "Bans of nodes and addresses by offence", peers.bans.clone());
            let help = "Addresses told by peers that were not taken, by reason";
            registry.register("callboard_peer_addresses_ignored", help, peers.ignored.clone());
        });
        peers
    }

    /// A request or connection was refused.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Reason { reason }).inc();
    }

    /// A dial ended.
    pub(crate) fn dialled(&self, outcome: &'static str) {
        self.dials.get_or_create(&Outcome { outcome }).inc();
    }

    /// A node or address was banned.
    pub(crate) fn banned(&self, reason: &'static str) {
        self.bans.get_or_create(&Reason { reason }).inc();
    }

    /// A told address was not taken.
    pub(crate) fn ignored(&self, reason: &'static str) {
        self.ignored.get_or_create(&Reason { reason }).inc();
    }

    /// How often something was refused.
    #[cfg(test)]
    pub(crate) fn refusals(&self, reason: &'static str) -> u64 {
        self.refusals.get_or_create(&Reason { reason }).get()
    }
}
