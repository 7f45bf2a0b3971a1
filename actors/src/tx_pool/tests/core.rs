use crate::tx_pool::state::{Effect, Included, State};
use crate::tx_pool::{
    AccountState, BestTransactions, DropReason, PoolConfig, PoolError, PooledTransaction, UNFUNDED_PER_SENDER, Unfunded,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use callboard_chain::{BaseFeePolicy, Transaction};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) const NOW: Duration = Duration::from_secs(100);
const GAS: u64 = 21_000;
pub(super) const RICH: AccountState = AccountState { nonce: 0, balance: U256::MAX };

pub(super) fn sender(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

/// A transaction of `sender(byte)`; the pool takes the sender's word from its caller, so the signature is any.
pub(super) fn transaction(byte: u8, nonce: u64, cap: u128, tip: u128, value: u64) -> Transaction {
    let to = TxKind::Call(sender(byte));
    let value = U256::from(value);
    let (max_fee_per_gas, max_priority_fee_per_gas) = (cap, tip);
    TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to,
        value,
        ..Default::default()
    }
    .into_signed(Signature::test_signature())
    .into()
}

fn legacy(byte: u8, nonce: u64, gas_price: u128) -> Transaction {
    let to = TxKind::Call(sender(byte));
    TxLegacy { chain_id: Some(1337), nonce, gas_price, gas_limit: GAS, to, value: U256::ZERO, input: Bytes::new() }
        .into_signed(Signature::test_signature())
        .into()
}

pub(super) fn free(byte: u8, nonce: u64) -> Transaction {
    transaction(byte, nonce, 0, 0, 0)
}

/// A pool of a chain where gas has a price.
fn priced(config: PoolConfig) -> State {
    State::new(config, BaseFeePolicy::Eip1559)
}

fn pool() -> State {
    priced(PoolConfig::default())
}

/// What a block with this much room would be offered; shares are not looked at.
fn fill(pool: &State, gas: u64, bytes: usize, base_fee: u64) -> Vec<PooledTransaction> {
    pool.best(BestTransactions { gas, bytes, base_fee, block_gas: u64::MAX })
}

fn submit(pool: &mut State, byte: u8, transaction: Transaction) -> Result<Vec<Effect>, PoolError> {
    pool.on_submit(NOW, transaction, sender(byte), RICH)
}

fn dropped(effects: &[Effect]) -> Vec<(Address, u64, DropReason)> {
    let dropped = effects.iter().filter_map(|effect| match effect {
        Effect::Dropped { transaction, reason, .. } => Some((transaction.sender, transaction.nonce(), *reason)),
        Effect::Accepted { .. } => None,
    });
    dropped.collect()
}

fn order(best: &[PooledTransaction]) -> Vec<(u8, u64)> {
    best.iter().map(|pooled| (pooled.sender[0], pooled.nonce())).collect()
}

fn everything(pool: &State) -> Vec<(u8, u64)> {
    order(&fill(pool, u64::MAX, usize::MAX, 0))
}

#[test]
fn a_transaction_is_taken_once() {
    let mut pool = pool();
    let effects = submit(&mut pool, 1, free(1, 0)).expect("valid");
    assert!(matches!(&effects[..], [Effect::Accepted { transaction }] if transaction.nonce() == 0));
    let error = submit(&mut pool, 1, free(1, 0)).expect_err("known");
    assert_eq!((&error, error.to_string()), (&PoolError::AlreadyKnown, "already known".to_owned()));
    let hash = *free(1, 0).hash();
    assert_eq!(pool.transaction(hash).map(|pooled| pooled.sender), Some(sender(1)));
    assert_eq!((pool.status().pending, pool.status().queued), (1, 0));
}

#[test]
fn nonces_that_are_used_or_too_far_ahead_are_refused_by_name() {
    let mut pool = priced(PoolConfig { max_per_sender: 4, ..PoolConfig::default() });
    let account = AccountState { nonce: 7, ..RICH };
    let mut offer =
        |nonce| pool.on_submit(NOW, free(1, nonce), sender(1), account).map(drop).map_err(|e| e.to_string());
    assert_eq!(offer(6), Err("nonce too low: next nonce 7, tx nonce 6".to_owned()));
    assert_eq!(offer(10), Ok(()));
    assert_eq!(offer(11), Err("nonce too high: next nonce 7, tx nonce 11, at most 4 ahead are held".to_owned()));
}

