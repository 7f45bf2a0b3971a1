//! What the operator should know now: raised and cleared once each in the log, shown in `callboard_syncStatus.alerts`
//! and as `callboard_alert{name}`.

use super::Metrics;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;

/// What can be wrong while the node goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// A peer shows another validly sealed chain, and it is alive.
    Diverged,
    /// A peer shows another validly sealed branch that nobody extends.
    DeadBranch,
    /// The authority sealed two blocks of one height.
    Equivocation,
    /// A block that this authority does not know carries its own seal.
    OwnBlock,
    /// The background check found the stored chain damaged.
    Damaged,
    /// Peers' clocks differ from this node's.
    PeerClock,
    /// The head is dated later than this node's clock.
    FutureHead,
    /// The proposer's wall and monotonic clock disagree.
    ProposerClock,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Diverged,
        Self::DeadBranch,
        Self::Equivocation,
        Self::OwnBlock,
        Self::Damaged,
        Self::PeerClock,
        Self::FutureHead,
        Self::ProposerClock,
    ];

    /// Its name in metrics and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Diverged => "diverged",
            Self::DeadBranch => "dead_branch",
            Self::Equivocation => "equivocation",
            Self::OwnBlock => "own_block",
            Self::Damaged => "damaged",
            Self::PeerClock => "peer_clock",
            Self::FutureHead => "future_head",
            Self::ProposerClock => "proposer_clock",
        }
    }
}

/// The alarms of a node. Shared; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Alarms(Arc<Mutex<BTreeMap<Alarm, String>>>);

impl Alarms {
    /// None is raised. Registers `callboard_alert`.
    pub fn new(metrics: &Metrics) -> Self {
        let alarms = Self::default();
        metrics.register(|registry| registry.register_collector(Box::new(Alerts(alarms.clone()))));
        alarms
    }

    /// Raises the alarm with one sentence and its remedy, or replaces the sentence where it stands already.
    pub fn raise(&self, alarm: Alarm, sentence: String) {
        if self.0.lock().insert(alarm, sentence.clone()).is_none() {
            tracing::error!(alarm = alarm.name(), "{sentence}");
        }
    }

    /// The reason is gone.
    pub fn clear(&self, alarm: Alarm) {
        if self.0.lock().remove(&alarm).is_some() {
            tracing::info!(alarm = alarm.name(), "the alarm is over");
        }
    }

    /// Raises it where there is a sentence, clears it where there is none.
    pub fn set(&self, alarm: Alarm, sentence: Option<String>) {
        match sentence {
            Some(sentence) => self.raise(alarm, sentence),
            None => self.clear(alarm),
        }
    }

    /// Whether it stands.
    pub fn is_raised(&self, alarm: Alarm) -> bool {
        self.0.lock().contains_key(&alarm)
    }

    /// The sentences of those that stand.
    pub fn sentences(&self) -> Vec<String> {
        self.0.lock().values().cloned().collect()
    }
}

#[derive(Debug)]
struct Alerts(Alarms);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabel {
    name: &'static str,
}

impl Collector for Alerts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "1 while the alarm stands, else 0";
        let mut alerts = encoder.encode_descriptor("callboard_alert", help, None, MetricType::Gauge)?;
        for alarm in Alarm::ALL {
            let stands = i64::from(self.0.is_raised(alarm));
            alerts.encode_family(&NameLabel { name: alarm.name() })?.encode_gauge(&stands)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_stands_from_raised_to_cleared_and_is_shown_by_its_newest_sentence() {
        let metrics = Metrics::new();
        let alarms = Alarms::new(&metrics);
        let line = |stands: u8| format!("callboard_alert{{name=\"peer_clock\"}} {stands}\n");
        assert!(alarms.sentences().is_empty() && metrics.encode().contains(&line(0)));
        alarms.raise(Alarm::PeerClock, "16 s".to_owned());
        alarms.set(Alarm::PeerClock, Some("17 s".to_owned()));
        assert_eq!(alarms.sentences(), ["17 s"]);
        assert!(metrics.encode().contains(&line(1)), "{}", metrics.encode());
        alarms.set(Alarm::PeerClock, None);
        assert!(!alarms.is_raised(Alarm::PeerClock) && metrics.encode().contains(&line(0)));
    }
}
