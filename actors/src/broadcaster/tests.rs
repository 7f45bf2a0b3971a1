use super::outbox::MAX_QUEUED;
use super::queue::{MAX_QUEUED as MAX_ANNOUNCED, MAX_QUEUED_BYTES as MAX_ANNOUNCED_BYTES, NotQueued, queue};
use super::state::{Effect, FORWARD_AGAIN, NotDelivered, State};
use super::*;
use crate::callboard::Role;
use crate::monitor::Metrics;
use crate::transport::NodeId;
use crate::transport::wire::{MAX_TRANSACTIONS, MAX_TRANSACTIONS_BYTES, TransactionAnswer, TransactionResult};
use alloy_primitives::{B256, U256};
use bytes::Bytes;
use callboard_chain::keys::SecretKey;
use std::time::{Duration, Instant};

fn node(byte: u8) -> NodeId {
    NodeId::of(&SecretKey::from_bytes([byte; 32]).unwrap())
}

fn transaction(number: usize, size: usize) -> OutgoingTransaction {
    OutgoingTransaction { hash: B256::from(U256::from(number)), bytes: Bytes::from(vec![1; size]) }
}

fn deliveries(effects: Vec<Effect>) -> Vec<(NodeId, u64, Vec<OutgoingTransaction>)> {
    let delivery = |effect| match effect {
        Effect::Deliver { peer, session, batch } => Some((peer, session, batch)),
        _ => None,
    };
    effects.into_iter().filter_map(delivery).collect()
}

fn answer(result: TransactionResult) -> Vec<TransactionAnswer> {
    vec![TransactionAnswer { hash: B256::ZERO, result }]
}

fn refused(later: bool) -> TransactionResult {
    TransactionResult::Refused { reason: "because".to_owned(), later, confirmed: None }
}

fn failed() -> NotDelivered {
    NotDelivered { reason: "no connection".to_owned(), session_gone: false }
}

#[test]
fn block_goes_to_every_subscriber_and_never_back_to_its_sender() {
    let mut state = State::default();
    let (one, two) = (state.on_subscribe(node(1)), state.on_subscribe(node(2)));
    let canonical = Bytes::from_static(b"block");
    let announced =
        |subscriber, block| Effect::Announce { subscriber, announcement: Announcement { height: 7, block } };
    let bytes = || Announced::Bytes(canonical.clone());
    assert_eq!(
        state.on_block(7, Some(&canonical), Some(node(2))),
        [announced(one, bytes()), announced(two, Announced::Own)]
    );
    assert_eq!(state.on_block(7, Some(&canonical), None), [announced(one, bytes()), announced(two, bytes())]);
    assert_eq!(
        state.on_block(7, None, Some(node(2))),
        [announced(one, Announced::Stored), announced(two, Announced::Own)],
        "a long block comes from the store"
    );
}

#[test]
fn subscriber_that_fell_behind_is_forgotten_and_counted() {
    let mut state = State::default();
    let (slow, gone) = (state.on_subscribe(node(1)), state.on_subscribe(node(2)));
    state.on_unsubscribed(slow, true);
    state.on_unsubscribed(gone, false);
    assert_eq!(state.on_block(7, Some(&Bytes::new()), None), []);
    assert_eq!((state.counts().subscribers_skipped, state.counts().subscribers), (1, 0));
}

#[test]
fn relayed_transaction_goes_to_every_peer_but_its_sender() {
    let (mut state, now) = (State::default(), Instant::now());
    for number in 1..=3 {
        assert_eq!(state.on_connected(now, node(number), Role::Follower, false), []);
    }
    let sent = deliveries(state.on_relay(now, &[transaction(1, 100)], Some(node(2))));
    let mut to: Vec<_> = sent.iter().map(|(peer, ..)| *peer).collect();
    to.sort();
    let mut expected = [node(1), node(3)];
    expected.sort();
    assert_eq!(to, expected);
}

#[test]
fn peer_that_does_not_answer_holds_one_batch_and_a_bounded_queue_and_nobody_else() {
    let (mut state, now) = (State::default(), Instant::now());
    let (dead, alive) = (node(1), node(2));
    state.on_connected(now, dead, Role::Follower, false);
    state.on_connected(now, alive, Role::Follower, false);
    for number in 0..3 * MAX_QUEUED {
        for (peer, session, batch) in deliveries(state.on_relay(now, &[transaction(number, 100)], None)) {
            assert!(peer == alive || number == 0, "the dead peer got a second batch while the first is under way");
            if peer == alive {
                let answers = batch.iter().flat_map(|_| answer(TransactionResult::Taken)).collect();
                state.on_delivered(now, peer, session, Ok(answers));
            }
        }
    }
    let counts = state.counts();
    assert_eq!(counts.transactions_delivered, 3 * MAX_QUEUED as u64);
    assert_eq!(counts.transactions_skipped, 2 * MAX_QUEUED as u64 - 1);
}