#[test]
fn a_transaction_behind_a_nonce_gap_waits_until_the_gap_is_filled() {
    let mut pool = pool();
    submit(&mut pool, 1, free(1, 1)).expect("held");
    submit(&mut pool, 1, free(1, 3)).expect("held");
    assert_eq!((pool.status().pending, pool.status().queued), (0, 2));
    assert!(!pool.is_ready(sender(1)) && !pool.has_ready());
    assert_eq!((everything(&pool), pool.pending_nonce(sender(1), 0)), (vec![], 0));
    submit(&mut pool, 1, free(1, 0)).expect("fills the gap");
    assert_eq!((everything(&pool), pool.pending_nonce(sender(1), 0)), (vec![(1, 0), (1, 1)], 2));
    assert!(pool.is_ready(sender(1)) && pool.has_ready());
    let content = pool.content(Some(sender(1)));
    assert_eq!((order(&content.pending), order(&content.queued)), (vec![(1, 0), (1, 1)], vec![(1, 3)]));
    assert!(pool.content(Some(sender(2))).pending.is_empty());
}

#[test]
fn a_replacement_must_raise_both_fees_by_a_tenth() {
    // Old fee cap and tip, new fee cap and tip, taken?
    let cases = [
        (100, 100, 110, 110, true),
        (100, 100, 109, 110, false),
        (100, 100, 110, 109, false),
        (100, 10, 110, 11, true),
        (100, 10, 1_000, 10, false),
        (15, 15, 16, 16, false),
        (15, 15, 17, 17, true),
        (1, 1, 2, 2, true),
        (1, 1, 1, 1, false),
        (5, 0, 6, 0, false),
        (5, 0, 6, 1, true),
        (0, 0, 0, 0, false),
        (0, 0, 1, 0, false),
        (0, 0, 1, 1, true),
    ];
    for (cap, tip, new_cap, new_tip, taken) in cases {
        let mut pool = pool();
        submit(&mut pool, 1, transaction(1, 0, cap, tip, 1)).expect("the first");
        let answer = submit(&mut pool, 1, transaction(1, 0, new_cap, new_tip, 2));
        let case = format!("{cap}/{tip} by {new_cap}/{new_tip}");
        match answer {
            Ok(effects) => {
                assert!(taken, "{case} was taken");
                assert_eq!(dropped(&effects), [(sender(1), 0, DropReason::Replaced)]);
                assert_eq!(
                    fill(&pool, u64::MAX, usize::MAX, 0)[0].transaction.as_ref(),
                    &transaction(1, 0, new_cap, new_tip, 2)
                );
            }
            Err(error) => {
                assert!(!taken, "{case} was refused: {error}");
                assert!(error.to_string().starts_with("replacement transaction underpriced"), "{error}");
                assert_eq!(
                    fill(&pool, u64::MAX, usize::MAX, 0)[0].transaction.as_ref(),
                    &transaction(1, 0, cap, tip, 1)
                );
            }
        }
        assert_eq!(pool.status().pending, 1);
    }
}

#[test]
fn a_legacy_gas_price_counts_as_fee_cap_and_tip() {
    let mut pool = pool();
    submit(&mut pool, 1, legacy(1, 0, 100)).expect("the first");
    assert!(submit(&mut pool, 1, transaction(1, 0, 200, 100, 0)).is_err());
    assert!(submit(&mut pool, 1, legacy(1, 0, 110)).is_ok());
}

#[test]
fn the_balance_must_cover_all_earlier_transactions_as_well() {
    let mut pool = pool();
    let account = AccountState { nonce: 0, balance: U256::from(2 * GAS + 10) };
    let mut offer =
        |nonce, value| pool.on_submit(NOW, transaction(1, nonce, 1, 1, value), sender(1), account).map(drop);
    offer(0, 5).expect("covered");
    offer(1, 5).expect("covered together");
    let error = offer(2, 0).expect_err("not covered");
    assert_eq!(
        error.to_string(),
        format!(
            "insufficient funds for gas * price + value: address {} have {} want {}",
            sender(1),
            2 * GAS + 10,
            3 * GAS + 10
        )
    );
}

