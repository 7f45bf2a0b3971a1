//! What the operator should know now: raised and cleared once each in the log and at the webhook, shown in
//! `callboard_syncStatus.alerts` and as `callboard_alert{name}`.

use super::Metrics;
use super::notices::{Notice, Notices};
use crate::transport::clock::wall_millis;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Error;
use std::sync::{Arc, OnceLock};

/// What can be wrong while the node goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// Sync does not go on, or the head is stale.
    Stalled,
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
    /// Seeds are configured and none is connected.
    NoPeers,
    /// The head is older than the operator allows.
    HeadAge,
    /// Too many blocks are refused.
    Rejections,
    /// The disk has little room left.
    DiskNearlyFull,
    /// The pool has no room left.
    PoolFull,
    /// Messages wait long for an actor.
    ActorSlow,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Stalled,
        Self::Diverged,
        Self::DeadBranch,
        Self::Equivocation,
        Self::OwnBlock,
        Self::Damaged,
        Self::PeerClock,
        Self::FutureHead,
        Self::ProposerClock,
        Self::NoPeers,
        Self::HeadAge,
        Self::Rejections,
        Self::DiskNearlyFull,
        Self::PoolFull,
        Self::ActorSlow,
    ];

    /// Its name in metrics and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Diverged => "diverged",
            Self::DeadBranch => "dead_branch",
            Self::Equivocation => "equivocation",
            Self::OwnBlock => "own_block",
            Self::Damaged => "damaged",
            Self::PeerClock => "peer_clock",
            Self::FutureHead => "future_head",
            Self::ProposerClock => "proposer_clock",
            Self::NoPeers => "no_peers",
            Self::HeadAge => "head_age",
            Self::Rejections => "rejections",
            Self::DiskNearlyFull => "disk_nearly_full",
            Self::PoolFull => "pool_full",
            Self::ActorSlow => "actor_slow",
        }
    }

    /// What the operator can do. The book says more.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Stalled => "see why with `callboard doctor`; look whether the authority and the peers run",
            Self::Diverged => {
                "find out which chain is right before anything else; the sentence says how to take either"
            }
            Self::DeadBranch => "have that peer rolled back, or run `callboard chain accept HEIGHT HASH`",
            Self::Equivocation => {
                "find out where else the authority's key is; `callboard doctor --evidence FILE` writes the proof"
            }
            Self::OwnBlock => "stop whatever else holds the authority's key",
            Self::Damaged => "stop the node and run `callboard chain reconcile --full`",
            Self::PeerClock | Self::FutureHead => "set whichever clock is wrong, best by NTP",
            Self::ProposerClock => "set the clock back if the new time is wrong, restart the node if it is right",
            Self::NoPeers => "look whether the seeds run and can be reached; `callboard peers` has the reason for each",
            Self::HeadAge => {
                "look whether the authority runs and seals, and whether a peer with its blocks is connected"
            }
            Self::Rejections => "see who sends what with `callboard_rejections`; `callboard block explain` says why",
            Self::DiskNearlyFull => "make room on the disk of `node.data_dir`, or move the folder to a larger one",
            Self::PoolFull => {
                "look whether blocks are sealed and who fills the pool; raise `pool.max_transactions` or `pool.max_bytes`"
            }
            Self::ActorSlow => {
                "see which messages wait with `callboard actors`; look at processor and disk of this machine"
            }
        }
    }
}

/// The alarms of a node. Shared; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Alarms(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    standing: Mutex<BTreeMap<Alarm, String>>,
    /// Those the operator does not want.
    muted: BTreeSet<Alarm>,
    notices: OnceLock<Notices>,
}

impl Alarms {
    /// None is raised, and none is muted. Registers `callboard_alert`.
    pub fn new(metrics: &Metrics) -> Self {
        Self::without(metrics, BTreeSet::new())
    }

    /// As [`Self::new`]; those in `muted` are never raised.
    pub fn without(metrics: &Metrics, muted: BTreeSet<Alarm>) -> Self {
        let alarms = Self(Arc::new(Inner { muted, ..Inner::default() }));
        metrics.register(|registry| registry.register_collector(Box::new(Alerts(alarms.clone()))));
        alarms
    }

    /// From now on each alarm that is raised or over is noticed there. Only the first call has an effect.
    pub fn tell(&self, notices: Notices) {
        self.0.notices.get_or_init(|| notices);
    }

    /// Raises the alarm with one sentence and its remedy, or replaces the sentence where it stands already.
    pub fn raise(&self, alarm: Alarm, sentence: String) {
        if self.0.muted.contains(&alarm) {
            return;
        }
        let mut standing = self.0.standing.lock();
        if standing.insert(alarm, sentence.clone()).is_none() {
            tracing::error!(alarm = alarm.name(), "{sentence}");
            self.notice(alarm, true, sentence);
        }
    }

    /// The reason is gone.
    pub fn clear(&self, alarm: Alarm) {
        let mut standing = self.0.standing.lock();
        if let Some(sentence) = standing.remove(&alarm) {
            tracing::info!(alarm = alarm.name(), "the alarm is over");
            self.notice(alarm, false, sentence);
        }
    }

    /// Called under the lock, so that notices are in the order of what happened.
    fn notice(&self, alarm: Alarm, raised: bool, sentence: String) {
        if let Some(notices) = self.0.notices.get() {
            notices.push(Notice { alarm, raised, sentence, at: wall_millis() / 1_000 });
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
        self.0.standing.lock().contains_key(&alarm)
    }

    /// The sentences of those that stand. What a node is stalled for may be an alarm besides: each is said once.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = Vec::new();
        for sentence in self.0.standing.lock().values() {
            if !sentences.contains(sentence) {
                sentences.push(sentence.clone());
            }
        }
        sentences
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

    #[test]
    fn each_change_is_noticed_once_and_what_is_muted_never() {
        let alarms = Alarms::without(&Metrics::new(), BTreeSet::from([Alarm::NoPeers]));
        let notices = Notices::new(&Metrics::new());
        alarms.tell(notices.clone());
        alarms.raise(Alarm::NoPeers, "nobody".to_owned());
        for sentence in ["60 s", "61 s"] {
            alarms.raise(Alarm::HeadAge, sentence.to_owned());
        }
        alarms.clear(Alarm::HeadAge);
        alarms.clear(Alarm::HeadAge);
        let seen: Vec<_> = std::iter::from_fn(|| notices.pop()).map(|notice| (notice.alarm, notice.raised)).collect();
        assert_eq!(seen, [(Alarm::HeadAge, true), (Alarm::HeadAge, false)]);
        assert!(!alarms.is_raised(Alarm::NoPeers));
    }

    #[test]
    fn one_sentence_of_two_alarms_is_said_once() {
        let alarms = Alarms::default();
        for alarm in [Alarm::Stalled, Alarm::Damaged] {
            alarms.raise(alarm, "the chain is damaged".to_owned());
        }
        assert_eq!(alarms.sentences(), ["the chain is damaged"]);
    }
}
