//! The queue between the event stream and one subscriber: bounded in number and bytes, and emptied when its subscriber
//! is dropped, so that one that never reads again keeps nothing.

use super::event::{Topic, Topics};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use tokio::sync::Notify;

/// Why no more events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionEnded {
    /// The subscriber read too slowly: too many events waited.
    #[error("too slow: more than {limit} events were waiting to be read")]
    TooManyEvents {
        /// [`super::SUBSCRIBER_EVENTS`].
        limit: usize,
    },
    /// The subscriber read too slowly: the events that waited were too large together.
    #[error("too slow: events of more than {limit} bytes were waiting to be read")]
    TooManyBytes {
        /// [`super::SUBSCRIBER_BYTES`].
        limit: usize,
    },
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

impl SubscriptionEnded {
    /// Whether it was the subscriber's doing.
    pub fn is_too_slow(self) -> bool {
        self != Self::Stopping
    }

    /// A short name for programs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooManyEvents { .. } => "too_many_events",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::Stopping => "stopping",
        }
    }
}

/// What may wait for one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A subscriber's end. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription<E>(Arc<Queue<E>>);

/// The stream's end.
#[derive(Debug)]
pub(super) struct Subscriber<E>(Arc<Queue<E>>);

#[derive(Debug)]
struct Queue<E> {
    topics: AtomicU8,
    waiting: Mutex<Waiting<E>>,
    news: Notify,
    end: Notify,
}

#[derive(Debug)]
struct Waiting<E> {
    events: VecDeque<(usize, E)>,
    bytes: usize,
    ended: Option<SubscriptionEnded>,
    left: bool,
}

/// A new queue for these topics.
pub(super) fn queue<E>(topics: Topics) -> (Subscriber<E>, Subscription<E>) {
    let waiting = Waiting { events: VecDeque::new(), bytes: 0, ended: None, left: false };
    let queue = Arc::new(Queue {
        topics: AtomicU8::new(topics.0),
        waiting: Mutex::new(waiting),
        news: Notify::new(),
        end: Notify::new(),
    });
    (Subscriber(Arc::clone(&queue)), Subscription(queue))
}

impl<E> Subscriber<E> {
    /// Whether the subscriber wants to hear of `topic`.
    pub(super) fn wants(&self, topic: Topic) -> bool {
        Topics(self.0.topics.load(Relaxed)).contains(topic)
    }

    /// Whether the subscriber has let go of its end.
    pub(super) fn has_left(&self) -> bool {
        self.0.waiting.lock().left
    }

    /// Lets the event wait, or says why it cannot. An event that is larger than the bound waits alone.
    pub(super) fn push(&self, event: E, bytes: usize, bounds: Bounds) -> Result<(), SubscriptionEnded> {
        let mut waiting = self.0.waiting.lock();
        if waiting.events.len() >= bounds.events {
            return Err(SubscriptionEnded::TooManyEvents { limit: bounds.events });
        }
        if !waiting.events.is_empty() && waiting.bytes.saturating_add(bytes) > bounds.bytes {
            return Err(SubscriptionEnded::TooManyBytes { limit: bounds.bytes });
        }
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        waiting.events.push_back((bytes, event));
        drop(waiting);
        self.0.news.notify_one();
        Ok(())
    }

    /// No more events come. What waits for a subscriber that is too slow is let go of at once.
    pub(super) fn end(&self, why: SubscriptionEnded) {
        let mut waiting = self.0.waiting.lock();
        if why.is_too_slow() {
            waiting.events = VecDeque::new();
            waiting.bytes = 0;
        }
        waiting.ended.get_or_insert(why);
        drop(waiting);
        self.0.news.notify_one();
        self.0.end.notify_waiters();
    }
}

impl<E> Subscription<E> {
    /// The next event, or why there will be none.
    pub async fn next(&self) -> Result<E, SubscriptionEnded> {
        loop {
            {
                let mut waiting = self.0.waiting.lock();
                if let Some((bytes, event)) = waiting.events.pop_front() {
                    waiting.bytes = waiting.bytes.saturating_sub(bytes);
                    return Ok(event);
                }
                if let Some(ended) = waiting.ended {
                    return Err(ended);
                }
            }
            self.0.news.notified().await;
        }
    }

    /// Why no more events come, once that is so.
    pub fn ended(&self) -> Option<SubscriptionEnded> {
        self.0.waiting.lock().ended
    }

    /// Done when no more events come; does not keep the subscription.
    pub fn end(&self) -> impl Future<Output = SubscriptionEnded> + use<E> {
        let queue = Arc::clone(&self.0);
        async move {
            loop {
                let end = queue.end.notified();
                if let Some(ended) = queue.waiting.lock().ended {
                    return ended;
                }
                end.await;
            }
        }
    }

    /// From now on hear of these topics.
    pub fn listen_to(&self, topics: Topics) {
        self.0.topics.store(topics.0, Relaxed);
    }
}

impl<E> Drop for Subscription<E> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.left = true;
        waiting.events = VecDeque::new();
    }
}