#[test]
fn senders_without_balance_are_held_as_the_policy_says() {
    let broke = AccountState::default();
    let config = |unfunded| PoolConfig { unfunded, max_transactions: 200, ..PoolConfig::default() };
    for (unfunded, of_one, of_all) in
        [(Unfunded::Refuse, 0, 0), (Unfunded::Limit, UNFUNDED_PER_SENDER, 20), (Unfunded::Accept, 30, 90)]
    {
        let mut pool = priced(config(unfunded));
        let mut taken = |byte| {
            (0..30)
                .filter(|nonce| match pool.on_submit(NOW, free(byte, *nonce), sender(byte), broke) {
                    Ok(_) => true,
                    Err(error) => {
                        assert!(error.to_string().starts_with("insufficient funds for transfer"), "{error}");
                        false
                    }
                })
                .count()
        };
        let one = taken(1);
        assert_eq!((one, one + taken(2) + taken(3)), (of_one, of_all), "{unfunded:?}");
        submit(&mut pool, 9, free(9, 0)).expect("funded senders are not limited");
    }
}

#[test]
fn a_sender_that_gets_funds_counts_as_unfunded_no_longer() {
    let mut pool = priced(PoolConfig { max_transactions: 10, ..PoolConfig::default() });
    let broke = AccountState::default();
    pool.on_submit(NOW, free(1, 0), sender(1), broke).expect("one is held");
    assert!(matches!(pool.on_submit(NOW, free(2, 0), sender(2), broke), Err(PoolError::Unfunded { limit: 1, .. })));
    pool.on_accounts(&[(sender(1), RICH)], &Included::new());
    pool.on_submit(NOW, free(2, 0), sender(2), broke).expect("there is room for one again");
}

#[test]
fn only_listed_senders_are_taken_where_there_is_a_list() {
    let mut pool = priced(PoolConfig { senders: [sender(1)].into(), ..PoolConfig::default() });
    submit(&mut pool, 1, free(1, 0)).expect("listed");
    assert_eq!(submit(&mut pool, 2, free(2, 0)).err(), Some(PoolError::SenderNotAllowed { sender: sender(2) }));
}

#[test]
fn one_sender_cannot_have_more_than_its_share() {
    let mut pool = priced(PoolConfig { max_per_sender: 2, ..PoolConfig::default() });
    let account = |nonce| AccountState { nonce, ..RICH };
    pool.on_submit(NOW, free(1, 0), sender(1), account(0)).expect("one");
    pool.on_submit(NOW, free(1, 1), sender(1), account(0)).expect("two");
    // The account has moved on, but the pool has not heard of the block yet.
    let error = pool.on_submit(NOW, free(1, 2), sender(1), account(1)).expect_err("three");
    assert_eq!(error, PoolError::SenderFull { sender: sender(1), limit: 2 });
    pool.on_submit(NOW, transaction(1, 1, 1, 1, 0), sender(1), account(1)).expect("a replacement takes no more");
}

fn full_of(transactions: &[(u8, u64, u128)]) -> State {
    let mut pool = priced(PoolConfig { max_transactions: transactions.len(), ..PoolConfig::default() });
    for (byte, nonce, fee) in transactions {
        submit(&mut pool, *byte, transaction(*byte, *nonce, *fee, *fee, 0)).expect("there is room");
    }
    pool
}

