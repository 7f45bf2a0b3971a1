//! How busy each stage of the sync pipeline is, and how long it had to wait for the one behind it.

use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A stage whose share of busy time is at least this is called the bottleneck if no other is busier. Below it the
/// pipeline waits for something outside: blocks to arrive.
const BOTTLENECK_BUSY: f64 = 0.5;

/// Busy and stalled time, and items, of one stage.
#[derive(Debug)]
pub struct StageMeter {
    name: &'static str,
    workers: f64,
    is_timed: bool,
    nanos: AtomicU64,
    stalled_nanos: AtomicU64,
    items: AtomicU64,
    window: Mutex<Window>,
}

/// Busy and stalled time at the start of this measuring window and of the one before.
#[derive(Debug)]
struct Window {
    before: (Instant, Spent),
    current: (Instant, Spent),
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    busy: u64,
    stalled: u64,
}

impl StageMeter {
    /// A stage with this many workers, which can all be busy at once.
    pub fn new(name: &'static str, workers: usize) -> Arc<Self> {
        Self::make(name, workers, true)
    }

    fn make(name: &'static str, workers: usize, is_timed: bool) -> Arc<Self> {
        let start = (Instant::now(), Spent::default());
        Arc::new(Self {
            name,
            workers: workers.max(1) as f64,
            is_timed,
            nanos: AtomicU64::new(0),
            stalled_nanos: AtomicU64::new(0),
            items: AtomicU64::new(0),
            window: Mutex::new(Window { before: start, current: start }),
        })
    }

    /// Counts `items`, and the time until the answer is dropped as busy.
    pub fn busy(self: &Arc<Self>, items: u64) -> StageBusy {
        StageBusy { stage: self.clone(), items, since: self.clock() }
    }

    /// Counts `items` that came along with another one.
    pub fn count(&self, items: u64) {
        self.items.fetch_add(items, Relaxed);
    }

    /// Counts the time until the answer is dropped as stalled: the stage has work, and waits for room in the next one.
    pub fn stalled(self: &Arc<Self>) -> StageStalled {
        StageStalled { stage: self.clone(), since: self.clock() }
    }

    fn clock(&self) -> Option<Instant> {
        self.is_timed.then(Instant::now)
    }

    /// The stage's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// All its workers' busy time together.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }

    /// All its workers' stalled time together.
    pub fn total_stalled(&self) -> Duration {
        Duration::from_nanos(self.stalled_nanos.load(Relaxed))
    }

    fn spent(&self) -> Spent {
        Spent { busy: self.nanos.load(Relaxed), stalled: self.stalled_nanos.load(Relaxed) }
    }

    /// Starts a new measuring window.
    pub(super) fn roll(&self, now: Instant) {
        let mut window = self.window.lock();
        window.before = std::mem::replace(&mut window.current, (now, self.spent()));
    }

    /// The figures as `callboard_syncStatus` shows them.
    pub fn figures(&self, now: Instant) -> StageFigures {
        let (since, before) = self.window.lock().before;
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        let (spent, workers) = (self.spent(), self.workers);
        let share = |now: u64, then: u64| {
            let recent = Duration::from_nanos(now.saturating_sub(then)).as_secs_f64();
            if seconds > 0.0 { (recent / seconds / workers).min(1.0) } else { 0.0 }
        };
        StageFigures {
            name: self.name,
            busy: share(spent.busy, before.busy),
            stalled: share(spent.stalled, before.stalled),
            items: self.items.load(Relaxed),
            seconds: self.total().as_secs_f64(),
        }
    }
}

/// A worker at work.
#[derive(Debug)]
#[must_use = "the stage is busy until this is dropped"]
pub struct StageBusy {
    stage: Arc<StageMeter>,
    items: u64,
    since: Option<Instant>,
}

impl Drop for StageBusy {
    fn drop(&mut self) {
        count(&self.stage.nanos, self.since);
        self.stage.items.fetch_add(self.items, Relaxed);
    }
}

/// A worker that waits for the next stage.
#[derive(Debug)]
#[must_use = "the stage is stalled until this is dropped"]
pub struct StageStalled {
    stage: Arc<StageMeter>,
    since: Option<Instant>,
}

impl Drop for StageStalled {
    fn drop(&mut self) {
        count(&self.stage.stalled_nanos, self.since);
    }
}

fn count(nanos: &AtomicU64, since: Option<Instant>) {
    if let Some(since) = since {
        nanos.fetch_add(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// One of the `stages` of `callboard_syncStatus`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageFigures {
    /// fetch, verify, execute, root or commit.
    pub name: &'static str,
    /// Recent share of its workers' time that it was busy, 0 to 1.
    pub busy: f64,
    /// Recent share of its workers' time that it had work and waited for the next stage, 0 to 1.
    pub stalled: f64,
    /// Items done since the start.
    pub items: u64,
    /// Busy seconds of all workers since the start.
    pub seconds: f64,
}

/// The stages of the sync pipeline. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Blocks arrive from peers.
    pub fetch: Arc<StageMeter>,
    /// Decoding, hashes, senders, seal.
    pub verify: Arc<StageMeter>,
    /// Transactions run.
    pub execute: Arc<StageMeter>,
    /// State root.
    pub root: Arc<StageMeter>,
    /// Writing to disk.
    pub commit: Arc<StageMeter>,
}

impl Stages {
    /// All idle; `verify_workers` threads verify.
    pub fn new(verify_workers: usize) -> Self {
        Self::make(verify_workers, true)
    }

    /// Stages that count items and measure no time: what a measurement of the meters' own cost is compared with.
    pub fn without_times(verify_workers: usize) -> Self {
        Self::make(verify_workers, false)
    }

    fn make(verify_workers: usize, is_timed: bool) -> Self {
        let stage = |name, workers| StageMeter::make(name, workers, is_timed);
        Self {
            fetch: stage("fetch", 1),
            verify: stage("verify", verify_workers),
            execute: stage("execute", 1),
            root: stage("root", 1),
            commit: stage("commit", 1),
        }
    }

    /// All stages in the order in which a block passes them.
    pub fn all(&self) -> [&Arc<StageMeter>; 5] {
        [&self.fetch, &self.verify, &self.execute, &self.root, &self.commit]
    }

    /// The figures of all stages.
    pub fn figures(&self, now: Instant) -> Vec<StageFigures> {
        self.all().map(|stage| stage.figures(now)).into()
    }

    pub(super) fn roll(&self, now: Instant) {
        self.all().iter().for_each(|stage| stage.roll(now));
    }

    /// The stage that limits the pipeline: the busiest, or `fetch` where none is busy half of the time.
    pub fn bottleneck(figures: &[StageFigures]) -> &'static str {
        let busiest = figures.iter().max_by(|a, b| a.busy.total_cmp(&b.busy));
        busiest.filter(|stage| stage.busy >= BOTTLENECK_BUSY).map_or("fetch", |stage| stage.name)
    }
}
