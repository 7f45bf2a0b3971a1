//! Request metrics.

use super::limits::Limit;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Upper bounds of the buckets, seconds: a point read takes well below a millisecond, a call up to five seconds.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requests {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusals {
    limit: &'static str,
}

/// Counters of the frontend. A method this node does not know is counted as `unknown`, so that nobody outside
/// can make series.
#[derive(Clone)]
pub struct RpcMetrics {
    requests: Family<Requests, Counter>,
    seconds: Family<Method, Histogram, fn() -> Histogram>,
    refusals: Family<Refusals, Counter>,
}

impl RpcMetrics {
    /// Registers the metrics as `callboard_rpc_requests_total`, `callboard_rpc_seconds` and
    /// `callboard_rpc_refusals_total`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            refusals: Family::default(),
        };
        registry.register(
            "callboard_rpc_requests",
            "Requests answered, by method and outcome",
            metrics.requests.clone(),
        );
        registry.register(
            "callboard_rpc_seconds",
            "Seconds from request to answer, by method",
            metrics.seconds.clone(),
        );
        registry.register(
            "callboard_rpc_refusals",
            "Requests refused because they go beyond a bound, by bound",
            metrics.refusals.clone(),
        );
        metrics
    }

    /// Counts one request that a bound refused.
    pub(crate) fn refused(&self, limit: Limit) {
        self.refusals.get_or_create(&Refusals { limit: limit.name() }).inc();
    }

    /// Counts one request.
    pub(crate) fn record(&self, method: &'static str, ok: bool, took: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        self.requests.get_or_create(&Requests { method, outcome }).inc();
        self.seconds.get_or_create(&Method { method }).observe(took.as_secs_f64());
    }
}
