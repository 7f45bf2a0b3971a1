//! Calls, estimates, access lists and overrides.

use crate::memory::{Described, MemoryState};
use crate::support::*;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use callboard_chain::Hardfork;
use callboard_chain::execution::{
    AccountOverride, BlockContext, BlockExecutor, BlockOverrides, CallError, CallLimits, CallOutcome, CallRequest,
    EstimateError, InvalidTransaction, Outcome, OverriddenState, OverrideError, call, create_access_list, estimate_gas,
    revert_reason,
};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

const LIMITS: CallLimits<'static> = CallLimits { gas: 50_000_000, expired: &|| false };

fn to_contract() -> CallRequest {
    CallRequest { from: ALICE, to: Some(CONTRACT), ..CallRequest::default() }
}

fn run(state: &MemoryState, request: &CallRequest) -> Result<CallOutcome, CallError> {
    call(state, context(Hardfork::Osaka), request, LIMITS)
}

/// What a call of code that returns one word returned.
fn word(state: &MemoryState, request: &CallRequest) -> U256 {
    success(run(state, request).expect("the call runs"))
}

fn success(outcome: CallOutcome) -> U256 {
    match outcome.outcome {
        Outcome::Success { output } => U256::from_be_slice(&output),
        other => panic!("not a success: {other:?}"),
    }
}

fn invalid(result: Result<CallOutcome, CallError>) -> InvalidTransaction {
    match result {
        Err(CallError::Invalid(invalid)) => invalid,
        other => panic!("expected a refusal, not {other:?}"),
    }
}

fn estimate(state: &MemoryState, request: &CallRequest) -> Result<u64, EstimateError> {
    estimate_gas(state, context(Hardfork::Osaka), request, LIMITS)
}

#[test]
fn call_without_a_price_sees_no_base_fee() {
    let state = state([(CONTRACT, with_code(&returning("48")))]);
    assert_eq!(word(&state, &to_contract()), U256::ZERO);
    let priced = CallRequest { gas_price: Some(7), gas: Some(100_000), ..to_contract() };
    assert_eq!(word(&state, &priced), U256::from(BASE_FEE));
    let zero = CallRequest { max_fee_per_gas: Some(0), max_priority_fee_per_gas: Some(0), ..to_contract() };
    assert_eq!(word(&state, &zero), U256::ZERO);
}

#[test]
fn price_below_the_base_fee_is_refused_in_calls_too() {
    let state = state([(CONTRACT, with_code(LOG))]);
    let cheap = invalid(run(&state, &CallRequest { gas_price: Some(6), ..to_contract() }));
    assert_eq!(cheap, InvalidTransaction::FeeBelowBaseFee { max_fee: 6, base_fee: BASE_FEE });
    let tip = CallRequest { max_priority_fee_per_gas: Some(1), ..to_contract() };
    assert_eq!(invalid(run(&state, &tip)), InvalidTransaction::TipAboveFee { tip: 1, max_fee: 0 });
    let both = CallRequest { gas_price: Some(9), max_fee_per_gas: Some(9), ..to_contract() };
    assert!(matches!(run(&state, &both), Err(CallError::ConflictingFees)));
}

#[test]
fn price_a_sender_pays_is_the_tip_above_the_base_fee() {
    let state = state([(CONTRACT, with_code(&returning("3a")))]);
    let dynamic = CallRequest { max_fee_per_gas: Some(50), max_priority_fee_per_gas: Some(3), ..to_contract() };
    assert_eq!(word(&state, &dynamic), U256::from(BASE_FEE + 3));
}

#[test]
fn call_is_not_bound_by_nonce_code_or_the_hardforks_gas_cap() {
    // A contract calls, with more gas than a transaction may have.
    let state = state([(CONTRACT, with_code(&returning("5a"))), (OTHER_CONTRACT, with_code(LOG))]);
    let request = CallRequest { from: OTHER_CONTRACT, ..to_contract() };
    let gas = word(&state, &request);
    assert!(gas > U256::from(49_000_000) && gas < U256::from(50_000_000), "{gas}");
    let greedy = CallRequest { gas: Some(u64::MAX), ..request.clone() };
    assert_eq!(word(&state, &greedy), gas);
    let modest = CallRequest { gas: Some(30_000), ..request };
    assert!(word(&state, &modest) < U256::from(30_000));
}

#[test]
fn call_moves_no_more_than_the_sender_has() {
    let state = state([(CONTRACT, with_code(&returning("47")))]);
    let all = CallRequest { value: U256::from(ETHER), ..to_contract() };
    assert_eq!(word(&state, &all), U256::from(ETHER));
    let more = CallRequest { value: U256::from(ETHER + 1), ..to_contract() };
    let refusal = invalid(run(&state, &more));
    assert!(matches!(refusal, InvalidTransaction::InsufficientFunds { .. }), "{refusal}");
}

