//! Transactions in blocks.

use crate::memory::{Described, MemoryState};
use crate::support::*;
use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, TxKind, U256, keccak256};
use callboard_chain::execution::{
    BlockContext, BlockExecutor, ExecuteError, Executed, InvalidTransaction, Outcome, TransactionOutcome, revert_reason,
};
use callboard_chain::{Account, Blame, BlockChanges, Hardfork, SecretKey, StateReadError, StateReader, Transaction};

fn run(state: &MemoryState, hardfork: Hardfork, transactions: &[Transaction]) -> (Vec<TransactionOutcome>, Executed) {
    let mut executor = BlockExecutor::new(state, context(hardfork)).expect("the block begins");
    let outcomes = transactions.iter().map(|transaction| executor.execute(transaction, ALICE).expect("it runs"));
    let outcomes = outcomes.collect();
    (outcomes, executor.finish().expect("the block ends"))
}

/// Expects a refusal, and that it leaves no trace.
fn refusal(state: &MemoryState, context: BlockContext, transaction: &Transaction) -> InvalidTransaction {
    let mut executor = BlockExecutor::new(state, context).expect("the block begins");
    let refusal = match executor.execute(transaction, ALICE) {
        Err(ExecuteError::Invalid(refusal)) => refusal,
        other => panic!("expected a refusal, not {other:?}"),
    };
    assert_eq!(executor.gas_used(), 0);
    let executed = executor.finish().expect("the block ends");
    assert_eq!((executed.changes, executed.receipts), (BlockChanges::default(), vec![]));
    refusal
}

fn account(changes: &BlockChanges, address: Address) -> (Option<Account>, Option<Account>) {
    let change = changes.accounts.iter().find(|change| change.address == address);
    let change = change.unwrap_or_else(|| panic!("{address} is not listed"));
    (change.before, change.after)
}

fn slot(changes: &BlockChanges, address: Address, slot: U256) -> Option<(U256, U256)> {
    let change = changes.storage.iter().find(|change| change.address == address && change.slot == slot)?;
    Some((change.before, change.after))
}

#[test]
fn transfer_burns_the_base_fee_and_tips_the_beneficiary() {
    let transfer = dynamic_fee(|transaction| {
        transaction.max_priority_fee_per_gas = 2;
        transaction.value = U256::from(1_000);
    });
    let (outcomes, executed) = run(&state([]), Hardfork::Osaka, &[transfer]);

    assert_eq!(outcomes[0].gas_used, 21_000);
    assert!(outcomes[0].outcome.is_success());
    let alice = account(&executed.changes, ALICE).1.expect("Alice is there");
    assert_eq!(alice.balance, U256::from(ETHER - 1_000 - 21_000 * 9));
    assert_eq!(alice.nonce, 1);
    let bob = Account { balance: U256::from(1_000), ..Account::default() };
    assert_eq!(account(&executed.changes, BOB), (None, Some(bob)));
    let authority = account(&executed.changes, AUTHORITY).1.expect("the authority is there");
    assert_eq!(authority.balance, U256::from(21_000 * 2));
    assert!(executed.changes.accounts.is_sorted_by_key(|change| change.address));
    assert_eq!(executed.changes.accounts.len(), 3);
}

#[test]
fn creation_stores_the_code_at_the_address_it_names() {
    let creation = legacy(|transaction| {
        transaction.to = TxKind::Create;
        transaction.input = code(&deploying(STORE_INPUT));
    });
    let (outcomes, executed) = run(&state([]), Hardfork::Osaka, &[creation]);

    let created = outcomes[0].contract_address.expect("a contract");
    assert_eq!(created, ALICE.create(0));
    let contract = account(&executed.changes, created).1.expect("the contract is there");
    assert_eq!((contract.nonce, contract.code_hash), (1, keccak256(code(STORE_INPUT))));
    assert_eq!(executed.changes.code, vec![(contract.code_hash, code(STORE_INPUT))]);
}

