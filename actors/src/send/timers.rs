//! Timers of an actor, one a key.

use actix::{Actor, AsyncContext, Context, SpawnHandle};
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// An actor with timers.
pub trait OnTimer<K: Copy + Eq + Hash + 'static>: Actor<Context = Context<Self>> {
    /// Its timers.
    fn timers(&mut self) -> &mut Timers<K>;
    /// The timer `key` has run out. It does not start again by itself.
    fn on_timer(&mut self, key: K, ctx: &mut Context<Self>);
}

/// Running timers. Each start of a key gets a new generation, and a timer that runs out with an older one is
/// dropped: actix may still run a future that was cancelled in the same turn.
#[derive(Debug)]
pub struct Timers<K> {
    running: HashMap<K, (u64, SpawnHandle)>,
    generation: u64,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { running: HashMap::new(), generation: 0 }
    }
}

impl<K: Copy + Eq + Hash + 'static> Timers<K> {
    /// Lets [`OnTimer::on_timer`] be called `after` this long; a running timer of the same key is replaced.
    pub fn set<A: OnTimer<K>>(&mut self, ctx: &mut Context<A>, key: K, after: Duration) {
        self.cancel(ctx, key);
        self.generation += 1;
        let generation = self.generation;
        let handle = ctx.run_later(after, move |actor, ctx| {
            if actor.timers().take(key, generation) {
                actor.on_timer(key, ctx);
            }
        });
        self.running.insert(key, (generation, handle));
    }

    /// Stops the timer of `key`, if it runs.
    pub fn cancel<A: OnTimer<K>>(&mut self, ctx: &mut Context<A>, key: K) {
        if let Some((_, handle)) = self.running.remove(&key) {
            ctx.cancel_future(handle);
        }
    }

    /// Whether a timer of `key` runs.
    pub fn is_set(&self, key: K) -> bool {
        self.running.contains_key(&key)
    }

    fn take(&mut self, key: K, generation: u64) -> bool {
        let current = self.running.get(&key).is_some_and(|(running, _)| *running == generation);
        current && self.running.remove(&key).is_some()
    }
}
