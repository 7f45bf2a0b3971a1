//! *Role*: closes the measuring windows of actors and stages, and looks whether figures are an alarm. *Owns*: the pace,
//! and which figures stand as alarms. *Receives*: `Stop`. *Sends*: nothing; raises and clears alarms.
//! *When behind*: windows get longer; figures stay right. *On failure*: the death guard stops the node.

use super::Alarms;
use super::stage::Stages;
use super::watch::{Readings, Watch};
use crate::guard::Stop;
use crate::send::{ActorRegistry, OnTimer, Timed, Timers};
use actix::{Actor, ActorContext, Context, Handler};
use std::time::{Duration, Instant};

/// Rates and quantiles cover one to two of these: long enough to be steady, short enough to show what goes on now.
pub const WINDOW: Duration = Duration::from_secs(5);

/// How often figures are looked at. Readings cost microseconds.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tick {
    /// The end of a measuring window.
    Window,
    /// A look at what may be an alarm.
    Look,
}

/// What may be an alarm, and who hears of it.
pub struct Watching {
    /// What is so now. Called often: it reads memory and waits for nothing.
    pub read: Box<dyn Fn() -> Readings + Send>,
    /// The core.
    pub watch: Watch,
    /// Where alarms stand.
    pub alarms: Alarms,
}

/// The actor.
pub struct Monitor {
    actors: ActorRegistry,
    stages: Stages,
    watching: Watching,
    started: Instant,
    timers: Timers<Tick>,
}

impl Monitor {
    /// A monitor of these actors and stages.
    pub fn new(actors: ActorRegistry, stages: Stages, watching: Watching) -> Self {
        Self { actors, stages, watching, started: Instant::now(), timers: Timers::default() }
    }

    fn look(&mut self) {
        let Watching { read, watch, alarms } = &mut self.watching;
        for (alarm, sentence) in watch.on_readings(self.started.elapsed(), &read()) {
            alarms.set(alarm, sentence);
        }
    }
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.timers.set(ctx, Tick::Window, WINDOW);
        self.timers.set(ctx, Tick::Look, LOOK_EVERY);
    }
}

impl OnTimer<Tick> for Monitor {
    fn timers(&mut self) -> &mut Timers<Tick> {
        &mut self.timers
    }

    fn on_timer(&mut self, tick: Tick, ctx: &mut Self::Context) {
        let again = match tick {
            Tick::Window => {
                let now = Instant::now();
                self.actors.roll(now);
                self.stages.roll(now);
                WINDOW
            }
            Tick::Look => {
                self.look();
                LOOK_EVERY
            }
        };
        self.timers.set(ctx, tick, again);
    }
}

impl Handler<Timed<Stop>> for Monitor {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| ctx.stop());
    }
}