#[test]
fn logs_go_into_receipts_and_bloom() {
    let state = state([(CONTRACT, with_code(LOG))]);
    let calls = [calling_with(0, CONTRACT, U256::ZERO), calling_with(1, CONTRACT, U256::ZERO)];
    let (outcomes, executed) = run(&state, Hardfork::Osaka, &calls);

    let data = U256::from(42).to_be_bytes::<32>();
    let log = Log::new_unchecked(CONTRACT, vec![B256::with_last_byte(7)], data.into());
    assert_eq!(executed.receipts[1].logs, vec![log.clone()]);
    assert_eq!(executed.receipts[1].cumulative_gas_used, outcomes[0].gas_used + outcomes[1].gas_used);
    assert_eq!(executed.gas_used, outcomes[0].gas_used + outcomes[1].gas_used);
    assert_eq!(executed.logs_bloom, Bloom::from_iter([&log]));
}

#[test]
fn revert_keeps_fee_and_nonce_but_no_effects() {
    let output = solidity_error("not today");
    let state = state([(CONTRACT, with_code(&logging_and_reverting(&output)))]);
    let (outcomes, executed) = run(&state, Hardfork::Osaka, &[calling_with(0, CONTRACT, U256::ZERO)]);

    let Outcome::Revert { output } = &outcomes[0].outcome else { panic!("not a revert: {outcomes:?}") };
    assert_eq!(revert_reason(output).as_deref(), Some("not today"));
    assert!(!executed.receipts[0].success);
    assert_eq!(executed.receipts[0].logs, vec![]);
    let alice = account(&executed.changes, ALICE).1.expect("Alice is there");
    assert_eq!(alice.nonce, 1);
    assert_eq!(alice.balance, U256::from(ETHER - u128::from(BASE_FEE) * u128::from(outcomes[0].gas_used)));
    assert_eq!(executed.changes.accounts.len(), 1);
}

#[test]
fn out_of_gas_takes_all_gas() {
    let state = state([(CONTRACT, with_code(LOOP))]);
    let (outcomes, executed) = run(&state, Hardfork::Osaka, &[calling_with(0, CONTRACT, U256::ZERO)]);

    let Outcome::Halt { reason } = &outcomes[0].outcome else { panic!("not a halt: {outcomes:?}") };
    assert!(reason.is_out_of_gas());
    assert_eq!(reason.to_string(), "out of gas");
    assert_eq!(executed.gas_used, 1_000_000);
}

#[test]
fn authorized_account_runs_the_contract_over_its_own_storage() {
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let state = state([(CONTRACT, with_code(STORE_INPUT))]);
    let transaction = set_code(key.address(), authorize(&key, CONTRACT, 0), U256::from(5));
    let (outcomes, executed) = run(&state, Hardfork::Prague, &[transaction]);

    assert!(outcomes[0].outcome.is_success());
    let mut designator = vec![0xef, 0x01, 0x00];
    designator.extend(CONTRACT);
    let delegated = account(&executed.changes, key.address()).1.expect("the account is there");
    assert_eq!((delegated.nonce, delegated.code_hash), (1, keccak256(&designator)));
    assert_eq!(executed.changes.code, vec![(delegated.code_hash, Bytes::from(designator))]);
    assert_eq!(slot(&executed.changes, key.address(), U256::ZERO), Some((U256::ZERO, U256::from(5))));
}

#[test]
fn account_touched_while_empty_earlier_in_the_block_earns_no_authorization_refund() {
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let state = state([(CONTRACT, with_code(STORE_INPUT))]);
    let touch = legacy(|transaction| transaction.to = TxKind::Call(key.address()));
    let delegate = |nonce| {
        let mut list = set_code(BOB, authorize(&key, CONTRACT, 0), U256::ZERO);
        if let Transaction::Eip7702(signed) = &mut list {
            signed.tx_mut().nonce = nonce;
        }
        list
    };
    let (alone, _) = run(&state, Hardfork::Prague, &[delegate(0)]);
    let (after_touch, _) = run(&state, Hardfork::Prague, &[touch, delegate(1)]);
    assert_eq!(alone[0].gas_used, after_touch[1].gas_used);
}

