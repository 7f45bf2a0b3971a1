//! The block store's metrics.

use crate::monitor::{Metrics, StageMeter};
use prometheus_client::metrics::histogram::Histogram;
use std::sync::Arc;
use std::time::Instant;

/// Upper bounds of the buckets, seconds: a block of a few transactions takes about a millisecond, a full batch of
/// catching up a second, a disk that is dying longer.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What is measured of commits.
#[derive(Debug, Clone)]
pub struct CommitMetrics {
    stage: Arc<StageMeter>,
    seconds: Histogram,
}

impl CommitMetrics {
    /// Registers `callboard_store_commit_seconds`; `stage` is the pipeline's last one.
    pub fn register(metrics: &Metrics, stage: Arc<StageMeter>) -> Self {
        let seconds = Histogram::new(BUCKETS);
        let help = "Seconds from the start of a commit until its blocks are durable";
        metrics.register(|registry| registry.register("callboard_store_commit_seconds", help, seconds.clone()));
        Self { stage, seconds }
    }

    /// Runs the commit of `blocks` blocks, and counts its time.
    pub(super) fn measure<T>(&self, blocks: usize, commit: impl FnOnce() -> T) -> T {
        let _busy = self.stage.busy(blocks as u64);
        let begun = Instant::now();
        let done = commit();
        self.seconds.observe(begun.elapsed().as_secs_f64());
        done
    }
}
