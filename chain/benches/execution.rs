//! What executing costs, per block of 100 transfers between accounts that were met before.
#![allow(missing_docs)]

#[path = "../tests/execution/memory.rs"]
mod memory;

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use callboard_chain::execution::{BlockContext, BlockExecutor};
use callboard_chain::{Hardfork, Transaction};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memory::{Described, MemoryState};

const TRANSFERS: u64 = 100;

fn transfers_in_a_block(criterion: &mut Criterion) {
    let balance = U256::from(u64::MAX);
    let accounts = (1..=1_000).map(|number| (account(number), Described { balance, ..Described::default() }));
    let state = MemoryState::new(accounts);
    let transfers: Vec<_> =
        (0..TRANSFERS).map(|number| (transfer(account(900 - number)), account(number + 1))).collect();

    let mut group = criterion.benchmark_group("execution");
    group.throughput(Throughput::Elements(TRANSFERS));
    group.bench_function("transfers", |bencher| bencher.iter(|| execute(&state, &transfers)));
    group.finish();
}

fn execute(state: &MemoryState, transfers: &[(Transaction, Address)]) -> usize {
    let mut executor = BlockExecutor::new(state, context()).expect("the state is in memory");
    for (transfer, sender) in transfers {
        executor.execute(transfer, *sender).expect("the sender can pay");
    }
    executor.finish().expect("the state is in memory").changes.accounts.len()
}

fn account(number: u64) -> Address {
    Address::left_padding_from(&(0x1_0000 + number).to_be_bytes())
}

fn transfer(to: Address) -> Transaction {
    let (gas_limit, value) = (21_000, U256::from(1));
    let transaction = TxLegacy { chain_id: Some(1), gas_limit, value, to: TxKind::Call(to), ..TxLegacy::default() };
    transaction.into_signed(Signature::test_signature()).into()
}

fn context() -> BlockContext {
    BlockContext {
        height: 1,
        timestamp: 1,
        beneficiary: account(0),
        gas_limit: 30_000_000,
        base_fee: 0,
        mix_hash: B256::ZERO,
        parent_hash: B256::ZERO,
        hardfork: Hardfork::Osaka,
        chain_id: 1,
    }
}

criterion_group!(benches, transfers_in_a_block);
criterion_main!(benches);
