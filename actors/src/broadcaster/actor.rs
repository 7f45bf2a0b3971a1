//! The broadcaster's shell.
//!
//! *Role*: brings durable blocks to those who follow, and transactions to connected peers.
//! *Owns*: a bounded queue for each follow stream and each connected peer.
//! *Receives*: `BroadcastBlock`, `RelayBlock`, `TransactionAccepted`, `Subscribe`,
//! `PeerConnected`, `PeerLost`, `BroadcastCountsRequest`, `Stop`.
//! *Sends*: `TransactionForwarded` to the pool, `SessionBroken` to PeerDiscovery.
//! *When behind*: a stream that falls behind goes on from the store; a peer's full queue misses transactions, counted.
//! *On failure*: nothing is lost but time; blocks are in the store and transactions in the pool.

use super::messages::*;
use super::metrics::BroadcastMetrics;
use super::queue::{Announcements, NotQueued, Queue, queue};
use super::state::{Effect, NotDelivered, State};
use crate::callboard::{Callboard, Delivery, Kind};
use crate::guard::Stop;
use crate::peer_discovery::{PeerConnected, PeerLost, SessionBroken};
use crate::send::{Inbox, OnTimer, Timed, Timers};
use crate::transport::{FREE_BYTES, NodeId, StreamBudget, client::Session};
use crate::tx_pool::TransactionAccepted;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use alloy_eips::eip2718::Encodable2718;
use bytes::Bytes;
use callboard_chain::Block;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often what waits for time is looked at: the shortest pause.
const TICK: Duration = Duration::from_millis(500);

/// Where its messages go.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The pool.
    pub forwarded: Inbox<TransactionForwarded>,
    /// PeerDiscovery.
    pub broken: Inbox<SessionBroken>,
}

/// Brings blocks and transactions to other nodes.
#[derive(Debug)]
pub struct Broadcaster {
    ports: Ports,
    callboard: Callboard,
    state: State,
    metrics: BroadcastMetrics,
    streams: StreamBudget,
    subscribers: HashMap<u64, Queue>,
    sessions: HashMap<NodeId, Session>,
    timers: Timers<Tick>,
}

/// The one timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tick;

impl Broadcaster {
    /// A broadcaster without subscribers and peers; what waits for streams is counted in `streams`.
    pub fn new(ports: Ports, callboard: Callboard, metrics: BroadcastMetrics, streams: StreamBudget) -> Self {
        Self {
            ports,
            callboard,
            state: State::default(),
            metrics,
            streams,
            subscribers: HashMap::new(),
            sessions: HashMap::new(),
            timers: Timers::default(),
        }
    }

