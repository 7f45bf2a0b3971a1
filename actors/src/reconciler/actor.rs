//! *Role*: checks the stored chain against itself, in the background and on request.
//! *Owns*: nothing durable but a bookmark; the running checks. *Receives*: VerifyRange. *Sends*: nothing; publishes the
//! newest result. *When behind*: rounds get longer. *On failure*: a fault found is an alarm that stays; the node goes on
//! serving and is not ready. A disk that fails stops the node; a temporary file that cannot be written is a warning, and
//! the step is made again. A panic is the death guard's.

use super::check::{Fault, Meaning, check_block};
use super::messages::{Reconciled, VerifyRange, VerifyRefused, VerifyState};
use super::range::{RangeCheck, RangeProgress, difference};
use super::state::{Effect, Outcome, State, Step};
use crate::callboard::Callboard;
use crate::guard::Stop;
use crate::monitor::Metrics;
use crate::send::{OnTimer, Timed, Timers};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use callboard_chain::ChainConfig;
use callboard_store::{AddressRows, HistoryError, NodeStore, RootComputation, Store};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Keys hashed in one step: some tens of milliseconds.
const PART: usize = 2_000;
/// The name of the bookmark in `node.redb`.
const BOOKMARK: &str = "reconciler";
/// A check of a range about which nobody has asked for this long is given up.
const ASKED_WITHIN: Duration = Duration::from_secs(60);
/// How often a check of everything that is kept begins again, further up, because the state it began with was forgotten:
/// each time it begins half way to the head.
const BEGIN_LATER: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    Wake,
    LookAfterVerification,
}

/// Where the reconciler publishes.
pub struct Ports {
    /// The newest result.
    pub published: watch::Sender<Option<Reconciled>>,
}

/// What it works on.
pub struct Setup {
    /// Time between the beginnings of two rounds; zero switches the background check off.
    pub every: Duration,
    /// The chain.
    pub store: Store,
    /// Its rules.
    pub config: Arc<ChainConfig>,
    /// Keeps the bookmark.
    pub node_store: NodeStore,
    /// For temporary files.
    pub folder: PathBuf,
    /// Says the phase.
    pub callboard: Callboard,
    /// Its figures.
    pub metrics: ReconcilerMetrics,
}

/// Figures of the background check.
#[derive(Debug, Clone, Default)]
pub struct ReconcilerMetrics {
    height: Gauge,
    blocks: Counter,
    faults: Counter,
}

impl ReconcilerMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let figures = Self::default();
        metrics.register(|registry| {
            let help = "Height whose state was last found right by the background check";
            registry.register("callboard_reconciled_height", help, figures.height.clone());
            let help = "Old blocks that the background check has executed again";
            registry.register("callboard_reconciled_blocks", help, figures.blocks.clone());
            let help = "Faults that the background check has found in the stored chain";
            registry.register("callboard_reconcile_faults", help, figures.faults.clone());
        });
        figures
    }

    /// Blocks executed again.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> u64 {
        self.blocks.get()
    }
}

/// The actor.
pub struct Reconciler {
    ports: Ports,
    setup: Setup,
    state: State,
    root: Option<RootComputation>,
    rows: Option<AddressRows>,
    verification: Option<Verification>,
    started: Instant,
    timers: Timers<Timer>,
}

impl Reconciler {
    /// Ready to run; goes on at its bookmark.
    pub fn new(ports: Ports, setup: Setup) -> Self {
        let bookmark = setup.node_store.bookmark(BOOKMARK).unwrap_or_else(|error| {
            tracing::warn!(%error, "the reconciler's bookmark cannot be read; it begins at block 1");
            None
        });
        let state = State::new(setup.every, bookmark.unwrap_or(1));
        let (root, rows, verification) = (None, None, None);
        Self { ports, setup, state, root, rows, verification, started: Instant::now(), timers: Timers::default() }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        let head = match self.setup.store.snapshot() {
            Ok(snapshot) => snapshot.head().height,
            Err(error) => panic!("the reconciler cannot read the database: {error}"),
        };
        let effect = self.state.on_wake(self.now(), self.setup.callboard.phase(), head);
        self.apply(effect, ctx);
    }

