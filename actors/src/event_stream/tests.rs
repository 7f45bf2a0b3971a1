use super::state::State;
use super::*;
use crate::guard::{Stop, StopOrder, StopOutcome};
use crate::send::{ActorRegistry, Mailbox};
use actix::Arbiter;
use std::sync::Arc;
use std::time::Duration;

#[actix::test]
async fn every_subscriber_gets_every_event_in_order() {
    let mut state = State::new(4);
    let (mut one, mut two) = (state.on_subscribe(), state.on_subscribe());
    assert_eq!(state.on_event(&1) + state.on_event(&2), 0);
    for subscription in [&mut one, &mut two] {
        assert_eq!((subscription.next().await, subscription.next().await), (Ok(1), Ok(2)));
    }
}

#[actix::test]
async fn a_slow_subscriber_is_dropped_with_the_reason_and_the_others_go_on() {
    let mut state = State::new(2);
    let (mut slow, mut quick) = (state.on_subscribe(), state.on_subscribe());
    for event in 0..3 {
        assert_eq!(state.on_event(&event), usize::from(event == 2));
        assert_eq!(quick.next().await, Ok(event));
    }
    assert_eq!(state.subscribers(), 1);
    assert_eq!((slow.next().await, slow.next().await), (Ok(0), Ok(1)));
    assert_eq!(slow.next().await, Err(SubscriptionEnded::TooSlow { capacity: 2 }));
}

#[test]
fn a_subscriber_that_has_left_is_forgotten() {
    let mut state = State::new(2);
    drop(state.on_subscribe());
    assert_eq!((state.on_event(&1), state.subscribers()), (0, 0));
}

#[actix::test]
async fn subscribers_hear_of_the_nodes_stop() {
    let soon = Duration::from_secs(20);
    let (registry, _deaths) = ActorRegistry::new();
    let mailbox = Mailbox::open(&Arbiter::current(), registry.actor("EventStream", 8)).await.expect("it runs");
    let (subscribe, stored) = (mailbox.inbox::<Subscribe>(), mailbox.inbox::<BlocksStored>());
    let order = StopOrder::new().then(mailbox.inbox::<Stop>(), soon);
    mailbox.start(|_| EventStream::new());
    let mut subscription = subscribe.ask(Subscribe, soon).await.expect("answered");
    stored.signal(BlocksStored { blocks: Arc::new([]) });
    assert!(subscription.next().await.expect("an event").is_empty());
    assert_eq!(order.stop().await, [("EventStream", StopOutcome::Stopped)]);
    assert_eq!(subscription.next().await.expect_err("no event"), SubscriptionEnded::Stopping);
}
