//! What is remembered of transactions, and for how long.

use crate::transport::NodeId;
use crate::tx_pool::newest::REMEMBERED;
use crate::tx_pool::timeline::{MAX_STEPS, Timeline};
use crate::tx_pool::{DropReason, Fate, Source, Step};
use alloy_primitives::{B256, U256};
use callboard_chain::keys::SecretKey;

fn hash(number: usize) -> B256 {
    B256::from(U256::from(number))
}

fn node(byte: u8) -> NodeId {
    NodeId::of(&SecretKey::from_bytes([byte; 32]).expect("a key"))
}

fn evicted() -> Step {
    Step::Dropped { reason: DropReason::Evicted, by: Some(hash(9)), detail: None }
}

fn refused(reason: &str) -> Step {
    Step::Refused { from: Source::Rpc, reason: reason.to_owned() }
}

fn steps(timeline: &Timeline, number: usize) -> Vec<(u64, u64, &'static str)> {
    let line = timeline.of(&hash(number)).expect("remembered");
    line.entries().iter().map(|entry| (entry.at, entry.times, entry.step.name())).collect()
}

#[test]
fn a_transaction_has_one_line_through_all_its_lives() {
    let mut timeline = Timeline::default();
    timeline.on_taken(1, hash(1), Source::Rpc);
    timeline.on_step(2, &hash(1), Step::Forwarded { to: vec![node(1)] });
    assert_eq!(timeline.of(&hash(1)).and_then(|line| line.end()), None, "it has not ended");
    timeline.on_left(3, hash(1), evicted());
    assert_eq!(timeline.of(&hash(1)).and_then(|line| line.end()), Some(Fate::Dropped(DropReason::Evicted)));
    timeline.on_taken(4, hash(1), Source::Peer(node(2)));
    let expected = [
        (1, 1, "arrived"),
        (1, 1, "checked"),
        (2, 1, "forwarded"),
        (3, 1, "dropped"),
        (4, 1, "arrived"),
        (4, 1, "checked"),
    ];
    assert_eq!(steps(&timeline, 1), expected);
    timeline.on_included(&hash(1));
    assert!(timeline.of(&hash(1)).is_none(), "the store knows it now");
}

#[test]
fn what_happens_again_and_again_is_counted_where_it_stands() {
    let mut timeline = Timeline::default();
    timeline.on_taken(1, hash(1), Source::Rpc);
    for at in 2..100 {
        timeline.on_step(at, &hash(1), Step::Forwarded { to: vec![node(1)] });
        timeline.on_step(at, &hash(1), Step::NotNow { by: node(1), reason: "full".to_owned() });
    }
    assert_eq!(steps(&timeline, 1)[2..], [(2, 98, "forwarded"), (2, 98, "notNow")]);
    assert_eq!(timeline.of(&hash(1)).expect("held").entries()[2].last, 99);
}

#[test]
fn a_line_is_bounded_in_steps_and_in_words_and_keeps_where_it_began() {
    let mut timeline = Timeline::default();
    timeline.on_taken(1, hash(1), Source::Rpc);
    for at in 2..100 {
        let reason = format!("{at}{}", "\u{e9}".repeat(1_000));
        timeline.on_step(at, &hash(1), Step::NotNow { by: node(1), reason });
    }
    let line = timeline.of(&hash(1)).expect("held").entries();
    assert_eq!((line.len(), line[0].step.name(), line[MAX_STEPS - 1].at), (MAX_STEPS, "arrived", 99));
    let Step::NotNow { reason, .. } = &line[MAX_STEPS - 1].step else { panic!("the newest one") };
    assert_eq!(reason.chars().count(), 256);
}

#[test]
fn ends_are_remembered_by_number_and_the_oldest_gives_way() {
    let mut timeline = Timeline::default();
    for number in 0..REMEMBERED {
        timeline.on_left(1, hash(number), evicted());
    }
    // Evicted once more, the first one is the newest.
    timeline.on_left(2, hash(0), evicted());
    timeline.on_left(3, hash(REMEMBERED), evicted());
    assert!(timeline.of(&hash(1)).is_none());
    assert!([0].into_iter().chain(2..=REMEMBERED).all(|number| timeline.of(&hash(number)).is_some()));
}

#[test]
fn a_flood_of_refusals_pushes_out_refusals_only() {
    let mut timeline = Timeline::default();
    timeline.on_taken(1, hash(1), Source::Rpc);
    timeline.on_left(1, hash(2), evicted());
    for number in 3..=REMEMBERED + 3 {
        timeline.on_refused(2, hash(number), refused("no"));
    }
    assert!(timeline.of(&hash(3)).is_none(), "the oldest refusal gave way");
    assert!(timeline.of(&hash(1)).is_some() && timeline.of(&hash(2)).is_some());
}

#[test]
fn the_last_word_counts_but_not_when_it_only_repeats_the_first() {
    let mut timeline = Timeline::default();
    timeline.on_left(1, hash(1), Step::Dropped { reason: DropReason::Operator, by: None, detail: None });
    timeline.on_refused(2, hash(1), Step::KeptOut { from: Source::Peer(node(1)) });
    let end = |timeline: &Timeline| timeline.of(&hash(1)).and_then(|line| line.end());
    assert_eq!(end(&timeline), Some(Fate::Dropped(DropReason::Operator)));
    timeline.on_refused(3, hash(1), refused("nonce too low"));
    assert_eq!(end(&timeline), Some(Fate::Refused { reason: "nonce too low".to_owned() }));
    // What is held is not spoiled by a refusal that comes beside it.
    timeline.on_taken(4, hash(1), Source::Rpc);
    timeline.on_refused(5, hash(1), refused("not now"));
    assert_eq!(steps(&timeline, 1).last(), Some(&(4, 1, "checked")));
}
