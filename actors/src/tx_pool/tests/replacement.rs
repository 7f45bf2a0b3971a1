//! Which transaction takes another one's place, and what is kept out.

use super::core::{NOW, RICH, free, sender, transaction};
use crate::callboard::Origin;
use crate::tx_pool::barred::INVALID_FOR;
use crate::tx_pool::newest::REMEMBERED;
use crate::tx_pool::queue::{EQUAL_AFTER, EQUAL_OFFERS};
use crate::tx_pool::state::{Effect, Included, State};
use crate::tx_pool::{AccountState, DropReason, EqualOffer, PoolConfig, PoolError, Waiting};
use alloy_primitives::{B256, U256};
use callboard_chain::BaseFeePolicy;
use std::time::Duration;

/// A sender without funds: it can offer nothing.
const BROKE: AccountState = AccountState { nonce: 0, balance: U256::ZERO };
const A_MOMENT: Duration = Duration::from_millis(1);

fn zero() -> State {
    State::new(PoolConfig::default(), BaseFeePolicy::Zero)
}

/// Another transaction of sender 1 with nonce 0 that offers nothing.
fn other(number: u64) -> callboard_chain::Transaction {
    // The gas limit is not looked at; this one says which.
    let mut to = sender(1);
    to.0[0] = u8::try_from(number).expect("few");
    alloy_consensus::SignableTransaction::into_signed(
        alloy_consensus::TxEip1559 { chain_id: 1337, to: to.into(), gas_limit: 21_000, ..Default::default() },
        alloy_primitives::Signature::test_signature(),
    )
    .into()
}

#[test]
fn where_gas_is_free_an_equal_offer_replaces_what_was_held_for_some_time() {
    let mut pool = zero();
    pool.on_submit(NOW, free(1, 0), sender(1), BROKE).expect("the first");
    let error = pool.on_submit(NOW + EQUAL_AFTER - A_MOMENT, other(7), sender(1), BROKE).expect_err("too soon");
    let text = error.to_string();
    assert!(text.starts_with("replacement transaction underpriced: maxFeePerGas 0"), "{text}");
    assert!(text.ends_with("; an offer as high as the old one is taken in 1 s"), "{text}");
    assert!(error.is_passing(), "a follower keeps it, and brings it again");

    let effects = pool.on_submit(NOW + EQUAL_AFTER, other(7), sender(1), BROKE).expect("now it is");
    let by = Some(*other(7).hash());
    assert!(matches!(&effects[0], Effect::Dropped { reason: DropReason::Replaced, by: found, .. } if *found == by));
}

#[test]
fn a_lower_offer_never_replaces_and_where_gas_has_a_price_an_equal_one_does_not_either() {
    for (policy, old, new) in [(BaseFeePolicy::Zero, 5, 4), (BaseFeePolicy::Eip1559, 5, 5)] {
        let mut pool = State::new(PoolConfig::default(), policy);
        pool.on_submit(NOW, transaction(1, 0, old, old, 0), sender(1), RICH).expect("the first");
        let late = NOW + 2 * EQUAL_AFTER;
        let error = pool.on_submit(late, transaction(1, 0, new, new, 1), sender(1), RICH).expect_err("not enough");
        assert!(matches!(error, PoolError::Underpriced { equal: EqualOffer::Never, .. }), "{error}");
        assert!(!error.is_passing());
    }
}

#[test]
fn a_nonce_changes_hands_for_an_equal_offer_a_few_times_only() {
    let mut pool = zero();
    pool.on_submit(NOW, free(1, 0), sender(1), BROKE).expect("the first");
    let mut now = NOW;
    for number in 0..u64::from(EQUAL_OFFERS) {
        now += EQUAL_AFTER;
        pool.on_submit(now, other(number), sender(1), BROKE).expect("an equal offer");
    }
    now += EQUAL_AFTER;
    let error = pool.on_submit(now, other(99), sender(1), BROKE).expect_err("too often");
    assert!(matches!(error, PoolError::Underpriced { equal: EqualOffer::UsedUp, .. }), "{error}");
    assert!(!error.is_passing() && error.to_string().ends_with("too often"), "{error}");
    // More is still more, and does not make it forget.
    pool.on_submit(now, transaction(1, 0, 1, 1, 0), sender(1), RICH).expect("it offers more");
    now += EQUAL_AFTER;
    assert!(pool.on_submit(now, transaction(1, 0, 1, 1, 9), sender(1), RICH).is_err());
}

#[test]
fn what_the_operator_dropped_stays_out_until_its_time_is_over_or_it_is_sent_here() {
    let ttl = PoolConfig::default().ttl;
    let hash = *free(1, 0).hash();
    let dropped = || {
        let mut pool = zero();
        pool.on_submit(NOW, free(1, 0), sender(1), RICH).expect("valid");
        pool.on_drop(NOW, hash, DropReason::Operator, None).expect("it was there");
        pool
    };
    let mut pool = dropped();
    let error = pool.check_barred(NOW + ttl - A_MOMENT, &hash, Origin::Peer).expect_err("it is kept out");
    assert_eq!((&error, error.is_passing()), (&PoolError::DroppedByOperator, false));
    assert_eq!(pool.check_barred(NOW + ttl, &hash, Origin::Peer), Ok(()));

    let mut pool = dropped();
    assert_eq!(pool.check_barred(NOW, &hash, Origin::Rpc), Ok(()));
    assert_eq!(pool.check_barred(NOW, &hash, Origin::Peer), Ok(()), "whoever brings it back");
}

