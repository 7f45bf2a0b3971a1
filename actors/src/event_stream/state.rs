//! The core: bounded fan-out that a slow subscriber cannot hold up.

use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// Events that may wait for one subscriber. At a block a second a reader may pause for four minutes.
pub const SUBSCRIBER_CAPACITY: usize = 256;

/// Why no more events come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionEnded {
    /// The subscriber read too slowly.
    #[error("subscription dropped: {capacity} events were waiting to be read")]
    TooSlow {
        /// [`SUBSCRIBER_CAPACITY`].
        capacity: usize,
    },
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

/// A subscriber's end.
#[derive(Debug)]
pub struct Subscription<E> {
    events: mpsc::Receiver<E>,
    ended: Arc<OnceLock<SubscriptionEnded>>,
}

impl<E> Subscription<E> {
    /// The next event, or why there will be none. Events that were sent before the end come first.
    pub async fn next(&mut self) -> Result<E, SubscriptionEnded> {
        match self.events.recv().await {
            Some(event) => Ok(event),
            None => Err(self.ended.get().cloned().unwrap_or(SubscriptionEnded::Stopping)),
        }
    }
}

/// All subscribers.
#[derive(Debug)]
pub(super) struct State<E> {
    subscribers: Vec<Subscriber<E>>,
    capacity: usize,
}

#[derive(Debug)]
struct Subscriber<E> {
    events: mpsc::Sender<E>,
    ended: Arc<OnceLock<SubscriptionEnded>>,
}

impl<E: Clone> State<E> {
    /// Nobody yet; each subscriber may have `capacity` events waiting.
    pub(super) fn new(capacity: usize) -> Self {
        Self { subscribers: Vec::new(), capacity }
    }

    pub(super) fn on_subscribe(&mut self) -> Subscription<E> {
        let (sender, events) = mpsc::channel(self.capacity);
        let ended = Arc::default();
        self.subscribers.push(Subscriber { events: sender, ended: Arc::clone(&ended) });
        Subscription { events, ended }
    }

    /// Gives the event to all, and lets go of those that have left or are too slow; how many were too slow.
    pub(super) fn on_event(&mut self, event: &E) -> usize {
        let (capacity, mut slow) = (self.capacity, 0);
        self.subscribers.retain(|subscriber| match subscriber.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                slow += 1;
                // Set only here, once: the subscriber leaves the list.
                subscriber.ended.set(SubscriptionEnded::TooSlow { capacity }).ok();
                false
            }
        });
        slow
    }

    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }
}