#[test]
fn revert_reasons_are_read() {
    let output = solidity_error("too late");
    let state = state([(CONTRACT, with_code(&reverting(&output)))]);
    let outcome = run(&state, &to_contract()).expect("the call runs").outcome;
    assert_eq!(outcome, Outcome::Revert { output: output.clone().into() });
    assert_eq!(revert_reason(&output).as_deref(), Some("too late"));

    let mut panic = vec![0x4e, 0x48, 0x7b, 0x71];
    panic.extend(U256::from(0x12).to_be_bytes::<32>());
    assert_eq!(revert_reason(&panic).as_deref(), Some("division or modulo by zero"));
    panic.truncate(30);
    assert_eq!(revert_reason(&panic), None);
}

#[test]
fn revert_reason_of_hostile_output_is_none() {
    let mut offset = solidity_error("x");
    offset[4..36].fill(0xff);
    let mut length = solidity_error("x");
    length[36..68].fill(0xff);
    let mut barely_too_long = solidity_error("x");
    barely_too_long[67] = 33;
    for output in [&offset[..], &length, &barely_too_long, &offset[..3], &[], &length[..4], &length[..36]] {
        assert_eq!(revert_reason(output), None);
    }
}

#[test]
fn call_ends_when_its_time_is_up() {
    let state = state([(CONTRACT, with_code(&calling(OTHER_CONTRACT))), (OTHER_CONTRACT, with_code(LOOP))]);
    let looks = Cell::new(0);
    let expired = || {
        looks.set(looks.get() + 1);
        looks.get() > 3
    };
    let limits = CallLimits { gas: u64::MAX / 2, expired: &expired };
    let result = call(&state, context(Hardfork::Osaka), &to_contract(), limits);
    assert!(matches!(result, Err(CallError::TimedOut)), "{result:?}");
    let estimated = estimate_gas(&state, context(Hardfork::Osaka), &to_contract(), limits);
    assert!(matches!(estimated, Err(EstimateError::Call(CallError::TimedOut))), "{estimated:?}");
}

#[test]
fn call_that_runs_out_of_gas_says_so() {
    let state = state([(CONTRACT, with_code(LOOP))]);
    let outcome = run(&state, &CallRequest { gas: Some(100_000), ..to_contract() }).expect("the call runs");
    let Outcome::Halt { reason } = outcome.outcome else { panic!("not a halt") };
    assert_eq!(reason.to_string(), "out of gas");
    assert_eq!(outcome.gas_used, 100_000);
}

#[test]
fn requests_that_make_no_transaction_are_refused() {
    let state = state([]);
    let elsewhere = CallRequest { chain_id: Some(1), ..to_contract() };
    assert!(invalid(run(&state, &elsewhere)).to_string().starts_with("invalid chain id for signer"));
    let little = CallRequest { gas: Some(20_000), ..to_contract() };
    assert!(invalid(run(&state, &little)).to_string().starts_with("intrinsic gas too low"));
    let key = callboard_chain::SecretKey::from_bytes([7; 32]).expect("a key");
    let nowhere = CallRequest { to: None, authorization_list: vec![authorize(&key, BOB, 0)], ..to_contract() };
    assert!(matches!(run(&state, &nowhere), Err(CallError::AuthorizationsWithoutRecipient)));
}

#[test]
fn call_can_set_delegations_first() {
    let key = callboard_chain::SecretKey::from_bytes([7; 32]).expect("a key");
    let state = state([(CONTRACT, with_code(&returning("602a")))]);
    let delegated = CallRequest {
        to: Some(key.address()),
        authorization_list: vec![authorize(&key, CONTRACT, 0)],
        ..to_contract()
    };
    assert_eq!(word(&state, &delegated), U256::from(42));
}

#[test]
fn creation_can_be_called() {
    let outcome = run(&state([]), &CallRequest { to: None, data: code(&deploying(LOG)), ..to_contract() });
    let outcome = outcome.expect("the call runs");
    assert_eq!(outcome.contract_address, Some(ALICE.create(0)));
    assert_eq!(outcome.outcome, Outcome::Success { output: code(LOG) });
}

#[test]
fn estimate_of_a_transfer_is_exact() {
    let transfer = CallRequest { from: ALICE, to: Some(BOB), value: U256::from(1), ..CallRequest::default() };
    assert_eq!(estimate(&state([]), &transfer).expect("an estimate"), 21_000);
}