#[test]
fn a_full_pool_gives_up_what_is_worth_least() {
    // In the pool, the new one, who goes (nobody: the new one is refused).
    type Case<'a> = (&'a [(u8, u64, u128)], (u8, u64, u128), Option<(u8, u64)>);
    let cases: [Case<'_>; 9] = [
        (&[(1, 0, 0), (2, 0, 0)], (3, 0, 0), None),
        (&[(1, 0, 5), (2, 0, 9)], (3, 0, 6), Some((1, 0))),
        (&[(1, 0, 5), (2, 0, 9)], (3, 0, 5), None),
        (&[(1, 0, 0), (1, 1, 0), (2, 0, 0)], (3, 0, 0), Some((1, 1))),
        (&[(1, 0, 0), (1, 1, 0), (2, 0, 0)], (2, 1, 0), None),
        (&[(1, 1, 50), (2, 0, 1)], (3, 0, 1), Some((1, 1))),
        (&[(1, 0, 1), (2, 0, 1)], (3, 1, 50), None),
        (&[(1, 0, 1), (1, 1, 1)], (1, 2, 50), None),
        (&[(1, 0, 1), (2, 0, 2)], (1, 1, 3), Some((2, 0))),
    ];
    for (held, (byte, nonce, fee), goes) in cases {
        let mut pool = full_of(held);
        let before = pool.status();
        match submit(&mut pool, byte, transaction(byte, nonce, fee, fee, 0)) {
            Ok(effects) => {
                let expected: Vec<_> =
                    goes.map(|(byte, nonce)| (sender(byte), nonce, DropReason::Evicted)).into_iter().collect();
                assert_eq!(dropped(&effects), expected, "{held:?}");
            }
            Err(error) => {
                assert_eq!(goes, None, "{held:?}: {error}");
                assert!(matches!(error, PoolError::PoolFull { .. }), "{error}");
                assert_eq!(pool.status(), before, "a refusal changes nothing");
            }
        }
        assert_eq!(pool.status().pending + pool.status().queued, held.len());
    }
}

#[test]
fn a_replacement_needs_no_room_in_a_full_pool() {
    let mut pool = full_of(&[(1, 0, 1), (2, 0, 9)]);
    let effects = submit(&mut pool, 1, transaction(1, 0, 2, 2, 0)).expect("replaces");
    assert_eq!(dropped(&effects), [(sender(1), 0, DropReason::Replaced)]);
}

#[test]
fn the_pool_is_bounded_in_bytes() {
    let bytes = PooledTransaction::new(transaction(1, 0, 1, 1, 0), sender(1), 0, NOW).bytes;
    let mut pool = priced(PoolConfig { max_bytes: 2 * bytes, ..PoolConfig::default() });
    submit(&mut pool, 1, transaction(1, 0, 1, 1, 0)).expect("room");
    submit(&mut pool, 2, transaction(2, 0, 1, 1, 0)).expect("room");
    assert_eq!(pool.status().bytes, 2 * bytes);
    let error = submit(&mut pool, 3, transaction(3, 0, 1, 1, 0)).expect_err("full");
    assert_eq!(error, PoolError::PoolFull { transactions: 2, bytes: 2 * bytes });
    submit(&mut pool, 3, transaction(3, 0, 2, 2, 0)).expect("worth more");
    assert_eq!(pool.status().bytes, 2 * bytes);
}

#[test]
fn what_no_block_took_is_dropped_after_its_time() {
    let mut pool = priced(PoolConfig { ttl: Duration::from_secs(10), ..PoolConfig::default() });
    let at = |seconds| NOW + Duration::from_secs(seconds);
    pool.on_submit(at(0), free(1, 0), sender(1), RICH).expect("valid");
    pool.on_submit(at(5), free(1, 1), sender(1), RICH).expect("valid");
    assert!(pool.on_tick(at(9)).is_empty());
    assert_eq!(dropped(&pool.on_tick(at(10))), [(sender(1), 0, DropReason::Expired)]);
    assert_eq!(dropped(&pool.on_tick(at(15))), [(sender(1), 1, DropReason::Expired)]);
    assert_eq!(pool.status(), Default::default());
}

#[test]
fn where_gas_is_free_senders_take_turns_in_the_order_of_arrival() {
    let mut pool = pool();
    for (byte, nonce) in [(7, 0), (7, 1), (7, 2), (3, 1), (3, 0), (5, 0)] {
        submit(&mut pool, byte, free(byte, nonce)).expect("valid");
    }
    assert_eq!(everything(&pool), [(7, 0), (3, 0), (5, 0), (7, 1), (3, 1), (7, 2)]);
}

