//! *Role*: closes the measuring windows of actors and stages. *Owns*: the pace. *Receives*: `Stop`. *Sends*: nothing.
//! *When behind*: windows get longer; figures stay right. *On failure*: the death guard stops the node.

use super::stage::Stages;
use crate::guard::Stop;
use crate::send::{ActorRegistry, OnTimer, Timed, Timers};
use actix::{Actor, ActorContext, Context, Handler};
use std::time::{Duration, Instant};

/// Rates and quantiles cover one to two of these: long enough to be steady, short enough to show what goes on now.
pub const WINDOW: Duration = Duration::from_secs(5);

/// The end of a measuring window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tick;

/// The actor.
#[derive(Debug)]
pub struct Monitor {
    actors: ActorRegistry,
    stages: Stages,
    timers: Timers<Tick>,
}

impl Monitor {
    /// A monitor of these actors and stages.
    pub fn new(actors: ActorRegistry, stages: Stages) -> Self {
        Self { actors, stages, timers: Timers::default() }
    }
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.timers.set(ctx, Tick, WINDOW);
    }
}

impl OnTimer<Tick> for Monitor {
    fn timers(&mut self) -> &mut Timers<Tick> {
        &mut self.timers
    }

    fn on_timer(&mut self, tick: Tick, ctx: &mut Self::Context) {
        let now = Instant::now();
        self.actors.roll(now);
        self.stages.roll(now);
        self.timers.set(ctx, tick, WINDOW);
    }
}

impl Handler<Timed<Stop>> for Monitor {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| ctx.stop());
    }
}