#[test]
fn batches_keep_to_the_limits_of_a_request() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Follower, false);
    let [first] = &deliveries(state.on_relay(now, &[transaction(0, 10)], None))[..] else { panic!() };
    let (_, session, _) = *first;
    let big: Vec<_> = (1..=20).map(|number| transaction(number, 128 << 10)).collect();
    let small: Vec<_> = (100..3_000).map(|number| transaction(number, 10)).collect();
    state.on_relay(now, &[big, small].concat(), None);
    let mut seen = 0;
    let mut batch = deliveries(state.on_delivered(now, node(1), session, Ok(Vec::new())));
    while let Some((_, session, transactions)) = batch.pop() {
        let bytes: usize = transactions.iter().map(|transaction| transaction.bytes.len() + 4).sum();
        assert!(transactions.len() <= MAX_TRANSACTIONS && bytes as u64 <= MAX_TRANSACTIONS_BYTES);
        seen += transactions.len();
        batch = deliveries(state.on_delivered(now, node(1), session, Ok(Vec::new())));
    }
    assert_eq!(seen, 20 + 2_900);
}

#[test]
fn failed_delivery_pauses_the_peer_longer_each_time_and_not_for_ever() {
    let (mut state, mut now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Follower, false);
    let mut pauses = Vec::new();
    for number in 0..8 {
        let [(_, session, _)] = deliveries(state.on_relay(now, &[transaction(number, 10)], None))[..] else { panic!() };
        state.on_relay(now, &[transaction(1_000 + number, 10)], None);
        assert_eq!(state.on_delivered(now, node(1), session, Err(failed())), []);
        let failed_at = now;
        let session = loop {
            now += Duration::from_millis(500);
            if let Some((_, session, _)) = deliveries(state.on_tick(now)).pop() {
                break session;
            }
        };
        pauses.push((now - failed_at).as_millis());
        state.on_delivered(now, node(1), session, Err(failed()));
        now += Duration::from_secs(60);
    }
    assert_eq!(pauses[0], 500);
    assert!(pauses.is_sorted() && pauses.iter().all(|pause| *pause <= 8_000), "{pauses:?}");
    assert_eq!(*pauses.last().unwrap(), 8_000);
}

#[test]
fn forwarded_transaction_goes_to_authority_and_seeds_until_one_takes_it() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Follower, false);
    assert_eq!(state.on_forward(now, vec![transaction(1, 10)], None), [], "no authority and no seed is connected");
    assert_eq!(state.counts().unacknowledged, 1);

    let [(seed, session, batch)] = &deliveries(state.on_connected(now, node(2), Role::Follower, true))[..] else {
        panic!("what waits goes to the first seed that connects")
    };
    assert_eq!((*seed, batch), (node(2), &vec![transaction(1, 10)]));
    let effects = state.on_delivered(now, node(2), *session, Ok(answer(TransactionResult::Taken)));
    let [Effect::Report { hash, outcome: ForwardOutcome::Answered { by, .. } }] = &effects[..] else { panic!() };
    assert_eq!((*hash, *by), (transaction(1, 10).hash, node(2)));
    assert_eq!(state.counts().unacknowledged, 0);
}

#[test]
fn forwarded_transaction_of_a_peer_does_not_go_back_to_it() {
    let (mut state, now) = (State::default(), Instant::now());
    for seed in [2, 3] {
        state.on_connected(now, node(seed), Role::Follower, true);
    }
    let sent = deliveries(state.on_forward(now, vec![transaction(1, 10)], Some(node(2))));
    assert_eq!(sent.iter().map(|(peer, ..)| *peer).collect::<Vec<_>>(), [node(3)]);
    state.on_connected(now, node(1), Role::Authority, false);
    assert_eq!(state.on_forward(now, vec![transaction(2, 10)], Some(node(1))), [], "the authority has its own");
    assert_eq!(state.counts().unacknowledged, 1);
}

