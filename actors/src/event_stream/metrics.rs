//! The event stream's metrics.

use super::event::Topic;
use super::queue::SubscriptionEnded;
use crate::monitor::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct About {
    topic: &'static str,
}

/// What `GET /metrics` shows of the event stream.
#[derive(Debug, Clone, Default)]
pub struct EventMetrics {
    subscribers: Gauge,
    dropped: Family<Reason, Counter>,
    events: Family<About, Counter>,
}

impl EventMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let events = Self::default();
        metrics.register(|registry| {
            registry.register("callboard_event_subscribers", "Subscribers to events", events.subscribers.clone());
            let help = "Subscribers that were dropped, by reason";
            registry.register("callboard_event_subscribers_dropped", help, events.dropped.clone());
            registry.register("callboard_events", "Events given to subscribers, by topic", events.events.clone());
        });
        events
    }

    pub(super) fn subscribers(&self, count: usize) {
        self.subscribers.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn dropped(&self, why: SubscriptionEnded) {
        self.dropped.get_or_create(&Reason { reason: why.name() }).inc();
    }

    pub(super) fn event(&self, topic: Topic) {
        self.events.get_or_create(&About { topic: topic.name() }).inc();
    }
}