#[test]
fn cancun_knows_no_authorizations() {
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let transaction = set_code(BOB, authorize(&key, CONTRACT, 0), U256::ZERO);
    let refusal = refusal(&state([]), context(Hardfork::Cancun), &transaction);
    assert_eq!(refusal, InvalidTransaction::TypeNotSupported { tx_type: 4, hardfork: Hardfork::Cancun });
    assert_eq!(refusal.to_string(), "transaction type not supported: type 4 under cancun");
}

fn system_contracts() -> MemoryState {
    let beacon_roots = Described { nonce: 1, code: eip4788::BEACON_ROOTS_CODE.clone(), ..Described::default() };
    let history = Described { nonce: 1, code: eip2935::HISTORY_STORAGE_CODE.clone(), ..Described::default() };
    state([(eip4788::BEACON_ROOTS_ADDRESS, beacon_roots), (eip2935::HISTORY_STORAGE_ADDRESS, history)])
}

#[test]
fn block_begins_with_the_system_calls_of_its_hardfork() {
    let state = system_contracts();
    let timestamp = U256::from(1_800_000_000u64);
    let parent_hash = U256::from_be_bytes(B256::repeat_byte(0x22).0);
    for hardfork in Hardfork::ALL {
        let (_, Executed { changes, gas_used, .. }) = run(&state, hardfork, &[]);
        let time_slot = slot(&changes, eip4788::BEACON_ROOTS_ADDRESS, timestamp % U256::from(8_191));
        assert_eq!(time_slot, Some((U256::ZERO, timestamp)), "{hardfork}");
        let hash_slot = slot(&changes, eip2935::HISTORY_STORAGE_ADDRESS, U256::from(299));
        let expected = (hardfork >= Hardfork::Prague).then_some((U256::ZERO, parent_hash));
        assert_eq!(hash_slot, expected, "{hardfork}");
        // Only the storage root of these accounts changes; they are listed for the trie.
        let (before, after) = account(&changes, eip4788::BEACON_ROOTS_ADDRESS);
        assert_eq!(before, after);
        assert_eq!(changes.accounts.len(), changes.storage.len());
        assert_eq!(gas_used, 0);
    }
}

#[test]
fn block_without_system_contracts_begins_without_a_trace() {
    let (_, executed) = run(&state([]), Hardfork::Osaka, &[]);
    assert_eq!(executed.changes, BlockChanges::default());
}

#[test]
fn system_call_has_thirty_million_gas_and_the_system_caller() {
    // slot 0: gas left, slot 1: caller
    let state = state([(eip4788::BEACON_ROOTS_ADDRESS, with_code("5a5f5533600155"))]);
    let (_, Executed { changes, .. }) = run(&state, Hardfork::Osaka, &[]);
    let written = |number| slot(&changes, eip4788::BEACON_ROOTS_ADDRESS, U256::from(number)).map(|(_, after)| after);
    assert_eq!(written(0), Some(U256::from(30_000_000 - 2)));
    assert_eq!(written(1), Some(eip4788::SYSTEM_ADDRESS.into_word().into()));
    assert_eq!(changes.accounts.len(), 1);
}

#[test]
fn nonce_gap_and_used_nonce_are_refused_without_a_trace() {
    let described = Described { nonce: 5, balance: U256::from(ETHER), ..Described::default() };
    let state = MemoryState::new([(ALICE, described)]);
    let with_nonce = |nonce| legacy(|transaction| transaction.nonce = nonce);

    let high = refusal(&state, context(Hardfork::Osaka), &with_nonce(7));
    assert_eq!(high, InvalidTransaction::NonceTooHigh { expected: 5, actual: 7 });
    assert!(high.to_string().starts_with("nonce too high"));
    let low = refusal(&state, context(Hardfork::Osaka), &with_nonce(4));
    assert_eq!(low.to_string(), "nonce too low: next nonce 5, tx nonce 4");
    assert_eq!(low.blame(), Blame::Nobody);
}

