//! What the monitor looks at, and who is told of alarms.

use super::{NodeError, Shared};
use crate::configuration::{AlertsSection, Configuration};
use callboard_actors::importer::Refusals;
use callboard_actors::monitor::{ActorReading, Alarm, Limits, Notices, Readings, Sender, Watch, Watching, Webhook};
use callboard_actors::send::ActorRegistry;
use callboard_actors::sync_coordinator::{STALE_HEARTBEATS, SyncReport};
use callboard_actors::tx_pool::PoolMetrics;
use callboard_chain::SealedGenesis;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the disk is asked for its free bytes.
const ASK_DISK_EVERY: Duration = Duration::from_secs(1);
/// What is kept where the disk does not say.
const UNKNOWN: u64 = u64::MAX;

/// The alarms that the operator has switched off.
pub(super) fn muted(alerts: &AlertsSection) -> BTreeSet<Alarm> {
    let wanted =
        [(Alarm::Stalled, alerts.stall), (Alarm::Diverged, alerts.diverged), (Alarm::NoPeers, alerts.no_peers)];
    wanted.into_iter().filter_map(|(alarm, wanted)| (!wanted).then_some(alarm)).collect()
}

fn limits(configuration: &Configuration, heartbeat_seconds: u64) -> Limits {
    let head_age = match configuration.alerts.head_age_s {
        // As long as a node stays ready with its head.
        0 => heartbeat_seconds.saturating_mul(STALE_HEARTBEATS),
        seconds => seconds,
    };
    Limits {
        head_age: Duration::from_secs(head_age),
        rejected_per_minute: configuration.alerts.rejected_per_minute,
        min_free_bytes: configuration.store.min_free_bytes,
        pool: (configuration.pool.max_transactions, configuration.pool.max_bytes),
        has_seeds: !configuration.peers.seeds.is_empty(),
    }
}

/// Where readings come from, besides the actors' own meters.
pub(super) struct Sources {
    pub(super) sync: watch::Receiver<SyncReport>,
    pub(super) refusals: Refusals,
    pub(super) heartbeat_seconds: u64,
}

impl Sources {
    /// What the monitor needs to raise and clear alarms.
    pub(super) fn watching(self, shared: &Shared, pool: PoolMetrics) -> Watching {
        let watch = Watch::new(limits(&shared.configuration, self.heartbeat_seconds));
        let registry = shared.registry.clone();
        let free = watch_disk(shared.configuration.node.data_dir.clone());
        let Self { sync, refusals, .. } = self;
        let read = move || {
            let report = sync.borrow();
            let free = free.load(Relaxed);
            Readings {
                phase: report.phase,
                head_age: Duration::from_secs(report.head_age_seconds),
                peers: report.peers.len(),
                refused: refusals.total(),
                free_bytes: (free != UNKNOWN).then_some(free),
                pool: pool.fill(),
                actors: actors(&registry),
            }
        };
        Watching { read: Box::new(read), watch, alarms: shared.alarms.clone() }
    }
}

fn actors(registry: &ActorRegistry) -> Vec<ActorReading> {
    let now = Instant::now();
    let reading = |meter: &Arc<callboard_actors::send::ActorMeter>| {
        let pace = meter.pace(now);
        ActorReading { actor: meter.name(), depth: meter.depth(), progress: pace.progress, wait: pace.wait_p99 }
    };
    registry.meters().iter().map(reading).collect()
}

/// Free bytes on the disk of `folder`, kept up to date for as long as somebody has them. Some disks take their time to
/// answer: no actor waits for one.
fn watch_disk(folder: PathBuf) -> Arc<AtomicU64> {
    let free = Arc::new(AtomicU64::new(UNKNOWN));
    let kept = Arc::downgrade(&free);
    actix::spawn(async move {
        loop {
            let asked = folder.clone();
            let answer = tokio::task::spawn_blocking(move || ask_disk(&asked)).await;
            let Some(free) = kept.upgrade() else { return };
            free.store(answer.unwrap_or(UNKNOWN), Relaxed);
            drop(free);
            tokio::time::sleep(ASK_DISK_EVERY).await;
        }
    });
    free
}

fn ask_disk(folder: &Path) -> u64 {
    fs4::available_space(folder).unwrap_or(UNKNOWN)
}

/// From now on the webhook hears of every alarm, where one is configured.
pub(super) fn tell_webhook(shared: &Shared, genesis: &SealedGenesis) -> Result<Option<JoinHandle<()>>, NodeError> {
    let Some(url) = &shared.configuration.alerts.webhook else { return Ok(None) };
    let sender = Sender {
        node: shared.configuration.node.name.clone(),
        chain_id: genesis.config().chain_id,
        genesis: genesis.hash().to_string(),
    };
    crate::install_tls();
    let webhook = Webhook::new(url.clone(), sender)?;
    let notices = Notices::new(&shared.metrics);
    shared.alarms.tell(notices.clone());
    Ok(Some(actix::spawn(webhook.run(notices))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Configuration {
        Configuration::from_toml(text, Path::new("/base")).expect("a configuration")
    }

    #[test]
    fn the_head_may_be_three_heartbeats_old_unless_the_operator_says_otherwise() {
        assert_eq!(limits(&load(""), 60).head_age, Duration::from_secs(180));
        assert_eq!(limits(&load("[alerts]\nhead_age_s = 7"), 60).head_age, Duration::from_secs(7));
        assert_eq!(limits(&load(""), u64::MAX).head_age, Duration::from_secs(u64::MAX));
    }

    #[test]
    fn each_key_switches_its_alarm_off() {
        assert!(muted(&load("").alerts).is_empty());
        for (key, alarm) in [("stall", Alarm::Stalled), ("diverged", Alarm::Diverged), ("no_peers", Alarm::NoPeers)] {
            assert_eq!(muted(&load(&format!("[alerts]\n{key} = false")).alerts), BTreeSet::from([alarm]));
        }
        assert_eq!(limits(&load("[alerts]\nrejected_per_minute = 3"), 1).rejected_per_minute, 3);
        assert_eq!(limits(&load("[store]\nmin_free_bytes = 5"), 1).min_free_bytes, 5);
        assert!(limits(&load("[peers]\nseeds = [\"http://127.0.0.1:1\"]"), 1).has_seeds);
    }
}
