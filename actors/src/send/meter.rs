//! What is measured about an actor and each message it takes.

use super::histogram::{Histogram, HistogramSnapshot};
use crate::guard::{ActorDied, Cause};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Where an actor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorState {
    /// The mailbox is open, the actor not yet running.
    Starting,
    /// Handles messages.
    Running,
    /// Told to stop.
    Stopping,
    /// Ended because it was told to.
    Stopped,
    /// Ended on its own: the node stops.
    Dead,
}

/// The figures of one actor. Made by [`super::ActorRegistry::actor`], shared by its mailbox and all its inboxes.
#[derive(Debug)]
pub struct ActorMeter {
    name: &'static str,
    capacity: usize,
    /// Whether time is measured; counts and depth always are.
    is_timed: bool,
    depth: AtomicUsize,
    busy_nanos: AtomicU64,
    since_yield: AtomicU32,
    overrun: AtomicBool,
    state: watch::Sender<ActorState>,
    messages: RwLock<Vec<Arc<MessageMeter>>>,
    deaths: mpsc::Sender<ActorDied>,
    window: Mutex<Window>,
}

/// The figures of one message type at one actor.
#[derive(Debug)]
pub struct MessageMeter {
    name: &'static str,
    actor: Arc<ActorMeter>,
    depth: AtomicUsize,
    handled: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
    wait: Histogram,
    handle: Histogram,
}

impl ActorMeter {
    pub(super) fn new(name: &'static str, capacity: usize, is_timed: bool, deaths: mpsc::Sender<ActorDied>) -> Self {
        Self {
            name,
            capacity,
            is_timed,
            depth: AtomicUsize::new(0),
            busy_nanos: AtomicU64::new(0),
            since_yield: AtomicU32::new(0),
            overrun: AtomicBool::new(false),
            state: watch::Sender::new(ActorState::Starting),
            messages: RwLock::default(),
            deaths,
            window: Mutex::new(Window::starting(Instant::now())),
        }
    }

    /// The actor's name, as users see it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many messages may wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many messages wait or are being answered.
    pub fn depth(&self) -> usize {
        self.depth.load(Relaxed)
    }

    /// Where the actor is in its life.
    pub fn state(&self) -> ActorState {
        *self.state.borrow()
    }

    /// The figures of the message type with this name; made when first asked for.
    pub(super) fn message(self: &Arc<Self>, name: &'static str) -> Arc<MessageMeter> {
        let mut messages = self.messages.write();
        if let Some(known) = messages.iter().find(|message| message.name == name) {
            return known.clone();
        }
        let message = Arc::new(MessageMeter::new(name, self.clone()));
        messages.push(message.clone());
        message
    }

    /// The message types that have an inbox, in the order in which the inboxes were made.
    pub fn messages(&self) -> Vec<Arc<MessageMeter>> {
        self.messages.read().clone()
    }

    /// Now, where time is measured.
    pub(super) fn clock(&self) -> Option<Instant> {
        self.is_timed.then(Instant::now)
    }

