//! The core: bounded fan-out that a slow subscriber cannot hold up.

use super::event::{Topic, Topics};
use super::queue::{Bounds, Subscriber, Subscription, SubscriptionEnded, queue};

/// All subscribers.
#[derive(Debug)]
pub(crate) struct State<E> {
    subscribers: Vec<Subscriber<E>>,
    bounds: Bounds,
}

impl<E: Clone> State<E> {
    /// Nobody yet; `bounds` hold for each subscriber.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { subscribers: Vec::new(), bounds }
    }

    pub(crate) fn on_subscribe(&mut self, topics: Topics) -> Subscription<E> {
        let (subscriber, subscription) = queue(topics);
        self.subscribers.push(subscriber);
        subscription
    }

    /// Gives the event to all who want it, and lets go of those that have left or are too slow; why, for each of the
    /// latter.
    pub(super) fn on_event(&mut self, topic: Topic, bytes: usize, event: &E) -> Vec<SubscriptionEnded> {
        let (bounds, mut dropped) = (self.bounds, Vec::new());
        self.subscribers.retain(|subscriber| {
            if subscriber.has_left() {
                return false;
            }
            if !subscriber.wants(topic) {
                return true;
            }
            match subscriber.push(event.clone(), bytes, bounds) {
                Ok(()) => true,
                Err(why) => {
                    subscriber.end(why);
                    dropped.push(why);
                    false
                }
            }
        });
        dropped
    }

    /// Forgets those that have left; how many are there now.
    pub(crate) fn on_tick(&mut self) -> usize {
        self.subscribers.retain(|subscriber| !subscriber.has_left());
        self.subscribers.len()
    }

    /// Whether anybody wants to hear of `topic`.
    pub(super) fn is_wanted(&self, topic: Topic) -> bool {
        self.subscribers.iter().any(|subscriber| subscriber.wants(topic))
    }

    /// How many subscribers there are, with those that have left since the last event.
    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }
}

/// However the stream ends, its subscribers hear of it.
impl<E> Drop for State<E> {
    fn drop(&mut self) {
        self.subscribers.iter().for_each(|subscriber| subscriber.end(SubscriptionEnded::Stopping));
    }
}