#[test]
fn what_failed_in_a_block_stays_out_for_a_minute_with_the_reason() {
    let hash = *free(1, 0).hash();
    let mut pool = zero();
    pool.on_submit(NOW, free(1, 0), sender(1), RICH).expect("valid");
    pool.on_drop(NOW, hash, DropReason::Invalid, Some("it has code")).expect("it was there");
    let error = pool.check_barred(NOW + INVALID_FOR - A_MOMENT, &hash, Origin::Peer).expect_err("kept out");
    assert!(error.to_string().ends_with("when a block was built: it has code"), "{error}");
    assert!(!error.is_passing(), "a follower does not bring it again");
    assert_eq!(pool.check_barred(NOW + INVALID_FOR, &hash, Origin::Peer), Ok(()));
}

#[test]
fn neither_expiry_nor_a_flood_of_failures_lets_in_what_the_operator_dropped() {
    let hash = *free(1, 0).hash();
    let mut pool = zero();
    pool.on_submit(NOW, free(1, 0), sender(1), RICH).expect("valid");
    pool.on_drop(NOW, hash, DropReason::Operator, None).expect("it was there");
    for nonce in 0..=REMEMBERED as u64 {
        let account = AccountState { nonce, ..RICH };
        pool.on_submit(NOW, free(2, nonce), sender(2), account).expect("valid");
        pool.on_drop(NOW, *free(2, nonce).hash(), DropReason::Invalid, Some("why")).expect("it was there");
    }
    assert_eq!(pool.check_barred(NOW, &hash, Origin::Peer), Err(PoolError::DroppedByOperator));
    assert_eq!(pool.check_barred(NOW, free(2, 0).hash(), Origin::Peer), Ok(()), "the oldest failure gave way");
}

#[test]
fn a_moment_in_which_others_hold_all_there_is_room_for_is_no_refusal_for_good() {
    let of = |limit| PoolError::Unfunded { sender: sender(1), limit };
    assert!(of(1).is_passing());
    assert!(!of(0).is_passing(), "this node takes none at all");
}

#[test]
fn a_transaction_says_what_it_waits_for() {
    let mut pool = zero();
    let hash = |nonce, value| *transaction(1, nonce, 0, 0, value).hash();
    let account = AccountState { nonce: 5, balance: U256::from(10) };
    for (nonce, value) in [(5, 4), (6, 4), (10, 0), (13, 1)] {
        pool.on_submit(NOW, transaction(1, nonce, 0, 0, value), sender(1), account).expect("held");
    }
    assert_eq!(pool.waiting(&hash(6, 4)), Some(Waiting::Ready));
    assert_eq!(pool.waiting(&hash(10, 0)), Some(Waiting::Nonces { missing: vec![7..=9] }));
    assert_eq!(pool.waiting(&hash(13, 1)), Some(Waiting::Nonces { missing: vec![7..=9, 11..=12] }));
    pool.on_accounts(&[(sender(1), AccountState { nonce: 5, balance: U256::from(7) })], &Included::new());
    let funds = Waiting::Funds { required: U256::from(8), balance: U256::from(7) };
    assert_eq!(pool.waiting(&hash(6, 4)), Some(funds));
    assert_eq!(pool.waiting(&B256::ZERO), None);
    for nonce in (20..60).step_by(2) {
        pool.on_submit(NOW, free(1, nonce), sender(1), account).expect("held");
    }
    let Some(Waiting::Nonces { missing }) = pool.waiting(free(1, 58).hash()) else { panic!("it waits for nonces") };
    assert_eq!((missing.len(), missing[0].clone()), (8, 7..=9));
}

#[test]
fn a_transaction_below_the_base_fee_waits_for_it_and_so_do_those_behind_it() {
    let mut pool = zero();
    let account = AccountState { nonce: 0, balance: U256::MAX };
    let caps = [(0, 9), (1, 7), (2, 9)].map(|(nonce, cap)| transaction(1, nonce, cap, 0, 0));
    for held in &caps {
        pool.on_submit(NOW, held.clone(), sender(1), account).expect("held");
    }
    let waiting = |pool: &State| caps.each_ref().map(|held| pool.waiting(held.hash()).expect("held"));
    pool.on_base_fee(7);
    assert_eq!(waiting(&pool), [Waiting::Ready, Waiting::Ready, Waiting::Ready]);
    pool.on_base_fee(8);
    let fee = || Waiting::BaseFee { nonce: 1, cap: 7, base_fee: 8 };
    assert_eq!(waiting(&pool), [Waiting::Ready, fee(), fee()]);
}