    fn apply(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Run(step) => self.run(step, ctx),
            Effect::Wake(after) => self.timers.set(ctx, Timer::Wake, after),
            Effect::Save { next } => self.save(next),
            Effect::Publish(result) => self.publish(result),
            Effect::Warn { reason } => {
                tracing::warn!(reason, "the stored chain could not be checked; this is tried again")
            }
        }
    }

    /// Does the step on a blocking thread.
    fn run(&mut self, step: Step, ctx: &mut Context<Self>) {
        let (store, config, folder) = (self.setup.store.clone(), self.setup.config.clone(), self.setup.folder.clone());
        let kept = Kept { root: self.root.take(), rows: self.rows.take() };
        let begun = Instant::now();
        let work = tokio::task::spawn_blocking(move || make(step, kept, &store, &config, &folder));
        ctx.spawn(work.into_actor(self).map(move |done, actor, ctx| match done {
            Ok((kept, outcome)) => actor.on_done(step, kept, outcome, begun.elapsed(), ctx),
            Err(error) => panic!("a step of the reconciler ended abnormally: {error}"),
        }));
    }

    fn on_done(&mut self, step: Step, kept: Kept, outcome: Outcome, took: Duration, ctx: &mut Context<Self>) {
        (self.root, self.rows) = (kept.root, kept.rows);
        if let (Step::Block { .. }, Outcome::BlockIsRight) = (step, &outcome) {
            self.setup.metrics.blocks.inc();
        }
        for effect in self.state.on_done(self.now(), wall_seconds(), took, outcome) {
            self.apply(effect, ctx);
        }
    }

    fn save(&self, next: u64) {
        if let Err(error) = self.setup.node_store.put_bookmark(BOOKMARK, next) {
            tracing::warn!(%error, "the reconciler's bookmark cannot be written");
        }
    }

    fn publish(&self, result: Reconciled) {
        match &result.fault {
            None => {
                self.setup.metrics.height.set(i64::try_from(result.height).unwrap_or(i64::MAX));
                tracing::info!(height = result.height, "the stored state is what the sealed header says");
            }
            Some(fault) => {
                self.setup.metrics.faults.inc();
                tracing::error!(
                    height = result.height,
                    fault,
                    "the stored chain is damaged; stop this node and run `callboard chain reconcile --full`"
                );
            }
        }
        self.ports.published.send_replace(Some(result));
    }

    fn verify(&mut self, asked: VerifyRange) -> Result<VerifyState, VerifyRefused> {
        match &mut self.verification {
            Some(running) if running.asked == asked => running.asked_at = Instant::now(),
            Some(running) => return Err(running.busy()),
            None => {
                let Setup { store, config, folder, .. } = &self.setup;
                let check = RangeCheck::new(store.clone(), config.clone(), folder, asked.from, asked.to);
                let check = check.map_err(|fault| VerifyRefused::Range(fault.to_string()))?;
                self.verification = Some(Verification::start(asked, check)?);
            }
        }
        let state = self.verification.as_ref().map(|running| running.shared.state.lock().clone());
        if let Some(VerifyState::Done { .. } | VerifyState::NotDone { .. }) = state {
            self.verification = None;
        }
        state.ok_or_else(|| VerifyRefused::Range("the check has ended".to_owned()))
    }
}

/// What one step leaves for the next.
struct Kept {
    root: Option<RootComputation>,
    rows: Option<AddressRows>,
}

/// Makes a step: what there is to go on with, and the outcome.
fn make(step: Step, mut kept: Kept, store: &Store, config: &ChainConfig, folder: &Path) -> (Kept, Outcome) {
    let outcome = match step {
        Step::BeginRoot { height } => {
            kept = Kept { root: Some(RootComputation::new(height, folder)), rows: None };
            hash(store, &mut kept.root)
        }
        Step::Root => hash(store, &mut kept.root),
        Step::Rows { from, to } => {
            let rows = kept.rows.take().filter(|rows| rows.heights() == (from..=to));
            let rows = kept.rows.insert(rows.unwrap_or_else(|| AddressRows::of(from..=to)));
            count(store, from, rows)
        }
        Step::Block { height } => execute(store, config, height, kept.rows.as_mut()),
    };
    (kept, outcome)
}