#[test]
fn forwarded_transaction_that_a_block_has_already_needs_no_other_answer() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Authority, false);
    state.on_connected(now, node(2), Role::Follower, true);
    let sent = deliveries(state.on_forward(now, vec![transaction(1, 10)], None));
    let session = sent.iter().find(|(peer, ..)| *peer == node(2)).unwrap().1;
    let result = TransactionResult::Refused { reason: "in block 7".to_owned(), later: false, confirmed: Some(7) };
    let effects = state.on_delivered(now, node(2), session, Ok(answer(result)));
    assert!(
        matches!(&effects[..], [Effect::Report { outcome: ForwardOutcome::Answered { by, .. }, .. }] if *by == node(2))
    );
    assert_eq!(state.counts().unacknowledged, 0);
}

#[test]
fn forwarded_transaction_is_sent_again_until_it_is_given_up() {
    let (mut state, start) = (State::default(), Instant::now());
    state.on_connected(start, node(1), Role::Authority, false);
    let mut sent = deliveries(state.on_forward(start, vec![transaction(1, 10)], None));
    let (mut now, mut tries) = (start, 0);
    let reported = loop {
        if let Some((peer, session, _)) = sent.pop() {
            tries += 1;
            state.on_delivered(now, peer, session, Ok(answer(refused(true))));
        }
        now += Duration::from_millis(500);
        let effects = state.on_tick(now);
        if let Some(Effect::Report { outcome, .. }) =
            effects.iter().find(|effect| matches!(effect, Effect::Report { .. }))
        {
            break outcome.clone();
        }
        sent = deliveries(effects);
    };
    assert_eq!(reported, ForwardOutcome::Unacknowledged);
    assert_eq!(now - start, FORWARD_LIFETIME);
    assert_eq!(tries, FORWARD_LIFETIME.as_secs() / FORWARD_AGAIN.as_secs());
}

#[test]
fn forward_that_is_put_off_is_reported_with_the_words_of_who_did_it() {
    let (mut state, now) = (State::default(), Instant::now());
    assert_eq!(state.forward_targets(None), Some(Vec::new()), "nobody is connected");
    state.on_connected(now, node(1), Role::Authority, false);
    state.on_connected(now, node(2), Role::Follower, false);
    assert_eq!(state.forward_targets(Some(node(2))), Some(vec![node(1)]));
    assert_eq!(state.forward_targets(Some(node(1))), None, "the authority has its own");
    let [(_, session, _)] = deliveries(state.on_forward(now, vec![transaction(1, 10)], None))[..] else { panic!() };
    let effects = state.on_delivered(now, node(1), session, Ok(answer(refused(true))));
    let outcome = ForwardOutcome::NotNow { by: node(1), reason: "because".to_owned() };
    assert_eq!(effects, [Effect::Report { hash: transaction(1, 10).hash, outcome }]);
    assert_eq!(state.counts().unacknowledged, 1, "it is sent again");
    // What is only relayed waits for nobody's answer, and a peer that is no target is not asked.
    let sent = deliveries(state.on_relay(now, &[transaction(2, 10)], None));
    for (peer, session, _) in sent {
        assert_eq!(state.on_delivered(now, peer, session, Ok(answer(refused(true)))), [], "{peer}");
    }
}

#[test]
fn refusal_by_a_seed_is_not_the_last_word_while_the_authority_can_be_asked() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Authority, true);
    state.on_connected(now, node(2), Role::Follower, true);
    let sent = deliveries(state.on_forward(now, vec![transaction(1, 10)], None));
    let session = |peer| sent.iter().find(|(to, ..)| *to == peer).unwrap().1;
    assert_eq!(state.on_delivered(now, node(2), session(node(2)), Ok(answer(refused(false)))), []);
    let effects = state.on_delivered(now, node(1), session(node(1)), Ok(answer(refused(false))));
    assert!(matches!(&effects[..], [Effect::Report { outcome: ForwardOutcome::Answered { .. }, .. }]));
}