/// Whether the call succeeds as a real transaction with this gas limit.
fn suffices(state: &MemoryState, gas_limit: u64) -> bool {
    let mut executor = BlockExecutor::new(state, context(Hardfork::Osaka)).expect("the block begins");
    let transaction = legacy(|transaction| {
        transaction.to = TxKind::Call(CONTRACT);
        transaction.gas_limit = gas_limit;
    });
    executor.execute(&transaction, ALICE).expect("it runs").outcome.is_success()
}

#[test]
fn estimate_covers_the_gas_that_each_call_keeps_back() {
    // Three calls deep, each passing on 63/64 of what it has.
    let (second, third) = (Address::repeat_byte(2), Address::repeat_byte(3));
    let state = state([
        (CONTRACT, with_code(&calling(second))),
        (second, with_code(&calling(third))),
        (third, with_code(&calling(OTHER_CONTRACT))),
        (OTHER_CONTRACT, with_code(WRITE_FIVE_SLOTS)),
    ]);
    let used = run(&state, &to_contract()).expect("the call runs").gas_used;
    assert!(!suffices(&state, used), "the case is too easy");
    let estimated = estimate(&state, &to_contract()).expect("an estimate");
    assert!(suffices(&state, estimated));
    assert!(!suffices(&state, estimated - estimated * 2 / 100), "{estimated} is far more than needed");
}

#[test]
fn estimate_names_the_revert() {
    let state = state([(CONTRACT, with_code(&reverting(&solidity_error("closed"))))]);
    let error = estimate(&state, &to_contract()).expect_err("it reverts");
    assert_eq!(error.to_string(), "execution reverted: closed");
    let silent = crate::support::state([(CONTRACT, with_code("5f5ffd"))]);
    assert_eq!(estimate(&silent, &to_contract()).expect_err("it reverts").to_string(), "execution reverted");
    let broken = crate::support::state([(CONTRACT, with_code("fe"))]);
    assert_eq!(estimate(&broken, &to_contract()).expect_err("it halts").to_string(), "invalid opcode");
}

#[test]
fn estimate_never_exceeds_what_a_transaction_may_have() {
    let state = state([(CONTRACT, with_code(LOOP))]);
    let allowance = |context: BlockContext, request: &CallRequest| match estimate_gas(&state, context, request, LIMITS)
        .expect_err("it needs more")
    {
        EstimateError::AllowanceExceeded { allowance } => allowance,
        other => panic!("{other}"),
    };
    assert_eq!(allowance(context(Hardfork::Osaka), &to_contract()), 16_777_216);
    assert_eq!(allowance(context(Hardfork::Prague), &to_contract()), 30_000_000);
    let small = BlockContext { gas_limit: 5_000_000, ..context(Hardfork::Osaka) };
    assert_eq!(allowance(small, &to_contract()), 5_000_000);
    let asked = CallRequest { gas: Some(90_000), ..to_contract() };
    assert_eq!(allowance(context(Hardfork::Osaka), &asked), 90_000);
    // Alice can pay for this much, and no more.
    let dear = CallRequest { gas_price: Some(ETHER / 1_000_000), ..to_contract() };
    assert_eq!(allowance(context(Hardfork::Osaka), &dear), 1_000_000);
    let tiny = BlockContext { gas_limit: 20_000, ..context(Hardfork::Osaka) };
    assert_eq!(allowance(tiny, &to_contract()), 20_000);
}

#[test]
fn state_overrides_take_the_place_of_stored_values() {
    let storage = vec![(U256::ZERO, U256::from(10)), (U256::from(1), U256::from(11))];
    // SLOAD(0) * 256 + SLOAD(1)
    let sum = returning("60015460005460081b01");
    let state = state([(CONTRACT, Described { storage, ..with_code(&sum) })]);
    let with = |change: AccountOverride| {
        let overridden = OverriddenState::new(&state, BTreeMap::from([(CONTRACT, change)])).expect("no contradiction");
        success(call(&overridden, context(Hardfork::Osaka), &to_contract(), LIMITS).expect("the call runs"))
    };
    let slots = HashMap::from([(U256::ZERO, U256::from(20))]);
    assert_eq!(with(AccountOverride::default()), U256::from(10 * 256 + 11));
    let diff = AccountOverride { state_diff: Some(slots.clone()), ..AccountOverride::default() };
    assert_eq!(with(diff), U256::from(20 * 256 + 11));
    let whole = AccountOverride { state: Some(slots.clone()), ..AccountOverride::default() };
    assert_eq!(with(whole), U256::from(20 * 256));
    let replaced = AccountOverride {
        balance: Some(U256::from(77)),
        code: Some(code(&returning("47"))),
        ..AccountOverride::default()
    };
    assert_eq!(with(replaced), U256::from(77));

    let both = AccountOverride { state: Some(slots.clone()), state_diff: Some(slots), ..AccountOverride::default() };
    let contradiction = OverriddenState::new(&state, BTreeMap::from([(CONTRACT, both)])).err();
    assert_eq!(contradiction, Some(OverrideError::StateAndStateDiff { address: CONTRACT }));
}