    pub(super) fn add_busy(&self, time: Duration) {
        self.busy_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts a message towards the next yield. Only the actor's own thread calls it.
    pub(super) fn is_yield_due(&self) -> bool {
        let due = self.since_yield.fetch_add(1, Relaxed) + 1 >= super::YIELD_EVERY;
        if due {
            self.since_yield.store(0, Relaxed);
        }
        due
    }

    pub(super) fn running(&self) {
        self.state.send_replace(ActorState::Running);
    }

    /// From now on the actor may end without being reported as dead.
    pub(crate) fn stopping(&self) {
        self.state.send_if_modified(|state| {
            let live = matches!(state, ActorState::Starting | ActorState::Running);
            if live {
                *state = ActorState::Stopping;
            }
            live
        });
    }

    /// The actor has ended. Reports a death unless it was told to stop and did so without a panic.
    pub(super) fn ended(&self, panic: Option<String>) {
        let told = self.state() == ActorState::Stopping;
        let next = if told && panic.is_none() { ActorState::Stopped } else { ActorState::Dead };
        self.state.send_replace(next);
        if next == ActorState::Dead {
            self.report(panic.map_or(Cause::Ended, |message| Cause::Panicked { message }));
        }
    }

    /// Waits until the actor has ended, however it ended.
    pub async fn wait_ended(&self) {
        let mut state = self.state.subscribe();
        // The sender is part of `self`, so the wait cannot fail while `self` is borrowed.
        state.wait_for(|state| matches!(state, ActorState::Stopped | ActorState::Dead)).await.ok();
    }

    /// A signal went to an actor that has ended, or that is hopelessly behind.
    pub(super) fn signal_lost(&self, message: &'static str, cause: Cause) {
        if matches!(self.state(), ActorState::Stopping | ActorState::Stopped) {
            return;
        }
        if !self.overrun.swap(true, Relaxed) {
            tracing::error!(actor = self.name, message, %cause, "signal lost");
            self.report(cause);
        }
    }

    fn report(&self, cause: Cause) {
        // The guard's channel has room for every actor; if it is full or gone, the node is stopping already.
        self.deaths.try_send(ActorDied { actor: self.name, cause }).ok();
    }

    /// Starts a new measuring window; the figures then cover the last full window and the one begun.
    pub(super) fn roll(&self, now: Instant) {
        let totals = self.totals();
        self.window.lock().roll(now, totals);
    }

    fn totals(&self) -> Totals {
        let messages = self.messages();
        let messages = messages.iter().map(|message| message.totals()).collect();
        Totals { busy: Duration::from_nanos(self.busy_nanos.load(Relaxed)), messages }
    }

    /// The figures as `callboard_actors` shows them. Counts are since the start; rates and quantiles over the last
    /// one to two measuring windows (quantiles since the start where nothing was handled in that time).
    pub fn figures(&self, now: Instant) -> ActorFigures {
        let totals = self.totals();
        let (seconds, before) = self.window.lock().oldest(now);
        let messages: Vec<_> = self
            .messages()
            .iter()
            .zip(&totals.messages)
            .enumerate()
            .map(|(at, (meter, total))| meter.figures(total, before.messages.get(at), seconds))
            .collect();
        let sum = totals.sum();
        let recent = sum.since(&before.sum());
        let shown = if recent.wait.count() > 0 { &recent } else { &sum };
        ActorFigures {
            actor: self.name,
            state: self.state(),
            mailbox_depth: self.depth(),
            mailbox_capacity: self.capacity,
            handled: sum.handled,
            refused: sum.refused,
            per_second: rate(recent.handled as f64, seconds),
            wait_p50_us: shown.wait.quantile_micros(0.5),
            wait_p99_us: shown.wait.quantile_micros(0.99),
            handle_p50_us: shown.handle.quantile_micros(0.5),
            handle_p99_us: shown.handle.quantile_micros(0.99),
            busy: rate(totals.busy.saturating_sub(before.busy).as_secs_f64(), seconds).min(1.0),
            messages,
        }
    }
}

/// How far an actor has come, and how long its recent messages waited: what tells a slow one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorPace {
    /// Messages taken up, and messages answered, together.
    pub progress: u64,
    /// 99th percentile of the time in the mailbox over the last one to two measuring windows; 0 where none came.
    pub wait_p99: Duration,
}

impl ActorMeter {
    /// How the actor gets on.
    pub fn pace(&self, now: Instant) -> ActorPace {
        let sum = self.totals().sum();
        let (_, before) = self.window.lock().oldest(now);
        let recent = sum.since(&before.sum());
        ActorPace {
            progress: sum.wait.count().saturating_add(sum.handled),
            wait_p99: Duration::from_micros(recent.wait.quantile_micros(0.99)),
        }
    }
}

impl MessageMeter {
    fn new(name: &'static str, actor: Arc<ActorMeter>) -> Self {
        Self {
            name,
            actor,
            depth: AtomicUsize::new(0),
            handled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            wait: Histogram::default(),
            handle: Histogram::default(),
        }
    }

    /// The message type's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The actor that takes it.
    pub fn actor(&self) -> &Arc<ActorMeter> {
        &self.actor
    }

    /// Messages handled.
    pub fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// Messages refused because the mailbox was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Questions whose asker gave up waiting.
    pub fn timed_out(&self) -> u64 {
        self.timed_out.load(Relaxed)
    }

    /// Time in the mailbox.
    pub fn wait(&self) -> HistogramSnapshot {
        self.wait.snapshot()
    }

    /// Time from the start of handling to the answer.
    pub fn handle(&self) -> HistogramSnapshot {
        self.handle.snapshot()
    }

    pub(super) fn enter(&self, bound: usize) -> bool {
        let entered = self.actor.depth.fetch_update(Relaxed, Relaxed, |depth| (depth < bound).then_some(depth + 1));
        if entered.is_ok() {
            self.depth.fetch_add(1, Relaxed);
        } else {
            self.refused.fetch_add(1, Relaxed);
        }
        entered.is_ok()
    }

    pub(super) fn leave(&self) {
        self.depth.fetch_sub(1, Relaxed);
        self.actor.depth.fetch_sub(1, Relaxed);
    }

    pub(super) fn waited(&self, since: Option<Instant>) {
        if let Some(since) = since {
            self.wait.observe(since.elapsed());
        }
    }

