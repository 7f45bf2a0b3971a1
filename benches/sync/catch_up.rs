//! One follower that starts in an empty folder and catches up.

use crate::support::chain::Failure;
use crate::support::node::Node;
use crate::support::until;
use crate::workload::Workload;
use crate::{process, recovery};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A run that takes longer than this has failed.
const WITHIN: Duration = Duration::from_secs(1_200);
/// A preparation of no more blocks counts as part of what is measured: the durable head would step over it.
const SHORT: u64 = 10;
/// The blocks after which memory is looked at first.
const EARLY: u64 = 1_000;

/// A node that serves a workload's chain.
pub(crate) struct Stand {
    workload: Workload,
    authority: Node,
    /// The last block that is not measured.
    prepared: u64,
    /// Of the follower's database, MiB, where it is not the default.
    cache: Option<u64>,
}

/// What one run showed.
pub(crate) struct Run {
    /// From the last block of a long preparation, or the first of all, to the last.
    pub(crate) seconds: f64,
    /// Blocks that came in that time.
    pub(crate) blocks: u64,
    /// Senders that the bare library recovers in a second, right before and after.
    pub(crate) recovery: f64,
    /// The most memory that it held, MiB.
    pub(crate) peak: f64,
    /// What it held after the first blocks, half-way and at the end, MiB.
    pub(crate) memory: [f64; 3],
    /// Processor seconds of the follower, by thread.
    pub(crate) threads: BTreeMap<String, f64>,
    /// Processor seconds of the node that serves.
    pub(crate) serving: f64,
    /// `stages` of the status at the end.
    pub(crate) stages: Vec<Value>,
    /// Seconds that each stage had work and waited for the next one.
    pub(crate) stalled: Vec<(String, f64)>,
}

impl Stand {
    /// Builds the chain and serves it.
    pub(crate) fn new(workload: Workload, cache: Option<u64>) -> Result<Self, Failure> {
        let mut authority = Node::authority();
        let prepared = workload.build(&authority.path(""))?;
        authority.set("genesis.heartbeat_s", 3_600).start_within(WITHIN);
        Ok(Self { workload, authority, prepared, cache })
    }

    /// What there is to catch up with.
    pub(crate) fn workload(&self) -> Workload {
        self.workload
    }

    /// Where its RPC answers.
    pub(crate) fn rpc(&self) -> String {
        self.authority.rpc_url()
    }

    /// The chain's genesis file.
    pub(crate) fn genesis(&self) -> PathBuf {
        self.authority.data("genesis.json")
    }

    /// A follower catches up once.
    pub(crate) fn catch_up(&self) -> Result<Run, Failure> {
        let before = recovery::per_second();
        let (end, server) = (self.prepared + self.workload.blocks, self.authority.pid());
        let served = process::cpu(server);
        let mut follower = Node::follower("follower", &[&self.authority]);
        if let Some(mib) = self.cache {
            follower.set("store.cache_bytes", mib << 20);
        }
        follower.start();
        let pid = follower.pid();
        let looks = [self.prepared + EARLY, self.prepared + self.workload.blocks / 2, end];
        let (mut began, mut first, mut memory) = (Instant::now(), 0, [f64::NAN; 3]);
        until("the follower catches up", WITHIN, || {
            let height = follower.height();
            if self.prepared > SHORT && first < self.prepared {
                (began, first) = (Instant::now(), height);
            }
            for (at, held) in looks.iter().zip(&mut memory) {
                if height >= *at && held.is_nan() {
                    *held = process::memory(pid).0;
                }
            }
            (height >= end).then_some(())
        });
        let seconds = began.elapsed().as_secs_f64();
        let peak = process::memory(pid).1;
        let (threads, serving) = (process::cpu_by_thread(pid), process::cpu(server) - served);
        let stages = follower.status()["stages"].as_array().cloned().unwrap_or_default();
        let stalled = stalled(&follower.metrics());
        if follower.hash(end) != self.authority.hash(end) {
            return Err(format!("{}: the follower has another block {end}", self.workload.name).into());
        }
        // The cores are to be free for the second measurement.
        drop(follower);
        let recovery = f64::midpoint(before, recovery::per_second());
        Ok(Run { seconds, blocks: end - first, recovery, peak, memory, threads, serving, stages, stalled })
    }
}

impl Run {
    /// Blocks a second.
    pub(crate) fn blocks_per_second(&self) -> f64 {
        self.blocks as f64 / self.seconds
    }

    /// Signatures a second over those of the bare library: of the senders, and of the seals where there are no senders.
    pub(crate) fn ratio(&self, workload: &Workload) -> f64 {
        self.blocks_per_second() * workload.transactions.max(1) as f64 / self.recovery
    }
}

/// Out of a node's metrics.
fn stalled(metrics: &str) -> Vec<(String, f64)> {
    let stage = |line: &str| {
        let (stage, seconds) =
            line.strip_prefix(r#"callboard_sync_stage_stalled_seconds_total{stage=""#)?.split_once('"')?;
        Some((stage.to_owned(), seconds.trim_start_matches('}').trim().parse().ok()?))
    };
    metrics.lines().filter_map(stage).collect()
}