    fn apply(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Announce { subscriber, announcement } => self.announce(subscriber, announcement),
                Effect::Deliver { peer, session, batch } => self.deliver(peer, session, batch, ctx),
                Effect::Report { hash, outcome } => self.report(TransactionForwarded { hash, outcome }),
                Effect::SessionBroken { peer, reason } => self.report_broken(peer, reason),
            }
        }
    }

    /// All queues hold the same bytes, which are counted once. A long block comes from the store, in parts.
    fn on_block(&mut self, block: &Block, from: Option<NodeId>, what: &str, ctx: &mut Context<Self>) {
        let bytes = &block.bytes().0;
        let canonical = if bytes.len() > FREE_BYTES { None } else { self.streams.share(bytes) };
        let effects = self.state.on_block(block.height(), canonical.as_ref(), from);
        tracing::debug!(actor = "Broadcaster", streams = effects.len(), "{what}");
        self.apply(effects, ctx);
    }

    fn announce(&mut self, subscriber: u64, announcement: Announcement) {
        let Some(queue) = self.subscribers.get(&subscriber) else { return };
        let Err(reason) = queue.push(announcement) else { return };
        // Dropping the sender ends the queue behind what it holds; the stream then reads the store and comes back.
        self.subscribers.remove(&subscriber);
        self.state.on_unsubscribed(subscriber, reason == NotQueued::Full);
    }

    fn deliver(&mut self, peer: NodeId, number: u64, batch: Vec<OutgoingTransaction>, ctx: &mut Context<Self>) {
        let Some(session) = self.sessions.get(&peer).cloned() else { return };
        let delivery = async move {
            let transactions: Vec<Bytes> = batch.into_iter().map(|transaction| transaction.bytes).collect();
            session.submit(&transactions).await.map_err(|error| NotDelivered {
                session_gone: error.refusal_code() == Some("no_session"),
                reason: error.to_string(),
            })
        };
        ctx.spawn(delivery.into_actor(self).map(move |result, actor, ctx| {
            let effects = actor.state.on_delivered(Instant::now(), peer, number, result);
            actor.apply(effects, ctx);
        }));
    }

    /// Carries out, and counts, what the routing table says of a transaction that the pool took.
    fn on_accepted(&mut self, accepted: &TransactionAccepted, ctx: &mut Context<Self>) {
        let pooled = &accepted.transaction.transaction;
        let transactions = vec![OutgoingTransaction { hash: *pooled.tx_hash(), bytes: pooled.encoded_2718().into() }];
        for delivery in &accepted.deliveries {
            let effects = match delivery {
                Delivery::RelayTransaction => self.state.on_relay(Instant::now(), &transactions, accepted.peer),
                Delivery::ForwardTransaction => {
                    if let Some(to) = self.state.forward_targets(accepted.peer) {
                        let hash = *pooled.tx_hash();
                        self.report(TransactionForwarded { hash, outcome: ForwardOutcome::Sent { to } });
                    }
                    self.state.on_forward(Instant::now(), transactions.clone(), accepted.peer)
                }
                _ => continue,
            };
            self.callboard.count(accepted.origin, Kind::Transaction, *delivery);
            self.apply(effects, ctx);
        }
    }

    fn report(&mut self, forwarded: TransactionForwarded) {
        // A pool that is behind does not hear of it, forwards the transaction again, and is told again.
        self.ports.forwarded.offer(forwarded).ok();
    }

    fn report_broken(&mut self, node_id: NodeId, reason: String) {
        self.ports.broken.signal(SessionBroken { node_id, reason });
    }

    fn subscribe(&mut self, peer: NodeId) -> Announcements {
        self.forget_closed();
        let (queue, announcements) = queue();
        self.subscribers.insert(self.state.on_subscribe(peer), queue);
        announcements
    }

    fn forget_closed(&mut self) {
        let closed: Vec<u64> =
            self.subscribers.iter().filter(|(_, queue)| queue.is_closed()).map(|(number, _)| *number).collect();
        for subscriber in closed {
            self.subscribers.remove(&subscriber);
            self.state.on_unsubscribed(subscriber, false);
        }
    }
}

impl Actor for Broadcaster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.timers.set(ctx, Tick, TICK);
    }
}

impl OnTimer<Tick> for Broadcaster {
    fn timers(&mut self) -> &mut Timers<Tick> {
        &mut self.timers
    }

    fn on_timer(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.forget_closed();
        let effects = self.state.on_tick(Instant::now());
        self.apply(effects, ctx);
        self.metrics.set(&self.state.counts());
        self.timers.set(ctx, Tick, TICK);
    }
}

impl Handler<Timed<BroadcastBlock>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<BroadcastBlock>, ctx: &mut Self::Context) {
        timed.answer(ctx, |BroadcastBlock { block }, ctx| {
            self.on_block(block.value(), None, "block broadcast", ctx);
        });
    }
}

impl Handler<Timed<RelayBlock>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<RelayBlock>, ctx: &mut Self::Context) {
        timed.answer(ctx, |RelayBlock { block, from }, ctx| {
            self.on_block(block.value(), from, "block relayed", ctx);
        });
    }
}

impl Handler<Timed<TransactionAccepted>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<TransactionAccepted>, ctx: &mut Self::Context) {
        timed.answer(ctx, |accepted, ctx| self.on_accepted(&accepted, ctx));
    }
}

impl Handler<Timed<Subscribe>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<Subscribe>, ctx: &mut Self::Context) {
        timed.answer(ctx, |Subscribe { peer }, _| self.subscribe(peer));
    }
}

impl Handler<Timed<PeerConnected>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<PeerConnected>, ctx: &mut Self::Context) {
        timed.answer(ctx, |PeerConnected { session, is_seed }, ctx| {
            let (peer, role) = (session.node_id(), session.role());
            self.sessions.insert(peer, session);
            let effects = self.state.on_connected(Instant::now(), peer, role, is_seed);
            self.apply(effects, ctx);
        });
    }
}

impl Handler<Timed<PeerLost>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<PeerLost>, ctx: &mut Self::Context) {
        timed.answer(ctx, |PeerLost { node_id, .. }, _| {
            self.sessions.remove(&node_id);
            self.state.on_lost(node_id);
        });
    }
}

impl Handler<Timed<BroadcastCountsRequest>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<BroadcastCountsRequest>, ctx: &mut Self::Context) {
        timed.answer(ctx, |BroadcastCountsRequest, _| self.state.counts());
    }
}

impl Handler<Timed<Stop>> for Broadcaster {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |Stop, ctx| ctx.stop());
    }
}