    pub(super) fn finished(&self, since: Option<Instant>) {
        if let Some(since) = since {
            self.handle.observe(since.elapsed());
        }
        self.handled.fetch_add(1, Relaxed);
    }

    pub(super) fn timed_out_once(&self) {
        self.timed_out.fetch_add(1, Relaxed);
    }

    fn totals(&self) -> MessageTotals {
        MessageTotals {
            handled: self.handled(),
            refused: self.refused(),
            wait: self.wait.snapshot(),
            handle: self.handle.snapshot(),
        }
    }

    fn figures(&self, total: &MessageTotals, before: Option<&MessageTotals>, seconds: f64) -> MessageFigures {
        let recent = before.map_or_else(|| total.clone(), |before| total.since(before));
        let shown = if recent.wait.count() > 0 { &recent } else { total };
        MessageFigures {
            message: self.name,
            depth: self.depth.load(Relaxed),
            handled: total.handled,
            refused: total.refused,
            timed_out: self.timed_out(),
            per_second: rate(recent.handled as f64, seconds),
            wait_p50_us: shown.wait.quantile_micros(0.5),
            wait_p99_us: shown.wait.quantile_micros(0.99),
            handle_p50_us: shown.handle.quantile_micros(0.5),
            handle_p99_us: shown.handle.quantile_micros(0.99),
        }
    }
}

/// One entry of `callboard_actors`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActorFigures {
    /// Name.
    pub actor: &'static str,
    /// Where it is in its life.
    pub state: ActorState,
    /// Messages waiting or being answered.
    pub mailbox_depth: usize,
    /// How many may wait.
    pub mailbox_capacity: usize,
    /// Messages handled since the start.
    pub handled: u64,
    /// Messages refused because the mailbox was full, since the start.
    pub refused: u64,
    /// Messages handled a second, recently.
    pub per_second: f64,
    /// Median time in the mailbox, µs.
    pub wait_p50_us: u64,
    /// 99th percentile of the time in the mailbox, µs.
    pub wait_p99_us: u64,
    /// Median time from the start of handling to the answer, µs.
    pub handle_p50_us: u64,
    /// 99th percentile of the time from the start of handling to the answer, µs.
    pub handle_p99_us: u64,
    /// Share of the recent time spent in handlers, 0 to 1.
    pub busy: f64,
    /// The same for each message type.
    pub messages: Vec<MessageFigures>,
}

/// The figures of one message type within [`ActorFigures`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageFigures {
    /// The message type.
    pub message: &'static str,
    /// Waiting or being answered.
    pub depth: usize,
    /// Handled since the start.
    pub handled: u64,
    /// Refused because the mailbox was full, since the start.
    pub refused: u64,
    /// Questions whose asker gave up, since the start.
    pub timed_out: u64,
    /// Handled a second, recently.
    pub per_second: f64,
    /// Median time in the mailbox, µs.
    pub wait_p50_us: u64,
    /// 99th percentile of the time in the mailbox, µs.
    pub wait_p99_us: u64,
    /// Median handling time, µs.
    pub handle_p50_us: u64,
    /// 99th percentile of the handling time, µs.
    pub handle_p99_us: u64,
}

#[derive(Debug, Clone, Default)]
struct Totals {
    busy: Duration,
    messages: Vec<MessageTotals>,
}

impl Totals {
    fn sum(&self) -> MessageTotals {
        self.messages.iter().fold(MessageTotals::default(), |mut sum, message| {
            sum.add(message);
            sum
        })
    }
}

#[derive(Debug, Clone, Default)]
struct MessageTotals {
    handled: u64,
    refused: u64,
    wait: HistogramSnapshot,
    handle: HistogramSnapshot,
}

impl MessageTotals {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            handled: self.handled.saturating_sub(earlier.handled),
            refused: self.refused.saturating_sub(earlier.refused),
            wait: self.wait.since(&earlier.wait),
            handle: self.handle.since(&earlier.handle),
        }
    }

    fn add(&mut self, other: &Self) {
        self.handled += other.handled;
        self.refused += other.refused;
        self.wait.add(&other.wait);
        self.handle.add(&other.handle);
    }
}

/// The totals at the start of this measuring window and of the one before.
#[derive(Debug)]
struct Window {
    before: (Instant, Totals),
    current: (Instant, Totals),
}

impl Window {
    fn starting(now: Instant) -> Self {
        Self { before: (now, Totals::default()), current: (now, Totals::default()) }
    }

    fn roll(&mut self, now: Instant, totals: Totals) {
        self.before = std::mem::replace(&mut self.current, (now, totals));
    }

    fn oldest(&self, now: Instant) -> (f64, Totals) {
        (now.saturating_duration_since(self.before.0).as_secs_f64(), self.before.1.clone())
    }
}

fn rate(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}