/// Hashes on, and leaves nothing to go on with at the end.
fn hash(store: &Store, root: &mut Option<RootComputation>) -> Outcome {
    let Some(computation) = root.take() else { return Outcome::RootGoesOn };
    let height = computation.height();
    match advance(store, computation) {
        Ok(Some(computation)) => {
            *root = Some(computation);
            Outcome::RootGoesOn
        }
        Ok(None) => Outcome::RootIsRight,
        Err(fault) => outcome(store, height, &fault),
    }
}

/// What there is to go on with; nothing where the root is right.
fn advance(store: &Store, mut root: RootComputation) -> Result<Option<RootComputation>, Fault> {
    let height = root.height();
    let failed = |source| Fault::Root { height, source };
    if !root.advance(store.snapshot()?, PART).map_err(failed)? {
        return Ok(Some(root));
    }
    let expected = store.snapshot()?.header(height)?.ok_or(Fault::Missing { height })?.state_root;
    let actual = root.root().map_err(failed)?;
    if actual == expected {
        return Ok(None);
    }
    Err(Fault::StateRoot { height, expected, actual, difference: difference(store) })
}

fn count(store: &Store, from: u64, rows: &mut AddressRows) -> Outcome {
    let stray = store.snapshot().and_then(|snapshot| rows.count(&snapshot, PART)).map_err(Fault::from);
    match stray {
        Ok(Some(stray)) => outcome(store, stray.location.height, &stray.into()),
        Ok(None) if rows.is_counted() => Outcome::RowsAreCounted,
        Ok(None) => Outcome::RowsGoOn,
        Err(fault) => outcome(store, from, &fault),
    }
}

fn execute(store: &Store, config: &ChainConfig, height: u64, rows: Option<&mut AddressRows>) -> Outcome {
    let check = || -> Result<(), Fault> {
        let snapshot = store.snapshot()?;
        let checked = check_block(&snapshot, config, height)?;
        let stray = rows.map(|rows| rows.on_block(&snapshot, height, checked.address_rows)).transpose()?.flatten();
        stray.map_or(Ok(()), |stray| Err(stray.into()))
    };
    match check() {
        Ok(()) => Outcome::BlockIsRight,
        Err(fault) => outcome(store, height, &fault),
    }
}

fn outcome(store: &Store, height: u64, fault: &Fault) -> Outcome {
    match fault.means() {
        Meaning::Forgotten => {
            let oldest = match fault {
                Fault::History(HistoryError::Pruned { oldest, .. }) => *oldest,
                _ => store.snapshot().map_or(height, |snapshot| snapshot.pruned_below()),
            };
            Outcome::Pruned { oldest }
        }
        Meaning::NoTemporaryFile => Outcome::NotDone { reason: fault.to_string() },
        // Nothing that this node said after this could be relied on.
        Meaning::DiskFailure => panic!("the reconciler cannot read the database: {fault}"),
        Meaning::Damage => Outcome::Wrong { height, fault: fault.to_string() },
    }
}

/// A check of a range that runs on a thread of its own.
pub(super) struct Verification {
    asked: VerifyRange,
    asked_at: Instant,
    pub(super) shared: Arc<SharedVerification>,
}

pub(super) struct SharedVerification {
    pub(super) state: Mutex<VerifyState>,
    given_up: AtomicBool,
}

impl Verification {
    pub(super) fn start(asked: VerifyRange, check: RangeCheck) -> Result<Self, VerifyRefused> {
        Self::spawn(asked, (check.from(), check.to()), move |shared| shared.run(asked, check))
    }

