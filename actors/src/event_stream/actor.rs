//! *Role*: tells subscribers of blocks, pending transactions, the sync status and deliveries. *Owns*: the subscribers.
//! *Receives*: `BlocksStored`, `TransactionPending`, `SubscribeToEvents`, `Stop`. *Sends*: nothing; subscribers read
//! their own bounded queues. *When behind*: drops a slow subscriber, with the reason. *On failure*: the death guard
//! stops the node.

use super::changes::Changes;
use super::event::{Event, Topic};
use super::messages::{BlocksStored, SubscribeToEvents, TransactionPending};
use super::metrics::EventMetrics;
use super::queue::Bounds;
use super::state::State;
use super::{SUBSCRIBER_BYTES, SUBSCRIBER_EVENTS};
use crate::callboard::Callboard;
use crate::guard::Stop;
use crate::send::{OnTimer, Timed, Timers};
use crate::sync_coordinator::SyncReport;
use actix::{Actor, ActorContext, Context, Handler};
use std::time::Duration;

/// How often the sync status and the deliveries are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the stream looks at by itself.
pub struct Sources {
    /// What `callboard_syncStatus` says now.
    pub sync: Box<dyn Fn() -> SyncReport + Send>,
    /// The routing table.
    pub callboard: Callboard,
}

/// The timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look;

/// The actor.
pub struct EventStream {
    state: State<Event>,
    changes: Changes,
    sources: Sources,
    metrics: EventMetrics,
    timers: Timers<Look>,
}

impl EventStream {
    /// A stream without subscribers.
    pub fn new(sources: Sources, metrics: EventMetrics) -> Self {
        let bounds = Bounds { events: SUBSCRIBER_EVENTS, bytes: SUBSCRIBER_BYTES };
        Self { state: State::new(bounds), changes: Changes::default(), sources, metrics, timers: Timers::default() }
    }

    fn publish(&mut self, event: &Event) {
        self.metrics.event(event.topic());
        let dropped = self.state.on_event(event.topic(), event.bytes(), event);
        dropped.iter().for_each(|why| self.metrics.dropped(*why));
        if let Some(why) = dropped.first() {
            tracing::warn!(dropped = dropped.len(), left = self.state.subscribers(), "subscribers dropped: {why}");
        }
        self.metrics.subscribers(self.state.subscribers());
    }

    fn on_blocks(&mut self, stored: &BlocksStored) {
        if self.state.is_wanted(Topic::Blocks) {
            self.publish(&Event::blocks(&stored.blocks));
        }
    }

    fn on_pending(&mut self, pending: TransactionPending) {
        if self.state.is_wanted(Topic::Pending) {
            self.publish(&Event::pending(pending.transaction));
        }
    }

    fn look(&mut self) {
        if let Some(report) = self.changes.on_report((self.sources.sync)()) {
            self.publish(&Event::sync(report));
        }
        let counts = self.changes.on_counts(self.sources.callboard.counts());
        if !counts.is_empty() {
            self.publish(&Event::routes(counts));
        }
        self.metrics.subscribers(self.state.on_tick());
    }
}

impl Actor for EventStream {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.timers.set(ctx, Look, LOOK_EVERY);
    }
}

impl OnTimer<Look> for EventStream {
    fn timers(&mut self) -> &mut Timers<Look> {
        &mut self.timers
    }

    fn on_timer(&mut self, key: Look, ctx: &mut Self::Context) {
        self.look();
        self.timers.set(ctx, key, LOOK_EVERY);
    }
}

impl Handler<Timed<BlocksStored>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<BlocksStored>, ctx: &mut Self::Context) {
        timed.answer(ctx, |stored, _| self.on_blocks(&stored));
    }
}

impl Handler<Timed<TransactionPending>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<TransactionPending>, ctx: &mut Self::Context) {
        timed.answer(ctx, |pending, _| self.on_pending(pending));
    }
}

impl Handler<Timed<SubscribeToEvents>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<SubscribeToEvents>, ctx: &mut Self::Context) {
        timed.answer(ctx, |subscribe, _| {
            let subscription = self.state.on_subscribe(subscribe.topics);
            self.metrics.subscribers(self.state.subscribers());
            subscription
        });
    }
}

impl Handler<Timed<Stop>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| ctx.stop());
    }
}
