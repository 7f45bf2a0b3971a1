//! Alarms on their way to the webhook: bounded, so that a receiver that is away costs nothing but notices.

use super::{Alarm, Metrics};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Notices that may wait. Beyond it the oldest is dropped: the newest say what is so now.
pub const MAX_NOTICES: usize = 64;

/// An alarm was raised, or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which.
    pub alarm: Alarm,
    /// Raised; else over.
    pub raised: bool,
    /// What was wrong when it was raised; of one that is over, what was last said.
    pub sentence: String,
    /// Unix seconds.
    pub at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The notices that wait. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notices(Arc<Waiting>);

#[derive(Debug)]
struct Waiting {
    queue: Mutex<VecDeque<Notice>>,
    came: Notify,
    outcomes: Family<OutcomeLabel, Counter>,
}

impl Notices {
    /// None waits. Registers `callboard_webhook_notices_total`.
    pub fn new(metrics: &Metrics) -> Self {
        let outcomes = Family::<OutcomeLabel, Counter>::default();
        let help = "Alarms for the webhook, by what became of them";
        metrics.register(|registry| registry.register("callboard_webhook_notices", help, outcomes.clone()));
        // Each is there from the start: a rule sees a rise from nothing only where there was a zero.
        for outcome in ["delivered", "failed", "dropped"] {
            drop(outcomes.get_or_create(&OutcomeLabel { outcome }));
        }
        Self(Arc::new(Waiting { queue: Mutex::default(), came: Notify::new(), outcomes }))
    }

    pub(super) fn push(&self, notice: Notice) {
        let mut queue = self.0.queue.lock();
        if queue.len() == MAX_NOTICES {
            queue.pop_front();
            self.count("dropped");
        }
        queue.push_back(notice);
        drop(queue);
        self.0.came.notify_one();
    }

    pub(super) fn pop(&self) -> Option<Notice> {
        self.0.queue.lock().pop_front()
    }

    /// The oldest, once there is one.
    pub(super) async fn next(&self) -> Notice {
        loop {
            if let Some(notice) = self.pop() {
                return notice;
            }
            self.0.came.notified().await;
        }
    }

    pub(super) fn count(&self, outcome: &'static str) {
        self.0.outcomes.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_notice_gives_way_where_nobody_takes_them_and_is_counted() {
        let metrics = Metrics::new();
        let notices = Notices::new(&metrics);
        for at in 0..MAX_NOTICES as u64 + 2 {
            notices.push(Notice { alarm: Alarm::NoPeers, raised: true, sentence: String::new(), at });
        }
        assert_eq!(notices.pop().map(|notice| notice.at), Some(2));
        assert_eq!(std::iter::from_fn(|| notices.pop()).count(), MAX_NOTICES - 1);
        assert!(metrics.encode().contains("callboard_webhook_notices_total{outcome=\"dropped\"} 2\n"));
    }
}