#[test]
fn the_highest_tip_at_the_base_fee_comes_first_but_never_before_the_senders_earlier_ones() {
    let mut pool = pool();
    for (byte, nonce, cap, tip) in [(1, 0, 20, 1), (1, 1, 90, 50), (2, 0, 30, 30), (3, 0, 16, 16), (4, 0, 9, 9)] {
        submit(&mut pool, byte, transaction(byte, nonce, cap, tip, 0)).expect("valid");
    }
    let best = |base_fee| order(&fill(&pool, u64::MAX, usize::MAX, base_fee));
    assert_eq!(best(0), [(2, 0), (3, 0), (4, 0), (1, 0), (1, 1)]);
    assert_eq!(best(10), [(2, 0), (3, 0), (1, 0), (1, 1)]);
    assert_eq!(best(25), [(2, 0)], "who does not pay the base fee holds up its own later ones");
}

#[test]
fn a_block_is_filled_within_its_gas_and_bytes() {
    let mut pool = pool();
    for (byte, nonce, fee) in [(1, 0, 9), (1, 1, 9), (2, 0, 5), (3, 0, 1)] {
        submit(&mut pool, byte, transaction(byte, nonce, fee, fee, 0)).expect("valid");
    }
    assert_eq!(order(&fill(&pool, 2 * GAS, usize::MAX, 0)), [(1, 0), (1, 1)]);
    assert_eq!(order(&fill(&pool, 2 * GAS - 1, usize::MAX, 0)), [(1, 0)]);
    let bytes: usize = fill(&pool, u64::MAX, usize::MAX, 0)[..3].iter().map(|pooled| pooled.bytes).sum();
    assert_eq!(order(&fill(&pool, u64::MAX, bytes, 0)), [(1, 0), (1, 1), (2, 0)]);
    assert!(fill(&pool, 0, 0, 0).is_empty());
    assert_eq!(pool.status().pending, 4, "asking takes nothing out");
}

#[test]
fn pending_nonce_never_goes_backwards_because_of_a_block() {
    let mut pool = pool();
    let nonce = |pool: &State, confirmed| pool.pending_nonce(sender(1), confirmed);
    for (next, expected) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        submit(&mut pool, 1, free(1, next)).expect("valid");
        assert_eq!(nonce(&pool, 0), expected);
    }
    let _being_built = fill(&pool, 2 * GAS, usize::MAX, 0);
    assert_eq!(nonce(&pool, 0), 4, "while a block is made");
    assert_eq!(nonce(&pool, 2), 4, "the block is durable, the pool has not heard of it");
    assert_eq!(nonce(&pool, 6), 6, "the block holds more of this sender than the pool ever did");
    let included = (0..2).map(|nonce| ((sender(1), nonce), *free(1, nonce).hash())).collect();
    let effects = pool.on_accounts(&[(sender(1), AccountState { nonce: 2, ..RICH })], &included);
    let gone = |nonce| (sender(1), nonce, DropReason::Included);
    assert_eq!(dropped(&effects), [gone(0), gone(1)]);
    assert_eq!(nonce(&pool, 2), 4, "the pool has heard");
    pool.on_submit(NOW, free(1, 4), sender(1), AccountState { nonce: 2, ..RICH }).expect("goes on");
    assert_eq!(nonce(&pool, 2), 5);
    pool.on_accounts(&[(sender(1), AccountState { nonce: 5, ..RICH })], &Included::new());
    assert_eq!(nonce(&pool, 5), 5);
    assert_eq!(pool.status(), Default::default());
}

#[test]
fn a_block_takes_out_what_can_no_longer_be_sent() {
    let mut pool = pool();
    for nonce in 0..4 {
        submit(&mut pool, 1, transaction(1, nonce, 0, 0, 10 * (nonce + 1))).expect("valid");
    }
    submit(&mut pool, 2, free(2, 0)).expect("valid");
    // Nonce 0 was used by another transaction; 35 wei are left for values of 20, 30 and 40.
    let account = AccountState { nonce: 1, balance: U256::from(35) };
    let effects = pool.on_accounts(&[(sender(1), account), (sender(8), RICH)], &Included::new());
    let expected = [(sender(1), 0, DropReason::NonceUsed), (sender(1), 3, DropReason::InsufficientFunds)];
    assert_eq!(dropped(&effects), expected);
    assert_eq!(everything(&pool), [(2, 0), (1, 1)], "a block has just served sender 1");
    assert_eq!((pool.status().pending, pool.status().queued), (2, 1), "nonce 2 waits for funds");
    pool.on_accounts(&[(sender(1), AccountState { nonce: 1, balance: U256::from(50) })], &Included::new());
    assert_eq!(pool.status().pending, 3);
}