#[test]
fn what_the_sender_cannot_pay_is_refused() {
    let transfer = legacy(|transaction| {
        transaction.gas_limit = 21_000;
        transaction.value = U256::from(ETHER);
    });
    let refusal = refusal(&state([]), context(Hardfork::Osaka), &transfer);
    let required = U256::from(ETHER) + U256::from(21_000 * BASE_FEE);
    assert_eq!(refusal, InvalidTransaction::InsufficientFunds { required, balance: U256::from(ETHER) });
    assert!(refusal.to_string().starts_with("insufficient funds for gas * price + value"));
}

#[test]
fn stateless_rules_are_named() {
    type Change = fn(&mut alloy_consensus::TxLegacy);
    let cases: [(Change, &str); 6] = [
        (|tx| tx.chain_id = Some(1), "invalid chain id for signer"),
        (|tx| tx.gas_limit = 20_999, "intrinsic gas too low"),
        (|tx| tx.gas_limit = 16_777_217, "transaction gas limit too high"),
        (|tx| tx.gas_price = 6, "max fee per gas less than block base fee"),
        (|tx| tx.nonce = u64::MAX, "nonce has max value"),
        (
            |tx| {
                tx.to = TxKind::Create;
                tx.input = vec![0; 49_153].into();
            },
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
    ];
    for (change, text) in cases {
        let refusal = refusal(&state([]), context(Hardfork::Osaka), &legacy(change));
        assert!(refusal.to_string().starts_with(text), "{refusal}");
    }
    let tip = dynamic_fee(|transaction| transaction.max_priority_fee_per_gas = 101);
    let tip = refusal(&state([]), context(Hardfork::Osaka), &tip);
    assert_eq!(tip, InvalidTransaction::TipAboveFee { tip: 101, max_fee: 100 });
}

#[test]
fn sender_with_code_is_refused() {
    let described = Described { balance: U256::from(ETHER), code: code(LOG), ..Described::default() };
    let state = MemoryState::new([(ALICE, described)]);
    let refusal = refusal(&state, context(Hardfork::Osaka), &legacy(|_| {}));
    assert_eq!(refusal, InvalidTransaction::SenderHasCode { sender: ALICE });
}

#[test]
fn block_takes_no_more_gas_than_its_limit() {
    let state = state([]);
    let context = BlockContext { gas_limit: 50_000, ..context(Hardfork::Osaka) };
    let with_gas = |nonce, gas| {
        legacy(|transaction| {
            transaction.nonce = nonce;
            transaction.gas_limit = gas;
        })
    };
    let mut executor = BlockExecutor::new(&state, context).expect("the block begins");
    let above = executor.execute(&with_gas(0, 50_001), ALICE);
    let expected = InvalidTransaction::ExceedsBlockGasLimit { gas_limit: 50_001, block_gas_limit: 50_000 };
    assert!(matches!(above, Err(ExecuteError::Invalid(refusal)) if refusal == expected));
    executor.execute(&with_gas(0, 50_000), ALICE).expect("it runs");
    let full = executor.execute(&with_gas(1, 29_001), ALICE);
    assert!(matches!(full, Err(ExecuteError::BlockGasExhausted { gas_limit: 29_001, available: 29_000 })));
    executor.execute(&with_gas(1, 29_000), ALICE).expect("it runs");
    assert_eq!(executor.finish().expect("the block ends").gas_used, 42_000);
}

#[test]
fn executor_goes_on_after_a_refusal_as_if_it_had_not_been() {
    let state = state([(CONTRACT, with_code(STORE_INPUT))]);
    let good = [calling_with(0, CONTRACT, U256::from(1)), calling_with(1, CONTRACT, U256::from(2))];
    let (_, expected) = run(&state, Hardfork::Osaka, &good);

    let mut executor = BlockExecutor::new(&state, context(Hardfork::Osaka)).expect("the block begins");
    executor.execute(&good[0], ALICE).expect("it runs");
    assert!(matches!(executor.execute(&good[0], ALICE), Err(ExecuteError::Invalid(_))));
    assert!(matches!(executor.execute(&good[1], BOB), Err(ExecuteError::Invalid(_))));
    executor.execute(&good[1], ALICE).expect("it runs");
    assert_eq!(executor.finish().expect("the block ends"), expected);
}

#[test]
fn only_the_net_change_of_a_slot_is_listed() {
    let storage = vec![(U256::ZERO, U256::from(1))];
    let state = state([(CONTRACT, Described { storage, ..with_code(STORE_INPUT) })]);
    let back = [calling_with(0, CONTRACT, U256::from(2)), calling_with(1, CONTRACT, U256::from(1))];
    let (_, executed) = run(&state, Hardfork::Osaka, &back);
    assert_eq!(executed.changes.storage, vec![]);
    assert!(executed.changes.accounts.iter().all(|change| change.address != CONTRACT));

    let (_, executed) = run(&state, Hardfork::Osaka, &back[..1]);
    assert_eq!(slot(&executed.changes, CONTRACT, U256::ZERO), Some((U256::from(1), U256::from(2))));
}

#[test]
fn empty_account_that_is_touched_leaves_the_state_with_its_storage() {
    let storage = vec![(U256::from(3), U256::from(4)), (U256::from(5), U256::from(6))];
    let mut state = state([(BOB, Described { storage, ..Described::default() })]);
    let touch = legacy(|_| {});
    let (_, executed) = run(&state, Hardfork::Osaka, &[touch]);

    assert_eq!(account(&executed.changes, BOB).1, None);
    assert_eq!(slot(&executed.changes, BOB, U256::from(3)), Some((U256::from(4), U256::ZERO)));
    assert_eq!(slot(&executed.changes, BOB, U256::from(5)), Some((U256::from(6), U256::ZERO)));
    state.apply(executed.changes);
    assert!(state.storage.is_empty());
}

#[test]
fn account_that_left_the_state_comes_back_without_its_storage() {
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let storage = vec![(U256::from(3), U256::from(4))];
    // SLOAD(3) into slot 5
    let copy = with_code("60035460055500");
    let state = state([(CONTRACT, copy), (key.address(), Described { storage, ..Described::default() })]);
    let touch = legacy(|transaction| transaction.to = TxKind::Call(key.address()));
    let mut delegate = set_code(key.address(), authorize(&key, CONTRACT, 0), U256::ZERO);
    if let Transaction::Eip7702(signed) = &mut delegate {
        signed.tx_mut().nonce = 1;
    }
    let (outcomes, executed) = run(&state, Hardfork::Prague, &[touch, delegate]);

    assert!(outcomes[1].outcome.is_success());
    assert_eq!(slot(&executed.changes, key.address(), U256::from(3)), Some((U256::from(4), U256::ZERO)));
    assert_eq!(slot(&executed.changes, key.address(), U256::from(5)), None);
    assert_eq!(account(&executed.changes, key.address()).1.map(|account| account.nonce), Some(1));
}

#[test]
fn transfer_of_nothing_creates_no_account() {
    let (_, executed) = run(&state([]), Hardfork::Osaka, &[legacy(|_| {})]);
    assert_eq!(executed.changes.accounts.len(), 1);
    assert_eq!(executed.changes.accounts[0].address, ALICE);
}

#[test]
fn selfdestruct_removes_only_what_the_same_transaction_created() {
    let described = Described { balance: U256::from(50), ..with_code(SELFDESTRUCT) };
    let state = state([(CONTRACT, described)]);
    let create = legacy(|transaction| {
        transaction.nonce = 1;
        transaction.to = TxKind::Create;
        transaction.value = U256::from(9);
        transaction.input = code(SELFDESTRUCT);
    });
    let (outcomes, executed) = run(&state, Hardfork::Osaka, &[calling_with(0, CONTRACT, U256::ZERO), create]);

    let contract = account(&executed.changes, CONTRACT).1.expect("it stays");
    assert_eq!((contract.balance, contract.nonce), (U256::ZERO, 1));
    assert!(outcomes[1].outcome.is_success());
    assert!(executed.changes.accounts.iter().all(|change| change.address != ALICE.create(1)));
    let fees = U256::from(executed.gas_used * BASE_FEE);
    let alice = account(&executed.changes, ALICE).1.expect("Alice is there");
    assert_eq!(alice.balance, U256::from(ETHER) + U256::from(50) - fees);
}

#[test]
fn block_hash_comes_from_the_state() {
    // BLOCKHASH(299) into slot 0
    let mut state = state([(CONTRACT, with_code("61012b405f55"))]);
    state.block_hashes.insert(299, B256::repeat_byte(0x22));
    let call = calling_with(0, CONTRACT, U256::ZERO);
    let (_, executed) = run(&state, Hardfork::Osaka, std::slice::from_ref(&call));
    let hash = U256::from_be_bytes(B256::repeat_byte(0x22).0);
    assert_eq!(slot(&executed.changes, CONTRACT, U256::ZERO), Some((U256::ZERO, hash)));

    state.block_hashes.clear();
    let mut executor = BlockExecutor::new(&state, context(Hardfork::Osaka)).expect("the block begins");
    assert!(matches!(executor.execute(&call, ALICE), Err(ExecuteError::State(_))));
}

/// A state in which one account's values cannot be read.
struct Unreadable {
    state: MemoryState,
    account: Option<Address>,
    storage: Option<Address>,
    code: bool,
}

fn unreadable() -> StateReadError {
    StateReadError("the disk is gone".into())
}

impl StateReader for Unreadable {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        if self.account == Some(address) { Err(unreadable()) } else { self.state.account(address) }
    }
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        if self.storage == Some(address) { Err(unreadable()) } else { self.state.storage(address, slot) }
    }
    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        if self.code { Err(unreadable()) } else { self.state.code(code_hash) }
    }
    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        self.state.block_hash(height)
    }
    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        if self.storage == Some(address) { Err(unreadable()) } else { self.state.storage_slots(address) }
    }
}