#[test]
fn stranger_that_says_it_is_the_authority_drops_no_transaction() {
    let (mut state, mut now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Authority, false);
    let [(_, session, _)] = deliveries(state.on_forward(now, vec![transaction(1, 10)], None))[..] else { panic!() };
    assert_eq!(state.on_delivered(now, node(1), session, Ok(answer(refused(false)))), []);
    assert_eq!(state.counts().unacknowledged, 1, "it waits for somebody else's word");
    // The authority that the operator has named gets it as soon as it is there, and its word counts.
    let sent = deliveries(state.on_connected(now, node(2), Role::Authority, true));
    let [(to, session, batch)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((*to, batch), (node(2), &vec![transaction(1, 10)]));
    let effects = state.on_delivered(now, node(2), *session, Ok(answer(TransactionResult::Taken)));
    assert!(
        matches!(&effects[..], [Effect::Report { outcome: ForwardOutcome::Answered { by, .. }, .. }] if *by == node(2))
    );
    // Where nobody else answers, its time is over sometime, and nobody has refused it.
    state.on_lost(node(2));
    state.on_forward(now, vec![transaction(2, 10)], None);
    now += FORWARD_LIFETIME;
    let reports: Vec<_> = state.on_tick(now).into_iter().filter(|told| matches!(told, Effect::Report { .. })).collect();
    let outcome = ForwardOutcome::Unacknowledged;
    assert_eq!(reports, [Effect::Report { hash: transaction(2, 10).hash, outcome }]);
}

#[test]
fn result_of_a_session_that_is_over_is_dropped() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Authority, false);
    let [(_, old, _)] = deliveries(state.on_forward(now, vec![transaction(1, 10)], None))[..] else { panic!() };
    state.on_lost(node(1));
    let [(_, new, _)] = deliveries(state.on_connected(now, node(1), Role::Authority, false))[..] else { panic!() };
    assert_ne!(old, new);
    assert_eq!(state.on_delivered(now, node(1), old, Ok(answer(TransactionResult::Taken))), []);
    assert_eq!(state.counts().unacknowledged, 1);
}

#[test]
fn peer_that_forgot_the_session_is_reported() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Follower, false);
    let [(_, session, _)] = deliveries(state.on_relay(now, &[transaction(1, 10)], None))[..] else { panic!() };
    let error = NotDelivered { session_gone: true, ..failed() };
    let effects = state.on_delivered(now, node(1), session, Err(error));
    assert!(matches!(&effects[..], [Effect::SessionBroken { peer, .. }] if *peer == node(1)));
}

#[test]
fn forwards_are_bounded_and_the_oldest_is_given_up_by_name() {
    let (mut state, now) = (State::default(), Instant::now());
    let many: Vec<_> = (0..16_385).map(|number| transaction(number, 10)).collect();
    let effects = state.on_forward(now, many, None);
    assert_eq!(effects, [Effect::Report { hash: transaction(0, 10).hash, outcome: ForwardOutcome::Unacknowledged }]);
    assert_eq!(state.counts().unacknowledged, 16_384);
}

#[test]
fn transactions_that_a_peer_did_not_take_are_counted_by_reason() {
    let (mut state, now) = (State::default(), Instant::now());
    state.on_connected(now, node(1), Role::Follower, false);
    let [(_, session, _)] = deliveries(state.on_relay(now, &[transaction(1, 10), transaction(2, 10)], None))[..] else {
        panic!()
    };
    state.on_delivered(now, node(1), session, Err(failed()));
    let counts = BroadcastCounts { transactions_not_delivered: 2, ..BroadcastCounts::default() };
    assert_eq!(state.counts(), counts);

    let metrics = Metrics::new();
    BroadcastMetrics::register(&metrics).set(&BroadcastCounts { transactions_skipped: 3, ..counts });
    let text = metrics.encode();
    for line in [
        "callboard_broadcast_skipped_total{what=\"transaction\",reason=\"not_delivered\"} 2",
        "callboard_broadcast_skipped_total{what=\"transaction\",reason=\"queue_full\"} 3",
        "callboard_broadcast_skipped_total{what=\"stream\",reason=\"queue_full\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn queue_of_a_stream_is_bounded_in_number_and_in_bytes() {
    let announce = |bytes: usize| Announcement { height: 1, block: Announced::Bytes(Bytes::from(vec![0; bytes])) };
    let (by_number, mut announcements) = queue();
    for _ in 0..MAX_ANNOUNCED {
        assert_eq!(by_number.push(announce(1)), Ok(()));
    }
    assert_eq!(by_number.push(announce(1)), Err(NotQueued::Full));
    announcements.next().await;
    assert_eq!(by_number.push(announce(1)), Ok(()));

    let (by_bytes, mut announcements) = queue();
    let longest = MAX_ANNOUNCED_BYTES / 2;
    assert_eq!((by_bytes.push(announce(longest)), by_bytes.push(announce(longest))), (Ok(()), Ok(())));
    assert_eq!(by_bytes.push(announce(1)), Err(NotQueued::Full));
    assert_eq!(
        by_bytes.push(Announcement { height: 1, block: Announced::Own }),
        Ok(()),
        "a block that is the reader's own"
    );
    announcements.next().await;
    assert_eq!(by_bytes.push(announce(longest)), Ok(()), "what was read makes room");
    drop(announcements);
    assert_eq!(by_bytes.push(announce(1)), Err(NotQueued::Closed));
}