#[test]
fn a_rollback_makes_earlier_nonces_valid_again() {
    let mut pool = pool();
    let at = |nonce| AccountState { nonce, ..RICH };
    pool.on_submit(NOW, free(1, 2), sender(1), at(2)).expect("valid");
    assert!(pool.on_accounts(&[(sender(1), at(0))], &Included::new()).is_empty());
    assert_eq!((everything(&pool), pool.pending_nonce(sender(1), 0)), (vec![], 0));
    for nonce in 0..2 {
        pool.on_submit(NOW, free(1, nonce), sender(1), at(0)).expect("comes back");
    }
    assert_eq!(everything(&pool), [(1, 0), (1, 1), (1, 2)]);
}

#[test]
fn a_transaction_can_be_taken_out_by_hash() {
    let mut pool = pool();
    submit(&mut pool, 1, free(1, 0)).expect("valid");
    let hash = *free(1, 0).hash();
    let effect = pool.on_drop(NOW, hash, DropReason::Operator, None).expect("it was there");
    assert_eq!(dropped(&[effect]), [(sender(1), 0, DropReason::Operator)]);
    assert!(pool.on_drop(NOW, hash, DropReason::Operator, None).is_none());
    assert!(pool.on_drop(NOW, B256::ZERO, DropReason::Invalid, None).is_none());
}

/// What the pool holds is what it has seen: nothing else keeps a transaction from being taken.
#[test]
fn transaction_that_left_the_pool_is_taken_and_routed_again_when_it_is_resent() {
    let config = PoolConfig { max_transactions: 1, ttl: Duration::from_secs(10), ..PoolConfig::default() };
    let resent = || transaction(1, 0, 1, 1, 0);
    type Leave = fn(&mut State) -> Vec<Effect>;
    let ways: [(DropReason, Leave); 5] = [
        (DropReason::Evicted, |pool| submit(pool, 2, transaction(2, 0, 9, 9, 0)).expect("worth more")),
        (DropReason::Expired, |pool| pool.on_tick(NOW + Duration::from_secs(10))),
        (DropReason::RefusedByAuthority, |pool| {
            let hash = *transaction(1, 0, 1, 1, 0).hash();
            pool.on_drop(NOW, hash, DropReason::RefusedByAuthority, None).into_iter().collect()
        }),
        (DropReason::InsufficientFunds, |pool| {
            pool.on_accounts(&[(sender(1), AccountState::default())], &Included::new())
        }),
        (DropReason::Replaced, |pool| submit(pool, 1, transaction(1, 0, 9, 9, 0)).expect("offers more")),
    ];
    for (reason, leave) in ways {
        let mut pool = priced(config.clone());
        submit(&mut pool, 1, resent()).expect("valid");
        assert!(pool.holds(resent().hash()));
        assert_eq!(dropped(&leave(&mut pool)), [(sender(1), 0, reason)]);
        assert!(!pool.holds(resent().hash()));
        // What took its place goes away, too.
        let others: Vec<_> = fill(&pool, u64::MAX, usize::MAX, 0).iter().map(PooledTransaction::hash).collect();
        others.into_iter().for_each(|hash| _ = pool.on_drop(NOW, hash, DropReason::Included, None));
        let effects = submit(&mut pool, 1, resent()).expect("taken again");
        assert!(matches!(&effects[..], [Effect::Accepted { transaction }] if transaction.hash() == *resent().hash()));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Submit { byte: u8, nonce: u64, fee: u128, value: u64 },
    Block { byte: u8, used: u64, balance: u64 },
    Tick { seconds: u64 },
    Drop { byte: u8, nonce: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..6u8, 0..8u64, 0..4u128, 0..3u64)
            .prop_map(|(byte, nonce, fee, value)| Step::Submit { byte, nonce, fee, value }),
        2 => (1..6u8, 0..3u64, 0..200_000u64).prop_map(|(byte, used, balance)| Step::Block { byte, used, balance }),
        1 => (0..6u64).prop_map(|seconds| Step::Tick { seconds }),
        1 => (1..6u8, 0..8u64).prop_map(|(byte, nonce)| Step::Drop { byte, nonce }),
    ]
}