#[test]
fn state_that_cannot_be_read_is_never_the_transactions_fault() {
    // SLOAD(0)
    let readable = || state([(CONTRACT, with_code("5f54")), (BOB, with_code(LOG))]);
    let cases =
        [(Some(ALICE), None, false), (Some(CONTRACT), None, false), (None, Some(CONTRACT), false), (None, None, true)];
    for (account, storage, code) in cases {
        let state = Unreadable { state: readable(), account, storage, code };
        let mut executor = BlockExecutor::new(&state, context(Hardfork::Osaka)).expect("the block begins");
        let error = executor.execute(&calling_with(0, CONTRACT, U256::ZERO), ALICE).expect_err("it cannot run");
        assert!(matches!(error, ExecuteError::State(_)), "{account:?} {storage:?} {code}: {error}");
        assert_eq!(error.blame(), Blame::Local);
    }
    let no_beginning = Some(eip4788::BEACON_ROOTS_ADDRESS);
    let state = Unreadable { state: readable(), account: no_beginning, storage: None, code: false };
    assert!(BlockExecutor::new(&state, context(Hardfork::Osaka)).is_err());
}

#[test]
fn slots_of_a_vanished_account_that_cannot_be_read_fail_the_block() {
    let storage = vec![(U256::from(3), U256::from(4))];
    let state = state([(BOB, Described { storage, ..Described::default() })]);
    let state = Unreadable { state, account: None, storage: Some(BOB), code: false };
    let mut executor = BlockExecutor::new(&state, context(Hardfork::Osaka)).expect("the block begins");
    executor.execute(&legacy(|_| {}), ALICE).expect("it runs");
    assert!(executor.finish().is_err());
}