#[test]
fn overridden_nonce_moves_the_address_of_a_creation() {
    let state = state([]);
    let nonce = AccountOverride { nonce: Some(9), ..AccountOverride::default() };
    let overridden = OverriddenState::new(&state, BTreeMap::from([(ALICE, nonce)])).expect("no contradiction");
    let creation = CallRequest { from: ALICE, data: code(&deploying(LOG)), ..CallRequest::default() };
    let outcome = call(&overridden, context(Hardfork::Osaka), &creation, LIMITS).expect("the call runs");
    assert_eq!(outcome.contract_address, Some(ALICE.create(9)));
}

#[test]
fn block_overrides_are_what_the_code_sees() {
    let overrides = BlockOverrides {
        height: Some(1_000),
        timestamp: Some(2_000),
        gas_limit: Some(3_000),
        beneficiary: Some(BOB),
        mix_hash: Some(B256::with_last_byte(4)),
        base_fee: Some(5),
    };
    let seen = |code: &str, request: &CallRequest| {
        let state = state([(CONTRACT, with_code(&returning(code)))]);
        let overridden = OverriddenState::new(&state, BTreeMap::new()).expect("no contradiction");
        let context = overrides.apply(context(Hardfork::Osaka));
        success(call(&overridden, context, request, LIMITS).expect("the call runs"))
    };
    let free = to_contract();
    assert_eq!(seen("43", &free), U256::from(1_000));
    assert_eq!(seen("42", &free), U256::from(2_000));
    assert_eq!(seen("45", &free), U256::from(3_000));
    assert_eq!(seen("41", &free), U256::from_be_bytes(BOB.into_word().0));
    assert_eq!(seen("44", &free), U256::from(4));
    assert_eq!(seen("48", &CallRequest { gas_price: Some(6), ..free.clone() }), U256::from(5));
    // The hash of block 999, which does not exist.
    assert_eq!(seen("6103e740", &free), U256::ZERO);
}

#[test]
fn access_list_names_what_is_cold() {
    // CONTRACT reads the balance of OTHER_CONTRACT and its own slot 5, and calls the identity precompile.
    let other = alloy_primitives::hex::encode(OTHER_CONTRACT);
    let reads = format!("73{other}3160055f5f5f5f60045af1600554");
    let state = state([(CONTRACT, with_code(&reads)), (OTHER_CONTRACT, with_balance(1))]);
    let found = create_access_list(&state, context(Hardfork::Osaka), &to_contract(), LIMITS).expect("a list");

    let addresses: Vec<_> = found.access_list.iter().map(|item| item.address).collect();
    assert_eq!(addresses, vec![CONTRACT, OTHER_CONTRACT]);
    assert_eq!(found.access_list[0].storage_keys, vec![B256::with_last_byte(5)]);
    assert_eq!(found.access_list[1].storage_keys, Vec::<B256>::new());
    assert!(found.outcome.is_success());
    let listed = CallRequest { access_list: Some(found.access_list), ..to_contract() };
    assert_eq!(run(&state, &listed).expect("the call runs").gas_used, found.gas_used);
}

#[test]
fn access_list_leaves_out_what_the_transaction_creates() {
    // Init code that writes a slot and deploys nothing.
    let creation = CallRequest { from: ALICE, data: code("600160005500"), ..CallRequest::default() };
    let found = create_access_list(&state([]), context(Hardfork::Osaka), &creation, LIMITS).expect("a list");
    assert!(found.outcome.is_success());
    assert_eq!(found.access_list, AccessList::default());
}

#[test]
fn access_list_of_a_transfer_is_empty() {
    let transfer = CallRequest { from: ALICE, to: Some(BOB), value: U256::from(1), ..CallRequest::default() };
    let found = create_access_list(&state([]), context(Hardfork::Osaka), &transfer, LIMITS).expect("a list");
    assert_eq!(found.access_list, AccessList::default());
    assert_eq!(found.gas_used, 21_000);
}

#[test]
fn call_on_unreadable_code_is_no_refusal() {
    let mut state = state([(CONTRACT, with_code(LOG))]);
    state.code = BTreeMap::<B256, Bytes>::new();
    assert!(matches!(run(&state, &to_contract()), Err(CallError::State(_))));
    assert!(matches!(estimate(&state, &to_contract()), Err(EstimateError::Call(CallError::State(_)))));
}
