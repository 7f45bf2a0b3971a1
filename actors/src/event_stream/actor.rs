//! *Role*: tells subscribers of confirmed blocks. *Owns*: the subscribers. *Receives*: `BlocksStored`, `Subscribe`,
//! `Stop`. *Sends*: nothing; subscribers read their own bounded queue. *When behind*: drops a slow subscriber, with
//! the reason. *On failure*: the death guard stops the node.

use super::messages::{BlocksStored, Subscribe};
use super::state::{SUBSCRIBER_CAPACITY, State};
use crate::guard::Stop;
use crate::send::Timed;
use actix::{Actor, ActorContext, Context, Handler};
use callboard_chain::Block;
use callboard_store::Durable;
use std::sync::Arc;

/// The actor.
#[derive(Debug)]
pub struct EventStream {
    state: State<Arc<[Durable<Block>]>>,
}

impl EventStream {
    /// A stream without subscribers.
    pub fn new() -> Self {
        Self { state: State::new(SUBSCRIBER_CAPACITY) }
    }

    fn on_blocks(&mut self, blocks: &Arc<[Durable<Block>]>) {
        let slow = self.state.on_event(blocks);
        if slow > 0 {
            tracing::warn!(slow, left = self.state.subscribers(), "slow subscribers dropped");
        }
    }
}

impl Default for EventStream {
    fn default() -> Self {
        Self::new()
    }
}

impl Actor for EventStream {
    type Context = Context<Self>;
}

impl Handler<Timed<BlocksStored>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<BlocksStored>, ctx: &mut Self::Context) {
        timed.answer(ctx, |stored, _| self.on_blocks(&stored.blocks));
    }
}

impl Handler<Timed<Subscribe>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<Subscribe>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, _| self.state.on_subscribe());
    }
}

impl Handler<Timed<Stop>> for EventStream {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| ctx.stop());
    }
}
