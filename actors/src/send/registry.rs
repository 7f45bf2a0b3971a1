//! All actors of a node.

use super::meter::{ActorFigures, ActorMeter};
use crate::guard::{ActorDied, DeathWatch};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Room for a report from every actor of a node and some lost signals.
const DEATHS_CAPACITY: usize = 64;

/// The meters of a node's actors. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ActorRegistry {
    actors: Arc<RwLock<Vec<Arc<ActorMeter>>>>,
    deaths: mpsc::Sender<ActorDied>,
    is_timed: bool,
}

impl ActorRegistry {
    /// A registry, and the receiver that hears of each actor that ended without having been told to.
    pub fn new() -> (Self, DeathWatch) {
        let (deaths, watch) = mpsc::channel(DEATHS_CAPACITY);
        (Self { actors: Arc::default(), deaths, is_timed: true }, DeathWatch::new(watch))
    }

    /// One whose meters count and measure no time: what a measurement of the meters' own cost is compared with.
    pub fn without_times() -> (Self, DeathWatch) {
        let (registry, watch) = Self::new();
        (Self { is_timed: false, ..registry }, watch)
    }

    /// A meter for the actor called `name`, whose mailbox holds `capacity` messages.
    pub fn actor(&self, name: &'static str, capacity: usize) -> Arc<ActorMeter> {
        let meter = Arc::new(ActorMeter::new(name, capacity, self.is_timed, self.deaths.clone()));
        self.actors.write().push(meter.clone());
        meter
    }

    /// All meters, in the order in which they were made.
    pub fn meters(&self) -> Vec<Arc<ActorMeter>> {
        self.actors.read().clone()
    }

    /// The answer to `callboard_actors`.
    pub fn figures(&self, now: Instant) -> Vec<ActorFigures> {
        self.meters().iter().map(|meter| meter.figures(now)).collect()
    }

    /// Starts a new measuring window. The monitor calls it at a steady pace.
    pub fn roll(&self, now: Instant) {
        self.meters().iter().for_each(|meter| meter.roll(now));
    }
}
