use super::queue::Bounds;
use super::state::State;
use super::*;
use crate::callboard::{Callboard, Role};
use crate::guard::{Stop, StopOrder, StopOutcome};
use crate::monitor::Metrics;
use crate::send::{ActorRegistry, Mailbox};
use crate::sync_coordinator::SyncReport;
use actix::Arbiter;
use std::sync::Arc;
use std::time::Duration;

fn state(events: usize, bytes: usize) -> State<u32> {
    State::new(Bounds { events, bytes })
}

fn blocks() -> Topics {
    Topics::default().with(Topic::Blocks)
}

#[actix::test]
async fn every_subscriber_gets_every_event_in_order() {
    let mut state = state(4, 100);
    let (one, two) = (state.on_subscribe(blocks()), state.on_subscribe(blocks()));
    for event in [1, 2] {
        assert_eq!(state.on_event(Topic::Blocks, 1, &event), []);
    }
    for subscription in [&one, &two] {
        assert_eq!((subscription.next().await, subscription.next().await), (Ok(1), Ok(2)));
    }
}

#[actix::test]
async fn a_subscriber_hears_of_its_topics_only() {
    let mut state = state(4, 100);
    let one = state.on_subscribe(blocks());
    state.on_event(Topic::Pending, 1, &1);
    one.listen_to(blocks().with(Topic::Pending));
    state.on_event(Topic::Pending, 1, &2);
    assert_eq!(one.next().await, Ok(2));
    assert!(state.is_wanted(Topic::Pending) && !state.is_wanted(Topic::Routes));
}

#[actix::test]
async fn a_slow_subscriber_is_dropped_with_the_reason_and_the_others_go_on() {
    let mut state = state(2, 100);
    let (slow, quick) = (state.on_subscribe(blocks()), state.on_subscribe(blocks()));
    let too_slow = SubscriptionEnded::TooManyEvents { limit: 2 };
    for event in 0..3 {
        let dropped = state.on_event(Topic::Blocks, 1, &event);
        assert_eq!(dropped, if event == 2 { vec![too_slow] } else { vec![] });
        assert_eq!(quick.next().await, Ok(event));
    }
    assert_eq!(state.subscribers(), 1);
    assert_eq!(slow.end().await, too_slow);
    assert_eq!(slow.next().await, Err(too_slow));
}

#[actix::test]
async fn what_waits_for_a_subscriber_is_bounded_in_bytes_and_let_go_of_with_it() {
    let mut state = State::<Arc<()>>::new(Bounds { events: 100, bytes: 10 });
    let slow = state.on_subscribe(blocks());
    let event = Arc::new(());
    // Larger than the bound: it waits alone.
    assert_eq!(state.on_event(Topic::Blocks, 11, &event), []);
    assert_eq!(slow.next().await, Ok(event.clone()));
    for _ in 0..2 {
        assert_eq!(state.on_event(Topic::Blocks, 5, &event), []);
    }
    let too_slow = SubscriptionEnded::TooManyBytes { limit: 10 };
    assert_eq!(state.on_event(Topic::Blocks, 1, &event), [too_slow]);
    assert_eq!(Arc::strong_count(&event), 1, "nothing of it is kept");
    assert_eq!(slow.next().await, Err(too_slow));
}

#[test]
fn a_subscriber_that_has_left_is_forgotten() {
    let mut state = state(2, 100);
    drop(state.on_subscribe(blocks()));
    drop(state.on_subscribe(blocks()));
    assert_eq!(state.on_tick(), 0);
    drop(state.on_subscribe(blocks()));
    assert_eq!((state.on_event(Topic::Blocks, 1, &1).len(), state.subscribers()), (0, 0));
}

#[actix::test]
async fn subscribers_hear_of_the_nodes_stop() {
    let soon = Duration::from_secs(20);
    let (registry, _deaths) = ActorRegistry::new();
    let mailbox = Mailbox::open(&Arbiter::current(), registry.actor("EventStream", 8)).await.expect("it runs");
    let (subscribe, stored) = (mailbox.inbox::<SubscribeToEvents>(), mailbox.inbox::<BlocksStored>());
    let order = StopOrder::new().then(mailbox.inbox::<Stop>(), soon);
    let metrics = Metrics::new();
    let (sources, event_metrics) = (sources(), EventMetrics::register(&metrics));
    mailbox.start(move |_| EventStream::new(sources, event_metrics));
    let subscription = subscribe.ask(SubscribeToEvents { topics: blocks() }, soon).await.expect("answered");
    stored.signal(BlocksStored { blocks: Arc::new([]) });
    assert!(matches!(subscription.next().await, Ok(Event::Blocks(blocks)) if blocks.is_empty()));
    assert!(metrics.encode().contains("callboard_event_subscribers 1"));
    assert_eq!(order.stop().await, [("EventStream", StopOutcome::Stopped)]);
    assert_eq!(subscription.next().await.expect_err("no event"), SubscriptionEnded::Stopping);
}

#[test]
fn a_status_is_told_when_it_changes_and_deliveries_when_they_are_counted() {
    let mut changes = super::changes::Changes::default();
    let mut report = SyncReport::before_genesis(Role::Follower);
    assert!(changes.on_report(report.clone()).is_some());
    report.head_age_seconds += 1;
    assert!(changes.on_report(report.clone()).is_none());
    report.behind_blocks = 7;
    assert_eq!(changes.on_report(report.clone()), Some(report));

    let callboard = Callboard::new(Role::Follower);
    assert!(changes.on_counts(callboard.counts()).is_empty());
    let delivery = crate::callboard::Delivery::DropTransaction;
    callboard.count(crate::callboard::Origin::Rpc, crate::callboard::Kind::Transaction, delivery);
    assert_eq!(changes.on_counts(callboard.counts()), callboard.counts());
    assert!(changes.on_counts(callboard.counts()).is_empty());
}

fn sources() -> Sources {
    Sources { sync: Box::new(|| SyncReport::before_genesis(Role::Follower)), callboard: Callboard::new(Role::Follower) }
}

impl State<Event> {
    /// For tests of what is behind the stream.
    pub(crate) fn bounded(events: usize) -> Self {
        Self::new(Bounds { events, bytes: SUBSCRIBER_BYTES })
    }

    pub(crate) fn publish(&mut self, event: &Event) {
        self.on_event(event.topic(), event.bytes(), event);
    }
}