    pub(super) fn spawn(
        asked: VerifyRange,
        (from, to): (u64, u64),
        work: impl FnOnce(&SharedVerification) + Send + 'static,
    ) -> Result<Self, VerifyRefused> {
        let state = Mutex::new(VerifyState::Running { from, to, at: from });
        let shared = Arc::new(SharedVerification { state, given_up: AtomicBool::new(false) });
        let ends = Ends(shared.clone());
        let thread = std::thread::Builder::new().name("verify-range".to_owned());
        let thread = thread.spawn(move || work(&ends.0));
        thread.map_err(|error| VerifyRefused::Range(format!("no thread could be started: {error}")))?;
        Ok(Self { asked, asked_at: Instant::now(), shared })
    }

    fn busy(&self) -> VerifyRefused {
        let (from, to) = self.shared.state.lock().range();
        VerifyRefused::Busy { from, to }
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        self.shared.given_up.store(true, Ordering::Relaxed);
    }
}

/// However the thread ends, nobody waits for it any longer.
struct Ends(Arc<SharedVerification>);

impl Drop for Ends {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let VerifyState::Running { from, to, .. } = *state {
            let reason = "the check ended abnormally; the log says why".to_owned();
            *state = VerifyState::NotDone { from, to, reason };
        }
    }
}

impl SharedVerification {
    fn run(&self, asked: VerifyRange, mut check: RangeCheck) {
        let mut later = 0;
        while !self.given_up.load(Ordering::Relaxed) {
            let (from, to) = (check.from(), check.to());
            let state = match check.step() {
                Ok(RangeProgress::State { height: at } | RangeProgress::Block { height: at }) => {
                    VerifyState::Running { from, to, at }
                }
                Ok(RangeProgress::Done) => VerifyState::Done { from, to, fault: None },
                // The node has gone on meanwhile, and nobody asked for that state in particular.
                Err(fault) if fault.is_history() && asked.from.is_none() && later < BEGIN_LATER => {
                    later += 1;
                    match check.begin_later() {
                        Ok(next) => {
                            check = next;
                            continue;
                        }
                        Err(fault) => ended(from, to, &fault),
                    }
                }
                Err(fault) => ended(from, to, &fault),
            };
            let done = !matches!(state, VerifyState::Running { .. });
            *self.state.lock() = state;
            if done {
                break;
            }
        }
    }
}

/// What a fault means for a check.
fn ended(from: u64, to: u64, fault: &Fault) -> VerifyState {
    let reason = match fault.means() {
        Meaning::Damage => return VerifyState::Done { from, to, fault: Some(fault.to_string()) },
        Meaning::Forgotten => format!(
            "{fault}; nothing was found damaged, the node has forgotten what the check began with: ask for blocks from a \
             later one on, or let it keep more (history_blocks)"
        ),
        Meaning::NoTemporaryFile => format!("{fault}; make room in data_dir and ask again"),
        Meaning::DiskFailure => format!("{fault}; look at the disk"),
    };
    VerifyState::NotDone { from, to, reason }
}

fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Actor for Reconciler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if !self.setup.every.is_zero() {
            self.wake(ctx);
        }
    }
}

impl OnTimer<Timer> for Reconciler {
    fn timers(&mut self) -> &mut Timers<Timer> {
        &mut self.timers
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match timer {
            Timer::Wake => self.wake(ctx),
            Timer::LookAfterVerification => {
                self.verification.take_if(|running| running.asked_at.elapsed() > ASKED_WITHIN);
                if self.verification.is_some() {
                    self.timers.set(ctx, timer, ASKED_WITHIN);
                }
            }
        }
    }
}

impl Handler<Timed<VerifyRange>> for Reconciler {
    type Result = ();

    fn handle(&mut self, message: Timed<VerifyRange>, ctx: &mut Context<Self>) {
        self.timers.set(ctx, Timer::LookAfterVerification, ASKED_WITHIN);
        message.answer(ctx, |asked, _| self.verify(asked));
    }
}

impl Handler<Timed<Stop>> for Reconciler {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| {
            self.verification = None;
            ctx.stop();
        });
    }
}