proptest! {
    #[test]
    fn limits_and_order_hold_whatever_happens(
        steps in proptest::collection::vec(step(), 1..120),
        zero in any::<bool>(),
    ) {
        let config = PoolConfig {
            max_transactions: 12, max_bytes: 1_000, max_per_sender: 5, ttl: Duration::from_secs(20),
            ..PoolConfig::default()
        };
        let policy = if zero { BaseFeePolicy::Zero } else { BaseFeePolicy::Eip1559 };
        let mut pool = State::new(config.clone(), policy);
        let mut accounts: BTreeMap<u8, AccountState> =
            (1..6).map(|byte| (byte, AccountState { nonce: 0, balance: U256::from(u64::from(byte - 1) * 50_000) })).collect();
        let mut now = NOW;
        // Every transaction that came in and has not gone out.
        let mut held: BTreeSet<B256> = BTreeSet::new();
        for step in steps {
            let effects = match step {
                Step::Submit { byte, nonce, fee, value } => {
                    let before = pool.status();
                    let transaction = transaction(byte, nonce, fee, fee, value);
                    let answer = pool.on_submit(now, transaction, sender(byte), accounts[&byte]);
                    prop_assert!(answer.is_ok() || pool.status() == before);
                    answer.unwrap_or_default()
                }
                Step::Block { byte, used, balance } => {
                    let pending = pool.pending_nonce(sender(byte), accounts[&byte].nonce);
                    let account = accounts.get_mut(&byte).expect("one of five");
                    account.nonce = (account.nonce + used).min(pending);
                    account.balance = account.balance.max(U256::from(balance));
                    prop_assert_eq!(pool.pending_nonce(sender(byte), account.nonce), pending);
                    let effects = pool.on_accounts(&[(sender(byte), *account)], &Included::new());
                    prop_assert_eq!(pool.pending_nonce(sender(byte), account.nonce), pending);
                    effects
                }
                Step::Tick { seconds } => {
                    now += Duration::from_secs(seconds);
                    pool.on_tick(now)
                }
                Step::Drop { byte, nonce } => {
                    pool.on_drop(now, *free(byte, nonce).hash(), DropReason::Operator, None).into_iter().collect()
                }
            };
            for effect in effects {
                match effect {
                    Effect::Accepted { transaction } => prop_assert!(held.insert(transaction.hash())),
                    Effect::Dropped { transaction, .. } => prop_assert!(held.remove(&transaction.hash())),
                }
            }
            check(&pool, &config, &held, &accounts)?;
        }
    }
}

fn check(
    pool: &State,
    config: &PoolConfig,
    held: &BTreeSet<B256>,
    accounts: &BTreeMap<u8, AccountState>,
) -> Result<(), TestCaseError> {
    let (status, content) = (pool.status(), pool.content(None));
    prop_assert_eq!(status.pending + status.queued, held.len());
    prop_assert!(held.len() <= config.max_transactions && status.bytes <= config.max_bytes);
    let all: Vec<_> = content.pending.iter().chain(&content.queued).collect();
    prop_assert_eq!(all.iter().map(|pooled| pooled.bytes).sum::<usize>(), status.bytes);
    prop_assert!(all.iter().all(|pooled| held.contains(&pooled.hash())));
    prop_assert_eq!(content.pending.len(), status.pending);
    pool.check_counts();
    let best = fill(pool, u64::MAX, usize::MAX, 0);
    prop_assert_eq!(best.len(), status.pending);
    for (byte, account) in accounts {
        let mine: Vec<_> = best.iter().filter(|pooled| pooled.sender == sender(*byte)).collect();
        prop_assert!(mine.len() <= config.max_per_sender);
        prop_assert!(mine.iter().map(|pooled| pooled.nonce()).eq((account.nonce..).take(mine.len())));
        prop_assert!(mine.iter().map(|pooled| pooled.cost).sum::<U256>() <= account.balance);
    }
    Ok(())
}
